"""A decision as people read it: the hosts with their terms, then why not the others."""

from __future__ import annotations

from service.cli.client import Json
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.reasons import MOST_LINES, grouped

COLUMNS: tuple[Column, ...] = (
    ("HOST", lambda verdict: verdict["host_name"]),
    ("SCORE", lambda verdict: None if verdict["score"] is None else f"{verdict['score']:.3f}"),
)


def print_decision(decision: Json, how: Format) -> None:
    """All of it as JSON; as a table the verdicts, and a line on what was ruled out."""
    if how is Format.JSON:
        print_one(decision, how)
        return
    verdicts = decision.get("verdicts") or []
    fit, out = [one for one in verdicts if not one["reasons"]], [one for one in verdicts if one["reasons"]]
    rows = [*fit, *(out if len(out) <= MOST_LINES else ())]
    headings = [("TERMS", any(one["terms"] for one in rows)), ("WHY NOT", any(one["reasons"] for one in rows))]
    print_rows(rows, [*COLUMNS, (" OR ".join(heading for heading, is_told in headings if is_told), _why)], how)
    if len(out) > MOST_LINES:
        for line in grouped({one["host_name"]: one["reasons"] for one in out}):
            notes.print(plain(line))
    if decision.get("algorithm"):
        notes.print(plain(_outcome(decision)))
    if decision.get("reasons"):
        counts = ", ".join(f"{name} {hosts}" for name, hosts in sorted(decision["reasons"].items()))
        notes.print(plain(f"hosts ruled out by: {counts}"))
    if decision.get("exact") is False:
        notes.print(plain("worked out by another version of the scorers: the decision itself had other numbers"))
    if decision.get("fallback"):
        notes.print(plain(f"fallback: {decision['fallback']}"))


def _why(verdict: Json) -> str | None:
    """A host has the one or the other."""
    return "; ".join(verdict["reasons"]) or ", ".join(f"{name} {value:.2f}" for name, value in verdict["terms"]) or None


def _outcome(decision: Json) -> str:
    chosen = decision.get("chosen")
    when = f", {decision['created_at']}" if decision.get("created_at") else ""
    return f"chosen: {chosen['host_name'] if chosen else 'none'}, by {decision['algorithm']}{when}"
