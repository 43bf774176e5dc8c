"""What is wrong with a source's files, in words that name the file, the line and the column where that is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.project.edition import File
from forebay.project.project import Source

_SETTINGS = re.compile(r"\n\s*(?:Column \S+ is being|This type was|Possible |\* |file = )")
"""Where the reader's message goes on to how it was set up."""
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_DATED = re.compile(r"Could not convert string .* to '(DATE|TIMESTAMP)")
_WRITTEN = (
    "Replace the file; or say how it is written, e.g. `{}format: '%d/%m/%Y'` under `options` of the source, if that was guessed wrong"
)
_COLUMN = re.compile(r'Error when converting column "(.*)"\. Could not convert string "(.*)" to', re.DOTALL)


class BadFiles(Exception):  # never seen by a user
    """Files that cannot be read, each with what is wrong."""

    def __init__(self, errors: dict[str, ForebayError]) -> None:
        self.errors = errors
        super().__init__(*errors)


def source_error(connection: duckdb.Connection, source: Source, files: Sequence[File], error: duckdb.Error) -> ForebayError:
    """What is wrong with a source's files. `where` is the file (and line, of CSV) at fault; empty if each can be read to its end."""
    gone = next((file for file in files if not Path(file.at).exists()), None)
    if gone is not None:
        return ForebayError(
            "source.changing", f"source `{source.name}`: the file was removed while it was read", where=gone.path,
            advice="Call `forebay refresh` again when it is complete; nothing was published",
        )  # fmt: skip
    text, _ = duckdb.message(error)
    at = next((file for file in files if file.at in text), None)
    if at is None or _LINE.search(text) is None:
        # The engine names a file only if its head is wrong, and a line only if it is sure of the dialect.
        for file in files:
            fault = duckdb.fault(connection, file.at, source.format, source.options, source.columns)
            if fault is not None:
                at, text = file, fault
                break
    line = _LINE.search(text)
    text = re.sub(r"\s*\n\s*", " ", _SETTINGS.split(text)[0]).strip()
    for file in files:
        text = text.replace(file.at, file.path)
    where = "" if at is None else at.path
    dated = _DATED.search(text)
    return ForebayError(
        "source.unreadable", f"source `{source.name}`: {text[:600]}", where=f"{where}:{line[1]}" if line else where,
        advice=_WRITTEN.format(dated[1].lower()) if dated else "Replace the file, or set `format`, `columns` or `options` of the source",
    )  # fmt: skip


def conversion(error: duckdb.Error) -> tuple[str, str, int] | None:
    """The column, the text and the line of CSV text that is of another type; None for any other error."""
    text, _ = duckdb.message(error)
    column, line = _COLUMN.search(text), _LINE.search(text)
    return (column[1], column[2], int(line[1])) if column and line else None


def retyped(source: Source, column: str, was: str, found: str, where: str) -> ForebayError:
    """New content that is not of its column's type. `found` says what it is, in words."""
    return ForebayError(
        "source.retyped", f"source `{source.name}`: column `{column}` is {was}, and here is {found}", where=where,
        advice=f"Mend the file, declare the type under `sources.{source.name}.columns`, or accept what is there with `drift: accept`",
    )  # fmt: skip


def spelled(source: Source, name: str, other: str, where: str) -> ForebayError:
    """A JSON file with a name that is spelled otherwise there, or in the files before it."""
    return ForebayError(
        "source.unreadable", f"source `{source.name}`: `{name}` and `{other}` differ by case only, and are one column in SQL", where=where,
        advice="Give both one spelling in all files, or rename one of them",
    )  # fmt: skip


def nameless(source: Source, where: str) -> ForebayError:
    """A JSON file with a value whose name is empty."""
    return ForebayError(
        "source.unreadable", f'source `{source.name}`: an object has a value by the name "", which no column can have', where=where,
        advice="Give it a name, or leave it out",
    )  # fmt: skip


def shouted(source: Source, where: str) -> ForebayError:
    """A compressed file whose ending is in capitals."""
    return ForebayError(
        "source.unreadable", f"source `{source.name}`: files whose names end on .gz or .zst are read as compressed, in small letters only",
        where=where,
        advice=f"Rename the file; or, if all of them are compressed alike, set `options: {{compression: gzip}}` under "
        f"`sources.{source.name}`",
    )  # fmt: skip


def lost(source: Source, column: str, where: str, *, declared: bool) -> ForebayError:
    """A new or replaced file without a column that the source has, or that the author gives a type."""
    why = f"is declared under `sources.{source.name}.columns`" if declared else "the current edition has"
    return ForebayError(
        "source.column_lost", f"source `{source.name}`: this file has no column `{column}`, which {why}", where=where,
        advice=f"Mend the file, or take NULL there with `drift: accept` under `sources.{source.name}`",
    )  # fmt: skip


def emptied(source: Source, where: str) -> ForebayError:
    """A new or replaced text file that holds nothing, where columns are wanted."""
    return ForebayError(
        "source.column_lost", f"source `{source.name}`: the file is empty, and has no columns", where=where,
        advice=f"Mend the file, or take it as one without rows with `drift: accept` under `sources.{source.name}`",
    )  # fmt: skip


def headless(source: Source, where: str) -> ForebayError:
    """A text file that has a header, but not in its first line."""
    return ForebayError(
        "source.unreadable", f"source `{source.name}`: the first line is blank, where the header is expected", where=f"{where}:1",
        advice="Remove the line; or set `options: {skip: 1}` if all files of the source begin so",
    )  # fmt: skip
