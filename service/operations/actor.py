"""Who asks, what for, and how far they see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.db.scope import EVERYTHING, NOTHING, Scope


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is the user's; `role` says what it may do; `request_id` ties job, audit and log to the call.

    `permissions` are the only ones that the token has; None: all that the role gives. `is_limited` is a token of fewer
    rights or of a chosen end: it makes no other tokens. `source` is the address that asked, `reason` what for.
    """

    name: str
    role: str
    request_id: str
    scope: Scope
    user_id: str | None = None
    token_id: str | None = None
    permissions: frozenset[str] | None = None
    expires_at: datetime | None = None  # the token's end
    is_limited: bool = False
    source: str = ""
    reason: str = ""

    @property
    def project_id(self) -> str | None:
        """The project that the request works in."""
        return self.scope.project_id


ANONYMOUS = Actor(name="anonymous", role="nobody", request_id="", scope=NOTHING)
SERVICE = Actor(name="nacre", role="admin", request_id="-", scope=EVERYTHING)
