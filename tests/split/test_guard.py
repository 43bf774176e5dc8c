import duckdb
import pytest

from forebay.errors import ForebayError, Problems
from forebay.split.guard import TABLE_FUNCTIONS, check
from forebay.split.parameters import CLOCK_CALLS
from forebay.split.script import Stage
from forebay.split.stability import AGGREGATES

TABLES = {"sales", "Products"}


def problems(sql: str, *, frozen_time: bool = True) -> list[tuple[str, str]]:
    try:
        check(Stage("s", sql, 5, 3), "plan.sql", TABLES, {"rate"}, frozen_time=frozen_time)
    except Problems as found:
        return [(error.code, error.where) for error in found.errors]
    except ForebayError as error:
        return [(error.code, error.where)]
    return []


@pytest.mark.parametrize(
    "sql",
    [
        "select * from SALES join products using (k)",
        "with x as (select 1) from x",
        "with recursive x as (select 1 as n union select n + 1 from x where n < 3) from x",
        "with a as (select 1) (with b as (from a) select * from b, a)",
        "from range(3)",
        "from sales s, generate_series(1, s.n), unnest([1, 2]) u(x)",
        "from sales, lateral (select 1)",
        "from sales pivot (sum(b) for a in (1, 2))",
        "select $rate, $Rate, now(), current_date, foo(1), 'random()', \"getenv\" -- getenv('x')\n from sales",
        "select s.current_user, s.user from sales s",
        "values (1)",
    ],
)
def test_queries_over_known_tables_pass(sql: str) -> None:
    assert problems(sql) == []


@pytest.mark.parametrize(
    ("sql", "code", "where"),
    [
        ("select *\nfrom sale", "sql.unknown_table", "plan.sql:6:6"),
        ("from sale", "sql.unknown_table", "plan.sql:5:8"),
        ("with x as (from y), y as (select 1) from x", "sql.unknown_table", "plan.sql:5:19"),
        ("select (select max(x) from nope)", "sql.unknown_table", "plan.sql:5:30"),
        ("from 'x.parquet'", "sql.forbidden", "plan.sql:5:8"),
        ("from 'https://example.org/x'", "sql.forbidden", "plan.sql:5:8"),
        ('from "/etc/passwd"', "sql.forbidden", "plan.sql:5:8"),
        ("from main.sales", "sql.forbidden", "plan.sql:5:8"),
        ("from information_schema.tables", "sql.forbidden", "plan.sql:5:8"),
        ("from sales at (version => 3)", "sql.forbidden", "plan.sql:5:8"),
        ("from repeat(1, 2)", "sql.forbidden", "plan.sql:5:8"),
        ("select 'a'.getenv()", "sql.forbidden", "plan.sql:5:14"),
        ("select main.now()", "sql.forbidden", "plan.sql:5:15"),
        ("select current_user", "sql.forbidden", "plan.sql:5:10"),
        ("select $a+$b||getenv('x')||'$a+$'", "sql.unknown_parameter", "plan.sql:5:10"),
        ("select * from (describe sales)", "sql.forbidden", "plan.sql:5:27"),
        ("with d as (delete from sales returning *) from d", "sql.forbidden", "plan.sql:5:26"),
        ("select * from (pivot sales on a using sum(b))", "sql.forbidden", "plan.sql:5:24"),
        ("from sales using sample 3", "sql.not_deterministic", "plan.sql:5:27"),
        ('select "random" /* */ ()', "sql.not_deterministic", "plan.sql:5:10"),
        ("select age(d) from sales", "sql.not_deterministic", "plan.sql:5:10"),
        ("select $1", "sql.unknown_parameter", "plan.sql:5:10"),
        ("select ?", "sql.unknown_parameter", "plan.sql:5:10"),
        ("select $rat", "sql.unknown_parameter", "plan.sql:5:10"),
        ("select 1 into x", "sql.forbidden", "plan.sql:5:17"),
    ],
)
def test_everything_else_is_refused_where_it_stands(sql: str, code: str, where: str) -> None:
    assert (code, where) in problems(sql)


def test_the_nearest_name_is_advised() -> None:
    with pytest.raises(ForebayError, match="Did you mean `sales`"):
        check(Stage("s", "from sale", 1), "plan.sql", TABLES, ())
    with pytest.raises(ForebayError, match=r"Did you mean `\$rate`"):
        check(Stage("s", "select $rats", 1), "plan.sql", TABLES, {"rate"})


def test_a_tier2_table_cannot_read_the_clock() -> None:
    assert problems("select current_date, now()", frozen_time=False) == [
        ("sql.not_deterministic", "plan.sql:5:10"),
        ("sql.not_deterministic", "plan.sql:5:24"),
    ]


def engine_functions(where: str) -> set[str]:
    return {row[0] for row in duckdb.sql(f"select distinct function_name from duckdb_functions() where {where}").fetchall()}


def test_every_volatile_or_session_function_of_the_engine_is_refused() -> None:
    volatile = engine_functions("function_type = 'scalar' and stability in ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')")
    assert len(volatile) > 20
    assert {name for name in volatile - set(CLOCK_CALLS) if not problems(f"select {name}()")} == set()


def test_every_table_function_of_the_engine_that_is_not_listed_is_refused() -> None:
    functions = engine_functions("function_type in ('table', 'table_macro', 'pragma')")
    assert len(functions) > 80
    passed = {name for name in functions if not problems(f"select * from {name}('x')")}
    passed |= {name for name in functions if not problems(f"select * from sales, lateral \"{name}\"('x')")}
    assert passed <= TABLE_FUNCTIONS


def test_every_aggregate_of_the_engine_is_judged_by_name() -> None:
    assert engine_functions("function_type = 'aggregate'") - AGGREGATES == set()
