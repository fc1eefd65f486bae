"""Disks of many kinds, volumes without a VM, CD-ROM drives, more options of VMs."""

from __future__ import annotations

from typing import Any

from peewee import BigIntegerField, BlobField, CharField, ForeignKeyField, IntegerField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add columns and tables; existing rows get the values in effect so far."""

    class Image(Model):
        id = CharField(primary_key=True, max_length=36)

        class Meta:
            database = db
            table_name = "image"

    class Vm(Model):
        id = CharField(primary_key=True, max_length=36)
        image_id = CharField(null=True)

        class Meta:
            database = db
            table_name = "vm"

    class Volume(Model):
        id = CharField(primary_key=True, max_length=36)
        vm_id = CharField()
        role = CharField()
        bus = CharField()
        image_id = CharField(null=True)

        class Meta:
            database = db
            table_name = "volume"

    class Drive(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        vm = ForeignKeyField(Vm, on_delete="RESTRICT")
        target = CharField(max_length=8)
        bus = CharField(max_length=8)
        image = ForeignKeyField(Image, null=True, on_delete="RESTRICT")
        volume = ForeignKeyField(Volume, null=True, on_delete="RESTRICT")

        class Meta:
            database = db
            table_name = "drive"
            indexes = ((("vm", "target"), True),)

    class Screenshot(Model):
        vm = ForeignKeyField(Vm, primary_key=True, on_delete="CASCADE")
        taken_at = BigIntegerField(index=True)
        png = BlobField()

        class Meta:
            database = db
            table_name = "screenshot"

    _change_vms(migrator)
    _change_volumes(migrator, Image)
    migrator.migrate(migrator.add_column("nic", "model", CharField(default="virtio", max_length=16)))
    Volume.update(bus="scsi").where(Volume.role == "seed").execute()
    parent = Vm.select(Vm.image_id).where(Vm.id == Volume.vm_id)
    Volume.update(image_id=parent).where(Volume.role == "root").execute()
    db.create_tables([Drive, Screenshot], safe=False)


def _change_vms(migrator: SchemaMigrator) -> None:
    columns = {
        "description": TextField(default=""),
        "tags": TextField(default="[]"),
        "user_data": TextField(null=True),
        "firmware": CharField(default="bios", max_length=8),
        "chipset": CharField(default="q35", max_length=8),
        "clock": CharField(default="utc", max_length=16),
        "video": CharField(default="vga", max_length=16),
        "boot": TextField(default='["disk","cdrom"]'),
        "pending": TextField(null=True),
        "generation": IntegerField(default=1),
        "vnc_nonce": CharField(null=True, max_length=64),
        "vnc_expires_at": BigIntegerField(null=True),
    }
    migrator.migrate(
        migrator.drop_not_null("vm", "image_id"),
        migrator.drop_not_null("vm", "user"),
        *(migrator.add_column("vm", name, field) for name, field in columns.items()),
    )


def _change_volumes(migrator: SchemaMigrator, image: Any) -> None:
    columns = {
        "name": CharField(null=True, max_length=63),
        "bus": CharField(default="virtio", max_length=8),
        "image_id": ForeignKeyField(image, field=image.id, null=True, on_delete="RESTRICT"),
        "serial": CharField(null=True, max_length=36),
        "state": CharField(default="ready", max_length=16),
    }
    migrator.migrate(
        migrator.drop_not_null("volume", "vm_id"),
        migrator.drop_not_null("volume", "target"),
        *(migrator.add_column("volume", name, field) for name, field in columns.items()),
        migrator.add_index("volume", ("project_id", "name"), unique=True),
        migrator.add_index("volume", ("vm_id", "target"), unique=True),
    )
