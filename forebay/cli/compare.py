"""What `runs diff` prints: first why two runs differ, then in which rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.markup import escape
from rich.text import Text

from forebay.cli import history
from forebay.cli.show import STATUS, cut, document, grid, out

_NONE = Text("NULL", style="dim")
_ABSENT = Text("has none", style="dim")
_LINES = {"-": "red", "+": "green", "@": "cyan"}


def runs_diff(found: Any, editions: Any, *, as_json: bool) -> None:
    """How two runs differ; `editions`: how theirs do, if both are kept."""
    if as_json:
        document({**msgspec.to_builtins(found), "editions": editions})
        return
    runs = [("a", found.a, found.published_a), ("b", found.b, found.published_b)]
    rows: list[list[str | Text]] = [
        [side, run.id, run.calculation, Text(run.status, style=STATUS.get(run.status, "")), str(run.edition), history.at(published or "")]
        for side, run, published in runs
    ]
    out.print(grid(rows, ["", "run", "calculation", "", "edition", "published (UTC)"], right=(4,)))
    if editions is not None:
        out.print()
        history.diff(editions, as_json=False)
    elif found.a.edition != found.b.edition:
        out.print("\nwhat changed between the editions is not known any more: one of them is retired")
    if found.relations:
        out.print(f"\nread from other files: {', '.join(map(escape, found.relations))}")
    _parameters(found.parameters)
    for one in found.inputs:
        _input(one)
    for one in found.code:
        _code(one)
    if not (editions or found.relations or found.parameters or found.inputs or found.code):
        out.print("\nthey were asked the same, of the same data, and executed the same")
    for one in found.outputs:
        _output(one)


def _parameters(found: Sequence[Any]) -> None:
    if not found:
        return
    out.print()
    rows: list[list[str | Text]] = [
        [f"  {one.name}", _ABSENT if one.only == "b" else _value(one.a), _ABSENT if one.only == "a" else _value(one.b)] for one in found
    ]
    out.print(grid(rows, ["Parameters", "a", "b"]))


def _input(one: Any) -> None:
    out.print(f"\n[bold]input {one.name}[/]  {_given(one.a)} → {_given(one.b)}{_note(one)}")
    if one.rows is not None:
        _rows(one.rows, totals=False)


def _given(given: Any) -> str:
    if given is None:
        return "not read"
    return f"{escape(given.file)}, version {given.sha256[:12]}" if given.file else "no file"


def _code(one: Any) -> None:
    out.print(f"\n[bold]stage {one.stage}[/]{_only(one)}")
    # Its first two lines say what is compared.
    for line in () if one.only else one.diff.splitlines()[2:]:
        out.print(Text(f"  {line}", style=_LINES.get(line[:1], "dim")))


def _output(one: Any) -> None:
    out.print(f"\n[bold]{one.name}[/]{_only(one)}{_note(one)}", end="" if one.rows is not None else "\n")
    if one.rows is not None:
        out.print("  ", end="")
        _rows(one.rows)


def _only(one: Any) -> str:
    return f"  only in {one.only}" if one.only else ""


def _note(one: Any) -> str:
    return f"  [yellow]{escape(one.note)}[/]" if one.note else ""


def _rows(found: Any, *, totals: bool = True) -> None:
    """How many rows differ and which, and the totals."""
    how = {"key": f"matched by {', '.join(found.key)}", "one row": "one row each", "bags": "no columns name a row: compared as bags"}
    size = f"{history.from_to(found.rows_a, found.rows_b)} row{'' if found.rows_a == found.rows_b == 1 else 's'}, {how[found.matched]}: "
    if found.same:
        out.print(f"{escape(size)}[green]the same[/]")
        return
    counts = ((found.only_a, "only in a"), (found.only_b, "only in b"), (found.changed, "changed"))
    out.print(escape(size + ", ".join(f"{number:,} {what}" for number, what in counts if number)))
    if found.measures and totals:
        paired = found.matched != "bags"
        rows: list[list[str | Text]] = [
            [f"  {m.column}", _number(m.a), _number(m.b), _signed(m.difference), f"{m.changed:,}" if paired else ""] for m in found.measures
        ]
        out.print(grid(rows, ["  Totals", "a", "b", "b − a", "rows changed" if paired else ""], right=(1, 2, 3, 4)))
    for side, total, some in (("a", found.only_a, found.first_only_a), ("b", found.only_b, found.first_only_b)):
        if some:
            more = f", the first {len(some)} of {total:,}" if total > len(some) else ""
            out.print(f"  Only in {side}{more}")
            out.print(grid([[_value(value) for value in row] for row in some], [f"  {found.columns[0]}", *found.columns[1:]]))
    if found.top:
        _top(found)


def _top(found: Any) -> None:
    rows: list[list[str | Text]] = []
    for row in found.top:
        key: list[str | Text] = [_value(value) for value in row.key]
        for change in row.changes:
            if change.a != change.b and not _is_zero(change.difference):
                rows.append([*key, change.column, _number(change.a), _number(change.b), _signed(change.difference)])
                # A row's key stands at its first line only.
                key = [""] * len(key)
    more = f", the {len(found.top)} largest of {found.changed:,}" if found.changed > len(found.top) else ""
    out.print(f"  Changed{more}")
    at = len(found.key)
    out.print(grid([["", *row] for row in rows], ["", *found.key, "", "a", "b", "b − a"], right=(at + 2, at + 3, at + 4)))


def _value(value: object) -> Text:
    return _NONE if value is None else Text(cut(str(value).lower() if isinstance(value, bool) else str(value)))


def _number(text: str | None) -> Text:
    """A number with its thousands apart; any other value as it is."""
    if text is not None and re.fullmatch(r"-?\d+(\.\d+)?", text):
        whole, dot, fraction = text.partition(".")
        text = f"{'-' if text.startswith('-') else ''}{abs(int(whole)):,}{dot}{fraction}"
    return _value(text)


def _signed(text: str | None) -> Text:
    if text is None or _is_zero(text):
        return Text("")
    number = _number(text)
    return number if text.startswith("-") else Text("+").append(number)


def _is_zero(text: str | None) -> bool:
    return text is not None and float(text) == 0
