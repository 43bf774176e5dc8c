"""Tier 2 after any history of its sources and its project is the declared SELECT run once by plain DuckDB over the files of the edition."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import msgspec
import pytest
from dying import dying
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from small import Small

from forebay import config
from forebay.lake import expire
from forebay.project.edition import Definition, Edition
from forebay.project.project import Retention
from forebay.refresh import refresh as refreshing
from forebay.refresh import slicings
from forebay.refresh.lease import held
from forebay.refresh.pieces import relations
from forebay.retention.gc import collect
from forebay.state.store import Store

MANY = int(os.environ.get("FOREBAY_HISTORIES", "0"))
"""How many histories a long run tries; see `make histories`."""
STEPS = 12

LATEST = {  # not by slices: a window over rows
    "sql": "SELECT k, name FROM names QUALIFY row_number() OVER (PARTITION BY k ORDER BY seen DESC, name) = 1",
    "key": ["k"],
}
NAMED = {  # over tables
    "sql": "SELECT coalesce(l.name, '?') AS name, sum(t.v) AS v FROM totals AS t LEFT JOIN latest AS l USING (k) GROUP BY 1",
    "key": ["name"],
}
ON_HAND = {"sql": "SELECT k, n FROM stock", "key": ["k"]}  # of upserts
BY_DAY = "SELECT k, day, sum(v) AS v, count(*) AS n FROM sales GROUP BY k, day"
TOTALS: dict[str, dict[str, Any]] = {
    "in parts": {"sql": BY_DAY, "key": ["k", "day"], "partition_by": "day"},
    "in other parts": {"sql": BY_DAY, "key": ["day", "k"], "partition_by": "k", "sort_by": ["v"]},
    "with a mean": {
        "sql": "SELECT k, day, sum(v) AS v, avg(v) AS n, max(v) AS most FROM sales WHERE v > 1 GROUP BY ALL",
        "partition_by": "day",
    },
    "combined whole": {"sql": "SELECT k, sum(v) AS v, count(DISTINCT day) AS days FROM sales GROUP BY k HAVING count(*) > 1", "key": ["k"]},
    "parted by what only the whole gives": {
        "sql": "SELECT k, max(day) AS last, sum(v) AS v FROM sales GROUP BY k",
        "partition_by": "last",
    },
}
EXTRA: dict[str, dict[str, Any] | None] = {
    "none": None,
    "row for row": {"sql": "SELECT s.k, s.v * 2 AS w, l.name FROM sales AS s LEFT JOIN latest AS l USING (k) WHERE s.v > 1"},
    "row for row in parts": {"sql": "SELECT k, day, v FROM sales", "partition_by": "k", "sort_by": ["v"]},
    "above a join": {
        "sql": "SELECT l.name, s.day, sum(s.v) AS v, count(*) AS n FROM sales AS s LEFT JOIN latest AS l USING (k) GROUP BY ALL",
        "partition_by": "name",
    },
    "above a join of upserts": {"sql": "SELECT s.day, sum(s.v * o.n) AS v FROM sales AS s JOIN stock AS o USING (k) GROUP BY 1"},
    "above a join in parts": {
        "sql": "SELECT s.day, l.name, sum(s.v) AS v FROM sales AS s JOIN latest AS l USING (k) GROUP BY ALL",
        "key": ["day", "name"],
        "partition_by": "day",
    },
    "a median in parts": {
        "sql": "SELECT s.day, median(s.v) AS v, count(l.name) AS n FROM sales AS s LEFT JOIN latest AS l USING (k) GROUP BY s.day",
        "key": ["day"],
        "partition_by": "day",
    },
    "the best in parts": {
        "sql": "SELECT k, day, v FROM sales QUALIFY rank() OVER (PARTITION BY k ORDER BY v DESC) = 1",
        "partition_by": "k",
    },
    "a median": {"sql": "SELECT day, median(v) AS v FROM sales GROUP BY day", "key": ["day"]},
    "over an edge": {"sql": "SELECT n.name, count(t.k) AS n FROM latest AS n LEFT JOIN totals AS t USING (k) GROUP BY 1", "key": ["name"]},
}
PLAN = {
    "none": "",
    "details": "CREATE TABLE wide AS SELECT s.k, s.v, l.name FROM sales AS s LEFT JOIN latest AS l USING (k);\n"
    "CREATE TABLE o AS SELECT name, sum(v) AS v FROM wide WHERE v > $x GROUP BY name;",
    "sums": "CREATE TABLE o AS SELECT day, sum(v) AS v FROM sales WHERE length(k) >= $x GROUP BY day;",
}
SOURCES: dict[str, dict[str, Any]] = {
    "sales": {
        "path": "data/sales/*.csv",
        "columns": {"k": "varchar", "day": "integer", "v": "decimal(9,2)"},
        "options": {"header": True},
    },
    "names": {
        "path": "data/names/*.csv",
        "columns": {"k": "varchar", "name": "varchar", "seen": "date"},
        "options": {"header": True},
    },
    "stock": {"path": "data/stock/*.csv", "columns": {"n": "integer"}, "key": ["k"], "latest": "seq", "deleted": "op = 'D'"},
}
READ_AS = {
    "sales": "{'k': 'VARCHAR', 'day': 'INTEGER', 'v': 'DECIMAL(9,2)'}",
    "names": "{'k': 'VARCHAR', 'name': 'VARCHAR', 'seen': 'DATE'}",
    "stock": "{'k': 'VARCHAR', 'seq': 'INTEGER', 'n': 'INTEGER', 'op': 'VARCHAR'}",
}
# By another way than the refresh goes: what is newest for a key, then whether that is a deletion.
STOCK = (
    "CREATE OR REPLACE TABLE stock AS SELECT DISTINCT s.k, s.seq, s.n, s.op FROM stock AS s "
    "JOIN (SELECT k, max(seq) AS seq FROM stock GROUP BY k) AS m ON s.k = m.k AND s.seq = m.seq WHERE s.op <> 'D'"
)
GRACELESS = Retention(editions=1, edition_days=0, runs_days=0, inputs_days=0, grace_hours=0)

keys = st.sampled_from(["a", "b", "c", "d"])
days = st.one_of(st.none(), st.integers(1, 3))
sale_rows = st.lists(st.tuples(keys, days, st.integers(0, 9)), max_size=6)
name_rows = st.lists(st.tuples(keys, st.sampled_from(["Ada", "Bob", "Cyd"]), st.integers(1, 4)), max_size=4)
stock_rows = st.lists(st.tuples(keys, st.integers(1, 9)), max_size=6)

Bag = Counter[tuple[Any, ...]]


def _sales(rows: list[tuple[str, int | None, int]]) -> str:
    return "k,day,v\n" + "".join(f"{k},{'' if day is None else day},{v}.00\n" for k, day, v in rows)


def _names(rows: list[tuple[str, str, int]]) -> str:
    return "k,name,seen\n" + "".join(f"{k},{name},2025-01-0{at}\n" for k, name, at in rows)


def _stock(rows: list[tuple[str, int]]) -> str:
    """Rows of a key as they were at a time: what they say follows from both, so that two of them cannot differ. Every third is a deletion."""
    return "k,seq,n,op\n" + "".join(f"{k},{seq},{10 * seq},{'D' if seq % 3 == 0 else 'U'}\n" for k, seq in rows)


def _tier2(totals: str, extra: str) -> dict[str, dict[str, Any]]:
    tables = {"latest": LATEST, "totals": TOTALS[totals], "named": NAMED, "on_hand": ON_HAND}
    more = EXTRA[extra]
    return {**tables, "extra": more} if more else tables


class Histories(RuleBasedStateMachine):
    """A small project whose feeds and author do what they like."""

    outside: ClassVar[bool] = False
    """Whether readers of the catalogue are asked too."""
    folder: ClassVar[Path]
    plain: ClassVar[duckdb.DuckDBPyConnection]
    alone: ClassVar[bool] = False
    """Whether slices that hold only what the source gives are taken for much smaller than it."""

    @initialize(small_file=st.sampled_from(["1B", "40B", "256kB"]), alone=st.booleans())
    def begin(self, small_file: str, alone: bool) -> None:
        """Each file a slice, some files one, or all of them, so that tables are computed as a whole."""
        type(self).alone = alone
        self.small_file = small_file
        self.small = Small(self.folder / "p")
        self.data = self.small.folder / "data"
        self.shown: dict[int, dict[str, Bag]] = {}
        begun = self.folder / f"begun {small_file}"
        # The same for all, so it is kept; it lies at the same path again.
        shutil.rmtree(self.small.folder)
        if begun.exists():
            shutil.copytree(begun, self.small.folder)
        self._declare("in parts", "none", "details")
        if not begun.exists():
            self.small.write("data/sales/1.csv", _sales([("a", 1, 5), ("z", None, 7)]))
            self.small.write("data/names/1.csv", _names([("a", "Ada", 1)]))
            self.small.write("data/stock/1.csv", _stock([("a", 1), ("b", 2)]))
            self.small.refresh()
            shutil.copytree(self.small.folder, begun)
        self.lake = self.small.lake
        self.store = Store(self.lake.state)
        self._right()

    def _declare(self, totals: str, extra: str, plan: str) -> None:
        self.tier2 = _tier2(totals, extra)
        calculation = {"sql": PLAN[plan], "parameters": {"x": {"type": "integer", "default": 1}}}
        self.small.declare(
            limits={"small_file": self.small_file},
            sources=SOURCES,
            tier2=self.tier2,
            calculations={"plan": calculation} if PLAN[plan] else {},
        )

    # What feeds do

    @rule(file=st.integers(1, 5), rows=sale_rows)
    def add_or_replace(self, file: int, rows: list[tuple[str, int | None, int]]) -> None:
        (self.data / "sales" / f"{file}.csv").write_text(_sales(rows))

    @rule(file=st.integers(0, 1), rows=sale_rows)
    def late(self, file: int, rows: list[tuple[str, int | None, int]]) -> None:
        """Before all others by name and long after them by time, with rows of days that are there."""
        (self.data / "sales" / f"0-late-{file}.csv").write_text(_sales(rows))

    @rule(source=st.sampled_from(["sales", "names", "stock"]), which=st.integers(0, 4))
    def delete(self, source: str, which: int) -> None:
        files = self._files(source)
        if len(files) > 1:
            files[which % len(files)].unlink()

    @rule(which=st.integers(0, 4), copy=st.integers(1, 5))
    def duplicate(self, which: int, copy: int) -> None:
        files = self._files("sales")
        target = self.data / "sales" / f"{copy}-again.csv"
        if files[which % len(files)] != target:
            shutil.copyfile(files[which % len(files)], target)

    @rule(which=st.integers(0, 4), name=st.integers(1, 5))
    def rename(self, which: int, name: int) -> None:
        """To a name that may be taken."""
        files = self._files("sales")
        files[which % len(files)].replace(self.data / "sales" / f"{name}.csv")

    @rule(which=st.integers(0, 4), v=st.integers(1, 9))
    def overwrite_at_the_same_size(self, which: int, v: int) -> None:
        files = self._files("sales")
        file = files[which % len(files)]
        stat = file.stat()
        lines = file.read_text().splitlines(keepends=True)
        with file.open("r+") as stream:
            stream.write("".join(line[:-5] + f"{v}.00\n" if line.endswith(".00\n") else line for line in lines))
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert file.stat().st_size == stat.st_size

    @rule(file=st.integers(1, 3), rows=name_rows)
    def change_the_dimension(self, file: int, rows: list[tuple[str, str, int]]) -> None:
        (self.data / "names" / f"{file}.csv").write_text(_names(rows))

    @rule(file=st.integers(1, 3), rows=stock_rows)
    def upsert(self, file: int, rows: list[tuple[str, int]]) -> None:
        (self.data / "stock" / f"{file}.csv").write_text(_stock(rows))

    # What its author and its users do

    @rule(totals=st.sampled_from(sorted(TOTALS)), extra=st.sampled_from(sorted(EXTRA)), plan=st.sampled_from(sorted(PLAN)))
    def change_the_script(self, totals: str, extra: str, plan: str) -> None:
        event(f"totals {totals}")
        event(f"extra {extra}")
        self._declare(totals, extra, plan)

    @rule()
    def a_run_begins_and_goes_on(self) -> None:
        """It pins the edition for good."""
        number = self._edition().number
        self.store.start_run(f"run-{len(self.store.running())}", "plan", number, os.getpid())

    # What happens then

    @rule()
    def refresh(self) -> None:
        self.small.refresh()
        self._right()

    @rule(moments=st.integers(1, 160))
    def crash(self, moments: int) -> None:
        """A refresh dies at some moment, or lives."""
        with dying(moments) as life:
            self.small.refresh()
        event("a refresh died" if life.over else "a refresh lived")
        # Whatever is current now: it is whole, and those before are as they were.
        if self._edition().number in self.shown:
            self._as_they_were()
        else:
            # Readers of the catalogue may be shown the one before until the next refresh.
            self._right(shown=False)

    @rule(moments=st.one_of(st.just(10_000), st.integers(1, 60)))
    def gc(self, moments: int) -> None:
        """All that may go goes, or some of it."""
        pinned = self.store.pinned()
        with dying(moments) as life, held(self.lake, self.store):
            collect(self.lake, self.store, GRACELESS)
        kept = set(self.store.published())
        assert pinned | {max(self.shown)} <= kept
        if not life.over:
            event("collected")
            assert kept == pinned | {max(self.shown)}
        self._as_they_were()

    @rule(rows=name_rows)
    def a_feed_breaks_and_is_mended(self, rows: list[tuple[str, str, int]]) -> None:
        self.small.refresh()
        self._right()
        broken = self.small.write("data/sales/broken.csv", "k,day,v\na\n")
        self.small.write("data/names/other.csv", _names([*rows, ("a", "Eve", 9)]))
        assert [told.source for told in self.small.refresh().sources.kept] == ["sales"]
        broken.unlink()
        self._right(kept=("sales",) if self._edition().sources["sales"].kept else ())

    def teardown(self) -> None:
        """In the end all is made good, and there is nothing left to do."""
        if not hasattr(self, "store"):
            return
        assert not self.small.refresh().sources.kept
        self._right()
        assert not self.small.refresh().published
        assert self.small.heard.built_tables == []
        with held(self.lake, self.store):
            collect(self.lake, self.store, GRACELESS)
        self._as_they_were()
        assert list(self.lake.slices.glob("*/.*")) == []
        assert list(self.lake.locks.iterdir()) == []

    # What must hold

    def _files(self, source: str) -> list[Path]:
        return sorted((self.data / source).glob("*.csv"))

    def _edition(self, number: int | None = None) -> Edition:
        found = self.store.edition(number)
        assert found is not None
        return msgspec.json.decode(found[2], type=Edition)

    def _held(self, edition: Edition) -> dict[str, Bag]:
        return {
            name: self._bag(f"FROM read_parquet({list(table.files)}, hive_partitioning = false, union_by_name = true)")
            for name, table in edition.tables.items()
        }

    def _bag(self, select: str) -> Bag:
        return Counter(self.plain.execute(select).fetchall())

    def _as_they_were(self) -> None:
        """Every edition that is kept holds what it held when it was published."""
        for number in self.store.published():
            assert self._held(self._edition(number)) == self.shown[number], number

    def _right(self, kept: tuple[str, ...] = (), *, shown: bool = True) -> None:
        """The current edition is what plain DuckDB makes of its files. `kept` are sources that stay at their last version."""
        edition = self._edition()
        for name, version in edition.sources.items():
            assert {file.path for file in version.files} == {str(path) for path in self._files(name)}, name
            assert bool(version.kept) == (name in kept)
            assert sum(file.rows for file in version.files) == version.rows
            files = [file.path for file in version.files]
            self.plain.execute(
                f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_csv({files}, header = true, columns = {READ_AS[name]})"
            )
        self.plain.execute(STOCK)
        assert {t.definition.relation for t in edition.tables.values() if t.definition.kind == "declared"} == set(self.tier2)
        held_rows = self._held(edition)
        for name, table in edition.tables.items():
            right = self._once(table.definition)
            assert held_rows[name] == right, name
            assert sum(right.values()) == table.rows, name
            if table.definition.key:
                columns = [column.name for column in table.definition.columns]
                places = [columns.index(column) for column in table.definition.key]
                assert len({tuple(row[place] for place in places) for row in right.elements()}) == table.rows, name
            if self.outside and shown:
                assert Counter(self.small.seen(name)) == right, name
        self.shown[edition.number] = held_rows

    def _once(self, definition: Definition) -> Bag:
        """What the SELECT of a table gives, over what it reads, which is there: the author's own, or the one that the split made."""
        if definition.kind == "declared":
            sql = self.tier2[definition.relation]["sql"]
            self.plain.execute(f"CREATE OR REPLACE TABLE {definition.relation} AS {sql}")
            return self._bag(f"FROM {definition.relation}")
        for name, full in relations(definition).items():
            if full.partition(".")[0] == "plan":
                self.plain.execute(f'CREATE OR REPLACE TEMP VIEW {name} AS FROM "{full}"')
        self.plain.execute(f'CREATE OR REPLACE TABLE "{definition.name}" AS {definition.sql}')
        return self._bag(f'FROM "{definition.name}"')


@contextmanager
def _without_the_catalogue() -> Iterator[None]:
    """It has no part in what a table holds, and takes most of the time. What is pure is computed once for the same arguments."""

    class Nothing:
        """What there is to expire in a catalogue that nobody wrote to."""

        contents = frozenset[str]()
        referenced = frozenset[Path]()

        def __init__(self, *given: object) -> None:
            pass

        def carry_out(self) -> expire.Expired:
            return expire.Expired(0, 0, (), 0, 0, self.contents)

    slicing = slicings.slicing
    sliced: dict[str, Any] = {}

    def once(sql: str, source: str, read: Any, *, alone: bool) -> Any:
        asked = repr((sql, source, read, alone))
        if asked not in sliced:
            try:
                sliced[asked] = slicing(sql, source, read, alone=alone)
            except slicings.NotSliced as error:
                sliced[asked] = error
        if isinstance(sliced[asked], slicings.NotSliced):
            raise sliced[asked]
        return sliced[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refreshing, "_stage", lambda edition, lake: None)
        patch.setattr(refreshing, "_show", lambda edition, lake, store: store.shown_in_lake(edition.number))
        patch.setattr(refreshing, "_next_number", lambda lake, current: (current.number if current else 0) + 1)
        patch.setattr(expire, "Expiry", Nothing)
        patch.setattr(slicings, "slicing", once)
        patch.setattr(config, "Document", functools.cache(config.Document))
        yield


def _live(histories: type[Histories], examples: int, steps: int) -> None:
    # In memory where there is such a place: nothing here depends on how slow a disk is.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="forebay-histories-", dir=place) as folder, duckdb.connect(config={"threads": 1}) as plain:
        histories.folder, histories.plain = Path(folder).resolve(), plain
        (histories.folder / "p").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(slicings, "_is_small", lambda *given: histories.alone)
            run_state_machine_as_test(
                histories,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    derandomize=not MANY,
                    database=None,
                ),
            )


def test_after_any_history_every_table_is_its_select_over_the_files_of_the_edition() -> None:
    with _without_the_catalogue():
        _live(Histories, MANY or 100, STEPS)


def test_after_any_history_an_outside_reader_sees_the_same() -> None:
    class Outside(Histories):
        outside = True

    _live(Outside, 3, STEPS)
