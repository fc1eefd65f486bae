"""`nacre image` against the real API over a real socket, which breaks where the test says."""

import json
import random
import socketserver
import sys
import threading
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest

from service.cli import main as cli
from service.cli import session, upload
from service.cli.client import Client
from service.cli.config import Config
from service.cli.errors import ApiError, LostError

DATA = random.Random(5).randbytes(300_000)


class Broken:
    """A body that ends after so many bytes, as when a connection breaks."""

    def __init__(self, stream, left: int) -> None:
        self._stream, self._left = stream, left

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(min(count, self._left) if count >= 0 else self._left)
        self._left -= len(data)
        return data


class Breaking:
    """The API behind a line that lets the first pieces through in part only: so many bytes of each."""

    def __init__(self, app) -> None:
        self.app, self.lets_through, self.pieces = app, [], 0

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] == "PATCH":
            self.pieces += 1
            if self.lets_through:
                stream = Broken(environ["wsgi.input"], self.lets_through.pop(0))
                b"".join(self.app({**environ, "wsgi.input": stream}, lambda *_: None))
                raise ConnectionAbortedError
        return self.app(environ, start_response)


class Quiet(WSGIRequestHandler):
    """Says nothing, and hangs up when the application does."""

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A broken connection is what the test wants."""


@pytest.fixture
def line(cloud):
    """The breaking line to the API, at `url`."""
    made = Breaking(cloud.app)
    with Server(("127.0.0.1", 0), Quiet) as server:
        server.set_app(made)
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture
def client(line, cloud, monkeypatch) -> Client:
    monkeypatch.setattr(upload, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(upload, "LAST_PAUSE_S", 0.05)
    return Client(Config(line.url, cloud.tokens["admin"], None))


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    return path


SAID = {"name": "sent", "format": "raw", "compression": "none"}


def test_a_file_is_sent_in_pieces_and_becomes_the_image(cloud, client, line, file, monkeypatch):
    monkeypatch.setattr(upload, "PIECE_BYTES", 100_000)
    job_id = upload.send(client, file, SAID)
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{job_id}").json()["state"] == "succeeded"
    assert line.pieces == 3


def test_a_line_that_breaks_again_and_again_delays_an_upload_and_no_byte_is_sent_twice(cloud, client, line, file):
    line.lets_through = [1, 70_000, 0, 70_000]
    job_id = upload.send(client, file, SAID)
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{job_id}").json()["state"] == "succeeded"
    cloud.assert_clean()


def test_a_line_that_stays_broken_ends_the_command_and_the_next_call_goes_on(cloud, client, line, file):
    line.lets_through = [200_000] + [0] * 50
    with pytest.raises(LostError):
        upload.send(client, file, SAID)
    line.lets_through = []
    begun = cloud.api.get("/v1/uploads", params={"name": "sent"}).json()["items"]
    assert [one["offset"] for one in begun] == [200_000]
    upload.send(client, file, SAID)
    assert len(cloud.api.get("/v1/uploads", params={"name": "sent"}).json()["items"]) == 1
    cloud.settle()
    assert cloud.api.get("/v1/images/sent").json()["state"] == "ready"


def test_another_file_for_the_same_name_begins_anew(cloud, client, line, file):
    line.lets_through = [200_000] + [0] * 50
    with pytest.raises(LostError):
        upload.send(client, file, SAID)
    line.lets_through = []
    file.write_bytes(DATA[::-1])
    upload.send(client, file, SAID)
    cloud.settle()
    assert sorted(one["offset"] for one in cloud.api.get("/v1/uploads", params={"name": "sent"}).json()["items"]) == [
        200_000,
        300_000,
    ]


def test_a_refusal_is_not_tried_again(cloud, client, line, file):
    with pytest.raises(ApiError, match=r"image\.name_taken"):
        upload.send(client, file, {**SAID, "name": "mini"})
    assert line.pieces == 0


@pytest.fixture
def image_command(cloud, client, capsys, monkeypatch, line):
    """Runs the command; returns exit code, output, error output."""
    session.client.cache_clear()
    monkeypatch.setenv("NACRE_URL", line.url)
    token = cloud.settings.state_dir / "token"
    token.write_text(cloud.tokens["admin"])
    token.chmod(0o600)
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(token))

    def run(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            monkeypatch.setattr(sys, "argv", ["nacre", *words])
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    session.client.cache_clear()


def shown(nacre, name: str) -> dict:
    code, out, err = nacre("image", "show", name, "-o", "json")
    assert code == 0, err
    return json.loads(out[out.index("{\n") :])  # the API in this process logs a line or two before it


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("a.raw", "raw", "none"),
        ("a.img.xz", "raw", "xz"),
        ("debian-12.qcow2", "qcow2", "none"),
        ("a.qcow2.zst", "qcow2", "zst"),
        ("cd.iso", "iso", "none"),
        ("cd.iso.gz", "iso", "gz"),
    ],
)
def test_what_a_file_is_is_read_off_its_name(cloud, image_command, tmp_path, name, format_, compression):
    path = tmp_path / name
    path.write_bytes(b"x")
    assert image_command("image", "upload", "a", str(path), "--no-wait")[0] == 0
    image = cloud.api.get("/v1/images/a").json()
    assert (image["format"], image["compression"]) == (format_, compression)


def test_a_file_whose_name_says_nothing_asks_for_the_format(image_command, tmp_path):
    (tmp_path / "disk.bin").write_bytes(b"x")
    code, _, err = image_command("image", "upload", "mini2", str(tmp_path / "disk.bin"))
    assert (code, "--format raw" in err) == (2, True)


def test_what_is_said_of_an_image_is_sent_shown_and_changed(cloud, image_command, file):
    words = ("--no-cloud-init", "--label", "os.distro=debian", "--min-disk-gib", "2", "--visibility", "public")
    assert image_command("image", "upload", "a", str(file), *words, "--no-wait")[0] == 0
    cloud.settle()
    image = shown(image_command, "a")
    assert (image["default_user"], image["visibility"]) == (None, "public")
    assert (image["labels"], image["min_disk_bytes"]) == ({"os.distro": "debian"}, 2 << 30)
    changes = ("--name", "b", "--user", "ann", "--label", "os.version=12", "--visibility", "private")
    assert image_command("image", "set", "a", *changes)[0] == 0
    image = shown(image_command, "b")
    assert (image["default_user"], image["visibility"], image["min_disk_bytes"]) == ("ann", "private", 2 << 30)
    assert image["labels"] == {"os.distro": "debian", "os.version": "12"}
    assert image_command("image", "set", "b", "--clear-labels", "--user", "")[0] == 0
    image = shown(image_command, "b")
    assert (image["labels"], image["default_user"]) == ({}, None)


def test_an_image_is_listed_shared_and_deleted(cloud, image_command):
    cloud.api.post("/v1/projects", json={"name": "other"})
    assert image_command("image", "share", "mini", "other")[0] == 0
    assert shown(image_command, "mini")["shared_with"] == ["other"]
    assert image_command("image", "unshare", "mini", "other")[0] == 0
    assert "mini" in image_command("image", "list", "--kind", "disk")[1]
    assert "mini" not in image_command("image", "list", "--kind", "iso")[1]
    assert image_command("image", "delete", "mini", "--yes")[0] == 0


def test_an_upload_that_was_begun_is_listed_and_given_up(cloud, image_command):
    made = cloud.created(cloud.api.post("/v1/uploads", json={**SAID, "size_bytes": 10}))
    assert made["id"] in image_command("image", "uploads")[1]
    assert image_command("image", "abandon", made["id"])[0] == 0
    assert made["id"] not in image_command("image", "uploads")[1]


def test_an_image_is_fetched_by_the_service(cloud, image_command):
    code, _, err = image_command("image", "import", "far", "http://127.0.0.1/disk.qcow2")
    assert (code, "[url.address]" in err) == (1, True)


@pytest.mark.parametrize("label", ["novalue", "=x", "a b=c"])
def test_a_label_that_is_none_is_refused(image_command, file, label):
    code, _, err = image_command("image", "upload", "a", str(file), "--label", label)
    assert code in (1, 2)
    assert "label" in err
