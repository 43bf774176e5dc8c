"""Types that several threads meet at the same moment, for the first time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEETING = """
import sys, threading
import msgspec
from forebay import typed

sys.setswitchinterval(1e-5)
# Each names the one before by a text, which is looked up when the type is met.
for n in range(30):
    before = f"T{n - 1} | None" if n else "int"
    exec(f"class T{n}(msgspec.Struct, frozen=True):\\n  below: '{before}'\\n  words: 'tuple[str, ...]' = ('a',)\\n  size: 'int' = {n}")
outer, value = T29, 7
for n in range(30):
    value = {"below": value}
text = msgspec.json.encode(value)
together = threading.Barrier(8)
seen = []

def meet():
    together.wait()
    seen.append(typed.decode(text, outer))

threads = [threading.Thread(target=meet) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(seen) == 8 and all(one == seen[0] for one in seen)
"""


def test_threads_that_meet_a_type_together_all_get_its_values() -> None:
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", MEETING], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr)


def test_there_is_no_other_way_to_a_type() -> None:
    for path in (ROOT / "forebay").rglob("*.py"):
        if path.name != "typed.py":
            text = path.read_text()
            assert not re.search(r"msgspec\.(json\.decode\([^\n]*type=(?!list\[msgspec\.Raw\])|convert\()", text), path
