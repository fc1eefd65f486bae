"""Description of the API (OpenAPI 3.1), generated from the routes and their models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.models.contract import ShownTrial
from service.api.models.edge import Problem
from service.api.models.jobs import ShownJob
from service.edge.call import JSON
from service.edge.models import Trying
from service.edge.problem import MEDIA_TYPE
from service.edge.route import Route
from service.json_types import JsonObject

Mode = Literal["validation", "serialization"]

REFS = "#/components/schemas/{model}"
VARIABLE = re.compile(r"<(\w+)>")
ABOUT = (
    "The REST API of Nacre. Errors are RFC 9457 problem documents with a stable `code`. Long operations are jobs:"
    " the response is 202 with `Location: /v1/jobs/<id>`, or the ended job if `wait` is long enough."
    " Responses to GET have an `ETag`: `If-None-Match` returns 304 if nothing changed, `If-Match` on a change returns"
    " 412 if the object was changed meanwhile."
)
# pydantic keeps its own name of a bound if a custom validator precedes the number.
BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
ALWAYS = {400, 422, 500, 503}
WITH_A_TOKEN = {401, 403, 404, 409}
WITH_A_BODY = {411, 413, 415}


@dataclass(frozen=True, slots=True)
class Models:
    """Schemas of bodies and responses: the reference of each model, and all schemas by name."""

    refs: Mapping[Any, JsonObject]
    defs: JsonObject

    def requires_something(self, body: type[BaseModel]) -> bool:
        """Return True if the body has a required field."""
        return bool(self.defs[self.refs[body]["$ref"].rpartition("/")[2]].get("required"))


def document(routes: tuple[Route, ...]) -> JsonObject:
    """Return the description as JSON data; equal routes give an equal document."""
    models = _models(routes)
    paths: JsonObject = {}
    for route in routes:
        paths.setdefault(path_of(route), {})[route.method.lower()] = _operation(route, routes, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nacre", "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(models.defs.items())),
            "responses": {str(status): _problem(status, models) for status in _statuses(routes)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def path_of(route: Route) -> str:
    """Return the path in OpenAPI's notation."""
    return VARIABLE.sub(r"{\1}", route.path)


def operation_id(route: Route) -> str:
    """Return the unique name: module and function of the handler, which may end in `_` where Python has the name."""
    return f"{_module(route)}.{inspect.unwrap(route.handler).__name__}".rstrip("_")


def refusals(route: Route) -> list[int]:
    """Return the HTTP statuses of the route's problem documents, sorted."""
    known = ALWAYS | set(route.errors)
    if route.permission is not None:
        known |= WITH_A_TOKEN
    if route.body is not None:
        known |= WITH_A_BODY
    if route.method != "GET":
        known |= {409, 412}
    return sorted(known)


def _statuses(routes: tuple[Route, ...]) -> list[int]:
    return sorted({status for route in routes for status in refusals(route)})


def _module(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[2]


def _models(routes: tuple[Route, ...]) -> Models:
    bodies = {route.body for route in routes if isinstance(route.body, type)}
    replies = {route.reply for route in routes if isinstance(route.reply, type)} | {Problem, ShownTrial}
    wanted: list[tuple[type[BaseModel], Mode]] = [(model, "validation") for model in _by_name(bodies)]
    wanted += [(model, "serialization") for model in _by_name(replies)]
    refs, schema = models_json_schema(wanted, ref_template=REFS)
    return Models({model: ref for (model, _), ref in refs.items()}, schema["$defs"])


def _by_name(models: set[Any]) -> list[type[BaseModel]]:
    return sorted(models, key=lambda model: str(model.__name__))


def _operation(route: Route, routes: tuple[Route, ...], models: Models) -> JsonObject:
    summary, _, more = inspect.cleandoc(route.handler.__doc__ or "").partition("\n")
    about: JsonObject = {"operationId": operation_id(route), "tags": [_module(route)], "summary": summary.rstrip(".")}
    if more.strip():
        about["description"] = more.strip()
    if route.permission is None:
        about["security"] = []
    else:
        about["x-permission"] = route.permission
    about["parameters"] = [*_variables(route), *_query(route.parameters.model_json_schema()), *_headers(route)]
    if route.body is not None:
        about["requestBody"] = _body(route, models)
    about["responses"] = _successes(route, routes, models) | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in refusals(route)
    }
    return about


def _variables(route: Route) -> list[JsonObject]:
    text = {"type": "string", "pattern": r"^[A-Za-z0-9][!-.0-~]{0,127}$"}
    return [{"name": name, "in": "path", "required": True, "schema": text} for name in VARIABLE.findall(route.path)]


def _query(schema: JsonObject) -> list[JsonObject]:
    """Return one parameter per field, with references replaced by their schemas."""
    defs, required = schema.get("$defs", {}), schema.get("required", [])
    parameters = []
    for name, field in schema.get("properties", {}).items():
        described = {key: value for key, value in _inlined(field, defs).items() if key not in ("title", "description")}
        parameter = {"name": name, "in": "query", "required": name in required, "schema": _not_null(described)}
        parameters.append(parameter | ({"description": field["description"]} if "description" in field else {}))
    return parameters


def _inlined(value: Any, defs: JsonObject) -> Any:
    if isinstance(value, list):
        return [_inlined(item, defs) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inlined(defs[value["$ref"].rpartition("/")[2]], defs)
    return {BOUNDS.get(key, key): _inlined(item, defs) for key, item in value.items()}


def _not_null(schema: JsonObject) -> JsonObject:
    """Remove null from an optional parameter's schema, since a query cannot contain it."""
    if "anyOf" not in schema:
        return schema
    kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return rest | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


def _headers(route: Route) -> list[JsonObject]:
    known = [_header(name, text, required=True) for name, text in route.headers]
    if route.permission and route.method == "POST":
        text = "1 to 255 visible ASCII characters. A repeated request with the same key gets the same response."
        known.append(_header("Idempotency-Key", text))
    return known


def _header(name: str, text: str, *, required: bool = False) -> JsonObject:
    return {"name": name, "in": "header", "required": required, "description": text, "schema": {"type": "string"}}


def _body(route: Route, models: Models) -> JsonObject:
    if not isinstance(route.body, type):
        return {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
    return {"required": models.requires_something(route.body), "content": {JSON: {"schema": models.refs[route.body]}}}


def _successes(route: Route, routes: tuple[Route, ...], models: Models) -> JsonObject:
    answer: JsonObject = {"description": HTTPStatus(route.status).phrase}
    match route.reply:
        case None:
            return {str(route.status): answer}
        case str() as media_type:
            return {str(route.status): answer | {"content": {media_type: {}}}}
    answer["content"] = {JSON: {"schema": models.refs[route.reply]}}
    links = _links(route, routes)
    if links:
        answer["links"] = links
    found = {str(route.status): answer}
    if route.status == 202:
        found["200"] = answer | {"description": "The job has ended within `wait`"}
    if issubclass(route.parameters, Trying):
        text = f"{found['200']['description']}, or the result of `dry_run`" if "200" in found else "Done, or a dry run"
        shapes = {"anyOf": [models.refs[route.reply], models.refs[ShownTrial]]}
        found["200"] = answer | {"description": text, "content": {JSON: {"schema": shapes}}}
    if route.method == "GET" and route.permission:
        found["304"] = {"description": "Unchanged since the ETag in `If-None-Match`"}
    return found


def _problem(status: int, models: Models) -> JsonObject:
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": models.refs[Problem]}}}


def _links(route: Route, routes: tuple[Route, ...]) -> JsonObject:
    """Return links: from a new object to its routes, from a job to itself and its object."""
    if route.method not in ("POST", "PUT"):
        return {}
    targets = [(other, "$response.body#/id") for other in routes if other.path == f"{route.path}/<ref>"]
    if route.reply is ShownJob:
        targets = [(other, "$response.body#/object/id") for other, _ in targets]
        targets += [(other, "$response.body#/id") for other in routes if other.path == "/v1/jobs/<ref>"]
    return {
        operation_id(other): {"operationId": operation_id(other), "parameters": {"ref": where}}
        for other, where in targets
    }
