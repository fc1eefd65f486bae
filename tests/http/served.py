"""A small application behind the service's own server: `python -m tests.http.served patient|hasty SOCKET`."""

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


class Patient(PatientWorker):
    """The same worker with more patience than any client in a test has."""

    REQUEST_S = ANSWER_S = LINGER_S = 3600.0


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
    temper, listener = sys.argv[1:]
    worker, connection.SLOW_S = (Hasty, 2.0) if temper == "hasty" else (Patient, 3600.0)
    own = {"bind": f"fd://{listener}", "worker_class": worker, "worker_connections": 800}
    HttpServer(lambda: app, gunicorn_options("", 0, threads=THREADS) | own).run()


if __name__ == "__main__":
    main()
