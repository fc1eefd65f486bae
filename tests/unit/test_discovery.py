"""What bench/discovery.py shows at full size: a worker looks at hosts, and one in eleven accepts and says nothing."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from bench import discovery
from bench.discovery import Seen, Size

SIZE = Size(living=200, silent=20, tries=8, faster=20, round_s=0.5)
OWN_THREADS = 64 + 24  # the quick lanes; the worker's and the libvirt driver's, and as many silent hosts at first


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    # What the tests before have open is not counted.
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    told = discovery.watch(tmp_path_factory.mktemp("discovery"), SIZE)
    return replace(told, descriptors=told.descriptors - descriptors, threads=told.threads - threads)


def test_the_living_stay_fresh(seen: Seen) -> None:
    assert seen.samples > 2
    assert seen.age_s < 30


def test_the_silent_are_tried_again_and_again_and_cost_no_more_for_it(seen: Seen) -> None:
    assert seen.tries >= SIZE.tries * SIZE.silent
    assert seen.threads < OWN_THREADS + SIZE.silent + 20
    assert seen.descriptors < 200


def test_others_can_write_meanwhile(seen: Seen) -> None:
    assert len(seen.waits_s) > 10
    assert max(seen.waits_s) < 5


def test_nothing_of_the_probing_is_left(seen: Seen) -> None:
    assert seen.samples
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("observe-", "prober"))]


def test_every_figure_has_its_limit(seen: Seen) -> None:
    told = list(discovery.limits(seen, SIZE))
    assert [limit.unit for limit in told] == ["s", "MiB", "threads", "descriptors", "ms", "tries"]
    assert told[-1].holds
