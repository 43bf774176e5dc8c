"""The names that the engine gives to columns without one."""

import duckdb

from forebay.split.printed import KEYWORDS, printed
from forebay.split.spans import parse_placed

ITEMS = [
    *("count(*)", "COUNT(*)", "count(a)", "Sum(a)", "sum(a + 1)", "min(t.a)", "avg((a))", "max(a * b - 2)", "a + b", "(a + b) * 2"),
    *("a / 2", "1", "-a", "sum(distinct a)", "count(distinct a)", "sum(year)", "t.year + 1", '"Ä"', 'sum("x y")', "mean(a)", "sum(1.5)"),
    *("a // b", "sum(a) filter (where b > 1)", "max(a, 2)", "sum(a) over ()", "'x'", "a || 'y'", "a::bigint", "count()"),
]


def test_the_words_in_quotes_are_the_engines() -> None:
    rows = duckdb.connect().execute("select keyword_name from duckdb_keywords()").fetchall()
    assert {word for (word,) in rows} == KEYWORDS


def test_a_name_is_the_engines_or_none() -> None:
    engine = duckdb.connect()
    engine.execute('create table t (a integer, b integer, year integer, "Ä" integer, "x y" integer)')
    known = 0
    for item in ITEMS:
        sql = f"select {item} from t"
        name = printed(parse_placed(sql).expressions[0])
        if name is not None:
            known += 1
            assert name == engine.execute(sql).description[0][0], item
    assert known > 12
