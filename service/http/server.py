"""gunicorn with one process and a fixed number of threads, none for slow clients."""

from __future__ import annotations

import gc
import resource
import socket
import struct
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from service.http.logger import GunicornLogger
from service.http.worker import PatientWorker
from service.json_types import JsonObject

# While a thread reads a large body or writes a long answer, a client idle for so long is disconnected.
CLIENT_SILENCE_S = 30
MOST_CONNECTIONS = 4096
HEADER_LINE_BYTES = 8190
HEADER_LINES = 64
GARBAGE_AFTER = 10_000  # objects: a request creates and frees some hundreds, most of them in no cycle


def gunicorn_options(address: str, port: int, *, threads: int) -> JsonObject:
    """Return the server's settings by gunicorn's names."""
    return {
        "bind": f"{address}:{port}",
        "workers": 1,  # the bindings have no locks yet that a fork would copy
        "worker_class": PatientWorker,
        "threads": threads,
        "worker_connections": MOST_CONNECTIONS,
        "limit_request_line": HEADER_LINE_BYTES,
        "limit_request_field_size": HEADER_LINE_BYTES,
        "limit_request_fields": HEADER_LINES,
        "graceful_timeout": 5,
        "keepalive": 15,
        "control_socket_disable": True,
        "loglevel": "warning",
        "logger_class": GunicornLogger,
        "when_ready": _prepare,
    }


class HttpServer(BaseApplication):  # type: ignore[misc]
    """WSGI application behind gunicorn; `make_app` is called after the fork."""

    def __init__(self, make_app: Callable[[], Callable[..., Any]], options: JsonObject) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Implement gunicorn's hook."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        """Implement gunicorn's hook."""
        app = self._make_app()
        gc.freeze()  # all current objects are permanent: exempt them from garbage collection
        gc.set_threshold(GARBAGE_AFTER)
        return app


def _prepare(server: Any) -> None:
    """Set backlog and deadlines of listeners; connections inherit the deadlines."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limit = struct.pack("@ll", CLIENT_SILENCE_S, 0)
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, limit)
