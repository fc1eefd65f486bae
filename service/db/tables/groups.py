"""Placement groups: VMs that must run on one host, or on different ones."""

from __future__ import annotations

from peewee import BooleanField, CharField, CompositeKey, ForeignKeyField

from service.db.engine.database import BaseModel
from service.db.tables.base import Row
from service.db.tables.people import Project
from service.db.tables.vms import Vm


class PlacementGroup(Row):
    """A rule of a project: VMs together (affinity) or apart (anti_affinity).

    No placement breaks a `hard` one.
    """

    name = CharField(max_length=63)
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    kind = CharField(max_length=16)  # affinity | anti_affinity
    hard = BooleanField(default=True)

    class Meta:
        indexes = ((("project", "name"), True), (("name", "id"), False), (("created_at", "id"), False))


class PlacementGroupMember(BaseModel):
    """Membership of a VM in a rule, effective from its next placement."""

    group_id: str
    group = ForeignKeyField(PlacementGroup, on_delete="CASCADE")
    vm_id: str
    vm = ForeignKeyField(Vm, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("group", "vm")


TABLES = (PlacementGroup, PlacementGroupMember)
