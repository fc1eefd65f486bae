"""Handler of the event stream (SSE).

Protocol: https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

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
HEARTBEAT_S = 5.0  # a disconnected client is noticed when the second heartbeat cannot be sent
# Maximum length of a stream. The client then reconnects at its position, and its permissions are read again.
LONGEST_S = 300.0
BATCH = 200
FIRST = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"
POSITION = re.compile(r"[0-9]{1,18}")


def stream(call: Call[None, ListenEvents]) -> Stream:
    """Stream events (SSE), from now or after `Last-Event-ID` (or `after`).

    If the events after that position are already deleted, the stream starts with one event named `reset`: the client
    must read the current state again.
    """
    query = call.query
    position = _position(call.header("Last-Event-ID"))
    return Stream(EventStream(call, query.after if position is None else position), MEDIA_TYPE)


class EventStream(Iterator[bytes]):
    """Chunks for one client; holds a stream slot and a subscription until close()."""

    def __init__(self, call: Call[None, ListenEvents], position: int | None) -> None:
        query = call.query
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
        """Return the next chunk: events, or a heartbeat after HEARTBEAT_S without any."""
        first, self._next = self._next, None
        if first is not None:
            return first
        left_s = self._ends_at - self._ctx.clock.monotonic()
        if left_s <= 0 or not self._may_go_on():
            self.close()
            raise StopIteration
        return self._news() or self._news_after(min(left_s, HEARTBEAT_S)) or HEARTBEAT

    def close(self) -> None:
        """Release the slot and the subscription; may be repeated."""
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
        """Return new events. The position also moves past events this client may not see."""
        with unit_of_work(self._ctx.db):
            visible = people.readable_events(self._actor.role, self._actor.scope)
            newest = events.newest()
            found = events.after(self._position, limit=BATCH, visible=visible, kinds=self._kinds)
        seen = [self._position, *(event.id for event in found)]
        self._position = max(seen) if len(found) == BATCH else max(newest, *seen)
        return b"".join(_chunk(event) for event in found)

    def _may_go_on(self) -> bool:
        """Return True while the token is valid; refreshes the actor's permissions."""
        try:
            with unit_of_work(self._ctx.db):
                now = renewed(self._actor, self._ctx.clock.now())
                authorise(now, "event:read")
                self._actor = in_project(now, self._call.query.project)
        except NacreError:
            return False
        return True


def _chunk(event: Event) -> bytes:
    return f"id: {event.id}\ndata: {json.dumps(show_event(event))}\n\n".encode()


def _position(header: str) -> int | None:
    if not header:
        return None
    if not POSITION.fullmatch(header):
        rule = "the id of an event, a whole number"
        raise InvalidError(f"Last-Event-ID must be {rule}.", errors=(FieldError("last-event-id", rule),))
    return int(header)
