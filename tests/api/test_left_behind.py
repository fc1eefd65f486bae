"""What is left where something broke off in an unlucky moment: nothing, or what can be gone on with."""

import pytest

from service.db.tables import Image, Volume
from service.jobs.job_tables import Job
from storage.refs import ImageRef, VolumeRef
from tests.api import folk
from tests.api.disks import add_iso, hardware
from tests.api.test_vms import off
from tests.api.world import MIB, expect


def once(cloud, moment, work):
    """Do the work at that moment, the first time that it comes."""

    def hook(now: str) -> None:
        if now == moment:
            cloud.hook = lambda _: None
            work()

    cloud.hook = hook


def boom() -> None:
    raise RuntimeError("boom")


def test_a_cancel_that_comes_while_a_disk_is_plugged_in_is_too_late(cloud):
    """Taken back, it would wait for ever for a guest that does not let go, and nobody could even force the VM off."""
    cloud.make_vm()
    cloud.host(cloud.vm()["host"]).guests_keep_disks = True
    accepted = cloud.api.post("/v1/vms/web/attach", json={"size_gib": 1})
    once(cloud, "after attach_disk", lambda: cloud.api.delete(f"/v1/jobs/{accepted.json()['id']}"))
    cloud.done(accepted)
    assert "vdb" in hardware(cloud).disks
    cloud.done(cloud.api.post("/v1/vms/web/force-off", json={}))


def test_a_guest_that_keeps_the_disk_of_a_failed_attachment_can_be_forced_off(cloud):
    cloud.make_vm()
    cloud.host(cloud.vm()["host"]).guests_keep_disks = True
    accepted = cloud.api.post("/v1/vms/web/attach", json={"size_gib": 1})
    once(cloud, "after attach_disk", boom)
    cloud.run_due()
    assert cloud.job(accepted)["reason"].startswith("undo unplug")
    expect(cloud.api.post("/v1/vms/web/shut-down", json={}), 409, "vm.busy")
    forced = cloud.api.post("/v1/vms/web/force-off", json={})
    expect(cloud.api.post("/v1/vms/web/force-off", json={}), 409, "vm.busy")
    cloud.done(forced)
    assert cloud.job(accepted)["state"] == "failed"
    folk.assert_counted(cloud)
    cloud.assert_clean(vms=1)


def test_a_failed_resize_is_taken_back_by_the_next_start(cloud):
    cloud.flavor("roomy", max_vcpus=4)
    cloud.flavor("large", vcpus=2)
    cloud.make_vm(flavor="roomy")
    once(cloud, "after set_vcpus", boom)
    assert cloud.ended(cloud.api.post("/v1/vms/web/resize", json={"flavor": "large"}))["state"] == "failed"
    assert (cloud.vm()["vcpus"], cloud.vm()["pending"]) == (2, {"vcpus": 1})
    off(cloud)
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start", json={}))
    assert (cloud.vm()["flavor"], cloud.vm()["vcpus"]) == ("roomy", 1)
    folk.assert_counted(cloud)
    cloud.assert_clean(vms=1)


def test_a_resize_can_be_taken_back_when_the_old_flavor_is_gone(cloud):
    cloud.flavor("roomy", max_vcpus=4)
    cloud.flavor("large", vcpus=2)
    cloud.make_vm(flavor="roomy")
    accepted = cloud.api.post("/v1/vms/web/resize", json={"flavor": "large"})
    assert cloud.api.delete("/v1/flavors/roomy").status_code == 204
    once(cloud, "before set_memory", boom)
    assert cloud.ended(accepted)["state"] == "failed"
    assert cloud.vm()["vcpus"] == 1
    folk.assert_counted(cloud)


def test_a_drive_that_was_made_for_a_medium_goes_with_it(cloud):
    add_iso(cloud)
    cloud.make_vm(start="stopped")
    accepted = cloud.api.post("/v1/vms/web/insert", json={"image": "installer"})
    cloud.api.delete(f"/v1/jobs/{accepted.json()['id']}")
    cloud.settle()
    assert cloud.vm()["cdroms"] == []
    cloud.assert_clean(vms=1)


def test_a_volume_that_is_being_deleted_is_not_grown_and_does_not_come_back(cloud):
    cloud.make_vm(disks=[{"size_gib": 1, "name": "data"}])
    told = []

    def meddle() -> None:
        told.append(cloud.api.post("/v1/volumes/data/grow", json={"size_gib": 2}))
        deletion = cloud.api.delete("/v1/volumes/data").json()
        told.append(cloud.api.delete(f"/v1/jobs/{deletion['id']}"))
        cloud.new_worker("other").run_next()
        told.append(cloud.api.get("/v1/volumes/data"))

    once(cloud, "before remove_volume", meddle)
    cloud.done(cloud.api.post("/v1/vms/web/detach", json={"disk": "data", "delete": True}))
    expect(told[0], 409, "volume.not_ready")
    assert told[2].json()["state"] == "deleting"
    folk.assert_counted(cloud)
    cloud.assert_clean(vms=1)


def test_disks_that_are_gone_already_are_not_kept(cloud):
    cloud.make_vm(disks=[{"size_gib": 1, "name": "first"}, {"size_gib": 1, "name": "second"}])
    rows = {row.name: VolumeRef(row.pool, row.storage_name) for row in cloud.rows(Volume)}
    cloud.storage.remove_volume(rows["first"])  # as a deletion that broke off leaves it
    cloud.done(cloud.api.delete("/v1/vms/web?keep_disks=true"))
    assert [volume["name"] for volume in cloud.api.get("/v1/volumes").json()["items"]] == ["second"]
    folk.assert_counted(cloud)
    cloud.assert_clean(vms=0)


def test_the_sweep_leaves_alone_what_is_not_an_uploads(cloud):
    uploads = cloud.settings.uploads
    (uploads / "lost+found").mkdir(parents=True, exist_ok=True)
    (uploads / "notes.txt").touch()
    cloud.round("sweep_images")
    assert [job.state for job in cloud.rows(Job) if job.kind == "sweep_images"][-1] == "succeeded"
    assert {path.name for path in uploads.glob("*")} == {"lost+found", "notes.txt"}


def test_a_clone_made_by_hand_keeps_one_retired_image_not_all(cloud):
    for name in ("one", "two"):
        cloud.image(name, name.encode() + bytes(MIB))
        cloud.make_vm(f"of-{name}", image=name)
        cloud.done(cloud.api.delete(f"/v1/images/{name}"))
        cloud.done(cloud.api.delete(f"/v1/vms/of-{name}"))
    kept, _ = sorted((row for row in cloud.rows(Image) if row.state == "retired"), key=lambda row: str(row.id))
    by_hand = ImageRef(kept.pool, kept.storage_name)
    cloud.storage.clone(by_hand, VolumeRef("vms", "by-hand"), size_bytes=2 * MIB, job_id="somebody")
    cloud.round("sweep_images")
    assert [row.id for row in cloud.rows(Image) if row.state == "retired"] == [kept.id]


@pytest.mark.parametrize("done", ["before set_vnc_password", "after set_vnc_password"])
def test_a_password_that_was_not_set_after_all_is_locked_again(cloud, done):
    cloud.make_vm()
    once(cloud, done, boom)
    opened = cloud.api.post("/v1/vms/web/vnc", json={}).json()["job"]
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{opened['id']}").json()["state"] == "failed"
    assert hardware(cloud).vnc_password is None
    assert cloud.vm()["vnc_expires_at"] is None
