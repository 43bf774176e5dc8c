"""What runs need of an input, kept once by the examination of an upload and taken up by every run of the same bytes over the same tables.

It is a folder that came to be by a rename: ready.json (Ready), the rows that stages read, and what an attempt leaves about an input anyway.
A run takes it only if that gives what preparing would: all rows are valid, or it goes on with those that are.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.run import checkpoint, protocol
from forebay.run.protocol import PreparedInput, Ready, Upload

_ABOUT = "ready.json"


def rows_file(folder: Path, name: str) -> Path:
    """Where the rows that stages read of input `name` are kept."""
    return folder / f"{name}.rows.parquet"


def found_in(folder: Path, name: str) -> PreparedInput | None:
    """What an examination found of input `name`, with the files that say more; None if nothing was kept."""
    try:
        kept = protocol.read(folder / _ABOUT, Ready)
    except msgspec.DecodeError:
        return None
    return None if kept is None else _with_files(kept.found, folder, name)


def keep(connection: duckdb.Connection, upload: Upload, found: PreparedInput, folder: Path) -> None:
    """Add what makes it ready to `folder`, which has the reports and accepted rows. Raises NotKept if nothing brings its types back."""
    name = upload.declared.name
    table = checkpoint.write(connection, name, 1, rows_file(folder, name))
    bare = msgspec.structs.replace(found, report=None, rejected_rows=None)
    protocol.write(folder / _ABOUT, Ready(upload.sha256 or "", bare, table))


def take(connection: duckdb.Connection, upload: Upload, accept_valid: bool, folder: Path, scratch: Path) -> PreparedInput | None:
    """Let the input's rows be read from what was kept, and give `folder` the rest of it; None, with nothing done, if that cannot be.

    The rows are linked in `scratch`: the upload may be removed while the run goes on.
    """
    name = upload.declared.name
    linked: list[Path] = []
    try:
        kept = protocol.read(Path(upload.prepared or "") / _ABOUT, Ready)
        if kept is None or (kept.found.rejected and not accept_valid):
            return None
        for file in Path(upload.prepared or "").iterdir():
            if file.name != _ABOUT:
                link = (scratch if file.name == rows_file(scratch, name).name else folder) / file.name
                os.link(file, link)
                linked.append(link)
        checkpoint.view(connection, kept.table, rows_file(scratch, name))
    except duckdb.Interrupted:
        raise
    except (OSError, msgspec.DecodeError, checkpoint.NotKept, duckdb.Error) as error:
        print(f"input {name} is prepared again: {error}", flush=True)
        for file in linked:
            with contextlib.suppress(OSError):
                file.unlink()
        return None
    return _with_files(kept.found, folder, name)


def _with_files(found: PreparedInput, folder: Path, name: str) -> PreparedInput:
    report, rejected = protocol.reports(folder, name)
    return msgspec.structs.replace(
        found, report=str(report) if report.exists() else None, rejected_rows=str(rejected) if rejected.exists() else None
    )
