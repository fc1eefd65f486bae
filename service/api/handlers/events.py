"""The stream of events as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

from service.api.models.events import ListenEvents
from service.db import events, people
from service.db.engine.database import unit_of_work
from service.db.tables import Event
from service.edge.authenticate import in_project, renewed
from service.edge.call import Call, Stream
from service.errors import FieldError, InvalidError, NacreError
from service.operations.authorise import authorise
from service.views.events import show_event

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 5.0  # a client that has gone is noticed by the second one that it does not take
# A stream ends by then, and the client comes back with its position: what it may see is worked out anew.
LONGEST_S = 300.0
BATCH = 200
FIRST = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"
POSITION = re.compile(r"[0-9]{1,18}")


def listen(call: Call) -> Stream:
    """What happens from now on, or since the event in `Last-Event-ID` (or `after`), as it happens.

    Events that are gone already are told of by one event named `reset`: look at everything anew.
    """
    query = cast(ListenEvents, call.query)
    position = _position(call.header("Last-Event-ID"))
    return Stream(EventStream(call, query.after if position is None else position), MEDIA_TYPE)


class EventStream(Iterator[bytes]):
    """Chunks for one listener, who holds a slot and a bell's ear until close()."""

    def __init__(self, call: Call, position: int | None) -> None:
        query = cast(ListenEvents, call.query)
        self._call, self._ctx, self._actor = call, call.ctx, call.actor
        self._kinds = (query.object_kind,) if query.object_kind else ()
        self._ends_at = self._ctx.clock.monotonic() + LONGEST_S
        self._next: bytes | None = FIRST
        self._position = self._begin(position)
        with ExitStack() as held:
            held.enter_context(call.slots.streams.one("Too many event streams are open: try again later."))
            self._listener = held.enter_context(self._ctx.bell.listen(events.EVENTS))
            self._held = held.pop_all()

    def __next__(self) -> bytes:
        """The next chunk: events, or a heartbeat when there are none for HEARTBEAT_S."""
        first, self._next = self._next, None
        if first is not None:
            return first
        left_s = self._ends_at - self._ctx.clock.monotonic()
        if left_s <= 0 or not self._may_go_on():
            self.close()
            raise StopIteration
        return self._news() or self._news_after(min(left_s, HEARTBEAT_S)) or HEARTBEAT

    def close(self) -> None:
        """Give back the slot and the ear. Silent the second time."""
        self._ends_at = self._ctx.clock.monotonic()
        self._held.close()

    def _begin(self, position: int | None) -> int:
        with unit_of_work(self._ctx.db):
            kept = events.bounds()
        if position is None:
            return kept.newest
        if position and not kept.oldest - 1 <= position <= kept.newest:
            self._next = FIRST + f"event: reset\nid: {kept.newest}\ndata: {{}}\n\n".encode()
            return kept.newest
        return position

    def _news_after(self, timeout_s: float) -> bytes:
        self._listener.wait(timeout_s)
        return self._news()

    def _news(self) -> bytes:
        """What came since. An event that is not for this listener moves the position as well."""
        with unit_of_work(self._ctx.db):
            visible = people.readable_events(self._actor.role, self._actor.scope)
            newest = events.newest()
            found = events.after(self._position, limit=BATCH, visible=visible, kinds=self._kinds)
        seen = [self._position, *(event.id for event in found)]
        self._position = max(seen) if len(found) == BATCH else max(newest, *seen)
        return b"".join(_chunk(event) for event in found)

    def _may_go_on(self) -> bool:
        """Whether the door would still open; what may be seen is worked out anew."""
        try:
            with unit_of_work(self._ctx.db):
                now = renewed(self._actor, self._ctx.clock.now())
                authorise(now, "event:read")
                self._actor = in_project(now, cast(ListenEvents, self._call.query).project)
        except NacreError:
            return False
        return True


def _chunk(event: Event) -> bytes:
    return f"id: {event.id}\ndata: {json.dumps(show_event(event))}\n\n".encode()


def _position(header: str) -> int | None:
    if not header:
        return None
    if not POSITION.fullmatch(header):
        told = "the id of an event, a whole number"
        raise InvalidError(f"Last-Event-ID is {told}.", errors=(FieldError("last-event-id", told),))
    return int(header)
