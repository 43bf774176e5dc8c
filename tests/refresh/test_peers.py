"""The cases that systems of this kind are known to get wrong, one test each, through the product's own doors. Answers are written by hand.

Where a number was seen elsewhere, it is the one that is asserted not to come: 102 for 42, 10 for 17.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from dying import dying
from small import Small

from forebay.errors import ForebayError
from forebay.state.store import Store

SALES = {"path": "data/sales/*.csv", "columns": {"day": "date", "k": "varchar", "v": "integer"}, "options": {"header": True}}
NAMES = {"path": "data/names.csv", "columns": {"k": "varchar", "name": "varchar"}, "options": {"header": True}}
DAILY = {"sql": "SELECT day, sum(v) AS v FROM sales GROUP BY day", "key": ["day"], "partition_by": "day"}
TOTAL = "SELECT sum(v) AS v FROM sales"
NAMED = "SELECT coalesce(name, '?') AS name, sum(v) AS v FROM sales LEFT JOIN names USING (k) GROUP BY 1"


@pytest.fixture
def shop(small: Small) -> Small:
    """Sales by day, in total and by name. Each file is a slice of its own."""
    small.declare(
        limits={"small_file": "1B"},
        sources={"sales": SALES, "names": NAMES},
        tier2={"daily": DAILY, "total": TOTAL, "named": NAMED},
    )
    small.write("data/names.csv", "k,name\na,Ada\nb,Bob\n")
    return small


def deliver(shop: Small, file: str, *rows: str) -> Path:
    """A file of sales, written as a feed writes it. Rows: "DAY K V", the day of March 2026."""
    lines = (f"2026-03-{int(day):02},{k},{v}\n" for day, k, v in (row.split() for row in rows))
    return shop.write(f"data/sales/{file}.csv", "day,k,v\n" + "".join(lines))


def daily(shop: Small) -> dict[int, int]:
    """What is sold by day of the month, as readers of the catalogue see it; runs see the same files."""
    seen = {day.day: int(v) for day, v in shop.seen("tier2.daily")}
    assert seen == {day.day: int(v) for day, v in shop.rows("tier2.daily")}
    return seen


def total(shop: Small) -> int:
    ((v,),) = shop.seen("tier2.total")
    assert v == sum(daily(shop).values())
    return int(v)


def named(shop: Small) -> dict[str, int]:
    return {name: int(v) for name, v in shop.seen("tier2.named")}


# Rows that come late, twice, otherwise or not at all


def test_refreshing_again_adds_nothing_to_a_rollup(shop: Small) -> None:
    deliver(shop, "1", "1 a 10", "1 b 20")
    shop.refresh()
    shop.refresh()
    assert total(shop) == 30
    deliver(shop, "2", "2 a 12")
    shop.refresh()
    assert total(shop) == 42  # 102: what it was at each refresh, added up


def test_same_day_late(shop: Small) -> None:
    deliver(shop, "1", "1 a 10")
    shop.refresh()
    deliver(shop, "1-evening", "1 a 7")
    shop.refresh()
    assert daily(shop) == {1: 17}  # 10: the day was done already


def test_nine_days_late(shop: Small) -> None:
    for day, v in ((1, 10), (5, 1), (10, 2)):
        deliver(shop, f"{day}", f"{day} a {v}")
        shop.refresh()
    deliver(shop, "10-again", "1 a 7")
    shop.refresh()
    assert daily(shop) == {1: 17, 5: 1, 10: 2}  # 10: beyond the lookback


def test_a_late_file_with_an_old_modification_time(shop: Small) -> None:
    deliver(shop, "2", "2 a 10")
    shop.refresh()
    os.utime(deliver(shop, "1", "1 a 7"), (0, 0))
    shop.refresh()
    assert total(shop) == 17  # 10: older than the bookmark


def test_a_touched_file_is_not_read_again(shop: Small) -> None:
    file = deliver(shop, "1", "1 a 42")
    shop.refresh()
    os.utime(file, (time.time() + 60, time.time() + 60))
    assert not shop.refresh().published
    assert total(shop) == 42


def test_a_replaced_file(shop: Small) -> None:
    deliver(shop, "1", "1 a 30", "2 a 30")
    shop.refresh()
    deliver(shop, "1", "1 a 42")
    shop.refresh()
    assert daily(shop) == {1: 42}  # 102: what it was and what it is


def test_a_deleted_file(shop: Small) -> None:
    deliver(shop, "1", "1 a 10", "2 b 7")
    wrong = deliver(shop, "2", "2 a 60", "3 a 25")
    shop.refresh()
    assert total(shop) == 102
    wrong.unlink()
    shop.refresh()
    assert daily(shop) == {1: 10, 2: 7}
    assert named(shop) == {"Ada": 10, "Bob": 7}


def test_a_late_dimension_row(shop: Small) -> None:
    deliver(shop, "1", "1 a 10", "1 c 7")
    shop.refresh()
    assert named(shop) == {"Ada": 10, "?": 7}
    shop.write("data/names.csv", "k,name\na,Ada\nb,Bob\nc,Ada\n")
    shop.refresh()
    assert named(shop) == {"Ada": 17}  # 10: no row of sales was new


def test_a_duplicated_event(shop: Small) -> None:
    deliver(shop, "1", "1 a 42")
    assert shop.refresh().published
    assert not shop.refresh().published
    deliver(shop, "1", "1 a 42")  # delivered again, as it was
    assert not shop.refresh().published
    assert total(shop) == 42


def test_a_lost_event(shop: Small) -> None:
    """Watched by events alone; of two files only one is told of."""
    deliver(shop, "1", "1 a 1")
    shop.refresh()
    deliver(shop, "2", "2 a 9")
    deliver(shop, "3", "3 a 7")
    feed = shop.write("events.jsonl", json.dumps({"path": str(shop.folder / "data/sales/3.csv")}) + "\n")
    command = [sys.executable, "-m", "forebay", "watch", "--events", str(feed), "--json", "-C", str(shop.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert any('"published"' in line for line in watch.stdout)
        watch.terminate()
    assert daily(shop) == {1: 1, 2: 9, 3: 7}


# What is seen meanwhile


def test_a_crash_between_delete_and_insert(shop: Small) -> None:
    """At every third moment of a refresh that replaces a row: whoever reads sees the one or the other, and never neither."""
    deliver(shop, "1", "1 a 10")
    shop.refresh()
    deliver(shop, "1", "1 a 17")
    seen = []
    for moment in count(1, 3):
        with dying(moment) as life:
            shop.refresh()
        seen.append([v for _, v in shop.rows("tier2.daily")])
        assert [v for _, v in shop.seen("tier2.daily")] in ([10], [17])
        if not life.over:
            break
    assert len(seen) > 10
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ([10], [17])
    assert total(shop) == 17


def test_done_with_zero_rows(shop: Small) -> None:
    """A feed delivers nothing in place of everything; its author said that there is something."""
    shop.declare(sources={"sales": {**SALES, "tests": [{"row_count": {"min": 1}}]}}, tier2={"daily": DAILY, "total": TOTAL})
    deliver(shop, "1", "1 a 42")
    shop.refresh()
    deliver(shop, "1")
    with pytest.raises(ForebayError, match="check.failed"):
        shop.refresh()
    assert (shop.edition().number, total(shop)) == (1, 42)


def test_an_empty_file_shadows_no_good_one(shop: Small) -> None:
    deliver(shop, "1", "1 a 42")
    shop.refresh()
    deliver(shop, "2")
    shop.refresh()
    assert daily(shop) == {1: 42}


def test_rows_lost_between_a_slice_and_its_table(shop: Small) -> None:
    deliver(shop, "1", "1 a 10")
    deliver(shop, "2", "2 a 7")
    shop.refresh()
    for made_of in shop.lake.slices.glob("*/*/made_of.json"):
        made_of.unlink()
    for about in (shop.lake.slices / "tier2.daily").glob("*/slice.json"):
        said = json.loads(about.read_text())
        about.write_text(json.dumps({**said, "values": [], "counted": []}))
    deliver(shop, "3", "3 a 25")
    with pytest.raises(ForebayError, match=r"refresh.unbalanced: table `tier2.daily`: slice \w+ holds 1 rows, but 0 of its partitions"):
        shop.refresh()
    assert (shop.edition().number, total(shop)) == (1, 17)


def test_an_answer_that_is_not_of_the_latest_files_says_so(shop: Small) -> None:
    deliver(shop, "1", "1 a 10")
    shop.refresh()
    shop.write("data/sales/2.csv", "day,k,v\n2026-03-02,a\n")
    shop.write("data/names.csv", "k,name\na,Eve\n")
    (kept,) = shop.refresh().sources.kept
    assert (kept.source, kept.code) == ("sales", "source.unreadable")
    assert "2.csv" in shop.edition().sources["sales"].kept
    assert named(shop) == {"Eve": 10}


def test_two_tables_see_the_same_files(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file arrives when one of them is built and the other is not."""
    from forebay.refresh import build

    deliver(shop, "1", "1 a 10")
    built = build.complete

    def late(*given: Any) -> Any:
        deliver(shop, "2", "2 a 7")
        return built(*given)

    monkeypatch.setattr(build, "complete", late)
    shop.refresh()
    monkeypatch.undo()
    assert total(shop) == 10
    shop.refresh()
    assert total(shop) == 17


def test_a_refresh_of_nothing_costs_nothing(shop: Small) -> None:
    deliver(shop, "1", "1 a 42")
    shop.refresh()
    slices = shop.slices()
    outcome = shop.refresh()
    assert (outcome.published, outcome.built, shop.slices()) == (False, 0, slices)
    assert list(Store(shop.lake.state).published()) == [1]


def test_a_day_of_a_partitioned_table_costs_a_day(shop: Small) -> None:
    for day in (1, 2, 3):
        deliver(shop, f"{day}", f"{day} a {day}")
    shop.refresh()
    before = set(shop.edition().tables["tier2.daily"].files)
    deliver(shop, "2", "2 a 42")
    shop.refresh()
    assert len(before & set(shop.edition().tables["tier2.daily"].files)) == 2
    assert daily(shop) == {1: 1, 2: 42, 3: 3}


# What a sum is, and what a filter leaves


def test_a_filter_below_the_grain(shop: Small) -> None:
    """A rollup by day is there; the question is about a product."""
    plan = "CREATE TABLE o AS SELECT day, sum(v) AS v FROM sales WHERE k = $k GROUP BY day"
    shop.declare(
        sources={"sales": SALES},
        tier2={"daily": DAILY},
        calculations={"plan": {"sql": plan, "parameters": {"k": {"type": "varchar", "default": "a"}}}},
    )
    deliver(shop, "1", "1 a 10", "1 b 25", "2 a 7")
    shop.refresh()
    spec, outcome = shop.run("plan", k="a")
    assert shop.check(spec, outcome).equal
    assert sorted(outcome.outputs["o"].preview) == [("2026-03-01", "10"), ("2026-03-02", "7")]
    wrong = plan.replace("FROM sales", "FROM daily")
    shop.declare(sources={"sales": SALES}, tier2={"daily": DAILY}, calculations={"plan": {"sql": wrong, "parameters": {"k": "varchar"}}})
    with pytest.raises(ForebayError, match='"k" not found|column.*k'):
        shop.refresh()


def test_a_day_of_25_hours_and_one_of_23(small: Small) -> None:
    """A file for each hour of two days on which the clocks change, and of their neighbours; one hour comes late."""
    small.declare(
        limits={"small_file": "1B"},
        sources={"clicks": {"path": "data/*.csv", "columns": {"ts": "timestamp", "n": "integer"}, "options": {"header": True}}},
        tier2={
            "here": {
                "sql": "SELECT CAST(ts AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin' AS date) AS day, sum(n) AS n FROM clicks GROUP BY 1",
                "key": ["day"],
                "partition_by": "day",
            },
            "utc": {"sql": "SELECT CAST(ts AS date) AS day, sum(n) AS n FROM clicks GROUP BY 1", "key": ["day"], "partition_by": "day"},
        },
    )
    for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"):
        small.write(
            f"data/{day}.csv", "ts,n\n" + "".join(f"{day} {hour:02}:30:00,1\n" for hour in range(24) if (day, hour) != ("2026-10-25", 1))
        )
    small.refresh()
    small.write("data/late.csv", "ts,n\n2026-10-25 01:30:00,1\n")  # half past two, for the second time
    small.refresh()
    here = {str(day): int(n) for day, n in small.seen("tier2.here")}
    # One hour of each first day is the day before's in Berlin, but two in summer; what is after 23:00 UTC is the next day's.
    assert here == {"2026-03-28": 23, "2026-03-29": 23, "2026-03-30": 2, "2026-10-24": 22, "2026-10-25": 25, "2026-10-26": 1}
    assert {int(n) for _, n in small.seen("tier2.utc")} == {24}


def test_a_sum_of_2_to_the_53_and_1(small: Small) -> None:
    small.declare(
        limits={"small_file": "1B"},
        sources={"facts": {"path": "data/*.csv", "columns": {"k": "varchar", "v": "bigint"}, "options": {"header": True}}},
        tier2={"sums": {"sql": "SELECT k, sum(v) AS v FROM facts GROUP BY k", "key": ["k"]}},
        calculations={"plan": {"sql": "CREATE TABLE o AS SELECT sum(v) * $x AS v FROM facts", "parameters": {"x": "integer"}}},
    )
    small.write("data/1.csv", f"k,v\na,{2**53}\na,1\n")
    small.refresh()
    small.write("data/2.csv", f"k,v\na,{2**53 + 1}\n")
    small.refresh()
    assert small.seen("tier2.sums") == [("a", Decimal(18014398509481986))]  # 18014398509481984: as a double
    assert small.verify("plan", x=1).equal


def test_an_outer_join_with_an_aggregate_of_a_literal(small: Small) -> None:
    facts = {"path": "data/*.csv", "columns": {"k": "integer"}, "options": {"header": True}}
    few = {"path": "few.csv", "columns": {"k": "integer"}, "options": {"header": True}}
    sql = (
        "SELECT d.k, count(*) AS n, sum(1) AS ones, count(q.one) AS hits, sum(q.one) AS v "
        "FROM d LEFT JOIN (SELECT k, 1 AS one FROM g) AS q USING (k) GROUP BY d.k"
    )
    small.declare(
        limits={"small_file": "1B"},
        sources={"d": facts, "g": few},
        tier2={"joined": {"sql": sql, "key": ["k"]}},
        calculations={"plan": {"sql": f"CREATE TABLE o AS SELECT *, $x AS x FROM ({sql})", "parameters": {"x": "integer"}}},
    )
    small.write("few.csv", "k\n1\n")
    small.write("data/1.csv", "k\n1\n2\n")
    small.write("data/2.csv", "k\n2\n")
    small.refresh()
    assert small.seen("tier2.joined") == [(1, 1, 1, 1, 1), (2, 2, 2, 0, None)]
    assert small.verify("plan", x=1).equal


def test_an_upload_with_duplicate_keys(shop: Small) -> None:
    """Each row of the upload counts, as in the SELECT; or none does, if the input says that keys are unique."""
    plan = "CREATE TABLE o AS SELECT sum(s.v * u.factor) AS v FROM sales AS s JOIN mine AS u USING (k)"
    deliver(shop, "1", "1 a 10", "2 a 7", "2 b 100")
    upload = shop.write("mine.csv", "k,factor\na,1\na,5\n")
    for unique in ([], [["k"]]):
        mine = {"columns": {"k": "varchar", "factor": "integer"}, "unique": unique}
        shop.declare(sources={"sales": SALES}, inputs={"mine": mine}, calculations={"plan": {"sql": plan}})
        shop.refresh()
        if unique:
            with pytest.raises(ForebayError, match="input.rejected"):
                shop.run("plan", {"mine": upload})
        else:
            spec, outcome = shop.run("plan", {"mine": upload})
            assert outcome.outputs["o"].preview == (("102",),)  # (10 + 7) · 1 + (10 + 7) · 5
            assert shop.check(spec, outcome).equal
