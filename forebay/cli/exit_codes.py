"""What the exit code of `forebay` says, so that a script can act on it."""

from __future__ import annotations

from forebay.errors import ForebayError

OK, INTERNAL, USAGE, PROJECT, REFUSED, RUN_FAILED, REFRESH_FAILED, DIFFERS, SOURCE_GONE, KEPT, CANCELLED = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130
UNWELL = 10

MEANING = {
    OK: "done",
    INTERNAL: "a defect of Forebay; please report it",
    USAGE: "the command line is wrong",
    PROJECT: "the project is wrong, or nothing is published yet, or it changed since",
    REFUSED: "a parameter, an input or a request was refused",
    RUN_FAILED: "the run failed",
    REFRESH_FAILED: "the refresh failed, or a source cannot be read; the last edition stays current",
    DIFFERS: "`verify` found a difference",
    SOURCE_GONE: "the bytes that an edition was made of are gone",
    KEPT: "the refresh is done, but a source that cannot be read stays at its last version",
    UNWELL: "`doctor` found an error",
    CANCELLED: "cancelled",
}

_BY_CODE = {
    "usage": USAGE,
    "source.gone": SOURCE_GONE,
    "run.cancelled": CANCELLED,
    "run.unknown": USAGE,
    "run.removed": USAGE,
    "run.unreadable": PROJECT,
    "output.unknown": USAGE,
    "server.address": USAGE,
    "server.internal": INTERNAL,
    "calculation.unknown": REFUSED,
}
_BY_AREA = {
    "project": PROJECT, "file": PROJECT, "sql": PROJECT, "split": PROJECT, "tier2": PROJECT, "edition": PROJECT, "lake": PROJECT,
    "state": PROJECT, "server": PROJECT,
    "parameter": REFUSED, "input": REFUSED, "access": REFUSED, "request": REFUSED,
    "run": RUN_FAILED, "verify": RUN_FAILED, "refresh": REFRESH_FAILED, "source": REFRESH_FAILED,
    "check": REFRESH_FAILED,
}  # fmt: skip


def exit_code(error: ForebayError) -> int:
    """The exit code for an error, by its code or the area before the dot."""
    return _BY_CODE.get(error.code, _BY_AREA.get(error.code.partition(".")[0], INTERNAL))
