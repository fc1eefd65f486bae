"""Description of the API: `/openapi.json` for programs, `/docs` for people; no token needed."""

from __future__ import annotations

import functools
import json
import threading
from html import escape

from service.api import openapi
from service.edge.call import Call, Reply
from service.edge.route import Route
from service.json_types import JsonObject

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem;color:#1b1f24}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}summary{cursor:pointer;padding:.3rem 0}
code,pre{font:13px/1.4 ui-monospace,monospace}pre{background:#f6f8fa;padding:.6rem;overflow:auto}
b.m{display:inline-block;min-width:4.5rem}table{border-collapse:collapse}
td{padding:.1rem .8rem .1rem 0;vertical-align:top}
.quiet{color:#59636e}details details{margin-left:1rem}
"""
# The page may load nothing but itself.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def routes(described: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the two routes that describe the others; built on the first request."""
    build_lock = threading.Lock()  # it takes a second: concurrent requests wait for one build

    @functools.cache
    def document() -> bytes:
        return json.dumps(openapi.document(described), ensure_ascii=False, separators=(",", ":")).encode()

    @functools.cache
    def page() -> bytes:
        return _page(json.loads(document())).encode()

    def as_json(_call: Call) -> Reply:
        """Show the description of the API as OpenAPI 3.1."""
        with build_lock:
            return Reply(document())

    def as_page(_call: Call) -> Reply:
        """Show the description of the API as a web page."""
        headers = {"Content-Security-Policy": POLICY}
        with build_lock:
            html = page()
        return Reply(html, headers=headers, media_type="text/html; charset=utf-8")

    return (
        Route("GET", "/openapi.json", as_json, None, reply="application/json"),
        Route("GET", "/docs", as_page, None, reply="text/html"),
    )


def text(described: tuple[Route, ...]) -> str:
    """Return the description as the committed copy has it, indented for short diffs."""
    return json.dumps(openapi.document(described), indent=1, ensure_ascii=False) + "\n"


def _page(about: JsonObject) -> str:
    by_tag: dict[str, list[str]] = {}
    for path, operations in about["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method.upper(), path, operation))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items()]
    schemas = [_schema(name, schema) for name, schema in about["components"]["schemas"].items()]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Nacre API</title><style>{STYLE}</style><h1>Nacre API</h1><p>{escape(about['info']['description'])}"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>. Send <code>Authorization: Bearer TOKEN</code>.'
        f"{''.join(parts)}<h2 id=models>Models</h2>{''.join(schemas)}"
    )


def _operation(method: str, path: str, operation: JsonObject) -> str:
    rows = [_row(item["name"], item["in"], item.get("description", "")) for item in operation["parameters"]]
    if "requestBody" in operation:
        rows.append(
            _row("body", "", ", ".join(map(_model, operation["requestBody"]["content"].values())), is_html=True)
        )
    for status, answer in operation["responses"].items():
        shapes = ", ".join(map(_model, answer.get("content", {}).values())) or escape(answer.get("description", ""))
        rows.append(_row(status, "response", shapes or '<a href="#Problem">Problem</a>', is_html=True))
    right = operation.get("x-permission")
    needs = f"Needs <code>{escape(right)}</code>." if right else "Needs no token."
    return (
        f"<details><summary><b class=m>{method}</b> <code>{escape(path)}</code> <span class=quiet>"
        f"{escape(operation['summary'])}</span></summary><p>{escape(operation.get('description', ''))} {needs}"
        f"<table>{''.join(rows)}</table></details>"
    )


def _row(name: str, where: str, text: str, *, is_html: bool = False) -> str:
    shown = text if is_html else escape(text)
    return f"<tr><td><code>{escape(name)}</code><td class=quiet>{escape(where)}<td>{shown}"


def _model(content: JsonObject) -> str:
    refs = [content.get("schema", {}), *content.get("schema", {}).get("anyOf", [])]
    names = [escape(ref["$ref"].rpartition("/")[2]) for ref in refs if "$ref" in ref]
    return " or ".join(f'<a href="#{name}">{name}</a>' for name in names) or "bytes"


def _schema(name: str, schema: JsonObject) -> str:
    shown = escape(json.dumps(schema, indent=1, ensure_ascii=False))
    about = escape(schema.get("description", "").partition("\n")[0])
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> <span class=quiet>{about}</span></summary>'
        f"<pre>{shown}</pre></details>"
    )
