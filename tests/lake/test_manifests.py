"""What Iceberg keeps of snapshots that have gone by: as much as it needs, however many there were."""

from __future__ import annotations

from collections import Counter

from pyiceberg.manifest import ManifestEntryStatus
from small import Small

from forebay.lake.iceberg import open_catalog
from forebay.lake.replacing import MANIFESTS

DAYS = 2 * MANIFESTS + 3


def test_a_table_has_few_manifests_and_all_its_files_after_many_refreshes(small: Small) -> None:
    n = {"sql": "SELECT day, k, sum(v) AS v FROM s GROUP BY ALL", "key": ["day", "k"], "partition_by": "day"}
    small.declare(limits={"small_file": "1B"}, sources={"s": {"path": "s/*.csv"}}, tier2={"n": n})
    for day in range(1, DAYS + 1):
        # A day that begins, and one row more for the day before, whose file is replaced.
        late = f"2024-01-{day - 1:02},9,1\n" if day > 1 else ""
        small.write(f"s/{day:02}.csv", f"day,k,v\n2024-01-{day:02},1,2\n{late}")
        small.refresh()
        table = open_catalog(small.lake.catalog, small.lake.iceberg).load_table("tier2.n")
        snapshot = table.current_snapshot()
        assert snapshot is not None
        manifests = snapshot.manifests(table.io)
        assert len(manifests) <= MANIFESTS + 2  # those, and one of what was added and one of what was removed
        entries = [entry for one in manifests for entry in one.fetch_manifest_entry(table.io, discard_deleted=False)]
        kinds = Counter(entry.status for entry in entries)
        assert kinds[ManifestEntryStatus.DELETED] == (1 if day > 1 else 0)
        live = [entry for entry in entries if entry.status != ManifestEntryStatus.DELETED]
        files = small.edition().tables["tier2.n"].files
        assert sorted(entry.data_file.file_path.removeprefix("file://") for entry in live) == sorted(files)
        assert len(files) == day
        # A reader that wants only what is new goes by these.
        assert all((entry.snapshot_id == snapshot.snapshot_id) == (entry.status == ManifestEntryStatus.ADDED) for entry in live)
        assert snapshot.summary is not None and snapshot.summary["total-data-files"] == str(day)
        assert table.scan().to_arrow().num_rows == 2 * day - 1
