"""One random calculation: sources, inputs, parameters, a script, and several sets of values and uploads to try it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from fuzz.data import SORTS, Table, Taste, columns, rows
from fuzz.expressions import Drawn, values
from fuzz.joins import Relation
from fuzz.queries import Asked, query
from fuzz.tree import Many, node

CHANCES = {
    "left": 0.08, "derived": 0.05, "cte": 0.07, "subquery": 0.05, "exists": 0.04, "scalar": 0.03, "window": 0.04, "qualify": 0.03,
    "set_operation": 0.03, "count_distinct": 0.05, "distinct": 0.04, "distinct_on": 0.02, "filter": 0.06, "having": 0.08, "rollup": 0.03,
    "order_limit": 0.06, "or_factored": 0.04, "groups": 0.06, "detail": 0.22, "mixed": 0.35, "stages": 0.2,
}  # fmt: skip
"""How often each construct is drawn when it is not what a calculation is about."""

THEMES = [
    *CHANCES,
    "groups",
    "groups",
    "left",
    "left",
    "derived",
    "cte",
    "stages",
    "rollup",
    "set_operation",
    "or_factored",
    "exists",
    "subquery",
]
"""What a calculation may be about, the more often the harder it is to come by."""

TRIALS = 3
_ONE_TABLE = ["t", "g", "h", "Lines"]
_NAMES = ["v", "w", "x", "y", "s", "day", "amount", "flag", "name", "Net"]


@dataclass(slots=True)
class Trial:
    """Values of the parameters and what was uploaded."""

    values: dict[str, str | None]
    uploads: dict[str, list[list[str]]]


@dataclass(slots=True)
class Calculation:
    """A calculation, and how the split is asked."""

    seed: str
    sources: dict[str, Table]
    inputs: dict[str, Table]
    parameters: dict[str, str]
    script: Many
    trials: list[Trial]
    typed: bool = False
    """The split is told the stages' types."""
    counted: bool = False
    """The split may count."""
    all_outputs: bool = False
    themes: list[str] = field(default_factory=list)

    def relations(self, tables: dict[str, Table]) -> dict[str, dict[str, str]]:
        return {name: table.columns for name, table in tables.items()}


def calculation(seed: str) -> Calculation:
    """The calculation of a seed."""
    r = Random(seed)
    taste = Taste.some(r)
    names = r.sample(_ONE_TABLE, r.choice([2, 3, 3, 4]))
    sources = {name: Table(columns(r, _NAMES)) for name in names}
    inputs = {name: Table(columns(r, _NAMES)) for name in r.choice([["d"], ["d"], ["d", "e"]])}
    for table in sources.values():
        table.rows = rows(r, table.columns, taste, 8)
    d = Drawn(r, taste)
    themes = r.choices(THEMES, k=r.choices([0, 1, 2], [0.1, 0.65, 0.25])[0])
    d.chances = CHANCES | dict.fromkeys(themes, 0.7)
    if "detail" in themes and r.random() < 0.5:
        d.chances["window"] = max(d.chances["window"], 0.3)
    relations = [Relation(name, _sorts(table), False) for name, table in sources.items()]
    relations += [Relation(name, _sorts(table), True) for name, table in inputs.items()]
    script = _script(d, relations)
    text = str(script)
    parameters = {name: type_ for name, type_ in d.parameters.items() if f"${name}" in text}
    trials = []
    for number in range(r.choice([2, 2, TRIALS])):
        uploads = {name: rows(r, table.columns, taste, 5) for name, table in inputs.items()}
        # None NULL at first: the types of the stages are those of that trial.
        trials.append(Trial(values(d, parameters, 0.2 if number else 0.0), uploads))
    used = {name: table for name, table in sources.items() if name in text} or dict(list(sources.items())[:1])
    return Calculation(
        seed, used, inputs, parameters, script, trials, r.random() < 0.6, r.random() < 0.15, r.random() < 0.08, themes
    )  # fmt: skip


def _sorts(table: Table) -> tuple[tuple[str, str], ...]:
    return tuple((name, SORTS[type_]) for name, type_ in table.columns.items())


def _script(d: Drawn, relations: list[Relation]) -> Many:
    """One SELECT, or stages, each of which may read those above it."""
    r = d.r
    if not d.does("stages"):
        made = query(d, relations, Asked(1 if r.random() < 0.85 else 2, named=r.random() < 0.75, key=False))
        return Many([node("stage", "create table s as {};", made.text)], "\n", least=1)
    stages = []
    relations = list(relations)
    few = r.choice([2, 2, 2, 3, 3, 4])
    for index in range(few):
        last = index == few - 1
        kind = "dynamic" if last else r.choice(["static", "detail", "detail", "dynamic"])
        outside = dict(d.chances)
        if not last:
            d.chances |= {"order_limit": 0.02, "set_operation": min(outside["set_operation"], 0.3), "cte": min(outside["cte"], 0.2)}
        d.static = kind == "static"
        made = query(
            d, relations, Asked(1, grouped=False if kind == "detail" else None if not last else True if r.random() < 0.6 else None)
        )
        d.static, d.chances = False, outside
        name = f"s{index + 1}"
        stages.append(node("stage", f"create table {name} as {{}};", made.text))
        relations += [Relation(name, made.columns, made.dynamic)] * 3
    return Many(stages, "\n", least=1)
