"""Small projects, made and refreshed in a test's own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from forebay.lake.root import Lake, open_lake
from forebay.project.edition import Edition
from forebay.project.folder import Folder
from forebay.refresh.plan import Plan, Planned
from forebay.refresh.refresh import Outcome, refresh
from forebay.run.protocol import Outcome as RunOutcome
from forebay.run.protocol import RunSpec
from forebay.run.request import request
from forebay.run.run import execute, open_edition
from forebay.run.verify import Verdict, verify
from forebay.state.store import Store


@contextmanager
def _silent(*_: object) -> Iterator[Any]:
    yield lambda progress: None


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.built_tables: list[str] = []
        self.failed_tables: list[str] = []
        self.checked_tables: list[str] = []
        self.hashed: list[str] = []

    def hashing(self, path: str, size: int) -> None:
        self.hashed.append(Path(path).name)

    @contextmanager
    def watching(self, plan: Plan) -> Iterator[Heard]:
        self.plan = plan
        yield self

    def building(self, table: Planned, percent: float) -> None:
        pass

    def built(self, table: Planned, rows: int, size: int, seconds: float) -> None:
        self.built_tables.append(table.definition.name)

    def failed(self, table: Planned, error: Exception) -> None:
        self.failed_tables.append(table.definition.name)

    def checking(self, table: str, percent: float) -> None:
        pass

    def checked(self, table: str, found: Any, seconds: float) -> None:
        self.checked_tables.append(table)


class Small:
    """A project folder in a test's hands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.heard = Heard()

    def declare(self, **sections: Any) -> Small:
        """Write forebay.yaml (JSON is YAML). Tier-2 tables and calculations whose `sql` is no file name get one."""
        document: dict[str, Any] = {"project": "small", **sections}
        for section in ("tier2", "calculations"):
            if section not in document:
                continue
            document[section] = {
                name: {"sql": values} if isinstance(values, str) else dict(values) for name, values in document[section].items()
            }
            for name, values in document[section].items():
                if not values["sql"].endswith(".sql"):
                    file = f"{section}/{name}.sql"
                    self.write(file, values["sql"])
                    values["sql"] = file
        self.write("forebay.yaml", json.dumps(document, indent=1))
        return self

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project, as an editor or a feed would."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def parquet(self, name: str, select: str) -> Path:
        """Write a Parquet file with the rows of a SELECT."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{str(target).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
        return target

    def refresh(self) -> Outcome:
        self.heard = Heard()
        return refresh(self.folder, self.heard.watching, self.heard.hashing)

    @property
    def lake(self) -> Lake:
        folder = Folder(self.folder)
        return open_lake(folder.lake, folder.name, folder.path)

    def edition(self, number: int | None = None) -> Edition:
        """An edition as published, by default the current one."""
        found = Store(self.lake.state).edition(number)
        assert found is not None
        return msgspec.json.decode(found[2], type=Edition)

    def slices(self) -> dict[str, tuple[int, int]]:
        """(inode, mtime) of every file of every finished slice, by path below `slices/`."""
        root = self.lake.slices
        found = [path for path in root.rglob("*") if path.is_file() and not any(p.startswith(".") for p in path.relative_to(root).parts)]
        return {str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    def rows(self, table: str, number: int | None = None) -> list[tuple[Any, ...]]:
        """The rows of a Tier-2 table, from its files by plain DuckDB, sorted."""
        files = self.edition(number).tables[table].files
        with duckdb.connect() as connection:
            return connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false) ORDER BY ALL", [list(files)]).fetchall()

    def run(self, calculation: str, inputs: Mapping[str, Path] | None = None, **parameters: Any) -> tuple[RunSpec, RunOutcome]:
        """Run a calculation on the current edition, as `forebay run` does."""
        store = Store(self.lake.state)
        edition = open_edition(Folder(self.folder), store)
        spec = request(edition, self.lake, calculation, parameters, inputs or {})
        outcome = execute(edition, spec, self.lake, store, _silent)
        if outcome.failure is not None:
            raise outcome.failure
        return spec, outcome

    def check(self, spec: RunSpec, outcome: RunOutcome) -> Verdict:
        """Compare a run with the unsplit script, as `forebay verify` does."""
        return verify(self.edition(spec.edition), spec, outcome, self.lake.runs / spec.id, lambda name, percent: None)

    def verify(self, calculation: str, inputs: Mapping[str, Path] | None = None, **parameters: Any) -> Verdict:
        """Run a calculation and compare it."""
        return self.check(*self.run(calculation, inputs, **parameters))

    def seen(self, table: str, tag: str | None = None) -> list[tuple[Any, ...]]:
        """The rows of a Tier-2 table as a reader sees them who knows pyiceberg and the catalogue only, sorted."""
        return outside(self.folder / "lake", table, tag)


def outside(lake: Path, table: str, tag: str | None = None) -> list[tuple[Any, ...]]:
    """Rows of an Iceberg table by pyiceberg alone, on `main` or at a tag, sorted."""
    return in_order(tuple(row.values()) for row in arrow(lake, table, tag).to_pylist())


def arrow(lake: Path, table: str, tag: str | None = None) -> Any:
    """An Iceberg table as Arrow, by pyiceberg alone, on `main` or at a tag."""
    from pyiceberg.catalog.sql import SqlCatalog

    loaded = SqlCatalog("forebay", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}/iceberg").load_table(table)
    scan = loaded.scan() if tag is None else loaded.scan(snapshot_id=loaded.metadata.refs[tag].snapshot_id)
    return scan.to_arrow()


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: [(value is not None, str(value)) for value in row])


def cli(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`forebay …` as a process of its own."""
    command = [sys.executable, "-m", "forebay", *arguments, "-C", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def settle(*paths: Path) -> None:
    """Wait until files are old enough for their stat to be believed."""
    import time

    newest = max(path.stat().st_ctime_ns for path in paths)
    time.sleep(max(0.0, (newest + 2_050_000_000 - time.time_ns()) / 1e9))


SALES: Mapping[str, Any] = {"path": "data/sales/*.csv", "columns": {"id": "integer", "k": "varchar", "v": "decimal(10,2)"}}
"""A source of three columns that many tests share."""


def sales(*rows: tuple[int, str, str]) -> str:
    """A CSV file of that source."""
    return "id,k,v\n" + "".join(f"{id_},{k},{v}\n" for id_, k, v in rows)
