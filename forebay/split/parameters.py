"""Parameters and the clock, spliced into the author's text.

A `$name` becomes `CAST($name AS declared type)`, so that a value is bound and never becomes SQL, and has the declared type
whatever the driver makes of it. The clock is one more parameter: every `now()`, `current_date` … reads the same `$forebay_now`,
so a run asked twice answers twice the same. The session's TimeZone is UTC. Strings, comments and quoted names are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlglot import Token, TokenType

from forebay.errors import ForebayError
from forebay.split.stage import NOW
from forebay.split.syntax import Place, tokenize

_INSTANT = f"CAST(${NOW} AS TIMESTAMP WITH TIME ZONE)"
_LOCAL = f"CAST({_INSTANT} AS TIMESTAMP)"
_DATE = f"CAST({_LOCAL} AS DATE)"
_TIME = f"CAST({_LOCAL} AS TIME)"
_ZONED_TIME = f"CAST({_TIME} AS TIME WITH TIME ZONE)"

CLOCK_CALLS: Mapping[str, str] = {
    "now": _INSTANT,
    "get_current_timestamp": _INSTANT,
    "transaction_timestamp": _INSTANT,
    "current_timestamp": _INSTANT,
    "today": _DATE,
    "current_date": _DATE,
    "get_current_time": _ZONED_TIME,
    "current_time": _ZONED_TIME,
    "current_localtime": _TIME,
    "localtime": _TIME,
    "current_localtimestamp": _LOCAL,
    "localtimestamp": _LOCAL,
}
"""Functions of the clock, called as `name()`."""

CLOCK_WORDS = frozenset({"current_timestamp", "current_date", "current_time", "localtime", "localtimestamp"})
"""Those of them that are also written without parentheses."""


class Use(NamedTuple):
    """One use of a parameter or of the clock: `text[start:end]`, the name (`NOW` for the clock), and what the clock's becomes."""

    start: int
    end: int
    name: str
    clock: str = ""


def uses(tokens: Sequence[Token]) -> Iterator[Use]:
    """Every `$name` and every function of the clock, in order."""
    for index, token in enumerate(tokens):
        before = tokens[index - 1].token_type if index else None
        after = [following.token_type for following in tokens[index + 1 : index + 3]]
        name = token.text.lower()
        if token.token_type is TokenType.PARAMETER and after and tokens[index + 1].start == token.end + 1:
            yield Use(token.start, tokens[index + 1].end + 1, tokens[index + 1].text)
        elif before in (TokenType.PARAMETER, TokenType.DOT) or token.token_type is TokenType.STRING:
            continue
        elif name in CLOCK_CALLS and after == [TokenType.L_PAREN, TokenType.R_PAREN]:
            yield Use(token.start, tokens[index + 2].end + 1, NOW, CLOCK_CALLS[name])
        elif name in CLOCK_WORDS and token.token_type is not TokenType.IDENTIFIER and before is not TokenType.ALIAS:
            yield Use(token.start, token.end + 1, NOW, CLOCK_CALLS[name])


def bind(sql: str, parameters: Mapping[str, str]) -> str:
    """`sql` with every `$name` cast to its declared type and the clock read from `$forebay_now`; the rest is untouched."""
    declared = {name.lower(): (name, type_) for name, type_ in parameters.items()}
    place = Place("sql")
    parts: list[str] = []
    at = 0
    for use in uses(tokenize(sql, place)):
        if not use.clock and use.name.lower() not in declared:
            what = f"parameter `${use.name}` is not declared"
            raise ForebayError("sql.unknown_parameter", what, where=place.at(sql, use.start))
        replacement = use.clock or "CAST(${} AS {})".format(*declared[use.name.lower()])
        parts += [sql[at : use.start], replacement]
        at = use.end
    return "".join([*parts, sql[at:]])


def used(sql: str) -> frozenset[str]:
    """The names of the parameters that `sql` uses, as written; `NOW` among them if it reads the clock."""
    return frozenset(use.name for use in uses(tokenize(sql, Place("sql"))))
