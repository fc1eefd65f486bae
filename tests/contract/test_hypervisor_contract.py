"""What every hypervisor promises, on every implementation that the environment offers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from service.hypervisor.contract import DomainEvent, Hypervisor, MigrationProgress
from service.hypervisor.errors import (
    DomainConflictError,
    DomainNotFoundError,
    DomainRefusedError,
    HostUnreachableError,
    MigrationFailedError,
    SpecInvalidError,
)
from service.hypervisor.spec import DomainSpec
from tests.contract.hypervisor_worlds import WORLDS_WITH_GUESTS, World, at

UNKNOWN = "ffffffff-0000-4000-8000-000000000000"


def quiet(_progress: MigrationProgress) -> None:
    pass


def test_a_host_tells_its_size_and_its_newest_machine_type(here: Hypervisor) -> None:
    facts = here.facts()
    assert facts.cpus >= 1
    assert facts.memory_mib >= 256
    assert facts.machine.startswith("pc-q35-")
    assert facts.qemu_version.count(".") == 2


def test_a_host_tells_what_it_is_made_of(here: Hypervisor) -> None:
    facts = here.facts()
    assert "bios" in facts.firmwares
    assert facts.bridges is None or all(isinstance(name, str) for name in facts.bridges)
    assert all(cell.cpus >= 0 and cell.memory_mib >= 0 for cell in facts.numa)
    assert len(set(facts.cpu_features)) == len(facts.cpu_features)


def test_a_hosts_counters_fit_each_other_and_never_go_back(here: Hypervisor, running: DomainSpec) -> None:
    first, second = here.counters(), here.counters()
    assert first.cpus >= 1
    assert 0 <= first.busy_s <= second.busy_s
    assert 0 < first.total_s <= second.total_s
    assert 0 < second.memory_used_mib <= second.memory_mib
    assert second.ksm_saved_mib is None or second.ksm_saved_mib >= 0
    assert running.vm_id in {domain.vm_id for domain in here.domains()}


def test_reach_tells_who_would_answer_and_of_the_others_why_not(world: World) -> None:
    told = world.hypervisors.reach([world.here, world.silent, world.there])
    assert (told[world.here], told[world.there]) == (None, None)
    assert world.silent.name in (told[world.silent] or "")
    assert world.hypervisors.reach([]) == {}


def test_a_started_domain_is_what_was_asked_for(world: World, here: Hypervisor) -> None:
    spec = world.spec()
    state = here.start(spec)
    assert (state.vm_id, state.name, state.state) == (spec.vm_id, spec.name, "running")
    assert (state.vcpus, state.memory_mib, state.epoch, state.job_id) == (1, 256, 1, "job-1")
    assert here.domain(spec.vm_id) is not None
    assert spec.vm_id in {domain.vm_id for domain in here.domains()}


def test_a_second_start_of_the_same_epoch_is_the_first(here: Hypervisor, running: DomainSpec) -> None:
    assert here.start(replace(running, job_id="job-2")).job_id == "job-1"
    assert [domain.vm_id for domain in here.domains()].count(running.vm_id) == 1


def test_a_start_of_another_epoch_is_a_conflict(here: Hypervisor, running: DomainSpec) -> None:
    with pytest.raises(DomainConflictError):
        here.start(replace(running, epoch=2))


def test_four_starts_at_once_make_one_domain(world: World, here: Hypervisor) -> None:
    spec = world.spec()
    with ThreadPoolExecutor(4) as threads:
        states = list(threads.map(here.start, [spec] * 4))
    assert {state.vm_id for state in states} == {spec.vm_id}
    assert [domain.vm_id for domain in here.domains()].count(spec.vm_id) == 1


def test_a_refused_start_leaves_nothing(world: World, here: Hypervisor) -> None:
    spec = world.refused(world.spec())
    with pytest.raises(DomainRefusedError):
        here.start(spec)
    assert here.domain(spec.vm_id) is None


def test_a_spec_that_cannot_be_written_as_xml_is_refused_before_the_host_sees_it(
    world: World, here: Hypervisor
) -> None:
    spec = replace(world.spec(), name="two\nlines")
    with pytest.raises(SpecInvalidError):
        here.start(spec)
    assert here.domain(spec.vm_id) is None


def test_a_domain_nobody_started_is_not_there(here: Hypervisor) -> None:
    assert here.domain(UNKNOWN) is None


def test_forcing_off_is_over_when_it_returns_and_may_be_repeated(here: Hypervisor, running: DomainSpec) -> None:
    here.force_off(running.vm_id)
    assert here.domain(running.vm_id) is None
    here.force_off(running.vm_id)


def test_a_domain_forced_off_may_be_started_again(here: Hypervisor, running: DomainSpec) -> None:
    here.force_off(running.vm_id)
    assert here.start(replace(running, epoch=2)).epoch == 2


def test_shutting_down_what_is_not_there_is_silent(here: Hypervisor) -> None:
    here.shut_down(UNKNOWN)
    assert here.domain(UNKNOWN) is None


def test_a_reset_keeps_the_domain(here: Hypervisor, running: DomainSpec) -> None:
    here.reset(running.vm_id)
    assert here.domain(running.vm_id) is not None


def test_a_reset_of_what_is_not_there_is_told(here: Hypervisor) -> None:
    with pytest.raises(DomainNotFoundError):
        here.reset(UNKNOWN)


def test_waiting_for_a_running_domain_gives_up_at_its_timeout(here: Hypervisor, running: DomainSpec) -> None:
    assert not here.wait_stopped(running.vm_id, timeout_s=0.2)


def test_waiting_for_what_is_not_there_is_over_at_once(here: Hypervisor) -> None:
    assert here.wait_stopped(UNKNOWN, timeout_s=60)


def test_waiting_ends_when_the_domain_does(here: Hypervisor, running: DomainSpec) -> None:
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(here.wait_stopped, running.vm_id, timeout_s=60)
        here.force_off(running.vm_id)
        assert waiting.result()


def test_a_migrated_domain_is_on_the_target_only(
    world: World, here: Hypervisor, there: Hypervisor, running: DomainSpec
) -> None:
    here.migrate(world.there, at(replace(running, epoch=2, job_id="job-2"), world.there), progress=quiet)
    arrived = there.domain(running.vm_id)
    assert here.domain(running.vm_id) is None
    assert arrived is not None
    assert (arrived.state, arrived.name, arrived.epoch, arrived.job_id) == ("running", running.name, 2, "job-2")


def test_a_migration_done_already_is_done(
    world: World, here: Hypervisor, there: Hypervisor, running: DomainSpec
) -> None:
    for _ in range(2):
        here.migrate(world.there, at(running, world.there), progress=quiet)
    assert here.domain(running.vm_id) is None
    assert there.domain(running.vm_id) is not None


def test_a_domain_can_move_there_and_back(
    world: World, here: Hypervisor, there: Hypervisor, running: DomainSpec
) -> None:
    here.migrate(world.there, at(running, world.there), progress=quiet)
    there.migrate(world.here, at(running, world.here), progress=quiet)
    assert there.domain(running.vm_id) is None
    assert here.domain(running.vm_id) is not None


def test_two_callers_of_one_migration_both_see_it_through(
    world: World, here: Hypervisor, there: Hypervisor, running: DomainSpec
) -> None:
    world.slow_migrations()
    under_way, second = threading.Event(), replace(at(running, world.there))

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(
            here.migrate, world.there, at(running, world.there), progress=lambda _progress: under_way.set()
        )
        first.add_done_callback(lambda _future: under_way.set())
        under_way.wait(60)
        here.migrate(world.there, second, progress=quiet)
        first.result()
    assert here.domain(running.vm_id) is None
    assert there.domain(running.vm_id) is not None


def test_migrating_what_is_nowhere_is_told(world: World, here: Hypervisor) -> None:
    with pytest.raises(DomainNotFoundError):
        here.migrate(world.there, at(world.spec(), world.there), progress=quiet)


def test_a_migration_to_a_silent_host_leaves_the_guest_running(
    world: World, here: Hypervisor, running: DomainSpec
) -> None:
    with pytest.raises((HostUnreachableError, MigrationFailedError)):
        here.migrate(world.silent, at(running, world.silent), progress=quiet)
    state = here.domain(running.vm_id)
    assert state is not None
    assert state.state == "running"


def test_cancelling_when_nothing_moves_is_silent(here: Hypervisor, running: DomainSpec) -> None:
    here.cancel_migration(running.vm_id)
    here.cancel_migration(UNKNOWN)
    assert here.domain(running.vm_id) is not None


def test_a_silent_host_is_unreachable_in_every_call(world: World) -> None:
    silent = world.hypervisors.on(world.silent)
    spec = at(world.spec(), world.silent)
    calls = (
        silent.facts,
        silent.domains,
        lambda: silent.domain(spec.vm_id),
        lambda: silent.start(spec),
        lambda: silent.shut_down(spec.vm_id),
        lambda: silent.force_off(spec.vm_id),
        lambda: silent.reset(spec.vm_id),
        lambda: silent.wait_stopped(spec.vm_id, timeout_s=1),
        lambda: silent.cancel_migration(spec.vm_id),
        silent.probe_virt_type,
    )
    for call in calls:
        with pytest.raises(HostUnreachableError):
            call()


def test_the_life_of_a_domain_is_told_in_events(world: World, here: Hypervisor, there: Hypervisor) -> None:
    spec, heard, over = world.spec(), [], threading.Event()

    def hear(event: DomainEvent) -> None:
        if event.vm_id == spec.vm_id:
            heard.append((event.host, event.kind))
            if event == DomainEvent(world.there.name, spec.vm_id, "stopped"):
                over.set()

    world.hypervisors.listen(hear)
    here.start(spec)
    here.migrate(world.there, at(spec, world.there), progress=quiet)
    there.force_off(spec.vm_id)
    assert over.wait(60)
    a, b = world.here.name, world.there.name
    assert {(a, "started"), (a, "migrated"), (b, "started"), (b, "resumed"), (b, "stopped")} <= set(heard)
    assert (a, "stopped") not in heard  # leaving is not stopping


def test_the_probe_tells_a_type_and_leaves_nothing(here: Hypervisor) -> None:
    before = {domain.vm_id for domain in here.domains()}
    assert here.probe_virt_type() in ("kvm", "qemu")
    new = [domain for domain in here.domains() if domain.vm_id not in before]
    assert not [domain for domain in new if domain.name.startswith("nacre-probe")]


@pytest.mark.parametrize("make", WORLDS_WITH_GUESTS, ids=lambda make: make.__name__)
def test_a_guest_that_is_asked_to_powers_off(make: type[World]) -> None:
    world = make()
    hypervisor, spec = world.hypervisors.on(world.here), world.bootable(world.spec())
    try:
        hypervisor.start(spec)
        for _ in range(300):  # until the guest listens to its power button
            hypervisor.shut_down(spec.vm_id)
            if hypervisor.wait_stopped(spec.vm_id, timeout_s=1):
                break
        assert hypervisor.domain(spec.vm_id) is None
    finally:
        world.close()
