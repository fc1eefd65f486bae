"""Values that a handler receives and returns, free of Bottle and HTTP details."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Generic, TypeAlias

from typing_extensions import TypeVar

from service.context import Context
from service.edge.models import Body, Listing, NoQuery
from service.edge.slots import SlotSet
from service.json_types import Json
from service.operations.actor import Actor

JSON = "application/json"

# Models of the body and of the query; a handler that reads neither takes a plain Call.
BodyT = TypeVar("BodyT", bound=Body | None, default=None, covariant=True)
QueryT = TypeVar("QueryT", bound=NoQuery, default=NoQuery, covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """Authorised request, with its body and query as the models that the route names.

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
        """Return the id or name of the object in the path."""
        return self.params.get("ref", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """Response. `body` is serialised as JSON, sent unchanged if it is bytes, empty if None."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Stream:
    """Streaming response: the server sends chunks, and closes the iterator on disconnect.

    The chunks are produced outside of any unit of work.
    """

    chunks: Iterator[bytes]
    media_type: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Response with a job: 202 while it runs, 200 if it has ended within the call's `wait`.

    With `body`, that mapping is the response body, and the job its member `job`.
    """

    job_id: str
    is_new: bool = True
    body: Mapping[str, Json] | None = None


AnyCall: TypeAlias = Call[Body | None, NoQuery]
ListCall: TypeAlias = Call[Body | None, Listing]
Outcome: TypeAlias = Reply | Stream | Accepted
