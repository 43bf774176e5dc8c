"""The columns of a query and whether their numbers are exact, as far as the text and the schemas tell.

sqlglot resolves the names; the kinds are decided here, because its types are those of a general SQL, and DuckDB's differ where
it matters (DECIMAL / INTEGER is a DOUBLE). What cannot be told is unknown, and unknown is never exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

Kind = Literal["integer", "decimal", ""]
Schema = Mapping[str, Mapping[str, Kind]]
"""The kinds of the columns of each relation, all names in lower case."""

_INTEGERS = exp.DataType.INTEGER_TYPES - {exp.DType.UINT128, exp.DType.UINT256, exp.DType.INT256} | {exp.DType.BOOLEAN}


class Resolved(NamedTuple):
    """A query with its names resolved: its output columns in order, and the kind of each column reference in `tree`, by `id`."""

    tree: exp.Expr
    columns: tuple[tuple[str, Kind], ...]
    references: Mapping[int, Kind]


def kind_of(type_: str) -> Kind:
    """The kind of a DuckDB type, e.g. "decimal" of "DECIMAL(12,2)"."""
    try:
        return _kind_of_type(exp.DataType.build(type_, dialect="duckdb"))
    except SqlglotError:
        return ""


def _kind_of_type(type_: exp.Expr | None) -> Kind:
    if not isinstance(type_, exp.DataType) or type_.args.get("nested"):
        return ""
    if type_.this in _INTEGERS:
        return "integer"
    return "decimal" if type_.this == exp.DType.DECIMAL else ""


def resolve_columns(query: exp.Expr, schema: Schema, *, aliases: bool = True) -> Resolved | None:
    """`query` resolved, or None if any name in it cannot be: it is correlated, or too clever.

    With `aliases=False` a WHERE or select list that uses the select list's own names is not resolved either: whether such a
    name means an outer column cannot be told from inside.
    """
    shown: dict[str, object] = {table: dict.fromkeys(columns, "INT") for table, columns in schema.items() if columns}
    try:
        tree = qualify(
            query.copy(),
            dialect="duckdb",
            schema=MappingSchema(shown, dialect="duckdb", normalize=False),
            expand_alias_refs=aliases,
            quote_identifiers=False,
            identify=False,
        )
        scopes = list(traverse_scope(tree))
    except (SqlglotError, RecursionError, ValueError, KeyError, AttributeError, TypeError, AssertionError):
        return None  # sqlglot has no one error for SQL that it resolves in part
    if any(_unresolved(node) for node in tree.walk()):
        return None
    outputs: dict[int, list[tuple[str, Kind]]] = {}
    references: dict[int, Kind] = {}
    for scope in scopes:
        for column in scope.columns:
            references[id(column)] = _reference(column, scope, schema, outputs)
        outputs[id(scope.expression)] = _outputs(scope.expression, references, outputs)
    return Resolved(tree, tuple(outputs.get(id(tree), [])), references)


def _unresolved(node: exp.Expr) -> bool:
    if isinstance(node, exp.Star):
        return not isinstance(node.parent, exp.Count)
    return isinstance(node, exp.Columns | exp.TableColumn | exp.PositionalColumn | exp.Pivot)


def _reference(column: exp.Column, scope: Scope, schema: Schema, outputs: Mapping[int, list[tuple[str, Kind]]]) -> Kind:
    around: Scope | None = scope
    while around is not None:
        source = around.sources.get(column.table)
        if isinstance(source, exp.Table):
            return schema.get(source.name.lower(), {}).get(column.name.lower(), "") if not source.alias_column_names else ""
        if isinstance(source, Scope):
            found = {kind for name, kind in outputs.get(id(source.expression), []) if name == column.name.lower()}
            return found.pop() if len(found) == 1 else ""
        around = around.parent
    return ""


def _outputs(query: exp.Expr, references: Mapping[int, Kind], outputs: Mapping[int, list[tuple[str, Kind]]]) -> list[tuple[str, Kind]]:
    if isinstance(query, exp.SetOperation):
        left, right = outputs.get(id(query.this.unnest()), []), outputs.get(id(query.expression.unnest()), [])
        if query.args.get("by_name"):
            return [(name, "") for name in dict.fromkeys(name for name, _ in [*left, *right])]
        return [(name, _both(kind, other)) for (name, kind), (_, other) in zip(left, right, strict=False)]
    if isinstance(query, exp.Subquery):
        return outputs.get(id(query.unnest()), [])
    if not isinstance(query, exp.Select):
        return []
    return [(part.alias_or_name.lower(), kind_in(part, references, outputs)) for part in query.expressions]


def _both(*kinds: Kind) -> Kind:
    if "" in kinds:
        return ""
    return "decimal" if "decimal" in kinds else "integer"


def kind_in(node: exp.Expr | None, references: Mapping[int, Kind], outputs: Mapping[int, list[tuple[str, Kind]]] | None = None) -> Kind:
    """The kind of an expression: exact only by the rules listed here, each true of DuckDB."""
    match node:
        case exp.Column():
            kinds = [references.get(id(node), "")]
        case exp.Literal():
            kinds = [_literal(node)]
        case exp.Cast():
            kinds = [_kind_of_type(node.args.get("to"))]
        case exp.Subquery():
            kinds = [kind for _, kind in (outputs or {}).get(id(node.unnest()), [])]
        case exp.Boolean() | exp.Null() | exp.Count() | exp.CountIf() | exp.RowNumber():
            kinds = ["integer"]
        case _:
            kinds = [kind_in(operand, references, outputs) for operand in _operands(node)]
    if not kinds or (isinstance(node, exp.IntDiv | exp.Mod) and "decimal" in kinds):
        return ""
    return _both(*kinds)


_LIKE_THEIR_ARGUMENT = (
    *(exp.Alias, exp.Paren, exp.Neg, exp.Abs, exp.Round, exp.Nullif),
    *(exp.Sum, exp.Min, exp.Max, exp.Filter, exp.Window),
)
_LIKE_BOTH_ARGUMENTS = (exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.IntDiv)


def _operands(node: exp.Expr | None) -> list[exp.Expr | None]:
    """The parts of `node` that are exact exactly if it is; none if it is of a sort that is not known to be."""
    match node:
        case exp.If() | exp.Case():
            branches = [node] if isinstance(node, exp.If) else node.args["ifs"]
            default = node.args.get("false") or node.args.get("default") or exp.null()
            return [*(branch.args["true"] for branch in branches), default]
        case exp.Coalesce() | exp.Greatest() | exp.Least():
            return [node.this, *node.expressions]
        case exp.Distinct():
            return list(node.expressions)
        case exp.Expression() if isinstance(node, _LIKE_THEIR_ARGUMENT):
            return [node.this]
        case exp.Expression() if isinstance(node, _LIKE_BOTH_ARGUMENTS):
            return [node.this, node.expression]
    return []


def _literal(node: exp.Literal) -> Kind:
    if node.is_string or len(node.name) > 37 or not node.name.replace(".", "", 1).replace("_", "").isdigit():
        return ""
    return "decimal" if "." in node.name else "integer"
