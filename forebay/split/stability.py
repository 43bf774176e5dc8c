"""Whether a query gives the same rows whenever it is asked: what must not be frozen into a Tier-2 table if it does not.

A sum of DOUBLEs depends on the order in which threads add, and `first(x)` on the order of rows. Frozen, such a value would be
one of several right answers while the unsplit query gives another, and neither could be checked against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlglot import exp

from forebay.split.columns import Resolved, kind_in
from forebay.split.syntax import start_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXACT_IF_ARGUMENT = frozenset({"sum", "avg", "mean", "sum_no_overflow"})
_ALWAYS_STABLE = _words(
    """
    count count_star count_if countif min max bool_and bool_or bit_and bit_or bit_xor bitstring_agg median quantile quantile_cont
    quantile_disc mad approx_count_distinct histogram histogram_exact rank dense_rank rank_dense percent_rank cume_dist grouping
    grouping_id logical_and logical_or percentile_cont percentile_disc
    """
)
_STABLE_IF_ORDERED = _words(
    """
    first last any_value arbitrary list array_agg string_agg group_concat listagg
    arg_max arg_min argmax argmin max_by min_by arg_max_null
    arg_min_null arg_max_nulls_last arg_min_nulls_last first_value last_value nth_value lag lead ntile row_number fill
    json_group_array json_group_object json_group_structure
    """
)
_TIES = frozenset({"mode", "approx_top_k"})
_INEXACT = _words(
    """
    approx_quantile reservoir_quantile corr covar_pop covar_samp entropy favg fsum kahan_sum sumkahan kurtosis kurtosis_pop
    product
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop
    stddev_samp var_pop var_samp variance wavg weighted_avg geomean geometric_mean
    """
)
VOLATILE = frozenset({"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "ago"})
"""Functions whose answer is not a function of their arguments."""

AGGREGATES = (_EXACT_IF_ARGUMENT | _ALWAYS_STABLE | _STABLE_IF_ORDERED | _TIES | _INEXACT) - {"grouping", "grouping_id"}
"""Every aggregate and window function that is judged by name."""


class Unstable(NamedTuple):
    """Why a query must not be frozen, and the offset in its text to point at."""

    code: str
    why: str
    offset: int


def find_unstable(text: str, tree: exp.Expr, resolved: Resolved | None) -> Unstable | None:
    """The first thing in the query `text` (parsed as `tree`) whose answer may differ from run to run."""
    looked_at = resolved.tree if resolved else tree
    references = resolved.references if resolved else {}
    for node in looked_at.walk():
        found = _order_of_rows(node) or _call(_written(text, node), node, lambda part: bool(kind_in(part, references)))
        if found:
            code, why = found
            return Unstable(code, why, start_of(node) or 0)
    return None


def is_unstable(query: exp.Expr, is_exact: Callable[[exp.Expr], bool]) -> bool:
    """Whether the answer of `query`, whose nodes know their text, may differ from run to run."""
    return any(_order_of_rows(node) or _call(written_name(node), node, is_exact) for node in query.walk())


def depends_on_order(node: exp.Expr) -> tuple[str, str] | None:
    """What in `node` itself makes the answer depend on the order of rows, or on chance: the code, and why."""
    found = _order_of_rows(node) or _call(written_name(node), node, lambda part: True)
    return found if found and found[0] != "split.unstable" else None


def _order_of_rows(node: exp.Expr) -> tuple[str, str] | None:
    """What is wrong with `node` as a clause."""
    code, why = "split.order_dependent", ""
    unordered = not node.args.get("order")
    distinct = node.args.get("distinct")
    if isinstance(node, exp.Query) and unordered and (node.args.get("limit") or node.args.get("offset")):
        why = "LIMIT without ORDER BY takes any rows"
    elif isinstance(node, exp.Query) and unordered and isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        why = "DISTINCT ON without ORDER BY takes any row"
    elif isinstance(node, exp.Window) and unordered and node.args.get("spec"):
        why = "a window frame without ORDER BY"
    elif isinstance(node, exp.Join) and node.args.get("method") in ("ASOF", "POSITIONAL"):
        why = f"{node.args['method']} JOIN depends on the order of rows"
    elif isinstance(node, exp.Pivot):
        why = "PIVOT is left whole"
    elif isinstance(node, exp.TableSample):
        code, why = "split.not_deterministic", "sampling gives other rows each time"
    return (code, why) if why else None


def _call(name: str, node: exp.Expr, is_exact: Callable[[exp.Expr], bool]) -> tuple[str, str] | None:
    """What is wrong with `node` as a call of the function `name`."""
    if not isinstance(node, exp.Func):
        return None
    code, why = "split.order_dependent", ""
    if name in VOLATILE:
        code, why = "split.not_deterministic", "is not a function of the data"
    elif name in _TIES:
        why = "breaks ties by the order of rows"
    elif name in _STABLE_IF_ORDERED:
        why = "" if _ordered(node) else "without ORDER BY depends on the order of rows"
    elif name in _EXACT_IF_ARGUMENT:
        argument = next(iter(node.expressions), None) if isinstance(node, exp.Anonymous) else node.this
        exact = isinstance(argument, exp.Expr) and is_exact(argument)
        code, why = "split.unstable", "" if exact else "adds values that are not known to be exact; cast them to DECIMAL"
    elif name not in _ALWAYS_STABLE and (isinstance(node, exp.AggFunc) or name in _INEXACT):
        code, why = "split.unstable", "computes in DOUBLE, and its last digits depend on the order of rows"
    return (code, f"`{name}` {why}") if why else None


def written_name(node: exp.Expr) -> str:
    """A function's name as the author wrote it, in lower case; the node knows its text."""
    return _written(str(node.meta.get("text", "")), node) if isinstance(node, exp.Func) else ""


def _written(text: str, function: exp.Expr) -> str:
    """The function's name as the author wrote it, in lower case, where the parser kept its place."""
    if not isinstance(function, exp.Func):
        return ""
    start, end = function.meta.get("start"), function.meta.get("end")
    if isinstance(start, int) and isinstance(end, int):
        return text[start : end + 1].strip('"').lower()
    return function.name.lower() if isinstance(function, exp.Anonymous) else function.sql_name().lower()


def _ordered(function: exp.Expr) -> bool:
    if any(isinstance(part, exp.Order) for part in function.iter_expressions()):
        return True
    around = function.parent
    while isinstance(around, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup | exp.Window):
        if around.args.get("order") or isinstance(around.expression, exp.Order):
            return True
        around = around.parent
    return False
