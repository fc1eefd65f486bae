"""The part of the context that jobs use, and the topics that they ring."""

from __future__ import annotations

from typing import Protocol

from service.db.engine.database import Database
from service.world import Bell, Clock, Ids

QUEUE = "jobs"  # a job may be claimable


def job_topic(job_id: str) -> str:
    """Return the topic that is rung at every change of one job."""
    return f"job:{job_id}"


class JobContext(Protocol):
    """Subset of service.context.Context that jobs use."""

    @property
    def clock(self) -> Clock: ...

    @property
    def ids(self) -> Ids: ...

    @property
    def bell(self) -> Bell: ...

    @property
    def db(self) -> Database: ...
