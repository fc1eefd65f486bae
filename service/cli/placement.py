"""Commands nacre placement."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, examples, group
from service.cli.verdicts import print_decision

app = group("Placement decisions: on which host a VM runs, and why.")

COLUMNS: tuple[Column, ...] = (
    ("ID", lambda decision: decision["id"]),
    ("TIME", lambda decision: decision["created_at"]),
    ("VM", lambda decision: decision.get("vm") or decision["vm_id"]),
    ("HOST", lambda decision: (decision["chosen"] or {}).get("host_name")),
    ("SCORE", lambda decision: f"{decision['chosen']['score']:.3f}" if decision["chosen"] else None),
    ("ALGORITHM", lambda decision: decision["algorithm"]),
)
OUTCOMES: tuple[Column, ...] = (
    ("VMS", lambda outcome: outcome["name"]),
    ("REQUESTED", lambda outcome: outcome["count"]),
    ("PLACED", lambda outcome: outcome["placed"]),
    ("HOSTS", lambda outcome: ", ".join(f"{host} {vms}" for host, vms in outcome["hosts"].items()) or None),
    ("NOT PLACED BECAUSE", lambda outcome: _counts(outcome["refused"])),
)
FREE: tuple[Column, ...] = (
    ("HOST", lambda host: host["host"]),
    ("VMS", lambda host: host["vms"]),
    ("FREE VCPUS", lambda host: host["free_vcpus"]),
    ("FREE MIB", lambda host: host["free_memory_mib"]),
)
Id = Annotated[str, typer.Argument(help="The decision's id: 'nacre placement list' shows it.")]
Algorithm = Annotated[
    str | None, typer.Option("--algorithm", help="Algorithm: storage_cpu, spread, pack, round_robin or a custom one.")
]
Weights = Annotated[
    list[str] | None, typer.Option("--weight", help="Weight of a scoring term; may be repeated.", metavar="TERM=NUMBER")
]


@app.command("list")
def list_placements(
    vm: Annotated[str, typer.Option(help="Only decisions about this VM.")] = "",
    host: Annotated[str, typer.Option(help="Only decisions for this host.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of decisions.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List placement decisions, newest first."""
    query = {key: value for key, value in {"vm": vm, "host": host}.items() if value}
    print_rows(client().get("/v1/placements", **query, limit=limit)["items"], COLUMNS, output)


@app.command()
def show(
    placement: Id,
    full: Annotated[bool, typer.Option("--full", help="Include every host, from the facts at the time.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show a placement decision with scores and reasons."""
    query = {"full": "true"} if full else {}
    print_decision(client().get(at("placements", placement), **query), output)


@app.command(
    epilog=examples("nacre placement replay ID --algorithm pack", "nacre placement replay ID --weight trend=0")
)
def replay(placement: Id, algorithm: Algorithm = None, weight: Weights = None, output: Output = Format.TABLE) -> None:
    """Replay a decision with another algorithm or weights.

    It uses the facts of the original decision. No VM is moved.
    """
    decision = client().post(at("placements", placement, "replay"), policy(algorithm, weight))
    print_decision(decision, output)
    if output is Format.TABLE:
        notes.print(
            plain(
                "same host as the original decision" if decision["same"] else "another host than the original decision"
            )
        )


@app.command(
    epilog=examples(
        "nacre placement simulate --vms small=200",
        "nacre placement simulate --lose host3",
        "nacre placement simulate --vms 8x32768=10 --add host1=2 --all",
    )
)
def simulate(
    vms: Annotated[
        list[str] | None, typer.Option("--vms", help="New VMs: FLAVOR=COUNT or VCPUSxMIB=COUNT; may be repeated.")
    ] = None,
    lose: Annotated[
        list[str] | None, typer.Option("--lose", help="Host that fails; its VMs are placed first; may be repeated.")
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", help="New hosts: HOST=COUNT like an existing one; may be repeated.")
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="Place all new VMs or none.")] = False,
    algorithm: Algorithm = None,
    weight: Weights = None,
    output: Output = Format.TABLE,
) -> None:
    """Simulate new VMs, lost hosts and added hosts.

    It uses the current hosts. Nothing is allocated or changed.
    """
    body: Json = {
        "vms": [_vms(text) for text in vms or ()],
        "hosts_lost": lose or [],
        "hosts_added": _hosts(add or []),
        "fit": "all" if whole else "most",
    }
    simulation = client().post("/v1/placements:simulate", body | policy(algorithm, weight))
    if output is Format.JSON:
        print_one(simulation, output)
        return
    lost = [outcome | {"name": f"of {outcome['name']}"} for outcome in simulation["lost"]]
    rows = [*lost, *simulation["vms"]]
    print_rows(rows, OUTCOMES, output)
    decisions = [row["first"] for row in rows if row["first"]]
    for fallback in sorted({decision["fallback"] for decision in decisions if decision["fallback"]}):
        notes.print(plain(f"fallback: {fallback}"))
    free = f"{simulation['free_vcpus']} vCPUs and {simulation['free_memory_mib']} MiB would remain free"
    notes.print(plain(f"algorithm {simulation['algorithm']}; {free}:"))
    print_rows(simulation["left"], FREE, output)


def policy(algorithm: str | None, weights: list[str] | None) -> Json:
    """Return algorithm and weights as fields of a request body. Raises UsageError."""
    body: Json = {} if algorithm is None else {"algorithm": algorithm}
    return body | ({"weights": dict(map(_weight, weights))} if weights else {})


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise UsageError(f"'{text}' is not a weight: write TERM=NUMBER, for example osd_latency=0.5.")
    return name, weight


def _vms(text: str) -> Json:
    size_text, _, count = text.partition("=")
    vcpus, by, memory_mib = size_text.partition("x")
    if not size_text or not (count.isdecimal() or not count):
        raise UsageError(f"'{text}': write FLAVOR=COUNT, or VCPUSxMIB=COUNT.")
    size: Json = {"flavor": size_text}
    if by and vcpus.isdecimal() and memory_mib.isdecimal():
        size = {"vcpus": int(vcpus), "memory_mib": int(memory_mib)}
    return {"name": size_text, **size, "count": int(count or 1)}


def _hosts(texts: list[str]) -> list[Json]:
    counts: Counter[str] = Counter()
    for text in texts:
        like, _, count = text.partition("=")
        if not like or not (count.isdecimal() or not count):
            raise UsageError(f"'{text}': write HOST=COUNT.")
        counts[like] += int(count or 1)
    return [{"name": f"like-{like}", "like": like, "count": count} for like, count in counts.items()]


def _counts(refused: dict[str, Any] | None) -> str | None:
    if refused is None:
        return None
    return ", ".join(f"{name} {hosts}" for name, hosts in sorted(refused["reasons"].items())) or "no hosts"
