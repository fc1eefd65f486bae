"""Every route × who asks × whose object: own, foreign, missing. What is another project's is answered like nothing.

A new route needs a line in BODIES when its body has required fields, and one in BODY_REFS when its body names an object
that belongs to a project: the last two tests tell.
"""

import re
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from service.api.routes import ROUTES
from service.db.engine.database import transaction
from service.db.tables import Audit, Image
from service.operations.authorise import MAY
from tests.api.conftest import copied
from tests.api.folk import bearing, project, user
from tests.api.world import BOOT, KEY, Cloud
from tests.postgres import name_in

MISSING = "00000000-0000-4000-8000-00000000dead"
ASKERS = ("owner", "peer", "other", "viewer", "operator", "admin", "anonymous")
ROLE = {"owner": "user", "peer": "user", "other": "user", "viewer": "viewer", "operator": "operator", "admin": "admin"}
SEES_ALL = ("operator", "admin")

# Whose objects they are: a project's, a person's, or the cloud's (then there is no foreign one).
OWNED = {
    "vms": "vm",
    "volumes": "volume",
    "images": "image",
    "uploads": "upload",
    "jobs": "job",
    "projects": "project",
    "placement-groups": "placement_group",
    "placements": "placement",
}
PERSONAL = {"tokens": "token"}
SHARED = {
    "hosts": "host1",
    "flavors": "small",
    "networks": "guests",
    "pools": "vms",
    "host-groups": "rack",
    "users": "viewer-token",
}
FURTHER = {"user": "gus", "group": "rack", "resource": "vms", "host": "host1", "project": "blue"}

VM = {"name": "new", "image": "mini", "flavor": "small", "network": "guests", "ssh_keys": [KEY]}
BODIES = {
    "PATCH /v1/host-groups/<ref>": {"vcpu_ratio": 2},
    "PATCH /v1/images/<ref>": {"labels": {}},
    "PATCH /v1/placement-groups/<ref>": {"hard": False},
    "PATCH /v1/projects/<ref>": {"description": "x"},
    "PATCH /v1/users/<ref>": {},
    "PATCH /v1/vms/<ref>": {"description": "x"},
    "POST /v1/vms/<ref>/attach": {"size_gib": 1},
    "POST /v1/vms/<ref>/consoles": {"kind": "serial"},
    "POST /v1/vms/<ref>/detach": {"disk": "vdb"},
    "POST /v1/vms/<ref>/grow": {"disk": "vda", "size_gib": 9},
    "POST /v1/vms/<ref>/insert": {"image": "mini"},
    "POST /v1/vms/<ref>/rename": {"name": "new"},
    "POST /v1/vms/<ref>/resize": {"flavor": "small"},
    "POST /v1/volumes/<ref>/grow": {"size_gib": 9},
    "PUT /v1/projects/<ref>/quotas/<resource>": {"limit": 1},
    "PUT /v1/vms/<ref>": VM,
}
CREATES = {
    "POST /v1/flavors": {"name": "new", "vcpus": 1, "memory_mib": 128, "disk_gib": 1},
    "POST /v1/host-checks": {"host": "host1"},
    "POST /v1/host-groups": {"name": "new"},
    "POST /v1/hosts": {"address": "10.99.0.1"},
    "POST /v1/images": {"name": "new", "format": "raw", "url": "https://images.example.org/new.raw"},
    "POST /v1/networks": {"name": "new", "bridge": "br-new", "cidr": "10.98.0.0/24", "first_address": "10.98.0.9",
                          "last_address": "10.98.0.99"},
    "POST /v1/placement-groups": {"name": "new", "kind": "affinity"},
    "POST /v1/pools": {"name": "images", "uses": ["images"]},
    "POST /v1/projects": {"name": "new"},
    "POST /v1/tokens": {"name": "new"},
    "POST /v1/uploads": {"name": "new", "format": "raw", "size_bytes": 9},
    "POST /v1/users": {"name": "new"},
    "POST /v1/vm-batches": VM | {"count": 2},
    "POST /v1/vms": VM,
    "POST /v1/volumes": {"name": "new", "size_gib": 1},
}  # fmt: skip
# What is not there is made, if it may be.
DECLARES = frozenset({"PUT /v1/vms/<ref>"})
# Ids in bodies: route, field, kind of object, the body around it. What the path names is the asker's own.
BODY_REFS = (
    ("POST /v1/vms", "image", "image", lambda ref: VM | {"image": ref}),
    ("POST /v1/vms", "disks.image", "image", lambda ref: VM | {"disks": [{"image": ref}]}),
    ("POST /v1/vms", "cdroms.image", "image", lambda ref: VM | {"cdroms": [{"image": ref}]}),
    ("POST /v1/vm-batches", "image", "image", lambda ref: VM | {"count": 2, "image": ref}),
    ("POST /v1/vm-batches", "disks.image", "image", lambda ref: VM | {"count": 2, "disks": [{"image": ref}]}),
    ("POST /v1/vm-batches", "cdroms.image", "image", lambda ref: VM | {"count": 2, "cdroms": [{"image": ref}]}),
    ("PUT /v1/vms/<ref>", "image", "image", lambda ref: VM | {"image": ref}),
    ("PUT /v1/vms/<ref>", "disks.image", "image", lambda ref: VM | {"disks": [{"image": ref}]}),
    ("PUT /v1/vms/<ref>", "cdroms.image", "image", lambda ref: VM | {"cdroms": [{"image": ref}]}),
    ("POST /v1/vms", "placement_groups", "placement_group", lambda ref: VM | {"placement_groups": [ref]}),
    ("POST /v1/vm-batches", "placement_groups", "placement_group",
     lambda ref: VM | {"count": 2, "placement_groups": [ref]}),
    ("PUT /v1/vms/<ref>", "placement_groups", "placement_group", lambda ref: VM | {"placement_groups": [ref]}),
    ("PATCH /v1/vms/<ref>", "placement_groups", "placement_group", lambda ref: {"placement_groups": [ref]}),
    ("POST /v1/volumes", "image", "image", lambda ref: {"name": "new", "image": ref}),
    ("POST /v1/vms/<ref>/attach", "image", "image", lambda ref: {"image": ref}),
    ("POST /v1/vms/<ref>/attach", "volume", "volume", lambda ref: {"volume": ref}),
    ("POST /v1/vms/<ref>/detach", "disk", "volume", lambda ref: {"disk": ref}),
    ("POST /v1/vms/<ref>/grow", "disk", "volume", lambda ref: {"disk": ref, "size_gib": 9}),
    ("POST /v1/vms/<ref>/insert", "image", "image", lambda ref: {"image": ref}),
    ("POST /v1/tokens", "project", "project", lambda ref: {"name": "new", "project": ref}),
)  # fmt: skip
NAMES_OBJECTS = frozenset(
    {"image", "volume", "vm", "disk", "project", "projects", "job", "upload", "snapshot", "source", "placement_groups"}
)
# Only admins make users, and they see every project.
FOR_ADMINS = frozenset({("POST /v1/users", "projects")})
# Not to be done to what is there: it runs, has no drive, was not adopted, has no password, is the only one.
REFUSED_NOW = frozenset(
    {
        "DELETE /v1/jobs/<ref>",
        "DELETE /v1/pools/<ref>",
        "POST /v1/adoptions",
        "POST /v1/vms/<ref>/confirm",
        "POST /v1/vms/<ref>/eject",
        "POST /v1/vms/<ref>/insert",
        "POST /v1/vms/<ref>/release",
        "POST /v1/vms/<ref>/start",
        "PUT /v1/me/password",
    }
)
# Nothing is written: a decision once more, and what if.
THOUGHTS = frozenset({"POST /v1/placements/<ref>/replay", "POST /v1/placements:simulate"})
PIECES = "PATCH /v1/uploads/<ref>"  # the upload as a whole is in the audit, not each piece
SPARE = {"hosts": "spare", "flavors": "spare", "networks": "spare", "projects": "spare"}
FILTERS = frozenset({"image", "volume", "vm", "object_id", "project", "job"})


class _Enough(Exception):  # noqa: N818 - takes the request's writes back
    pass


def collection_of(route) -> str:
    return [*route.path.split("/"), ""][2]


def label(route) -> str:
    return f"{route.method} {route.path}"


GUARDED = [route for route in ROUTES if route.permission is not None]
BY_LABEL = {label(route): route for route in ROUTES}


@pytest.fixture(scope="module")
def stage(tmp_path_factory, furnished, request, on_postgresql):
    model, database = furnished
    with copied(request, name_in(model.db.conninfo) if on_postgresql else None) as db:
        yield set_up(Cloud(tmp_path_factory.mktemp("stage"), database, db).like(model))


def set_up(cloud: Cloud) -> SimpleNamespace:
    """Projects blue and green with one of everything in each; clients for all who ask."""
    cloud.change(Image.update(visibility="public"))
    cloud.created(cloud.api.post("/v1/host-groups", json={"name": "rack"}))
    clients = {"admin": cloud.api, "operator": cloud.client("operator"), "anonymous": cloud.client(None)}
    tokens = {}
    for asker, name, home in (
        ("owner", "bea", "blue"),
        ("peer", "pia", "blue"),
        ("viewer", "vic", "blue"),
        ("other", "gus", "green"),
    ):
        if home not in tokens:
            project(cloud, home)
        user(cloud, name, ROLE[asker], home)
        made = cloud.created(cloud.api.post("/v1/tokens", json={"name": "t", "user": name}))
        clients[asker], tokens[home], tokens[asker] = bearing(cloud, made["token"]), made["id"], made["id"]
    for asker in SEES_ALL:
        tokens[asker] = clients[asker].get("/v1/tokens").json()["items"][0]["id"]
    project(cloud, "spare")
    things = {home: _furnish(cloud, clients[asker], home) for home, asker in (("blue", "owner"), ("green", "other"))}
    cloud.add_host("spare")
    cloud.flavor("spare")
    cloud.network("spare", bridge="br-spare")
    return SimpleNamespace(cloud=cloud, clients=clients, tokens=tokens, things=things)


def _furnish(cloud, client, home: str) -> dict[str, str]:
    cloud.observe()
    job = cloud.done(client.post("/v1/vms", json=VM | {"name": f"{home}-secret-vm", "disks": [{"size_gib": 1}]}))
    cloud.done(client.post("/v1/volumes", json={"name": f"{home}-secret-volume", "size_gib": 1}))
    cloud.done(cloud.upload(BOOT, client, name=f"{home}-secret-image", format="raw"))
    upload = {"name": f"{home}-secret-upload", "format": "raw", "size_bytes": 9}
    ids = {"job": job["id"], "upload": client.post("/v1/uploads", json=upload).json()["id"]}
    # A file does not come back when the transaction is taken back.
    ids["doomed"] = client.post("/v1/uploads", json=upload | {"name": f"{home}-secret-too"}).json()["id"]
    rule = {"name": f"{home}-secret-rule", "kind": "affinity"}
    ids["placement"] = client.get("/v1/placements").json()["items"][0]["id"]
    ids["placement_group"] = cloud.created(client.post("/v1/placement-groups", json=rule))["id"]
    for kind in ("vm", "volume", "image"):
        listed = client.get(f"/v1/{kind}s", params={"name": f"{home}-secret-{kind}"}).json()["items"]
        ids[kind] = listed[0]["id"]
    return ids | {"project": cloud.api.get(f"/v1/projects/{home}").json()["id"]}


def ids(stage, route, asker: str) -> dict[str, str]:
    """own, foreign (None where there is none) and missing for the object in a route's path, as the asker sees them."""
    own_home, foreign_home = ("green", "blue") if asker == "other" else ("blue", "green")
    collection = collection_of(route)
    if collection in OWNED:
        kind = "doomed" if label(route) == "DELETE /v1/uploads/<ref>" else OWNED[collection]
        own, foreign = stage.things[own_home][kind], stage.things[foreign_home][kind]
    elif collection in PERSONAL:
        stranger = "owner" if asker == "other" else "other"
        own, foreign = stage.tokens.get(asker, stage.tokens["owner"]), stage.tokens[stranger]
    else:
        own, foreign = SHARED.get(collection, ""), None
    return {"own": own, "foreign": foreign, "missing": MISSING}


def ask(stage, route, asker: str, ref: str, body=None, then=lambda: None, **params):
    """The answer; whatever it wrote is taken back, after then() has looked."""
    path = route.path.replace("<ref>", ref)
    path = re.sub(r"<(\w+)>", lambda found: FURTHER[found[1]], path)
    client, more = stage.clients[asker], {}
    if route.body == "stream":
        more = {"content": b"", "headers": {"Content-Type": "application/octet-stream", "Upload-Offset": "0"}}
    elif route.body is not None:
        more = {"json": BODIES.get(label(route), {}) if body is None else body}
    try:
        with transaction(stage.cloud.db):
            answer = client.request(route.method, path, params=params, **more)
            then()
            raise _Enough  # noqa: TRY301 - it takes the transaction back
    except _Enough:
        return answer


def plain(answer, ref: str) -> tuple:
    """What tells answers apart, but for the id itself and the request's id."""
    text = answer.text.replace(ref, "REF")
    return answer.status_code, re.sub(r'"request_id": ?"[^"]+"', "", text)


def may(route, asker: str) -> bool:
    return ROLE[asker] in MAY[route.permission]


@pytest.mark.parametrize("route", GUARDED, ids=label)
def test_nobody_gets_anything_without_a_token(stage, route):
    for ref in ids(stage, route, "anonymous").values():
        answer = ask(stage, route, "anonymous", ref or MISSING)
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")


@pytest.mark.parametrize("asker", ASKERS[:-1])
@pytest.mark.parametrize("route", GUARDED, ids=label)
def test_who_has_no_right_is_told_so_whatever_they_name(stage, route, asker):
    if may(route, asker):
        assert route.permission in MAY
        return
    told = {plain(ask(stage, route, asker, ref), ref) for ref in ids(stage, route, asker).values() if ref}
    assert {status for status, _ in told} == {403}
    assert len(told) == 1


@pytest.mark.parametrize("asker", ASKERS[:-1])
@pytest.mark.parametrize("route", [route for route in GUARDED if "<ref>" in route.path], ids=label)
def test_a_foreign_object_is_answered_like_a_missing_one(stage, route, asker):
    known = ids(stage, route, asker)
    if not may(route, asker):
        return
    missing = ask(stage, route, asker, MISSING)
    if label(route) not in DECLARES:
        assert missing.status_code == 404, f"{missing.text}: give the route a valid body in BODIES"
    if known["foreign"] is None:
        return
    foreign = ask(stage, route, asker, known["foreign"])
    sees = asker == "admin" or (asker in SEES_ALL and collection_of(route) not in PERSONAL)
    assert (plain(foreign, known["foreign"]) == plain(missing, MISSING)) == (not sees), foreign.text


@pytest.mark.parametrize("asker", ASKERS[:-1])
@pytest.mark.parametrize("route", [route for route in GUARDED if "<ref>" in route.path], ids=label)
def test_ones_own_object_is_there(stage, route, asker):
    if not may(route, asker):
        return
    collection = collection_of(route)
    own = ids(stage, route, asker)["own"]
    answer = ask(stage, route, asker, own)
    code = answer.json().get("code", "") if answer.headers.get("content-type", "").endswith("json") else ""
    kind = (OWNED | PERSONAL).get(collection, collection.rstrip("s").replace("-", "_"))
    if label(route) == "DELETE /v1/jobs/<ref>" and asker == "peer":
        assert code == "auth.forbidden"  # a job is who asked for it may cancel it
        return
    assert answer.status_code not in (401, 403, 405, 500), answer.text
    assert code != f"{kind}.not_found"


@pytest.mark.parametrize("route", [route for route in GUARDED if route.method == "GET"], ids=label)
def test_nothing_that_others_read_tells_of_a_projects_objects(stage, route):
    secrets = [*stage.things["green"].values(), "green"]
    if route.reply == "text/event-stream" or not may(route, "owner"):
        return
    own = ids(stage, route, "owner")["own"]
    for asker in ("owner", "peer", "viewer"):
        text = ask(stage, route, asker, own).text
        assert not [secret for secret in secrets if secret in text], text


WRITES = [route for route in GUARDED if route.method != "GET" and label(route) not in THOUGHTS]


@pytest.mark.parametrize("route", WRITES, ids=label)
def test_every_accepted_write_leaves_an_audit_row_with_who_and_why(stage, route):
    body = CREATES.get(label(route))
    if label(route) in DECLARES:
        body = VM | {"name": "blue-secret-vm", "disks": [{"size_gib": 1}], "tags": ["new"]}
    client = stage.clients["admin"]
    client.headers["X-Reason"] = "to see"
    own = SPARE.get(collection_of(route)) or ids(stage, route, "owner")["own"]
    before = {row.id for row in stage.cloud.rows(Audit)}
    seen: list[Audit] = []
    answer = ask(stage, route, "admin", own, body, then=lambda: seen.extend(Audit.select()))
    del client.headers["X-Reason"]
    added = {(row.actor, row.reason, row.source) for row in seen if row.id not in before}
    assert (answer.status_code >= 400) == (label(route) in REFUSED_NOW), answer.text
    assert (("admin-token", "to see", "127.0.0.1") in added) == (answer.status_code < 400) or label(route) == PIECES


@pytest.mark.parametrize("case", BODY_REFS, ids=lambda case: f"{case[0]} {case[1]}")
def test_a_foreign_id_in_a_body_is_answered_like_a_missing_one(stage, case):
    name, _, kind, body = case
    route = BY_LABEL[name]
    foreign = stage.things["green"][kind]
    own = "new" if name in DECLARES else ids(stage, route, "owner")["own"]
    told = [plain(ask(stage, route, "owner", own, body(ref)), ref) for ref in (foreign, MISSING)]
    assert told[0] == told[1]
    assert told[0][0] in (404, 422)
    assert "request.invalid" not in told[0][1], "the body is not valid: nobody looked at the id"


@pytest.mark.parametrize("field", ["image", "disks", "cdroms", "placement_groups"])
def test_a_foreign_id_in_a_declaration_of_ones_own_vm_is_answered_like_a_missing_one(stage, field):
    route, own = BY_LABEL["PUT /v1/vms/<ref>"], stage.things["blue"]["vm"]
    told = []
    for ref in (stage.things["green"]["placement_group" if field == "placement_groups" else "image"], MISSING):
        value = {"image": ref, "placement_groups": [ref]}.get(field, [{"image": ref}])
        body = VM | {"name": "blue-secret-vm", field: value}
        told.append(plain(ask(stage, route, "owner", own, body), ref))
    assert told[0] == told[1]
    assert told[0][0] in (404, 409, 422)


@pytest.mark.parametrize("route", [route for route in GUARDED if route.method == "GET"], ids=label)
def test_a_foreign_id_in_a_filter_is_answered_like_a_missing_one(stage, route):
    if not may(route, "owner") or route.reply == "text/event-stream":
        return
    own = ids(stage, route, "owner")["own"]
    for name in sorted(FILTERS & set(route.parameters.model_fields)):
        kind = "vm" if name == "object_id" else name
        foreign = stage.things["green"][kind]
        told = [plain(ask(stage, route, "owner", own, **{name: ref}), ref) for ref in (foreign, MISSING)]
        assert told[0] == told[1]


def test_every_field_that_names_a_projects_object_is_tried():
    named = {
        (label(route), field)
        for route in ROUTES
        if isinstance(route.body, type)
        for field in _fields(route.body)
        if field.rpartition(".")[2] in NAMES_OBJECTS
    }
    assert named - FOR_ADMINS <= {(name, field) for name, field, _, _ in BODY_REFS}


def _fields(model: type[BaseModel], above: str = "") -> list[str]:
    """Dotted names of a model's fields, and of those of the models in it."""
    found = []
    for name, field in model.model_fields.items():
        found.append(above + name)
        for inner in _models(field.annotation):
            found += _fields(inner, f"{above}{name}.")
    return found


def _models(annotation) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def test_the_matrix_knows_every_collection():
    collections = {collection_of(route) for route in ROUTES if "<ref>" in route.path}
    assert collections <= {*OWNED, *PERSONAL, *SHARED}
