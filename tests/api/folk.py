"""People for tests: users with a password or a token, projects, and clients that speak for them."""

import httpx

from service.db import quotas
from service.db.engine.database import unit_of_work
from service.db.tables import Project, Quota
from tests.api.world import Cloud

PASSWORD = "a long pass phrase"


def project(cloud: Cloud, name: str, **quotas_: int) -> dict:
    body = {"name": name, "quotas": {resource.replace("gib_", "gib:"): limit for resource, limit in quotas_.items()}}
    return cloud.created(cloud.api.post("/v1/projects", json=body))


def user(cloud: Cloud, name: str, role: str = "user", *projects: str, **more) -> dict:
    body = {"name": name, "role": role, "projects": list(projects)}
    return cloud.created(cloud.api.post("/v1/users", json=body | more))


def person(cloud: Cloud, name: str, role: str = "user", *projects: str, **token) -> httpx.Client:
    """A new user's client, with a token that an admin made for them."""
    user(cloud, name, role, *projects)
    return with_token(cloud, name, **token)


def with_token(cloud: Cloud, name: str, **token) -> httpx.Client:
    """Another token of a user, and a client that has it."""
    number = len(cloud.api.get("/v1/tokens", params={"user": name}).json()["items"])
    made = cloud.created(cloud.api.post("/v1/tokens", json={"name": f"t{number}", "user": name} | token))
    return bearing(cloud, made["token"])


def bearing(cloud: Cloud, secret: str) -> httpx.Client:
    return cloud.client(None, Authorization=f"Bearer {secret}")


def used(cloud: Cloud, name: str = "default") -> dict[str, int]:
    """A project's counters that are not zero."""
    items = cloud.api.get(f"/v1/projects/{name}/quotas").json()["items"]
    return {item["resource"]: item["used"] for item in items if item["used"]}


def assert_counted(cloud: Cloud) -> None:
    """Every counter is what the rows add up to, and none is beyond its limit."""
    with unit_of_work(cloud.db):
        for row in Project.select():
            kept = {quota.resource: quota.used for quota in quotas.of_project(row.id)}
            counted = quotas.recounted(row.id)
            assert {key: kept.get(key, 0) for key in {*kept, *counted}} == {
                key: counted.get(key, 0) for key in {*kept, *counted}
            }
        assert not list(Quota.select().where(Quota.used > Quota.limit))
