"""The seed: three files that a guest's cloud-init reads, whatever the values are."""

import io

import pycdlib
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.operations.vms.cloud_init import SEED_BYTES, Seed, build_iso, meta_data, network_config, own_data

SEED = Seed(
    instance_id="dfb56d8a-8d83-5291-a680-5416517dc0bb",
    hostname="web",
    user="ann",
    ssh_keys=("ssh-ed25519 AAAA ann@desk", "ssh-rsa BBBB"),
    mac="52:54:00:01:02:03",
    address="10.0.0.5/24",
    gateway="10.0.0.1",
    dns=("10.0.0.1", "9.9.9.9"),
)
HOSTILE = [
    "yes",
    "null",
    "1e3",
    "0x10",
    "a: b",
    "- x",
    "#c",
    "a\nruncmd: [reboot]",
    "{{ x }}",
    "'\"",
    "\u2028",
    "&a",
    "*a",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(HOSTILE)


def files(iso_bytes: bytes, **name: str) -> dict[str, bytes]:
    """The files of an ISO by their Joliet or Rock Ridge names."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(iso_bytes))
    found = {}
    for file in ("meta-data", "user-data", "network-config"):
        out = io.BytesIO()
        iso.get_file_from_iso_fp(out, **{key: f"/{file}" for key in name})
        found[file] = out.getvalue()
    found["label"] = iso.pvd.volume_identifier.strip()
    iso.close()
    return found


@pytest.mark.parametrize("names", ["joliet_path", "rr_path"])
def test_the_iso_holds_the_three_files_under_both_kinds_of_names(names):
    found = files(build_iso(SEED), **{names: ""})
    assert found == {
        "meta-data": meta_data(SEED).encode(),
        "user-data": own_data(SEED).encode(),
        "network-config": network_config(SEED).encode(),
        "label": b"cidata",
    }


def test_every_seed_has_the_same_size():
    longest = Seed(**{**{name: getattr(SEED, name) for name in Seed.__slots__}, "ssh_keys": ("k" * 8500,) * 32})
    assert len(build_iso(SEED)) == len(build_iso(longest)) == SEED_BYTES


def test_the_guest_gets_its_name_its_user_and_its_keys():
    assert own_data(SEED).startswith("#cloud-config\n")
    config = yaml.safe_load(own_data(SEED))
    (user,) = config["users"]
    assert (config["hostname"], config["ssh_pwauth"], user["name"]) == ("web", False, "ann")
    assert user["ssh_authorized_keys"] == list(SEED.ssh_keys)
    assert user["lock_passwd"] is True
    assert yaml.safe_load(meta_data(SEED)) == {"instance-id": SEED.instance_id, "local-hostname": "web"}


def test_the_address_goes_to_the_card_with_the_mac():
    card = yaml.safe_load(network_config(SEED))["ethernets"]["id0"]
    assert card["match"] == {"macaddress": SEED.mac}
    assert card["addresses"] == ["10.0.0.5/24"]
    assert card["routes"] == [{"to": "0.0.0.0/0", "via": "10.0.0.1"}]
    assert card["nameservers"] == {"addresses": ["10.0.0.1", "9.9.9.9"]}


def test_without_gateway_and_dns_there_are_no_routes_and_no_nameservers():
    bare = Seed(**{**{name: getattr(SEED, name) for name in Seed.__slots__}, "gateway": None, "dns": ()})
    assert set(yaml.safe_load(network_config(bare))["ethernets"]["id0"]) == {"match", "addresses"}


@settings(max_examples=60, deadline=None)
@given(hostname=texts, user=texts, key=texts, mac=texts)
def test_hostile_values_stay_values(hostname, user, key, mac):
    seed = Seed("id", hostname, user, (key,), mac, "10.0.0.5/24", None, ())
    config = yaml.safe_load(own_data(seed))
    assert set(config) == {"hostname", "ssh_pwauth", "users"}
    assert (config["hostname"], config["users"][0]["name"]) == (hostname, user)
    assert config["users"][0]["ssh_authorized_keys"] == [key]
    assert yaml.safe_load(network_config(seed))["ethernets"]["id0"]["match"]["macaddress"] == mac


def test_a_hostile_value_is_the_same_on_the_iso():
    seed = Seed("id", HOSTILE[7], "ann", tuple(HOSTILE), SEED.mac, SEED.address, None, ())
    found = yaml.safe_load(files(build_iso(seed), joliet_path="")["user-data"])
    assert found["users"][0]["ssh_authorized_keys"] == HOSTILE
