"""WSGI application: authentication, routing, and errors as problem documents.

One function wraps every route.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Any

import bottle
import structlog
from pydantic import ValidationError

from service.api import reference
from service.api.layers import layered
from service.api.routes import ROUTES
from service.context import Context
from service.db.engine.database import unit_of_work
from service.db.engine.version import Version
from service.edge import problem, response_cache
from service.edge.authenticate import authenticate, in_project, stated_reason
from service.edge.call import Accepted, AnyCall, Outcome, Reply, Stream
from service.edge.request import Environ, check_path, header, read_call, sent_request_id
from service.edge.response_cache import Answer, ResponseCache
from service.edge.route import Handler, Route
from service.edge.slots import SlotSet
from service.edge.waits import job_at_its_end
from service.edge.watch import ACTOR, NO_ROUTE, note, watched
from service.errors import InvalidError, NacreError, NotFoundError
from service.operations.actor import ANONYMOUS, Actor
from service.operations.authorise import authorise
from service.views.jobs import show_job

log = structlog.get_logger(__name__)

ROUTER_ERRORS: dict[int, tuple[type[NacreError], str]] = {
    404: (NotFoundError, "request.no_such_path"),
    405: (InvalidError, "request.method_not_allowed"),
}
VERB = re.compile(r":(\w+)$")
RETRY_AFTER_S = {429: "60", 503: "5"}


class App(bottle.Bottle):  # type: ignore[misc]  # Bottle has no types
    """WSGI application of the API."""

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self.catchall = False  # what goes wrong beyond the handlers is the server's to tell, not Bottle's
        self.config["json.enable"] = False
        self._ctx = ctx
        self._slots = SlotSet.of(ctx.settings)
        self._version = Version(ctx.db)
        self._kept = ResponseCache(ctx.settings.response_cache_bytes)
        for route in (*ROUTES, *reference.routes(ROUTES)):
            answer = functools.partial(self._answer, route, layered(route))
            path = VERB.sub(r"<:re:[:]\1>", route.path)  # to Bottle a bare colon begins a variable
            self.route(path, route.method, self._guarded(route.path, answer))

    def default_error_handler(self, res: bottle.HTTPError) -> str:
        """Return an error of the router as a problem document."""
        request_id = self._request_id()
        document = self._problem(bottle.response, _router_error(res), request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            note(self._ctx, NO_ROUTE, bottle.response.status_code, 0.0)
        return document

    def _guarded(self, template: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(**params: str) -> Any:
            request_id = self._request_id()
            bottle.response.set_header("X-Request-ID", request_id)
            with structlog.contextvars.bound_contextvars(request_id=request_id), watched(self._ctx, template):
                try:
                    return answer(params, request_id)
                except ValidationError as failure:
                    return self._problem(bottle.response, problem.from_validation(failure), request_id)
                except NacreError as error:
                    return self._problem(bottle.response, error, request_id)
                except Exception:  # the HTTP edge: whatever it was, the client gets a document and the log the rest
                    log.exception("request.failed", method=bottle.request.method, path=bottle.request.path)
                    internal = NacreError("The service failed; its log has the request id.")
                    return self._problem(bottle.response, internal, request_id)

        return guarded

    def _answer(self, route: Route, handler: Handler, params: dict[str, str], request_id: str) -> Any:
        environ = bottle.request.environ
        if not route.may_be_kept:
            return self._worked_out(route, handler, params, request_id)
        key, version = response_cache.key_of(environ), self._version.now()
        kept = self._kept.find(key, version, self._ctx.clock.now())
        if kept is not None:
            environ[ACTOR] = kept.actor
            return _reply(kept.reply)
        return self._worked_out(route, handler, params, request_id, keep=functools.partial(self._keep, key, version))

    def _keep(self, key: Hashable, version: Hashable, call: AnyCall, outcome: Outcome) -> None:
        """Store a response to cache.

        `version` was read before the response's own reads, so a commit in between makes the entry stale at once.
        """
        if isinstance(outcome, Reply) and (outcome.body is None or isinstance(outcome.body, bytes)):
            actor = call.actor
            self._kept.keep(key, version, Answer(outcome, actor=actor.name, valid_until=actor.expires_at))

    def _worked_out(
        self,
        route: Route,
        handler: Handler,
        params: dict[str, str],
        request_id: str,
        keep: Callable[[AnyCall, Outcome], None] = lambda call, outcome: None,
    ) -> Any:
        environ = bottle.request.environ
        # What needs no permission is answered without the database, or opens it by itself.
        with unit_of_work(self._ctx.db) if route.permission else contextlib.nullcontext():
            actor = self._actor(route, environ, request_id)
            check_path(environ)
            call = read_call(self._ctx, route, actor, params, environ, self._slots)
            at_work = in_project(actor, getattr(call.query, "project", None))
            call = call if at_work is actor else replace(call, actor=at_work)
            outcome = handler(call)
        keep(call, outcome)
        return self._sent(call, outcome)

    def _actor(self, route: Route, environ: Environ, request_id: str) -> Actor:
        actor = ANONYMOUS
        if route.permission is not None:
            actor = authenticate(header(environ, "Authorization"), self._ctx.clock.now())
            authorise(actor, route.permission)
        bottle.request.environ[ACTOR] = actor.name
        source, reason = str(environ.get("REMOTE_ADDR", "")), stated_reason(header(environ, "X-Reason"))
        return replace(actor, request_id=request_id, source=source, reason=reason)

    def _sent(self, call: AnyCall, outcome: Outcome) -> bytes | Iterator[bytes] | None:
        match outcome:
            case Accepted():
                return _reply(self._job(call, outcome))
            case Stream():
                bottle.response.content_type = outcome.media_type
                bottle.response.set_header("Cache-Control", "no-store")
                return outcome.chunks
            case Reply():
                return _reply(outcome)

    def _job(self, call: AnyCall, accepted: Accepted) -> Reply:
        wait_s = min(getattr(call.query, "wait", 0.0), self._ctx.settings.max_wait_s)
        view = job_at_its_end(self._ctx, self._slots.waits, accepted.job_id, wait_s, is_new=accepted.is_new)
        headers = {"Location": f"/v1/jobs/{view.id}"} if accepted.is_new else {}
        shown = show_job(view)
        body = shown if accepted.body is None else {**accepted.body, "job": shown}
        return Reply(body, 202 if accepted.is_new and not view.finished else 200, headers)

    def _request_id(self) -> str:
        """Return the request id: the client's if it is safe to log, else a new one."""
        environ = bottle.request.environ
        if "nacre.request_id" not in environ:
            environ["nacre.request_id"] = sent_request_id(environ) or self._ctx.ids.uuid()
        return str(environ["nacre.request_id"])

    def _problem(self, response: bottle.BaseResponse, error: NacreError, request_id: str) -> str:
        status = problem.status_of(error)
        response.status = status
        response.content_type = problem.MEDIA_TYPE
        response.set_header("X-Request-ID", request_id)
        if status == 401:
            response.set_header("WWW-Authenticate", "Bearer")
        if status in RETRY_AFTER_S:
            response.set_header("Retry-After", RETRY_AFTER_S[status])
        return json.dumps(problem.problem(error, request_id))


def _router_error(res: bottle.HTTPError) -> NacreError:
    try:
        check_path(bottle.request.environ)
    except InvalidError as error:
        return error
    kind, code = ROUTER_ERRORS.get(res.status_code, (NacreError, "internal"))
    return kind(f"{bottle.request.method} {bottle.request.path[:200]}: {res.status_line}.", code=code)


def _reply(reply: Reply) -> bytes | None:
    response = bottle.response
    response.status = reply.status
    for name, value in reply.headers.items():
        response.set_header(name, value)
    if reply.body is None:
        return None
    response.content_type = reply.media_type
    return reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
