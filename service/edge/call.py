"""What a handler gets and what it gives back. Handlers see no Bottle and no HTTP beyond these values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Generic, TypeAlias

from typing_extensions import TypeVar

from service.context import Context
from service.edge.models import Body, Listing, NoQuery
from service.edge.slots import SlotSet
from service.operations.actor import Actor

JSON = "application/json"

# Models of the body and of the query; a handler that reads neither takes a plain Call.
BodyT = TypeVar("BodyT", bound=Body | None, default=None, covariant=True)
QueryT = TypeVar("QueryT", bound=NoQuery, default=NoQuery, covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """One authorised request, with its body and query as the models that the route names.

    `path` is the request's path, `params` its variables by name; `ref` is the one of that name, "" on a collection.
    `header(name)` is a request header, "" when not sent.
    """

    ctx: Context
    actor: Actor
    path: str
    params: Mapping[str, str]
    query: QueryT
    header: Callable[[str], str]
    slots: SlotSet
    body: BodyT
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


AnyCall: TypeAlias = Call[Body | None, NoQuery]
ListCall: TypeAlias = Call[Body | None, Listing]
Outcome: TypeAlias = Reply | Stream | Accepted
