"""The served application, patient and hasty."""

from collections.abc import Iterator

import pytest

from tests.http_server import Served, running


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """It waits for its clients longer than any test lasts: one that holds a thread holds it to the end."""
    with running("tests.http.served", "patient") as server:
        yield server


@pytest.fixture(scope="session")
def hasty() -> Iterator[Served]:
    """It hangs up on slow clients within seconds."""
    with running("tests.http.served", "hasty") as server:
        yield server
