"""What a handler gets and what it gives back. Handlers see no Bottle and no HTTP beyond these values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from pydantic import BaseModel

from service.context import Context
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request. `ref` is the object's id or name in the path, "" on a collection."""

    ctx: Context
    actor: Actor
    ref: str
    query: Mapping[str, str]
    body: BaseModel | None = None
    stream: IO[bytes] | None = None
    stream_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is serialised as JSON; a body of None is an empty answer."""

    body: Any
    status: int = 200


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer is a job: 202 while it runs, 200 when it has ended within the call's `wait`."""

    job_id: str
    is_new: bool = True
