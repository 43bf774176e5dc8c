"""The documents say what is there: every command, option, key, error and exit code, and no file that does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from forebay.cli import exit_codes
from forebay.cli.app import app
from forebay.project import project, serving, tests, upkeep
from forebay.project.load import READ_OPTIONS, SECTIONS
from forebay.project.values import parameter_type

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guide"
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
AREAS = {*exit_codes._BY_AREA, *(code.partition(".")[0] for code in exit_codes._BY_CODE)}


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    _, found, after = text.partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"\n#{{1,{level}}} ", after)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of Markdown tables."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def first_column(text: str) -> set[str]:
    """All that stands in backquotes in the first cells of tables."""
    return {name for cells in rows(text) for name in re.findall(r"`([^`]+)`", cells[0])}


# The command line


def commands(of: App = app, prefix: str = "forebay") -> Iterator[tuple[str, App]]:
    for name in of:
        if not name.startswith("-"):
            yield f"{prefix} {name}", of[name]
            yield from commands(of[name], f"{prefix} {name}")


def options(command: App) -> set[str]:
    """Every spelling of a command's options that its help shows."""
    negative = ("--no-", "--empty-")
    arguments = command.assemble_argument_collection() if command.default_command else []
    return {name for argument in arguments for name in argument.names if name.startswith("-") and not name.startswith(negative)}


@pytest.mark.parametrize(("name", "command"), [*commands()], ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_and_option_is_documented(name: str, command: App) -> None:
    assert first_column(section((GUIDE / "cli.md").read_text(), f"## {name}")) == options(command)


def test_no_command_is_documented_that_is_not_there() -> None:
    documented = re.findall(r"^## (forebay .*)$", (GUIDE / "cli.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(name for name, _ in commands())


def test_exit_codes_are_documented() -> None:
    found = {int(cells[0]): cells[1] for cells in rows(section((GUIDE / "cli.md").read_text(), "## Exit codes")) if cells[0].isdigit()}
    assert found == exit_codes.MEANING


# forebay.yaml

DECLARED = [
    ("## sources", project.Source, {"name"}, set()),
    ("## tier2", project.Tier2Table, {"name", "file", "line"}, set()),
    ("### tests", tests.Test, {"rule"}, set(tests.KINDS)),
    *(("### tests", rule, {"table"}, set()) for rule in tests.Rule.__subclasses__()),
    ("## inputs", project.Input, {"name"}, set()),
    ("## inputs", project.InputColumn, {"name"}, set()),
    ("### hierarchy", project.Hierarchy, set(), set()),
    ("### hierarchy", project.Dimension, {"name"}, set()),
    ("## calculations", project.Calculation, {"name", "file", "stages", "inputs"}, {"sql"}),
    ("## calculations", project.Parameter, {"name"}, set()),
    ("## limits", project.Limits, set(), set()),
    ("## retention", project.Retention, set(), set()),
    ("## refresh", upkeep.Upkeep, set(), set()),
    ("## server", serving.Serving, set(), set()),
]


@pytest.mark.parametrize(("heading", "struct", "computed", "also"), DECLARED, ids=[struct.__name__ for _, struct, _, _ in DECLARED])
def test_every_key_is_documented(heading: str, struct: type[project.Declared], computed: set[str], also: set[str]) -> None:
    keys = set(struct.__struct_fields__) - computed | also
    text = section((GUIDE / "project.md").read_text(), heading)
    mentioned = set(re.findall(r"`([a-z0-9_]+)`", text))
    assert keys <= mentioned, f"{heading} does not name {sorted(keys - mentioned)}"


def test_every_section_and_read_option_is_documented() -> None:
    text = (GUIDE / "project.md").read_text()
    assert first_column(text) >= SECTIONS
    for form, options_ in READ_OPTIONS.items():
        (cells,) = [cells for cells in rows(section(text, "## sources")) if cells[0] == form]
        assert set(re.findall(r"`(\w+)`", cells[1])) == options_


def test_the_documented_parameter_types_exist() -> None:
    text = section((GUIDE / "project.md").read_text(), "## calculations")
    types = [name for cells in rows(text[text.index("| type | how") :]) for name in re.findall(r"`([^`]+)`", cells[0])]
    assert len(types) > 8
    for name in types:
        assert parameter_type(name.replace("(p,s)", "(6,4)")), name


# Errors


def codes() -> set[str]:
    """Every error code that occurs in the source: as a string of its own, or put together from an area and what is full."""
    found, areas, full = set(), set(), set()
    for path in (ROOT / "forebay").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                area, dot, name = node.value.partition(".")
                if node.value == "usage" or (
                    dot and area in AREAS and re.fullmatch(r"[a-z_]+", name) and name not in ("json", "db", "lock", "html")
                ):
                    found.add(node.value)
            elif isinstance(node, ast.JoinedStr) and ast.unparse(node) == "f'split.{decision}'":
                found |= {"split.aggregated", "split.detail"}
            elif isinstance(node, ast.JoinedStr) and len(node.values) == 2 and ast.unparse(node).startswith("f'{code}."):
                full.add(ast.unparse(node)[len("f'{code}.") : -1])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("resource_error"):
                areas.add(ast.literal_eval(node.args[1]))
    return found | {f"{area}.{what}" for area in areas for what in full}


def test_every_error_is_documented_and_every_documented_one_exists() -> None:
    documented = [code for cells in rows((GUIDE / "errors.md").read_text()) for code in re.findall(r"^`([a-z0-9_.]+)`", cells[0])]
    assert len(documented) == len(set(documented)), "a code is documented twice"
    assert {"usage", "source.gone", "run.out_of_memory", "split.static"} <= codes()
    assert set(documented) == codes()


def test_errors_stand_under_their_exit_code() -> None:
    for part in re.split(r"\n## ", (GUIDE / "errors.md").read_text()):
        heading, _, text = part.partition("\n")
        code = re.search(r"\(exit code (\d+)\)", heading)
        for name in first_column(text) if code else ():
            own = re.search(rf"`{name}` has exit code (\d+)", text)
            expected = int((own or code)[1])  # type: ignore[index]
            assert exit_codes.exit_code(exit_codes.ForebayError(name, "")) == expected, name


# Files


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in {slug(heading) for heading in re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)}, target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_speaks_of_a_home_directory(document: Path) -> None:
    assert not re.search(r"(/(home|root|Users)/|[A-Z]:\\)", document.read_text())


def test_the_architecture_is_short_and_names_only_what_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.splitlines()) <= 200
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|yaml|sql)|(?:[\w.-]+/)+)`", text))
    assert len(named) > 30
    for name in named:
        assert any((folder / name).exists() for folder in (ROOT, ROOT / "forebay")), f"there is no {name}"
    for room in (ROOT / "forebay").glob("*/__init__.py"):
        assert f"`{room.parent.name}/`" in text, f"the map lacks {room.parent.name}"


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    targets = (ROOT / "Makefile").read_text()
    for command in ("make demo", "make test"):
        assert command in text
        assert f"\n{command.removeprefix('make ')}:" in targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_decisions_are_numbered_in_order() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
