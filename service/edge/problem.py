"""Errors as RFC 9457 problem documents, never with a traceback."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import ValidationError

from service.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NacreError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from service.json_types import JsonObject

MEDIA_TYPE = "application/problem+json"
# Limits of what is echoed: names of unknown fields may be as long and as many as the body allows.
MOST_FIELDS = 32
LONGEST_FIELD = 80

STATUS_BY_CLASS: tuple[tuple[type[NacreError], int], ...] = (
    (InvalidError, 422),
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (GoneError, 410),
    (ConflictError, 409),
    (UnavailableError, 503),
)
STATUS_BY_CODE = {
    "request.bad_path": 400,
    "request.body_broken": 400,
    "request.not_json": 400,
    "request.too_large": 413,
    "request.length_required": 411,
    "request.media_type": 415,
    "request.method_not_allowed": 405,
    "object.changed": 412,
    "object.exists": 412,
    "auth.too_many_attempts": 429,
    "service.busy": 503,
}


def status_of(error: NacreError) -> int:
    """Return the HTTP status of an error, by its code if listed, else by its class."""
    if error.code in STATUS_BY_CODE:
        return STATUS_BY_CODE[error.code]
    return next((status for kind, status in STATUS_BY_CLASS if isinstance(error, kind)), 500)


def problem(error: NacreError, request_id: str) -> JsonObject:
    """Return the members of the problem document, in reading order."""
    status = status_of(error)
    body: JsonObject = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors:
        body["errors"] = [{"field": item.field, "message": item.message} for item in error.errors]
    if error.reasons:
        body["reasons"] = error.reasons
    return body


def from_validation(failure: ValidationError) -> InvalidError:
    """Return the field errors of a body, without values: they may be secret or huge."""
    errors = tuple(
        FieldError(
            ".".join(str(part) for part in item["loc"])[:LONGEST_FIELD] or "body",
            _message(item["msg"]),
        )
        for item in failure.errors(include_url=False, include_context=False, include_input=False)[:MOST_FIELDS]
    )
    named = ", ".join(sorted({error.field for error in errors}))
    return InvalidError(f"The request is not valid: see errors for {named}.", errors=errors)


def _message(text: str) -> str:
    """Return the message of a custom check without pydantic's label."""
    return text.removeprefix("Value error, ")
