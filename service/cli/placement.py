"""nacre placement …"""

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

app = group("Decisions where VMs run: why, what else it could have been, what if.")

COLUMNS: tuple[Column, ...] = (
    ("ID", lambda one: one["id"]),
    ("TIME", lambda one: one["created_at"]),
    ("VM", lambda one: one.get("vm") or one["vm_id"]),
    ("HOST", lambda one: (one["chosen"] or {}).get("host_name")),
    ("SCORE", lambda one: f"{one['chosen']['score']:.3f}" if one["chosen"] else None),
    ("ALGORITHM", lambda one: one["algorithm"]),
)
OUTCOMES: tuple[Column, ...] = (
    ("VMS", lambda one: one["name"]),
    ("ASKED", lambda one: one["count"]),
    ("PLACED", lambda one: one["placed"]),
    ("ON", lambda one: ", ".join(f"{host} {vms}" for host, vms in one["hosts"].items()) or None),
    ("WHY NOT ALL", lambda one: _counts(one["refused"])),
)
LEFT: tuple[Column, ...] = (
    ("HOST", lambda one: one["host"]),
    ("VMS", lambda one: one["vms"]),
    ("VCPUS FREE", lambda one: one["free_vcpus"]),
    ("MIB FREE", lambda one: one["free_memory_mib"]),
)
Id = Annotated[str, typer.Argument(help="The decision's id: 'nacre placement list' shows it.")]
Algorithm = Annotated[str | None, typer.Option("--algorithm", help="Say pack, spread, round_robin, storage_cpu.")]
Weights = Annotated[
    list[str] | None, typer.Option("--weight", help="TERM=NUMBER; may be repeated.", metavar="TERM=NUMBER")
]


@app.command("list")
def list_placements(
    vm: Annotated[str, typer.Option(help="Only those about this VM.")] = "",
    host: Annotated[str, typer.Option(help="Only those that chose this host.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List decisions, the newest first."""
    query = {key: value for key, value in {"vm": vm, "host": host}.items() if value}
    print_rows(client().get("/v1/placements", **query, limit=limit)["items"], COLUMNS, output)


@app.command()
def show(
    placement: Id,
    full: Annotated[bool, typer.Option("--full", help="Every host, as it was seen then.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show a decision: the best hosts with every term, and what ruled out the others."""
    query = {"full": "true"} if full else {}
    print_decision(client().get(at("placements", placement), **query), output)


@app.command(
    epilog=examples("nacre placement replay ID --algorithm pack", "nacre placement replay ID --weight trend=0")
)
def replay(placement: Id, algorithm: Algorithm = None, weight: Weights = None, output: Output = Format.TABLE) -> None:
    """Decide again on the facts of then, by another algorithm or other weights. Nothing is moved."""
    decision = client().post(at("placements", placement, "replay"), policy(algorithm, weight))
    print_decision(decision, output)
    if output is Format.TABLE:
        notes.print(plain("the same host as then" if decision["same"] else "another host than then"))


@app.command(
    epilog=examples(
        "nacre placement simulate --vms small=200",
        "nacre placement simulate --lose host3",
        "nacre placement simulate --vms 8x32768=10 --add host1=2 --all",
    )
)
def simulate(
    vms: Annotated[
        list[str] | None, typer.Option("--vms", help="FLAVOR=COUNT, or VCPUSxMIB=COUNT; may be repeated.")
    ] = None,
    lose: Annotated[list[str] | None, typer.Option("--lose", help="A host; its VMs are placed first.")] = None,
    add: Annotated[list[str] | None, typer.Option("--add", help="LIKE_THIS_HOST=COUNT; may be repeated.")] = None,
    whole: Annotated[bool, typer.Option("--all", help="All new VMs or none.")] = False,
    algorithm: Algorithm = None,
    weight: Weights = None,
    output: Output = Format.TABLE,
) -> None:
    """What if: VMs came, hosts were lost or added? On the hosts as they are now; nothing changes."""
    body: Json = {
        "vms": [_vms(text) for text in vms or ()],
        "hosts_lost": lose or [],
        "hosts_added": _hosts(add or []),
        "fit": "all" if whole else "most",
    }
    told = client().post("/v1/placements:simulate", body | policy(algorithm, weight))
    if output is Format.JSON:
        print_one(told, output)
        return
    rows = [*(one | {"name": f"of {one['name']}"} for one in told["lost"]), *told["vms"]]
    print_rows(rows, OUTCOMES, output)
    for fallback in sorted({one["first"]["fallback"] for one in rows if one["first"] and one["first"]["fallback"]}):
        notes.print(plain(f"fallback: {fallback}"))
    left = f"{told['free_vcpus']} vCPUs and {told['free_memory_mib']} MiB would be left"
    notes.print(plain(f"by {told['algorithm']}; {left}:"))
    print_rows(told["left"], LEFT, output)


def policy(algorithm: str | None, weights: list[str] | None) -> Json:
    """What to decide with, as the API takes it. Raises UsageError."""
    said: Json = {} if algorithm is None else {"algorithm": algorithm}
    return said | ({"weights": dict(map(_weight, weights))} if weights else {})


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise UsageError(f"'{text}' is no weight: write TERM=NUMBER, say osd_latency=0.5.")
    return name, weight


def _vms(text: str) -> Json:
    what, _, count = text.partition("=")
    vcpus, by, memory_mib = what.partition("x")
    if not what or not (count.isdecimal() or not count):
        raise UsageError(f"'{text}': write FLAVOR=COUNT, or VCPUSxMIB=COUNT.")
    size: Json = {"flavor": what}
    if by and vcpus.isdecimal() and memory_mib.isdecimal():
        size = {"vcpus": int(vcpus), "memory_mib": int(memory_mib)}
    return {"name": what, **size, "count": int(count or 1)}


def _hosts(texts: list[str]) -> list[Json]:
    counts: Counter[str] = Counter()
    for text in texts:
        like, _, count = text.partition("=")
        if not like or not (count.isdecimal() or not count):
            raise UsageError(f"'{text}': write LIKE_THIS_HOST=COUNT.")
        counts[like] += int(count or 1)
    return [{"name": f"like-{like}", "like": like, "count": count} for like, count in counts.items()]


def _counts(refused: dict[str, Any] | None) -> str | None:
    if refused is None:
        return None
    return ", ".join(f"{name} {hosts}" for name, hosts in sorted(refused["reasons"].items())) or "there is no host"
