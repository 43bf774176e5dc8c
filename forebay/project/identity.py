"""Whether a file still holds what it held. Sources are not ours: others overwrite them, in place and at the same size."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from forebay.project.edition import File

SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within the same clock tick, so its stat proves nothing yet."""


def stat_key(stat: os.stat_result) -> tuple[int, int, int, int]:
    """What must be as it was for a known hash to be trusted. `ctime` is part of it because nobody can set it back."""
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def sha256_of(path: str) -> str:
    """The content hash of a file, read whole."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def same(file: File) -> bool:
    """Whether the file on disk still has the content that `file` names. Reads it if its stat cannot tell."""
    try:
        stat = Path(file.at).stat()
        if (file.size, file.mtime_ns, file.ctime_ns, file.inode) == stat_key(stat) and time.time_ns() - stat.st_ctime_ns > SETTLED_NS:
            return True
        return stat.st_size == file.size and sha256_of(file.at) == file.sha256
    except OSError:
        return False
