"""Which tables a SELECT reads, and its text free of layout."""

from __future__ import annotations

from sqlglot import TokenType

from forebay.split.scopes import external
from forebay.split.syntax import Place, parse, tokenize


def tables_read(sql: str) -> frozenset[str]:
    """Lower-case names of the tables that `sql` reads, its own CTEs not counted."""
    return frozenset(name.lower() for name in external(parse(sql)))


def canonical(sql: str) -> str:
    """`sql` without comments and layout, so that reformatting a file rebuilds nothing.

    From its tokens, not from a printed tree: printing makes one of functions that differ (`~` and `regexp_matches`).
    """
    return " ".join(sql[token.start : token.end + 1] for token in tokenize(sql, Place("sql")))


def folded(sql: str) -> str:
    """`canonical`, with all that is no string in lower case."""
    tokens = tokenize(sql, Place("sql"))
    texts = ((token.token_type, sql[token.start : token.end + 1]) for token in tokens)
    return " ".join(text if type_ is TokenType.STRING else text.lower() for type_, text in texts)
