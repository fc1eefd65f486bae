"""The stages above the service: hosts, a flavor, a network and an image, each made when it is missing."""

from lab.images import build_mini
from lab.service import client_environment, cluster_facts, nacre
from lab.spec import CHECKOUT, LabSpec, MachineSpec

# libvirt inside a machine reports the whole computer, so what a host may promise is said here. Guests there idle: vCPUs
# are promised several times over.
HOST_VCPUS, HOST_MEMORY_MIB = 16, 5120
OSD_MEMORY_MIB = 1024
FLAVOR, IMAGE, NETWORK = "small", "mini", "guests"


def ensure_hosts(lab: LabSpec) -> str:
    """Register the machines as hosts, and have one flavor and the guest network."""
    known = {host["name"] for host in nacre(lab, "host", "list")}
    new = [machine for machine in lab.machines if machine.name not in known]
    # Each host is tried with a real tiny guest, which takes seconds: all of them at once.
    jobs = [_add_host(lab, machine) for machine in new]
    for job in jobs:
        nacre(lab, "job", "show", job, "--wait")
    if not nacre(lab, "flavor", "list"):
        nacre(lab, "flavor", "create", FLAVOR, "--vcpus", "1", "--memory-mib", "256", "--disk-gib", "1")
    if not nacre(lab, "network", "list"):
        _create_network(lab)
    return f"{len(lab.machines)} registered" + (f", {len(new)} now" if new else "")


def _add_host(lab: LabSpec, machine: MachineSpec) -> str:
    reserved = str(OSD_MEMORY_MIB * lab.osds_per_host)
    capacity = ["--vcpus", str(HOST_VCPUS), "--memory-mib", str(HOST_MEMORY_MIB), "--reserved-memory-mib", reserved]
    return str(nacre(lab, "host", "add", str(machine.address), "--name", machine.name, *capacity, "--no-wait")["id"])


def _create_network(lab: LabSpec) -> None:
    first, last = lab.guest_pool
    bridge = str(cluster_facts(lab)["guest_bridge"])
    ends = ["--first-address", str(first), "--last-address", str(last), "--gateway", str(lab.guest_gateway)]
    nacre(lab, "network", "create", NETWORK, "--bridge", bridge, "--cidr", str(lab.guests), *ends)


def ensure_image(lab: LabSpec) -> str:
    """Build the small image unless it is cached, and upload it unless the cloud has it."""
    if any(image["name"] == IMAGE for image in nacre(lab, "image", "list")):
        return f"{IMAGE} is there"
    file = build_mini.build()
    nacre(lab, "image", "upload", IMAGE, str(file), "--wait")
    return f"{IMAGE} uploaded, {file.stat().st_size >> 20} MiB"


def write_env(lab: LabSpec) -> None:
    """A file to source: then `nacre`, `ceph` and `rbd` in that shell speak to this lab."""
    control = lab.folder / "control"
    lines = {
        "CEPH_CONF": str(control / "ceph.conf"),
        "CEPH_ARGS": f"--name client.nacre --keyring {control / 'ceph.client.nacre.keyring'}",
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible/ansible.cfg"),
        "ANSIBLE_INVENTORY": str(lab.folder / "inventory.yml"),
        **client_environment(lab),
    }
    text = "".join(f'export {name}="{value}"\n' for name, value in lines.items())
    (lab.folder / "env").write_text(text + f'export PATH="{CHECKOUT / ".venv/bin"}:$PATH"\n')
