"""The actor of a request: name, role, scope and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.db.scope import EVERYTHING, NOTHING, Scope


@dataclass(frozen=True, slots=True)
class Actor:
    """The user or service that makes a request.

    `name` is the user's; `role` gives its permissions; `request_id` links job, audit and log to the call.
    `permissions` are those of the token; None: all of the role. `is_limited` marks a token with fewer permissions or a
    chosen expiry: it may create no other tokens. `source` is the client's address, `reason` its stated reason.
    """

    name: str
    role: str
    request_id: str
    scope: Scope
    user_id: str | None = None
    token_id: str | None = None
    permissions: frozenset[str] | None = None
    expires_at: datetime | None = None  # of the token
    is_limited: bool = False
    source: str = ""
    reason: str = ""

    @property
    def project_id(self) -> str | None:
        """Project of the request."""
        return self.scope.project_id


ANONYMOUS = Actor(name="anonymous", role="anonymous", request_id="", scope=NOTHING)
SERVICE = Actor(name="nacre", role="admin", request_id="-", scope=EVERYTHING)
