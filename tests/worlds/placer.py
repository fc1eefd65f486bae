"""A database with hosts, and what a placer in some process does to it."""

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from service.db.engine.database import bind, open_database, transaction, unit_of_work
from service.db.engine.migrate import migrate
from service.db.facts_pages import create_tables, open_journals
from service.db.tables import TABLES, Flavor, Host, Image, Project, Vm
from service.placement.facts import HostFacts, VmRequest
from service.placement.policy import STORAGE_CPU
from service.placer.facts_journal import FactsJournal
from service.placer.host_facts import Promises, candidates
from service.placer.placer import Placer

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NOW_S = NOW.timestamp()
SIZE = {"vcpus": 1, "max_vcpus": 1, "memory_mib": 512, "max_memory_mib": 512}


def host_row(number: int, **more) -> dict:
    name = f"host{number}"
    row = {
        "id": name, "created_at": NOW, "name": name, "address": name, "state": "active", "vcpus": 8,
        "memory_mib": 8192, "reserved_vcpus": 0, "reserved_memory_mib": 0, "ceph_user": "c", "virt_type": "kvm",
        "machine": "pc-q35-7.2", "observed_at": NOW,
    }  # fmt: skip
    return row | more


class GivenUpError(Exception):
    """What ends a transaction that shall leave nothing."""


def give_up() -> None:
    raise GivenUpError


class PlacerWorld:
    """Hosts, VMs and a placer; more placers are those of other processes."""

    def __init__(self, url: str, folder: Path, hosts: int = 2, vms: int = 10) -> None:
        self.db_url = url
        self.db = open_database(url)
        self.journals = open_journals(f"sqlite:///{folder / 'facts.db'}")
        migrate(self.db)
        bind(self.db, TABLES)
        with transaction(self.db):
            self._fill(hosts, vms)
        self.placer = self.another("first")

    def _fill(self, hosts: int, vms: int) -> None:
        flavor = Flavor.create(id="f", created_at=NOW, name="f", disk_bytes=1, **SIZE)
        project = Project.get()
        image = Image.create(
            id="i", created_at=NOW, name="i", state="ready", format="raw", default_user="u", pool="images",
            storage_name="image-i", size_bytes=1, sha256="", project=project,
        )  # fmt: skip
        for number in range(hosts):
            Host.create(**host_row(number))
        for number in range(vms):
            Vm.create(
                id=f"vm{number}", created_at=NOW, name=f"vm{number}", flavor=flavor, image=image,
                desired_state="running", observed_state="creating", user="u", ssh_keys=[], created_by="ann",
                project=project, **SIZE,
            )  # fmt: skip

    def another(self, name: str) -> Placer:
        return Placer(self.db, FactsJournal(self.journals, name))

    def want(self, **more) -> VmRequest:
        asked = {"vcpus": 1, "memory_mib": 512, "project_id": self.project, "now_s": NOW_S, "max_facts_age_s": 1e9}
        return VmRequest(**asked | more)

    @property
    def project(self) -> str:
        with unit_of_work(self.db):
            return Project.get().id

    def claim(self, vm: str, placer: Placer | None = None, **more) -> str:
        """Decide and claim within the transaction under way; the host's id."""
        placer, want = placer or self.placer, self.want(**more)
        with placer:
            decision = placer.decide(want, STORAGE_CPU)
            assert decision.chosen is not None, decision.reasons
            host_id = decision.chosen.host_id
            placer.claim(Vm.get_by_id(vm), want, host_id, allocation_id=f"{vm}-{host_id}", now=NOW)
        return host_id

    def synced(self, placer: Placer | None = None) -> list[HostFacts]:
        """What the placer knows when it is asked now."""
        placer = placer or self.placer
        with unit_of_work(self.db), placer:
            placer.sync(NOW_S)
            return placer.table.hosts()

    def truth(self) -> list[HostFacts]:
        """The same, read anew."""
        with unit_of_work(self.db):
            found = candidates(Host.select(), Promises(), ids=None)
        return sorted((one.facts for one in found), key=lambda host: host.name)

    @contextmanager
    def rolled_back(self):
        with suppress(GivenUpError), transaction(self.db):
            yield
            give_up()

    def journals_ready(self):
        """The journals' database with its tables, as a process that has flushed before left it."""
        create_tables(self.journals)
        return self.journals
