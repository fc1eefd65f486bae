"""VMs with their volumes, drives and cards, allocations and placement decisions."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, BooleanField, CharField, ForeignKeyField, IntegerField, TextField

from service.db.engine.database import BaseModel, JsonField, UtcField
from service.db.tables.base import Row
from service.db.tables.catalogue import Flavor, Network
from service.db.tables.hosts import Host
from service.db.tables.images import Image
from service.db.tables.people import Project


def default_boot() -> list[str]:
    """Return the disk before the CD-ROM: firmware skips a blank disk.

    So a system installed from a CD-ROM then boots by itself.
    """
    return ["disk", "cdrom"]


class Vm(Row):
    """A virtual machine.

    `host` is where it runs or is being started; None when it has no capacity allocated. `pending` are the sizes of its
    next start; `generation` counts changes of its definition.
    """

    name = CharField(max_length=63)
    flavor_id: str
    flavor = ForeignKeyField(Flavor, on_delete="RESTRICT")
    image = ForeignKeyField(Image, null=True, on_delete="RESTRICT")  # None: its root disk was blank
    host_id: str | None
    host = ForeignKeyField(Host, null=True, on_delete="RESTRICT")
    desired_state = CharField(max_length=16)  # running | paused | stopped
    observed_state = CharField(max_length=16)  # creating running paused io_error crashed stopped unknown deleting
    observed_at = UtcField(null=True)
    epoch = IntegerField(default=1)  # incremented at every start
    virt_type = CharField(null=True, max_length=8)
    machine = CharField(null=True, max_length=63)
    vcpus = IntegerField()
    max_vcpus = IntegerField()
    memory_mib = IntegerField()
    max_memory_mib = IntegerField()
    user = CharField(null=True, max_length=32)  # created by cloud-init; None: none
    ssh_keys = JsonField()
    created_by = CharField(max_length=63)
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    description = TextField(default="")
    tags = JsonField(default=list)
    user_data = TextField(null=True)  # may contain secrets: shown to the guest only
    firmware = CharField(default="bios", max_length=8)  # bios | uefi
    chipset = CharField(default="q35", max_length=8)  # q35 | pc
    clock = CharField(default="utc", max_length=16)  # utc | localtime
    video = CharField(default="vga", max_length=16)  # vga | virtio | cirrus
    boot = JsonField(default=default_boot)  # kinds of devices in boot order
    pending = JsonField(null=True)
    generation = IntegerField(default=1)
    vnc_nonce = CharField(null=True, max_length=64)
    vnc_expires_at = UtcField(null=True)
    managed = BooleanField(default=True)  # False: adopted and read-only until it is confirmed

    class Meta:
        indexes = ((("project", "name"), True), (("name", "id"), False), (("created_at", "id"), False))


class Volume(Row):
    """A block device, under the name it has in the storage; on a VM, or kept for one."""

    vm = ForeignKeyField(Vm, null=True, on_delete="RESTRICT")
    role = CharField(max_length=8)  # root | data | seed | nvram | medium
    target = CharField(null=True, max_length=8)  # vda, sda …; None if it is no disk, or on no VM
    pool = CharField(max_length=127)
    storage_name = CharField(unique=True, max_length=127)
    size_bytes = BigIntegerField()
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    name = CharField(null=True, max_length=63)  # of a data volume
    bus = CharField(default="virtio", max_length=8)  # virtio | scsi | sata | ide
    image = ForeignKeyField(Image, null=True, on_delete="RESTRICT")  # it is a clone of
    serial = CharField(null=True, max_length=36)  # None: derived from its id
    state = CharField(default="ready", max_length=16)  # creating ready deleting

    class Meta:
        indexes = ((("project", "name"), True), (("vm", "target"), True), (("created_at", "id"), False))


class Drive(Row):
    """A VM's CD-ROM drive, its image, and the clone of that which QEMU opens (writable)."""

    vm = ForeignKeyField(Vm, on_delete="RESTRICT")
    target = CharField(max_length=8)
    bus = CharField(max_length=8)
    image_id: str | None
    image = ForeignKeyField(Image, null=True, on_delete="RESTRICT")
    volume_id: str | None
    volume = ForeignKeyField(Volume, null=True, on_delete="RESTRICT")

    class Meta:
        indexes = ((("vm", "target"), True),)


class Screenshot(BaseModel):
    """Last screenshot of a VM."""

    vm = ForeignKeyField(Vm, primary_key=True, on_delete="CASCADE")
    taken_at = UtcField(index=True)
    png = BlobField()


class Nic(Row):
    """A VM's network card. An address and a MAC have one owner."""

    vm_id: str
    vm = ForeignKeyField(Vm, on_delete="RESTRICT")
    network = ForeignKeyField(Network, on_delete="RESTRICT")
    mac = CharField(unique=True, max_length=17)
    address = CharField(null=True, max_length=45)  # None: an adopted VM's, not given
    model = CharField(default="virtio", max_length=16)  # virtio | e1000 | e1000e | rtl8139

    class Meta:
        indexes = ((("network", "address"), True),)


class Allocation(Row):
    """Capacity of a host allocated to a VM; during a migration a VM has two."""

    vm = ForeignKeyField(Vm, on_delete="RESTRICT")
    host_id: str
    host = ForeignKeyField(Host, on_delete="RESTRICT")
    vcpus = IntegerField()
    memory_mib = IntegerField()

    class Meta:
        indexes = ((("vm", "host"), True),)


class Placement(Row):
    """A placement decision: request, policy, facts' version, best hosts, reasons.

    The facts themselves are in a journal (placer/facts_journal.py) under that version, until they are purged.
    """

    vm_id = CharField(index=True, max_length=36)
    host_id = CharField(null=True, max_length=36)
    project_id = CharField(null=True, max_length=36)
    request = JsonField(null=True)  # placement.facts.VmRequest
    algorithm = CharField(default="", max_length=255)
    policy_hash = CharField(default="", max_length=64)  # of the algorithm and its weights
    fallback = TextField(null=True)  # why another algorithm than the requested one decided
    facts_version = BigIntegerField(null=True)
    journal = CharField(null=True, max_length=36)
    top = JsonField(default=list)  # the best hosts with every term
    reasons = JsonField(default=dict)  # filter → number of hosts that it ruled out

    class Meta:
        indexes = ((("created_at", "id"), False), (("project_id", "created_at", "id"), False))


TABLES = (
    Vm,
    Volume,
    Drive,
    Screenshot,
    Nic,
    Allocation,
    Placement,
)
