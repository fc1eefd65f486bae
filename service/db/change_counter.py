"""A number that grows with every change of a host that matters to a decision: who knows the last one reads only what
changed since. One writer at a time (ADR 20) makes the numbers appear in order."""

from __future__ import annotations

from collections.abc import Iterable

from service.db.engine.prepared import Prepared
from service.db.tables import Host, HostGroupMember, PlacementVersion

AT_ONCE = 500  # hosts named in one statement
THE_ROW = PlacementVersion.id == 1
VALUE = PlacementVersion.value
NEXT = Prepared(PlacementVersion, lambda: PlacementVersion.update(value=VALUE + 1).where(THE_ROW).returning(VALUE))
LAST = Prepared(PlacementVersion, lambda: PlacementVersion.select(VALUE, PlacementVersion.removed).where(THE_ROW))


def touch(host_ids: Iterable[str]) -> int:
    """Mark these hosts as changed now, inside the transaction that changes them; returns the number."""
    number, ids = next_number(), sorted(host_ids)
    for first in range(0, len(ids), AT_ONCE):
        Host.update(changed=number).where(Host.id.in_(ids[first : first + AT_ONCE])).execute()
    return number


def touch_group(group_id: str) -> int:
    """As touch(), for the hosts that are in a host group."""
    members = HostGroupMember.select(HostGroupMember.host).where(HostGroupMember.group == group_id)
    number = next_number()
    Host.update(changed=number).where(Host.id.in_(members)).execute()
    return number


def touch_all() -> int:
    """As touch(), for every host."""
    number = next_number()
    Host.update(changed=number).execute()
    return number


def next_number() -> int:
    """The number of this change, for who writes `host.changed` in a statement of its own."""
    ((number,),) = NEXT.tuples()
    return int(number)


def note_removed() -> None:
    """A host is gone, and no row of it can tell."""
    PlacementVersion.update(removed=PlacementVersion.removed + 1).where(THE_ROW).execute()


def last() -> tuple[int, int]:
    """The number of the last change, and how many hosts were removed so far."""
    ((value, removed),) = LAST.tuples()
    return int(value), int(removed)
