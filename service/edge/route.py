"""One route as a value, and what may stand around its handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.edge.call import Call, Outcome
from service.edge.models import Body, NoQuery, Query, Shown, Trying, Waiting

Handler: TypeAlias = Callable[[Call], Outcome]


@dataclass(frozen=True, slots=True)
class Route:
    """A line of the API.

    `permission` None is for everybody, without a token. `body` is the model of a JSON body, "stream" for raw bytes,
    None where none is read. `query` None means Query for GET, Trying where a job is made, Waiting else. `reply` is the
    model of the answer, a media type where it is no JSON, None where it is empty; `status` is that of success.
    `errors` are statuses that cannot be derived from the rest. The handler's docstring is the summary.
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
    headers: tuple[tuple[str, str], ...] = ()  # that must be sent: names, and what they mean
    body_limit: int | None = None  # bytes; the settings' max_body_bytes where None
    pure: bool = True  # of a GET: its answer is a function of the database, the token and the request alone

    @property
    def may_be_kept(self) -> bool:
        """Whether an answer may be given again for as long as the database has not changed."""
        return self.pure and self.method == "GET" and self.permission is not None and isinstance(self.reply, type)

    @property
    def parameters(self) -> type[NoQuery]:
        """The model of the query."""
        if self.query is not None:
            return self.query
        if self.permission is None:
            return NoQuery
        if self.method == "GET":
            return Query
        return Trying if isinstance(self.reply, type) and self.reply.is_job else Waiting


Layer: TypeAlias = Callable[[Route, Handler, Call], Outcome]
"""Stands around a handler: looks at the call, lets the handler go on (or not), looks at what came out."""
