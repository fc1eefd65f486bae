"""Every answer that any test gets is held against what the API's description says of its route."""

import re

import httpx

from service.api import reference
from service.api.models.contract import ShownTrial
from service.api.models.edge import Problem
from service.api.openapi import refusals
from service.api.routes import ROUTES
from service.edge.route import Route

EVERY = (*ROUTES, *reference.routes(ROUTES))
PATTERNS = [(route, re.compile(re.sub(r"<\w+>", "[^/]+", route.path))) for route in EVERY]
METHODS = {"HEAD": "GET"}
BEFORE_ANY_ROUTE = {400, 404, 405, 500}


def check(request: httpx.Request, answer: httpx.Response) -> None:
    """Raises AssertionError, naming the route."""
    route = _route(METHODS.get(request.method, request.method), request.url.path)
    told = f"{request.method} {request.url.raw_path.decode()} → {answer.status_code} {answer.text[:500]}"
    if answer.status_code >= 400:
        allowed = BEFORE_ANY_ROUTE if route is None else BEFORE_ANY_ROUTE | set(refusals(route))
        assert answer.status_code in allowed, told
        if request.method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json", told
            Problem.model_validate_json(answer.content)
        return
    assert route is not None, told
    assert answer.status_code in _successes(route), told
    if request.method != "HEAD" and answer.status_code != 304:
        _check_body(route, request, answer, told)


def _route(method: str, path: str) -> Route | None:
    fitting = [route for route, pattern in PATTERNS if route.method == method and pattern.fullmatch(path)]
    return min(fitting, key=lambda route: route.path.count("<"), default=None)


def _successes(route: Route) -> set[int]:
    """202 becomes 200 when the job has ended; a trial is 200 whatever would have been made."""
    return {route.status} | ({200} if route.method != "GET" else {304})


def _check_body(route: Route, request: httpx.Request, answer: httpx.Response, told: str) -> None:
    if request.url.params.get("dry_run") == "true":
        ShownTrial.model_validate_json(answer.content)
    elif route.reply is None:
        assert answer.content == b"", told
    elif isinstance(route.reply, str):
        assert answer.headers["content-type"].startswith(route.reply), told
    else:
        assert answer.headers["content-type"] == "application/json", told
        route.reply.model_validate_json(answer.content)
