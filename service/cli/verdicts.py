"""Output of a placement decision: hosts with their terms, then the rejected hosts."""

from __future__ import annotations

from service.cli.client import Json
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.reasons import MOST_LINES, grouped

COLUMNS: tuple[Column, ...] = (
    ("HOST", lambda verdict: verdict["host_name"]),
    ("SCORE", lambda verdict: None if verdict["score"] is None else f"{verdict['score']:.3f}"),
)


def print_decision(decision: Json, how: Format) -> None:
    """Print a decision as JSON, or as a table of hosts and lines on rejected hosts."""
    if how is Format.JSON:
        print_one(decision, how)
        return
    verdicts = decision.get("verdicts") or []
    fitting = [verdict for verdict in verdicts if not verdict["reasons"]]
    rejected = [verdict for verdict in verdicts if verdict["reasons"]]
    rows = [*fitting, *(rejected if len(rejected) <= MOST_LINES else ())]
    headings = [("TERMS", any(row["terms"] for row in rows)), ("REJECTED BECAUSE", any(row["reasons"] for row in rows))]
    print_rows(
        rows, [*COLUMNS, (" OR ".join(heading for heading, is_used in headings if is_used), _terms_or_reasons)], how
    )
    if len(rejected) > MOST_LINES:
        for line in grouped({verdict["host_name"]: verdict["reasons"] for verdict in rejected}):
            notes.print(plain(line))
    if decision.get("algorithm"):
        notes.print(plain(_outcome(decision)))
    if decision.get("reasons"):
        counts = ", ".join(f"{name} {hosts}" for name, hosts in sorted(decision["reasons"].items()))
        notes.print(plain(f"hosts rejected by filter: {counts}"))
    if decision.get("exact") is False:
        notes.print(plain("recomputed by another version of the scorers: the original decision had other numbers"))
    if decision.get("fallback"):
        notes.print(plain(f"fallback: {decision['fallback']}"))


def _terms_or_reasons(verdict: Json) -> str | None:
    """Return the reasons against a host, or its scoring terms."""
    return "; ".join(verdict["reasons"]) or ", ".join(f"{name} {value:.2f}" for name, value in verdict["terms"]) or None


def _outcome(decision: Json) -> str:
    chosen = decision.get("chosen")
    time = f", {decision['created_at']}" if decision.get("created_at") else ""
    return f"chosen: {chosen['host_name'] if chosen else 'none'}, algorithm {decision['algorithm']}{time}"
