"""A calculation as a picture: sources, Tier-2 tables, and below them what every run computes. As SVG, or as text for Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from rich.cells import cell_len

from forebay.cli.explain import figures, headline
from forebay.cli.show import count
from forebay.layout import Box, place

_LONGEST = 38
"""Characters of one line in a box."""
_AHEAD, _RUN = "Computed when sources change", "Computed by every run"


class Node(NamedTuple):
    """A box: what it is (source, ahead, input, stage, left), and its lines, the first of them its name."""

    kind: str
    lines: tuple[str, ...]
    output: bool
    layer: int


class Drawing(NamedTuple):
    """Boxes by an id, arrows between ids, and the first layer of what every run computes."""

    nodes: dict[str, Node]
    arrows: list[tuple[str, str]]
    run: int


def drawing(found: Any) -> Drawing:
    """What a diagram shows. Every arrow leads down to a later layer."""
    ids: dict[str, str] = {}
    layers: dict[str, int] = {}
    reads: dict[str, list[str]] = {}
    nodes: dict[str, Node] = {}

    def add(name: str, kind: str, lines: list[str], read_by: tuple[str, ...] = (), least: int = 0, *, output: bool = False) -> None:
        ids[name] = f"n{len(ids)}"
        reads[name] = [read for read in read_by if read in layers]
        layers[name] = max([least, *(layers[read] + 1 for read in reads[name])])
        nodes[ids[name]] = Node(kind, tuple(_short(line) for line in lines if line), output, layers[name])

    outputs = {stage.table for stage in found.stages if stage.output and stage.table}
    for source in found.sources:
        add(source.source, "source", [source.source, count(source.rows, "row")])
    for table in found.tables:
        lines = [table.name, figures(table), *_wrapped("per ", " × ", table.grain), *_parts(found, table.name)]
        if table.kind == "detail":
            lines = [table.name, "captured as it is"]
        kind = "source" if table.kind == "detail" else "ahead"
        add(table.name, kind, lines, table.reads, 1, output=table.name in outputs)
    run = max(layers.values(), default=-1) + 1
    for name in found.inputs:
        add(name, "input", [name, "input"], (), run)
    for stage in found.stages:
        if stage.sql:
            kind = "left" if stage.static else "stage"
            more = [
                "static, but on demand" if stage.static else "",
                *_wrapped("", ", ", stage.parameters),
                *_parts(found, stage.name),
                "output" if stage.output else "",
            ]
            add(stage.name, kind, [stage.name, *more], stage.reads, run, output=stage.output)
    # An input stands just above what reads it first.
    for name in found.inputs:
        first = min((layers[other] for other, read in reads.items() if name in read), default=run)
        nodes[ids[name]] = nodes[ids[name]]._replace(layer=max(run, first - 1))
    return Drawing(nodes, [(ids[read], ids[name]) for name in ids for read in reads[name]], run)


def _parts(found: Any, name: str) -> list[str]:
    """The stages that are folded into this one or this table."""
    return _wrapped("with ", ", ", [stage.name for stage in found.stages if name in stage.into])


def _wrapped(head: str, between: str, names: Sequence[str]) -> list[str]:
    """Names in lines that fit a box."""
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1] + between + name + between.rstrip()) <= _LONGEST:
            lines[-1] += between + name
        else:
            lines.append(name if lines else head + name)
    return [line + between.rstrip() for line in lines[:-1]] + lines[-1:]


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


# Mermaid


def mermaid(found: Any) -> str:
    """The drawing as a Mermaid flowchart, which code hosts and editors draw."""
    drawn = drawing(found)
    lines = ["flowchart TD"]
    for title, ahead in ((_AHEAD, True), (_RUN, False)):
        inside = [(id_, node) for id_, node in drawn.nodes.items() if (node.layer < drawn.run) == ahead]
        if inside:
            lines.append(f'  subgraph {"ahead" if ahead else "run"}["{title}"]')
            for id_, node in inside:
                text = "<br/>".join(_mermaid_text(line) for line in node.lines)
                left, right = {"source": ("[(", ")]"), "input": ("[/", "/]")}.get(node.kind, ("[", "]"))
                lines.append(f'    {id_}{left}"{text}"{right}:::{node.kind}')
            lines.append("  end")
    lines += [f"  {start} --> {end}" for start, end in drawn.arrows]
    lines += [f"  style {id_} stroke-width:3px" for id_, node in drawn.nodes.items() if node.output]
    lines += [f"  classDef {kind} fill:{fill},stroke:{edge},color:{text}" for kind, (fill, edge, text) in _LIGHT.items()]
    return "\n".join(lines) + "\n"


def _mermaid_text(line: str) -> str:
    return "".join(f"#{ord(c)};" if c in '"#<>&`\\[]{}|;' else c for c in line)


# SVG

_LIGHT = {
    "source": ("#f3f4f6", "#6b7280", "#1f2937"),
    "ahead": ("#dcfce7", "#15803d", "#14532d"),
    "input": ("#fef9c3", "#a16207", "#713f12"),
    "stage": ("#ffedd5", "#c2410c", "#7c2d12"),
    "left": ("#fae8ff", "#a21caf", "#701a75"),
}
"""Fill, edge and text of each kind of box."""
_DARK = {
    "source": ("#1f2937", "#9ca3af", "#f3f4f6"),
    "ahead": ("#052e16", "#4ade80", "#dcfce7"),
    "input": ("#2b2006", "#eab308", "#fef9c3"),
    "stage": ("#331407", "#fb923c", "#ffedd5"),
    "left": ("#2e0533", "#e879f9", "#fae8ff"),
}
_NARROW, _WIDE = "iljtfrI1.,:;|'!()[] ", "mwMWQ@%×"
_PAD, _MARGIN, _LINE, _BETWEEN, _HEAD = 12.0, 24.0, 17.0, 46.0, 30.0


def svg(found: Any) -> str:
    """The drawing as SVG, for light and dark surroundings, with no font but the reader's own."""
    drawn = drawing(found)
    boxes = {id_: Box(_width(node.lines), len(node.lines) * _LINE + 2 * _PAD - 4, node.layer) for id_, node in drawn.nodes.items()}
    placed = place(boxes, drawn.arrows)
    title = f"{found.calculation}: {headline(found)}"
    width = max(placed.width + 4 * _MARGIN, _text_width(title, 14) + 2 * _MARGIN)
    shift = (width - placed.width) / 2
    tops, heights, bands = _rows(boxes, drawn.run)
    bottom = tops[-1] + heights[-1] + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {bottom + _MARGIN:.0f}" '
        f'width="{width:.0f}" height="{bottom + _MARGIN:.0f}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>{_style()}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="paper" width="{width:.0f}" height="{bottom + _MARGIN:.0f}"/>',
        f'<text class="title" x="{_MARGIN}" y="32">{escape(title)}</text>',
    ]
    for name, (top, end) in zip((_AHEAD, _RUN), bands, strict=True):
        if end > top:
            size = f'width="{width - 2 * _MARGIN:.1f}" height="{end - top:.1f}"'
            parts.append(f'<rect class="band" x="{_MARGIN}" y="{top:.1f}" {size} rx="8"/>')
            parts.append(f'<text class="heading" x="{_MARGIN + 12}" y="{top + 20:.1f}">{name}</text>')
    for (start, to), x in placed.arrows.items():
        parts.append(f'<path class="arrow" marker-end="url(#tip)" d="{_arrow(start, to, x, boxes, tops, heights, shift)}"/>')
    for id_, node in drawn.nodes.items():
        parts += _box(node, boxes[id_], placed.x[id_] + shift, tops[node.layer])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(boxes: dict[str, Box], run: int) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Top and height of each layer, and top and end of the two bands."""
    tops, heights = [], []
    y = _MARGIN + 44 + _HEAD
    split = 0.0
    for layer in range(max(box.layer for box in boxes.values()) + 1):
        if layer == run:
            split = y - _BETWEEN + _MARGIN
            y = split + 16 + _HEAD + 8 if layer else y
        heights.append(max((box.height for box in boxes.values() if box.layer == layer), default=0.0))
        tops.append(y)
        y += heights[-1] + _BETWEEN
    end = y - _BETWEEN + _MARGIN - 6
    top = _MARGIN + 28.0
    if run == 0:
        return tops, heights, [(0, 0), (top, end)]
    return tops, heights, [(top, split - 6 if split else end), (split + 6, end) if split else (0, 0)]


def _box(node: Node, box: Box, x: float, y: float) -> Iterator[str]:
    """A box with its lines, its name in bold. What gives a result has a thick edge."""
    class_ = f"{node.kind} output" if node.output else node.kind
    size = f'width="{box.width:.1f}" height="{box.height:.1f}"'
    yield f'<rect class="{class_}" x="{x - box.width / 2:.1f}" y="{y:.1f}" {size} rx="5"/>'
    for number, line in enumerate(node.lines):
        bold = "name" if number == 0 else "more"
        yield f'<text class="{bold} {node.kind}-text" x="{x:.1f}" y="{y + _PAD + 10 + number * _LINE:.1f}">{escape(line)}</text>'


def _arrow(start: str, end: str, x: list[float], boxes: dict[str, Box], tops: list[float], heights: list[float], shift: float) -> str:
    """From the bottom of one box to the top of another, straight down past the layers between."""
    layer = boxes[start].layer
    y = tops[layer] + boxes[start].height
    before = x[0] + shift
    # A taller box may stand beside this one, so nothing bends above the layer's end.
    path = [f"M{before:.1f} {y:.1f}V{tops[layer] + heights[layer]:.1f}"]
    y = tops[layer] + heights[layer]
    for step, at in enumerate((value + shift for value in x[1:]), layer + 1):
        to = tops[step]
        middle = (y + to) / 2
        path.append(f"C{before:.1f} {middle:.1f} {at:.1f} {middle:.1f} {at:.1f} {to:.1f}")
        y, before = to, at
        if step < boxes[end].layer:
            y = to + heights[step]
            path.append(f"V{y:.1f}")
    return "".join(path)


def _width(lines: tuple[str, ...]) -> float:
    # A bold text takes more.
    return max(_text_width(line, 14 if number == 0 else 11.5) for number, line in enumerate(lines)) + 2 * _PAD


def _text_width(text: str, size: float) -> float:
    """How wide a text is at most in a usual sans-serif, since the reader's fonts are not known."""
    width = 0.0
    for character in text:
        if cell_len(character) > 1:
            width += 1.05
        else:
            width += 0.36 if character in _NARROW else 0.95 if character in _WIDE else 0.72 if character.isupper() else 0.62
    return width * size


def _style() -> str:
    def colours(kinds: dict[str, tuple[str, str, str]], paper: str, band: str, ink: str, line: str) -> str:
        rules = [f".paper{{fill:{paper}}}.band{{fill:{band}}}.title,.heading{{fill:{ink}}}.arrow{{stroke:{line}}}.tip{{fill:{line}}}"]
        rules += [f".{kind}{{fill:{fill};stroke:{edge}}}.{kind}-text{{fill:{text}}}" for kind, (fill, edge, text) in kinds.items()]
        return "".join(rules)

    return (
        "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;text-anchor:middle}"
        ".title,.heading{text-anchor:start}.title{font-size:14px}.heading{font-size:12px;font-weight:600}"
        ".name{font-size:13px;font-weight:600}.more{font-size:11.5px}.arrow{fill:none;stroke-width:1.2}.output{stroke-width:3}"
        + colours(_LIGHT, "#ffffff", "#f8fafc", "#334155", "#94a3b8")
        + "@media(prefers-color-scheme:dark){"
        + colours(_DARK, "#0d1117", "#161b22", "#cbd5e1", "#64748b")
        + "}"
    )
