"""Each file of `cases/` is a script, and what the split makes of it; and both are executed, over random rows, and compared.

A file begins with `-- sources:`, `-- inputs:` and `-- parameters:`. It may go on with `-- rows:`, on which it is executed besides, and
`-- answer:`, the right answer over those, of its last stage.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from executed import Relations, assert_same_answers, assert_same_answers_over

from forebay.split.script import read_script
from forebay.split.split import split

CASES = sorted((Path(__file__).parent / "cases").glob("*.sql"))


class Case(NamedTuple):
    head: str
    sources: Relations
    inputs: Relations
    parameters: dict[str, str]
    values: dict[str, str]
    rows: dict[str, str]
    answer: str
    script: str
    expected: str

    @classmethod
    def read(cls, text: str) -> Case:
        script, _, expected = text.partition("\n---- ")
        lines = script.splitlines()
        count = next(index for index, line in enumerate(lines) if not re.match("-- [a-z]+: ?", line))
        head = dict(re.split(": ?", line[3:], maxsplit=1) for line in lines[:count])
        declared = [re.fullmatch(r"(\w+) (.*) = (.*)", part) for part in head["parameters"].split("; ")]
        found = [match for match in declared if match]
        return cls(
            "\n".join(lines[:count]),
            relations(head["sources"]),
            relations(head["inputs"]),
            {match[1]: match[2] for match in found},
            {match[1]: match[3] for match in found},
            dict(part.split(" ", 1) for part in head["rows"].split("; ")) if "rows" in head else {},
            head.get("answer", ""),
            "\n".join(lines[count:]),
            "---- " + expected,
        )


def relations(text: str) -> Relations:
    found = {}
    for part in text.split("; "):
        name, columns = part[:-1].split("(", 1)
        found[name] = dict(column.split(" ", 1) for column in columns.split(", "))
    return found


def render(case: Case) -> str:
    """A case's file, as the split stands now."""
    done = split(case.script, case.sources, case.inputs, case.parameters)
    lines = [case.head, case.script]
    lines += [f"---- tier2 {name}\n{sql}" for name, sql in done.tier2.items()]
    lines += [f"---- residual {stage.name}\n{stage.sql}" for stage in done.residual]
    lines += [
        "---- reasons",
        *(f"{reason.code}: {reason.scope} {reason.decision}, line {reason.line}" for reason in done.reasons),
    ]
    lines += [
        "---- reads",
        *(f"{name}: {'all' if columns is None else ', '.join(columns)}" for name, columns in done.reads.items()),
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_split_is_as_written(path: Path) -> None:
    text = path.read_text()
    assert render(Case.read(text)) == text


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_halves_answer_as_the_whole(path: Path) -> None:
    case = Case.read(path.read_text())
    stages = read_script(case.script, path.name)
    done = split(stages, case.sources, case.inputs, case.parameters)
    for seed in range(6):
        assert_same_answers(stages, done, case.sources, case.inputs, case.parameters, case.values, seed)
    if case.rows:
        assert assert_same_answers_over(case.rows, stages, done, case.sources, case.inputs, case.parameters, case.values) == case.answer


def test_a_split_is_a_function_of_its_script() -> None:
    """What is kept by a node's identity must keep the node: another one may get its number."""
    case = Case.read((Path(__file__).parent / "cases" / "cte_read_twice.sql").read_text())
    assert len({render(case) for _ in range(80)}) == 1


def test_there_are_cases() -> None:
    assert len(CASES) > 150
