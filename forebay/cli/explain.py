"""How `explain` shows a calculation: as a tree, as the SQL of both halves, as JSON.

Apart from `show`, because rich's trees take time to import. The diagrams are in `diagram`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from forebay.cli import show
from forebay.cli.show import count, out
from forebay.errors import ForebayError

_NAME = 26
"""Cells that a stage's name may take before it pushes the rest aside."""
_PADDING = re.compile(r" +((?:\x1b\[[\d;]*m)*)$", re.MULTILINE)
"""The spaces at the ends of lines that rich's columns leave."""
STATIC, DYNAMIC, LEFT = "green", "yellow", "magenta"
"""Colours of what depends on sources alone, of what does not, and of what could go ahead and does not."""


def explained(found: Any, *, as_json: bool, sql: bool, diagram: Path | None) -> None:
    """Print the explanation in the form that is asked for. A diagram goes to its file besides."""
    if diagram is not None:
        from forebay.cli.diagram import mermaid, svg  # noqa: PLC0415

        diagram.write_text((svg if diagram.suffix == ".svg" else mermaid)(found), encoding="utf-8")
    if as_json:
        show.document(found)
    elif sql:
        out.print(Text("\n".join(_sql(found))), soft_wrap=True)
    elif diagram is not None:
        out.print(f"wrote {diagram}", markup=False, soft_wrap=True)
    else:
        _tree(found)


def diagram_file(given: Path | None) -> Path | None:
    """The file for a diagram, if its ending says what to write."""
    if given is not None and given.suffix not in (".svg", ".mmd"):
        advice = "Name a file that ends in .svg or .mmd (Mermaid)"
        raise ForebayError("usage", f"--diagram {given}: cannot tell what to write", advice=advice)
    return given


# Words that the diagrams use too


def figures(table: Any) -> str:
    """How large a Tier-2 table is, against its sources: "631,479 rows from 22,502,167 (36×)"."""
    if table.rows is None:
        return "not built yet" if table.state == "to build" else "built, not published yet"
    about = "about " if table.state != "published" else ""
    rows = f"{about}{count(table.rows, 'row')}"
    times = _times(table.source_rows, table.rows)
    return f"{rows} from {table.source_rows:,}{f' ({times})' if times else ''}" if table.source_rows else rows


def grain(table: Any) -> str:
    """ "week × store × category"."""
    return " × ".join(table.grain)


def _times(many: int, few: int) -> str:
    if not few or many <= few:
        return ""
    ratio = many / few
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.1f}×" if ratio >= 1.05 else ""


def headline(found: Any) -> str:
    """What the split saves, in one sentence that holds whatever was built."""
    script, left = found.script_rows, found.run_source_rows
    if not script:
        return "It reads no source: all of it depends on a run's inputs and parameters."
    if left == script:
        some = any(table.read_by_run and table.kind != "detail" for table in found.tables)
        return f"A run reads all {count(script, 'source row')}{', though some work on them is done ahead' if some else ''}."
    share = (script - left) / script
    # Neither 100% nor 0% unless it is all or nothing.
    ahead = f"{min(max(share, 0.001), 0.999):.1%}" if share < 0.01 or share > 0.99 else f"{share:.0%}"
    head = f"All {count(script, 'source row')} are read ahead" if not left else f"{ahead} of {count(script, 'source row')} are read ahead"
    if not left and script == 1:
        head = "The one source row is read ahead"
    if found.run_rows is None:
        return f"{head}; what a run reads, `forebay refresh` will tell." if not left else f"{head}; a run reads the other {left:,}."
    times = _times(script, found.run_rows)
    about = "about " if _is_estimated(found) else ""
    return f"{head}: a run reads {about}{count(found.run_rows, 'row')}{f', {times} fewer' if times else ''}."


def _is_estimated(found: Any) -> bool:
    return any(table.read_by_run and table.kind != "detail" and table.state != "published" for table in found.tables)


def standing(found: Any) -> str:
    """How this compares with what is published."""
    if found.edition is None:
        return "nothing is published yet"
    if not found.differs:
        return f"as in edition {found.edition}"
    return f"not as in edition {found.edition}: {'; '.join(found.differs)}"


# The tree


def _tree(found: Any) -> None:
    out.print(Text(headline(found)))
    out.print()
    tables = {table.name: table for table in found.tables}
    width = min(_NAME, max(len(stage.name) for stage in found.stages))
    root = Text(f"{found.calculation}  ", style="bold")
    root.append(f"{found.file}, {standing(found)}", style="not bold yellow" if found.differs else "not bold dim")
    tree = Tree(root, guide_style="dim")
    for stage in found.stages:
        branch = tree.add(_stage(stage, tables, found, width))
        for scope in stage.scopes:
            if scope.worth_telling and not (stage.table and scope.table == stage.table):
                branch.add(_scope(scope, stage, tables))
    with out.capture() as captured:
        out.print(tree)
        out.print()
        out.print(_rows(found))
    sys.stdout.write(_PADDING.sub(r"\1", captured.get()))


def _stage(stage: Any, tables: Any, found: Any, width: int) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(min_width=width)
    row.add_column(min_width=7)
    row.add_column()
    kind = Text("static", STATIC) if stage.static else Text("dynamic", DYNAMIC)
    row.add_row(Text(stage.name, style="bold" if stage.output else ""), kind, Group(*_about(stage, tables, found)))
    return row


def _about(stage: Any, tables: Any, found: Any) -> Iterator[Text]:
    output = " · output" if stage.output else ""
    if stage.table in tables:
        yield Text(f"→ {stage.table}{output}")
        yield from _measures(tables[stage.table])
    elif stage.decision == "inlined":
        yield Text(f"→ part of {_listed(stage.into)}{output}" if stage.into else f"read by nothing that is left{output}", style="dim")
    else:
        raw = {source.captured or source.source for source in found.sources}
        dynamic = {other.name for other in found.stages if not other.static} | set(found.inputs)
        line = Text("on demand, ", LEFT) if stage.static else Text()
        line.append("reads " if stage.reads else "")
        for number, name in enumerate(stage.reads):
            shown = f"input {name}" if name in found.inputs else name.removeprefix("detail.")
            line.append(", " if number else "").append(shown, DYNAMIC if name in dynamic else LEFT if name in raw else "")
        line.append((" with " if stage.reads else "takes ") if stage.parameters else "")
        yield line.append(", ".join(stage.parameters), DYNAMIC).append(output)


def _measures(table: Any) -> Iterator[Text]:
    yield Text(figures(table))
    if table.grain:
        yield Text(f"one row per {grain(table)}", style="dim")


def _scope(scope: Any, stage: Any, tables: Any) -> RenderableType:
    """A part of a stage that goes ahead, or that does not though something could be done about it."""
    name = "" if scope.scope.lower() in (stage.name.lower(), scope.table.rpartition(".")[2]) else f"{scope.scope} "
    if scope.table:
        lines = [Text(f"{name}→ {scope.table}", STATIC)]
        lines += _measures(tables[scope.table]) if scope.table in tables else []
        if scope.decision in ("aggregated", "detail"):
            rules = f" by the rules {', '.join(scope.rules)}" if scope.rules else ""
            lines.append(Text(f"{scope.decision}{rules}", style="dim"))
        return Group(*lines)
    line = Text(f"{name}on demand", LEFT).append(f" (line {scope.line}): {scope.why}", style="not bold default")
    return Group(line, Text(f"→ {scope.advice}", style="dim")) if scope.advice else line


def _listed(names: Any) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def _rows(found: Any) -> Table:
    """Which rows the unsplit script reads, and which a run: the sum that the headline tells."""
    rows: list[list[str | Text]] = []
    for source in found.sources:
        captured = f"captured, {count(len(source.columns), 'column')}" if source.captured else ""
        rows.append([Text(f"  {source.source}"), f"{source.rows:,}", f"{source.run_rows:,}" if source.run_rows else "", captured])
    for table in found.tables:
        if table.read_by_run and table.kind != "detail":
            number = "?" if table.rows is None else f"{table.rows:,}" if table.state == "published" else f"≈ {table.rows:,}"
            rows.append([Text(f"  {table.name}"), "", number, "declared" if table.kind == "declared" else ""])
    total = "?" if found.run_rows is None else f"≈ {found.run_rows:,}" if _is_estimated(found) else f"{found.run_rows:,}"
    rows.append([Text("  together", "bold"), Text(f"{found.script_rows:,}", "bold"), Text(total, "bold"), ""])
    return show.grid(rows, ["Rows read", "unsplit script", "a run", ""], right=(1, 2))


# SQL


def _sql(found: Any) -> Iterator[str]:
    """Both halves as one script, in the order in which they are executed."""
    yield f"-- {found.calculation}: computed when sources change"
    for table in found.tables:
        yield ""
        if table.kind == "detail":
            yield f"-- {table.name}: captured of the source, for runs to read in its place"
            yield from (f"-- {line}" for line in table.sql.splitlines())
        else:
            yield f"-- {table.name}: {figures(table)}{f', one row per {grain(table)}' if table.grain else ''}"
            first, *others = table.relations
            yield from _create(first, table.sql)
            for other in others:
                yield f"create view {_quoted(other)} as from {_quoted(first)};"
    yield ""
    yield f"-- {found.calculation}: computed by every run" + ("" if any(stage.sql for stage in found.stages) else ": nothing")
    for stage in found.stages:
        if stage.sql:
            yield ""
            yield from _create(stage.name, stage.sql)


def _create(name: str, sql: str) -> Iterator[str]:
    yield f"create table {_quoted(name)} as"
    # On a line of its own, because the SQL may end in a comment.
    yield sql
    yield ";"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
