"""Uploads: sent in pieces, over calls that break and processes that die, and bounded."""

import errno
import hashlib
import os
import shutil

import pytest

from service.db.engine.database import unit_of_work
from service.db.tables import Audit, Upload
from service.operations.images import files
from tests.api.upload_calls import DATA, Breaking, announce, announced, finished, offset, with_input
from tests.api.world import expect, threads


def test_a_file_sent_in_pieces_of_any_size_becomes_the_image(cloud):
    upload_id, at = announced(cloud), 0
    for size in (1, 4096, 0, 12_345, len(DATA)):
        assert offset(cloud, upload_id) == at
        piece = DATA[at : at + size]
        answer = cloud.send(upload_id, piece, at)
        at += len(piece)
        assert (answer.status_code, answer.json()["offset"], answer.headers["upload-offset"]) == (200, at, str(at))
    image = finished(cloud, upload_id)
    assert (image["id"], image["sha256"]) == (upload_id, hashlib.sha256(DATA).hexdigest())
    cloud.assert_clean()


def test_an_announced_upload_says_where_to_send_and_until_when(cloud):
    answer = announce(cloud)
    document = cloud.created(answer)
    assert answer.headers["location"] == f"/v1/uploads/{document['id']}"
    assert (document["offset"], document["size_bytes"], document["job_id"]) == (0, len(DATA), None)
    assert document["expires_at"] > document["created_at"]
    assert [upload["id"] for upload in cloud.api.get("/v1/uploads", params={"name": "sent"}).json()["items"]] == [
        document["id"]
    ]


@pytest.mark.parametrize("error", [None, ConnectionResetError(), TimeoutError()], ids=repr)
def test_what_came_before_the_connection_broke_is_kept(cloud, error):
    upload_id = announced(cloud)
    client = cloud.client("admin", app=with_input(cloud.app, Breaking(DATA[:20_000], error)))
    assert cloud.send(upload_id, DATA, client=client).status_code in (422, 500)
    assert offset(cloud, upload_id) == 20_000
    cloud.send(upload_id, DATA[20_000:], 20_000)
    assert finished(cloud, upload_id)["sha256"] == hashlib.sha256(DATA).hexdigest()
    cloud.assert_clean()


def test_a_piece_that_drips_gives_its_slot_back_and_loses_nothing(cloud):
    upload_id = announced(cloud)

    class Dripping(Breaking):
        def read(self, count: int = -1) -> bytes:
            cloud.clock.elapsed_s += 100
            return super().read(count)

    client = cloud.client("admin", app=with_input(cloud.app, Dripping(DATA)))
    expect(cloud.send(upload_id, DATA, client=client), 422, "upload.cut_short")
    assert offset(cloud, upload_id) == 3000
    cloud.send(upload_id, DATA[3000:], 3000)
    finished(cloud, upload_id)


def test_an_api_that_is_killed_in_the_middle_of_a_piece_loses_nothing_that_it_wrote(cloud):
    upload_id = announced(cloud)
    died = os.fork()
    if died == 0:  # the API's process: it never comes to answer
        with files.packed(cloud.ctx, upload_id).open("r+b") as file:
            file.write(DATA[:30_000])
            file.flush()
            os.kill(os.getpid(), 9)
    os.waitpid(died, 0)
    assert offset(cloud, upload_id) == 30_000
    cloud.send(upload_id, DATA[30_000:], 30_000)
    assert finished(cloud, upload_id)["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_an_api_that_dies_between_the_last_byte_and_the_job_is_helped_by_an_empty_piece(cloud):
    upload_id = announced(cloud)
    files.packed(cloud.ctx, upload_id).write_bytes(DATA)
    assert cloud.api.get(f"/v1/uploads/{upload_id}").json()["job_id"] is None
    assert cloud.send(upload_id, b"", len(DATA)).json()["job_id"]
    finished(cloud, upload_id)


@pytest.mark.parametrize("at", [1, 9_999, 10_001, len(DATA)])
def test_a_piece_that_does_not_begin_where_the_last_one_ended_is_refused_with_the_place(cloud, at):
    upload_id = announced(cloud)
    cloud.send(upload_id, DATA[:10_000])
    assert "Upload-Offset: 10000" in expect(cloud.send(upload_id, b"x", at), 409, "upload.wrong_offset")["detail"]
    assert offset(cloud, upload_id) == 10_000


def test_more_than_was_announced_is_refused_unread(cloud):
    upload_id = announced(cloud)
    expect(cloud.send(upload_id, DATA + b"x"), 422, "upload.too_long")
    assert offset(cloud, upload_id) == 0


def test_two_pieces_at_once_do_not_mix(cloud):
    upload_id, inside = announced(cloud), []

    class Slow(Breaking):
        def read(self, count: int = -1) -> bytes:
            if not inside:
                threads(1, lambda _: inside.append(cloud.send(upload_id, DATA)))
            return super().read(count)

    answer = cloud.send(upload_id, DATA, client=cloud.client("admin", app=with_input(cloud.app, Slow(DATA))))
    expect(inside[0], 409, "upload.busy")
    assert answer.json()["job_id"]
    assert finished(cloud, upload_id)["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_a_complete_upload_takes_no_more_and_makes_one_image(cloud):
    upload_id = announced(cloud)
    answers = []
    cloud.send(upload_id, DATA)
    for at, piece in ((0, DATA), (len(DATA), b""), (len(DATA), b"x")):
        answers.append(cloud.send(upload_id, piece, at))
    for answer in answers:
        expect(answer, 409, "upload.finished")
    finished(cloud, upload_id)
    assert len(cloud.api.get("/v1/images").json()["items"]) == 2


def test_a_name_that_was_taken_meanwhile_leaves_the_upload_complete_until_it_can_be_an_image(cloud):
    upload_id = announced(cloud)
    cloud.image("sent")
    expect(cloud.send(upload_id, DATA), 409, "image.name_taken")
    assert offset(cloud, upload_id) == len(DATA)
    cloud.done(cloud.api.delete("/v1/images/sent"))
    cloud.send(upload_id, b"", len(DATA))
    finished(cloud, upload_id)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "0x10", "٣", "1e3", "9" * 30, "01"])
def test_an_offset_that_is_no_number_is_refused(cloud, text):
    headers = {"Upload-Offset": text.encode(), "Content-Type": "application/octet-stream"}
    answer = cloud.api.patch(f"/v1/uploads/{announced(cloud)}", content=b"x", headers=headers)
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == "Upload-Offset"


def test_a_piece_without_a_length_is_refused(cloud):
    headers = {"Upload-Offset": "0", "Content-Type": "application/octet-stream"}
    answer = cloud.api.patch(f"/v1/uploads/{announced(cloud)}", content=iter([b"x"]), headers=headers)
    expect(answer, 411, "request.length_required")


def test_a_precondition_on_a_piece_is_refused_unread(cloud):
    headers = {"Upload-Offset": "0", "Content-Type": "application/octet-stream", "If-Match": '"a"'}
    answer = cloud.api.patch(f"/v1/uploads/{announced(cloud)}", content=b"x", headers=headers)
    assert answer.status_code in (412, 422)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size_bytes", 0),
        ("size_bytes", -1),
        ("size_bytes", True),
        ("size_bytes", 1.5),
        ("size_bytes", 1 << 60),
        ("compression", "lzma"),
        ("format", "vmdk"),
        ("visibility", "everybody"),
        ("labels", {"a b": "c"}),
        ("labels", {"a": "x\n"}),
        ("labels", {f"l{number}": "" for number in range(65)}),
        ("labels", {"a": 1}),
        ("min_disk_gib", -1),
        ("kind", "disk"),
    ],
)
def test_a_wrong_field_is_named(cloud, field, value):
    before = len(cloud.rows(Upload))
    named = expect(announce(cloud, **{field: value}), 422, "request.invalid")["errors"][0]["field"]
    assert named.startswith(field)
    assert len(cloud.rows(Upload)) == before


# Bounds.


def test_a_file_larger_than_any_image_is_refused_at_once(cloud):
    expect(announce(cloud, size_bytes=(1 << 40) + 1), 422, "image.too_large")


def test_a_taken_name_is_refused_before_anything_is_sent(cloud):
    expect(announce(cloud, name="mini"), 409, "image.name_taken")


def test_a_projects_uploads_together_have_a_bound(cloud_with):
    cloud = cloud_with(project_upload_bytes=2 * len(DATA))
    first = announced(cloud)
    announced(cloud, name="second")
    expect(announce(cloud, name="third"), 409, "upload.project_full")
    cloud.send(first, DATA)
    expect(announce(cloud, name="third"), 409, "upload.project_full")
    finished(cloud, first)
    announced(cloud, name="third")


def test_all_uploads_together_have_a_bound(cloud_with):
    cloud = cloud_with(upload_dir_bytes=3 * len(DATA) // 2)
    announced(cloud)
    expect(announce(cloud, name="second"), 503, "upload.no_room")


def test_a_disk_without_room_refuses_an_upload_and_a_piece(cloud, monkeypatch):
    upload_id = announced(cloud)
    usage = shutil.disk_usage(cloud.settings.uploads)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=files.SPARE_BYTES + 10))
    expect(announce(cloud, name="second"), 503, "upload.no_room")
    expect(cloud.send(upload_id, DATA), 503, "upload.no_room")
    assert offset(cloud, upload_id) == 0


def test_a_disk_that_fills_in_the_middle_of_a_piece_keeps_what_is_there(cloud):
    upload_id = announced(cloud)
    full = Breaking(DATA[:10_000], OSError(errno.ENOSPC, "No space left on device"))
    client = cloud.client("admin", app=with_input(cloud.app, full))
    expect(cloud.send(upload_id, DATA, client=client), 503, "upload.no_room")
    assert offset(cloud, upload_id) == 10_000


def test_pieces_beyond_the_slots_are_told_to_come_back(cloud_with):
    cloud = cloud_with(upload_slots=1)
    first, second, inside = announced(cloud), announced(cloud, name="second"), []

    class Slow(Breaking):
        def read(self, count: int = -1) -> bytes:
            if not inside:
                threads(1, lambda _: inside.append(cloud.send(second, DATA)))
            return super().read(count)

    cloud.send(first, DATA, client=cloud.client("admin", app=with_input(cloud.app, Slow(DATA))))
    expect(inside[0], 503, "service.busy")
    finished(cloud, first)


# Who.


def test_another_projects_upload_is_a_missing_one(cloud):
    upload_id = announced(cloud)
    with unit_of_work(cloud.db):
        assert Upload.get_by_id(upload_id).project.name == "default"
    missing = "00000000-0000-0000-0000-000000000000"
    for client in (cloud.client("user"), cloud.client("viewer")):
        assert client.get(f"/v1/uploads/{upload_id}").status_code == 200  # members of the same project
        expect(client.get(f"/v1/uploads/{missing}"), 404, "upload.not_found")
    expect(cloud.send(upload_id, DATA, client=cloud.client("viewer")), 403, "auth.forbidden")
    expect(announce(cloud, client=cloud.client("viewer"), name="v"), 403, "auth.forbidden")
    expect(cloud.send(missing, DATA), 404, "upload.not_found")
    expect(cloud.api.delete(f"/v1/uploads/{missing}"), 404, "upload.not_found")


def test_who_sent_what_is_written_down(cloud):
    upload_id = announced(cloud)
    cloud.send(upload_id, DATA)
    cloud.settle()
    actions = [row.action for row in cloud.rows(Audit) if row.object_id == upload_id]
    assert actions == ["create_upload", "import_image"]
