import pytest

from forebay.errors import ForebayError, Problems
from forebay.split.script import Stage, read_script, read_select


def test_stages_keep_their_text_and_their_place() -> None:
    text = (
        '-- é\ncreate or replace temp table a as -- why\n  select 1 /* two */ as x -- x\n;\nCREATE TABLE if not exists "B c" as (from a);\n'
    )
    assert read_script(text, "plan.sql") == (
        Stage("a", "select 1 /* two */ as x", 3, 3),
        Stage("B c", "(from a)", 5, 37),
    )


@pytest.mark.parametrize(
    "text", ["select ';' as x", "with x as (select 1) from x;", "values (1), (2)", "from t", "(select 1) union all select 2"]
)
def test_one_bare_query_is_the_stage_result(text: str) -> None:
    assert read_script(text, "plan.sql") == (Stage("result", text.rstrip(";"), 1, 1),)


@pytest.mark.parametrize(
    "text",
    [
        "attach 'x'",
        "copy t to 'x'",
        "set a = 1",
        "create secret s (type s3)",
        "insert into t values (1)",
        "create view v as select 1",
        "pragma x",
        "call x()",
        "install x",
        "load x",
        "export database 'x'",
        "describe t",
        "create table a(x int)",
        "create table s.t as select 1",
        "create table a as pivot t on x",
        "create table as select 1",
        "create table a as",
        "drop table a",
        "update t set x = 1",
        "use x",
        "checkpoint",
        "summarize t",
        "show tables",
        "explain select 1\n    ",
        "create macro f() as 1",
        "prepare p as select 1",
        "execute p",
        "detach x",
        "vacuum",
        "begin",
        "create table a (b) as select 1",
    ],
)
def test_every_other_statement_is_refused(text: str) -> None:
    with pytest.raises(ForebayError) as raised:
        read_script(text.strip(), "plan.sql")
    assert raised.value.code == "sql.not_select"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("create table a as\nselect x from", "plan.sql:2:10"),
        ("create table a as select 'x", "plan.sql:1:26"),
        ("create table a as select /* x", "plan.sql:1:26"),
        ("create table a as\n select (1", "plan.sql:2:10"),
        ("select a b c", "plan.sql:1:12"),
    ],
)
def test_syntax_errors_point_at_the_token(text: str, where: str) -> None:
    with pytest.raises(ForebayError) as raised:
        read_script(text, "plan.sql")
    assert (raised.value.code, raised.value.where) == ("sql.syntax", where)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(Problems) as raised:
        read_script("create table a as select 1; create table A as select 2; select 3; attach 'x'", "plan.sql")
    assert [(error.code, error.where) for error in raised.value.errors] == [
        ("sql.duplicate_stage", "plan.sql:1:29"),
        ("sql.not_select", "plan.sql:1:57"),
        ("sql.not_select", "plan.sql:1:67"),
    ]


@pytest.mark.parametrize("text", ["", " ; ", "-- nothing"])
def test_no_sql_is_an_error(text: str) -> None:
    with pytest.raises(ForebayError, match=r"sql\.empty"):
        read_script(text, "plan.sql")


def test_a_tier2_file_is_one_select() -> None:
    assert read_select("\n select 1;", "t.sql") == Stage("result", "select 1", 2, 2)
    for text in ("create table a as select 1", "select 1; select 2"):
        with pytest.raises(ForebayError, match=r"sql\.not_select"):
            read_select(text, "t.sql")
