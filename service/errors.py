"""The service's errors: stable dotted codes for programs, a sentence with the next step for people. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `field` is its dotted path in the request."""

    field: str
    message: str


class NacreError(Exception):
    """`code` never changes once published; `detail` names the object and says what to do next."""

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
    """No token, or one that is not known."""

    default_code = "auth.required"


class ForbiddenError(NacreError):
    """The actor is known and may not do this."""

    default_code = "auth.forbidden"


class NotFoundError(NacreError):
    """There is no such object, or none that the actor may see."""

    default_code = "object.not_found"


class GoneError(NacreError):
    """There was such a thing, and it is no longer kept."""

    default_code = "object.gone"


class ConflictError(NacreError):
    """The request is right and the state of the cloud does not allow it now."""

    default_code = "object.conflict"


class UnavailableError(NacreError):
    """Something the service needs did not answer in time; trying again later may help."""

    default_code = "service.unavailable"
