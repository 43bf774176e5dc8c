"""What is wrong with a project is said by `forebay check`: each problem with its code, its exact place, and what to do. Nothing is made."""

from __future__ import annotations

import pytest
from coffee import Called, Project

YAML, PLAN = "forebay.yaml", "calculations/plan.sql"


def place_of(project: Project, file: str, text: str, part: str = "") -> str:
    """file:line:column of `part` of the only occurrence of `text`."""
    content = project.read(file)
    assert content.count(text) == 1, text
    start = content.index(text) + text.index(part)
    return f"{file}:{content.count(chr(10), 0, start) + 1}:{start - content.rfind(chr(10), 0, start)}"


def refused(project: Project) -> Called:
    """`forebay check`, which must say that the project is wrong and leave the folder as it is."""
    before = sorted(project.folder.rglob("*"))
    called = project.call("check", "--json")
    assert called.code == 3, called.out + called.err
    assert sorted(project.folder.rglob("*")) == before
    return called


# YAML


@pytest.mark.parametrize(
    ("old", "new", "key", "nearest"),
    [
        ("volatility: daily", "volatile: daily", "volatile", "volatility"),
        ("sources: #", "source: #", "source", "sources"),
        ("key: [product]\n  range", "keys: [product]\n  range", "keys", "key"),
        ("required: true", "require: true", "require", "required"),
        ("min: 0, max: 1", "minimum: 0, max: 1", "minimum", "min"),
        ("hierarchy:", "hierachy:", "hierachy", "hierarchy"),
        ("dimensions:", "dimension:", "dimension", "dimensions"),
        ("temp_disk: 4GB", "tempdisk: 4GB", "tempdisk", "temp_disk"),
    ],
)
def test_an_unknown_key_is_placed_and_the_nearest_is_advised(project: Project, old: str, new: str, key: str, nearest: str) -> None:
    project.replace(YAML, old, new)
    error = next(e for e in refused(project).errors if f"`{key}`" in e["what"])
    assert error["code"] == "project.unknown_key"
    assert error["where"] == place_of(project, YAML, new, key)
    assert error["advice"] == f"Did you mean `{nearest}`?"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("hive_partitioning: no", "`hive_partitioning` must be true or false; it is `no`"),
        ("skip: one", "`skip` must be a whole number; it is `one`"),
        ("delim: ''", "`delim` must be text that is not empty; it is ``"),
        ("delim: 1", "`delim` must be text that is not empty; it is `1`"),
        ("nullstr: 0", "`nullstr` must be text or a list of texts; it is `0`"),
    ],
)
def test_a_read_option_of_another_type_is_placed(project: Project, option: str, told: str) -> None:
    project.replace(YAML, "volatility: daily", f"volatility: daily\n    options: {{{option}}}")
    error = refused(project).error
    name = option.split(":")[0]
    assert (error["code"], error["what"]) == ("project.invalid", told)
    assert error["where"].split(":")[1] == place_of(project, YAML, f"{{{option}", name).split(":")[1]


def test_a_duplicate_key_is_refused_where_it_stands_again(project: Project) -> None:
    text = project.read(YAML)
    project.write(YAML, text + "\nlimits: {memory: 2GB}\n")
    error = refused(project).error
    assert error["code"] == "project.yaml"
    assert error["where"] == f"{YAML}:{text.count(chr(10)) + 2}:1"
    assert "limits" in error["what"]


def test_a_duplicate_column_of_an_input_is_refused(project: Project) -> None:
    project.replace(YAML, "      shop: varchar\n", "      shop: varchar\n      shop: integer\n")
    assert refused(project).error["where"] == place_of(project, YAML, "shop: integer")


def test_yaml_that_is_none_is_placed(project: Project) -> None:
    project.replace(YAML, "project: coffee", "project: [coffee")
    error = refused(project).error
    assert (error["code"], error["where"].split(":")[0]) == ("project.yaml", YAML)


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("key: [product]\n  range", "key: 3\n  range", "key"),
        ("columns: {product: varchar,", "columns: [product, varchar,", "columns"),
        ("deadline: 60s", "deadline: soon", "deadline"),
        ("memory: 1GB", "memory: -1GB", "memory"),
        ("volatility: daily", "volatility: dayly", "volatility"),
        ("required: true", "required: perhaps", "required"),
    ],
)
def test_a_value_of_the_wrong_type_is_placed(project: Project, old: str, new: str, at: str) -> None:
    if new.startswith("columns: ["):
        project.replace(YAML, "updated: date}", "updated, date]")
    project.replace(YAML, old, new)
    error = refused(project).errors[0]
    assert error["code"].startswith("project.")
    assert error["where"].split(":")[:2] == place_of(project, YAML, new, at).split(":")[:2]


def test_a_column_that_is_typed_twice_is_placed_where_it_stands_again(project: Project) -> None:
    project.replace(YAML, "columns: {day: date,", "columns: {Day: varchar, day: date,")
    error = refused(project).error
    assert error["where"] == place_of(project, YAML, "Day: varchar, day: date", "day: date")
    assert "one column" in error["what"]


def test_a_text_where_a_list_is_wanted_gets_the_brackets_as_advice(project: Project) -> None:
    project.replace(YAML, "key: [product]\n  range", "key: product\n  range")
    assert "`[…]`" in refused(project).error["advice"]


@pytest.mark.parametrize("levels", ["[{a: b}]", "3", "[[shop]]", "{a: b}", "[]", "null"])
def test_levels_that_are_no_names_are_placed_in_the_yaml(project: Project, levels: str) -> None:
    project.replace(YAML, "shop: [shop]", f"shop: {levels}")
    error = refused(project).errors[0]
    assert error["code"].startswith("project.") and error["where"].startswith(f"{YAML}:")


def test_a_word_that_is_none_of_the_choices_gets_them_as_advice(project: Project) -> None:
    project.replace(YAML, "volatility: daily", "volatility: dayly")
    assert "daily" in refused(project).error["advice"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("default: 0.07", "default: lots", "lots"),
        ("default: 0.07", "default: 3", "3"),
        ("default: 2026-10-01", "default: 2026-13-01", "2026-13-01"),
        ("min: 0, max: 1", "min: low, max: 1", "low"),
    ],
)
def test_a_parameter_that_no_run_could_take_is_refused(project: Project, old: str, new: str, said: str) -> None:
    project.replace(YAML, old, new)
    error = refused(project).errors[0]
    assert said in error["what"]
    assert error["where"].split(":")[:2] == place_of(project, YAML, new).split(":")[:2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("price_pct: {type: 'decimal(6,2)'", "price_pct: {type: 'decimla(6,2)'"),
        ("tax_rate: {type: 'decimal(6,4)'", "tax_rate: {type: 'decimla(6,4)'"),
        ("cups: integer", "cups: integre"),
        ("cups: integer", "cups: 'integer); drop table x; --'"),
    ],
)
def test_an_unknown_type_is_placed_in_the_yaml(project: Project, old: str, new: str) -> None:
    project.replace(YAML, old, new)
    error = refused(project).error
    assert error["where"].split(":")[:2] == place_of(project, YAML, new).split(":")[:2]


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        ("references: product.category", "references: product.categry", "Did you mean `category`?"),
        ("references: product.category", "references: prodct.category", "Did you mean `product`?"),
        ("table: range", "table: rang", "Did you mean `range`?"),
        ("key: [product, shop]", "key: [product, shp]", "Did you mean `shop`?"),
        ("{product: varchar, category", "{prodct: varchar, category", "Did you mean `product`?"),
        ("product: [category, product]", "product: [categry, product]", "Did you mean `category`?"),
    ],
)
def test_a_reference_to_what_is_not_there_is_placed_and_the_nearest_is_advised(project: Project, old: str, new: str, advice: str) -> None:
    project.replace(YAML, old, new)
    error = refused(project).errors[0]
    assert error["advice"] == advice
    assert error["where"].split(":")[:2] == place_of(project, YAML, new).split(":")[:2]


def test_one_broken_declaration_is_not_blamed_on_others(project: Project) -> None:
    project.replace(YAML, "key: [product]\n  range", "key: 3\n  range")
    assert len(refused(project).errors) == 1


def test_problems_of_several_files_are_named_at_once(project: Project) -> None:
    project.replace(YAML, "volatility: daily", "volatile: daily")
    project.replace(PLAN, "$from_day", "$from_da")
    project.replace("tier2/product.sql", "from products", "from product_list")
    places = [error["where"].split(":")[0] for error in refused(project).errors]
    assert set(places) == {YAML, PLAN, "tier2/product.sql"}
    shown = project.call("check")
    assert shown.out == "" and "3 problems" in shown.err


@pytest.mark.parametrize(("file", "why"), [("tier2/rang.sql", "no such file"), ("../range.sql", "outside the project folder")])
def test_a_sql_file_that_cannot_be_read_is_placed_in_the_yaml(project: Project, file: str, why: str) -> None:
    project.replace(YAML, "sql: tier2/range.sql", f"sql: {file}")
    error = refused(project).error
    assert error["where"] == place_of(project, YAML, f"sql: {file}")
    assert file in error["what"] and why in error["what"]


def test_a_folder_without_project_advises_init(project: Project) -> None:
    (project.folder / YAML).unlink()
    error = refused(project).error
    assert (error["code"], error["where"]) == ("project.missing", YAML)
    assert "forebay init" in error["advice"]


def test_init_overwrites_nothing(project: Project) -> None:
    from coffee import in_here

    before = project.read(YAML)
    called = in_here("init", project.folder)
    assert (called.code, project.read(YAML)) == (3, before)
    assert "project.exists" in called.err and "forebay.yaml" in called.err


# SQL


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("coalesce(a.uplift_pct, 0)", "coalesce(a.uplift, 0)", "a.uplift"),
        ("where d.day >= $from_day", "where d.day >= $from_day and d.nope > 1", "d.nope"),
        ("where d.day >= $from_day", "where $from_day < d.day and $from_day < d.day + 1 and nope", "nope"),
        ("    category,\n    sum(baseline)", "    categry,\n    sum(baseline)", "categry"),
        (
            "cast(sum(revenue) * $tax_rate as decimal(18,2)) as tax",
            "cast(sum(revenue) * $tax_rate as decimal(18,2)) as tax, $tax_rate + nope",
            "nope",
        ),
    ],
)
def test_an_unknown_column_is_placed_exactly(project: Project, old: str, new: str, wrong: str) -> None:
    project.replace(PLAN, old, new)
    error = refused(project).error
    assert error["code"] == "sql.bind"
    assert error["where"] == place_of(project, PLAN, new, wrong)
    assert wrong.rpartition(".")[2] in error["what"]
    assert ": :" not in error["what"]


def test_an_unknown_column_in_a_tier2_table_is_placed_exactly(project: Project) -> None:
    project.replace("tier2/range.sql", "s.shop, p.category", "s.shop, p.categry")
    error = refused(project).errors[0]
    assert (error["code"], error["where"]) == ("sql.bind", place_of(project, "tier2/range.sql", "s.shop, p.categry", "p.categry"))


def test_types_that_do_not_fit_are_placed_exactly(project: Project) -> None:
    new = "where d.day >= $from_day and d.day > 3"
    project.replace(PLAN, "where d.day >= $from_day", new)
    error = refused(project).error
    assert (error["code"], error["where"]) == ("sql.bind", place_of(project, PLAN, new, "> 3"))
    assert "DATE" in error["what"] and "INTEGER" in error["what"]
    assert "forebay check" not in error["advice"]


def test_a_function_that_is_not_there_is_placed_and_the_nearest_named(project: Project) -> None:
    project.replace(PLAN, "sum(s.cups)", "sun(s.cups)")
    error = refused(project).error
    assert error["where"] == place_of(project, PLAN, "sun(s.cups)")
    assert "sum" in error["what"] + error["advice"]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("where d.day >= $from_day", "where d.day >= ) $from_day", ")"),
        ("select\n    category", "selec\n    category", "selec"),
        ("group by category\n", "group category\n", "category"),
        ("as decimal(18,2)) as tax", "as decimal(18,2) as tax", "as tax"),
        ("* $tax_rate", "* 'open", "'open"),
    ],
)
def test_a_syntax_error_is_placed_exactly(project: Project, old: str, new: str, wrong: str) -> None:
    project.replace(PLAN, old, new)
    error = refused(project).error
    assert error["code"] in ("sql.syntax", "sql.not_select", "sql.bind")
    assert error["where"] == place_of(project, PLAN, new, wrong)


def test_an_unknown_table_is_placed_and_the_nearest_is_advised(project: Project) -> None:
    project.replace(PLAN, "from sales as s", "from sale as s")
    error = refused(project).error
    assert (error["code"], error["where"]) == ("sql.unknown_table", place_of(project, PLAN, "from sale as s", "sale"))
    assert error["advice"] == "Did you mean `sales`?"


def test_a_stage_cannot_read_a_later_one(project: Project) -> None:
    project.stage("create table a as select * from b", "create table b as select $tax_rate as r")
    error = refused(project).error
    assert (error["code"], error["where"]) == ("sql.unknown_table", f"{PLAN}:1:33")


def test_an_unknown_parameter_is_placed_and_the_nearest_is_advised(project: Project) -> None:
    project.replace(PLAN, "$from_day", "$from_da")
    error = refused(project).error
    assert (error["code"], error["where"]) == ("sql.unknown_parameter", place_of(project, PLAN, "$from_da;"))
    assert error["advice"] == "Did you mean `$from_day`?"


def test_a_circle_of_tier2_tables_is_named(project: Project) -> None:
    project.write("tier2/product.sql", "select product, category from range")
    error = refused(project).error
    assert (error["code"], error["where"].split(":")[0]) == ("tier2.cycle", "tier2/product.sql")
    assert "product → range → product" in error["what"]


def test_a_tier2_table_that_reads_itself_is_a_circle(project: Project) -> None:
    project.write("tier2/product.sql", "select product, category from product")
    error = refused(project).error
    assert (error["code"], error["where"].split(":")[0]) == ("tier2.cycle", "tier2/product.sql")
    assert "product → product" in error["what"]


def test_a_broken_project_keeps_the_edition_and_its_runs(project: Project) -> None:
    assert project.refresh() == 1
    project.replace(PLAN, "a.uplift_pct", "a.uplift")
    for verb in ("check", "plan", "refresh"):
        assert project.call(verb).code == 3
    called = project.call("run", "plan", "--json")
    assert (called.code, called.error["code"]) == (3, "project.changed")
    assert PLAN in called.error["what"] and "--edition 1" in called.error["advice"]
    assert project.edition == 1
    assert project.json("run", "plan", "--edition", "1")["edition"] == 1
