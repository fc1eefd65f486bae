"""The end of uploads that nobody finished: given up, expired, swept."""

from datetime import timedelta

from service.db.engine.database import unit_of_work
from service.db.tables import Upload
from service.operations.images import files
from tests.api.upload_calls import DATA, Breaking, announced, finished, offset, with_input
from tests.api.world import expect, threads


def test_an_upload_that_was_given_up_leaves_nothing(cloud):
    upload_id = announced(cloud)
    cloud.send(upload_id, DATA[:10])
    assert cloud.api.delete(f"/v1/uploads/{upload_id}").status_code == 204
    expect(cloud.api.get(f"/v1/uploads/{upload_id}"), 404, "upload.not_found")
    expect(cloud.send(upload_id, DATA[10:], 10), 404, "upload.not_found")
    cloud.assert_clean()


def test_an_upload_that_is_being_sent_is_not_given_up(cloud):
    upload_id, inside = announced(cloud), []

    class Slow(Breaking):
        def read(self, count: int = -1) -> bytes:
            if not inside:
                threads(1, lambda _: inside.append(cloud.api.delete(f"/v1/uploads/{upload_id}")))
            return super().read(count)

    cloud.send(upload_id, DATA, client=cloud.client("admin", app=with_input(cloud.app, Slow(DATA))))
    expect(inside[0], 409, "upload.busy")
    finished(cloud, upload_id)


def test_giving_up_a_complete_upload_leaves_its_image(cloud):
    upload_id = announced(cloud)
    cloud.send(upload_id, DATA)
    assert cloud.api.delete(f"/v1/uploads/{upload_id}").status_code == 204
    cloud.settle()
    assert cloud.api.get("/v1/images/sent").json()["state"] == "ready"
    cloud.assert_clean()


def test_an_upload_that_nobody_goes_on_with_expires_and_one_that_goes_on_does_not(cloud):
    dead, alive = announced(cloud, name="dead"), announced(cloud, name="alive")
    life_s = cloud.settings.upload_life_s
    cloud.clock.elapsed_s += life_s / 2
    cloud.send(alive, DATA[:10])
    cloud.clock.elapsed_s += life_s / 2 + 1
    cloud.round("sweep_images")
    expect(cloud.api.get(f"/v1/uploads/{dead}"), 404, "upload.not_found")
    assert offset(cloud, alive) == 10
    cloud.clock.elapsed_s += life_s
    cloud.round("sweep_images")
    assert cloud.rows(Upload) == []
    cloud.assert_clean()


def test_the_sweep_removes_what_nobody_owns_and_nothing_else(cloud):
    upload_id = announced(cloud)
    queued = announced(cloud, name="queued")
    cloud.send(queued, DATA)
    orphan = files.packed(cloud.ctx, "00000000-0000-0000-0000-000000000000")
    orphan.write_bytes(b"left")
    half = files.raw(cloud.ctx, queued)
    half.write_bytes(b"half")
    sweep(cloud)
    assert files.packed(cloud.ctx, upload_id).exists()
    assert files.packed(cloud.ctx, queued).exists()
    assert half.exists()
    assert not orphan.exists()
    finished(cloud, queued)


def test_the_sweep_leaves_an_orphan_that_is_being_received_alone(cloud):
    orphan = files.packed(cloud.ctx, "00000000-0000-0000-0000-000000000000")
    files.empty(orphan)
    with files.held(orphan):
        sweep(cloud)
        assert orphan.exists()
    sweep(cloud)
    assert not orphan.exists()


def test_a_sweep_before_the_first_upload_finds_nothing(empty):
    sweep(empty)
    assert not list(empty.settings.uploads.glob("*"))


def sweep(cloud) -> None:
    with unit_of_work(cloud.db):
        files.sweep(cloud.ctx)


def test_an_expired_upload_that_is_being_sent_is_left_alone(cloud):
    upload_id = announced(cloud)
    cloud.clock.elapsed_s += timedelta(days=2).total_seconds()
    with files.held(files.packed(cloud.ctx, upload_id)):
        cloud.round("sweep_images")
    assert offset(cloud, upload_id) == 0
