"""What the verbs print and write that take results elsewhere: export, template, promote."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from forebay.cli.show import count, document, err, out, shown
from forebay.errors import ForebayError, size


def form_of(given: str | None, to: Path, known: tuple[str, ...]) -> Any:
    """The format that is asked for, or that the ending of a file tells."""
    form = given or to.suffix.lower().removeprefix(".")
    if form not in known:
        what = f"--to {to}: its ending is none of {', '.join(known)}"
        raise ForebayError("usage", what, advice=f"Say which it is to be: --format {known[-1]}")
    return form


def deliver(content: Path | bytes, to: Path, *, force: bool) -> None:
    """Write a file to where it is wanted; `-` is stdout. A file that exists is replaced only by `force`, and then at once."""
    with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as source:
        if str(to) == "-":
            shutil.copyfileobj(source, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        if to.exists() and not (force and to.is_file()):
            advice = "--force replaces it" if to.is_file() else "Name a file; - is stdout"
            raise ForebayError("file.exists", "it exists already", where=str(to), advice=advice)
        fresh = to.with_name(f".{to.name}.part")
        try:
            with fresh.open("wb") as target:
                shutil.copyfileobj(source, target)
            fresh.rename(to)
        finally:
            fresh.unlink(missing_ok=True)
    err.print(f"wrote {shown(str(to))}, {size(to.stat().st_size)}")


def promoted(found: Any, catalog: Path, warehouse: Path, *, removed: bool, as_json: bool) -> None:
    """The tables that changed, and how to read them."""
    if as_json:
        document({"catalog": f"sqlite:///{catalog}", "warehouse": f"file://{warehouse}", "tables": found})
        return
    for one in found:
        did = "rows taken away" if removed else count(one.rows, "row")
        runs = count(one.runs, "run")
        out.print(f"[bold]{one.table}[/]  {did} of run {one.run}; it has {count(one.total, 'row')} of {runs}")
        out.print(f"  metadata   {one.metadata}")
    out.print(f"  catalogue  sqlite:///{catalog}, warehouse file://{warehouse}")
    if not removed:
        err.print("[dim]Any Iceberg reader opens the table by its name in the catalogue, or as it is now by the metadata file.[/]")
