import duckdb
import pytest

from forebay.errors import ForebayError
from forebay.split.parameters import CLOCK_CALLS, CLOCK_WORDS, bind, used
from forebay.split.stage import NOW

DECLARED = {"Rate": "DECIMAL(3,1)", "from": "DATE", "a": "INTEGER", "b": "INTEGER"}


@pytest.mark.parametrize(
    ("sql", "bound"),
    [
        ("select $rate", "select CAST($Rate AS DECIMAL(3,1))"),
        ("select $a+$b||$a", "select CAST($a AS INTEGER)+CAST($b AS INTEGER)||CAST($a AS INTEGER)"),
        ("x[$a:$b]", "x[CAST($a AS INTEGER):CAST($b AS INTEGER)]"),
        ("where d > $from", "where d > CAST($from AS DATE)"),
        ("select '$a', \"$a\", $$ $a $$, $a$ $b $a$, e'\\'$a', a$b", None),
        ("select 1 -- $a now()\n/* $a /* $b */ now() */", None),
        ("select t.current_date, 1 as current_date, 'now()', \"now\", now from t", None),
    ],
)
def test_only_parameters_are_replaced(sql: str, bound: str | None) -> None:
    assert bind(sql, DECLARED) == (bound or sql)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ForebayError, match=r"sql\.unknown_parameter"):
        bind("select $nope", DECLARED)


def test_used_names_the_parameters_and_the_clock() -> None:
    assert used("select $a+$b, '$c', today()") == {"a", "b", NOW}
    assert used("select t.current_date from t") == frozenset()


@pytest.mark.parametrize("name", sorted(CLOCK_CALLS))
def test_the_frozen_clock_has_the_types_of_the_running_one(name: str) -> None:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    word = name if name in CLOCK_WORDS else f"{name}()"
    given = {NOW: "2024-02-29 13:14:15+00"}
    live = connection.execute(f"select typeof({word})").fetchone()
    frozen = connection.execute(bind(f"select typeof({word}), ({word})::varchar", {}), given).fetchone()
    assert frozen is not None and live == frozen[:1]
    assert frozen[1] in ("2024-02-29 13:14:15+00", "2024-02-29 13:14:15", "2024-02-29", "13:14:15", "13:14:15+00")
