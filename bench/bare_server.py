"""A Bottle handler that returns constants, on the server and the settings that the service uses: the peer of api.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import bottle

from bench.servers import ADDRESS
from service.http.server import HttpServer, gunicorn_options

THREADS = 64


def bare_app(folder: Path) -> bottle.Bottle:
    """Every file of a folder as an answer, at the path of its name."""
    app = bottle.Bottle()
    for file in folder.iterdir():
        app.route(f"/{file.name}", "GET", _constant(file.read_bytes()))
    return app


def _constant(body: bytes) -> Callable[[], bytes]:
    def answer() -> bytes:
        bottle.response.content_type = "application/json"
        return body

    return answer


if __name__ == "__main__":
    options = gunicorn_options(ADDRESS, int(sys.argv[1]), threads=THREADS)
    HttpServer(lambda: bare_app(Path(sys.argv[2])), options).run()
