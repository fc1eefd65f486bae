"""spread: the emptiest host, and few VMs of one project on it."""

from __future__ import annotations

from service.placement.policy import Policy

WEIGHTS = {"vcpus_free": 1.0, "memory_free": 1.0, "spreading": 1.0, "affinity": 1.0}
SPREAD = Policy("spread", WEIGHTS)
