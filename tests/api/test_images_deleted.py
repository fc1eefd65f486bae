"""What a deleted image leaves behind, and what it counts for."""

from service.db import quotas
from service.db.engine.database import transaction, unit_of_work
from service.db.tables import Image, Project
from tests.api.image_files import assert_refused
from tests.api.world import BOOT, expect


def test_a_deleted_image_goes_at_once_when_nothing_is_cloned_from_it(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/vms/web"))
    assert cloud.done(cloud.api.delete("/v1/images/mini"))["result"] == {"clones": 0}
    expect(cloud.api.get("/v1/images/mini"), 404, "image.not_found")
    cloud.assert_clean(vms=0)


def test_a_deleted_image_is_gone_for_everybody_while_its_clones_live_on(cloud):
    vm = cloud.make_vm()
    image = cloud.api.get("/v1/images/mini").json()
    assert cloud.done(cloud.api.delete("/v1/images/mini"))["result"] == {"clones": 1}
    for ref in ("mini", image["id"]):
        expect(cloud.api.get(f"/v1/images/{ref}"), 404, "image.not_found")
    expect(cloud.create("another"), 422, "image.not_found")
    assert cloud.api.get("/v1/images").json()["items"] == []
    assert cloud.vm()["observed_state"] == vm["observed_state"]
    assert cloud.vm()["image"] == "mini"
    assert {volume["image"] for volume in cloud.vm()["volumes"]} == {"mini", None}
    cloud.round("sweep_images")
    cloud.assert_clean(vms=1)


def test_the_name_of_a_deleted_image_is_free_at_once(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/images/mini"))
    cloud.image("mini", b"new" * 1000)
    assert cloud.api.get("/v1/images/mini").json()["size_bytes"] == 4096
    cloud.done(cloud.api.delete("/v1/images/mini"))
    cloud.assert_clean(vms=1)


def test_a_deleted_images_bytes_go_with_its_last_clone(cloud):
    cloud.make_vm("one")
    cloud.make_vm("two")
    cloud.done(cloud.api.delete("/v1/images/mini"))
    for name, left in (("one", 1), ("two", 0)):
        cloud.done(cloud.api.delete(f"/v1/vms/{name}"))
        cloud.round("sweep_images")
        assert len(cloud.storage.volumes("images")) == left
    cloud.assert_clean(vms=0)
    assert cloud.rows(Image) == []


def test_what_an_image_takes_counts_in_its_projects_quota_until_its_bytes_are_gone(cloud, qcow2):
    def used() -> dict[str, int]:
        with unit_of_work(cloud.db):
            project = next(iter(Project.select()))
            rows = {row.resource: row.used for row in quotas.of_project(project.id)}
            assert {key: value for key, value in quotas.recounted(project.id).items() if value} == {
                key: value for key, value in rows.items() if value
            }
            return rows

    before = used()["gib:images"]
    cloud.done(cloud.upload(qcow2(size="1025M"), name="big", format="qcow2"))
    assert used()["gib:images"] == before + 2
    assert_refused(cloud, "image.wrong_format", BOOT, format="qcow2")
    assert used()["gib:images"] == before + 2
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/images/mini"))
    cloud.done(cloud.api.delete("/v1/images/big"))
    assert used()["gib:images"] == before
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.round("sweep_images")
    assert used()["gib:images"] == before - 1


def test_an_image_beyond_the_quota_is_refused_and_leaves_nothing(cloud):
    with transaction(cloud.db):
        quotas.set_limit(next(iter(Project.select())).id, "gib:images", 1)
    assert_refused(cloud, "quota.exceeded", BOOT, format="raw")


def test_an_image_that_is_being_deleted_is_cloned_no_more(cloud):
    job = cloud.api.delete("/v1/images/mini").json()
    expect(cloud.create(), 409, "image.not_ready")
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert cloud.api.get("/v1/images/mini").json()["state"] == "ready"
    cloud.make_vm()
