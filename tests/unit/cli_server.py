"""A server on loopback that answers what a test tells it to, for the command line."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JOB = {
    "id": "j1",
    "kind": "create_vm",
    "state": "queued",
    "phase": None,
    "phases": [],
    "progress": 0.0,
    "progress_text": None,
    "reason": None,
    "result": None,
    "error": None,
    "actor": "ann",
    "created_at": "2030-01-01T00:00:00.000Z",
}
VM = {
    "id": "v1",
    "name": "web",
    "project_id": "p1",
    "observed_state": "running",
    "observed_at": None,
    "host": "host1",
    "address": "10.2.0.10",
    "user": "ann",
    "vcpus": 1,
    "memory_mib": 512,
    "image": "mini",
    "flavor": "small",
}


class Server:
    """Answers from a list, each once, the last one for ever; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path, body))
                outer.headers.append(dict(self.headers))
                status, kind, content = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class's names

            def log_message(self, format, *args) -> None:  # noqa: A002 - the base class's name
                """Silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def say(self, *documents, status: int = 200) -> None:
        """These are the answers; a problem is told by its status."""
        kind = "application/json" if status < 400 else "application/problem+json"
        self.answers += [(status, kind, json.dumps(document).encode()) for document in documents]
