"""The API over HTTP: one method per verb, errors as ApiError."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import quote

import httpx

from service.cli.config import Config
from service.cli.errors import ApiError, CliError, UsageError

LONG_POLL_S = 1  # also how often a progress bar moves
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

Json = dict[str, Any]


def at(collection: str, name: str, *verb: str) -> str:
    """The path of one object, or of what can be done to it. A name is one segment, whatever is in it."""
    if name in ("", ".", ".."):
        raise UsageError(f"'{name}' cannot be a name.")
    return "/".join((f"/v1/{collection}", quote(name, safe=""), *verb))


class Client:
    """A connection to the API."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._http = httpx.Client(
            base_url=config.url,
            headers={"Authorization": f"Bearer {config.token}", "User-Agent": "nacre-cli"},
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

    def items(self, path: str) -> list[Json]:
        """The items of a collection."""
        return cast(list[Json], self.get(path)["items"])

    def post(self, path: str, body: Json | None = None) -> Json:
        """POST a JSON body."""
        return self._send("POST", path, json=body or {})

    def delete(self, path: str) -> Json:
        """DELETE an object."""
        return self._send("DELETE", path)

    def upload(self, path: str, chunks: Iterator[bytes], size_bytes: int, query: dict[str, str]) -> Json:
        """POST a stream of known length."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        return self._send("POST", path, content=chunks, headers=headers, params=query)

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
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise CliError(f"{self.config.url} does not answer ({error}): is the service up?") from error
        if not response.is_success:
            raise ApiError(_problem(response))
        self._answered_at = response.headers.get("date", "")
        answer = _document(response) if response.content else {}
        if answer is None:
            raise CliError(f"{self.config.url} answers, but not as the API does: is the URL right?")
        return answer


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
