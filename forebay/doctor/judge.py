"""What measurements of a machine mean for a project. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from forebay.doctor.finding import Finding
from forebay.errors import size
from forebay.project.project import Limits

_SCRATCH = 1 << 30
"""What looking at schemas and comparing runs may spill to the temporary folder."""
_LITTLE = 100 << 20
_SLACK = 60.0
"""Seconds by which clocks of machines may differ without anybody being harmed."""
_BORN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp()
"""No clock that is right shows an earlier time."""
_FEW_FILES, _TOO_FEW_FILES = 1024, 256
_REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "ceph", "lustre")
"""Kinds of file systems that other machines may have mounted too. Their names may go on with a number."""


def memory(machine: int, allowed: int | None, limits: Limits, workers: int) -> list[Finding]:
    """Whether what runs and a refresh may take is there. `allowed`: what a container may take; None: as much as the machine has."""
    there = min(machine, allowed or machine)
    who = f"the machine has {size(machine)}" if there == machine else f"this container may take {size(there)} of {size(machine)}"
    found = [
        Finding(
            "memory", "error", f"`limits.{key}` is {size(limit)}, but {who}: the system would kill whoever takes it", "forebay.yaml",
            f"Set `limits.{key}` to {size(there // 2)} or less",
        )
        for key, limit in (("memory", limits.memory), ("refresh_memory", limits.refresh_memory))
        if limit > there
    ]  # fmt: skip
    if found:
        return found
    together = limits.memory * workers + limits.refresh_memory
    runs = "one run" if workers == 1 else f"{workers} runs"
    what = f"{runs} and a refresh at once may take {size(together)}; {who}"
    if together > there:
        advice = "Lower `limits.memory` or `limits.refresh_memory`, or run fewer at once"
        return [Finding("memory", "warning", what, "forebay.yaml", advice)]
    return [Finding("memory", "ok", what)]


def space(free: int, where: str, limits: Limits, written: int) -> Finding:
    """Whether the lake's disk has room. `written`: the bytes of all tables, which a refresh that builds them anew writes again."""
    advice = "Free some disk space, or move the lake to a larger disk"
    if free < _LITTLE:
        return Finding("space", "error", f"{size(free)} of disk are free: nothing more can be written", where, advice)
    if free < written:
        what = f"{size(free)} of disk are free; a refresh that builds every table anew writes {size(written)}"
        return Finding("space", "warning", what, where, advice)
    key, spill = max((("temp_disk", limits.temp_disk), ("refresh_temp_disk", limits.refresh_temp_disk)), key=lambda one: one[1])
    if free < spill:
        what = f"{size(free)} of disk are free, less than the {size(spill)} that `limits.{key}` allows"
        return Finding("space", "warning", what, where, f"{advice}; or lower `limits.{key}`, to be stopped before the disk is full")
    return Finding("space", "ok", f"{size(free)} of disk are free; the tables take {size(written)}", where)


def temporary(free: int, where: str) -> Finding:
    """Whether the system's folder for temporary files has room."""
    what = f"{size(free)} are free for temporary files"
    if free < _SCRATCH:
        advice = "Free some, or set TMPDIR to another folder"
        return Finding("temp", "warning", f"{what}, of {size(_SCRATCH)} that may be needed", where, advice)
    return Finding("temp", "ok", what, where)


def clock(now: float, written: Iterable[tuple[float, str]]) -> Finding:
    """Whether the clock can be right, by when things say that they were written: (moment, which)."""
    moment, which = max(written, default=(0.0, ""))
    shown = f"{_utc(now)} UTC"
    if now < _BORN:
        return Finding("clock", "error", f"the clock shows {shown}, which is long past", advice="Set it, by NTP if there is a network")
    if moment > now + _SLACK:
        return Finding(
            "clock", "warning", f"the clock shows {shown}, but {which} is of {_utc(moment)} UTC: one of the two was wrong",
            advice="Set the clock; until it has caught up, things look younger than they are, so `retention` and `settle` wait longer",
        )  # fmt: skip
    return Finding("clock", "ok", shown)


def open_files(soft: int) -> Finding:
    """Whether a process may open as many files as a query over many slices does."""
    what = f"a process may open {soft:,} files at once"
    if soft < _FEW_FILES:
        level = "error" if soft < _TOO_FEW_FILES else "warning"
        return Finding("files", level, what, advice=f"Raise the limit: `ulimit -n {_FEW_FILES * 4}`, or LimitNOFILE of the service")  # type: ignore[arg-type]
    return Finding("files", "ok", what)


def file_system(kind: str, where: str) -> Finding | None:
    """A warning if state and locks lie where they cannot be relied on."""
    if not kind.startswith(_REMOTE):
        return None
    what = f"the lake is on a file system of kind {kind}, which other machines may write to; SQLite and locks are only sure on a local disk"
    return Finding("lake", "warning", what, where, "Set `lake:` to a folder on a local disk, or use it from one machine only")


def version(name: str, found: str | None, wanted: str | None) -> Finding:
    """Whether a package is there, in the version that Forebay was tested with if it insists on one."""
    if found is None:
        return Finding("versions", "error", f"{name} is not installed", advice="Install Forebay again: pip install forebay")
    if wanted is not None and found != wanted:
        what = f"{name} is {found}, not {wanted}: other versions may compute or store otherwise"
        return Finding("versions", "error", what, advice=f"pip install '{name}=={wanted}'")
    return Finding("versions", "ok", f"{name} {found}")


def _utc(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d %H:%M")
