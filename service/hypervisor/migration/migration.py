"""A live migration to a certain end; every step checks both hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.errors import NacreError
from service.hypervisor.contract import MigrationProgress, MigrationReport
from service.hypervisor.errors import (
    DomainNotFoundError,
    DomainRefusedError,
    DomainTwiceError,
    MigrationFailedError,
    MigrationUnclearError,
)
from service.hypervisor.migration.hand_over import HandOver
from service.hypervisor.migration.migration_side import MigrationSide
from service.hypervisor.migration.target_xml import graft
from service.hypervisor.migration.verdict import Presence, Verdict, judge
from service.hypervisor.render import render
from service.hypervisor.spec import DomainSpec

SAMPLE_S = 0.5  # between polls of the progress: libvirt has no event for it
SETTLE_S = 40.0  # longer than libvirtd's own 30 s keepalive towards its peer


class Migration:
    """One VM, one source, one target, one attempt."""

    def __init__(
        self, source: MigrationSide, target: MigrationSide, spec: DomainSpec, *, settle_s: float = SETTLE_S
    ) -> None:
        self._source = source
        self._target = target
        self._spec = spec
        self._vm_id = spec.vm_id
        self._settle_s = settle_s
        self._followed = False
        self._sent = False
        self._failure: NacreError | None = None
        self._begun_s = time.monotonic()

    def run(self, progress: Callable[[MigrationProgress], None]) -> MigrationReport:
        """See Hypervisor.migrate."""
        with self._source.watch(self._vm_id) as leaving, self._target.watch(self._vm_id) as landing:
            hand_over = HandOver(leaving, landing)
            end = self._settle(hand_over, progress)
            if end is Verdict.STAYED and not self._followed:
                self._sent = True
                self._send(hand_over, progress)
                end = self._settle(hand_over, progress)
            return self._result(end, hand_over)

    def _settle(self, hand_over: HandOver, progress: Callable[[MigrationProgress], None]) -> Verdict:
        """Check and act until the two sides agree on one end."""
        deadline = time.monotonic() + self._settle_s
        while True:
            verdict = self._check()
            if verdict in (Verdict.MOVED, Verdict.STAYED, Verdict.TWICE, Verdict.GONE):
                return verdict
            if verdict is Verdict.FOLLOW:
                self._follow(hand_over, progress)
                deadline = time.monotonic() + self._settle_s
            elif verdict is Verdict.SETTLE or not self._act(verdict):
                if time.monotonic() > deadline:
                    raise MigrationUnclearError(self._sentence("is not certain to be on one of them yet; retry"))
                hand_over.wait(SAMPLE_S)

    def _check(self) -> Verdict:
        before, there = self._source.presence(self._vm_id), self._target.presence(self._vm_id)
        same = before is Presence.GONE or before is self._source.presence(self._vm_id)  # what is gone stays gone
        return judge(before, there) if same else Verdict.SETTLE

    def _act(self, verdict: Verdict) -> bool:
        """Apply the verdict; return False if the host refused that now."""
        actions = {
            Verdict.RESUME_TARGET: self._target.resume,
            Verdict.RESUME_SOURCE: self._source.resume,
            Verdict.CLEAR_TARGET: self._target.destroy,
            Verdict.CLEAR_SOURCE: self._source.destroy,
        }
        try:
            actions[verdict](self._vm_id)
        except (DomainRefusedError, DomainNotFoundError):  # it changed since the check: check again
            return False
        return True

    def _follow(self, hand_over: HandOver, progress: Callable[[MigrationProgress], None]) -> None:
        """Wait for the end of a migration that another caller began."""
        self._followed = True
        while (seen := self._source.progress(self._vm_id)) is not None:
            progress(seen)
            hand_over.wait(SAMPLE_S)
            self._finish_overdue(hand_over)

    def _send(self, hand_over: HandOver, progress: Callable[[MigrationProgress], None]) -> None:
        """Run libvirt's migration in a thread and report progress here. How it ended is looked at, not believed."""
        xml = graft(self._source.live_xml(self._vm_id), render(self._spec))
        ended = threading.Event()

        def send() -> None:
            try:
                self._source.send(self._vm_id, self._target.endpoint, xml)
            except NacreError as error:
                self._failure = error
            finally:
                ended.set()

        threading.Thread(target=send, name=f"migrate-{self._vm_id}", daemon=True).start()
        while not ended.wait(SAMPLE_S):
            seen = self._source.progress(self._vm_id)
            if seen is not None:
                progress(seen)
            if self._finish_overdue(hand_over):
                return  # libvirt detects it later by itself

    def _finish_overdue(self, hand_over: HandOver) -> bool:
        """End a source that should have ended: the target's reply is lost.

        Otherwise the source would wait for it half a minute with the guest stopped, and then resume the guest in
        addition to the copy. So the stopped original is ended here. If it was resumed at that moment, the copy is ended
        instead. Returns True if something was done.
        """
        if not hand_over.overdue() or self._source.presence(self._vm_id) is not Presence.LEAVING:
            return False
        self._act(Verdict.CLEAR_SOURCE)
        if hand_over.source_resumed() and self._target.presence(self._vm_id) is Presence.PAUSED:
            self._act(Verdict.CLEAR_TARGET)
        return True

    def _result(self, end: Verdict, hand_over: HandOver) -> MigrationReport:
        if end is Verdict.MOVED:
            return self._report(hand_over)
        if end is Verdict.TWICE:
            raise DomainTwiceError(self._sentence("runs on BOTH: end one of them now"))
        if end is Verdict.GONE:
            raise DomainNotFoundError(self._sentence("is on neither"))
        raise MigrationFailedError(self._sentence(f"stayed and runs: {self._failure or 'the migration was ended'}"))

    def _sentence(self, rest: str) -> str:
        return f"VM {self._vm_id} between {self._source.endpoint.name} and {self._target.endpoint.name} {rest}"

    def _report(self, hand_over: HandOver) -> MigrationReport:
        finished = self._target.finished(self._vm_id)
        total_ms = round((time.monotonic() - self._begun_s) * 1000)
        return MigrationReport(
            total_ms=total_ms if finished is None or self._sent else finished.total_ms,
            downtime_ms=hand_over.downtime_ms(),
            transferred_bytes=None if finished is None else finished.transferred_bytes,
        )
