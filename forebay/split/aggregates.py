"""What an aggregate over rows is over groups of equal rows: sums of sums, counts of counts, and the products of the two.

An operand that is linear in what is static (`price * (1 + uplift)`) needs only the sum of its static part per group. The rules
are those of three-valued logic: a row counts only if every operand of its expression is there, so each partial sum is filtered
by the others, and a count of rows stands in for a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from forebay.split.spans import Piece, Template
from forebay.split.types import DOUBLE, Type

_MOST = 24
"""Terms and cases of one operand; more would be slower than the rows."""


@dataclass(frozen=True)
class Term:
    """A product: static factors by group, and factors and divisors that only the run knows."""

    static: tuple[tuple[int, tuple[exp.Expr, ...]], ...] = ()
    factors: tuple[exp.Expr, ...] = ()
    divisors: tuple[exp.Expr, ...] = ()
    negative: bool = False

    def times(self, other: Term) -> Term:
        static = dict(self.static)
        for group, nodes in other.static:
            static[group] = (*static.get(group, ()), *nodes)
        return Term(
            tuple(static.items()),
            (*self.factors, *other.factors),
            (*self.divisors, *other.divisors),
            self.negative != other.negative,
        )


@dataclass(frozen=True)
class Poly:
    """A sum of terms, there only if all of `present` are (static ones by group) and NULL otherwise."""

    terms: tuple[Term, ...]
    present: tuple[tuple[int, exp.Expr], ...] = ()
    given: tuple[exp.Expr, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The first linear form whose condition holds; None is NULL."""

    cases: tuple[tuple[Template, Linear | None], ...]
    default: Linear | None


Linear = Poly | Choice


@dataclass
class Algebra:
    """Reads operands. `group_of` gives the group an expression is static in, `is_given` whether a run's row alone gives it."""

    group_of: Callable[[exp.Expr], int | None]
    is_given: Callable[[exp.Expr], bool]
    type_of: Callable[[exp.Expr], Type]
    look: Callable[[exp.Expr], exp.Expr]
    """What a column of something that was taken in is made of."""
    rules: set[str] = field(default_factory=set)

    def linear(self, node: exp.Expr) -> Linear | None:
        """The linear form of `node`, or None if it has none that is safe."""
        node = self.look(node)
        group = self.group_of(node)
        if group is not None:
            return Poly((Term(((group, (node,)),)),), ((group, node),))
        if self.is_given(node):
            return Poly((Term((), (node,)),), (), (node,))
        found = self._composed(node)
        if found is not None:
            self.rules.add("case" if isinstance(found, Choice) else "linear")
        return found

    def _composed(self, node: exp.Expr) -> Linear | None:
        match node:
            case exp.Neg():
                inner = self.linear(node.this)
                return _each(inner, _negated) if inner is not None and self.type_of(node).is_number else None
            case exp.Add() | exp.Sub() | exp.Mul():
                left, right = self.linear(node.this), self.linear(node.expression)
                if left is None or right is None or not all(self.type_of(part).is_number for part in (node.this, node.expression)):
                    return None
                if isinstance(node, exp.Mul):
                    return _combined(left, right, self._product)
                if isinstance(node, exp.Sub):
                    right = _each(right, _negated)
                return _combined(left, right, _sum)
            case exp.Div():
                inner = self.linear(node.this)
                divisor = node.expression
                if inner is None or not _is_nonzero(divisor):
                    return None
                return _each(inner, lambda poly: _divided(poly, divisor))
            case exp.Case() | exp.If():
                return self._case(node)
            case exp.Coalesce() if all(self.is_given(part) for part in [node.this, *node.expressions[:-1]]):
                last = self.linear(node.expressions[-1]) if node.expressions else None
                if last is None:
                    return None
                given = [node.this, *node.expressions[:-1]]
                cases = tuple((("(", part, ") IS NOT NULL"), Poly((Term((), (part,)),), (), (part,))) for part in given)
                return Choice(cases, last)
        return None

    def _case(self, node: exp.Expr) -> Linear | None:
        if isinstance(node, exp.If) and isinstance(node.parent, exp.Case):
            return None
        branches = [node] if isinstance(node, exp.If) else node.args["ifs"]
        subject = node.this if isinstance(node, exp.Case) else None
        cases: list[tuple[Template, Linear | None]] = []
        for branch in branches:
            value = self._branch(branch.args["true"])
            if isinstance(value, bool):
                return None
            condition: Template = ("(", subject, ") = (", branch.this, ")") if subject is not None else (branch.this,)
            cases.append((condition, value))
        default = node.args.get("false") or node.args.get("default")
        last = self._branch(default) if default is not None else None
        return None if isinstance(last, bool) or len(cases) > _MOST else Choice(tuple(cases), last)

    def _branch(self, node: exp.Expr) -> Linear | bool | None:
        if isinstance(node, exp.Null):
            return None
        found = self.linear(node)
        return False if found is None else found

    def _product(self, left: Poly, right: Poly) -> Poly | None:
        terms = tuple(one.times(other) for one in left.terms for other in right.terms)
        if len(terms) > _MOST:
            return None
        for term in terms:
            for _, nodes in term.static:
                if len(nodes) > 1 and not self._multiply_safely(nodes):
                    return None
            parts = [*term.factors, *(node for _, nodes in term.static for node in nodes)]
            doubles = any(self.type_of(part).family not in _EXACT for part in parts)
            if doubles and len(term.static) > 1:
                return None
        return Poly(terms, (*left.present, *right.present), (*left.given, *right.given))

    def _multiply_safely(self, nodes: tuple[exp.Expr, ...]) -> bool:
        # A product that the author did not write could overflow where theirs does not.
        return all(self.type_of(node) == DOUBLE for node in nodes)


_EXACT = frozenset({"integer", "decimal"})


def _is_nonzero(node: exp.Expr) -> bool:
    while isinstance(node, exp.Paren):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string and float(node.name.replace("_", "")) != 0


def _is_nought(factors: tuple[exp.Expr, ...]) -> bool:
    return len(factors) == 1 and isinstance(factors[0], exp.Literal) and factors[0].name == "0"


def _each(linear: Linear, change: Callable[[Poly], Poly]) -> Linear:
    if isinstance(linear, Poly):
        return change(linear)
    cases = tuple((condition, _each(value, change) if value is not None else None) for condition, value in linear.cases)
    return Choice(cases, _each(linear.default, change) if linear.default is not None else None)


def _combined(left: Linear, right: Linear, combine: Callable[[Poly, Poly], Poly | None]) -> Linear | None:
    """`left` and `right` combined branch by branch; a branch that is NULL makes the whole NULL."""
    for one, swapped in ((left, False), (right, True)):
        if isinstance(one, Choice):
            other = left if swapped else right
            cases: list[tuple[Template, Linear | None]] = []
            for condition, value in (*one.cases, ((), one.default)):
                done = None
                if value is not None:
                    done = _combined(other, value, combine) if swapped else _combined(value, other, combine)
                    if done is None:
                        return None
                cases.append((condition, done))
            if _size(Choice(tuple(cases[:-1]), cases[-1][1])) > _MOST:
                return None
            return Choice(tuple(cases[:-1]), cases[-1][1])
    return combine(left, right) if isinstance(left, Poly) and isinstance(right, Poly) else None


def _size(linear: Linear | None) -> int:
    if isinstance(linear, Choice):
        return sum(_size(value) for _, value in linear.cases) + _size(linear.default)
    return len(linear.terms) if linear else 1


def _negated(poly: Poly) -> Poly:
    terms = tuple(Term(term.static, term.factors, term.divisors, not term.negative) for term in poly.terms)
    return Poly(terms, poly.present, poly.given)


def _divided(poly: Poly, divisor: exp.Expr) -> Poly:
    terms = tuple(Term(term.static, term.factors, (*term.divisors, divisor), term.negative) for term in poly.terms)
    return Poly(terms, poly.present, poly.given)


def _sum(left: Poly, right: Poly) -> Poly | None:
    terms = (*left.terms, *right.terms)
    if len(terms) > _MOST:
        return None
    return Poly(terms, (*left.present, *right.present), (*left.given, *right.given))


@dataclass
class Writer:
    """Writes linear forms over partials. The callbacks make a column of a table for each partial that is asked for.

    `total(group, nodes, present)` is the sum of the product of `nodes` over the rows where all of `present` are there (and the
    least and the greatest such product, for `low` and `high`); `count(group, present)` the number of such rows.
    """

    total: Callable[[int, tuple[exp.Expr, ...], tuple[exp.Expr, ...], str], Template]
    count: Callable[[int, tuple[exp.Expr, ...]], Template]
    groups: tuple[int, ...]
    type_of: Callable[[exp.Expr], Type]
    filters: dict[int, bool] = field(default_factory=dict)
    """The groups of which rows are left out by a FILTER."""

    def sum(self, linear: Linear | None, result: str) -> Template:
        """What one row of the groups' product adds to the sum, of type `result`: NULL if nothing."""
        if linear is None:
            return ("NULL",)
        if isinstance(linear, Choice):
            # Between decimals as wide as there are, the engine would keep the digits before the point, not those after it.
            wide = result.startswith("DECIMAL")
            return _case(linear, lambda value: ("CAST(", *self.sum(value, result), f" AS {result})") if wide else self.sum(value, result))
        if len(linear.terms) == 1 and not linear.terms[0].negative:
            return self._term(linear.terms[0], linear)
        parts: list[Piece] = []
        for index, term in enumerate(linear.terms):
            parts += [" - " if term.negative else " + "] if index else ["-"] if term.negative else []
            parts += ["(", *self._term(term, linear), ")"]
        return ("(", *parts, ")")

    def _term(self, term: Term, poly: Poly) -> Template:
        static = dict(term.static)
        if not static and not poly.present and not any(self.filters.values()) and _is_nought(term.factors):
            return ("0",)  # however many rows
        factor: list[Piece] = []
        for node in term.factors:
            factor += [" * (" if factor else "(", node, ")"]
        exact = all(self.type_of(node).family in _EXACT for node in term.factors)
        pieces: list[Piece] = []
        extremes: list[list[Piece]] = [[], []]
        for group in self.groups:
            present = tuple(node for owner, node in poly.present if owner == group)
            nodes = static.get(group)
            if nodes:
                pieces += [" * " if pieces else "", *self.total(group, nodes, present, "sum")]
                if not exact:
                    for which, pile in zip(("min", "max"), extremes, strict=True):
                        pile.extend(self.total(group, nodes, present, which))
            else:
                count = self.count(group, present)
                # A constant of rows that are all left out adds nothing, not 0.
                rows: Template = ("NULLIF(", *count, ", 0)") if present or self.filters.get(group) else count
                pieces += [" * " if pieces else "", "CAST(", *rows, " AS HUGEINT)"]
        if not factor:
            product: list[Piece] = pieces
        elif exact or not static:
            product = [*pieces, " * ", *factor]
        else:
            # An infinite factor times a sum is not the sum of the products: rows of both signs, or of 0, make it NaN.
            low, high = extremes
            product = [
                *("CASE WHEN isfinite(CAST(", *factor, " AS DOUBLE)) THEN ", *pieces, " * ", *factor),
                *(" ELSE ", *low, " * ", *factor, " + ", *high, " * ", *factor, " END"),
            ]
        for divisor in term.divisors:
            product = ["(", *product, ") / ", divisor]
        return tuple(product)

    def rows(self, linear: Linear | None) -> Template:
        """How many rows one row of the groups' product stands for in which the expression is not NULL."""
        if linear is None:
            return ("NULL",)
        if isinstance(linear, Choice):
            return _case(linear, self.rows)
        pieces: list[Piece] = []
        for group in self.groups:
            present = tuple(node for owner, node in linear.present if owner == group)
            pieces += [" * " if pieces else "", "CAST(", *self.count(group, present), " AS HUGEINT)"]
        if not linear.given:
            return tuple(pieces)
        tests: list[Piece] = []
        for node in linear.given:
            tests += [" AND (" if tests else "(", node, ") IS NOT NULL"]
        return ("CASE WHEN ", *tests, " THEN ", *pieces, " END")


def _case(choice: Choice, write: Callable[[Linear | None], Template]) -> Template:
    pieces: list[Piece] = ["CASE"]
    for condition, value in choice.cases:
        pieces += [" WHEN ", *condition, " THEN ", *write(value)]
    if choice.default is not None:
        pieces += [" ELSE ", *write(choice.default)]
    return (*pieces, " END")


def conditions_of(linear: Linear | None) -> list[exp.Expr]:
    """The nodes of `linear` that are computed per row of the groups' product: conditions, and what a run gives."""
    if linear is None:
        return []
    if isinstance(linear, Choice):
        own = [piece for condition, _ in linear.cases for piece in condition if isinstance(piece, exp.Expr)]
        return [*own, *(node for _, value in linear.cases for node in conditions_of(value)), *conditions_of(linear.default)]
    return [*linear.given, *(node for term in linear.terms for node in (*term.factors, *term.divisors))]
