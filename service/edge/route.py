"""Route of the API as a value, and the type of layers around its handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from service.edge.call import AnyCall, Call, Outcome
from service.edge.models import Body, NoQuery, Query, Shown, Trying, Waiting

Handler: TypeAlias = Callable[[Call[Any, Any]], Outcome]


@dataclass(frozen=True, slots=True)
class Route:
    """Route of the API.

    `permission` None: no token is needed. `body` is the model of a JSON body, "stream" for raw bytes, None for no body.
    `query` None means Query for GET, Trying if a job is created, else Waiting. `reply` is the model of the response, a
    media type if it is not JSON, None if it is empty; `status` is the status of success. `errors` are statuses that
    cannot be derived from the rest. The first line of the handler's docstring is the summary.
    """

    method: str
    path: str
    handler: Handler
    permission: str | None
    body: type[Body] | Literal["stream"] | None = None
    query: type[NoQuery] | None = None
    reply: type[Shown] | str | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()  # required request headers: name and meaning
    body_limit: int | None = None  # bytes; the settings' max_body_bytes where None
    pure: bool = True  # of a GET: its answer is a function of the database, the token and the request alone

    @property
    def may_be_kept(self) -> bool:
        """Return True if a response may be cached until the database changes."""
        return self.pure and self.method == "GET" and self.permission is not None and isinstance(self.reply, type)

    @property
    def parameters(self) -> type[NoQuery]:
        """Return the model of the query."""
        if self.query is not None:
            return self.query
        if self.permission is None:
            return NoQuery
        if self.method == "GET":
            return Query
        return Trying if isinstance(self.reply, type) and self.reply.is_job else Waiting


Layer: TypeAlias = Callable[[Route, Handler, AnyCall], Outcome]
"""Function around a handler: may inspect the call, skip the handler, or change its outcome."""
