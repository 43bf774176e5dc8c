"""Which dollar signs of a script are parameters, and what is opened and never closed.

`$name` is a parameter and `$tag$ … $tag$` a string. sqlglot takes the `$a+$` of `$a+$b` for a tag, which would hide SQL from
the guard; so the parameters are found here, by the engine's own rules, and shown to sqlglot as plain names of equal length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LEXEME = re.compile(
    r"""
      (?P<escaped> [eE]'(?:[^'\\]|\\.|'')*' )
    | (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" )
    | (?P<line> --[^\n\r]* )
    | (?P<block> /\* )
    | (?P<dollars> \$(?P<tag>(?:[^\W\d]\w*)?)\$ )
    | (?P<parameter> \$\w+ )
    | (?P<word> \w[\w$]* )
    | (?P<open> ['"] )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Masked(NamedTuple):
    """A text whose parameters' dollars, at `parameters`, are underscores. A string or comment opens for good at `unclosed`."""

    text: str
    parameters: frozenset[int]
    unclosed: int | None = None


def mask(text: str) -> Masked:
    """`text` with the dollar of every parameter replaced by an underscore."""
    found: list[int] = []
    at = 0
    while lexeme := _LEXEME.search(text, at):
        at = lexeme.end()
        if lexeme["open"]:
            return Masked(text, frozenset(), lexeme.start())
        if lexeme["block"] or lexeme["dollars"]:
            closed = _end_of_comment(text, at) if lexeme["block"] else text.find(lexeme["dollars"], at)
            if closed < 0:
                return Masked(text, frozenset(), lexeme.start())
            at = closed if lexeme["block"] else closed + len(lexeme["dollars"])
        elif lexeme["parameter"]:
            found.append(lexeme.start())
    masked = list(text)
    for offset in found:
        masked[offset] = "_"
    return Masked("".join(masked), frozenset(found))


def _end_of_comment(text: str, at: int) -> int:
    """The offset after the `/* … */` whose content starts at `at`, or -1; comments nest."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(text, at)):
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return -1 if depth else at
