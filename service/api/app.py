"""The HTTP edge: who asks, what for, and every error as a problem document. One function wraps every route."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import bottle
import structlog
from pydantic import BaseModel, ValidationError

from service.api import problem, show
from service.api.authorise import authenticate, authorise
from service.api.body import check_media_type, read_json, read_query
from service.api.call import Accepted, Call, Reply
from service.api.routes import ROUTES, Route
from service.api.waits import Slots, seconds
from service.context import Context
from service.db.database import unit_of_work
from service.errors import InvalidError, NacreError, NotFoundError, UnavailableError
from service.jobs.views import last_round_at
from service.operations.actor import Actor

log = structlog.get_logger(__name__)

LENGTH = re.compile(r"0*([0-9]+)")
LENGTH_DIGITS = 18  # more bytes than that are all the same: too many
ROUNDS_MISSED = 4  # so many, and the worker is taken for dead
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROUTER_ERRORS: dict[int, tuple[type[NacreError], str]] = {
    404: (NotFoundError, "request.no_such_path"),
    405: (InvalidError, "request.method_not_allowed"),
}


class App(bottle.Bottle):
    """The API as a WSGI application."""

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self.config["json.enable"] = False
        self._ctx = ctx
        self._slots = Slots(ctx.settings.wait_slots)
        self._uploads = Slots(ctx.settings.upload_slots)
        for route in ROUTES:
            self.route(route.path, route.method, self._guarded(lambda ref="", route=route: self._answer(route, ref)))
        self.route("/healthz", "GET", self._guarded(lambda: _json(200, {"status": "ok"})))
        self.route("/readyz", "GET", self._guarded(self._ready))

    def default_error_handler(self, res: bottle.HTTPError) -> str:
        """What the router itself refuses, as a problem document too."""
        kind, code = ROUTER_ERRORS.get(res.status_code, (NacreError, "internal"))
        path = bottle.request.path[:200]
        error = kind(f"{bottle.request.method} {path}: {res.status_line}.", code=code)
        return self._problem(res, error, self._request_id())

    def _guarded(self, answer: Callable[..., bytes | None]) -> Callable[..., Any]:
        def guarded(**params: str) -> Any:
            request_id = self._request_id()
            bottle.request.environ["nacre.request_id"] = request_id
            bottle.response.set_header("X-Request-ID", request_id)
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                try:
                    return answer(**params)
                except ValidationError as failure:
                    return self._problem(bottle.response, problem.from_validation(failure), request_id)
                except NacreError as error:
                    return self._problem(bottle.response, error, request_id)
                except Exception:  # the HTTP edge: whatever it was, the client gets a document and the log the rest
                    log.exception("request.failed", method=bottle.request.method, path=bottle.request.path)
                    internal = NacreError("The service failed; its log has the request id.")
                    return self._problem(bottle.response, internal, request_id)

        return guarded

    def _answer(self, route: Route, ref: str) -> bytes | None:
        request_id = bottle.request.environ["nacre.request_id"]
        with unit_of_work(self._ctx.db):
            actor = authenticate(_header("AUTHORIZATION"), request_id)
            authorise(actor, route.permission)
            _check_path()
            call, wait_s = self._call(route, actor, ref)
            reply = self._perform(route, call)
        if isinstance(reply, Accepted):
            return self._job(reply, wait_s)
        return _json(reply.status, reply.body)

    def _perform(self, route: Route, call: Call) -> Reply | Accepted:
        if route.body != "stream":
            return route.handler(call)
        with self._uploads.one("Too many uploads are under way: try again when one has ended."):
            return route.handler(call)

    def _call(self, route: Route, actor: Actor, ref: str) -> tuple[Call, float]:
        query = read_query(bottle.request.query_string, ("wait", *route.query))
        wait_s = seconds(query.pop("wait", None), self._ctx.settings.max_wait_s)
        stream, length = bottle.request.environ["wsgi.input"], _content_length()
        if route.body == "stream":
            check_media_type(_content_type(), "application/octet-stream")
            return Call(self._ctx, actor, ref, query, stream=stream, stream_bytes=length), wait_s
        body: BaseModel | None = None
        if route.body is not None:
            check_media_type(_content_type(), "application/json")
            body = route.body.model_validate(read_json(stream, length, self._ctx.settings.max_body_bytes))
        return Call(self._ctx, actor, ref, query, body=body), wait_s

    def _job(self, accepted: Accepted, wait_s: float) -> bytes | None:
        view = self._slots.job(self._ctx, accepted.job_id, wait_s, is_new=accepted.is_new)
        if accepted.is_new:
            bottle.response.set_header("Location", f"/v1/jobs/{view.id}")
        return _json(202 if accepted.is_new and not view.finished else 200, show.job(view))

    def _ready(self) -> bytes | None:
        interval_s = self._ctx.settings.facts_interval_s
        with unit_of_work(self._ctx.db):
            round_at = last_round_at("observe_hosts")
        if round_at is None or (self._ctx.clock.now() - round_at).total_seconds() > ROUNDS_MISSED * interval_s:
            since = f"since {show.time(round_at)}" if round_at else "yet"
            raise UnavailableError(f"No worker has made a round {since}: start one.", code="service.no_worker")
        return _json(200, {"status": "ready"})

    def _request_id(self) -> str:
        kept = bottle.request.environ.get("nacre.request_id")
        if kept:
            return str(kept)
        sent = _header("X_REQUEST_ID")
        return sent if REQUEST_ID.fullmatch(sent) else self._ctx.ids.uuid()

    def _problem(self, response: bottle.BaseResponse, error: NacreError, request_id: str) -> str:
        status = problem.status_of(error)
        response.status = status
        response.content_type = problem.MEDIA_TYPE
        response.set_header("X-Request-ID", request_id)
        if status == 401:
            response.set_header("WWW-Authenticate", "Bearer")
        if status == 503:
            response.set_header("Retry-After", "5")
        return json.dumps(problem.problem(error, request_id))


def _header(name: str) -> str:
    """As it came, each byte a character: Bottle's own reading fails on what is not UTF-8."""
    return str(bottle.request.environ.get(f"HTTP_{name}", ""))


def _check_path() -> None:
    """Bottle drops bytes that are not UTF-8: what is left could be another object's name. Raises InvalidError."""
    try:
        bottle.request.environ["bottle.raw_path"].encode("latin-1").decode()
    except UnicodeDecodeError as failure:
        raise InvalidError("The path is not UTF-8.", code="request.bad_path") from failure


def _content_length() -> int | None:
    text = bottle.request.environ.get("CONTENT_LENGTH") or ""
    found = LENGTH.fullmatch(text)
    return int(found[1][: LENGTH_DIGITS + 1]) if found else None


def _content_type() -> str | None:
    return bottle.request.environ.get("CONTENT_TYPE") or None


def _json(status: int, body: Any) -> bytes | None:
    bottle.response.status = status
    if body is None:
        return None
    bottle.response.content_type = "application/json"
    return json.dumps(body).encode()
