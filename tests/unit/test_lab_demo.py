"""What the lab tells at the end, and the settings it writes for the service."""

import tomllib
from pathlib import Path

from lab import demo, service
from lab.spec import make_spec

LAB = make_spec("demo", "10.80.0.0/24", 3, 1, base=Path("/lab"))
DECISION = {
    "verdicts": [
        {"host_name": "host1", "score": 0.5, "terms": [["cpu", 0.5]], "reasons": []},
        {"host_name": "host2", "score": 0.75, "terms": [["cpu", 0.5], ["memory", 1.0]], "reasons": []},
        {"host_name": "host3", "score": None, "terms": [], "reasons": ["no facts"]},
    ]
}


def test_the_chosen_host_comes_first_with_its_terms_and_refused_hosts_have_no_score() -> None:
    assert demo.placed(DECISION) == "host2 scores 0.75 (cpu 0.50, memory 1.00); others: host1 0.50"


def test_only_what_happened_is_told() -> None:
    assert demo.rows({}) == []
    story = {"ssh_s": 4.04, "migrate": {"result": {"source": "a", "target": "b", "total_ms": 900, "downtime_ms": 70}}}
    assert demo.rows(story) == [("ssh after", "4.0 s"), ("migrated", "a → b in 900 ms, downtime 70 ms")]


def test_settings_written_as_toml_read_back_the_same() -> None:
    values: dict[str, str | int] = {"path": '/a "quoted"\\path', "port": 8470}
    assert tomllib.loads(service.to_toml(values)) == values


def test_the_api_answers_on_the_control_planes_own_address() -> None:
    assert service.url(LAB) == "http://10.80.0.2:8470"
