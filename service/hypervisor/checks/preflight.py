"""Preflight checks of a host: all problems at once, each with its fix.

Configuration is tested, not read: a guest that starts paused with the network card or the disk proves the bridge, the
secret, the key and Ceph's configuration together, and QEMU's error names what is missing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import libvirt
import libvirt_qemu

from service.errors import NacreError
from service.hypervisor import schema
from service.hypervisor.findings import Expectations, Finding, HostReport, Verdict
from service.hypervisor.libvirt_link import domain_state, host_facts
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.render import render_preflight
from service.hypervisor.spec import VirtType
from service.hypervisor.values import HypervisorFacts
from storage.refs import Attachment, Rbd

OLDEST_LIBVIRT, OLDEST_QEMU = (7, 0, 0), (5, 2, 0)  # Debian 11's: TLS migration, virtio hot-plug and JSON -blockdev
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 10.0  # the guest's clock, which is read, has whole seconds
START_TIMEOUT_S = 60.0


@dataclass(slots=True)
class _Findings:
    """Collector of findings; a check that raises is a finding, too."""

    made: list[Finding] = field(default_factory=list)

    def add(self, check: str, verdict: Verdict, detail: str, mend: str = "") -> None:
        self.made.append(Finding(check, verdict, detail, mend))


class Preflight:
    """Preflight of one host. `probe` boots a kernel and returns the working type."""

    def __init__(self, connection: HostConnection, probe: Callable[[], VirtType]) -> None:
        self._connection = connection
        self._probe = probe
        self._found = _Findings()
        self._look = uuid.uuid4().hex
        self._began_s = time.monotonic()

    def run(self, want: Expectations) -> HostReport:
        """Run the checks. Never raises: an unreachable host has that as its only finding."""
        try:
            hostname, host_uuid, facts = self._connection.call(_identity)
        except NacreError as error:
            self._found.add("reach", "fail", error.detail, _mend_reach(error.detail))
            return HostReport(tuple(self._found.made))
        self._found.add("reach", "ok", f"libvirt answers over TLS as {hostname}")
        want = _with_user(want, hostname)
        if want.volume is not None:  # the same when a look that was cut short is made again
            self._look = str(want.volume)
        self._versions(facts)
        self._uuid(host_uuid, want)
        self._cpu(facts, want)
        if isinstance(want.source, Rbd):
            self._secret(want.source)
        for bridge in want.bridges:
            self._bridge(bridge, facts)
        self._volume(want, facts)
        self._clock(want.now, facts)
        virt_type = self._kvm(facts)
        return HostReport(tuple(self._found.made), hostname, host_uuid, want.ceph_user, facts, virt_type)

    def _versions(self, facts: HypervisorFacts) -> None:
        for name, text, oldest in (
            ("libvirt", facts.libvirt_version, OLDEST_LIBVIRT),
            ("QEMU", facts.qemu_version, OLDEST_QEMU),
        ):
            if tuple(map(int, (text or "0").split("."))) >= oldest:
                self._found.add("versions", "ok", f"{name} {text}")
            else:
                needed = ".".join(map(str, oldest))
                self._found.add("versions", "fail", f"{name} {text} is too old", f"Install {name} {needed} or newer.")

    def _uuid(self, host_uuid: str, want: Expectations) -> None:
        twin = next((name for name, other in want.uuids.items() if other == host_uuid), None)
        if twin is None:
            self._found.add("identity", "ok", f"libvirt's host UUID is {host_uuid}")
        else:
            mend = "Write a new UUID as host_uuid into /etc/libvirt/libvirtd.conf and restart libvirtd."
            self._found.add("identity", "fail", f"host {twin} has the same libvirt UUID: no guest could move", mend)

    def _cpu(self, facts: HypervisorFacts, want: Expectations) -> None:
        mine = frozenset(facts.cpu_features)
        for name, theirs in want.cpu_features.items():
            lacking = sorted(theirs - mine)
            if lacking:
                detail = (
                    f"lacks CPU features that {name} has: {', '.join(lacking[:8])}{' …' if len(lacking) > 8 else ''}"
                )
                mend = (
                    "Set guest_cpu_model in the settings to one that all hosts have, or no guest can be migrated here."
                )
                self._found.add("cpu", "warn", detail, mend)
                return
        self._found.add("cpu", "ok", f"{facts.cpu_model}, {facts.cpus} CPUs, {facts.memory_mib} MiB")

    def _secret(self, rbd: Rbd) -> None:
        def look(connection: libvirt.virConnect) -> bool:
            return rbd.secret_uuid in connection.listSecrets()

        mend = (
            "Define it on the host: virsh secret-define with that UUID, usage type ceph, and virsh secret-set-value "
            f"with the key of client.{rbd.user}."
        )
        self._try("secret", look, f"libvirt has no secret {rbd.secret_uuid}", mend, "the Ceph secret is defined")

    def _bridge(self, bridge: str, facts: HypervisorFacts) -> None:
        def start(connection: libvirt.virConnect) -> bool:
            with _paused(connection, facts, self._guest_id(bridge), bridge=bridge):
                return True

        mend = f"Make the bridge {bridge} on the host, up and with the guests' network card in it."
        self._try(f"bridge {bridge}", start, "", mend, f"a guest's card can be plugged into {bridge}")

    def _volume(self, want: Expectations, facts: HypervisorFacts) -> None:
        if want.volume is None:
            self._found.add(
                "storage", "warn", "not tested: the storage did not respond", "Check 'nacre pool health' first."
            )
            return

        def start(connection: libvirt.virConnect) -> bool:
            with _paused(connection, facts, self._guest_id("volume"), source=want.source):
                return True

        pool = want.volume.pool
        mend = _mend_volume(want.source, pool)
        self._try("storage", start, "", mend, f"QEMU opens a volume of pool {pool} as {want.ceph_user}")

    def _clock(self, now: datetime, facts: HypervisorFacts) -> None:
        def read(connection: libvirt.virConnect) -> float:
            with _paused(connection, facts, self._guest_id("clock")) as domain:
                host_time, elapsed = _guest_clock(domain), timedelta(seconds=time.monotonic() - self._began_s)
                return abs((host_time - now - elapsed).total_seconds())

        try:
            skew_s = self._connection.call(read, timeout_s=START_TIMEOUT_S)
        except NacreError as error:
            self._found.add("time", "warn", f"the host's time could not be read: {error.detail}", "Compare it by hand.")
            return
        verdict: Verdict = "ok" if skew_s < SKEW_WARN_S else "warn" if skew_s < SKEW_FAIL_S else "fail"
        mend = "" if verdict == "ok" else "Install chrony on the host and on the control plane."
        self._found.add("time", verdict, f"the clocks differ by {skew_s:.0f} s, give or take one", mend)

    def _kvm(self, facts: HypervisorFacts) -> VirtType | None:
        try:
            virt_type = self._probe()
        except NacreError as error:
            mend = (
                "Put a kernel and an initrd that powers off into /var/lib/nacre/probe (docs/howto/existing-hosts.md)."
            )
            self._found.add("kvm", "fail", error.detail, mend)
            return None
        if virt_type == "kvm":
            self._found.add("kvm", "ok", "a kernel boots with KVM")
        else:
            why = "a kernel does not boot with KVM" if facts.kvm_offered else "libvirt offers no KVM"
            mend = "Switch virtualisation on in the firmware, load kvm_intel or kvm_amd, and look at /dev/kvm."
            self._found.add("kvm", "warn", f"{why}: guests are emulated, many times slower", mend)
        return virt_type

    def _guest_id(self, purpose: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._look}/{purpose}"))

    def _try(self, check: str, look: Callable[[libvirt.virConnect], bool], missing: str, mend: str, fine: str) -> None:
        try:
            good, detail = self._connection.call(look, timeout_s=START_TIMEOUT_S), missing
        except NacreError as error:
            good, detail = False, _qemu_error(error.detail)
        self._found.add(check, "ok" if good else "fail", fine if good else detail, "" if good else mend)


def _identity(connection: libvirt.virConnect) -> tuple[str, str, HypervisorFacts]:
    capabilities = schema.parse(connection.getCapabilities())
    return connection.getHostname(), capabilities.findtext("host/uuid") or "", host_facts.read(connection)


def _qemu_error(detail: str) -> str:
    """Return the end of QEMU's error, which repeats the whole command first."""
    command, found, words = detail.rpartition("}: ")
    return f"QEMU: {words.strip()}" if found and "-blockdev" in command else detail


def _with_user(want: Expectations, hostname: str) -> Expectations:
    user = want.ceph_user or f"host-{hostname.partition('.')[0]}"
    source = replace(want.source, user=user) if isinstance(want.source, Rbd) else want.source
    return replace(want, ceph_user=user, source=source)


def _mend_volume(source: Attachment, pool: str) -> str:
    if not isinstance(source, Rbd):
        return f"Check on the host that QEMU can open a volume of pool {pool}."
    return (
        f"Check on the host that {source.conf_path} is this cluster's and can be read by QEMU, that the "
        f"secret's value is the key of client.{source.user}, and that it may use the pool {pool}."
    )


def _mend_reach(detail: str) -> str:
    """Return the next step for a failed TLS handshake, by the error's text."""
    for words, mend in (
        ("refused", "Start libvirtd-tls.socket on the host, and open port 16514 to the control plane."),
        ("IP address mismatch", "Issue the host a certificate whose subjectAltName has this address."),
        ("Hostname mismatch", "Issue the host a certificate whose subjectAltName has this name."),
        ("expired", "Renew the certificate that has expired, on the host or in libvirt_pki."),
        ("unable to get local issuer", "Have the host's certificate signed by the CA in libvirt_pki/cacert.pem."),
        ("self-signed", "Have the host's certificate signed by the CA in libvirt_pki/cacert.pem."),
        (
            "does not accept",
            "Add the control plane's certificate to tls_allowed_dn_list in libvirtd.conf, and its CA to /etc/pki/CA.",
        ),
        ("no answer in time", "Check the address, that the host is up, and that no firewall drops port 16514."),
    ):
        if words in detail:
            return mend
    return "Check that libvirtd listens with TLS on port 16514 there and that both sides' certificates fit."


@contextmanager
def _paused(
    connection: libvirt.virConnect,
    facts: HypervisorFacts,
    guest_id: str,
    *,
    bridge: str | None = None,
    source: Attachment | None = None,
) -> Iterator[libvirt.virDomain]:
    """Create a tiny paused guest with one device for the duration of the block.

    One left by a killed process is ended first: it would hold its volume open for ever.
    """
    _end(connection, guest_id)
    xml = render_preflight(
        uuid=guest_id,
        name=f"nacre-preflight-{guest_id[:8]}",
        machine=facts.machine,
        bridge=bridge,
        source=source,
    )
    domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE | libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        yield domain
    finally:
        _end(connection, guest_id)


def _end(connection: libvirt.virConnect, guest_id: str) -> None:
    left = domain_state.find(connection, guest_id)
    if left is not None:
        left.destroyFlags(0)


def _guest_clock(domain: libvirt.virDomain) -> datetime:
    """Return a guest's real-time clock, which starts as its host's.

    QEMU's answer is like C's struct tm: years from 1900, months from 0.
    """
    ask = {"execute": "qom-get", "arguments": {"path": "/machine", "property": "rtc-time"}}
    clock = json.loads(libvirt_qemu.qemuMonitorCommand(domain, json.dumps(ask), 0))["return"]
    return datetime(
        clock["tm_year"] + 1900, clock["tm_mon"] + 1, clock["tm_mday"],
        clock["tm_hour"], clock["tm_min"], clock["tm_sec"], tzinfo=UTC,
    )  # fmt: skip
