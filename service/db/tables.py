"""The tables: the one truth about what people asked for, beside the last that was observed of it.

Desired and observed state are two columns, never one. Ids are UUID text; names are for people.
"""

from __future__ import annotations

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField, TextField

from service.db.database import BaseModel, JsonField, UtcField


class Row(BaseModel):
    """Every object people know has an id, and the time it was made."""

    id = CharField(primary_key=True, max_length=36)
    created_at = UtcField()

    class Meta:
        abstract = True


class Token(Row):
    """An API token: only its SHA-256 is kept."""

    name = CharField(unique=True, max_length=63)
    sha256 = CharField(unique=True, max_length=64)
    role = CharField(max_length=16)  # admin | user


class Host(Row):
    """A machine that runs guests. `generation` guards every claim of its capacity."""

    name = CharField(unique=True, max_length=63)
    address = CharField(unique=True, max_length=45)
    state = CharField(max_length=16)  # active cordoned draining maintenance down fenced
    vcpus = IntegerField()
    memory_mib = IntegerField()
    reserved_vcpus = IntegerField()
    reserved_memory_mib = IntegerField()
    generation = IntegerField(default=0)
    ceph_user = CharField(max_length=127)
    virt_type = CharField(null=True, max_length=8)  # kvm | qemu, found out once by booting a kernel
    machine = CharField(null=True, max_length=63)  # newest versioned machine type
    facts = JsonField(null=True)
    observed_at = UtcField(null=True)
    problem = TextField(null=True)  # why the last observation failed


class Pool(BaseModel):
    """A storage pool as last observed."""

    name = CharField(primary_key=True, max_length=127)
    facts = JsonField()
    observed_at = UtcField()


class Storage(BaseModel):
    """The storage cluster's health and OSDs as last observed: one row."""

    id = IntegerField(primary_key=True)
    health = JsonField()
    osds = JsonField()
    observed_at = UtcField()


class Flavor(Row):
    """A size of VM. The maxima are the ceiling of what can be added while it runs."""

    name = CharField(unique=True, max_length=63)
    vcpus = IntegerField()
    max_vcpus = IntegerField()
    memory_mib = IntegerField()
    max_memory_mib = IntegerField()
    disk_bytes = BigIntegerField()


class Network(Row):
    """A guest network: a bridge of the same name on every host, and the addresses to give out on it."""

    name = CharField(unique=True, max_length=63)
    bridge = CharField(max_length=15)
    cidr = CharField(max_length=43)
    gateway = CharField(null=True, max_length=45)
    first_address = CharField(max_length=45)
    last_address = CharField(max_length=45)
    dns = JsonField()


class Image(Row):
    """What VMs are cloned from. `size_bytes` is its virtual size."""

    name = CharField(unique=True, max_length=63)
    state = CharField(max_length=16)  # importing ready deleting
    format = CharField(max_length=8)  # raw | qcow2, as declared
    default_user = CharField(max_length=32)
    pool = CharField(max_length=127)
    rbd_name = CharField(unique=True, max_length=127)
    size_bytes = BigIntegerField()
    sha256 = CharField(max_length=64)  # of the uploaded bytes


class Vm(Row):
    """A virtual machine. `host` is where it runs or is being started; None when it holds no capacity anywhere."""

    name = CharField(unique=True, max_length=63)
    flavor = ForeignKeyField(Flavor, on_delete="RESTRICT")
    image = ForeignKeyField(Image, on_delete="RESTRICT")
    host = ForeignKeyField(Host, null=True, on_delete="RESTRICT")
    desired_state = CharField(max_length=16)  # running | stopped
    observed_state = CharField(max_length=16)  # creating running paused io_error crashed stopped unknown deleting
    observed_at = UtcField(null=True)
    epoch = IntegerField(default=1)  # one more at every start
    virt_type = CharField(null=True, max_length=8)
    machine = CharField(null=True, max_length=63)
    vcpus = IntegerField()
    max_vcpus = IntegerField()
    memory_mib = IntegerField()
    max_memory_mib = IntegerField()
    user = CharField(max_length=32)
    ssh_keys = JsonField()
    created_by = CharField(max_length=63)


class Volume(Row):
    """A block device of a VM, under the name it has in the storage."""

    vm = ForeignKeyField(Vm, on_delete="RESTRICT")
    role = CharField(max_length=8)  # root | seed
    target = CharField(max_length=8)  # vda, sda …
    pool = CharField(max_length=127)
    rbd_name = CharField(unique=True, max_length=127)
    size_bytes = BigIntegerField()


class Nic(Row):
    """A VM's network card. An address and a MAC have one owner."""

    vm = ForeignKeyField(Vm, on_delete="RESTRICT")
    network = ForeignKeyField(Network, on_delete="RESTRICT")
    mac = CharField(unique=True, max_length=17)
    address = CharField(max_length=45)

    class Meta:
        indexes = ((("network", "address"), True),)


class Allocation(Row):
    """A host's capacity promised to a VM; a VM that moves holds two for a while."""

    vm = ForeignKeyField(Vm, on_delete="RESTRICT")
    host = ForeignKeyField(Host, on_delete="RESTRICT")
    vcpus = IntegerField()
    memory_mib = IntegerField()

    class Meta:
        indexes = ((("vm", "host"), True),)


class Placement(Row):
    """A decision as it was made, with its explanation."""

    vm_id = CharField(index=True, max_length=36)
    host_id = CharField(null=True, max_length=36)
    decision = JsonField()


class Audit(Row):
    """Who asked for what. Rows are only ever added."""

    actor = CharField(max_length=63)
    action = CharField(max_length=63)
    object_kind = CharField(max_length=16)
    object_id = CharField(index=True, max_length=36)
    object_name = CharField(max_length=63)
    request_id = CharField(max_length=64)
    detail = JsonField()


TABLES = (
    Token,
    Host,
    Pool,
    Storage,
    Flavor,
    Network,
    Image,
    Vm,
    Volume,
    Nic,
    Allocation,
    Placement,
    Audit,
)
