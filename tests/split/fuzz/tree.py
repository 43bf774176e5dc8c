"""SQL text as a tree of pieces that can be taken away: what a random script is made of, so that a failing one can be shrunk.

A piece knows its sort ("int", "query", …) and nothing of SQL. Whether what is left still means something, the engine says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PLAIN = {
    "int": ("1", "NULL::integer"),
    "dec": ("1.5",),
    "dbl": ("0.5::double",),
    "apx": ("0.5::double",),
    "str": ("'a'",),
    "date": ("date '2024-01-31'",),
    "ts": ("timestamp '2024-01-31 10:00:00'",),
    "bool": ("true", "false"),
}
"""By sort, what a piece is replaced with before anything else is tried."""


@dataclass(slots=True)
class Node:
    """A piece: texts, pieces and lists of pieces one after the other. One of the same sort can stand in its place."""

    sort: str
    parts: list[str | Node | Many]

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


@dataclass(slots=True)
class Many:
    """A list of pieces, any of which may go as long as `least` are left; `before` and `after` are written if there are any."""

    items: list[Node]
    separator: str = ", "
    before: str = ""
    after: str = ""
    least: int = 0

    def __str__(self) -> str:
        return f"{self.before}{self.separator.join(map(str, self.items))}{self.after}" if self.items else ""


def node(sort: str, text: str, *pieces: Node | Many) -> Node:
    """A piece written as `text`, each `{}` being one of `pieces`."""
    texts = text.split("{}")
    parts: list[str | Node | Many] = [texts[0]]
    for piece, following in zip(pieces, texts[1:], strict=True):
        parts += [piece, following]
    return Node(sort, parts)


def one_or_none(piece: Node | None) -> Many:
    return Many([piece] if piece else [])


@dataclass(slots=True)
class Slots:
    """The places in a tree at which something can be done."""

    lists: list[Many] = field(default_factory=list)
    places: list[tuple[list[str | Node | Many] | list[Node], int]] = field(default_factory=list)

    @classmethod
    def of(cls, root: Many) -> Slots:
        found = cls()
        found.walk(root)
        return found

    def walk(self, at: Node | Many) -> None:
        inside: list[str | Node | Many] | list[Node]
        if isinstance(at, Many):
            self.lists.append(at)
            inside = at.items
        else:
            inside = at.parts
        for index, part in enumerate(inside):
            if isinstance(part, Node | Many):
                if isinstance(part, Node):
                    self.places.append((inside, index))
                self.walk(part)


def below(piece: Node, sort: str, depth: int = 4) -> Iterator[Node]:
    """Pieces of one sort inside `piece`, the outer ones first."""
    level: list[Node | Many] = [piece]
    for _ in range(depth * 2):
        following: list[Node | Many] = []
        for at in level:
            for part in at.items if isinstance(at, Many) else at.parts:
                if isinstance(part, str):
                    continue
                if isinstance(part, Node) and part.sort == sort:
                    yield part
                else:
                    following.append(part)
        level = following


def shrink(root: Many, fails: Callable[[], bool]) -> bool:
    """Take from `root`, in place, all that can go while it still fails. True if anything went."""
    went = False
    while True:
        before = went
        went = False
        for listed in Slots.of(root).lists:
            index = len(listed.items) - 1
            while index >= 0:
                if len(listed.items) > listed.least:
                    item = listed.items.pop(index)
                    if fails():
                        went = True
                    else:
                        listed.items.insert(index, item)
                index -= 1
        for inside, index in Slots.of(root).places:
            if index >= len(inside) or not isinstance(inside[index], Node):
                continue
            went |= _replaced(inside, index, fails)
        if not went:
            return before


def _replaced(inside: list[str | Node | Many] | list[Node], index: int, fails: Callable[[], bool]) -> bool:
    """Whether a simpler piece was put in a place."""
    piece = inside[index]
    assert isinstance(piece, Node)
    plain = PLAIN.get(piece.sort, ())
    if str(piece) in plain:
        return False
    for simpler in (*(Node(piece.sort, [text]) for text in plain), *below(piece, piece.sort)):
        if len(str(simpler)) >= len(str(piece)):
            continue
        inside[index] = simpler
        if fails():
            return True
    inside[index] = piece
    return False
