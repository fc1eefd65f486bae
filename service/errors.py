"""Errors of the service: a stable code for programs, a sentence for people.

The sentence names the next step. HTTP statuses are in service/edge/problem.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """An invalid field: `field` is its dotted path in the request."""

    field: str
    message: str


class NacreError(Exception):
    """Base of the service's errors.

    `code` never changes once published; `detail` names the object and the next step.
    """

    default_code = "internal"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: tuple[FieldError, ...] = (),
        reasons: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code or self.default_code
        self.detail = detail
        self.errors = errors
        self.reasons = reasons or {}


class InvalidError(NacreError):
    """The request itself is wrong, whatever the state of the cloud."""

    default_code = "request.invalid"


class UnauthenticatedError(NacreError):
    """No token, or an unknown one."""

    default_code = "auth.required"


class ForbiddenError(NacreError):
    """The actor is known but lacks the permission."""

    default_code = "auth.forbidden"


class NotFoundError(NacreError):
    """There is no such object, or none that the actor may see."""

    default_code = "object.not_found"


class GoneError(NacreError):
    """The object existed but is no longer kept."""

    default_code = "object.gone"


class ConflictError(NacreError):
    """The request is valid but the current state of the cloud does not allow it."""

    default_code = "object.conflict"


class UnavailableError(NacreError):
    """A dependency of the service did not answer in time; a retry may succeed."""

    default_code = "service.unavailable"
