"""The API over HTTP: one method per verb, errors as ApiError."""

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

LONG_POLL_S = 1  # also how often a progress bar moves
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

Json = dict[str, Any]
Event = tuple[int, str, Json]  # position, name, data
SILENCE_S = 45.0  # a stream that is silent for longer than its heartbeats is dead
RECONNECT_S = 2.0


def at(collection: str, name: str, *verb: str) -> str:
    """The path of one object, or of what can be done to it. A name is one segment, whatever is in it."""
    if name in ("", ".", ".."):
        raise UsageError(f"'{name}' cannot be a name.")
    return "/".join((f"/v1/{collection}", quote(name, safe=""), *(quote(part, safe="") for part in verb)))


class Client:
    """A connection to the API."""

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
        self._answered_at = ""

    def age_s(self, moment: str | None) -> float:
        """Seconds since an RFC 3339 moment when the API last answered, by the API's own clock; 0 for none."""
        if not moment or not self._answered_at:
            return 0.0
        return (parsedate_to_datetime(self._answered_at) - datetime.fromisoformat(moment)).total_seconds()

    def get(self, path: str, **query: str | int) -> Json:
        """GET an object or a collection."""
        return self._send("GET", path, params=query)

    def items(self, path: str, **query: str | int) -> list[Json]:
        """All items of a collection, page by page."""
        page = self.get(path, **query)
        items = cast(list[Json], page["items"])
        while token := page.get("next_page_token"):
            page = self.get(path, **query, page_token=token)
            items += page["items"]
        return items

    def post(self, path: str, body: Json | None = None) -> Json:
        """POST a JSON body; when the connection breaks, once more: the key says that it is the same request."""
        headers = {"Idempotency-Key": secrets.token_urlsafe(16)}
        try:
            return self._send("POST", path, json=body or {}, headers=headers)
        except LostError:
            return self._send("POST", path, json=body or {}, headers=headers)

    def put(self, path: str, body: Json | None = None, **query: str) -> Json:
        """PUT a JSON body, or none."""
        return self._send("PUT", path, params=query, **({"json": body} if body is not None else {}))

    def patch(self, path: str, body: Json) -> Json:
        """PATCH an object."""
        return self._send("PATCH", path, json=body)

    def delete(self, path: str) -> Json:
        """DELETE an object."""
        return self._send("DELETE", path)

    def send(self, path: str, chunks: Iterator[bytes], length: int, offset: int) -> Json:
        """PATCH a piece of a file: `length` bytes that begin at `offset`."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        return self._send("PATCH", path, content=chunks, headers={**headers, "Upload-Offset": str(offset)})

    def download(self, path: str) -> bytes:
        """GET what is no JSON, whole."""
        return self._ask("GET", path).content

    def events(self, path: str, *, after: int | None, **query: str | int) -> Iterator[Event]:
        """(position, name, data) of every event from now on, or after a position; again after a break, for ever."""
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
                yield from _parsed(response.iter_lines())
        except httpx.HTTPError as error:
            raise LostError(f"{self.config.url} does not answer ({error}): is the service up?") from error

    def follow(self, job: Json) -> Iterator[Json]:
        """The job as it is now and every LONG_POLL_S after, until it is over; its end is told at once."""
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
        threading.Event().wait(LONG_POLL_S)  # the API has no thread to spare for us: wait here
        return self.get(path)

    def _send(self, method: str, path: str, **arguments: Any) -> Json:
        if self.dry_run and method != "GET":
            arguments["params"] = {**arguments.get("params", {}), "dry_run": "true"}
        response = self._ask_or_try(method, path, **arguments)
        answer = _document(response) if response.content else {}
        if answer is None:
            raise CliError(f"{self.config.url} answers, but not as the API does: is the URL right?")
        return answer

    def _ask_or_try(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """What a trial was asked for and the API cannot try is told as that."""
        try:
            return self._ask(method, path, **arguments)
        except ApiError as error:
            fields = {wrong["field"] for wrong in cast(list[Json], error.problem.get("errors") or [])}
            if self.dry_run and "dry_run" in fields:
                raise UsageError("This cannot be tried with --dry-run: nothing was done.") from error
            raise

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise LostError(f"{self.config.url} does not answer ({error}): is the service up?") from error
        if not response.is_success:
            raise ApiError(_problem(response))
        self._answered_at = response.headers.get("date", "")
        return response


def _parsed(lines: Iterable[str]) -> Iterator[Event]:
    """Server-sent events; an empty line ends one."""
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
    detail = f"{response.url} answers {response.status_code}, but not as the API does: is the URL right?"
    return {"code": f"http.{response.status_code}", "detail": detail}


def _document(response: httpx.Response) -> Json | None:
    """The JSON object in the answer; None when there is none."""
    try:
        document = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return cast(Json, document) if isinstance(document, dict) else None
