"""The command `forebay`. Kept light: it is imported again in every child process."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:2] in (["run"], ["verify"]):
        from forebay.run import launch  # noqa: PLC0415

        # The engine loads in a process of its own while this one still reads its command line.
        launch.warm()
    from forebay.cli.app import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
