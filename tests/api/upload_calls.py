"""Uploads as a client makes them."""

import random

DATA = random.Random(4).randbytes(50_000)


def announce(cloud, client=None, **said):
    body = {"name": "sent", "format": "raw", "size_bytes": len(DATA), **said}
    return (client or cloud.api).post("/v1/uploads", json=body)


def announced(cloud, **said) -> str:
    return cloud.created(announce(cloud, **said))["id"]


def offset(cloud, upload_id: str) -> int:
    answer = cloud.api.get(f"/v1/uploads/{upload_id}")
    assert answer.headers["upload-offset"] == str(answer.json()["offset"])
    return answer.json()["offset"]


def with_input(app, stream):
    """The application with another body than the one that was sent."""
    return lambda environ, start: app({**environ, "wsgi.input": stream}, start)


def finished(cloud, upload_id: str) -> dict:
    """The upload's image, once its job has ended."""
    cloud.settle()
    job = cloud.api.get(f"/v1/jobs/{cloud.api.get(f'/v1/uploads/{upload_id}').json()['job_id']}").json()
    assert job["state"] == "succeeded", job
    return cloud.api.get(f"/v1/images/{job['object']['id']}").json()


class Breaking:
    """A body whose connection breaks after some bytes."""

    def __init__(self, data: bytes, error: Exception | None = None):
        self.left, self.error = data, error

    def read(self, count: int = -1) -> bytes:
        piece, self.left = self.left[:1000], self.left[1000:]
        if not piece and self.error:
            raise self.error
        return piece
