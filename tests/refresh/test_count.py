"""What the split asks about rows is counted over the sources once, and remembered while it may be believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small import Small

from forebay.refresh import bind, check
from forebay.refresh.refresh import refresh
from forebay.split.split import Split, split


class Asked:
    """Stands for a split that asks `questions` about rows; keeps the answers."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.answers: list[int] = []
        self.counted: list[tuple[tuple[str, ...], int]] = []

    def split(self, *arguments: Any, statistics: Callable[[str], int], **named: Any) -> Split:
        self.answers = [statistics(question) for question in self.questions]
        return split(*arguments, **named)

    def counting(self, sources: tuple[str, ...], rows: int) -> None:
        self.counted.append((sources, rows))

    def refresh(self, small: Small) -> list[int]:
        self.answers, self.counted = [], []
        refresh(small.folder, small.heard.watching, counting=self.counting)
        return self.answers


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(bind, "split", asked.split)
    return asked


def rows(small: Small, number: int) -> None:
    small.write("data/s.csv", "k,v\n" + "".join(f"{n % 3},{n}\n" for n in range(number)))


def touch(small: Small) -> None:
    """Change a comment, so that a refresh has to bind."""
    small.write("calculations/c.sql", (small.folder / "calculations/c.sql").read_text() + "\n-- again\n")


@pytest.fixture
def project(small: Small) -> Small:
    rows(small, 10)
    small.declare(
        sources={"s": {"path": "data/s.csv", "columns": {"k": "integer", "v": "integer"}}},
        tier2={"t": "SELECT k, sum(v) AS v FROM s GROUP BY k", "u": "SELECT max(k) AS k FROM t"},
        calculations={"c": {"sql": "CREATE TABLE o AS SELECT median(v) AS m FROM s WHERE k = $x;", "parameters": {"x": "integer"}}},
    )
    return small


def test_counts_are_kept_with_the_edition_and_asked_for_once(project: Small, asked: Asked) -> None:
    asked.questions = ["SELECT count(*) FROM s", "SELECT count(DISTINCT k) FROM s", "SELECT count( * ) FROM s"]
    assert asked.refresh(project) == [10, 3, 10]
    assert asked.counted == [(("s",), 10)] * 2
    assert {count.rows for count in project.edition().counts.values()} == {10, 3}
    touch(project)
    assert asked.refresh(project) == [10, 3, 10]
    assert asked.counted == []


def test_a_count_is_believed_until_a_source_has_twice_or_half_its_rows(project: Small, asked: Asked) -> None:
    asked.questions = ["SELECT count(*) FROM s"]
    for number, answers in ((10, [10]), (15, []), (20, []), (21, [21]), (11, []), (10, [10]), (0, [0]), (1, [1])):
        rows(project, number)
        assert asked.refresh(project) == answers, number
    project.write("forebay.yaml", (project.folder / "forebay.yaml").read_text() + "\n# as it was")
    rows(project, 2)
    assert asked.refresh(project) == [1]  # bound anew, but not counted


def test_declared_tables_are_counted_before_and_after_they_are_built(project: Small, asked: Asked) -> None:
    asked.questions = ["SELECT count(*) FROM t", "SELECT k FROM u", "WITH w AS (SELECT k FROM t) SELECT count(*) FROM w JOIN s USING (k)"]
    assert asked.refresh(project) == [3, 2, 10]
    project.write("tier2/t.sql", "SELECT k, sum(v) AS v FROM s WHERE k > 0 GROUP BY k")
    asked.questions.append("SELECT count(*) + 100 FROM t")
    assert asked.refresh(project) == [2, 2, 6, 102]
    touch(project)
    asked.questions.append("SELECT count(*) + 200 FROM t")
    assert asked.refresh(project) == [2, 2, 6, 102, 202]
    assert len(asked.counted) == 1


def test_what_cannot_be_counted_is_unknown_and_asked_again_next_time(project: Small, asked: Asked) -> None:
    asked.questions = ["SELECT count(CAST('x' || v AS INTEGER)) FROM s", "SELECT count(*) FROM nowhere", "SELECT max(v) FROM s WHERE false"]
    assert asked.refresh(project) == [-1, -1, -1]
    assert project.edition().counts == {}
    touch(project)
    assert asked.refresh(project) == [-1, -1, -1]
    assert len(asked.counted) == 3


def test_check_counts_nothing_and_plan_says_what_it_counts(project: Small, asked: Asked) -> None:
    asked.questions = ["SELECT count(*) FROM s"]
    check.check(project.folder)
    assert asked.answers == [-1]
    check.plan(project.folder, asked.counting)
    assert (asked.answers, asked.counted) == ([10], [(("s",), 10)])
    assert not (project.folder / "lake").exists()
    asked.refresh(project)
    rows(project, 11)
    check.check(project.folder)
    assert asked.answers == [10]


def test_nothing_is_left_of_counting(project: Small, asked: Asked) -> None:
    asked.questions = ["SELECT count(*) FROM s"]
    asked.refresh(project)
    assert not list((project.folder / "lake/slices/counts").iterdir())
