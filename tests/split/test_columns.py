import itertools

import duckdb
import pytest

from forebay.split.columns import kind_of, resolve_columns
from forebay.split.stability import find_unstable
from forebay.split.syntax import parse

TYPES = {
    "i": "INTEGER",
    "n": "DECIMAL(10,2)",
    "f": "DOUBLE",
    "h": "HUGEINT",
    "u": "UHUGEINT",
    "b": "BOOLEAN",
    "s": "VARCHAR",
    "z": "BIGINT",
}
SCHEMA = {"t": {name: kind_of(type_) for name, type_ in TYPES.items()}}
OPERANDS = ["i", "n", "f", "h", "u", "z", "1", "1.5", "1e2", "sum(i)", "sum(n)", "count(*)", "avg(i)", "cast(f as decimal(9,3))"]
FORMS = [
    *("{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}", "{a} // {b}", "{a} % {b}", "{a} ** {b}", "-{a}", "abs({a})"),
    *("round({a}, 1)", "round({a})", "floor({a})", "coalesce({a}, {b})", "nullif({a}, {b})", "greatest({a}, {b})", "least({a}, {b})"),
    *("case when true then {a} else {b} end", "case when false then {a} end", "if(true, {a}, {b})", "({a})", "max({a})", "min({a})"),
    *("sum({a})", "sum(distinct {a})", "sum({a}) filter (where b)", "sum({a}) over ()", "sqrt({a})", "cast({a} as bigint)"),
    *("cast({a} as real)", "try_cast({a} as decimal(20,4))", "{a}::double", "year(date '2020-01-01')", "(select max({a}) from t)"),
]


def test_what_is_called_exact_is_exact_in_the_engine() -> None:
    engine = duckdb.connect()
    engine.execute(f"create table t ({', '.join(f'{name} {type_}' for name, type_ in TYPES.items())})")
    exact = 0
    for form, a, b in itertools.product(FORMS, OPERANDS, OPERANDS):
        sql = f"select {form.format(a=a, b=b)} as x from t"
        try:
            type_ = engine.execute(f"select column_type from (describe {sql})").fetchall()[0][0]
        except duckdb.Error:
            continue  # not SQL for the engine, such as an aggregate in an aggregate
        resolved = resolve_columns(parse(sql), SCHEMA)
        kind = resolved.columns[0][1] if resolved else ""
        exact += bool(kind)
        assert kind in ("", kind_of(type_), "decimal" if kind_of(type_) else ""), f"{sql} is {type_}"
    assert exact > 1000


def test_kinds_pass_through_queries_in_queries() -> None:
    sql = """with c(q) as (select n * 2 from t union all select i from t)
             select x.q, y.m, z.g from (select sum(q) as q from c) x, (select max(f) as m from t) y, lateral (select x.q / 2 as g) z"""
    resolved = resolve_columns(parse(sql), SCHEMA)
    assert resolved is not None
    assert resolved.columns == (("q", "decimal"), ("m", ""), ("g", ""))


@pytest.mark.parametrize(
    "sql", ["select nope from t", "select t from t", "select columns('i') from t", "select 1 from t where t.i = outside.x"]
)
def test_what_cannot_be_traced_is_not_resolved(sql: str) -> None:
    assert resolve_columns(parse(sql), SCHEMA) is None


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (
            "select sum(i), avg(i), sum(n * (1 - i)), avg(n), count(distinct f), max(f), median(f), sum(cast(f as decimal(9,2))) from t",
            None,
        ),
        ("select sum(f) from t", "split.unstable"),
        ('select "sum"(f) from t', "split.unstable"),
        ("select mean(n / 2) from t", "split.unstable"),
        ("select sum(n // 2) from t", "split.unstable"),
        ("select sum(f) over (order by i) from t", "split.unstable"),
        ("select stddev(i) from t", "split.unstable"),
        ("select corr(i, i), fsum(i), product(i) from t", "split.unstable"),
        ("select x from (select sum(nope) as x from t)", "split.unstable"),
        ("select i from t limit 1", "split.order_dependent"),
        ("select i from t order by i limit 1", None),
        ("select i from t where i in (select i from t offset 2)", "split.order_dependent"),
        ("select distinct on (i) i, n from t", "split.order_dependent"),
        ("select distinct on (i) i, n from t order by i, n", None),
        ("select first(i), any_value(i) from t", "split.order_dependent"),
        ("select first(i order by n), string_agg(s, ',' order by s), list(i order by i) from t", None),
        ("select string_agg(s, ',') from t", "split.order_dependent"),
        ("select list(i) filter (where b) from t", "split.order_dependent"),
        ("select arg_max(i, n) from t", "split.order_dependent"),
        ("select mode(i order by i) from t", "split.order_dependent"),
        ("select row_number() over (partition by i) from t", "split.order_dependent"),
        ("select row_number() over (order by i), lag(i) over (order by i), rank() over () from t", None),
        ("select lag(i) over () from t", "split.order_dependent"),
        ("select sum(i) over (rows between 1 preceding and current row) from t", "split.order_dependent"),
        ("select t.i from t asof join t x on t.i >= x.i", "split.order_dependent"),
        ("select t.i from t positional join t x", "split.order_dependent"),
        ("select uuid() from t", "split.not_deterministic"),
        ("select random() from t", "split.not_deterministic"),
        ("select i from t using sample 1", "split.not_deterministic"),
    ],
)
def test_what_may_differ_from_run_to_run_is_found(sql: str, code: str | None) -> None:
    tree = parse(sql)
    found = find_unstable(sql, tree, resolve_columns(tree, SCHEMA))
    assert (found and found.code) == code
