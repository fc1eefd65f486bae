"""What the templates make of each kind of domain, character by character."""

from __future__ import annotations

import difflib

import pytest

from service.hypervisor.render import render
from tests.domain_cases import CASES, FOLDER


@pytest.mark.parametrize("name", CASES)
def test_a_domain_is_rendered_as_recorded(name: str) -> None:
    recorded = (FOLDER / f"{name}.xml").read_text(encoding="utf-8")
    rendered = render(CASES[name])
    difference = difflib.unified_diff(
        recorded.splitlines(), rendered.splitlines(), f"recorded {name}.xml", "rendered now", lineterm="", n=4
    )
    assert rendered == recorded, "\n".join(["", *difference, "", "Right all the same? python -m tests.golden.update"])


def test_every_recorded_domain_has_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.xml")} == set(CASES)
