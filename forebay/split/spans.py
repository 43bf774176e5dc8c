"""Where in the author's text each node of a tree stands, and that text with some of its nodes replaced.

sqlglot keeps the places of names only. Here its parser is watched: what a parsing method returns stands between the token it
began at and the one it ended before. Several methods may return one node (with and without the parentheses around it), so a
place is believed only if the text there parses to the very same node again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from forebay.errors import ForebayError
from forebay.split.syntax import DUCKDB, Place, parse, parse_tokens, tokenize

_SPANS, _TEXT, _PLACE = "spans", "text", "place"

Piece = str | exp.Expr
Template = tuple[Piece, ...]
"""Text with nodes in it, whose own text, or what replaces it, is filled in last."""


class Unplaced(Exception):
    """A node whose text cannot be told."""


def _watched(method: Callable[..., Any]) -> Callable[..., Any]:
    def parse_part(self: Any, *args: Any, **options: Any) -> Any:
        first = self._index
        found = method(self, *args, **options)
        if isinstance(found, exp.Expr) and self._index > first:
            span = (self._tokens[first].start, self._tokens[self._index - 1].end + 1)
            spans = found.meta.setdefault(_SPANS, [])
            if span not in spans:
                spans.append(span)
        return found

    return parse_part


_PARSER = DUCKDB.parser_class
_METHODS = {name: _watched(getattr(_PARSER, name)) for name in dir(_PARSER) if name.startswith("_parse_")}
_WatchedParser = type("_WatchedParser", (_PARSER,), _METHODS)


def parse_placed(text: str) -> exp.Expr:
    """The tree of `text`, one statement that is known to parse, whose nodes know their places."""
    tokens = tokenize(text, Place("sql"))
    tree = parse_tokens(tokens, text, Place("sql"), _WatchedParser(dialect=DUCKDB))
    for node in tree.walk():
        node.meta[_TEXT] = text
    return tree


def place(node: exp.Expr) -> tuple[int, int]:
    """The offsets of `node` in its text, as (first, past the last). Raises Unplaced."""
    if _PLACE not in node.meta:
        recorded = [] if isinstance(node, exp.Column | exp.Identifier) else node.meta.get(_SPANS, [])
        found_at = next((span for span in recorded if _is_at(node, span)), None)
        node.meta[_PLACE] = found_at or next((span for span in _candidates(node) if _is_at(node, span)), None)
    found: tuple[int, int] | None = node.meta[_PLACE]
    if found is None:
        raise Unplaced(node.sql("duckdb"))
    return found


def source_text(node: exp.Expr) -> str:
    """The whole text that `node` was parsed from."""
    text: str = node.meta[_TEXT]
    return text


def text_of(node: exp.Expr) -> str:
    """The author's own text of `node`. Raises Unplaced."""
    start, end = place(node)
    return source_text(node)[start:end]


def render(template: Template | exp.Expr, replaced: Mapping[int, Template]) -> str:
    """The text of `template`, nodes in `replaced` (by id) filled in. Raises Unplaced."""
    if isinstance(template, exp.Expr):
        return _render(template, replaced)
    return "".join(piece if isinstance(piece, str) else _render(piece, replaced) for piece in template)


def _render(node: exp.Expr, replaced: Mapping[int, Template]) -> str:
    own = replaced.get(id(node))
    if own is not None:
        # A node may stand in what replaces it: there it is its own text.
        rest = {key: value for key, value in replaced.items() if key != id(node)} if node in own else replaced
        return render(own, rest)
    holes: list[exp.Expr] = []

    def closed(part: exp.Expr) -> bool:
        if part is not node and id(part) in replaced:
            holes.append(part)
            return True
        return False

    for _ in node.walk(prune=closed):
        pass
    start, end = place(node)
    text, parts, at = source_text(node), [], start
    for (first, last), hole in sorted(((place(hole), hole) for hole in holes), key=lambda found: found[0]):
        if first < at:
            continue  # one name that stands for two nodes
        filled = _render(hole, replaced)
        # `or(a = b)` needs no blank, what replaces the parentheses may.
        before = " " if _is_word(text[first - 1 : first]) and _is_word(filled[:1]) else ""
        after = " " if _is_word(filled[-1:]) and _is_word(text[last : last + 1]) else ""
        parts += [text[at:first], before, filled, after]
        at = last
    return "".join([*parts, text[at:end]])


def _is_word(character: str) -> bool:
    return bool(character) and (character.isalnum() or character in ("_", '"', "$", "\ue000", "\ue001"))


def _candidates(node: exp.Expr) -> list[tuple[int, int]]:
    """Where `node` may stand, likeliest first."""
    if isinstance(node, exp.Column | exp.Identifier):
        names = [part for part in node.walk() if isinstance(part, exp.Identifier) and isinstance(part.meta.get("start"), int)]
        if names:
            return [(min(part.meta["start"] for part in names), max(part.meta["end"] for part in names) + 1)]
    inner = [found for child in node.iter_expressions() for found in [_around(child)] if found]
    own = list(node.meta.get(_SPANS, []))
    if not inner:
        return own
    union = (min(start for start, _ in inner), max(end for _, end in inner))
    found = [(min(start, union[0]), max(end, union[1])) for start, end in own]
    return [*found, union, *_grown(source_text(node), union)]


def _around(node: exp.Expr) -> tuple[int, int] | None:
    try:
        return place(node)
    except Unplaced:
        inner = [found for child in node.iter_expressions() for found in [_around(child)] if found]
        return (min(start for start, _ in inner), max(end for _, end in inner)) if inner else None


def _grown(text: str, span: tuple[int, int]) -> list[tuple[int, int]]:
    """`span` with a few tokens more on either side: a function whose call the parser took apart."""
    tokens = tokenize(text, Place("sql"))
    before = [token.start for token in tokens if token.end < span[0]][:-5:-1]
    after = [token.end + 1 for token in tokens if token.start >= span[1]][:3]
    return [(start, end) for end in [span[1], *after] for start in [span[0], *before]][1:]


def _is_at(node: exp.Expr, span: tuple[int, int]) -> bool:
    """Whether the text at `span` is that of `node`."""
    text = source_text(node)[slice(*span)]
    if isinstance(node, exp.Identifier):
        return True
    try:
        if not _is_balanced(text):
            return False  # the parser does not always mind
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery | exp.Table):
            return parse(text) == node
        if isinstance(node, exp.CTE):
            with_ = parse(f"WITH {text} SELECT 1").args["with_"]
            return bool(with_.expressions == [node])
        if node.arg_key in _CLAUSES:
            return bool(parse(f"SELECT 1 FROM t {text}").args.get(node.arg_key) == node)
        if isinstance(node, exp.Table) or (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.From | exp.Join)):
            found = parse(f"SELECT 1 FROM {text}")
            return bool(found.args["from_"].this == node and not found.args.get("joins"))
        if isinstance(node, exp.Ordered):
            return bool(parse(f"SELECT 1 FROM t ORDER BY {text}").args["order"].expressions == [node])
        found = parse(f"SELECT {text}")
        if not isinstance(found, exp.Select) or found.args.get("from_") or len(found.expressions) != 1:
            return False
        (item,) = found.expressions
        # The parser puts an IGNORE NULLS that nobody wrote around some aggregates.
        return bool(item == node or (isinstance(item, exp.IgnoreNulls) and item.this == node and "ignore" not in text.lower()))
    except (ForebayError, SqlglotError, KeyError, AttributeError):
        return False  # another piece of text


def _is_balanced(text: str) -> bool:
    depth = 0
    for token in tokenize(text, Place("sql")):
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth < 0:
            return False
    return depth == 0


_CLAUSES = frozenset({"where", "group", "having", "qualify", "order", "limit", "offset", "distinct"})
