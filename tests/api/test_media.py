"""CD-ROM drives, screens and VNC."""

import struct

import pytest

from service.operations.on_host.vnc_password import PASSWORD_LENGTH
from tests.api.disks import add_iso, hardware, opened
from tests.api.test_vms import off
from tests.api.world import expect


def insert(cloud, image="installer", **more):
    return cloud.api.post("/v1/vms/web/insert", json={"image": image, **more})


def lying(cloud) -> str | None:
    """The image in the only drive."""
    (drive,) = cloud.vm()["cdroms"]
    return drive["image"]


def test_an_iso_is_inserted_changed_and_ejected_while_the_guest_runs(cloud):
    first, second = add_iso(cloud), add_iso(cloud, "drivers")
    cloud.make_vm(cdroms=[{}])
    for image in (first, second):
        cloud.done(insert(cloud, image["name"]))
        assert (lying(cloud), in_hardware(cloud)) == (image["name"], f"image-{image['id']}")
    cloud.done(cloud.api.post("/v1/vms/web/eject"))
    assert (lying(cloud), in_hardware(cloud)) == (None, None)
    cloud.assert_clean(vms=1)


def test_a_stopped_vm_gets_a_drive_with_its_first_iso(cloud):
    add_iso(cloud)
    cloud.make_vm()
    expect(insert(cloud), 409, "drive.not_live")
    off(cloud)
    cloud.done(insert(cloud))
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    assert hardware(cloud).disks["sdb"].device == "cdrom"
    cloud.assert_clean(vms=1)


def test_a_drive_that_is_not_there_is_not_found(cloud):
    add_iso(cloud)
    cloud.make_vm()
    expect(insert(cloud, drive="sdz"), 404, "drive.not_found")
    expect(cloud.api.post("/v1/vms/web/eject"), 404, "drive.not_found")


def test_an_iso_that_is_not_there_is_told_by_its_field(cloud):
    cloud.make_vm(cdroms=[{}])
    document = expect(insert(cloud, "nothing"), 422, "image.not_found")
    assert document["errors"][0]["field"] == "image"


def test_a_change_of_media_that_fails_is_undone(cloud):
    vm = cloud.make_vm(cdroms=[{}])
    add_iso(cloud)
    answer = insert(cloud)
    cloud.host(vm["host"]).reachable = False
    cloud.run_due()
    assert cloud.job(answer)["state"] == "waiting"
    cloud.host(vm["host"]).reachable = True
    cloud.settle()
    assert cloud.job(answer)["state"] == "failed"
    assert (lying(cloud), in_hardware(cloud)) == (None, None)
    cloud.assert_clean(vms=1)


def test_an_iso_in_a_drive_is_not_deleted(cloud):
    add_iso(cloud)
    cloud.make_vm(cdroms=[{"image": "installer"}])
    expect(cloud.api.delete("/v1/images/installer"), 409, "image.in_use")
    cloud.done(cloud.api.post("/v1/vms/web/eject"))
    cloud.done(cloud.api.delete("/v1/images/installer"))


def in_hardware(cloud) -> str | None:
    """The image that the drive's device is a clone of, as the host has it: QEMU opens it for writing."""
    medium = opened(hardware(cloud).disks["sdb"])
    return None if medium is None else cloud.storage.volume(medium).parent.name


def open_vnc(cloud, **body) -> dict:
    answer = cloud.api.post("/v1/vms/web/vnc", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['job']['id']}"
    cloud.settle()
    return answer.json()


def test_a_vnc_password_is_told_once_set_on_the_host_and_ends(cloud):
    cloud.make_vm()
    opened = open_vnc(cloud)
    set_there = hardware(cloud)
    assert len(opened["password"]) == PASSWORD_LENGTH
    assert set_there.vnc_password == opened["password"]
    assert (set_there.vnc_expires_at - cloud.clock.now()).total_seconds() == pytest.approx(600, abs=5)
    job = cloud.api.get(f"/v1/jobs/{opened['job']['id']}").json()
    assert job["state"] == "succeeded"
    assert set(job["result"]) == {"address", "port"}
    assert opened["password"] not in str(cloud.api.get("/v1/jobs").json()) + str(cloud.vm())


def test_a_vnc_password_is_nowhere_written_down(cloud):
    cloud.make_vm()
    opened = open_vnc(cloud)
    state, password = cloud.settings.state_dir, opened["password"].encode()
    assert not [path for path in state.rglob("*") if path.is_file() and password in path.read_bytes()]
    assert (state / "secret.key").stat().st_mode & 0o777 == 0o600


def test_every_vnc_password_is_another(cloud):
    cloud.make_vm()
    assert open_vnc(cloud)["password"] != open_vnc(cloud)["password"]


def test_an_open_console_is_open_again_after_a_move_and_after_a_start(cloud):
    cloud.make_vm()
    password = open_vnc(cloud, seconds=3600)["password"]
    cloud.done(cloud.api.post("/v1/vms/web/migrate"))
    assert hardware(cloud).vnc_password == password
    off(cloud)
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    assert hardware(cloud).vnc_password == password


def test_a_console_whose_time_is_over_stays_locked_after_a_move(cloud):
    cloud.make_vm()
    open_vnc(cloud, seconds=30)
    cloud.clock.elapsed_s += 31
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/migrate"))
    assert hardware(cloud).vnc_password is None


def test_a_console_that_could_not_be_opened_stays_locked(cloud):
    vm = cloud.make_vm()
    answer = cloud.api.post("/v1/vms/web/vnc", json={}).json()
    cloud.host(vm["host"]).reachable = False
    cloud.run_due()
    cloud.host(vm["host"]).reachable = True
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{answer['job']['id']}").json()["state"] == "failed"
    assert (hardware(cloud).vnc_password, cloud.vm()["vnc_expires_at"]) == (None, None)


@pytest.mark.parametrize("seconds", [0, 29, 3601, "600", 1e3])
def test_a_vnc_password_has_a_short_life(cloud, seconds):
    cloud.make_vm()
    expect(cloud.api.post("/v1/vms/web/vnc", json={"seconds": seconds}), 422, "request.invalid")


def test_a_picture_of_the_screen_is_a_png_and_is_kept_for_a_while(cloud):
    cloud.make_vm()
    expect(cloud.api.get("/v1/vms/web/screenshot"), 404, "screenshot.not_found")
    cloud.done(cloud.api.post("/v1/vms/web/screenshot"))
    cloud.done(cloud.api.post("/v1/vms/web/screenshot"))
    answer = cloud.api.get("/v1/vms/web/screenshot")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", answer.content[16:24]) > (0, 0)
    cloud.clock.elapsed_s += 601
    expect(cloud.api.get("/v1/vms/web/screenshot"), 404, "screenshot.not_found")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.assert_clean(vms=0)


def test_what_is_off_has_no_screen(cloud):
    cloud.make_vm()
    off(cloud)
    expect(cloud.api.post("/v1/vms/web/screenshot"), 409, "vm.not_running")
    expect(cloud.api.post("/v1/vms/web/vnc"), 409, "vm.not_running")
