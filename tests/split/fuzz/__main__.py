"""`python -m fuzz N`: N random calculations, each split and whole, compared. Exit code 1 if any differed."""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
from collections import Counter
from pathlib import Path

from fuzz.calculation import calculation
from fuzz.oracle import Judge
from fuzz.running import alarm, one, run, table
from fuzz.shrinking import read_back
from fuzz.slices import SliceJudge


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="the one calculation of this number, shrunk if it fails")
    parser.add_argument("--slices", action="store_true", help="judge the slicing of static stages instead, in one process")
    parser.add_argument("--again", type=Path, nargs="+", help="files that were saved, judged once more")
    parser.add_argument("--save", type=Path, help="the folder for cases that fail")
    parser.add_argument("--workers", type=int, default=min(2, multiprocessing.cpu_count()))
    asked = parser.parse_args()
    if asked.again:
        verdicts = {path: Judge().judge(read_back(path.read_text())) for path in asked.again}
        print("\n".join(f"{path}: {verdict.kind} {verdict.detail}" for path, verdict in verdicts.items()))
        return int(any(verdict.wrong for verdict in verdicts.values()))
    if asked.slices:
        slicer = SliceJudge()
        wrong = [found for index in range(asked.count) for found in slicer.slices(calculation(f"{asked.seed}:{index}"))]
        print("\n\n".join([*wrong, "  ".join(f"{kind} {count:,}" for kind, count in slicer.counts.most_common())]))
        return int(bool(wrong))
    if asked.only is not None:
        signal.signal(signal.SIGALRM, alarm)
        print(calculation(f"{asked.seed}:{asked.only}").script)
        verdict, text = one(Judge(), f"{asked.seed}:{asked.only}", Counter())
        print(text or verdict)
        return int(verdict.wrong)
    counts = run(asked.count, asked.seed, asked.workers, asked.save, sys.stderr)
    print(table(counts))
    return int(counts.different > 0)


if __name__ == "__main__":
    sys.exit(main())
