"""Handlers for `/metrics` (Prometheus) and a VM's measurements.

This process counts its own requests in its Meters. All other metrics are read from the databases at each scrape, so
every API process returns the same values. Per-VM counters have the names of the common libvirt exporters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.api.handlers.history import shown
from service.api.metrics import host_metrics, vm_metrics, worker_meters
from service.api.models.metrics import AskHistory
from service.db import measurements, queries
from service.db.engine.database import unit_of_work
from service.db.measurements import KEPT, RAW_S, ROLLED_S, VMS
from service.db.scope import EVERYTHING
from service.db.tables import Host, Vm
from service.edge.call import Call, Reply
from service.jobs import counts

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STALE_AFTER = timedelta(seconds=90)


def scrape(call: Call) -> Reply:
    """Show all metrics in Prometheus' text format."""
    database = CollectorRegistry(auto_describe=False)
    families = [*_of_processes(call), *_of_the_cloud(), *_of_slots(call), *_of_hosts(), *_of_vms(call)]
    database.register(_Collected(families))
    return Reply(generate_latest(database), media_type=MEDIA_TYPE)


def history(call: Call[None, AskHistory]) -> Reply:
    """Show a VM's measurements of up to two weeks.

    The step is 15 s within the last two hours, else 5 minutes. `…/history` has more options.
    """
    query = call.query
    vm = queries.get(Vm, call.ref, call.actor.scope)
    now, back = call.ctx.clock.now(), timedelta(minutes=query.minutes)
    step_s = RAW_S if back <= KEPT[RAW_S] else ROLLED_S
    with unit_of_work(call.ctx.measurements):
        samples = measurements.points(VMS, vm.id, now - back, now, step_s=step_s)
    return Reply({"step_s": step_s, "samples": shown(VMS.names, samples)})


class _Collected(Collector):
    """Collector of given metric families."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _of_processes(call: Call) -> list[Metric]:
    with unit_of_work(call.ctx.measurements):
        kept = measurements.kept_meters(call.ctx.clock.now() - STALE_AFTER)
    return worker_meters.joined(call.ctx.meters.registry.collect(), kept)


def _of_hosts() -> list[Metric]:
    return host_metrics.families(queries.everything(Host, EVERYTHING))


def _of_the_cloud() -> Iterator[Metric]:
    ended = CounterMetricFamily("nacre_jobs", "Jobs that have ended.", labels=("kind", "state"))
    seconds = CounterMetricFamily("nacre_job_seconds", "Seconds from request to end, summed.", labels=("kind", "state"))
    for kind, state, count, ms in counts.ended_jobs():
        ended.add_metric((kind, state), count)
        seconds.add_metric((kind, state), ms / 1000)
    yield ended
    yield seconds
    yield _gauge("nacre_jobs_unfinished", "Jobs that have not ended.", ("kind", "state"), counts.unfinished_jobs())
    yield _gauge("nacre_hosts", "Hosts.", ("state", "reachable"), counts.hosts())
    yield _gauge("nacre_vms", "VMs.", ("desired_state", "observed_state"), counts.vms())


def _of_slots(call: Call) -> Iterator[Metric]:
    slots = {"wait": call.slots.waits, "stream": call.slots.streams, "upload": call.slots.uploads}
    total = [((name,), kind.total) for name, kind in slots.items()]
    yield _gauge("nacre_slots", "Slots of this process for long-running requests.", ("kind",), total)
    taken = [((name,), kind.taken) for name, kind in slots.items()]
    yield _gauge("nacre_slots_taken", "Slots of this process in use.", ("kind",), taken)


def _of_vms(call: Call) -> list[Metric]:
    with unit_of_work(call.ctx.measurements):
        rows = measurements.latest(call.ctx.clock.now() - STALE_AFTER)
    return vm_metrics.families(rows)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Sequence[tuple[tuple[str, ...], int]]) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for at, value in values:
        gauge.add_metric(at, value)
    return gauge
