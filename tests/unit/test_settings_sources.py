"""Settings: the file, the environment above it, and what is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, load_settings


@pytest.fixture
def load(tmp_path):
    def load(text: str = "") -> Settings:
        path = tmp_path / "settings.toml"
        path.write_text(f'state_dir = "{tmp_path}"\n{text}')
        return load_settings(path)

    return load


def test_the_state_folder_is_enough(load, tmp_path):
    settings = load()
    assert settings.database == f"sqlite:///{tmp_path}/nacre.db"
    assert settings.uploads == tmp_path / "uploads"
    assert (settings.placement_algorithm, settings.placement_weights) == ("storage_cpu", {})


def test_the_environment_wins_over_the_file(load, monkeypatch):
    monkeypatch.setenv("NACRE_LISTEN_PORT", "9000")
    monkeypatch.setenv("NACRE_UPLOAD_DIR", "/srv/uploads")
    settings = load("listen_port = 8000\nlisten_address = '10.0.0.1'")
    assert (settings.listen_port, settings.listen_address) == (9000, "10.0.0.1")
    assert settings.uploads == Path("/srv/uploads")


def test_the_variables_of_the_command_line_are_none_of_its_business(load, monkeypatch):
    for name in ("NACRE_URL", "NACRE_TOKEN_FILE", "NACRE_SSH_KEY"):
        monkeypatch.setenv(name, "x")
    assert load().listen_port == 8470


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("listen_prot = 1", "listen_prot"),
        ("listen_port = 0", "listen_port"),
        ("http_threads = 1", "http_threads"),
        ("max_body_bytes = 0", "max_body_bytes"),
        ("facts_interval_s = nan", "facts_interval_s"),
        ("upload_dir = 'relative'", "upload_dir"),
        ("ceph_conf = 'ceph.conf'", "ceph_conf"),
        ("placement_weights = {luck = 1}", "placement_weights"),
        ("placement_weights = {cpu_headroom = -1}", "placement_weights"),
        ("placement_weights = {cpu_headroom = 0}", "placement_weights"),
        ("placement_weights = {cpu_headroom = nan}", "placement_weights"),
        ("placement_weights = {cpu_headroom = inf}", "placement_weights"),
        ("placement_algorithm = 'luck'", "placement_algorithm"),
        ("placement_algorithm = 'exec:relative'", "placement_algorithm"),
        ("placement_algorithm = 'exec:/etc/passwd'", "placement_algorithm"),
        ("placement_algorithm = 'exec:/nowhere'", "placement_algorithm"),
        ("placement_exec_timeout_s = 0", "placement_exec_timeout_s"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(load, text, field):
    with pytest.raises(ValidationError) as refused:
        load(text)
    assert [error["loc"][0] for error in refused.value.errors()] == [field]


@pytest.mark.parametrize("text", ["wait_slots = 64\nhttp_threads = 64", "facts_max_age_s = 5\nfacts_interval_s = 10"])
def test_values_that_do_not_fit_together_are_refused(load, text):
    with pytest.raises(ValidationError, match="must"):
        load(text)


def test_settings_never_change(load):
    with pytest.raises(ValidationError):
        load().listen_port = 1


def test_a_relative_state_folder_is_refused():
    with pytest.raises(ValidationError, match="absolute"):
        Settings(state_dir=Path("state"))
