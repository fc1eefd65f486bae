"""Models of the event stream."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.edge.models import Count, Label, Query


class ListenEvents(Query):
    """Query of the event stream."""

    after: Annotated[Count, Field(ge=0)] | None = Field(
        default=None,
        description="Start after this event; 0: at the oldest stored event. `Last-Event-ID` takes precedence.",
    )
    object_kind: Label | None = Field(default=None, description="Only events about this kind of object.")
