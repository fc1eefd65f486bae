"""Hosts, pools and the storage cluster, as last observed."""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from service.db.engine.database import BaseModel, JsonField, UtcField
from service.db.tables.base import Row
from service.db.tables.people import Project


class Host(Row):
    """A machine that runs guests. `generation` guards every claim of its capacity.

    Only db/allocations.py writes the counters of allocated capacity, only db/change_counter.py `changed`.
    """

    name = CharField(unique=True, max_length=63)
    address = CharField(unique=True, max_length=45)
    state = CharField(max_length=16)  # active cordoned draining maintenance down fenced
    vcpus = IntegerField()
    memory_mib = IntegerField()
    reserved_vcpus = IntegerField()
    reserved_memory_mib = IntegerField()
    generation = IntegerField(default=0)
    ceph_user = CharField(max_length=127)
    virt_type = CharField(null=True, max_length=8)  # kvm | qemu, tested once by booting a kernel
    machine = CharField(null=True, max_length=63)  # newest versioned machine type
    facts = JsonField(null=True)  # facts.host.HostLoad, strays and foreign domains
    observed_at = UtcField(null=True)
    problem = TextField(null=True)  # why the last observation failed
    libvirt_uuid = CharField(null=True, max_length=36)  # what libvirt calls the host: two alike cannot swap guests
    hardware = JsonField(null=True)  # facts.host.HostHardware: first as found before its use
    findings = JsonField(null=True)  # of the last check
    checked_at = UtcField(null=True)
    changed = BigIntegerField(default=0, index=True)  # placement_version.value of the last change that matters
    allocated_vcpus = IntegerField(default=0)  # sums over `allocation`
    allocated_memory_mib = IntegerField(default=0)
    vm_count = IntegerField(default=0)
    storage = JsonField(null=True)  # facts.host.HostStorage: what Ceph goes through on the host
    storage_observed_at = UtcField(null=True)
    usage = JsonField(null=True)  # facts.host.HostUsage: what the host was seen to use over time
    usage_observed_at = UtcField(null=True)


class PlacementVersion(BaseModel):
    """Counter of changes of hosts, in one row.

    A reader that has read all hosts up to `value` reads only later changes. `removed` counts removed hosts, which leave
    no row.
    """

    id = IntegerField(primary_key=True)
    value = BigIntegerField()
    removed = BigIntegerField()


class Pool(BaseModel):
    """A storage pool as last observed. Pools of the settings need no mark."""

    name = CharField(primary_key=True, max_length=127)
    facts = JsonField(null=True)
    observed_at = UtcField(null=True)
    for_vms = BooleanField(default=False)
    for_images = BooleanField(default=False)

    @property
    def id(self) -> str:
        """Name of the pool, which has no other id."""
        return str(self.name)


class Storage(BaseModel):
    """Health and OSDs of the storage cluster as last observed, in one row."""

    id = IntegerField(primary_key=True)
    health = JsonField()
    osds = JsonField()
    observed_at = UtcField()


class HostGroup(Row):
    """A named set of hosts, for example those that a project may use."""

    name = CharField(unique=True, max_length=63)
    description = TextField(default="")
    vcpu_ratio_milli = IntegerField(null=True)  # vCPUs allocated per thread, in thousandths; null: the setting
    memory_ratio_milli = IntegerField(null=True)
    algorithm = CharField(null=True, max_length=255)  # of placement; null: the setting


class HostGroupMember(BaseModel):
    """Membership of a host in a group."""

    group_id: str
    group = ForeignKeyField(HostGroup, on_delete="CASCADE")
    host_id: str
    host = ForeignKeyField(Host, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("group", "host")


class ProjectHostGroup(BaseModel):
    """Binding of a project to a group: its VMs run on hosts of its groups only.

    A project without a binding may use every host.
    """

    group_id: str
    project = ForeignKeyField(Project, on_delete="CASCADE")
    group = ForeignKeyField(HostGroup, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("project", "group")


TABLES = (Host, PlacementVersion, Pool, Storage, HostGroup, HostGroupMember, ProjectHostGroup)
