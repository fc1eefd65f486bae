"""Images from URLs: fetched by a job, from where everybody could fetch, and shared with whom their owner says."""

import hashlib

import pytest

from service.db.engine.database import unit_of_work
from service.db.tables import Image, Token
from service.network.outside import INTERNET
from service.operations.images import import_image
from tests.api.world import BOOT, Cloud, expect
from tests.hostile_urls import HOSTILE
from tests.outside import Outside, moved, ok

PUBLIC = "9.9.9.9"


@pytest.fixture
def outside() -> Outside:
    made = Outside()
    made.add("example.com", (PUBLIC,))
    return made


@pytest.fixture
def online_cloud(cloud_with, outside) -> Cloud:
    return cloud_with(outside=outside)


def from_url(cloud, url="http://example.com/disk.raw", client=None, **said):
    body = {"name": "far", "format": "raw", "url": url, **said}
    return (client or cloud.api).post("/v1/images", json=body)


def failed(cloud, code: str, url="http://example.com/disk.raw", **said) -> None:
    job = cloud.ended(from_url(cloud, url, **said))
    assert (job["state"], (job["error"] or {}).get("code")) == ("failed", code), job
    expect(cloud.api.get("/v1/images/far"), 404, "image.not_found")
    cloud.assert_clean()


def test_a_context_reaches_the_real_internet_unless_told_otherwise(furnished):
    model, _ = furnished
    assert model.ctx.outside is INTERNET


def test_an_image_is_fetched_by_a_job_and_remembers_where_it_came_from_without_secrets(online_cloud, outside):
    with outside.server(PUBLIC, lambda head: ok(BOOT)):
        job = online_cloud.done(from_url(online_cloud, "http://example.com/disk.raw?signature=abc"))
    assert job["phases"][0]["name"] == "fetch"
    image = online_cloud.api.get("/v1/images/far").json()
    assert (image["state"], image["source"]) == ("ready", "http://example.com/disk.raw")
    assert image["sha256"] == hashlib.sha256(BOOT).hexdigest()
    online_cloud.make_vm(image="far")
    online_cloud.assert_clean()


def test_an_image_is_importing_while_it_is_fetched_and_a_cancel_leaves_nothing(online_cloud):
    job = from_url(online_cloud).json()
    assert online_cloud.api.get("/v1/images/far").json()["state"] == "importing"
    assert online_cloud.api.get("/v1/images/far").json()["size_bytes"] == 0
    online_cloud.api.delete(f"/v1/jobs/{job['id']}")
    online_cloud.settle()
    expect(online_cloud.api.get("/v1/images/far"), 404, "image.not_found")
    online_cloud.assert_clean()


@pytest.mark.parametrize("text", [text for text in HOSTILE if text], ids=lambda text: ascii(text)[:60])
def test_a_hostile_url_is_refused_before_there_is_a_job(online_cloud, outside, text):
    answer = from_url(online_cloud, text)
    code = "request.invalid" if len(text) > 2048 else HOSTILE[text]
    expect(answer, 422, code)
    assert outside.asked == outside.reached == []
    online_cloud.assert_clean()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.9.9.9", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1"])
def test_a_name_that_leads_inside_fails_its_job(online_cloud, outside, address):
    outside.add("example.com", (address,))
    failed(online_cloud, "url.address")
    assert outside.reached == []


def test_a_redirect_to_the_inside_fails_its_job(online_cloud, outside):
    with outside.server(PUBLIC, lambda head: moved("http://169.254.169.254/latest")):
        failed(online_cloud, "url.address")


def test_hosts_guests_and_control_plane_are_not_fetched_from_whatever_is_allowed(cloud_with, outside):
    settings = {
        "fetch_networks": ("10.0.0.0/8", "192.168.0.0/16"),
        "cluster_networks": ("192.168.9.0/24",),
        "listen_address": "192.168.1.1",
    }
    cloud = cloud_with(outside=outside, **settings)
    own = ["10.1.0.1", "10.1.0.2", "10.2.0.77", "192.168.9.3", "192.168.1.1"]
    for address in own:
        expect(from_url(cloud, f"http://{address}/"), 422, "url.address")
        outside.add("example.com", (address,))
        failed(cloud, "url.address")
    assert outside.reached == []
    with outside.server("10.9.9.9", lambda head: ok(BOOT)):
        cloud.done(from_url(cloud, "http://10.9.9.9/"))


def test_what_is_fetched_is_looked_at_like_an_upload(online_cloud, outside):
    with outside.server(PUBLIC, lambda head: ok(b"QFI\xfb" + bytes(5000))):
        failed(online_cloud, "image.wrong_format")
        failed(online_cloud, "image.wrong_digest", sha256="0" * 64)
        failed(online_cloud, "image.unsafe", format="qcow2")


def test_a_file_larger_than_any_image_may_be_is_not_fetched(cloud_with, outside):
    cloud = cloud_with(outside=outside, max_image_bytes=len(BOOT))
    with outside.server(PUBLIC, lambda head: ok(BOOT + b"x")):
        failed(cloud, "url.too_large")


def test_an_image_comes_from_one_place(online_cloud):
    for said in ({}, {"url": "http://example.com/", "path": "a"}):
        answer = online_cloud.api.post("/v1/images", json={"name": "far", "format": "raw", **said})
        expect(answer, 422, "request.invalid")


def test_a_fetch_waits_while_two_others_fetch(online_cloud, outside, monkeypatch):
    monkeypatch.setattr(import_image, "MOST_AT_ONCE", 0)
    job = from_url(online_cloud).json()
    online_cloud.run_due()
    waiting = online_cloud.api.get(f"/v1/jobs/{job['id']}").json()
    assert (waiting["state"], waiting["phases"]) == ("waiting", [])
    monkeypatch.setattr(import_image, "MOST_AT_ONCE", 2)
    with outside.server(PUBLIC, lambda head: ok(BOOT)):
        online_cloud.settle()
    assert online_cloud.api.get("/v1/images/far").json()["state"] == "ready"


# What is said of an image, and who may use it.


def changed(cloud, client=None, **body):
    return (client or cloud.api).patch("/v1/images/mini", json=body)


def test_an_image_is_renamed_relabelled_and_keeps_what_is_not_named(online_cloud):
    before = online_cloud.api.get("/v1/images/mini").json()
    labels = {"os.distro": "debian", "os/version": "12"}
    after = changed(online_cloud, labels=labels, min_disk_gib=2).json()
    assert after == {**before, "labels": labels, "min_disk_bytes": 2 << 30}
    assert changed(online_cloud, name="other").json() == {**after, "name": "other"}
    expect(online_cloud.api.get("/v1/images/mini"), 404, "image.not_found")


def test_an_images_user_may_be_nobody(online_cloud):
    assert changed(online_cloud, default_user=None).json()["default_user"] is None
    assert changed(online_cloud, default_user="ann").json()["default_user"] == "ann"
    expect(changed(online_cloud, default_user="root"), 422, "request.invalid")


def test_a_name_that_is_taken_and_an_image_that_is_busy_are_refused(online_cloud):
    online_cloud.image("another")
    expect(changed(online_cloud, name="another"), 409, "image.name_taken")
    online_cloud.api.delete("/v1/images/mini")
    expect(changed(online_cloud, name="free"), 409, "image.busy")


def test_a_change_on_yesterdays_etag_is_refused(online_cloud):
    etag = online_cloud.api.get("/v1/images/mini").headers["etag"]
    changed(online_cloud, labels={"a": "b"})
    answer = online_cloud.api.patch("/v1/images/mini", json={"labels": {}}, headers={"If-Match": etag})
    expect(answer, 412, "object.changed")
    assert online_cloud.api.get("/v1/images/mini").json()["labels"] == {"a": "b"}


def other_project(cloud) -> str:
    return cloud.created(cloud.api.post("/v1/projects", json={"name": "other"}))["id"]


def seen_from(cloud, project: str) -> list[str]:
    """Names of the images that a plain user of the project sees."""
    name = f"user-of-{project}"
    cloud.api.post("/v1/users", json={"name": name, "role": "user"})
    cloud.api.put(f"/v1/projects/{project}/members/{name}")
    made = cloud.created(cloud.api.post("/v1/tokens", json={"name": str(len(cloud.rows(Token))), "user": name}))
    headers = {"Authorization": f"Bearer {made['token']}"}
    answer = cloud.client(None).get("/v1/images", headers=headers)
    return [image["name"] for image in answer.json()["items"]]


def test_a_shared_image_is_seen_by_the_other_project_and_no_longer_once_it_is_not(online_cloud):
    other = other_project(online_cloud)
    assert seen_from(online_cloud, other) == []
    path = f"/v1/images/mini/projects/{other}"
    for _ in range(2):
        assert online_cloud.api.put(path).status_code == 204
    image = online_cloud.api.get("/v1/images/mini").json()
    assert (image["visibility"], image["shared_with"]) == ("shared", ["other"])
    assert seen_from(online_cloud, other) == ["mini"]
    for _ in range(2):
        assert online_cloud.api.delete("/v1/images/mini/projects/other").status_code == 204
    assert seen_from(online_cloud, other) == []


def test_a_public_image_is_seen_by_all_and_only_operators_publish(online_cloud):
    other = other_project(online_cloud)
    expect(changed(online_cloud, online_cloud.client("user"), visibility="public"), 403, "auth.forbidden")
    expect(from_url(online_cloud, client=online_cloud.client("user"), visibility="public"), 403, "auth.forbidden")
    assert changed(online_cloud, online_cloud.client("operator"), visibility="public").status_code == 200
    assert seen_from(online_cloud, other) == ["mini"]


def test_a_project_that_one_does_not_know_is_a_missing_one(online_cloud):
    other = other_project(online_cloud)
    user = online_cloud.client("user")
    for project in (other, "other", "nothing", "00000000-0000-0000-0000-000000000000"):
        expect(user.put(f"/v1/images/mini/projects/{project}"), 404, "project.not_found")
        expect(user.delete(f"/v1/images/mini/projects/{project}"), 404, "project.not_found")
    with unit_of_work(online_cloud.db):
        assert Image.get(Image.name == "mini").visibility == "private"


def test_viewers_change_nothing_about_images(online_cloud):
    viewer = online_cloud.client("viewer")
    expect(changed(online_cloud, viewer, name="x"), 403, "auth.forbidden")
    expect(viewer.put("/v1/images/mini/projects/default"), 403, "auth.forbidden")
    expect(viewer.delete("/v1/images/mini/projects/default"), 403, "auth.forbidden")
