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
    """A query with every name resolved: its output columns in order, and the kind of every column reference in `tree` by identity."""

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
    shown = {table: dict.fromkeys(columns, "INT") for table, columns in schema.items() if columns}
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
    except (SqlglotError, RecursionError, ValueError, KeyError, AttributeError, TypeError):
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


def _outputs(
    query: exp.Expr, references: Mapping[int, Kind], outputs: Mapping[int, list[tuple[str, Kind]]]
) -> list[tuple[str, Kind]]:
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


def kind_in(node: exp.Expr, references: Mapping[int, Kind], outputs: Mapping[int, list[tuple[str, Kind]]] | None = None) -> Kind:
    """The kind of an expression: exact only by the rules listed here, each true of DuckDB."""

    def of(part: exp.Expr | None) -> Kind:
        return kind_in(part, references, outputs) if part is not None else ""

    match node:
        case exp.Column():
            return references.get(id(node), "")
        case exp.Literal():
            return _literal(node)
        case exp.Boolean() | exp.Count() | exp.CountIf() | exp.RowNumber():
            return "integer"
        case exp.Null():
            return "integer"
        case exp.Cast():
            return _kind_of_type(node.args.get("to"))
        case exp.Alias() | exp.Paren() | exp.Neg() | exp.Abs() | exp.Sum() | exp.Min() | exp.Max() | exp.Filter() | exp.Window():
            return of(node.this)
        case exp.Round() if node.args.get("decimals") is None or isinstance(node.args["decimals"], exp.Literal):
            return of(node.this)
        case exp.Distinct() if len(node.expressions) == 1 and not node.args.get("on"):
            return of(node.expressions[0])
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Mod():
            return _both(of(node.this), of(node.expression))
        case exp.IntDiv():
            return "integer" if of(node.this) == of(node.expression) == "integer" else ""
        case exp.Coalesce() | exp.Greatest() | exp.Least():
            return _both(of(node.this), *map(of, node.expressions))
        case exp.Nullif():
            return of(node.this)
        case exp.If():
            default = node.args.get("false")
            return _both(of(node.args["true"]), of(default) if default is not None else "integer")
        case exp.Case():
            default = node.args.get("default")
            return _both(*(of(branch.args["true"]) for branch in node.args["ifs"]), of(default) if default is not None else "integer")
        case exp.Subquery() if outputs is not None and len(found := outputs.get(id(node.unnest()), [])) == 1:
            return found[0][1]
    return ""


def _literal(node: exp.Literal) -> Kind:
    if node.is_string or len(node.name) > 37 or not node.name.replace(".", "", 1).replace("_", "").isdigit():
        return ""
    return "decimal" if "." in node.name else "integer"
