"""Hosts, pools, flavors, networks, images, VMs, decisions, tokens, audit."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Create the tables."""

    class Token(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        sha256 = CharField(unique=True, max_length=64)
        role = CharField(max_length=16)

        class Meta:
            database = db
            table_name = "token"

    class Host(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        address = CharField(unique=True, max_length=45)
        state = CharField(max_length=16)
        vcpus = IntegerField()
        memory_mib = IntegerField()
        reserved_vcpus = IntegerField()
        reserved_memory_mib = IntegerField()
        generation = IntegerField()
        ceph_user = CharField(max_length=127)
        virt_type = CharField(null=True, max_length=8)
        machine = CharField(null=True, max_length=63)
        facts = TextField(null=True)
        observed_at = BigIntegerField(null=True)
        problem = TextField(null=True)

        class Meta:
            database = db
            table_name = "host"

    class Pool(Model):
        name = CharField(primary_key=True, max_length=127)
        facts = TextField()
        observed_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "pool"

    class Storage(Model):
        id = IntegerField(primary_key=True)
        health = TextField()
        osds = TextField()
        observed_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "storage"

    class Flavor(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        vcpus = IntegerField()
        max_vcpus = IntegerField()
        memory_mib = IntegerField()
        max_memory_mib = IntegerField()
        disk_bytes = BigIntegerField()

        class Meta:
            database = db
            table_name = "flavor"

    class Network(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        bridge = CharField(max_length=15)
        cidr = CharField(max_length=43)
        gateway = CharField(null=True, max_length=45)
        first_address = CharField(max_length=45)
        last_address = CharField(max_length=45)
        dns = TextField()

        class Meta:
            database = db
            table_name = "network"

    class Image(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        state = CharField(max_length=16)
        format = CharField(max_length=8)
        default_user = CharField(max_length=32)
        pool = CharField(max_length=127)
        rbd_name = CharField(unique=True, max_length=127)
        size_bytes = BigIntegerField()
        sha256 = CharField(max_length=64)

        class Meta:
            database = db
            table_name = "image"

    class Vm(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        flavor = ForeignKeyField(Flavor, on_delete="RESTRICT")
        image = ForeignKeyField(Image, on_delete="RESTRICT")
        host = ForeignKeyField(Host, null=True, on_delete="RESTRICT")
        desired_state = CharField(max_length=16)
        observed_state = CharField(max_length=16)
        observed_at = BigIntegerField(null=True)
        epoch = IntegerField()
        virt_type = CharField(null=True, max_length=8)
        machine = CharField(null=True, max_length=63)
        vcpus = IntegerField()
        max_vcpus = IntegerField()
        memory_mib = IntegerField()
        max_memory_mib = IntegerField()
        user = CharField(max_length=32)
        ssh_keys = TextField()
        created_by = CharField(max_length=63)

        class Meta:
            database = db
            table_name = "vm"

    class Volume(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        vm = ForeignKeyField(Vm, on_delete="RESTRICT")
        role = CharField(max_length=8)
        target = CharField(max_length=8)
        pool = CharField(max_length=127)
        rbd_name = CharField(unique=True, max_length=127)
        size_bytes = BigIntegerField()

        class Meta:
            database = db
            table_name = "volume"

    class Nic(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        vm = ForeignKeyField(Vm, on_delete="RESTRICT")
        network = ForeignKeyField(Network, on_delete="RESTRICT")
        mac = CharField(unique=True, max_length=17)
        address = CharField(max_length=45)

        class Meta:
            database = db
            table_name = "nic"
            indexes = ((("network", "address"), True),)

    class Allocation(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        vm = ForeignKeyField(Vm, on_delete="RESTRICT")
        host = ForeignKeyField(Host, on_delete="RESTRICT")
        vcpus = IntegerField()
        memory_mib = IntegerField()

        class Meta:
            database = db
            table_name = "allocation"
            indexes = ((("vm", "host"), True),)

    class Placement(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        vm_id = CharField(index=True, max_length=36)
        host_id = CharField(null=True, max_length=36)
        decision = TextField()

        class Meta:
            database = db
            table_name = "placement"

    class Audit(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        actor = CharField(max_length=63)
        action = CharField(max_length=63)
        object_kind = CharField(max_length=16)
        object_id = CharField(index=True, max_length=36)
        object_name = CharField(max_length=63)
        request_id = CharField(max_length=64)
        detail = TextField()

        class Meta:
            database = db
            table_name = "audit"

    del migrator
    db.create_tables(
        [Token, Host, Pool, Storage, Flavor, Network, Image, Vm, Volume, Nic, Allocation, Placement, Audit], safe=False
    )
