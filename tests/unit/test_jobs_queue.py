from datetime import timedelta

import pytest

from service.db.engine.database import transaction, unit_of_work
from service.db.scope import EVERYTHING, Scope
from service.errors import ConflictError, NotFoundError
from service.jobs import leased_writes, queue
from service.jobs.errors import LostLeaseError
from service.jobs.job_context import QUEUE
from service.jobs.job_tables import Job, JobStep
from service.jobs.views import job_views, visible_jobs, wait_finished
from tests.unit.jobs_world import SetClock, open_world

KINDS = ("note", "make")
LEASE_S = 15.0


@pytest.fixture
def world(tmp_path, database):
    return open_world(tmp_path, database, clock=SetClock())


def claim(world, worker="w1", kinds=KINDS, running=()):
    return queue.claim(world, worker, kinds, lease_s=LEASE_S, running=running)


def test_the_oldest_job_is_claimed_first(world):
    first = world.enqueue("note", args={"n": 1})
    world.clock.elapsed_s += 1
    world.enqueue("note", args={"n": 2})
    lease = claim(world)
    assert (lease.job_id, lease.term) == (first, 1)
    assert world.view(first).state == "running"
    assert world.view(first).attempts == 1


def test_a_claimed_job_is_not_claimed_again(world):
    world.enqueue("note")
    assert claim(world, "w1")
    assert claim(world, "w2") is None


def test_a_job_of_an_unknown_kind_is_left_for_others(world):
    world.enqueue("other")
    assert claim(world) is None
    assert claim(world, kinds=("other",))


def test_an_expired_lease_may_be_claimed_and_the_old_holder_writes_nothing(world):
    job = world.enqueue("note")
    old = claim(world, "w1")
    world.clock.elapsed_s += LEASE_S
    new = claim(world, "w2")
    assert (new.job_id, new.term) == (job, 2)
    before = world.view(job)
    for write in (
        lambda: leased_writes.succeed(world, old, None),
        lambda: leased_writes.end(world, old, "failed"),
        lambda: leased_writes.release(world, old),
        lambda: leased_writes.park(world, old, "x", None, failures=0),
        lambda: leased_writes.begin_undo(world, old, "failed", "a", "b"),
    ):
        with pytest.raises(LostLeaseError):
            write()
    assert world.view(job) == before


def test_a_worker_does_not_take_its_own_running_job_twice(world):
    job = world.enqueue("note")
    claim(world)
    world.clock.elapsed_s += LEASE_S + 1
    assert claim(world, running=[job]) is None
    with unit_of_work(world.db):
        assert queue.next_due(KINDS, [job]) is None


def test_a_heartbeat_keeps_the_lease(world):
    world.enqueue("note")
    lease = claim(world)
    world.clock.elapsed_s += LEASE_S - 1
    queue.extend(world, [lease], lease_s=LEASE_S)
    world.clock.elapsed_s += LEASE_S - 1
    assert claim(world, "w2") is None
    world.clock.elapsed_s += 1
    assert claim(world, "w2").term == 2


def test_a_heartbeat_does_not_bring_a_lost_lease_back(world):
    world.enqueue("note")
    old = claim(world)
    world.clock.elapsed_s += LEASE_S
    claim(world, "w2")
    world.clock.elapsed_s += LEASE_S
    queue.extend(world, [old], lease_s=LEASE_S)
    assert claim(world, "w3").term == 3


def test_a_dead_workers_jobs_are_put_back_and_only_its(world):
    first, second = world.enqueue("note"), world.enqueue("note")
    dead = claim(world, "w1")
    claim(world, "w2")
    assert queue.release_all(world, "w1") == 1
    assert {world.view(job).state for job in (first, second)} == {"queued", "running"}
    with pytest.raises(LostLeaseError):
        leased_writes.succeed(world, dead, None)


def test_a_waiting_job_is_due_at_its_time(world):
    job = world.enqueue("note")
    wake_at = world.clock.now() + timedelta(seconds=60)
    leased_writes.park(world, claim(world), "the image is busy", wake_at, failures=1)
    assert (world.view(job).state, world.view(job).reason) == ("waiting", "the image is busy")
    assert claim(world) is None
    with unit_of_work(world.db):
        assert queue.next_due(KINDS, []) == wake_at
    world.clock.elapsed_s += 60
    assert claim(world).term == 2
    assert world.view(job).reason == ""


def test_a_job_that_waits_for_a_call_is_due_when_woken(world):
    job = world.enqueue("note")
    leased_writes.park(world, claim(world), "content is missing", None, failures=0)
    world.clock.elapsed_s += 10_000
    assert claim(world) is None
    with world.bell.listen(QUEUE) as listener:
        queue.wake(world, job)
        assert listener.wait(0)
    assert claim(world)


def enqueue_and_fail(world):
    with transaction(world.db):
        world.enqueue("note")
        raise KeyError


def test_nobody_is_woken_before_the_commit_or_by_a_rollback(world):
    with world.bell.listen(QUEUE) as listener:
        with pytest.raises(KeyError):
            enqueue_and_fail(world)
        assert not listener.wait(0)
        with transaction(world.db):
            world.enqueue("note")
            assert not listener.wait(0)
        assert listener.wait(0)
    with unit_of_work(world.db):
        assert visible_jobs(EVERYTHING).count() == 1


def test_a_queued_job_with_nothing_to_take_back_is_cancelled_at_once(world):
    job = world.enqueue("note")
    assert queue.cancel(world, job).state == "cancelled"
    assert world.view(job).error_code == "job.cancelled"
    assert claim(world) is None


def test_a_queued_job_with_something_to_take_back_is_left_to_a_worker(world):
    job = world.enqueue("make", undo=[("remove", "vm")])
    view = queue.cancel(world, job)
    assert (view.state, view.cancel_requested) == ("queued", True)


def test_a_waiting_job_that_is_cancelled_is_due_now(world):
    job = world.enqueue("make", undo=[("remove", "vm")])
    leased_writes.park(world, claim(world), "busy", world.clock.now() + timedelta(hours=1), failures=0)
    assert queue.cancel(world, job).state == "waiting"
    assert claim(world).job_id == job


def test_a_job_that_has_begun_a_step_is_not_cancelled_behind_its_back(world):
    job = world.enqueue("note")
    leased_writes.park(world, claim(world), "busy", None, failures=0)
    with transaction(world.db):
        JobStep.create(job=job, name="a", position=0, started_at=world.clock.now())
    assert queue.cancel(world, job).state == "waiting"


def test_cancelling_a_running_job_only_asks(world):
    job = world.enqueue("note")
    lease = claim(world)
    view = queue.cancel(world, job)
    assert (view.state, view.cancel_requested) == ("running", True)
    leased_writes.succeed(world, lease, None)
    assert world.view(job).state == "succeeded"


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_job_that_has_ended_cannot_be_cancelled(world, state):
    job = world.enqueue("note")
    lease = claim(world)
    if state == "succeeded":
        leased_writes.succeed(world, lease, None)
    else:
        leased_writes.end(world, lease, state)
    with pytest.raises(ConflictError) as refused:
        queue.cancel(world, job)
    assert refused.value.code == "job.finished"


def test_an_unknown_job_is_said_to_be_unknown(world):
    with pytest.raises(NotFoundError):
        queue.cancel(world, "nothing")
    with pytest.raises(NotFoundError):
        wait_finished(world, "nothing", 1)


def test_a_long_poll_gives_the_job_as_it_is_when_time_is_up(world):
    job = world.enqueue("note")
    assert wait_finished(world, job, 30).state == "queued"
    assert world.clock.elapsed_s == 30


def test_what_may_be_seen_of_jobs_is_what_the_scope_sees_without_the_kinds_left_out(world):
    jobs = [world.enqueue("note", object_id=f"o{n}") for n in range(3)]
    world.enqueue("make", object_id="o")
    with unit_of_work(world.db):
        seen = list(visible_jobs(EVERYTHING, except_kinds=("make",)).order_by(Job.object_id))
        assert [view.id for view in job_views(seen)] == jobs
        assert visible_jobs(Scope("p", frozenset({"p"}))).count() == 0
