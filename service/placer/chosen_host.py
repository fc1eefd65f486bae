"""The host that a VM was allocated on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChosenHost:
    """A host with what a start there needs: its virtualisation and its newest machine type."""

    id: str
    name: str
    virt_type: str | None
    machine: str | None
