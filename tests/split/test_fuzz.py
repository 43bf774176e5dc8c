"""A few random calculations of `make fuzz`, and the proof that its judge can find a split that is wrong."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from fuzz.calculation import calculation
from fuzz.oracle import Judge, same_rows
from fuzz.running import Counts, table
from fuzz.shrinking import read_back, smallest, written

from forebay.split.split import Split, split
from forebay.split.stage import Stage


def test_the_halves_of_random_calculations_answer_as_the_whole() -> None:
    judge, counts = Judge(), Counts()
    for index in range(300):
        verdict = judge.judge(calculation(f"test:{index}"))
        assert not verdict.wrong, f"seed test:{index}, {verdict.kind}: {verdict.detail}"
        counts.add(verdict)
    assert counts.kinds["discarded"] + counts.kinds["unparsed"] < 30
    assert counts.kinds["unstable"] < 5
    assert counts.rewritten > 100
    assert "inner_join" in table(counts)


def test_a_seed_is_one_calculation() -> None:
    assert str(calculation("x:1").script) == str(calculation("x:1").script)
    assert len({str(calculation(f"x:{index}").script) for index in range(50)}) == 50


def broken(change: Callable[[str], str], *, tier2: bool = False) -> Callable[..., Split]:
    """The split with its residual's SQL, or its tables', changed."""

    def splitter(*given: Any, **options: Any) -> Split:
        done = split(*given, **options)
        if tier2:
            return msgspec.structs.replace(done, tier2={name: change(sql) for name, sql in done.tier2.items()})
        residual = tuple(Stage(stage.name, change(stage.sql), stage.line) for stage in done.residual)
        return msgspec.structs.replace(done, residual=residual)

    return splitter


@pytest.mark.parametrize(
    ("splitter", "kind"),
    [
        (broken(lambda sql: f"select * from ({sql}) limit 1"), "rows"),
        (broken(lambda sql: f"select distinct * from ({sql}) where random() > 2"), "rows"),
        (broken(lambda sql: f"select *, 1 as more from ({sql})"), "names"),
        (broken(lambda sql: f"select cast(columns(*) as varchar) from ({sql})"), "types"),
        (broken(lambda sql: f"select * from ({sql}), nowhere"), "residual"),
        (broken(lambda sql: f"select * from ({sql}), nowhere", tier2=True), "tier2"),
        (broken(lambda sql: f"select * from ({sql}) limit 1", tier2=True), "rows"),
        (lambda *given, **options: 1 / 0, "crash"),
    ],
)
def test_a_split_that_is_wrong_is_found(splitter: Callable[..., Split], kind: str) -> None:
    judge, kinds = Judge(splitter), Counter[str]()
    for index in range(40):
        kinds[judge.judge(calculation(f"wrong:{index}")).kind] += 1
        if kinds[kind]:
            return
    pytest.fail(f"only {kinds}")


def test_what_is_found_is_shrunk_and_can_be_read_back() -> None:
    def forgets(*given: Any, **options: Any) -> Split:
        return broken(lambda sql: f"select * from ({sql}) limit 1" if "sum(" in sql else sql)(*given, **options)

    judge = Judge(forgets)
    case = next(case for index in range(200) if judge.judge(case := calculation(f"shrunk:{index}")).kind == "rows")
    before = len(str(case.script))
    text = written(case, smallest(judge, case, "rows", seconds=3))
    assert len(str(case.script)) < before
    again = read_back(text)
    assert judge.judge(again).kind == "rows"
    assert Judge().judge(again).kind == "same"


def test_rows_are_compared_as_bags_and_doubles_as_sql_compares_them() -> None:
    shape = [("a", "INTEGER"), ("x", "DOUBLE")]
    nan = float("nan")
    assert same_rows((shape, [(1, 0.0), (2, nan)]), (shape, [(2, float("nan")), (1, -0.0)]), 1e-9)
    assert same_rows((shape, [(1, 1e9)]), (shape, [(1, 1e9 + 0.1)]), 1e-9)
    assert not same_rows((shape, [(1, 1.0)]), (shape, [(1, 1.001)]), 1e-9)
    assert not same_rows((shape, [(1, 1.0), (1, 1.0)]), (shape, [(1, 1.0)]), 1e-9)
    assert not same_rows((shape, [(1, 1.0), (1, 2.0)]), (shape, [(1, 1.0), (1, 1.0)]), 1e-9)
    assert not same_rows((shape, [(1, nan)]), (shape, [(1, None)]), 1e-9)
