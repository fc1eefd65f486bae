"""The API on one screen: method, path, handler, permission, what the body is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.api import catalogue, hosts, images, jobs, vms
from service.api.call import Accepted, Call, Reply
from service.api.models import (
    AddHost,
    Body,
    CreateFlavor,
    CreateImage,
    CreateNetwork,
    CreateVm,
    MigrateVm,
    UploadImage,
)

Handler = Callable[[Call], Reply | Accepted]


@dataclass(frozen=True, slots=True)
class Route:
    """`body` is the model of a JSON body, "stream" for raw bytes, None where there is none.

    `query` names the parameters beside `wait`, which every route takes; others are refused.
    """

    method: str
    path: str
    handler: Handler
    permission: str
    body: type[Body] | Literal["stream"] | None = None
    query: tuple[str, ...] = ()


ROUTES = (
    Route("GET", "/v1/hosts", hosts.listing, "host:read"),
    Route("POST", "/v1/hosts", hosts.add, "host:write", AddHost),
    Route("GET", "/v1/hosts/<ref>", hosts.one, "host:read"),
    Route("DELETE", "/v1/hosts/<ref>", hosts.remove, "host:write"),
    Route("GET", "/v1/pools", catalogue.list_pools, "pool:read"),
    Route("GET", "/v1/storage", catalogue.storage, "pool:read"),
    Route("GET", "/v1/flavors", catalogue.list_flavors, "flavor:read"),
    Route("POST", "/v1/flavors", catalogue.create_flavor, "flavor:write", CreateFlavor),
    Route("GET", "/v1/flavors/<ref>", catalogue.one_flavor, "flavor:read"),
    Route("DELETE", "/v1/flavors/<ref>", catalogue.delete_flavor, "flavor:write"),
    Route("GET", "/v1/networks", catalogue.list_networks, "network:read"),
    Route("POST", "/v1/networks", catalogue.create_network, "network:write", CreateNetwork),
    Route("GET", "/v1/networks/<ref>", catalogue.one_network, "network:read"),
    Route("DELETE", "/v1/networks/<ref>", catalogue.delete_network, "network:write"),
    Route("GET", "/v1/images", images.listing, "image:read"),
    Route("POST", "/v1/images", images.create, "image:write_from_server", CreateImage),
    Route("GET", "/v1/images/<ref>", images.one, "image:read"),
    Route("DELETE", "/v1/images/<ref>", images.delete, "image:write"),
    Route("POST", "/v1/uploads", images.upload, "image:write", "stream", tuple(UploadImage.model_fields)),
    Route("GET", "/v1/vms", vms.listing, "vm:read"),
    Route("POST", "/v1/vms", vms.create, "vm:write", CreateVm),
    Route("GET", "/v1/vms/<ref>", vms.one, "vm:read"),
    Route("DELETE", "/v1/vms/<ref>", vms.delete, "vm:write"),
    Route("GET", "/v1/vms/<ref>/placement", vms.placement, "placement:read"),
    Route("POST", "/v1/vms/<ref>/start", vms.start, "vm:write", Body),
    Route("POST", "/v1/vms/<ref>/shut-down", vms.shut_down, "vm:write", Body),
    Route("POST", "/v1/vms/<ref>/force-off", vms.force_off, "vm:write", Body),
    Route("POST", "/v1/vms/<ref>/reset", vms.reset, "vm:write", Body),
    Route("POST", "/v1/vms/<ref>/migrate", vms.migrate, "vm:write", MigrateVm),
    Route("GET", "/v1/jobs", jobs.listing, "job:read", None, jobs.FILTERS),
    Route("GET", "/v1/jobs/<ref>", jobs.one, "job:read"),
    Route("DELETE", "/v1/jobs/<ref>", jobs.cancel, "job:cancel"),
)
