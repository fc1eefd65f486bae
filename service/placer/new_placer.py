"""From the settings to the process's placer, and to what it needs of them."""

from __future__ import annotations

from service.db.engine.database import Database
from service.db.facts_pages import open_journals
from service.placement.reservations import ReservationRules
from service.placer.facts_journal import FactsJournal
from service.placer.host_facts import Promises
from service.placer.placer import Placer
from service.settings import Settings
from service.world import Ids


def promises(settings: Settings) -> Promises:
    """How far hosts may be promised, and what is kept back on them."""
    return Promises(settings.vcpu_ratio, settings.memory_ratio, reservation_rules(settings))


def reservation_rules(settings: Settings) -> ReservationRules:
    """What OSDs need, at rest and while they recover."""
    return ReservationRules(
        memory_factor=settings.osd_memory_factor,
        vcpus=settings.osd_vcpus,
        recovery_memory_factor=settings.osd_recovery_memory_factor,
        recovery_vcpus=settings.osd_recovery_vcpus,
    )


def new_placer(settings: Settings, db: Database, ids: Ids) -> Placer:
    """One per process, with a journal of its own. Nothing is read yet."""
    journal = FactsJournal(open_journals(settings.facts_journal), ids.uuid())
    return Placer(db, journal, promises=promises(settings), ages_after_s=settings.facts_interval_s / 2)
