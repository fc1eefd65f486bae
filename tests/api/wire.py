"""HTTP without a network: httpx above, a WSGI application below, between them what a server would hand over."""

import io
from urllib.parse import unquote_to_bytes

import httpx

from tests.api import conform


class Wire(httpx.BaseTransport):
    """Calls a WSGI application in the caller's thread. Header and path bytes are read as latin-1, as PEP 3333 says."""

    def __init__(self, app) -> None:
        self._app = app
        self.source = "127.0.0.1"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        started = []

        def start_response(status, headers, exc_info=None):
            started[:] = [int(status[:3]), headers]

        body = self._app(environ(request) | {"REMOTE_ADDR": self.source}, start_response)
        try:
            content = b"".join(body)
        finally:
            getattr(body, "close", lambda: None)()
        answer = httpx.Response(started[0], headers=started[1], content=content)
        conform.check(request, answer)
        return answer


def environ(request: httpx.Request) -> dict:
    path, _, query = request.url.raw_path.partition(b"?")
    values = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": request.url.raw_path.decode("ascii"),
        "QUERY_STRING": query.decode("ascii"),
        "SERVER_NAME": "nacre",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.read()),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for key, value in request.headers.raw:
        name = key.decode("ascii").upper().replace("-", "_")
        values[name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"] = value.decode("latin-1")
    return values
