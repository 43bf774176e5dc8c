"""A failing calculation made as small as can be while it still fails in the same way, and written down."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from fuzz.calculation import Calculation, Trial
from fuzz.data import Table
from fuzz.oracle import Judge, Verdict
from fuzz.tree import Many, Node, shrink

SECONDS = 40.0


def smallest(judge: Judge, case: Calculation, kind: str, seconds: float = SECONDS) -> Verdict:
    """Shrink `case` in place for some seconds; the verdict on what is left of it."""
    deadline = time.monotonic() + seconds

    def fails() -> bool:
        return time.monotonic() < deadline and judge.judge(case).kind == kind

    for name in ("typed", "counted", "all_outputs"):
        before = getattr(case, name)
        setattr(case, name, False)
        if before and not fails():
            setattr(case, name, before)
    for trial in list(case.trials):
        before_trials, case.trials = case.trials, [trial]
        if fails():
            break
        case.trials = before_trials
    while shrink(case.script, fails) | _fewer_rows(case, fails) | _plainer_values(case, fails):
        pass
    _unused(case, fails)
    return judge.judge(case)


def _fewer_rows(case: Calculation, fails: Callable[[], bool]) -> bool:
    went = False
    for rows in [table.rows for table in case.sources.values()] + [rows for trial in case.trials for rows in trial.uploads.values()]:
        for index in reversed(range(len(rows))):
            row = rows.pop(index)
            if fails():
                went = True
            else:
                rows.insert(index, row)
    return went


def _plainer_values(case: Calculation, fails: Callable[[], bool]) -> bool:
    went = False
    tables = [(table.columns, table.rows) for table in case.sources.values()]
    tables += [(case.inputs[name].columns, rows) for trial in case.trials for name, rows in trial.uploads.items()]
    for columns, rows in tables:
        for row in rows:
            for place, type_ in enumerate(columns.values()):
                plain = "1" if re.match("[A-Z]*INT|DEC|DOUBLE", type_) else "a" if type_ == "VARCHAR" else "NULL"
                if row[place] in (plain, "NULL"):
                    continue
                before, row[place] = row[place], plain
                if fails():
                    went = True
                else:
                    row[place] = before
    return went


def _unused(case: Calculation, fails: Callable[[], bool]) -> None:
    """Leave out tables, columns and parameters that nothing reads."""
    text = str(case.script)
    case.sources = {name: table for name, table in case.sources.items() if re.search(rf"\b{name}\b", text)} or case.sources
    inputs = {name: table for name, table in case.inputs.items() if re.search(rf"\b{name}\b", text)}
    case.inputs = inputs or dict(list(case.inputs.items())[:1])
    case.trials = [Trial(trial.values, {name: trial.uploads[name] for name in case.inputs}) for trial in case.trials]
    case.parameters = {name: type_ for name, type_ in case.parameters.items() if re.search(rf"\${name}\b", text)}
    tables = [(table.columns, [table.rows]) for table in case.sources.values()]
    tables += [(table.columns, [trial.uploads[name] for trial in case.trials]) for name, table in case.inputs.items()]
    for columns, contents in tables:
        for column in [column for column in columns if not re.search(rf"\b{column}\b", text)]:
            if len(columns) == 1:
                break
            place, items = list(columns).index(column), list(columns.items())
            taken = [[row.pop(place) for row in rows] for rows in contents]
            del columns[column]
            if not fails():
                columns.clear()
                columns.update(items)
                for rows, values in zip(contents, taken, strict=True):
                    for row, value in zip(rows, values, strict=True):
                        row.insert(place, value)


def written(case: Calculation, verdict: Verdict) -> str:
    """The calculation in the form of `cases/*.sql`, with its rows and what is wrong in comments."""

    def relations(tables: dict[str, dict[str, str]]) -> str:
        return "; ".join(
            f"{name}({', '.join(f'{column} {type_}' for column, type_ in columns.items())})" for name, columns in tables.items()
        )

    def contents(name: str, rows: list[list[str]]) -> str:
        return f"-- {name}: " + (", ".join(f"({', '.join(row)})" for row in rows) or "no rows")

    trial = case.trials[0]
    values = _shown(trial, case)
    options = [name for name in ("typed", "counted", "all_outputs") if getattr(case, name)]
    lines = [
        f"-- sources: {relations(case.relations(case.sources))}",
        f"-- inputs: {relations(case.relations(case.inputs))}",
        f"-- parameters: {'; '.join(f'{name} {type_} = {values[name]}' for name, type_ in case.parameters.items())}",
        f"-- seed {case.seed}{''.join(f', {option}' for option in options)}: {verdict.kind}",
        *(f"--   {line}" for line in verdict.detail.splitlines()),
        *(contents(name, table.rows) for name, table in case.sources.items()),
    ]
    for number, one in enumerate(case.trials):
        if number:
            lines.append(f"-- or {'; '.join(f'{name} = {value}' for name, value in _shown(one, case).items())}")
        lines += [contents(name, rows) for name, rows in one.uploads.items()]
    return "\n".join([*lines, str(case.script), ""])


def _shown(trial: Trial, case: Calculation) -> dict[str, str]:
    return {name: "NULL" if value is None else value for name, value in trial.values.items() if name in case.parameters}


def read_back(text: str) -> Calculation:
    """The calculation that `written` wrote."""
    head, _, body = text.partition("\ncreate table ")
    lines = head.splitlines()
    sources, inputs = (_tables(line.split(": ", 1)[1]) for line in lines[:2])
    declared = re.findall(r"(?:^|; )(\w+) ([A-Z]+(?:\(\d+,\d+\))?) = (.*?)(?=; \w+ [A-Z]|$)", lines[2].split(":", 1)[1].removeprefix(" "))
    trials = [Trial({name: None if value == "NULL" else value for name, _, value in declared}, {})]
    for line in lines[4:]:
        found = re.fullmatch(r"-- (\w+): (.*)", line)
        if line.startswith("-- or "):
            values = dict(part.split(" = ", 1) for part in line[6:].split("; ") if part)
            trials.append(Trial({name: None if value == "NULL" else value for name, value in values.items()}, {}))
        elif found:
            rows = [row.split(", ") for row in found[2][1:-1].split("), (")] if found[2] != "no rows" else []
            if found[1] in sources:
                sources[found[1]].rows = rows
            else:
                trials[-1].uploads[found[1]] = rows
    typed, counted, all_outputs = (f", {name}" in lines[3] for name in ("typed", "counted", "all_outputs"))
    seed = lines[3].split(" ")[2].strip(",:")
    script = Many([Node("stage", [f"create table {body}"])])
    parameters = {name: type_ for name, type_, _ in declared}
    return Calculation(seed, sources, inputs, parameters, script, trials, typed, counted, all_outputs)


def _tables(text: str) -> dict[str, Table]:
    found = re.findall(r"(\w+)\((.*?)\)(?=; |$)", text)
    return {name: Table(dict(column.split(" ", 1) for column in columns.split(", "))) for name, columns in found}
