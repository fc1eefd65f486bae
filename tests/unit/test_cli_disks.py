"""What the commands about disks, sizes and volumes send."""

import json

import pytest

from service.cli.errors import UsageError
from service.cli.vm_create import read_disk
from tests.unit.cli_server import JOB, VM

DONE = JOB | {"state": "succeeded"}


def sent(to) -> tuple[str, str, dict]:
    method, path, body = to.asked[-1]
    return method, path, json.loads(body or b"{}")


@pytest.mark.parametrize(
    ("text", "disk"),
    [
        ("20", {"size_gib": 20}),
        ("size=5,pool=fast", {"size_gib": 5, "pool": "fast"}),
        ("image=mini,bus=scsi,name=logs", {"image": "mini", "bus": "scsi", "name": "logs"}),
    ],
)
def test_a_disk_is_a_size_or_pairs(text, disk):
    assert read_disk(text) == disk


@pytest.mark.parametrize("text", ["", "five", "size=five", "sise=5", "-1", "size=1,floppy=2"])
def test_what_is_no_disk_is_told_before_anything_is_sent(text):
    with pytest.raises(UsageError, match="is not a disk"):
        read_disk(text)


def test_create_sends_what_was_said_and_nothing_else(nacre, server, home):
    (home / "setup").write_text("#!/bin/sh\n")
    server.say(JOB)
    words = ["--flavor", "f", "--iso", "installer", "--disk", "9", "--disk", "size=1,bus=ide", "--chipset", "pc"]
    more = ["--boot", "cdrom,disk", "--tag", "a", "--tag", "b", "--user-data", str(home / "setup"), "--start", "paused"]
    code, _, err = nacre("vm", "create", "web", *words, *more)
    assert code == 0, err
    assert sent(server) == (
        "POST",
        "/v1/vms",
        {
            "name": "web",
            "flavor": "f",
            "disks": [{"size_gib": 9}, {"size_gib": 1, "bus": "ide"}],
            "cdroms": [{"image": "installer"}],
            "chipset": "pc",
            "boot": ["cdrom", "disk"],
            "tags": ["a", "b"],
            "user_data": "#!/bin/sh\n",
            "start": "paused",
            "ssh_keys": [],
        },
    )


def test_without_a_seed_no_keys_are_sent(nacre, server, home):
    (home / "id.pub").write_text("ssh-ed25519 AAAA ann@desk\n")
    server.say(JOB)
    nacre("vm", "create", "web", "--image", "i", "--flavor", "f", "--no-cloud-init")
    assert sent(server)[2]["cloud_init"] is False
    assert sent(server)[2]["ssh_keys"] == []


def test_a_batch_is_told_as_one(nacre, server):
    server.say({"items": [DONE, DONE]})
    code, _, err = nacre("vm", "create", "web", "--image", "i", "--flavor", "f", "--count", "2")
    assert (code, sent(server)[1], sent(server)[2]["count"]) == (0, "/v1/vm-batches", 2)
    assert "2 VMs, web-1 to web-2" in err


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (["vm", "attach", "web", "--disk", "5"], "/v1/vms/web/attach", {"size_gib": 5}),
        (["vm", "attach", "web", "--volume", "d"], "/v1/vms/web/attach", {"volume": "d"}),
        (["vm", "detach", "web", "vdb"], "/v1/vms/web/detach", {"disk": "vdb", "delete": False}),
        (["vm", "detach", "web", "d", "--delete", "-y"], "/v1/vms/web/detach", {"disk": "d", "delete": True}),
        (["vm", "grow", "web", "vda", "9"], "/v1/vms/web/grow", {"disk": "vda", "size_gib": 9}),
        (["vm", "insert", "web", "cd"], "/v1/vms/web/insert", {"image": "cd"}),
        (["vm", "eject", "web", "--drive", "sdb"], "/v1/vms/web/eject", {"drive": "sdb"}),
        (["vm", "rename", "web", "shop"], "/v1/vms/web/rename", {"name": "shop"}),
        (["vm", "resize", "web", "--flavor", "l"], "/v1/vms/web/resize", {"flavor": "l"}),
        (["vm", "pause", "web"], "/v1/vms/web/pause", {}),
        (["vm", "resume", "web"], "/v1/vms/web/resume", {}),
        (["vm", "start", "web", "--paused"], "/v1/vms/web/start", {"paused": True}),
        (["volume", "create", "d", "--size-gib", "5"], "/v1/volumes", {"name": "d", "size_gib": 5}),
        (["volume", "grow", "d", "9"], "/v1/volumes/d/grow", {"size_gib": 9}),
    ],
)
def test_each_command_sends_its_verb(nacre, server, words, path, body):
    server.say(JOB)
    code, _, err = nacre(*words)
    assert code == 0, err
    assert sent(server) == ("POST", path, body)


def test_attach_wants_a_new_disk_or_a_volume(nacre, server):
    server.say(JOB)
    assert nacre("vm", "attach", "web")[0] == 2
    assert nacre("vm", "attach", "web", "--disk", "1", "--volume", "d")[0] == 2
    assert server.asked == []


def test_what_deletes_data_asks_first(nacre, server):
    server.say(JOB)
    assert nacre("vm", "detach", "web", "vdb", "--delete", text="n\n")[0] == 1
    assert nacre("volume", "delete", "d", text="n\n")[0] == 1
    assert server.asked == []


def test_a_resize_that_waits_says_why(nacre, server):
    server.say(JOB, DONE | {"result": {"flavor": "l", "pending": {"vcpus": 4}, "reasons": ["the host is full"]}})
    code, _, err = nacre("vm", "resize", "web", "--flavor", "l", "--wait")
    assert (code, err.splitlines()[-1]) == (0, "the new size takes effect at its next start: the host is full")


def test_an_edit_prints_the_vm_as_it_is_now(nacre, server):
    server.say(VM | {"tags": ["a"]})
    code, out, _ = nacre("vm", "set", "web", "--tag", "a", "-o", "json")
    assert (code, json.loads(out)["tags"]) == (0, ["a"])
    assert sent(server) == ("PATCH", "/v1/vms/web", {"tags": ["a"]})


def test_a_table_has_a_line_per_volume(nacre, server):
    row = {"name": "d", "state": "ready", "size_bytes": 1 << 30, "pool": "vms", "vm": None, "target": None}
    server.say({"items": [row | {"image": None, "project_id": "p1"}], "next_page_token": None})
    _, out, _ = nacre("volume", "list")
    assert out.splitlines()[1].split() == ["d", "ready", "1.0", "GiB", "vms", "-", "-", "-"]
