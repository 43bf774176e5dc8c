"""TPC-H as a whole: every query, split and unsplit, gives the same answers for random parameters of the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import duckdb
import pytest
from answers import Answer, ask, difference
from generate import generate, reading, with_tpch
from halves import Residual, build_all
from queries import QUERIES, Query, Values

from forebay.engines.duckdb import describe, quoted
from forebay.split.parameters import bind
from forebay.split.split import Split, split

pytestmark = pytest.mark.slow

SCALE = 0.1
PARAMETER_SETS = 20
MUST_SPLIT = 20
"""So many of the 22 have a Tier-2 table at least."""

Statistics = Callable[[str], int]


class Raw:
    """The tables in Parquet, and one connection that reads them as they are."""

    def __init__(self, directory: Path) -> None:
        self.tables = {table: reading(folder) for table, folder in generate(directory, SCALE).items()}
        self.connection = self.views(dict.fromkeys(self.tables))
        self.schema = {table: describe(self.connection, f"SELECT * FROM {table}") for table in self.tables}
        self.split = cache(self._split)
        self.answer = cache(self._answer)

    def views(self, reads: dict[str, tuple[str, ...] | None]) -> duckdb.DuckDBPyConnection:
        """A new connection that has these columns of these tables, and nothing else."""
        connection = duckdb.connect(config={"threads": 2})
        for table, columns in reads.items():
            listed = "*" if columns is None else ", ".join(map(quoted, columns)) or "1"
            connection.execute(f"CREATE VIEW {quoted(table)} AS SELECT {listed} FROM {self.tables[table.lower()]}")
        return connection

    def count(self, sql: str) -> int:
        found = self.connection.execute(sql).fetchone()
        assert found is not None
        return int(found[0])

    def _answer(self, number: int, index: int) -> tuple[Values, Answer]:
        """One of the parameter sets of a query, and its answer without the split."""
        query = QUERIES[number]
        values = query.some_values(0, index + 1, SCALE)[index]
        return values, ask(self.connection, bind(query.sql, query.parameters), values)

    def _split(self, number: int, measured: bool) -> Split:
        query = QUERIES[number]
        return split(query.sql, self.schema, {}, query.parameters, statistics=self.count if measured else None)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    made = Raw(tmp_path_factory.mktemp("tpch"))
    yield made
    made.connection.close()


@pytest.mark.parametrize("query", QUERIES.values(), ids=[f"q{number}" for number in QUERIES])
def test_the_halves_answer_as_the_whole(raw: Raw, query: Query, tmp_path: Path) -> None:
    check(raw, query, raw.split(query.number, False), tmp_path, PARAMETER_SETS)


@pytest.mark.parametrize("query", QUERIES.values(), ids=[f"q{number}" for number in QUERIES])
def test_the_halves_chosen_by_counting_answer_as_the_whole(raw: Raw, query: Query, tmp_path: Path) -> None:
    plain, measured = raw.split(query.number, False), raw.split(query.number, True)
    if (plain.tier2, plain.residual) != (measured.tier2, measured.residual):
        check(raw, query, measured, tmp_path, PARAMETER_SETS // 4)


def check(raw: Raw, query: Query, done: Split, folder: Path, sets: int) -> None:
    """Build Tier 2 where all of the raw tables are, ask the residual where only what it reads is, and compare."""
    builder, clicks = raw.views(dict.fromkeys(raw.tables)), raw.views(done.reads)
    try:
        for name, view in build_all(builder, done, folder).items():
            clicks.execute(f"CREATE VIEW {quoted(name)} AS {view}")
        residual = Residual(clicks, done, query.parameters)
        unlimited = bind(query.unlimited, query.parameters)
        answered = 0
        for index in range(sets):
            values, expected = raw.answer(query.number, index)
            answered += any(value is not None for row in expected.rows for value in row)
            choices = (lambda values=values: ask(raw.connection, unlimited, values)) if query.limit else None
            different = difference(expected, residual.answer(values), query.ordered, choices)
            assert different is None, f"Q{query.number} with {values}: {different}"
        assert answered, "no parameter set has an answer"
    finally:
        builder.close()
        clicks.close()


def test_the_queries_are_those_of_the_extension(raw: Raw) -> None:
    """Ours, with the specification's validation parameters, answer as the texts that DuckDB ships."""
    shipped = dict(with_tpch().execute("SELECT query_nr, query FROM tpch_queries()").fetchall())
    for number, query in QUERIES.items():
        expected = ask(raw.connection, shipped[number], {})
        given = ask(raw.connection, bind(query.sql, query.parameters), query.validation)
        choices = (lambda number=number: ask(raw.connection, shipped[number].rpartition("LIMIT")[0], {})) if query.limit else None
        assert [name for name, _ in given.columns] == [name for name, _ in expected.columns]
        assert difference(expected, given._replace(columns=expected.columns), query.ordered, choices) is None, f"Q{number}"


def test_parameters_are_drawn_from_the_declared_ones() -> None:
    for query in QUERIES.values():
        for values in [*query.some_values(1, 5, 1.0), query.validation]:
            assert set(values) == set(query.parameters)
        assert query.some_values(1, 5, 1.0) == query.some_values(1, 5, 1.0)


def test_many_of_the_queries_are_split(raw: Raw) -> None:
    done = {number: raw.split(number, False) for number in QUERIES}
    unsplit = [number for number, halves in done.items() if not halves.tier2]
    assert len(QUERIES) - len(unsplit) >= MUST_SPLIT, f"not split: {unsplit}"
