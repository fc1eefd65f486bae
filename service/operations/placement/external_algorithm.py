"""External algorithms: an installed entry point, or a program that reads JSON.

Both get the same request and may give the same answers (docs/howto/choose-an-algorithm.md). If one fails, storage_cpu
decides instead; the log, a metric and the decision record that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import structlog

from service.algorithm_names import EXEC, GROUP
from service.context import Context
from service.json_types import Json, JsonObject
from service.operations.placement import external_protocol as question
from service.placement.columns import Floats
from service.placement.facts import VmRequest
from service.placement.place import verdicts
from service.placement.policy import PickFailedError, Policy
from service.placement.ranking import ranking_of
from service.placement.table import HostTable
from service.program import ProgramError, TooLateError, ask

log = structlog.get_logger(__name__)

VERSION = 1  # of the request
MOST_CANDIDATES = 1000  # the best by score, so that the request's size is bounded
REST_S = 30.0  # pause after a timeout: otherwise every placement would wait for the next one
MOST_TOGETHER_S = 4.0  # for all VMs of a batch: meanwhile no other transaction can write to the database
Choose = Callable[[JsonObject, list[JsonObject]], Json]


class Outsider:
    """Pick by an external algorithm."""

    def __init__(self, ctx: Context, name: str, weights: Mapping[str, float]) -> None:
        self._ctx = ctx
        self._name = name
        self._scoring = Policy(name, weights)

    def __call__(self, table: HostTable, want: VmRequest, _scores: Floats) -> int:
        """Return the chosen row. Raises PickFailedError, after it was logged and counted."""
        try:
            return self._choose(table, want)
        except PickFailedError as failure:
            self._ctx.meters.fell_back(self._name)
            log.warning("placement algorithm failed", algorithm=self._name, problem=str(failure), instead="storage_cpu")
            raise

    def _choose(self, table: HostTable, want: VmRequest) -> int:
        if self._name.startswith(EXEC):
            self._check_program()
        ranking = ranking_of(table, want, self._scoring, table.cloud(want))
        rows = ranking.best(MOST_CANDIDATES)
        judged = verdicts(table, ranking, rows, self._scoring)
        answer = self._call(
            question.request(want),
            [question.candidate(table.at(row), verdict, want) for row, verdict in zip(rows, judged, strict=True)],
        )
        hosts = {verdict.host_name: row for row, verdict in zip(rows, judged, strict=True)}
        return hosts[_chosen(answer, hosts)]

    def _call(self, request: JsonObject, candidates: list[JsonObject]) -> Json:
        resting, clock = self._ctx.memory.resting, self._ctx.clock
        transaction = self._ctx.db.top_transaction()  # type: ignore[no-untyped-call]
        if transaction is not None and resting.used_s(self._name, transaction) >= MOST_TOGETHER_S:
            raise PickFailedError(f"took {MOST_TOGETHER_S:g} s for the earlier VMs of the batch")
        began_s = clock.monotonic()
        try:
            return self._answer(request, candidates)
        finally:
            resting.used(self._name, transaction, clock.monotonic() - began_s)

    def _answer(self, request: JsonObject, candidates: list[JsonObject]) -> Json:
        if self._name.startswith(EXEC):
            return self._ask_program(request, candidates)
        choose = _loaded(self._name)
        try:
            return choose(request, candidates)
        except (Exception, SystemExit) as failure:  # foreign code may raise anything; the VM is placed all the same
            raise PickFailedError(f"failed with {type(failure).__name__}: {_short(str(failure))}") from failure

    def _check_program(self) -> None:
        if self._name != self._ctx.settings.placement_algorithm:
            raise PickFailedError("is not the program of the setting placement_algorithm")
        if (left_s := self._ctx.memory.resting.left_s(self._name, self._ctx.clock.monotonic())) > 0:
            raise PickFailedError(f"did not answer in time and is paused for {math.ceil(left_s)} s")

    def _ask_program(self, request: JsonObject, candidates: list[JsonObject]) -> Json:
        clock, timeout_s = self._ctx.clock, self._ctx.settings.placement_exec_timeout_s
        payload = json.dumps({"version": VERSION, "request": request, "candidates": candidates}).encode()
        program = Path(self._name.removeprefix(EXEC))
        try:
            answer = ask(program, payload, timeout_s=timeout_s, monotonic=clock.monotonic)
        except ProgramError as failure:
            if isinstance(failure, TooLateError):
                self._ctx.memory.resting.rest(self._name, clock.monotonic() + REST_S)
            raise PickFailedError(str(failure)) from failure
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as failure:
            raise PickFailedError(f"answers no JSON: {_short(answer.decode(errors='replace'))}") from failure


def _chosen(answer: Json, hosts: Collection[str]) -> str:
    """Return the host of an answer.

    An answer is a name, {"host": name}, or {"scores": {name: number}}, whose highest wins.
    """
    if isinstance(answer, dict) and answer.keys() == {"host"}:
        answer = answer["host"]
    if isinstance(answer, dict) and answer.keys() == {"scores"}:
        answer = _highest(answer["scores"])
    if not isinstance(answer, str):
        raise PickFailedError(f"answers neither a host nor scores, but {type(answer).__name__}")
    if answer not in hosts:
        raise PickFailedError(f"names '{_short(answer)}', which is none of the {len(hosts)} hosts that may take the VM")
    return answer


def _highest(scores: Json) -> str | None:
    """Return the host with the highest score; of equals the first by name."""
    if not isinstance(scores, dict) or not all(isinstance(name, str) and _is_number(scores[name]) for name in scores):
        raise PickFailedError("answers scores that are no finite numbers by host")
    return min(scores, key=lambda name: (-scores[name], name), default=None)


def _is_number(value: Json) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"


def _loaded(name: str) -> Choose:
    """Load the entry point. An error of its import counts as its failure."""
    points = tuple(entry_points(group=GROUP, name=name))
    if not points:
        raise PickFailedError(f"is no installed entry point of {GROUP}")
    try:
        choose: Choose = points[0].load()
    except (Exception, SystemExit) as failure:  # foreign code, as above; Python caches what was imported
        raise PickFailedError(f"cannot be loaded: {type(failure).__name__}: {_short(str(failure))}") from failure
    return choose
