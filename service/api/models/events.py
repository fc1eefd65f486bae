"""Events."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.edge.models import Count, Label, Query


class ListenEvents(Query):
    """What to listen to."""

    after: Annotated[Count, Field(ge=0)] | None = Field(
        default=None, description="Begin after this event; 0: with the oldest that is kept. `Last-Event-ID` wins."
    )
    object_kind: Label | None = Field(default=None, description="Only events about this kind of object.")
