"""What an author says must hold of a source or Tier-2 table before an edition is published: the `tests:` of forebay.yaml.

A test is a rule with a name and a severity. What a NULL means is as in SQL: it is no duplicate, no wrong value, and refers to nothing,
so that it breaks no rule but `not_null`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from forebay.project.project import Source, Tier2Table

Value = bool | int | float | str
Severity = Literal["error", "warning"]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of the rules. Strict and comparable, as all that is declared."""

    def relations(self) -> tuple[str, ...]:
        """Other sources and declared Tier-2 tables that it compares with; not those that a SELECT of the author's names."""
        return ()


class Unique(Rule, frozen=True, tag="unique"):
    """No two rows have the same values here. Rows with a NULL among them are not compared."""

    columns: tuple[str, ...]


class NotNull(Rule, frozen=True, tag="not_null"):
    """Every row has a value in each of these columns."""

    columns: tuple[str, ...]


class AcceptedValues(Rule, frozen=True, tag="accepted_values"):
    """The column holds one of these values or NULL."""

    column: str
    values: tuple[Value, ...]


class Relationships(Rule, frozen=True, tag="relationships"):
    """The values of these columns occur together in the columns `to` of `table`. Rows with a NULL among them are not compared."""

    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]

    def relations(self) -> tuple[str, ...]:
        return (self.table,)


class RowCount(Rule, frozen=True, tag="row_count"):
    """How many rows there are: at least, at most, or as many as another relation has."""

    min: int | None = None
    max: int | None = None
    equals: str | None = None

    def relations(self) -> tuple[str, ...]:
        return () if self.equals is None else (self.equals,)


class Sum(Rule, frozen=True, tag="sum"):
    """The sum of a column is that of a column of another relation, give or take `tolerance`, and for DOUBLE 1e-9 of the sum of the absolute
    values."""

    column: str
    table: str
    equals: str
    tolerance: float = 0.0

    def relations(self) -> tuple[str, ...]:
        return (self.table,)


class Range(Rule, frozen=True, tag="range"):
    """The column's values lie between these, which are allowed themselves, or are NULL."""

    column: str
    min: Value | None = None
    max: Value | None = None


class NoRows(Rule, frozen=True, tag="sql"):
    """The SELECT gives no row."""

    sql: str


AnyRule = Unique | NotNull | AcceptedValues | Relationships | RowCount | Sum | Range | NoRows
KINDS = {str(rule.__struct_config__.tag): rule for rule in Rule.__subclasses__()}
"""Each kind of rule by its key in forebay.yaml."""


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule for one relation. With `error` it stops a refresh if it does not hold, with `warning` it is told."""

    name: str
    rule: AnyRule
    severity: Severity = "error"


class Subject(msgspec.Struct, frozen=True):
    """A source or declared Tier-2 table, as far as its tests are concerned."""

    name: str
    section: Literal["sources", "tier2"]
    key: tuple[str, ...]
    tests: tuple[Test, ...]

    @property
    def words(self) -> str:
        """As messages name it."""
        return f"{'source' if self.section == 'sources' else 'Tier-2 table'} `{self.name}`"


def subjects(sources: Iterable[Source], tables: Iterable[Tier2Table]) -> tuple[Subject, ...]:
    """All that could have tests, in the order of forebay.yaml."""
    found = [Subject(source.name, "sources", source.key, source.tests) for source in sources]
    return (*found, *(Subject(table.name, "tier2", table.key, table.tests) for table in tables))
