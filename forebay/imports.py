"""What libraries import though nobody here needs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


@contextmanager
def without_pandas() -> Iterator[None]:
    """Hide pandas, if it is not imported yet, from DuckDB, which would import it, for half a second, to bind the first parameter of any
    query; and from PyArrow, which would to be imported itself (and then converts nothing to pandas in this process)."""
    hiding = _Hiding()
    sys.meta_path.insert(0, hiding)
    try:
        yield
    finally:
        sys.meta_path.remove(hiding)


class _Hiding(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("hidden", name=fullname)
