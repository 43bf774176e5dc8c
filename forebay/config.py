"""YAML into frozen values, every problem with its file, line and column. The only door to ruamel.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError

from forebay import typed
from forebay.errors import ForebayError, nearest

T = TypeVar("T")
Path_ = tuple[str | int, ...]

_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}


class Document:
    """A YAML file: its plain data, and where each of its values stands."""

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        try:
            self._text = content.decode()
            tree = _reader().load(self._text)
        except UnicodeDecodeError as error:
            raise ForebayError("project.unreadable", str(error), where=file, advice="Save it as UTF-8") from None
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
            problem = re.sub(r"\s+", " ", str(error.problem or error.context or "not YAML"))
            raise ForebayError("project.yaml", problem, where=where, advice="Mend the YAML") from None
        if not isinstance(tree, CommentedMap):
            raise ForebayError("project.yaml", "expected a mapping of sections", where=file, advice="`forebay init` writes an example")
        self._tree = tree
        self.data: dict[str, Any] = _plain(tree)

    def where(self, path: Path_) -> str:
        """ "file:line:column" of the value at `path`, or of the nearest enclosing one that has a place."""
        node: Any = self._tree
        line, column = 0, 0
        for step in path:
            if isinstance(node, CommentedMap) and step in node:
                line, column = node.lc.key(step)
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                line, column = node.lc.item(step)
            else:
                break
            node = node[step]
        return f"{self.file}:{line + 1}:{column + 1}"

    def within(self, path: Path_, offset: int) -> str:
        """ "file:line:column" of one character of the text at `path`, which may be quoted, folded or a block. Else that of the text."""
        holder: Any = self._tree
        for step in path[:-1]:
            holder = holder[step]
        value = str(holder[path[-1]])
        line, column = holder.lc.value(path[-1]) if isinstance(holder, CommentedMap) else holder.lc.item(path[-1])
        lines = self._text.split("\n")
        # YAML changes the blanks of a text, and adds quotes and backslashes; every other character stands in the file as it is.
        if lines[line][column] in "|>":
            line, column = line + 1, 0
        elif lines[line][column] in "'\"":
            column += 1
        raw = "\n".join([lines[line][column:], *lines[line + 1 :]])
        at = 0
        for number, character in enumerate(value):
            if character.isspace():
                continue
            while at < len(raw) and raw[at] != character and (raw[at].isspace() or raw[at] in "\\'"):
                at += 1
            if at >= len(raw) or raw[at] != character:
                break
            if number >= offset:
                down = raw.count("\n", 0, at)
                return f"{self.file}:{line + 1 + down}:{at - raw.rfind(chr(10), 0, at) if down else column + at + 1}"
            at += 1
        return self.where(path)

    def error(self, path: Path_, what: str, advice: str = "", code: str = "project.invalid") -> ForebayError:
        """A problem with the value at `path`."""
        return ForebayError(code, what, where=self.where(path), advice=advice)

    def convert(self, path: Path_, values: Mapping[str, Any], to: type[T]) -> T:
        """`values`, standing at `path`, as a frozen struct. Raises ForebayError at the offending value."""
        try:
            return typed.convert(values, to)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at `$")
            steps: list[str | int] = [
                int(index) if index else name for name, index in re.findall(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]", place) if index != "..."
            ]
            advice = _allowed(to, steps) if message.startswith("Invalid enum") else ""
            if message.startswith("Expected `array`, got `str`"):
                advice = "Write a list, in brackets: `[…]`"
            raise self.error((*path, *steps), message[0].lower() + message[1:], advice) from None

    def unknown_keys(self, path: Path_, values: Mapping[str, Any], known: Iterable[str]) -> list[ForebayError]:
        """One error for each key of `values` that is not `known`, naming the nearest that is."""
        known = sorted(known)
        return [
            self.error((*path, key), f"unknown key `{key}`", nearest(key, known), code="project.unknown_key")
            for key in values
            if key not in known
        ]


def _allowed(struct: type, steps: list[str | int]) -> str:
    """The values that a field of `struct` may take, in words; empty if it is nested deeper."""
    hint = get_type_hints(struct).get(str(steps[0])) if len(steps) == 1 else None
    values = [value for part in (hint, *get_args(hint)) for value in get_args(part) if isinstance(value, str)]
    return "Known: " + ", ".join(f"`{value}`" for value in dict.fromkeys(values)) if values else ""


def size(value: object) -> int:
    """Bytes from 4GB, 512 MiB or a number of bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)\s*", str(value), re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        raise ValueError(f"expected a size such as 4GB or 512MiB, not {value!r}")
    return int(float(found[1]) * _SIZES[found[2].upper()])


def duration(value: object) -> float:
    """Seconds from 90s, 5m, 1h or a number of seconds. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", str(value))
    if isinstance(value, bool) or not found or float(found[1]) <= 0:
        raise ValueError(f"expected a duration such as 90s or 5m, not {value!r}")
    return float(found[1]) * _SECONDS[found[2] or "s"]


class _Constructor(RoundTripConstructor):
    """Leaves dates as they are written: what they are dates of is known later, and with it the place of a wrong one."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))


def _reader() -> YAML:
    yaml = YAML()
    yaml.Constructor = _Constructor
    return yaml


def _plain(node: Any) -> Any:
    """ruamel's round-trip types as plain ones."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node if node is None else str(node)


def read(file: Path, shown_as: str) -> bytes:
    """The content of the project's YAML file. Raises ForebayError if there is none."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ForebayError(
            "project.missing", "there is no such file", where=shown_as, advice="`forebay init` writes a new project here"
        ) from None
    except OSError as error:
        raise ForebayError("project.unreadable", str(error), where=shown_as) from None
