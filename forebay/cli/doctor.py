"""What `doctor` prints: what is wrong and what to do, and, dimmed, what is right."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from forebay.cli.exit_codes import OK, UNWELL
from forebay.cli.show import count, document, from_here, out

_STYLE = {"ok": "green", "warning": "yellow", "error": "bold red"}


def examined(found: Any, *, as_json: bool) -> int:
    """All findings. Returns the exit code: only an error is worth one of its own."""
    code = UNWELL if found.level == "error" else OK
    if as_json:
        document(found)
        return code
    for one in found.findings:
        where = f"{from_here(one.where)}: " if one.where and one.level != "ok" else ""
        told = f"{escape(one.code)}: " if one.code and one.level != "ok" else ""
        out.print(f"[{_STYLE[one.level]}]{one.level:<8}[/] {one.check:<10} {told}{where}{from_here(one.what)}")
        if one.advice:
            out.print(f"{'':<20}[dim]→[/] {from_here(one.advice)}")
    numbers = [(sum(one.level == level for one in found.findings), level) for level in ("error", "warning")]
    parts = [count(number, level) for number, level in numbers if number]
    out.print(f"\n{', '.join(parts)}" if parts else "\nall is well")
    return code
