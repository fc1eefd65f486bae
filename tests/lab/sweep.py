"""What a run of the tests that was killed has left in the lab. Only what bears a test's mark is touched."""

from __future__ import annotations

import re

from lab import store
from lab.machines import all_machines
from storage.refs import ImageRef, VolumeRef
from tests.lab.agreement import OF_CONTRACT_SUITES, foreign
from tests.lab.cloud import Cloud
from tests.lab.whole_lab import WholeLab

MARK = re.compile(r"t[0-9a-f]{8}\b.*")  # names that tests give through the API
VM_VOLUME = re.compile(r"vm-[0-9a-f-]{36}-\d+")  # one that no VM has was leaked, and was told then
IMAGE_DEVICE = re.compile(r"image-[0-9a-f-]{36}")
LIBVIRT_UNITS = (
    "libvirtd-tls.socket", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirtd.service",
)  # fmt: skip
MON = ("ceph", "-n", "mon.", "-k", "/var/lib/ceph/mon/ceph-host1/keyring")


def set_quota(lab: WholeLab, pool: str, max_bytes: int) -> None:
    """Limit a pool (0 takes the limit back). Only a monitor's own identity may: no administrator's key is anywhere."""
    lab.machine("host1").run([*MON, "osd", "pool", "set-quota", pool, "max_bytes", str(max_bytes)])


def sweep(lab: WholeLab) -> None:
    """Heal the hosts, then remove what tests made through the API, and what the contract suites made."""
    for machine in lab.machines:
        machine.heal()
        machine.run(["systemctl", "start", *LIBVIRT_UNITS])
    set_quota(lab, "vms", 0)
    cloud = Cloud(lab)
    for kind in ("vms", "placement-groups", "images", "flavors"):
        for row in cloud.client.items(f"/v1/{kind}"):
            if MARK.fullmatch(row["name"]):
                cloud.adopt(kind, row["name"])
    cloud.close()
    _end_unknown_domains(lab, cloud)
    _remove_contract_devices(lab)
    for name in filter(VM_VOLUME.fullmatch, foreign(cloud, "vms")):
        lab.storage.remove_volume(VolumeRef("vms", name))
    for name in filter(IMAGE_DEVICE.fullmatch, foreign(cloud, "images")):
        lab.storage.remove_image(ImageRef("images", name))


def _end_unknown_domains(lab: WholeLab, cloud: Cloud) -> None:
    """The contract suite's, and VMs of the service on the control machine, which forgets all it knows then."""
    known = {vm["id"] for vm in cloud.client.items("/v1/vms")}
    domains = [(m, vm_id) for m in lab.machines for vm_id in m.run(["virsh", "--quiet", "list", "--uuid"]).split()]
    unknown = [(machine, vm_id) for machine, vm_id in domains if vm_id not in known]
    remembered = store.load(lab.spec.name)
    if unknown and remembered is not None:
        for machine in all_machines(remembered)[lab.spec.hosts :]:
            machine.clean()  # first, or it would start them again
    for machine, vm_id in unknown:
        machine.run(["virsh", "destroy", vm_id])


def _remove_contract_devices(lab: WholeLab) -> None:
    for ref in lab.storage.volumes("vms"):
        if OF_CONTRACT_SUITES.fullmatch(ref.name):
            lab.storage.remove_volume(ref)
    for ref in lab.storage.volumes("images"):
        if OF_CONTRACT_SUITES.fullmatch(ref.name):
            lab.storage.remove_image(ImageRef(ref.pool, ref.name))
