"""A lab's names and addresses, worked out from its parameters alone."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab import store
from lab.errors import LabError
from lab.network import Route, conflict, mac_address
from lab.spec import LabSpec, make_spec


def lab(name: str = "demo", subnet: str = "10.80.0.0/24", hosts: int = 3, osds: int = 1) -> LabSpec:
    return make_spec(name, subnet, hosts, osds, base=Path("/lab"))


def test_the_lower_half_of_the_subnet_is_management_and_the_upper_half_the_guests() -> None:
    spec = lab()
    assert (str(spec.management), str(spec.guests)) == ("10.80.0.0/25", "10.80.0.128/25")


def test_the_control_plane_has_an_address_that_no_host_has() -> None:
    spec = lab(hosts=16)
    assert spec.control_address == IPv4Address("10.80.0.2")
    assert spec.control_address not in {machine.address for machine in spec.machines}


def test_the_guest_pool_leaves_the_gateway_out() -> None:
    spec = lab()
    assert [str(a) for a in (spec.guest_gateway, *spec.guest_pool)] == ["10.80.0.129", "10.80.0.140", "10.80.0.250"]


def test_hosts_are_numbered_from_one_and_addressed_from_eleven() -> None:
    assert [(m.name, str(m.address)) for m in lab(hosts=2).machines] == [
        ("host1", "10.80.0.11"),
        ("host2", "10.80.0.12"),
    ]


def test_a_control_machine_is_no_host_and_has_no_disks() -> None:
    spec = make_spec("demo", "10.80.0.0/24", 2, 1, base=Path("/lab"), control=True)
    assert [m.name for m in spec.machines] == ["host1", "host2"]
    control = spec.all_machines[-1]
    assert (control.name, str(control.address), control.disks) == ("control", "10.80.0.10", ())
    assert spec.control_machine == control
    assert lab().control_machine is None


def test_interface_names_of_the_longest_lab_fit_into_fifteen_characters() -> None:
    spec = lab(name="abcdefgh", hosts=16)
    names = [
        spec.management_bridge,
        *(m.management_port for m in spec.machines),
        *(m.guest_port for m in spec.machines),
    ]
    assert max(len(name) for name in names) == 15


def test_every_disk_of_a_machine_has_a_device_inside() -> None:
    machine = lab(osds=2).machines[0]
    assert len(machine.disks) == 2
    assert machine.osd_devices == ("/dev/nacre-osd0", "/dev/nacre-osd1")


@pytest.mark.parametrize("name", ["", "Demo", "9lives", "toolongname", "a-b", "cache", "locks", "a/b"])
def test_a_name_that_cannot_be_a_lab_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(LabError, match="is no lab name"):
        lab(name=name)


@pytest.mark.parametrize(
    "subnet", ["10.80.0.0/16", "8.8.8.0/24", "127.0.0.0/24", "169.254.1.0/24", "10.80.0.1/24", "lab", "fd00::/24"]
)
def test_a_subnet_that_is_no_private_24_is_refused(subnet: str) -> None:
    with pytest.raises(LabError, match="SUBNET"):
        lab(subnet=subnet)


@pytest.mark.parametrize(("hosts", "osds"), [(0, 1), (17, 1), (3, 0), (3, 5)])
def test_counts_out_of_range_are_refused(hosts: int, osds: int) -> None:
    with pytest.raises(LabError, match="out of range"):
        lab(hosts=hosts, osds=osds)


def test_a_route_of_somebody_else_inside_the_subnet_is_a_conflict_that_names_it() -> None:
    spec = lab()
    foreign = Route(spec.guests, "eth7")
    assert "10.80.0.128/25 on eth7" in (conflict(spec, (foreign,)) or "")


def test_the_labs_own_bridges_are_no_conflict() -> None:
    spec = lab()
    assert (
        conflict(spec, (Route(spec.management, spec.management_bridge), Route(spec.guests, spec.guest_bridge))) is None
    )


def test_a_cable_keeps_its_mac_address_and_no_two_cables_share_one() -> None:
    ports = [m.management_port for m in lab(hosts=16).machines] + [m.guest_port for m in lab(hosts=16).machines]
    assert len({mac_address(port) for port in ports}) == 32
    assert mac_address(ports[0]) == mac_address(lab().machines[0].management_port)
    assert int(mac_address(ports[0])[:2], 16) & 0b11 == 0b10  # unicast, locally administered


def test_a_lab_is_remembered_with_its_parameters(tmp_path: Path) -> None:
    first = store.choose("one", "10.90.0.0/24", 4, 2, mark="abc", base=tmp_path)
    store.save(first)
    assert store.choose("one", None, None, None, mark="newer", base=tmp_path) == first
    assert store.lab_names(tmp_path) == ("one",)


def test_a_lab_may_grow(tmp_path: Path) -> None:
    store.save(store.choose("one", None, 3, 1, mark="abc", base=tmp_path))
    assert store.choose("one", None, 4, 2, mark="abc", base=tmp_path).spec.hosts == 4


def test_a_lab_keeps_its_control_machine(tmp_path: Path) -> None:
    store.save(store.choose("one", None, 1, 1, mark="abc", base=tmp_path, control=True))
    assert store.choose("one", None, None, None, mark="abc", base=tmp_path).spec.control


def test_a_control_machine_is_added_only_to_a_lab_on_todays_root(tmp_path: Path) -> None:
    store.save(store.choose("one", None, 1, 1, mark="abc", base=tmp_path))
    assert store.choose("one", None, None, None, mark="abc", base=tmp_path, control=True).spec.control
    with pytest.raises(LabError, match="older root"):
        store.choose("one", None, None, None, mark="newer", base=tmp_path, control=True)


@pytest.mark.parametrize(("hosts", "osds"), [(0, None), (None, 0)])
def test_a_count_of_zero_is_refused_and_not_taken_for_the_default(
    tmp_path: Path, hosts: int | None, osds: int | None
) -> None:
    with pytest.raises(LabError, match="=0 is out of range"):
        store.choose("one", None, hosts, osds, mark="abc", base=tmp_path)


@pytest.mark.parametrize(("subnet", "hosts", "osds"), [("10.91.0.0/24", None, None), (None, 2, None), (None, None, 1)])
def test_a_lab_neither_shrinks_nor_moves(
    tmp_path: Path, subnet: str | None, hosts: int | None, osds: int | None
) -> None:
    store.save(store.choose("one", "10.90.0.0/24", 3, 2, mark="abc", base=tmp_path))
    with pytest.raises(LabError, match="can only grow"):
        store.choose("one", subnet, hosts, osds, mark="abc", base=tmp_path)


def test_a_second_run_of_the_same_lab_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    path = store.lock_path("one", tmp_path)
    with store.locked(path), pytest.raises(LabError, match="Another run"), store.locked(path):
        pass
    with store.locked(path):
        assert path.exists()
