"""The stream of events: everything that happens to what one may see, once and in order, also after a break."""

import json
import threading

import pytest

from service.api.handlers.events import BATCH, HEARTBEAT, LONGEST_S
from service.db.tables import Audit, Event, Host, Token, Vm
from service.world import SystemClock, SystemThreads
from tests.api.wire import environ
from tests.api.world import Cloud, expect


class Listener:
    """A client of the stream, at the level of WSGI: it takes chunk after chunk, and may go at any time."""

    def __init__(self, cloud, role="admin", query="", **headers):
        client = cloud.client(role)
        request = client.build_request("GET", f"/v1/events{query}", headers=headers)
        self.status = None
        self.chunks = iter(())
        self._body = cloud.app(environ(request), self._started)
        self.chunks = iter(self._body)

    def _started(self, status, headers, exc_info=None):
        self.status, self.headers = int(status[:3]), dict(headers)

    def take(self, count=1):
        return b"".join(next(self.chunks) for _ in range(count)).decode()

    def events(self):
        """What there is until the next heartbeat."""
        text = ""
        for chunk in self.chunks:
            if chunk == HEARTBEAT:
                break
            text += chunk.decode()
        return parsed(text)

    def close(self):
        self._body.close()


def parsed(text):
    """(id, event or None, data) of every event in the stream's text."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((int(fields["id"]), fields.get("event"), json.loads(fields["data"])))
    return found


def kinds(events):
    return [data["kind"] for _, _, data in events]


@pytest.fixture
def live(cloud_with):
    """The cloud under the real clock."""
    return cloud_with(clock=SystemClock(), threads=SystemThreads())


@pytest.fixture
def listener(cloud):
    one = Listener(cloud)
    yield one
    one.close()


def test_a_stream_begins_at_once_and_says_what_it_is(listener):
    assert listener.take().startswith("retry: ")
    assert (listener.status, listener.headers["Content-Type"]) == (200, "text/event-stream")
    assert listener.headers["Cache-Control"] == "no-store"


def test_the_life_of_a_vm_is_told_in_order(cloud, listener):
    cloud.make_vm()
    events = listener.events()
    told = [(data["kind"], data["data"].get("state") or data["data"].get("observed_state")) for _, _, data in events]
    assert [one for one in told if one[0] != "create_vm"] == [
        ("job_state", "queued"),
        ("job_state", "running"),
        ("vm_state", "running"),
        ("job_state", "succeeded"),
    ]
    assert told.count(("create_vm", None)) == 1
    assert [event_id for event_id, _, _ in events] == sorted({event_id for event_id, _, _ in events})
    vm = cloud.vm()
    state = next(data for data in (data for _, _, data in events) if data["kind"] == "vm_state")
    assert state["object"] == {"kind": "vm", "id": vm["id"]}
    assert state["project_id"] == cloud.rows(Vm)[0].project_id
    job = next(data for data in (data for _, _, data in events) if data["kind"] == "job_state")
    assert job["data"]["object"] == {"kind": "vm", "id": vm["id"]}


def test_the_service_s_own_rounds_are_no_events(cloud, listener):
    cloud.observe()
    assert listener.events() == []


def test_every_change_of_a_vm_s_state_has_an_audit_row_and_an_event(cloud, listener):
    cloud.make_vm()
    cloud.host(cloud.vm()["host"]).domains.clear()
    cloud.observe()
    cloud.settle()
    changed = [row for row in cloud.rows(Audit) if row.action == "vm_state"]
    assert [(row.before["observed_state"], row.after["observed_state"]) for row in changed] == [
        ("creating", "running"),
        ("running", "stopped"),
    ]
    assert kinds(listener.events()).count("vm_state") == len(changed)


def test_a_host_that_falls_silent_is_told_of_once_and_again_when_it_answers(cloud, listener):
    host = cloud.host("host1")
    host.reachable = False
    cloud.observe()
    cloud.observe()
    host.reachable = True
    cloud.observe()
    told = [data["data"]["reachable"] for _, _, data in listener.events() if data["kind"] == "host_state"]
    assert told == [False, True]
    assert [row.object_name for row in cloud.rows(Audit) if row.action == "host_state"] == ["host1"] * 2


def test_who_comes_back_gets_what_they_missed_and_nothing_twice(cloud):
    first = Listener(cloud)
    cloud.make_vm("a")
    seen = first.events()
    first.close()
    cloud.make_vm("b")
    second = Listener(cloud, **{"Last-Event-ID": str(seen[-1][0])})
    more = second.events()
    second.close()
    ids = [event_id for event_id, _, _ in seen + more]
    assert ids == sorted(set(ids))
    everything = Listener(cloud, query=f"?after={seen[0][0] - 1}")
    assert everything.events() == seen + more
    everything.close()


def test_more_than_a_batch_is_told_in_full(cloud):
    many = 3 * BATCH + 7
    now = cloud.clock.now()
    rows = [
        {"created_at": now, "kind": "t", "object_kind": "t", "object_id": str(n), "project_id": None, "data": {}}
        for n in range(many)
    ]
    listener = Listener(cloud)
    cloud.change(Event.insert_many(rows))
    assert [data["object"]["id"] for _, _, data in listener.events()] == [str(n) for n in range(many)]
    listener.close()


@pytest.mark.parametrize("lost", ["gone", "future"])
def test_who_missed_what_is_gone_is_told_to_look_anew(cloud, lost):
    cloud.make_vm()
    newest = max(row.id for row in cloud.rows(Event))
    if lost == "gone":
        cloud.change(Event.delete().where(Event.id < newest))
    listener = Listener(cloud, **{"Last-Event-ID": "1" if lost == "gone" else str(newest + 1000)})
    (reset,) = parsed(listener.take())
    assert reset == (newest, "reset", {})
    listener.close()


def test_a_project_s_people_are_told_of_their_own_only(cloud):
    user = Listener(cloud, "user")
    cloud.make_vm()
    now = cloud.clock.now()
    other = {"created_at": now, "kind": "vm_state", "object_kind": "vm", "object_id": "x", "data": {}}
    cloud.change(Event.insert(project_id="another", **other))
    cloud.change(Event.insert(project_id=None, **other))
    events = user.events()
    user.close()
    assert {data["project_id"] for _, _, data in events} == {cloud.rows(Vm)[0].project_id}


def test_only_one_kind_of_object_when_asked_so(cloud):
    listener = Listener(cloud, query="?object_kind=vm")
    cloud.make_vm()
    assert {data["object"]["kind"] for _, _, data in listener.events()} == {"vm"}
    listener.close()


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "9" * 30])
def test_a_position_that_is_none_is_refused(cloud, header):
    answer = cloud.api.get("/v1/events", headers={"Last-Event-ID": header})
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == "last-event-id"


def test_streams_have_a_fixed_number_of_slots_which_come_back(tmp_path, schema):
    cloud = Cloud(tmp_path, schema, stream_slots=2).make_tokens()
    two = [Listener(cloud) for _ in range(2)]
    answer = cloud.api.get("/v1/events")
    expect(answer, 503, "service.busy")
    assert answer.headers["retry-after"]
    assert cloud.api.get("/v1/vms").status_code == 200
    for listener in two:
        listener.close()
        listener.close()
    for _ in range(3):
        Listener(cloud).close()
        assert cloud.api.head("/v1/events").status_code == 200


def test_a_stream_ends_before_long_so_that_rights_are_looked_at_again(cloud, listener):
    listener.take()
    cloud.clock.elapsed_s += LONGEST_S + 1
    assert list(listener.chunks) == []
    again = [Listener(cloud) for _ in range(cloud.settings.stream_slots)]
    for one in again:
        one.close()


def test_a_stream_ends_with_its_token(cloud):
    listener = Listener(cloud, "user")
    listener.take()
    cloud.change(Token.update(revoked_at=cloud.clock.now()))
    assert list(listener.chunks) == []


def test_what_happens_is_told_within_moments(live):
    cloud = live
    listener = Listener(cloud)
    listener.take()
    told, got = [], threading.Event()

    def listen():
        told.append(listener.take())
        got.set()

    SystemThreads().start("listener", listen)
    cloud.api.post("/v1/flavors", json={"name": "n", "vcpus": 1, "memory_mib": 64, "disk_gib": 1})
    assert got.wait(60)
    assert "create_flavor" in told[0]
    listener.close()


def test_what_is_rolled_back_is_not_told(cloud, listener):
    expect(cloud.create(flavor="nothing"), 422, "flavor.not_found")
    cloud.api.post("/v1/vms?dry_run=true", json={"name": "web", "image": "mini", "flavor": "small"})
    assert listener.events() == []


def test_old_events_are_forgotten_but_never_the_newest(cloud):
    cloud.make_vm()
    newest = max(row.id for row in cloud.rows(Event))
    cloud.clock.elapsed_s += 31 * 24 * 3600
    cloud.round("purge_jobs")
    assert [row.id for row in cloud.rows(Event)] == [newest]
    assert cloud.rows(Host)
    assert [job for job in cloud.api.get("/v1/jobs").json()["items"]] == []
    assert cloud.api.get("/v1/vms/web/placement").json()["chosen"], "the reason for where it is stays"
