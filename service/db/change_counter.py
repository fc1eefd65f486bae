"""Counter of changes of hosts that matter to decisions.

A reader that has the last number reads only hosts changed since. Because writing transactions are serialised (ADR 20),
the numbers appear in order.
"""

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
    """Mark these hosts as changed, in the same transaction; return the number."""
    number, ids = next_number(), sorted(host_ids)
    for first in range(0, len(ids), AT_ONCE):
        Host.update(changed=number).where(Host.id.in_(ids[first : first + AT_ONCE])).execute()
    return number


def touch_group(group_id: str) -> int:
    """Mark the hosts of a host group as changed."""
    members = HostGroupMember.select(HostGroupMember.host).where(HostGroupMember.group == group_id)
    number = next_number()
    Host.update(changed=number).where(Host.id.in_(members)).execute()
    return number


def touch_all() -> int:
    """Mark every host as changed."""
    number = next_number()
    Host.update(changed=number).execute()
    return number


def next_number() -> int:
    """Return the number of this change; the caller writes it to `host.changed`."""
    ((number,),) = NEXT.tuples()
    return int(number)


def note_removed() -> None:
    """Count a removed host, which leaves no row to mark."""
    PlacementVersion.update(removed=PlacementVersion.removed + 1).where(THE_ROW).execute()


def last() -> tuple[int, int]:
    """Return the number of the last change and the number of hosts removed so far."""
    ((value, removed),) = LAST.tuples()
    return int(value), int(removed)
