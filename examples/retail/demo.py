"""The tour of this example: refresh, run, verify, and a look at the result. `make demo` calls it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
REQUEST = ["plan", "--input", "adjustments=adjustments.csv", "--param", "tax_rate=0.07"]

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def forebay(*arguments: str, show: bool = True) -> str:
    """Run one command as a user would type it; with `show` false its stdout is returned instead of shown."""
    if show:
        console.print(f"\n[bold]$ forebay {' '.join(arguments)}[/]")
    command = [sys.executable, "-m", "forebay", *arguments]
    done = subprocess.run(command, cwd=HERE, check=False, text=True, stdout=None if show else subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return done.stdout or ""


def chart(rows: list[dict[str, str]]) -> Table:
    """Change of sales by department, the largest first: bars to the left of the line for less, to the right for more."""
    rows = sorted(rows, key=lambda row: -abs(Decimal(row["change"])))[:12]
    names = max(len(row["department"]) for row in rows)
    half = max(8, min(30, (console.width - names - 30) // 2))
    largest = max(abs(Decimal(row["change"])) for row in rows) or Decimal(1)
    table = Table(
        title="Change of sales by department", title_justify="left", title_style="bold", box=None, padding=(0, 1), show_header=False
    )
    for justify in ("left", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    for row in rows:
        change = Decimal(row["change"])
        bar = "█" * max(1, round(abs(change) / largest * half)) if change else ""
        left, right = (f"{bar:>{half}}", "") if change < 0 else (" " * half, bar)
        table.add_row(row["department"], f"[red]{left}[/]│[green]{right:<{half}}[/]", f"{change:+,.2f}", f"[dim]{row['change_pct']} %[/]")
    return table


def main() -> None:
    """The tour."""
    started = time.monotonic()
    forebay("refresh")
    forebay("run", *REQUEST)
    forebay("verify", *REQUEST)
    last = json.loads(forebay("runs", "show", "last", "--json", show=False))
    output = last["outcome"]["outputs"]["by_department"]
    summary = last["outcome"]["outputs"]["summary"]
    values = dict(zip([column["name"] for column in summary["columns"]], summary["preview"][0], strict=True))
    with Path(output["csv"]).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    console.print()
    console.print(chart(rows))
    console.print(
        f"\nWeeks 40 to 52: sales [bold]{Decimal(values['sales']):,.2f}[/] with these 25 adjustments, "
        f"{Decimal(values['baseline_sales']):,.2f} without; change [bold]{Decimal(values['change']):+,.2f}[/].",
        soft_wrap=True,
    )
    here = HERE.relative_to(Path.cwd()) if HERE.is_relative_to(Path.cwd()) else HERE
    console.print(f"Done in {time.monotonic() - started:.1f} s. What to try next, in {here}:")
    tips = (
        ("forebay run plan --param first_week=1 --param last_week=13", "no adjustments, another quarter"),
        ("forebay run plan --input adjustments=adjustments_with_errors.csv", "what bad rows look like"),
        ("forebay runs show last", "stages, timings, rows, edition"),
        ("forebay plan", "what a refresh would do, and why"),
    )
    for command, what in tips:
        console.print(f"  [bold]{command:<66}[/]  [dim]{what}[/]", soft_wrap=True)
    console.print("[dim]`forebay` is in .venv/bin; `source .venv/bin/activate` puts it on your path.[/]")


if __name__ == "__main__":
    main()
