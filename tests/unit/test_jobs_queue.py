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

KINDS = ("note", "make")
LEASE_S = 15.0


def claim(world, worker="w1", kinds=KINDS, running=()):
    return queue.claim(world, worker, kinds, lease_s=LEASE_S, running=running)


def test_the_oldest_job_is_claimed_first(job_world):
    first = job_world.enqueue("note", args={"n": 1})
    job_world.clock.elapsed_s += 1
    job_world.enqueue("note", args={"n": 2})
    lease = claim(job_world)
    assert (lease.job_id, lease.term) == (first, 1)
    assert job_world.view(first).state == "running"
    assert job_world.view(first).attempts == 1


def test_a_claimed_job_is_not_claimed_again(job_world):
    job_world.enqueue("note")
    assert claim(job_world, "w1")
    assert claim(job_world, "w2") is None


def test_a_job_of_an_unknown_kind_is_left_for_others(job_world):
    job_world.enqueue("other")
    assert claim(job_world) is None
    assert claim(job_world, kinds=("other",))


def test_an_expired_lease_may_be_claimed_and_the_old_holder_writes_nothing(job_world):
    job = job_world.enqueue("note")
    old = claim(job_world, "w1")
    job_world.clock.elapsed_s += LEASE_S
    new = claim(job_world, "w2")
    assert (new.job_id, new.term) == (job, 2)
    before = job_world.view(job)
    for write in (
        lambda: leased_writes.succeed(job_world, old, None),
        lambda: leased_writes.end(job_world, old, "failed"),
        lambda: leased_writes.release(job_world, old),
        lambda: leased_writes.park(job_world, old, "x", None, failures=0),
        lambda: leased_writes.begin_undo(job_world, old, "failed", "a", "b"),
    ):
        with pytest.raises(LostLeaseError):
            write()
    assert job_world.view(job) == before


def test_a_worker_does_not_take_its_own_running_job_twice(job_world):
    job = job_world.enqueue("note")
    claim(job_world)
    job_world.clock.elapsed_s += LEASE_S + 1
    assert claim(job_world, running=[job]) is None
    with unit_of_work(job_world.db):
        assert queue.next_due(KINDS, [job]) is None


def test_a_heartbeat_keeps_the_lease(job_world):
    job_world.enqueue("note")
    lease = claim(job_world)
    job_world.clock.elapsed_s += LEASE_S - 1
    queue.extend(job_world, [lease], lease_s=LEASE_S)
    job_world.clock.elapsed_s += LEASE_S - 1
    assert claim(job_world, "w2") is None
    job_world.clock.elapsed_s += 1
    assert claim(job_world, "w2").term == 2


def test_a_heartbeat_does_not_bring_a_lost_lease_back(job_world):
    job_world.enqueue("note")
    old = claim(job_world)
    job_world.clock.elapsed_s += LEASE_S
    claim(job_world, "w2")
    job_world.clock.elapsed_s += LEASE_S
    queue.extend(job_world, [old], lease_s=LEASE_S)
    assert claim(job_world, "w3").term == 3


def test_a_dead_workers_jobs_are_put_back_and_only_its(job_world):
    first, second = job_world.enqueue("note"), job_world.enqueue("note")
    dead = claim(job_world, "w1")
    claim(job_world, "w2")
    assert queue.release_all(job_world, "w1") == 1
    assert {job_world.view(job).state for job in (first, second)} == {"queued", "running"}
    with pytest.raises(LostLeaseError):
        leased_writes.succeed(job_world, dead, None)


def test_a_waiting_job_is_due_at_its_time(job_world):
    job = job_world.enqueue("note")
    wake_at = job_world.clock.now() + timedelta(seconds=60)
    leased_writes.park(job_world, claim(job_world), "the image is busy", wake_at, failures=1)
    assert (job_world.view(job).state, job_world.view(job).reason) == ("waiting", "the image is busy")
    assert claim(job_world) is None
    with unit_of_work(job_world.db):
        assert queue.next_due(KINDS, []) == wake_at
    job_world.clock.elapsed_s += 60
    assert claim(job_world).term == 2
    assert job_world.view(job).reason == ""


def test_a_job_that_waits_for_a_call_is_due_when_woken(job_world):
    job = job_world.enqueue("note")
    leased_writes.park(job_world, claim(job_world), "content is missing", None, failures=0)
    job_world.clock.elapsed_s += 10_000
    assert claim(job_world) is None
    with job_world.bell.listen(QUEUE) as listener:
        queue.wake(job_world, job)
        assert listener.wait(0)
    assert claim(job_world)


def enqueue_and_fail(world):
    with transaction(world.db):
        world.enqueue("note")
        raise KeyError


def test_nobody_is_woken_before_the_commit_or_by_a_rollback(job_world):
    with job_world.bell.listen(QUEUE) as listener:
        with pytest.raises(KeyError):
            enqueue_and_fail(job_world)
        assert not listener.wait(0)
        with transaction(job_world.db):
            job_world.enqueue("note")
            assert not listener.wait(0)
        assert listener.wait(0)
    with unit_of_work(job_world.db):
        assert visible_jobs(EVERYTHING).count() == 1


def test_a_queued_job_with_nothing_to_take_back_is_cancelled_at_once(job_world):
    job = job_world.enqueue("note")
    assert queue.cancel(job_world, job).state == "cancelled"
    assert job_world.view(job).error_code == "job.cancelled"
    assert claim(job_world) is None


def test_a_queued_job_with_something_to_take_back_is_left_to_a_worker(job_world):
    job = job_world.enqueue("make", undo=[("remove", "vm")])
    view = queue.cancel(job_world, job)
    assert (view.state, view.cancel_requested) == ("queued", True)


def test_a_waiting_job_that_is_cancelled_is_due_now(job_world):
    job = job_world.enqueue("make", undo=[("remove", "vm")])
    leased_writes.park(job_world, claim(job_world), "busy", job_world.clock.now() + timedelta(hours=1), failures=0)
    assert queue.cancel(job_world, job).state == "waiting"
    assert claim(job_world).job_id == job


def test_a_job_that_has_begun_a_step_is_not_cancelled_behind_its_back(job_world):
    job = job_world.enqueue("note")
    leased_writes.park(job_world, claim(job_world), "busy", None, failures=0)
    with transaction(job_world.db):
        JobStep.create(job=job, name="a", position=0, started_at=job_world.clock.now())
    assert queue.cancel(job_world, job).state == "waiting"


def test_cancelling_a_running_job_only_asks(job_world):
    job = job_world.enqueue("note")
    lease = claim(job_world)
    view = queue.cancel(job_world, job)
    assert (view.state, view.cancel_requested) == ("running", True)
    leased_writes.succeed(job_world, lease, None)
    assert job_world.view(job).state == "succeeded"


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_job_that_has_ended_cannot_be_cancelled(job_world, state):
    job = job_world.enqueue("note")
    lease = claim(job_world)
    if state == "succeeded":
        leased_writes.succeed(job_world, lease, None)
    else:
        leased_writes.end(job_world, lease, state)
    with pytest.raises(ConflictError) as refused:
        queue.cancel(job_world, job)
    assert refused.value.code == "job.finished"


def test_an_unknown_job_is_said_to_be_unknown(job_world):
    with pytest.raises(NotFoundError):
        queue.cancel(job_world, "nothing")
    with pytest.raises(NotFoundError):
        wait_finished(job_world, "nothing", 1)


def test_a_long_poll_gives_the_job_as_it_is_when_time_is_up(job_world):
    job = job_world.enqueue("note")
    assert wait_finished(job_world, job, 30).state == "queued"
    assert job_world.clock.elapsed_s == 30


def test_what_may_be_seen_of_jobs_is_what_the_scope_sees_without_the_kinds_left_out(job_world):
    jobs = [job_world.enqueue("note", object_id=f"o{n}") for n in range(3)]
    job_world.enqueue("make", object_id="o")
    with unit_of_work(job_world.db):
        seen = list(visible_jobs(EVERYTHING, except_kinds=("make",)).order_by(Job.object_id))
        assert [view.id for view in job_views(seen)] == jobs
        assert visible_jobs(Scope("p", frozenset({"p"}))).count() == 0
