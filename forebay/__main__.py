"""The command `forebay`. Kept light: it is imported again in every child process."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from forebay.cli.app import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
