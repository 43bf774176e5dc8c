"""What a SELECT that is computed by slices consists of, as text. No parser: a refresh that has nothing to do needs none."""

from __future__ import annotations

import msgspec


class Slicing(msgspec.Struct, frozen=True):
    """How a table is computed of slices of `source`. Both SELECTs may read `views`, and other relations by their own names."""

    source: str
    partial: str
    """The SELECT over one slice. It reads `source` with one more column, `mark`, which is 0."""
    combine: str = ""
    """The SELECT over the partials of all slices, read as `relation`; empty if their rows are the table's."""
    relation: str = ""
    mark: str = ""
    views: tuple[tuple[str, str], ...] = ()
    """Queries that do not read the source, by the names that the two SELECTs read them by, each after those that it reads."""
    by: dict[str, str] = {}
    """For columns of the table by which `combine` may be asked for some of its rows: the column of the partials that gives them."""
    told: tuple[str, str] = ("", "")
    """`partial` and `combine`, with the views, free of comments and layout: what their slices and parts are known by."""
    reads: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """What the two read besides the source, also by way of views, in lower case."""
    value: str = ""
    """Where `combine` reads the source itself: what the table's partition column is of a row of it. Then slices hold only the values of
    their rows, and the rows with a value are combined to its part."""
