"""Random scripts over stages, WITH queries and subqueries whose names hide each other: the halves answer as the whole."""

from executed import assert_same_answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay.split.script import read_script
from forebay.split.split import split

SOURCES = {"t": {"k": "INTEGER", "v": "INTEGER"}, "g": {"k": "INTEGER", "v": "INTEGER"}}
INPUTS = {"d": {"k": "INTEGER", "v": "INTEGER"}}
PARAMETERS = {"p": "INTEGER"}

SHAPES = [
    "select k, sum(v) as v from {a} group by k",
    "select k, v from {a} where v > 1",
    "select k, v from {a} where v >= $p",
    "select k, v from {a}",
    "select distinct k, v from {a}",
    "select x.k, y.v from {a} x join {b} y using (k)",
    "select x.k, y.v from {a} x left join {b} y on x.k = y.k and y.v > 0",
    "select k, max(v) as v from {a} group by k having count(*) > 1",
    "select k, v from {a} union all select k, v from {b}",
    "(select k, v from {a} where k > 1) union (select k, v from {b} where k > 0)",
    "select k, v from {a} where k in (select k from {b} where v > 1)",
    "select k, v from {a} where k in (select x.k from {b} x where v > 1)",
    "select k, v from {a} x where exists (select 1 from {b} y where y.k = x.v)",
    "select k, v from {a} where exists (select 1 from {b} where v > 3)",
    "select k, v + (select coalesce(max(v), 0) from {b}) as v from {a}",
    "select k, (select min(y.v) from {b} y where y.k >= x.k) as v from {a} x",
    "select q.k, q.v from ({inner}) q where q.v is not null",
    "with n as ({inner}) select n.k, n.v from n, {a} x where n.k = x.k",
    "with {a} as (select k, v + 1 as v from {a}) select k, v from {a} where v > 0",
    "select * from {a} where v <> 2",
    "from {a} select k, count(*) as v group by k",
    "select k, v from {a} natural join (select k from {b} where v is not null group by k) z",
]


@st.composite
def queries(draw: st.DrawFn, names: list[str], depth: int = 2) -> str:
    shape = draw(st.sampled_from(SHAPES if depth else [shape for shape in SHAPES if "{inner}" not in shape]))
    inner = draw(queries(names, depth - 1)) if "{inner}" in shape else ""
    return shape.format(a=draw(st.sampled_from(names)), b=draw(st.sampled_from(names)), inner=inner)


@st.composite
def scripts(draw: st.DrawFn) -> str:
    tables = ["t", "g", "d"]
    statements = []
    for stage in ["s1", "s2", "s3", "s4"][: draw(st.integers(1, 4))]:
        names = list(tables)
        withs: list[str] = []
        for cte in draw(st.lists(st.sampled_from(["x", "y", "t", "d", "s1"]), max_size=3, unique=True)):
            withs.append(f"{cte} as ({draw(queries(names, 1))})")
            names += [cte, cte]
        body = draw(queries(names))
        if withs and body.startswith("with"):
            body = f"select * from ({body}) z"
        statements.append(f"create table {stage} as {'with ' + ', '.join(withs) + ' ' if withs else ''}{body};")
        tables.append(stage)
    return "\n".join(statements)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(scripts(), st.integers(0, 3))
def test_the_halves_of_a_random_script_answer_as_the_whole(script: str, seed: int) -> None:
    stages = read_script(script, "random.sql")
    done = split(stages, SOURCES, INPUTS, PARAMETERS)
    assert_same_answers(stages, done, SOURCES, INPUTS, PARAMETERS, {"p": "2"}, seed)
