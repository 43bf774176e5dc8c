"""What is made of what, as a picture: sources at the left, Tier-2 tables, calculations at the right. Pure."""

from __future__ import annotations

from typing import NamedTuple

from forebay.layout import Box, place
from forebay.project.edition import Edition

_WIDTH, _HEIGHT, _BETWEEN = 172.0, 44.0, 44.0
_LETTERS, _SMALL_LETTERS = 18, 23


class Node(NamedTuple):
    """A box. `x` and `y` are its upper left corner."""

    id: str
    kind: str
    """source, declared, derived, detail or calculation."""
    label: str
    note: str
    href: str
    title: str
    x: float
    y: float


class Arrow(NamedTuple):
    """From one box to another, as the path of an SVG."""

    start: str
    end: str
    path: str


class Lineage(NamedTuple):
    """The whole picture. `box`: the size of a node."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float
    box: tuple[float, float] = (_WIDTH, _HEIGHT)


def lineage(edition: Edition) -> Lineage:
    """The picture of an edition. Details and derived tables that a calculation reads stand before it."""
    reads: dict[str, list[str]] = {f"source:{name}": [] for name in edition.sources}
    for name, table in edition.tables.items():
        reads[f"table:{name}"] = [_id(edition, one) for one in table.definition.reads]
    for name, compiled in edition.calculations.items():
        reads[f"calculation:{name}"] = list(dict.fromkeys(_id(edition, one) for one in compiled.relations.values()))
    reads = {name: [one for one in from_ if one in reads] for name, from_ in reads.items()}
    layers: dict[str, int] = {}
    last = max((_depth(name, reads, layers) for name in reads), default=0)
    for name in reads:
        if name.startswith("calculation:"):
            layers[name] = max(last, 1)
    # The layout goes from top to bottom: what is wide there is high here.
    arrows = [(before, name) for name, from_ in reads.items() for before in from_]
    placed = place({name: Box(_HEIGHT, _WIDTH, layers[name]) for name in reads}, arrows, gap=14.0)
    x = {name: layers[name] * (_WIDTH + _BETWEEN) + 1 for name in reads}
    nodes = tuple(_node(edition, name, x[name], placed.x[name] - _HEIGHT / 2 + 1) for name in reads)
    drawn = tuple(Arrow(*ends, _path(layers[ends[0]], placed.arrows[ends])) for ends in arrows)
    return Lineage(nodes, drawn, max(x.values(), default=0.0) + _WIDTH + 1, placed.width + 2)


def _id(edition: Edition, read: str) -> str:
    """The node of what a table or calculation reads."""
    name = read.removeprefix("source:")
    return f"source:{name}" if read.startswith("source:") or name in edition.sources else f"table:{name}"


def _depth(name: str, reads: dict[str, list[str]], layers: dict[str, int]) -> int:
    if name not in layers:
        layers[name] = max((_depth(one, reads, layers) + 1 for one in reads[name]), default=0)
    return layers[name]


def _node(edition: Edition, id_: str, x: float, y: float) -> Node:
    kind, _, name = id_.partition(":")
    label = title = name
    if kind == "source":
        version = edition.sources[name]
        note, href = f"{len(version.files):,} file{'s' * (len(version.files) != 1)}, {_rows(version.rows)}", f"#source-{name}"
    elif kind == "calculation":
        compiled = edition.calculations[name]
        note, href = f"{len(compiled.tables)} ahead, {len(compiled.residual)} in a run", f"#decisions-{name}"
    else:
        table = edition.tables[name]
        kind, note = table.definition.kind, _rows(table.rows)
        if kind == "declared":
            label = title = table.definition.relation
        else:
            of, _, label = name.partition(".")
            note += f", {of}"
        href = f"#table-{title}"
    return Node(id_, kind, _cut(label, _LETTERS), _cut(note, _SMALL_LETTERS), href, title, x, y)


def _rows(rows: int) -> str:
    """About how many, in few letters."""
    if rows < 10_000:
        return f"{rows:,} row{'s' * (rows != 1)}"
    return f"{rows / 1e3:.0f} k rows" if rows < 999_500 else f"{rows / 1e6:.1f} M rows"


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _path(first: int, bends: list[float]) -> str:
    """A line through the gaps between layers, level where it passes one."""
    at, y = (_WIDTH + _BETWEEN) * first + _WIDTH + 1, bends[0] + 1
    parts = [f"M{at:.1f} {y:.1f}"]
    for number, bend in enumerate(bends[1:], 1):
        end, half = at + _BETWEEN, at + _BETWEEN / 2
        parts.append(f"C{half:.1f} {y:.1f} {half:.1f} {bend + 1:.1f} {end:.1f} {bend + 1:.1f}")
        if number < len(bends) - 1:
            parts.append(f"h{_WIDTH:.1f}")
        at, y = end + _WIDTH, bend + 1
    return " ".join(parts)
