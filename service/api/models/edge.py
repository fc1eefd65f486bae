"""What the edge itself answers: problems, and whether the service is there."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.edge.models import Shown


class ShownFieldError(Shown):
    """One wrong field: its dotted path in the request."""

    field: str
    message: str


class Problem(Shown):
    """RFC 9457. `code` is for programs and never changes; `detail` is for people and says what to do next."""

    model_config = ConfigDict(json_schema_extra={"description": "An RFC 9457 problem document."})

    type: str
    title: str
    status: int
    code: str = Field(description="Stable and dotted; docs/reference/errors.md lists all.")
    detail: str
    request_id: str
    errors: list[ShownFieldError] | None = Field(default=None, description="One for each wrong field.")
    reasons: dict[str, list[str]] | None = Field(default=None, description="For each host, why not.")


class ShownHealth(Shown):
    """Whether the service answers."""

    status: Literal["ok", "ready"]
