"""What a process counts of itself, for Prometheus. Every process has its own; what the database knows is counted there.

Names: `nacre_…`, with base units. Labels are few and bounded: the route's template, never the path.
"""

from __future__ import annotations

from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second sample beside each, which is of no use here

# Name, type, what it is, and samples: name, labels, value.
Family: TypeAlias = tuple[str, str, str, list[tuple[str, dict[str, str], float]]]

HTTP_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
PLACEMENT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)


class Meters:
    """Counters and histograms of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "nacre_http_requests", "HTTP requests.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "nacre_http_request_seconds",
            "Seconds from the start of a request to its response.",
            ("method", "route"),
            registry=self.registry,
            buckets=HTTP_BUCKETS,
        )
        self._placements = Histogram(
            "nacre_placement_seconds",
            "Seconds of a placement decision, with the reading of changed facts.",
            ("result",),
            registry=self.registry,
            buckets=PLACEMENT_BUCKETS,
        )

        self._fallbacks = Counter(
            "nacre_placement_fallbacks",
            "Decisions by storage_cpu because the requested algorithm returned no valid result.",
            ("algorithm",),
            registry=self.registry,
        )

        self._races = Counter(
            "nacre_placement_races",
            "Claims rejected because the host had changed since the decision; normally 0.",
            registry=self.registry,
        )

    def http(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the template, "-" where there is none."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def placed(self, seconds: float, *, fits: bool) -> None:
        """A placement was decided."""
        self._placements.labels("placed" if fits else "nothing_fits").observe(seconds)

    def fell_back(self, algorithm: str) -> None:
        """Another algorithm than this one had to decide."""
        self._fallbacks.labels(algorithm).inc()

    def raced(self) -> None:
        """A claim was refused: the host was another than the decision saw."""
        self._races.inc()

    def families(self) -> list[Family]:
        """All that was counted so far, as JSON data."""
        return [
            (
                family.name,
                family.type,
                family.documentation,
                [(one.name, one.labels, one.value) for one in family.samples],
            )
            for family in self.registry.collect()
            if family.samples
        ]
