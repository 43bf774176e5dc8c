"""The command `forebay`. Kept light: it is imported again in every child process."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from forebay import streams

# What libraries make of themselves while they load stays for good. To look through it for garbage, again and again, is a fifth of starting.
gc.set_threshold(10_000, 20, 20)


def main() -> None:
    """Run the command line and exit with its code."""
    # A caller may have closed either; what nobody reads must not stop the work.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  # open for as long as the process lives
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    try:
        if sys.argv[1:2] in (["run"], ["verify"]):
            from forebay.run import launch  # noqa: PLC0415

            # The engine loads in a process of its own while this one still reads its command line.
            launch.warm()
        elif sys.argv[1:2] == ["refresh"]:
            from forebay.lake import publishing  # noqa: PLC0415

            # So do the catalogue's libraries.
            publishing.warm()
        from forebay.cli.app import main as run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        # So early that nothing has begun.
        sys.exit(130)
    finally:
        # Now rather than at the interpreter's exit, which would make an exit code of its own of a reader that has gone.
        streams.flush()
        # It all goes with the process: nothing is looked through once more for what could go.
        gc.freeze()


if __name__ == "__main__":
    main()
