"""Settings of a lab's service: those of the lab's own file, and where everything is."""

import json
import tomllib

import pytest

from lab.errors import LabError
from lab.service import settings, to_toml
from lab.spec import make_spec


@pytest.fixture
def lab(tmp_path):
    """A lab whose cluster has been deployed."""
    spec = make_spec("demo", "10.9.0.0/24", 3, 1, base=tmp_path)
    (spec.folder / "control").mkdir(parents=True)
    (spec.folder / "control/cluster.json").write_text(json.dumps({"secret_uuid": "a-uuid"}))
    return spec


def test_without_a_file_of_its_own_the_lab_decides(lab):
    assert settings(lab)["listen_port"] == 8470
    assert "facts_interval_s" not in settings(lab)


def test_the_lab_s_own_file_adds_settings_but_does_not_move_the_service(lab):
    (lab.folder / "settings.toml").write_text("facts_interval_s = 3.5\nlisten_port = 9000\n")
    kept = tomllib.loads(to_toml(settings(lab)))
    assert (kept["facts_interval_s"], kept["listen_port"], kept["ceph_secret_uuid"]) == (3.5, 8470, "a-uuid")


@pytest.mark.parametrize("content", [b"facts_interval_s = ", b"\xff"])
def test_a_broken_file_is_named(lab, content):
    (lab.folder / "settings.toml").write_bytes(content)
    with pytest.raises(LabError, match=r"settings\.toml is no TOML .*: correct it"):
        settings(lab)
