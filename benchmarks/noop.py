"""A refresh with nothing to do, over many files: one JSON line, whole processes.

    python benchmarks/noop.py [FILES] [RUNS]

Also says what the first refresh took, and one after a single file more, of which only that file is opened.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOREBAY = [sys.executable, "-m", "forebay"]


def refresh(project: Path) -> tuple[float, dict[str, object]]:
    """Wall seconds of a whole `forebay refresh`, and its outcome."""
    started = time.perf_counter()
    done = subprocess.run([*FOREBAY, "refresh", "--json"], cwd=project, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, json.loads(done.stdout)


def write(project: Path, number: int) -> None:
    """One file of the source, two rows of CSV, in one of a hundred folders."""
    folder = project / "data" / f"{number % 100:02}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.csv").write_text(f"id,k,v\n{2 * number},a,1.50\n{2 * number + 1},b,2.50\n")


def main() -> None:
    """Measure and print."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "tier2").mkdir()
        (project / "tier2" / "t.sql").write_text("SELECT k, sum(v) AS v, count(*) AS n FROM s GROUP BY k")
        (project / "forebay.yaml").write_text(
            "project: noop\nsources:\n  s: {path: data, format: csv, columns: {v: 'decimal(10,2)'}}\n"
            "tier2:\n  t: {sql: tier2/t.sql, key: [k]}\n"
        )
        for number in range(files):
            write(project, number)
        time.sleep(2.1)  # a file's hash is believed once it has rested
        first, _ = refresh(project)
        samples = []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(runs):
            seconds, outcome = refresh(project)
            assert not outcome["published"]
            samples.append(seconds)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        write(project, files)
        one_more, outcome = refresh(project)
        assert outcome["published"]
    line = {
        "benchmark": "noop_refresh_many_files", "files": files, "median": round(statistics.median(samples) * 1000, 1),
        "min": round(min(samples) * 1000, 1), "max": round(max(samples) * 1000, 1), "unit": "ms", "runs": runs, "aim": "< 1000",
        "cpu_ms": round((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / runs * 1000, 1),
        "first_refresh_s": round(first, 2), "one_more_file_s": round(one_more, 2),
    }  # fmt: skip
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
