"""A small application behind the service's own server, as a process: `python -m tests.http.served PORT`."""

import sys
import threading

import bottle

from service.http import connection
from service.http.server import HttpServer, gunicorn_options
from service.http.worker import PatientWorker

THREADS = 4
BIG = bytes(3_000_000)
app = bottle.Bottle()
app.catchall = False
hold = threading.Event()


class Hasty(PatientWorker):
    """The same worker with shorter patience, so that a test sees its end."""

    REQUEST_S = 3.0


@app.get("/healthz")
def healthz():
    return b"ok"


@app.get("/page")
def page():
    return bytes(400_000)


@app.get("/stream")
def stream():
    for _ in range(3):
        yield b"tick\n"


@app.get("/hold")
def wait():
    hold.wait(60)
    return b"held"


@app.post("/size")
def size():
    try:
        return str(len(bottle.request.environ["wsgi.input"].read())).encode()
    except OSError:
        bottle.response.status = 400
        return b"broken"


@app.post("/unread")
def unread():
    return b"unread"


@app.get("/bad-header")
def bad_header():
    bottle.response.headers["X-Bad"] = "a\x01b"
    return b""


def main() -> None:
    connection.SLOW_S = 2.0
    options = gunicorn_options("127.0.0.1", int(sys.argv[1]), threads=THREADS)
    HttpServer(lambda: app, options | {"worker_class": Hasty, "worker_connections": 800}).run()


if __name__ == "__main__":
    main()
