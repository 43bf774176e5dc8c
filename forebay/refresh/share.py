"""Equal tables are one: what two calculations, or two stages, would both compute ahead is built once. Pure.

Equal means: the same SQL (layout and comments aside) over the same relations, with the same columns, and an order of rows that
serves both. The first in the project's order owns the table; the others read it by whatever name their SQL has for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from forebay.project.edition import Definition, Sharer


class Shared(msgspec.Struct, frozen=True):
    """Tables of which no two are equal, in build order, and for those left out, by full name, the one that stands for them."""

    definitions: tuple[Definition, ...]
    owners: Mapping[str, str]


def share(definitions: Sequence[Definition]) -> Shared:
    """`definitions` in build order, declared tables before those that calculations derive. Only derived tables are left out."""
    kept: dict[str, Definition] = {}
    owners: dict[str, str] = {}
    alike: dict[object, list[str]] = {}
    for definition in (_over(owners, one) for one in definitions):
        named = definition.relations or {name.removeprefix("tier2."): name for name in definition.reads}
        same = alike.setdefault((definition.canonical, tuple(sorted(named.items())), definition.columns), [])
        joined = None
        if definition.kind == "derived":
            joined = next((one for other in same if (one := _joined(kept[other], definition))), None)
        if joined is None:
            kept[definition.name] = definition
            same.append(definition.name)
        else:
            kept[joined.name] = joined
            owners[definition.name] = joined.name
    return Shared(tuple(kept.values()), owners)


def _over(owners: Mapping[str, str], definition: Definition) -> Definition:
    """`definition`, reading those tables that are built."""
    if owners.keys().isdisjoint(definition.reads):
        return definition
    relations = {name: owners.get(full, full) for name, full in definition.relations.items()}
    return msgspec.structs.replace(definition, relations=relations, reads=tuple(sorted(set(relations.values()))))


def _joined(owner: Definition, other: Definition) -> Definition | None:
    """`owner`, also for the readers of `other`, if one order of rows serves both: one's sort columns begin with the other's."""
    shorter, longer = sorted((_order(owner), _order(other)), key=len)
    if longer[: len(shorter)] != shorter or (owner.kind != "derived" and longer != _order(owner)):
        return None
    sharer = Sharer(other.name, other.stage)
    if owner.kind != "derived":
        return msgspec.structs.replace(owner, shared=(*owner.shared, sharer))
    return msgspec.structs.replace(owner, sort_by=longer, shared=(*owner.shared, sharer))


def _order(definition: Definition) -> tuple[str, ...]:
    partition = (definition.partition_by,) if definition.partition_by else ()
    return tuple(dict.fromkeys([*partition, *definition.sort_by]))
