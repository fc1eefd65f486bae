"""What exists already: hosts before their use, pools, guests of somebody else."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from lab.machine import Machine
from lab.service import cluster_facts, nacre
from storage.refs import ImageRef, VolumeRef
from tests.lab.agreement import hosts_of
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually
from tests.lab.whole_lab import IMAGE

DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact'><model fallback='forbid'>Nehalem</model></cpu>
  <devices>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      <source protocol='rbd' name='vms/{name}'>
        <config file='/etc/ceph/ceph.conf'/>
        <auth username='host-{host}'><secret type='ceph' uuid='{secret}'/></auth>
      </source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:77:00:01'/>
      <source bridge='{bridge}'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'/>
  </devices>
</domain>
"""


@pytest.fixture
def theirs(cloud: Cloud) -> Iterator[tuple[Machine, str]]:
    """A guest that somebody else defined and started, on a clone of their own; (its host, its name)."""
    machine, name = cloud.lab.machines[0], f"theirs-{uuid.uuid4().hex[:8]}"
    facts, disk = cluster_facts(cloud.lab.spec), VolumeRef("vms", name)
    image = ImageRef("images", f"image-{nacre(cloud.lab.spec, 'image', 'show', IMAGE)['id']}")
    cloud.lab.storage.clone(image, disk, size_bytes=1 << 30, job_id="theirs")
    xml = DOMAIN.format(name=name, host=machine.spec.name, secret=facts["secret_uuid"], bridge=facts["guest_bridge"])
    machine.run(["sh", "-c", 'printf %s "$1" > /tmp/theirs.xml', "-", xml])
    machine.run(["virsh", "-q", "define", "/tmp/theirs.xml"])
    machine.run(["virsh", "-q", "start", name])
    yield machine, name
    machine.attempt(["virsh", "-q", "destroy", name])
    machine.attempt(["virsh", "-q", "undefine", name])
    cloud.lab.storage.remove_volume(disk)


def test_every_host_passes_its_check_but_for_what_this_computer_lacks(cloud: Cloud) -> None:
    for machine in cloud.lab.machines:
        told = cloud.told("host", "check", machine.spec.name)
        assert told["fit"], told
        assert {finding["check"] for finding in told["findings"] if finding["verdict"] != "ok"} <= {"kvm", "time"}
    names = {ref.name for ref in cloud.lab.storage.volumes("vms")}
    assert not [name for name in names - {"nacre-check-clone"} if name.startswith("nacre-check-")]


def test_a_machine_that_is_no_host_is_told_so(cloud: Cloud) -> None:
    nobody = cloud.lab.spec.subnet.network_address + 100
    done = cloud.nacre("host", "check", str(nobody), "--output", "json")
    assert done.returncode == 1
    assert [finding["check"] for finding in json.loads(done.stdout)["findings"]] == ["reach"]
    assert "[host.unreachable]" in cloud.refused("host", "add", str(nobody))


def test_a_pool_that_is_not_there_is_not_taken_in(cloud: Cloud) -> None:
    assert "[storage.not_found]" in cloud.refused("pool", "add", "nowhere")
    pools = {pool["name"]: pool["uses"] for pool in cloud.told("pool", "list")}
    assert (pools["vms"], pools["images"]) == (["vms"], ["images"])


def test_a_guest_of_somebody_else_is_looked_at_then_taken_over(cloud: Cloud, theirs: tuple[Machine, str]) -> None:
    machine, name = theirs
    eventually("it is seen", lambda: name in {row["name"] for row in cloud.told("vm", "adopt")})
    cloud.adopt("vms", name)
    cloud.told("vm", "adopt", name)
    assert "[vm.read_only]" in cloud.refused("vm", "reset", name)
    assert "yes" in machine.run(["sh", "-c", 'virsh dominfo "$1" | grep Persistent', "-", name])
    cloud.told("vm", "adopt", name, "--confirm")
    assert "no" in machine.run(["sh", "-c", 'virsh dominfo "$1" | grep Persistent', "-", name])
    vm = cloud.vm(name)
    target = next(other for other in cloud.lab.machines if other.spec.name != vm["host"])
    cloud.told("vm", "migrate", name, "--to", target.spec.name, "--wait")
    assert hosts_of(cloud, vm) == [target.spec.name]
    cloud.told("vm", "delete", name, "--yes", "--wait")
    assert VolumeRef("vms", name) not in cloud.lab.storage.volumes("vms")
