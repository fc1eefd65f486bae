"""HTTP client of the API: one method per HTTP method, errors as ApiError."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import quote

import httpx

from service.cli.config import Config
from service.cli.errors import ApiError, CliError, LostError, UsageError

LONG_POLL_S = 1  # also the interval at which a progress bar is redrawn
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

Json = dict[str, Any]
Event = tuple[int, str, Json]  # position, name, data
SILENCE_S = 45.0  # without a heartbeat for this long, the stream counts as broken
RECONNECT_S = 2.0


def at(collection: str, name: str, *verb: str) -> str:
    """Return the path of an object or of a verb on it, with a percent-encoded name."""
    if name in ("", ".", ".."):
        raise UsageError(f"'{name}' cannot be a name.")
    return "/".join((f"/v1/{collection}", quote(name, safe=""), *(quote(part, safe="") for part in verb)))


class Client:
    """HTTP client of one API URL, with the caller's token, project and reason."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.dry_run = False
        headers = {b"User-Agent": b"nacre-cli"}
        if config.token:
            headers[b"Authorization"] = f"Bearer {config.token}".encode("ascii")
        if config.reason:
            headers[b"X-Reason"] = config.reason.encode()
        self._http = httpx.Client(
            base_url=config.url,
            headers=headers,
            params={"project": config.project} if config.project else {},
            timeout=httpx.Timeout(60.0, connect=5.0),
            trust_env=False,
        )
        self._responded_at = ""

    def age_s(self, moment: str | None) -> float:
        """Return the age of an RFC 3339 time in seconds, by the API's clock; 0 for none."""
        if not moment or not self._responded_at:
            return 0.0
        return (parsedate_to_datetime(self._responded_at) - datetime.fromisoformat(moment)).total_seconds()

    def get(self, path: str, **query: str | int) -> Json:
        """Send GET for an object or a collection."""
        return self._send("GET", path, params=query)

    def items(self, path: str, **query: str | int) -> list[Json]:
        """Return all items of a collection, fetched page by page."""
        page = self.get(path, **query)
        items = cast(list[Json], page["items"])
        while token := page.get("next_page_token"):
            page = self.get(path, **query, page_token=token)
            items += page["items"]
        return items

    def post(self, path: str, body: Json | None = None) -> Json:
        """Send POST with a JSON body; retry once if the connection breaks.

        The Idempotency-Key makes the API run the request only once.
        """
        headers = {"Idempotency-Key": secrets.token_urlsafe(16)}
        try:
            return self._send("POST", path, json=body or {}, headers=headers)
        except LostError:
            return self._send("POST", path, json=body or {}, headers=headers)

    def put(self, path: str, body: Json | None = None, **query: str) -> Json:
        """Send PUT with a JSON body, or with none."""
        return self._send("PUT", path, params=query, **({"json": body} if body is not None else {}))

    def patch(self, path: str, body: Json) -> Json:
        """Send PATCH with a JSON body."""
        return self._send("PATCH", path, json=body)

    def delete(self, path: str) -> Json:
        """Send DELETE."""
        return self._send("DELETE", path)

    def send(self, path: str, chunks: Iterator[bytes], length: int, offset: int) -> Json:
        """Send PATCH with `length` bytes of a file, starting at `offset` bytes."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        return self._send("PATCH", path, content=chunks, headers={**headers, "Upload-Offset": str(offset)})

    def download(self, path: str) -> bytes:
        """Return the body of a GET whose response is not JSON."""
        return self._request("GET", path).content

    def events(self, path: str, *, after: int | None, **query: str | int) -> Iterator[Event]:
        """Yield (position, name, data) of events from now, or after a position.

        Reconnects at the last position if the connection breaks. Never ends.
        """
        position = after
        while True:
            headers = {} if position is None else {"Last-Event-ID": str(position)}
            try:
                for event in self._stream(path, headers, dict(query)):
                    position = event[0]
                    yield event
            except LostError as error:
                if position is None:
                    raise
                threading.Event().wait(RECONNECT_S)
                del error

    def _stream(self, path: str, headers: dict[str, str], query: dict[str, str | int]) -> Iterator[Event]:
        timeout = httpx.Timeout(SILENCE_S, connect=5.0)
        try:
            with self._http.stream("GET", path, headers=headers, params=query, timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                    raise ApiError(_problem(response))
                yield from _parse_events(response.iter_lines())
        except httpx.HTTPError as error:
            raise LostError(f"{self.config.url} does not respond ({error}): is the service running?") from error

    def follow(self, job: Json) -> Iterator[Json]:
        """Yield the job now and at least every LONG_POLL_S seconds until it has ended."""
        yield job
        while job["state"] not in FINAL_STATES:
            job = self._later(at("jobs", job["id"]))
            yield job

    def _later(self, path: str) -> Json:
        try:
            return self.get(path, wait=LONG_POLL_S)
        except ApiError as error:
            if error.problem.get("code") != "service.busy":
                raise
        threading.Event().wait(LONG_POLL_S)  # no slot for a long poll is free: wait in the client instead
        return self.get(path)

    def _send(self, method: str, path: str, **arguments: Any) -> Json:
        if self.dry_run and method != "GET":
            arguments["params"] = {**arguments.get("params", {}), "dry_run": "true"}
        response = self._request_or_explain(method, path, **arguments)
        body = _document(response) if response.content else {}
        if body is None:
            raise CliError(f"{self.config.url} responds, but is not the Nacre API: is the URL correct?")
        return body

    def _request_or_explain(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request; raise UsageError if it does not support `dry_run`."""
        try:
            return self._request(method, path, **arguments)
        except ApiError as error:
            fields = {item["field"] for item in cast(list[Json], error.problem.get("errors") or [])}
            if self.dry_run and "dry_run" in fields:
                raise UsageError("This command does not support --dry-run: nothing was done.") from error
            raise

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise LostError(f"{self.config.url} does not respond ({error}): is the service running?") from error
        if not response.is_success:
            raise ApiError(_problem(response))
        self._responded_at = response.headers.get("date", "")
        return response


def _parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the server-sent events in `lines`; an empty line ends an event."""
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "data" in fields:
            yield int(fields["id"]), fields.get("event", ""), json.loads(fields["data"])
            fields = {}


def _problem(response: httpx.Response) -> Json:
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        document = _document(response)
        if document is not None:
            return document
    detail = f"{response.url} responds with {response.status_code}, but is not the Nacre API: is the URL correct?"
    return {"code": f"http.{response.status_code}", "detail": detail}


def _document(response: httpx.Response) -> Json | None:
    """Return the JSON object in the response, or None."""
    try:
        document = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return cast(Json, document) if isinstance(document, dict) else None
