"""Tables: the only source of truth on desired state, with the last observations.

Desired and observed state are two columns, never one. Ids are UUID text; names are for people.
"""

from __future__ import annotations

from service.db.tables import catalogue, consoles, contract, groups, hosts, images, people, vms
from service.db.tables.base import Row
from service.db.tables.catalogue import Flavor, Network
from service.db.tables.consoles import ConsoleTicket
from service.db.tables.contract import Event, IdempotencyKey, Tally
from service.db.tables.groups import PlacementGroup, PlacementGroupMember
from service.db.tables.hosts import Host, HostGroup, HostGroupMember, PlacementVersion, Pool, ProjectHostGroup, Storage
from service.db.tables.images import Image, ImageShare, Upload
from service.db.tables.people import DEFAULT_PROJECT, Audit, LoginAttempt, Membership, Project, Quota, Token, User
from service.db.tables.vms import Allocation, Drive, Nic, Placement, Screenshot, Vm, Volume

__all__ = [
    "DEFAULT_PROJECT",
    "TABLES",
    "Allocation",
    "Audit",
    "ConsoleTicket",
    "Drive",
    "Event",
    "Flavor",
    "Host",
    "HostGroup",
    "HostGroupMember",
    "IdempotencyKey",
    "Image",
    "ImageShare",
    "LoginAttempt",
    "Membership",
    "Network",
    "Nic",
    "Placement",
    "PlacementGroup",
    "PlacementGroupMember",
    "PlacementVersion",
    "Pool",
    "Project",
    "ProjectHostGroup",
    "Quota",
    "Row",
    "Screenshot",
    "Storage",
    "Tally",
    "Token",
    "Upload",
    "User",
    "Vm",
    "Volume",
]

TABLES = (
    *people.TABLES,
    *hosts.TABLES,
    *catalogue.TABLES,
    *images.TABLES,
    *vms.TABLES,
    *groups.TABLES,
    *contract.TABLES,
    *consoles.TABLES,
)
