"""What verbs have in common: the options that several take, and what is opened and understood before any does its work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from forebay.errors import ForebayError

Folder_ = Annotated[Path, Parameter(name=["--project", "-C"], help="The project folder.")]
Json = Annotated[bool, Parameter(name="--json", help="Print JSON to stdout instead of text.")]
Inputs = Annotated[
    list[str] | None, Parameter(name=["--input", "-i"], help="NAME=FILE: rows for an input (CSV, Parquet, JSON, XLSX). Repeatable.")
]
Params = Annotated[list[str] | None, Parameter(name=["--param", "-p"], help="NAME=VALUE: a parameter. Repeatable.")]
To = Annotated[Path, Parameter(allow_leading_hyphen=True, help="The file; - is stdout.")]
EditionNumber = Annotated[int | None, Parameter(help="Run on this edition instead of the current one.")]
AcceptValid = Annotated[bool, Parameter(help="Go on with the valid rows of an input and keep the others in prepared/NAME.rejected.csv.")]


def opened(project: Path, *, create: bool = False) -> tuple[Any, Any, Any]:
    """The project folder, its lake and its state. Raises ForebayError if there is no lake yet, unless it may be made."""
    from forebay.lake.root import open_lake  # noqa: PLC0415
    from forebay.project.folder import Folder  # noqa: PLC0415
    from forebay.state.store import Store  # noqa: PLC0415

    folder = Folder(project)
    lake = open_lake(folder.lake, folder.name, folder.path, create=create)
    return folder, lake, Store(lake.state)


def without(error: ModuleNotFoundError) -> ForebayError:
    """A library that an extra of the package brings is not installed."""
    return ForebayError(
        "server.missing", f"serving needs `{error.name}`, which is not installed", advice="Install it with: pip install 'forebay[server]'"
    )


def duration(option: str, text: str) -> float:
    """Seconds, as an option gives them."""
    from forebay import config  # noqa: PLC0415

    try:
        return config.duration(text)
    except ValueError as error:
        raise ForebayError("usage", f"{option} {text}: {error}", advice=f"e.g. {option} 5m") from None


def pairs(given: list[str] | None, option: str, what: str) -> dict[str, str]:
    """What an option gives that may be given several times, each as NAME=WHAT."""
    found: dict[str, str] = {}
    for text in given or []:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise ForebayError("usage", f"{option} {text}: expected NAME={what}", advice=f"e.g. {option} name={what.lower()}")
        if name.strip() in found:
            raise ForebayError("usage", f"{option} {name.strip()} is given twice", advice="Give it once")
        found[name.strip()] = value
    return found
