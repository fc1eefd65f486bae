"""A whole control plane in one process: real API, database, jobs and worker, over storage and hosts in memory."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx

from service.api.app import App
from service.context import Context
from service.db import change_counter, queries, tables
from service.db.engine.database import BUSY_TIMEOUT_S, Database, bind, transaction, unit_of_work
from service.db.engine.sqlite import PRAGMAS, PooledSqlite
from service.db.measurements import open_measurements, prepare
from service.db.tables import Allocation, Host, Image, Nic, Vm, Volume
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.memory.memory import MemoryHypervisors
from service.hypervisor.memory.memory_cloud import MemoryCloud, MemoryHost
from service.jobs import job_tables, queue
from service.jobs.bell import MemoryBell
from service.jobs.job_tables import Job, JobUndo
from service.jobs.views import FINISHED
from service.meters import Meters
from service.network.outside import INTERNET
from service.operations.authorise import ROLES
from service.operations.people import tokens
from service.operations.registry import OPERATIONS
from service.operations.vms import record_event
from service.placer.new_placer import new_placer
from service.settings import Settings
from service.worker.loop import Worker
from service.world import SystemIds
from storage.memory import MemoryStorage
from storage.refs import ImageRef
from tests.api.wire import Wire
from tests.worlds.jobs import SetClock

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdvb2RrZXlnb29ka2V5Z29vZGtleWdvb2RrZXlnb29k ann@desk"
SECRET_UUID = "dfb56d8a-8d83-5291-a680-5416517dc0bb"
MIB = 1 << 20
BOOT = b"boot" * 1024 + bytes(MIB)
MOST_ROUNDS = 300
Hook = Callable[[str], None]


class Hooked:
    """A driver with a hook before and after every call: there a test makes it fail, or the process die."""

    def __init__(self, target: object, hook: Hook) -> None:
        self._target = target
        self._hook = hook

    def __getattr__(self, name: str):
        function = getattr(self._target, name)

        def call(*args, **kwargs):
            self._hook(f"before {name}")
            result = function(*args, **kwargs)
            self._hook(f"after {name}")
            return result

        return call


class HookedHypervisors:
    """All hosts, each with the hook."""

    def __init__(self, target: MemoryHypervisors, hook: Hook) -> None:
        self._target = target
        self._hook = hook

    def on(self, endpoint: HostEndpoint) -> Hooked:
        return Hooked(self._target.on(endpoint), self._hook)

    def listen(self, handler) -> None:
        self._target.listen(handler)

    def reach(self, endpoints):
        return self._target.reach(endpoints)

    def keep(self, endpoints) -> None:
        self._target.keep(endpoints)

    def close(self) -> None:
        self._target.close()


def fast_database(path: Path) -> PooledSqlite:
    """The real database, but for waiting for the disk: processes die here, not the computer."""
    return PooledSqlite(str(path), busy_timeout_s=BUSY_TIMEOUT_S, pragmas={**PRAGMAS, "synchronous": "off"})


class InlineThreads:
    """Runs at once what would be a thread, so that a settable clock has one order of things."""

    def start(self, name: str, function: Callable[[], None]) -> None:
        del name
        function()


class Cloud:
    """Everything at hand, and the steps that most tests begin with."""

    def __init__(self, folder: Path, database: Path, db: Database | None = None, **more) -> None:
        """`more` are settings, and `clock` and `threads` where they shall be other than settable and none."""
        self.clock = more.pop("clock", None) or SetClock()
        self.threads = more.pop("threads", None) or InlineThreads()
        self.outside = more.pop("outside", INTERNET)
        state = folder / "state"
        state.mkdir(parents=True)
        shutil.copy(database, state / "nacre.db")
        self.images = folder / "server-images"
        self.images.mkdir()
        own = {"state_dir": state, "ceph_secret_uuid": SECRET_UUID, "server_image_dir": self.images}
        values = {**own, "placement_exec_timeout_s": 5.0, **more}  # the most: a slow computer is no reason to fail
        self.settings = Settings(**values)
        self.storage = MemoryStorage()
        self.hosts = MemoryCloud(self.clock)
        self.hook: Hook = lambda moment: None
        self.db = db or fast_database(state / "nacre.db")
        bind(self.db, (*tables.TABLES, *job_tables.TABLES))
        self.measurements = open_measurements(self.settings.metrics)
        prepare(self.measurements)
        self.ctx = self._context()
        self.ctx.hypervisors.listen(lambda event: record_event.record(self.ctx, event))
        self.worker = self.new_worker("w")
        self.app = App(self.ctx)
        self.tokens: dict[str, str] = {}

    def make_tokens(self) -> "Cloud":
        """One of each role, named after it."""
        self.tokens = {role: tokens.new_secret() for role in ROLES}
        for role, secret in self.tokens.items():
            tokens.create(self.ctx, name=f"{role}-token", role=role, secret=secret)
        return self

    def _context(self) -> Context:
        return Context(
            settings=self.settings,
            clock=self.clock,
            ids=SystemIds(),
            random=Random(1),
            threads=self.threads,
            db=self.db,
            bell=MemoryBell(self.clock),
            storage=Hooked(self.storage, lambda moment: self.hook(moment)),
            hypervisors=HookedHypervisors(MemoryHypervisors(self.hosts), lambda moment: self.hook(moment)),
            outside=self.outside,
            measurements=self.measurements,
            meters=Meters(),
            placer=new_placer(self.settings, self.db, SystemIds()),
        )

    def new_worker(self, worker_id: str, **options) -> Worker:
        return Worker(self.ctx, OPERATIONS, worker_id=worker_id, **options)

    @property
    def api(self) -> httpx.Client:
        return self.client("admin")

    def client(self, role: str | None, app: App | None = None, **headers: str) -> httpx.Client:
        if role is not None:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        transport = Wire(app or self.app)
        return httpx.Client(transport=transport, base_url="http://nacre", headers=headers)

    # What most tests begin with.

    def furnish(self, hosts: int = 2) -> "Cloud":
        """Hosts, a network, a flavor and an image, freshly observed."""
        for number in range(1, hosts + 1):
            self.add_host(f"host{number}")
        self.network()
        self.flavor()
        self.image()
        self.observe()
        return self

    def like(self, other: "Cloud") -> "Cloud":
        """This cloud's database is a copy of that one's: so be hosts, storage and the time."""
        self.tokens, self.clock.elapsed_s = other.tokens, other.clock.elapsed_s
        for host in self.rows(Host):
            self.hosts.add_host(host.name, host.address)
        for image in self.rows(Image):
            ref = ImageRef(image.pool, image.storage_name)
            self.storage.import_image(ref, [(0, BOOT)], size_bytes=image.size_bytes, progress=lambda _: None)
        return self

    def add_host(self, name: str, vcpus: int = 8, memory_mib: int = 8192, **more) -> MemoryHost:
        address = f"10.1.0.{len(self.rows(Host)) + 1}"
        host = self.hosts.add_host(name, address)
        body = {"name": name, "address": address, "vcpus": vcpus, "memory_mib": memory_mib, **more}
        self.done(self.api.post("/v1/hosts", json=body))
        return host

    def network(self, name: str = "guests", **more) -> dict:
        body = {
            "name": name,
            "bridge": "br-guest",
            "cidr": "10.2.0.0/24",
            "gateway": "10.2.0.1",
            "first_address": "10.2.0.10",
            "last_address": "10.2.0.250",
            "dns": ["10.2.0.1"],
        }
        return self.created(self.api.post("/v1/networks", json=body | more))

    def flavor(self, name: str = "small", **more) -> dict:
        body = {"name": name, "vcpus": 1, "memory_mib": 448, "disk_gib": 1}
        return self.created(self.api.post("/v1/flavors", json=body | more))

    def image(self, name: str = "mini", data: bytes = BOOT) -> dict:
        self.done(self.upload(data, name=name, format="raw"))
        return self.api.get(f"/v1/images/{name}").json()

    def upload(self, data: bytes, client: httpx.Client | None = None, **said) -> httpx.Response:
        """Announce a file and send it in one piece; the answer is the accepted job, or the refusal."""
        client = client or self.api
        announced = client.post("/v1/uploads", json={"size_bytes": len(data), **said})
        if announced.status_code != 201:
            return announced
        sent = self.send(announced.json()["id"], data, client=client)
        if sent.status_code != 200:
            return sent
        return httpx.Response(202, json=client.get(f"/v1/jobs/{sent.json()['job_id']}").json())

    def send(self, upload_id: str, data: bytes, at: int = 0, client: httpx.Client | None = None) -> httpx.Response:
        """One piece of an upload."""
        headers = {"Upload-Offset": str(at), "Content-Type": "application/octet-stream"}
        return (client or self.api).patch(f"/v1/uploads/{upload_id}", content=data, headers=headers)

    def create(self, name: str = "web", **more) -> httpx.Response:
        body = {"name": name, "image": "mini", "flavor": "small", "ssh_keys": [KEY]}
        return self.api.post("/v1/vms", json=body | more)

    def make_vm(self, name: str = "web", **more) -> dict:
        """A VM that runs."""
        self.observe()
        self.done(self.create(name, **more))
        return self.vm(name)

    def vm(self, name: str = "web") -> dict:
        answer = self.api.get(f"/v1/vms/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    # Time and work.

    def run_due(self) -> None:
        """Run what may run now."""
        while self.worker.run_next():
            pass

    def settle(self) -> None:
        """Run jobs and let time pass until nothing is left to do."""
        for _ in range(MOST_ROUNDS):
            self.run_due()
            with unit_of_work(self.db):
                left = Job.select().where(Job.state.not_in(FINISHED)).count()
                due = queue.next_due(OPERATIONS.keys(), ())
            if not left:
                return
            assert due is not None, "a job waits for nobody"
            self.clock.elapsed_s += max(0.0, (due - self.clock.now()).total_seconds())
        raise AssertionError(f"{left} jobs never end")

    def round(self, kind: str) -> None:
        """One of the rounds that the schedule makes."""
        version = OPERATIONS[kind].steps_version
        queue.enqueue(self.ctx, kind, actor="schedule", request_id="-", code_version=version)
        self.run_due()

    def observe(self) -> None:
        """A look at everything, a second after the last thing that happened."""
        self.clock.elapsed_s += 1
        self.round("observe_hosts")
        self.round("observe_storage")

    def job(self, answer: httpx.Response) -> dict:
        """The accepted job as it is now."""
        assert answer.status_code in (200, 202), answer.text
        return self.api.get(f"/v1/jobs/{answer.json()['id']}").json()

    def ended(self, answer: httpx.Response) -> dict:
        """The accepted job at its end."""
        assert answer.status_code == 202, answer.text
        self.settle()
        return self.job(answer)

    def done(self, answer: httpx.Response) -> dict:
        job = self.ended(answer)
        assert job.get("state") == "succeeded", job
        return job

    def created(self, answer: httpx.Response) -> dict:
        assert answer.status_code == 201, answer.text
        return answer.json()

    # What is true now.

    def rows(self, table: type) -> list:
        with unit_of_work(self.db):
            return list(table.select())

    def change(self, query) -> None:
        """As an operation would: who keeps hosts in memory is told."""
        with transaction(self.db):
            query.execute()
            change_counter.touch_all()

    def host(self, name: str) -> MemoryHost:
        """The pretended host behind a row: its switches make things fail."""
        row = next(row for row in self.rows(Host) if row.name == name)
        return self.hosts.at(HostEndpoint(row.name, row.address))

    def domains(self) -> set[tuple[str, str]]:
        """(host, VM id) of every domain on every host."""
        every = {host.name: self.hosts.at(HostEndpoint(host.name, host.address)) for host in self.rows(Host)}
        return {(name, vm_id) for name, host in every.items() for vm_id in host.domains}

    def assert_clean(self, *, vms: int | None = None) -> None:
        """Nothing is under way, and database, storage and hosts tell the same story."""
        with unit_of_work(self.db):
            assert not list(Job.select().where(Job.state.not_in(FINISHED)))
            assert not list(JobUndo.select().where(JobUndo.done_at.is_null()))
            assert self.domains() == {(vm.host.name, vm.id) for vm in Vm.select() if vm.host is not None}
            held = sorted((row.host_id, row.vm_id) for row in Allocation.select())
            assert held == sorted((vm.host_id, vm.id) for vm in Vm.select() if vm.host is not None)
            assert {(volume.pool, volume.storage_name) for volume in Volume.select()} == self._stored("vms")
            assert {(image.pool, image.storage_name) for image in Image.select()} == self._stored("images")
            assert {nic.vm_id for nic in Nic.select()} == {vm.id for vm in Vm.select()}
            assert vms is None or Vm.select().count() == vms
            self._assert_capacity()
        uploads = self.settings.uploads
        assert not list(uploads.glob("*")), "an upload's file is left"

    def _stored(self, pool: str) -> set[tuple[str, str]]:
        return {(ref.pool, ref.name) for ref in self.storage.volumes(pool)}

    def _assert_capacity(self) -> None:
        promised = queries.allocated()
        for host in Host.select():
            vcpus, memory_mib, vms = promised.get(host.id, (0, 0, 0))
            assert (host.allocated_vcpus, host.allocated_memory_mib, host.vm_count) == (vcpus, memory_mib, vms)
            assert vcpus <= host.vcpus - host.reserved_vcpus
            assert memory_mib <= host.memory_mib - host.reserved_memory_mib


def expect(answer: httpx.Response, status: int, code: str) -> dict:
    """The problem document, which every refusal is."""
    document = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), document
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return document


def threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(0) … work(count - 1) at the same moment, each in its thread; what one raises is raised."""
    start, failures = threading.Barrier(count), []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as failure:  # noqa: BLE001 - told by the thread that waits
            failures.append(failure)

    every = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in every:
        thread.start()
    for thread in every:
        thread.join(60)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in every)
