"""Where the boxes and arrows of a drawing go: layers from top to bottom, few crossings, nothing over anything else.

The usual way (Sugiyama): an arrow over several layers is bent at a point in each layer between; the order in a layer follows the
neighbours' mean places, there and back some times; then boxes move as near to their neighbours as order and gaps allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

GAP = 26.0
"""Between boxes side by side."""
_SWEEPS = 12


class Box(NamedTuple):
    """What is to be placed: its size, and its layer from 0 at the top."""

    width: float
    height: float
    layer: int


class Placed(NamedTuple):
    """Centres of the boxes' x; every arrow's x in each layer from its beginning to its end; the width of it all."""

    x: dict[str, float]
    arrows: dict[tuple[str, str], list[float]]
    width: float


def place(boxes: Mapping[str, Box], arrows: Sequence[tuple[str, str]], gap: float = GAP) -> Placed:
    """Place `boxes` by name, `gap` apart; `arrows` lead down, from a box in one layer to one in a later layer."""
    points = {name: (box.width, box.layer) for name, box in boxes.items()}
    paths: dict[tuple[str, str], list[str]] = {}
    for start, end in arrows:
        between = [f"{start}\0{end}\0{layer}" for layer in range(boxes[start].layer + 1, boxes[end].layer)]
        for layer, point in enumerate(between, boxes[start].layer + 1):
            points[point] = (0.0, layer)
        paths[start, end] = [start, *between, end]
    above: dict[str, list[str]] = {point: [] for point in points}
    below: dict[str, list[str]] = {point: [] for point in points}
    for path in paths.values():
        for upper, lower in pairwise(path):
            below[upper].append(lower)
            above[lower].append(upper)
    layers: list[list[str]] = [[] for _ in range(max(layer for _, layer in points.values()) + 1)]
    for point, (_, layer) in points.items():
        layers[layer].append(point)
    _order(layers, above, below)
    x = _spread(layers, {point: width for point, (width, _) in points.items()}, above, below, gap)
    left = min(x[name] - box.width / 2 for name, box in boxes.items())
    left = min([left, *(x[point] for point in points)])
    right = max([*(x[name] + box.width / 2 for name, box in boxes.items()), *x.values()])
    x = {point: at - left for point, at in x.items()}
    return Placed({name: x[name] for name in boxes}, {ends: [x[point] for point in path] for ends, path in paths.items()}, right - left)


def _order(layers: list[list[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]) -> None:
    """Sort each layer by its neighbours' places; keep the order with the fewest crossings."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers[1:] if down else layers[-2::-1]:
            index = {point: number for row in layers for number, point in enumerate(row)}
            means = {point: _mean([index[other] for other in (above if down else below)[point]], index[point]) for point in layer}
            layer.sort(key=means.__getitem__)
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: Sequence[Sequence[str]], below: Mapping[str, list[str]]) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        index = {point: number for number, point in enumerate(lower)}
        ends = [sorted(index[end] for end in below[point]) for point in upper]
        flat = [end for part in ends for end in part]
        owner = [number for number, part in enumerate(ends) for _ in part]
        total += sum(flat[i] > flat[j] and owner[i] != owner[j] for i in range(len(flat)) for j in range(i + 1, len(flat)))
    return total


def _spread(
    layers: Sequence[Sequence[str]],
    width: Mapping[str, float],
    above: Mapping[str, list[str]],
    below: Mapping[str, list[str]],
    gap: float,
) -> dict[str, float]:
    """The x of each point, in its layer's order, as near to its neighbours as the gaps allow."""
    x: dict[str, float] = {}
    for layer in layers:
        at = 0.0
        for point in layer:
            x[point] = at + width[point] / 2
            at += width[point] + gap
    for sweep in range(2 * _SWEEPS):
        near = (above, below)[sweep % 2]
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = []
            for point in layer:
                others = near[point] or (above[point] + below[point] if sweep >= _SWEEPS else [])
                wanted.append(_mean([x[other] for other in others], x[point]))
            offsets, at = [], 0.0
            for before, point in zip([None, *layer], layer, strict=False):
                at += (width[before] + width[point]) / 2 + gap if before is not None else 0.0
                offsets.append(at)
            # Bends weigh more than boxes: a straight arrow is easier to follow than a centred box.
            weights = [1.0 if width[point] else 4.0 for point in layer]
            starts = _rising([want - offset for want, offset in zip(wanted, offsets, strict=True)], weights)
            x.update((point, start + offset) for point, start, offset in zip(layer, starts, offsets, strict=True))
    return x


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _rising(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The numbers nearest to `wanted`, by weighted squares, that never fall: neighbours that would are put at their mean."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(wanted, weights, strict=True):
        mean, total, size = value, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, its, count = blocks.pop()
            mean, total, size = (mean * total + other * its) / (total + its), total + its, size + count
        blocks.append((mean, total, size))
    return [mean for mean, _, size in blocks for _ in range(size)]
