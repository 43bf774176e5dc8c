"""What type an expression has, as far as the split needs to know: its family, and a decimal's scale.

The rules are DuckDB's (DECIMAL / INTEGER is a DOUBLE, SUM of integers a HUGEINT). What is not listed here is unknown, and of
what is unknown nothing is assumed.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

from sqlglot import exp

_WIDE, _WIDEST = 28, 38


class Type(NamedTuple):
    """A family: "integer", "decimal", "double", "boolean", "text", "date", "time", "other" (known, but no key), or "" (unknown)."""

    family: str
    scale: int = 0
    digits: int = 0
    """How many decimal digits an exact number may have: at least as many as the engine gives it, and 38 at most."""

    @property
    def is_wide(self) -> bool:
        """Whether there may be no digits left for another's scale."""
        return self.digits > _WIDE

    @property
    def is_exact(self) -> bool:
        return self.family in ("integer", "decimal", "boolean")

    @property
    def is_number(self) -> bool:
        return self.family in ("integer", "decimal", "double")

    @property
    def is_key(self) -> bool:
        """Whether equal values are the same value, so that one row can stand for all that have it."""
        return self.family in ("integer", "decimal", "boolean", "text", "date", "time")


UNKNOWN = Type("")
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)
DOUBLE, BOOLEAN, TEXT, DATE, TIME, OTHER = map(Type, ("double", "boolean", "text", "date", "time", "other"))
BIGINT, HUGEINT = Type("integer", 0, 19), Type("integer", 0, _WIDEST)
FLOAT = Type("float")
"""32 bits, in which the engine rounds row by row: no sum of products gives that again."""

_FAMILIES = {
    **dict.fromkeys(("TINYINT", "UTINYINT", "INT1"), Type("integer", 0, 3)),
    **dict.fromkeys(("SMALLINT", "USMALLINT", "INT2", "INT16", "SHORT"), Type("integer", 0, 5)),
    **dict.fromkeys(("INTEGER", "UINTEGER", "INT4", "INT32", "INT", "SIGNED"), Type("integer", 0, 10)),
    **dict.fromkeys(("BIGINT", "INT8", "INT64", "LONG"), BIGINT),
    "UBIGINT": Type("integer", 0, 20),
    **dict.fromkeys(("HUGEINT", "INT128"), HUGEINT),
    **dict.fromkeys(("DOUBLE", "FLOAT8", "DOUBLE PRECISION"), DOUBLE),
    **dict.fromkeys(("FLOAT", "REAL", "FLOAT4"), FLOAT),
    **dict.fromkeys(("BOOLEAN", "BOOL", "LOGICAL"), BOOLEAN),
    **dict.fromkeys(("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR"), TEXT),
    "DATE": DATE,
    **dict.fromkeys(("TIMESTAMP", "DATETIME", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS"), TIME),
}
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)(?:\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")


def type_of(written: str) -> Type:
    """The type that a DuckDB type's name means, e.g. Type("decimal", 2) for "DECIMAL(12,2)"."""
    name = " ".join(written.upper().split())
    decimal = _DECIMAL.fullmatch(name)
    if decimal:
        return Type("decimal", int(decimal[2] or 0) if decimal[1] else 3, int(decimal[1] or 18))
    if name.endswith(")"):
        name = name[: name.index("(")].rstrip()
    return _FAMILIES.get(name, OTHER if name else UNKNOWN)


_TO_BOOLEAN = (
    *(exp.Predicate, exp.Not, exp.And, exp.Or, exp.Between, exp.In, exp.Is, exp.Exists, exp.Like, exp.ILike, exp.RegexpLike),
    *(exp.StartsWith, exp.EndsWith, exp.Contains, exp.Boolean, exp.RegexpILike, exp.SimilarTo, exp.Glob),
)
_TO_INTEGER = (
    *(exp.Year, exp.Month, exp.Day, exp.Quarter, exp.Week, exp.DayOfWeek, exp.DayOfMonth, exp.DayOfYear, exp.DayOfWeekIso),
    *(exp.Length, exp.StrPosition, exp.DateDiff, exp.Hour, exp.Minute, exp.WeekOfYear, exp.Sign, exp.Unicode, exp.Levenshtein),
    *(exp.Count, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.Second),
)
_TO_TEXT = (
    *(exp.Substring, exp.Upper, exp.Lower, exp.Trim, exp.Concat, exp.DPipe, exp.Replace, exp.Left, exp.Right, exp.TimeToStr),
    *(exp.Reverse, exp.Repeat, exp.RegexpExtract, exp.RegexpReplace, exp.SplitPart, exp.Dayname, exp.Monthname, exp.Pad, exp.ConcatWs),
    exp.Initcap,
)
_TO_TIME = (exp.TimestampTrunc, exp.DateTrunc, exp.DateBin, exp.TsOrDsToDate, exp.StrToTime)
_TO_DOUBLE = (exp.Div, exp.Sqrt, exp.Ln, exp.Log, exp.Exp, exp.Pow, exp.Stddev, exp.Variance, exp.StddevPop, exp.VariancePop)
_VALUES = {
    *(exp.Literal, exp.Boolean, exp.Paren, exp.Neg, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Interval, exp.Var, exp.Identifier),
    *(exp.Add, exp.Sub, exp.Mul, exp.Round, exp.Floor, exp.Ceil, exp.Abs, exp.Pow),
}
_PARTS = frozenset({"year", "month", "day", "quarter", "week", "dow", "isodow", "doy", "hour", "minute", "dayofweek", "dayofyear"})


def infer(
    node: exp.Expr,
    of: Callable[[exp.Expr | None], Type],
    column: Callable[[exp.Column], Type],
    query: Callable[[exp.Expr], Type],
) -> Type:
    """The type of `node`, given those of its parts, of columns and of scalar subqueries."""
    match node:
        case exp.Column():
            return column(node)
        case exp.Literal():
            return _literal(node)
        case exp.Cast():
            to = node.args.get("to")
            return type_of(to.sql("duckdb")) if isinstance(to, exp.DataType) and not to.args.get("nested") else OTHER
        case exp.Subquery():
            return query(node.unnest())
        case exp.Null():
            return Type("null")
        case exp.Paren() | exp.Alias() | exp.Neg() | exp.Abs() | exp.Filter() | exp.Window() | exp.Min() | exp.Max():
            return of(node.this)
        case exp.Distinct():
            return of(node.expressions[0]) if len(node.expressions) == 1 else UNKNOWN
        case exp.Nullif():
            return of(node.this)
        case exp.Sum():
            inner = of(node.this)
            wide = Type("decimal", inner.scale, _WIDEST)
            return {"integer": HUGEINT, "boolean": HUGEINT, "decimal": wide, "double": DOUBLE}.get(inner.family, UNKNOWN)
        case exp.Binary() if isinstance(node, ARITHMETIC) and may_be_null(node.this, node.expression):
            return UNKNOWN  # the engine folds it to a NULL of no type
        case exp.Add() | exp.Sub():
            return _added(of(node.this), of(node.expression), subtract=isinstance(node, exp.Sub))
        case exp.Mul():
            return _multiplied(of(node.this), of(node.expression))
        case exp.IntDiv() | exp.Mod():
            left, right = of(node.this), of(node.expression)
            return common([left, right]) if left.family == right.family == "integer" else UNKNOWN
        case exp.Round() | exp.Floor() | exp.Ceil():
            return _rounded(node, of(node.this))
        case exp.If() | exp.Case():
            branches = [node] if isinstance(node, exp.If) else node.args["ifs"]
            default = node.args.get("false") or node.args.get("default")
            return common([*(of(branch.args["true"]) for branch in branches), *([of(default)] if default is not None else [])])
        case exp.Coalesce() | exp.Greatest() | exp.Least():
            return common([of(node.this), *(of(part) for part in node.expressions)])
        case exp.Extract():
            return BIGINT if str(node.name).lower() in _PARTS else UNKNOWN
        case exp.Interval():
            return OTHER
        case exp.CountIf():
            return HUGEINT
        case exp.Avg():
            return DOUBLE if of(node.this).is_number else UNKNOWN
    if isinstance(node, exp.Div) and FLOAT in (sides := (of(node.this), of(node.expression))) and DOUBLE not in sides:
        return FLOAT
    if isinstance(node, _TO_BOOLEAN):
        return BOOLEAN
    if isinstance(node, _TO_INTEGER):
        return BIGINT
    if isinstance(node, _TO_TEXT):
        return TEXT
    if isinstance(node, _TO_TIME):
        return TIME
    return DOUBLE if isinstance(node, _TO_DOUBLE) else UNKNOWN


def may_be_null(*nodes: exp.Expr) -> bool:
    """Whether one of `nodes` is a constant that comes to NULL, as far as anybody can tell without the engine."""
    return any(
        node.find(exp.Column, exp.Placeholder, exp.Parameter, exp.Query) is None and not all(map(_gives_a_value, node.walk()))
        for node in nodes
    )


def _gives_a_value(node: exp.Expr) -> bool:
    """Whether `node` is no NULL if its parts are none. What is divided by nothing is one."""
    if isinstance(node, exp.Div | exp.IntDiv | exp.Mod):
        divisor = node.expression.unnest()
        return isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.this) != 0
    return type(node) in _VALUES


def common(types: list[Type]) -> Type:
    """The type that values of all these are brought to."""
    known = [type_ for type_ in types if type_.family != "null"]
    families = {type_.family for type_ in known}
    if not known or "" in families:
        return UNKNOWN
    if families <= {"integer", "decimal", "double"} and "double" in families:
        return DOUBLE
    if families <= {"integer", "decimal"}:
        return functools.reduce(_both, known)
    if len(families) == 1:
        return Type(known[0].family)
    return TIME if families == {"date", "time"} else UNKNOWN


def _both(left: Type, right: Type) -> Type:
    """The type that two exact numbers are brought to."""
    if left.family == right.family == "integer":
        return max(left, right)
    scale = max(left.scale, right.scale)
    digits = max(left.digits - left.scale, right.digits - right.scale) + scale
    if left.family == right.family and digits > _WIDEST:
        return UNKNOWN  # the engine keeps what digits there is room for
    return Type("decimal", scale, min(digits, _WIDEST))


def _literal(node: exp.Literal) -> Type:
    if node.is_string:
        return TEXT
    text = node.name.lower().replace("_", "")
    if "e" in text:
        return DOUBLE
    if "." in text:
        digits = text.replace(".", "")
        scale = len(text) - text.index(".") - 1
        return Type("decimal", scale, len(digits)) if digits.isdigit() and len(digits) < _WIDEST else DOUBLE
    if not text.isdigit() or len(text) >= _WIDEST:
        return UNKNOWN
    return Type("integer", 0, 10) if int(text) < 1 << 31 else BIGINT if int(text) < 1 << 63 else HUGEINT


def _added(left: Type, right: Type, *, subtract: bool) -> Type:
    if left.is_exact and right.is_exact and "decimal" in (left.family, right.family):
        scale = max(left.scale, right.scale)
        return Type("decimal", scale, min(max(left.digits - left.scale, right.digits - right.scale) + scale + 1, _WIDEST))
    if left.is_number and right.is_number:
        return common([left, right])
    if subtract and left == right == DATE:
        return BIGINT
    if left in (DATE, TIME) and right == OTHER:
        return TIME
    return DATE if left == DATE and right.family == "integer" else UNKNOWN


def _multiplied(left: Type, right: Type) -> Type:
    if not (left.is_number and right.is_number):
        return UNKNOWN
    if "double" in (left.family, right.family):
        return DOUBLE
    if left.family == right.family == "integer":
        return max(left, right)
    return Type("decimal", left.scale + right.scale, min(left.digits + right.digits, _WIDEST))


def _rounded(node: exp.Expr, inner: Type) -> Type:
    digits = node.args.get("decimals")
    if inner.family != "decimal":
        if inner.family == "integer":
            return inner if isinstance(node, exp.Round) else DOUBLE
        return inner if inner == DOUBLE else UNKNOWN
    if digits is None:
        return Type("decimal", 0, inner.digits)
    if isinstance(digits, exp.Literal) and digits.name.isdigit():
        return Type("decimal", min(int(digits.name), inner.scale), inner.digits)
    return UNKNOWN


_SAFE = (
    *(exp.Column, exp.Literal, exp.Paren, exp.Alias, exp.Null, exp.Boolean, exp.And, exp.Or, exp.Not, exp.Is, exp.Like, exp.ILike),
    *(exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Substring, exp.Upper, exp.Lower, exp.Trim, exp.DPipe),
    *(exp.Year, exp.Month, exp.Day, exp.Quarter, exp.Length, exp.StartsWith, exp.Identifier, exp.Var, exp.DataType, exp.Tuple, exp.Star),
    *(exp.Count, exp.Min, exp.Max, exp.Avg, exp.Abs, exp.Exists, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In),
    *(exp.Where, exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Subquery, exp.Join, exp.Group, exp.Add, exp.Sub, exp.Mul, exp.Div),
    *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Distinct, exp.Sum, exp.Neg, exp.Cast, exp.CTE, exp.With, exp.Having, exp.Extract, exp.Concat),
)


def can_fail(node: exp.Expr, of: Callable[[exp.Expr], Type]) -> bool:
    """Whether computing `node` may raise an error for some row: then no table may be made of it as it stands."""
    if not isinstance(node, _SAFE):
        return True
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Neg | exp.Abs | exp.Sum):
        operands = [of(part) for part in (node.this, node.args.get("expression")) if isinstance(part, exp.Expr)]
        if isinstance(node, exp.Sum):
            return operands[0].family not in ("integer", "boolean", "double", "decimal")
        exact_in_double = isinstance(node, exp.Div) and all(type_.is_number for type_ in operands)
        if not exact_in_double and DOUBLE not in operands:
            return True
        if not all(type_.is_number for type_ in operands):
            return True
    elif isinstance(node, exp.Cast):
        to, source = of(node), of(node.this)
        widens = (source.family, to.family) in {("integer", "double"), ("decimal", "double"), ("date", "time"), ("date", "date")}
        constant = isinstance(node.this, exp.Literal) and not may_not_convert(node)
        if not (widens or constant or (to.family == "text" and node.args["to"].sql("duckdb").upper() in ("TEXT", "VARCHAR"))):
            return True
    elif isinstance(node, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.NullSafeEQ | exp.NullSafeNEQ | exp.Nullif):
        if not _comparable(of(node.this), of(node.expression), node.this, node.expression):
            return True
    elif isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        if not all(_comparable(of(node.this), of(part), node.this, part) for part in (low, high)):
            return True
    elif isinstance(node, exp.In):
        query = node.args.get("query")
        if query is not None:
            if not _comparable(of(node.this), of(query), node.this, query):
                return True
        elif not all(_comparable(of(node.this), of(part), node.this, part) for part in node.expressions):
            return True
    elif isinstance(node, exp.Subquery) and isinstance(node.parent, exp.Condition) and not _gives_one_row(node.unnest()):
        return True
    elif isinstance(node, exp.Coalesce | exp.Case | exp.Greatest | exp.Least | exp.If):
        one = of(node)
        # Bringing a HUGEINT, or a wide decimal, to another's scale may need more digits than there are.
        if not one.family or (one.family == "decimal" and any(of(column).is_wide for column in node.find_all(exp.Column))):
            return True
    return any(can_fail(part, of) for part in node.iter_expressions())


_CONVERTS = {
    "integer": re.compile(r"\s*[+-]?\d{1,4}\s*"),
    "decimal": re.compile(r"\s*[+-]?\d(\.\d+)?\s*"),
    "double": re.compile(r"\s*[+-]?\d{1,15}(\.\d+)?\s*"),
    "boolean": re.compile(r"true|false", re.IGNORECASE),
    "date": re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])"),
    "time": re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?"),
}


def may_not_convert(node: exp.Cast) -> bool:
    """Whether `node` casts a text in the script to a type that it may not convert to. Such a constant fails as soon as it is looked at."""
    literal, to = node.this, node.args["to"]
    if isinstance(node, exp.TryCast) or not (isinstance(literal, exp.Literal) and literal.is_string):
        return False
    type_ = type_of(to.sql("duckdb"))
    if type_.family == "date" and re.fullmatch(r"\d{4}-\d{2}-(29|30|31)", literal.name):
        try:
            datetime.date.fromisoformat(literal.name)
        except ValueError:
            return True
        return False
    pattern = _CONVERTS.get(type_.family)
    return type_.family != "text" and (pattern is None or pattern.fullmatch(literal.name) is None)


def _comparable(left: Type, right: Type, left_node: exp.Expr, right_node: exp.Expr) -> bool:
    """Whether comparing the two casts nothing that could fail."""
    wide = left.scale != right.scale and (left.is_wide or right.is_wide)
    numbers = left.is_number and right.is_number and not wide
    times = left.family in ("date", "time") and right.family in ("date", "time")
    constant = any(isinstance(part, exp.Literal) and part.is_string for part in (left_node, right_node))
    same = bool(left.family) and left.family == right.family and left.family != "other" and not left.is_number
    return numbers or times or same or (constant and bool(left.family or right.family) and "null" not in (left.family, right.family))


def _gives_one_row(query: exp.Expr) -> bool:
    """Whether `query` is one aggregate over everything."""
    if not isinstance(query, exp.Select) or query.args.get("group") or query.args.get("having"):
        return False
    return any(isinstance(part.unalias(), exp.AggFunc) or part.find(exp.AggFunc) for part in query.expressions)
