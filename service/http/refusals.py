"""Refusals by the server before the API, as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

HEAD_TOO_LONG = LimitRequestHeaders("the head has no end")
FAULT = (500, "internal", "The service failed; its log has the request id.")
MALFORMED = (400, "request.malformed", "The request is not HTTP/1.1 as RFC 9112 has it.")
REFUSALS: tuple[tuple[type[BaseException], tuple[int, str, str]], ...] = (
    (InvalidResponseHeader, FAULT),
    (InvalidResponseHeaderName, FAULT),
    (LimitRequestLine, (414, "request.path_too_long", "The path and query are longer than 8190 bytes.")),
    (LimitRequestHeaders, (431, "request.headers_too_large", "The headers are too many, or too long.")),
    (ExpectationFailed, (417, "request.expectation", "'Expect' may be '100-continue' only.")),
    (UnsupportedTransferCoding, (501, "request.transfer_coding", "'Transfer-Encoding' may be 'chunked' only.")),
    (ParseException, MALFORMED),
)


def refusal(failure: BaseException, request_id: str) -> tuple[int, bytes]:
    """Return the status and the whole answer, which ends the connection."""
    status, code, detail = next((answer for kind, answer in REFUSALS if isinstance(failure, kind)), FAULT)
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    body = json.dumps({**document, "request_id": request_id}).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
    )
    return status, head.encode() + body
