"""`tests:` on the command line: what is wrong with them is said by `check` at its place, what they find by `refresh`."""

from __future__ import annotations

import pytest
from coffee import Project

YAML = "forebay.yaml"


@pytest.fixture
def project(project: Project) -> Project:
    """The project without the tests that it comes with."""
    content = project.read(YAML)
    begin, end = content.index("    tests:"), content.index("  products:\n")
    project.write(YAML, content[:begin] + content[end:])
    return project


def with_tests(project: Project, tests: str) -> None:
    """Give the source `sales` tests."""
    project.replace(YAML, "    volatility: daily\n", f"    volatility: daily\n    tests:\n{tests}")


def place_of(project: Project, text: str) -> str:
    content = project.read(YAML)
    assert content.count(text) == 1, text
    start = content.index(text)
    return f"{YAML}:{content.count(chr(10), 0, start) + 1}:{start - content.rfind(chr(10), 0, start)}"


WRONG = [
    ("- unique: [day, shopp]", "shopp", "project.unknown_column", "source `sales` has no column `shopp`", "Did you mean `shop`?"),
    ("- not_null: shopp", "not_null", "project.unknown_column", "no column `shopp`", "Did you mean `shop`?"),
    ("- range: {column: cuups, min: 0}", "column: cuups", "project.unknown_column", "no column `cuups`", "Did you mean `cups`?"),
    ("- not_nul: shop", "not_nul", "project.unknown_key", "`not_nul`", "Did you mean `not_null`?"),
    ("- unique: shop\n        not_null: day", "not_null", "project.invalid", "exactly one of", ""),
    ("- {name: x}", "{name: x}", "project.invalid", "exactly one of `unique`", ""),
    ("- hello", "hello", "project.invalid", "must be a mapping", "unique: [product, shop]"),
    ("- unique: []", "unique: []", "project.invalid", "must name a column", ""),
    ("- unique: [day, 'day']", "'day'", "project.invalid", "`day` is named twice", ""),
    ("- range: {column: cups}", "range: {", "project.invalid", "needs `min`, `max` or both", "min: 0"),
    ("- range: {min: 1}", "range: {", "project.invalid", "needs `column`", ""),
    ("- range: {column: cups, min: lots}", "min: lots", "project.type", "`cups` = lots is no INTEGER", ""),
    ("- range: {column: cups, min: 0.5}", "min: 0.5", "project.type", "a whole number is needed", ""),
    ("- range: {column: day, max: 2026-13-01}", "max: 2026", "project.type", "is no DATE", "2026-11-23"),
    ("- accepted_values: {column: shop, values: []}", "values: []", "project.invalid", "must list what the column may hold", ""),
    ("- accepted_values: {column: shop, values: [a, null]}", "values: [a", "project.invalid", "NULL is never refused", ""),
    ("- accepted_values: {column: shop, vals: [x]}", "vals", "project.unknown_key", "`vals`", "Did you mean `values`?"),
    ("- accepted_values: {column: cups, values: [1, x]}", "x]}", "project.type", "`cups` = x is no INTEGER", ""),
    ("- relationships: {column: product, to: prducts.product}", "to: prd", "project.invalid", "`prducts` is no source", "Did you mean `products`?"),
    ("- relationships: {column: product, to: products}", "to: products", "project.invalid", "must be table.column", ""),
    ("- relationships: {column: product, to: products.prod}", "to: products", "project.unknown_column", "no column `prod`", "Did you mean `product`?"),
    ("- relationships: {columns: [day, shop], to: [product.product, range.shop]}", "to: [", "project.invalid", "columns of one table", ""),
    ("- relationships: {columns: [day, shop], to: range.shop}", "to: range", "project.invalid", "must name as many columns as `columns`: 2", ""),
    ("- relationships: {column: cups, to: products.product}", "to: products", "project.type", "`cups` is INTEGER, but `products.product` is VARCHAR", "Cast"),
    ("- relationships: {to: products.product}", "relationships", "project.invalid", "either `column` or `columns`", ""),
    ("- row_count: {}", "row_count", "project.invalid", "needs `min`, `max` or `equals`", ""),
    ("- row_count: {min: many}", "min: many", "project.invalid", "int", ""),
    ("- row_count: {equals: slaes}", "equals: slaes", "project.invalid", "`slaes` is no source", "Did you mean `sales`?"),
    ("- sum: {column: shop, equals: sales.cups}", "column: shop, equals", "project.type", "`sales.shop` is VARCHAR, which has no sum", ""),
    ("- sum: {column: cups, equals: sales.cup}", "equals: sales", "project.unknown_column", "`sales` has no column `cup`", "Did you mean `cups`?"),
    ("- sum: {column: cups, equals: sales.cups, tolerance: -1}", "tolerance", "project.invalid", "must be 0 or more", ""),
    ("- {unique: day, severity: warn}", "severity: warn", "project.invalid", "warn", "`error`, `warning`"),
    ("- {unique: day, name: My test}", "name: My", "project.invalid", "must be a lower-case name", "part of a file's name"),
    ("- {unique: day, name: ../../x}", "name: ..", "project.invalid", "must be a lower-case name", ""),
    ("- {unique: day, name: a}\n      - {unique: shop, name: a}", "name: a}\n  products", "project.invalid", "is called `a` already", ""),
    ("- sql: 3", "sql: 3", "project.invalid", "must be a SELECT", ""),
    ("- sql: select * from slaes", "slaes", "sql.unknown_table", "`slaes`", "Did you mean `sales`?"),
    ("- sql: select * from adjustments", "adjustments\n  products", "sql.unknown_table", "`adjustments`", ""),
    ("- sql: select 1; select 2", "select 2", "sql.not_select", "`sql` holds 2 statements", "A test is one SELECT"),
    ("- sql: delete from sales", "delete", "sql.not_select", "`delete`", ""),
    ("- sql: tier2/range.sql", "tier2/range.sql\n  products", "sql.not_select", "does not start a SELECT", "A test is one SELECT"),
    ("- sql: select * from sales where shp = 'x'", "shp", "sql.bind", "shp", ""),
    ("- sql: |-\n          -- what\n\n          select *\n          from sales\n            where cuups < 0", "cuups", "sql.bind", "cuups", ""),
    ("- sql: >\n          select *\n          from sales\n          where cuups < 0", "cuups", "sql.bind", "cuups", ""),
    ("- sql: 'select * from sales\n          where shop = ''x'' and cuups < 0'", "cuups", "sql.bind", "cuups", ""),
    ('- sql: "select * from sales where \\"cups\\" < 0 and cuups < 0"', "cuups", "sql.bind", "cuups", ""),
    ("- sql: select * from sales where day < now()", "now()", "sql.not_deterministic", "a test cannot read the clock", ""),
    ("- sql: select * from sales where random() < 0", "random", "sql.not_deterministic", "random", ""),
    ("- sql: select * from sales where cups < $x", "$x", "sql.unknown_parameter", "`$x`", "A test has no parameters"),
    ("- sql: select * from read_csv('x')", "read_csv", "sql.forbidden", "read_csv", ""),
    ("- sql: select * from 'data/products.csv'", "'data/products.csv'", "sql.forbidden", "data/products.csv", "Declare it as a source"),
]  # fmt: skip


@pytest.mark.parametrize(("test", "at", "code", "what", "advice"), WRONG, ids=[test.replace("\n", " ") for test, *_ in WRONG])
def test_what_is_wrong_with_a_test_is_said_at_its_place(project: Project, test: str, at: str, code: str, what: str, advice: str) -> None:
    with_tests(project, f"      {test}\n")
    called = project.call("check", "--json")
    assert called.code == 3
    error = next(error for error in called.errors if what in error["what"])
    assert error["code"] == code
    assert advice in error["advice"]
    line, column = place_of(project, at).split(":")[1:]
    assert error["where"].split(":")[:2] == [YAML, line]
    if code.startswith("sql.") and "forbidden" not in code:
        assert error["where"].split(":")[2] == column


def test_tests_that_are_no_list_are_refused(project: Project) -> None:
    project.replace(YAML, "    volatility: daily\n", "    volatility: daily\n    tests: {unique: day}\n")
    assert "must be a list" in project.call("check", "--json").error["what"]


def test_all_that_is_wrong_with_tests_is_said_at_once(project: Project) -> None:
    with_tests(project, "      - unique: a\n      - unique: b\n      - sql: select a from sales\n")
    project.replace(YAML, "    sql: tier2/range.sql\n", "    sql: tier2/range.sql\n    tests: [{not_null: c}]\n")
    assert len(project.call("check", "--json").errors) == 4


def test_tests_of_a_table_that_does_not_bind_are_not_blamed(project: Project) -> None:
    project.replace(YAML, "    sql: tier2/range.sql\n", "    sql: tier2/range.sql\n    tests: [{not_null: c}]\n")
    with_tests(project, "      - row_count: {equals: range}\n")
    project.write("tier2/range.sql", "select nothing from sales")
    assert [error["where"] for error in project.call("check", "--json").errors] == ["tier2/range.sql:1:8"]


def test_check_counts_tests(project: Project) -> None:
    assert "test" not in project.call("check").out
    with_tests(project, "      - unique: [day, shop, product]\n      - not_null: shop\n")
    assert project.call("check").out.endswith("; 2 tests\n")


def test_a_refresh_tells_each_table_whose_tests_hold(project: Project) -> None:
    with_tests(project, "      - unique: [day, shop, product]\n      - not_null: shop\n")
    project.replace(YAML, "    sql: tier2/range.sql\n", "    sql: tier2/range.sql\n    tests: [{row_count: {min: 1}}]\n")
    called = project.call("refresh")
    assert called.code == 0, called.err
    lines = [line.rpartition(",")[0].split() for line in called.err.splitlines()]
    assert ["sales", "2", "tests", "hold"] in lines
    assert ["range", "1", "test", "holds"] in lines
    project.write("adjustments.csv", "")
    assert "test" not in project.call("refresh").err


def test_a_failing_test_has_the_exit_code_of_a_failed_refresh_and_shows_rows_and_file(project: Project) -> None:
    with_tests(project, "      - {name: known_shops, accepted_values: {column: shop, values: [Harbour, Market]}}\n")
    called = project.call("refresh")
    assert called.code == 6
    assert "  sales " in called.err and "1 of 1 test fails: known_shops" in called.err
    assert "check.failed  forebay.yaml:" in called.err
    assert "a `shop` that is not accepted\n    shop     rows\n    Station  84\n  → All of them: " in called.err
    assert (project.folder / "lake/checks/sales.known_shops.csv").read_text() == "shop,rows\nStation,84\n"
    error = project.call("refresh", "--json").error
    assert error["code"] == "check.failed" and "Station" in error["what"]
    assert project.call("run", "plan").code == 3, "nothing is published"


def test_a_warning_is_on_stderr_and_in_json_and_the_edition_is_published(project: Project) -> None:
    with_tests(project, "      - {accepted_values: {column: shop, values: [Harbour, Market]}, severity: warning}\n")
    called = project.call("refresh")
    assert called.code == 0
    assert "edition 1 published" in called.out and "warning" not in called.out
    assert "1 of 1 test fails: accepted_values_shop (warning)" in called.err
    assert "warning  test `accepted_values_shop` of source `sales`: 84 rows have a `shop` that is not accepted\n" in called.err
    again = project.call("refresh", "--json").json
    assert not again["published"]
    (one,) = again["checks"]
    assert (one["test"], one["severity"], one["failing"], one["rows"]) == ("accepted_values_shop", "warning", 84, [["Station", "84"]])
    assert "warning  test `accepted_values_shop`" in project.call("refresh").err


def test_an_upload_against_a_table_that_lost_all_values_is_told_so(project: Project) -> None:
    project.write("tier2/product.sql", "select product, case when false then category end as category from products group by all")
    assert project.refresh() == 1
    project.write("mine.csv", "category,product,shop,uplift_pct\ntea,,,1\n")
    called = project.call("run", "plan", "--input", f"adjustments={project.folder / 'mine.csv'}")
    assert called.code == 4
    assert "row 2 `category` = tea, must occur in product.category, which holds no value at all" in called.err
