"""Models of error responses and health checks."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.edge.models import Shown


class ShownFieldError(Shown):
    """Invalid field: its dotted path in the request, and the reason."""

    field: str
    message: str


class Problem(Shown):
    """Problem document (RFC 9457): stable `code`, and `detail` with the next step."""

    model_config = ConfigDict(json_schema_extra={"description": "An RFC 9457 problem document."})

    type: str
    title: str
    status: int
    code: str = Field(description="Stable and dotted; docs/reference/errors.md lists all.")
    detail: str
    request_id: str
    errors: list[ShownFieldError] | None = Field(default=None, description="One entry per invalid field.")
    reasons: dict[str, list[str]] | None = Field(default=None, description="For each host, why it cannot take the VM.")


class ShownHealth(Shown):
    """Health of the service."""

    status: Literal["ok", "ready"]
