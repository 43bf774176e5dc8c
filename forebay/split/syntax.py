"""The door to sqlglot: text to tokens, text to trees, and offsets to the places an author can look at.

Trees are only ever read. What reaches the engine is the author's own text, cut and joined at token boundaries, because a
tree printed again changes names, types and now and then the meaning. The dialect is DuckDB's throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import sqlglot
from sqlglot import Parser, Token, TokenType, exp
from sqlglot.errors import ParseError, TokenError

from forebay.errors import ForebayError
from forebay.split.dollars import mask

DUCKDB = sqlglot.Dialect.get_or_raise("duckdb")
QUERY_STARTS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.FROM, TokenType.VALUES, TokenType.L_PAREN})


class Place(NamedTuple):
    """Where a piece of SQL stands in its file: the file, and the line and column (from 1) of the piece's first character."""

    file: str
    line: int = 1
    column: int = 1

    def at(self, text: str, offset: int) -> str:
        """`file:line:column` of the character at `offset` of the piece."""
        line = text.count("\n", 0, offset)
        column = offset - (text.rfind("\n", 0, offset) + 1)
        return f"{self.file}:{self.line + line}:{column + 1 + (0 if line else self.column - 1)}"


def tokenize(text: str, place: Place) -> list[Token]:
    """The tokens of `text`; every parameter is a `$` and a name, whatever stands around it.

    `sql.syntax` for a string or comment that is not closed, at its opening.
    """
    found = _tokens(text)
    if isinstance(found, _Malformed):
        raise ForebayError("sql.syntax", found.what, where=place.at(text, found.offset))
    return list(found)


class _Malformed(NamedTuple):
    what: str
    offset: int


@lru_cache(maxsize=4096)  # the split asks for the same pieces of text again and again
def _tokens(text: str) -> tuple[Token, ...] | _Malformed:
    masked = mask(text)
    if masked.unclosed is not None:
        return _Malformed("a string, quoted name or comment is not closed", masked.unclosed)
    try:
        found = DUCKDB.tokenize(masked.text)
    except TokenError as error:
        return _Malformed("a number or string is malformed", error.end or 0)
    tokens: list[Token] = []
    for token in found:
        if token.start in masked.parameters:
            line, col, start, end = token.line, token.col, token.start, token.end
            tokens.append(Token(TokenType.PARAMETER, "$", line, col - (end - start), start, start, token.comments))
            tokens.append(Token(TokenType.VAR, text[start + 1 : end + 1], line, col, start + 1, end))
        else:
            tokens.append(token)
    return tuple(tokens)


def parse_tokens(tokens: Sequence[Token], text: str, place: Place, parser: Parser | None = None) -> exp.Expr:
    """The tree of one statement given by its tokens; `sql.syntax` names the token that does not fit."""
    try:
        trees = (parser or DUCKDB.parser()).parse(list(tokens), text)
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        token = next((t for t in tokens if (t.line, t.col) == (detail.get("line"), detail.get("col"))), tokens[-1])
        raise ForebayError(
            "sql.syntax",
            f"{_plain(detail.get('description'))}, near `{text[token.start : token.end + 1]}`",
            where=place.at(text, token.start),
        ) from error
    except RecursionError as error:
        raise ForebayError("sql.syntax", "nested too deeply", where=place.at(text, tokens[0].start)) from error
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        raise ForebayError("sql.syntax", "not one statement", where=place.at(text, tokens[0].start))
    return tree


def _plain(description: str | None) -> str:
    """sqlglot's words without its class names."""
    words = (description or "not understood").split(" but got <")[0].split(" / ")[0]
    return "something is missing" if "<class" in words else words[0].lower() + words[1:]


def parse(text: str) -> exp.Expr:
    """The tree of `text`, one statement, with the offsets of `text` in the positions of its names."""
    place = Place("sql")
    return parse_tokens(tokenize(text, place), text, place)


def trimmed(text: str) -> str:
    """`text` from its first token to its last: without the comments around it, which could swallow what follows."""
    tokens = tokenize(text, Place("sql"))
    return text[tokens[0].start : tokens[-1].end + 1]


def query_groups(text: str) -> Iterator[tuple[int, int]]:
    """The offsets just inside every pair of parentheses that could hold a query, as (first, past the last)."""
    tokens = tokenize(text, Place("sql"))
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            opened.append(index)
        elif token.token_type is TokenType.R_PAREN and opened:
            first = opened.pop()
            if tokens[first + 1].token_type in QUERY_STARTS:
                yield tokens[first].end + 1, token.start


def start_of(node: exp.Expr) -> int | None:
    """The offset of the first name in `node`, where the parser kept one."""
    starts = [start for part in node.walk() if isinstance(start := part.meta.get("start"), int)]
    return min(starts, default=None)


def quoted(name: str) -> str:
    """`name` as SQL, quoted unless plain."""
    plain = name.isascii() and name.isidentifier()
    if plain and [token.token_type for token in tokenize(name, Place("name"))] == [TokenType.VAR]:
        return name
    return '"' + name.replace('"', '""') + '"'
