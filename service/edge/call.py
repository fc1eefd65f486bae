"""What a handler gets and what it gives back. Handlers see no Bottle and no HTTP beyond these values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias

from service.context import Context
from service.edge.models import Body, NoQuery
from service.edge.slots import SlotSet
from service.operations.actor import Actor

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request.

    `path` is the request's path, `params` its variables by name; `ref` is the one of that name, "" on a collection.
    `query` and `body` are of the models that the route names. `header(name)` is a request header, "" when not sent.
    """

    ctx: Context
    actor: Actor
    path: str
    params: Mapping[str, str]
    query: NoQuery
    header: Callable[[str], str]
    slots: SlotSet
    body: Body | None = None
    stream: IO[bytes] | None = None
    stream_bytes: int | None = None

    @property
    def ref(self) -> str:
        """The id or name of the object that the path is about."""
        return self.params.get("ref", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is serialised as JSON unless it is bytes, which go out as they are; None is an empty answer."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: the server takes chunk after chunk, and closes the iterator when the client has gone.

    The chunks are made outside of any unit of work.
    """

    chunks: Iterator[bytes]
    media_type: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer is a job: 202 while it runs, 200 when it has ended within the call's `wait`.

    With `told` the answer is that, and the job is its member `job`.
    """

    job_id: str
    is_new: bool = True
    told: Mapping[str, Any] | None = None


Outcome: TypeAlias = Reply | Stream | Accepted
