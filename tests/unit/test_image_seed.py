"""The small image's own reader of cloud-init's YAML: what it makes of documents that Python wrote."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

READER = Path(__file__).parents[2] / "lab/images/mini/flatten.awk"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILLPgpYYOC4PkhR3wTjFScQHo87cpCRlrVod5DPqTYHc ada@a-rather-long-name.example"
USER_DATA = {
    "hostname": "web-1",
    "users": [
        "default",
        {
            "name": "ada",
            "ssh_authorized_keys": [KEY, "it's: [odd] #1"],
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "lock_passwd": True,
        },
    ],
}
NETWORK = {
    "version": 2,
    "ethernets": {
        "id0": {
            "match": {"macaddress": "52:54:00:aa:bb:cc"},
            "addresses": ["10.80.0.140/25"],
            "routes": [{"to": "0.0.0.0/0", "via": "10.80.0.129"}],
            "nameservers": {"addresses": ["10.80.0.129", "fd00::1"]},
        }
    },
}


def flattened(text: str) -> list[str]:
    done = subprocess.run(["busybox", "awk", "-f", READER], input=text, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def expected(value: object, path: str = "") -> Iterator[str]:
    members = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else None
    if members is None:
        yield f"{path}={str(value).lower() if isinstance(value, bool) else value}"
        return
    for key, member in members:
        yield from expected(member, f"{path}.{key}" if path else str(key))


@pytest.mark.parametrize("document", [USER_DATA, NETWORK, {"network": NETWORK}])
@pytest.mark.parametrize(
    "write",
    [
        yaml.safe_dump,
        lambda document: yaml.safe_dump(document, default_flow_style=None),
        lambda document: yaml.safe_dump(document, default_flow_style=True, width=40),
        lambda document: yaml.safe_dump(document, width=50),
        json.dumps,
        lambda document: json.dumps(document, indent=2),
    ],
)
def test_every_way_of_writing_a_seed_reads_the_same(document, write):
    assert sorted(flattened("#cloud-config\n" + write(document))) == sorted(expected(document))


TEXT = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
WORDS = st.lists(TEXT, min_size=1, max_size=6).map(" ".join)
NAMES = st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        WORDS,
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(document=DOCUMENTS, flow=st.sampled_from([True, False, None]))
def test_any_printable_text_survives_the_way_into_the_guest(document, flow):
    text = yaml.safe_dump(document, default_flow_style=flow)
    assert sorted(flattened(text)) == sorted(expected(document))


def test_comments_and_blank_lines_are_not_values():
    assert flattened("# a\n\nhostname: web # the first\n  # b\nusers: []\n") == ["hostname=web"]
