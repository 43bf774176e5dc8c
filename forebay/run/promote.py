"""Outputs of runs, published to `results.<calculation>.<output>` for readers that know a name and no run; and taken back."""

from __future__ import annotations

from pathlib import Path

from forebay.errors import ForebayError
from forebay.lake.results import NAMESPACE, Promoted, Results
from forebay.lake.root import Lake
from forebay.lake.trouble import explained
from forebay.run.outputs import succeeded
from forebay.state.store import Store


def promote(lake: Lake, store: Store, text: str, output: str | None = None) -> list[Promoted]:
    """Publish an output of the run that `text` names, by default each of them, in place of what was published of that run before."""
    done = succeeded(lake, store, text)
    chosen = done.outputs if output is None else {output: done.output(output)}
    missing = next((files.parquet for files in chosen.values() if not Path(files.parquet).exists()), None)
    if missing is not None:
        raise ForebayError("output.lost", "its results are gone", where=missing, advice="Run the calculation again")
    with explained(lake.catalog, "promote again"):
        results = Results(lake)
        run = done.run
        return [results.promote(run.calculation, name, Path(files.parquet), run.id, run.edition) for name, files in chosen.items()]


def promoted(lake: Lake, calculation: str, run: str) -> list[str]:
    """The outputs of a run that its calculation's tables have rows of."""
    with explained(lake.catalog, "try again"):
        results = Results(lake)
        beginning = f"{NAMESPACE}.{calculation}."
        return [name.removeprefix(beginning) for name in results.names() if name.startswith(beginning) and run in results.runs(name)]


def remove(lake: Lake, store: Store, text: str, output: str | None = None) -> list[Promoted]:
    """Take the rows of a run out of the table of an output, by default of each. The run itself need not be kept any more."""
    run = store.find_run(text).id if text == "last" else text
    with explained(lake.catalog, "promote again"):
        results = Results(lake)
        tables = {name: results.runs(name) for name in results.names() if output is None or name.endswith(f".{output}")}
        found = sorted({known for runs in tables.values() for known in runs if known.startswith(run) or known.endswith(run)})
        if len(found) != 1:
            what = f"{len(found)} runs that have rows in `{NAMESPACE}` match `{text}`" if found else f"no table of `{NAMESPACE}`"
            what += "" if found else f"{f' of an output `{output}`' if output else ''} has rows of a run `{text}`"
            raise ForebayError("output.not_promoted", what, advice="`forebay promote RUN` publishes the outputs of a run")
        return [results.remove(name, found[0]) for name, runs in tables.items() if found[0] in runs]
