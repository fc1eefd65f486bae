"""Texts that the lab hands to others or reads from them: firewall rules, inventory, mount tables, logs."""

from pathlib import Path

import pytest

from lab import cgroups, cuts, deploy, health, inside, mounts, root
from lab.inventory import inventory
from lab.machine import nspawn_command
from lab.spec import MachineSpec, make_spec

LAB = make_spec("demo", "10.80.0.0/24", 3, 2, base=Path("/lab"))
HOST1 = LAB.machines[0]
CUT_STORAGE = """add table bridge nacre_demo_host1
delete table bridge nacre_demo_host1
table bridge nacre_demo_host1 {
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname "nl-demo-m1" ether type ip tcp dport { 3300, 6789, 6800-7300 } drop
    iifname "nl-demo-m1" ether type ip tcp sport { 3300, 6789, 6800-7300 } drop
  }
  chain postrouting {
    type filter hook postrouting priority -300; policy accept;
    oifname "nl-demo-m1" ether type ip tcp dport { 3300, 6789, 6800-7300 } drop
    oifname "nl-demo-m1" ether type ip tcp sport { 3300, 6789, 6800-7300 } drop
  }
}
"""


def test_cutting_storage_drops_ceph_ports_both_ways_on_the_management_cable_only() -> None:
    assert cuts.tcp_only(HOST1, cuts.STORAGE_PORTS) == CUT_STORAGE


def test_cutting_off_drops_everything_on_both_cables() -> None:
    rules = cuts.everything(HOST1)
    assert 'iifname { "nl-demo-m1", "nl-demo-g1" } drop' in rules
    assert 'oifname { "nl-demo-m1", "nl-demo-g1" } drop' in rules


def test_tables_of_two_labs_never_share_a_name() -> None:
    other: MachineSpec = make_spec("demo2", "10.90.0.0/24", 1, 1, base=Path("/lab")).machines[0]
    assert not cuts.table_name(other).startswith("nacre_demo_")


def test_the_inventory_names_what_the_roles_rely_on() -> None:
    whole = inventory(LAB)["all"]
    hosts = whole["children"]["nacre_hosts"]["hosts"]
    assert sorted(hosts) == ["host1", "host2", "host3"]
    assert hosts["host2"] == {
        "ansible_host": "10.80.0.12",
        "nacre_address": "10.80.0.12",
        "nacre_guest_interface": "guest0",
        "nacre_osd_devices": ["/dev/nacre-osd0", "/dev/nacre-osd1"],
    }
    assert whole["vars"]["nacre_management_cidr"] == "10.80.0.0/25"
    assert whole["children"]["nacre_control"]["hosts"] == {"control": {"ansible_connection": "local"}}


def test_a_machine_starts_in_its_own_namespace_under_its_own_hostname() -> None:
    command = nspawn_command(HOST1, Path("/m"), "/run/netns/nl-demo-host1", ["--bind=/a:/dev/a"])
    assert {"--hostname=host1", "--network-namespace-path=/run/netns/nl-demo-host1", "--bind=/a:/dev/a"} <= set(command)


def test_mount_points_with_spaces_are_read_whole() -> None:
    table = "36 35 98:0 / /mnt/a\\040b rw - ext4 /dev/a rw\n37 36 98:0 / /mnt/a\\040b/c rw master:1 - ext4 /dev/b rw\n"
    assert mounts.mount_points(table) == (Path("/mnt/a b"), Path("/mnt/a b/c"))


def test_a_machines_own_files_are_told_from_its_mount_table() -> None:
    table = (
        "30 29 0:50 / / rw,relatime - overlay nacre-lab rw,lowerdir=/root-1,upperdir=/lab/demo/machines/host1/upper"
        ",workdir=/lab/demo/machines/host1/work\n31 30 0:51 / /proc rw - proc proc rw\n"
    )
    assert inside.upper_layer(table) == HOST1.folder / "upper"
    assert inside.upper_layer("31 30 0:51 / /proc rw - proc proc rw\n") is None


def test_control_groups_are_found_in_the_hierarchies_that_systemd_uses() -> None:
    table = (
        "1 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "2 1 0:2 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
        "3 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    )
    assert cgroups.hierarchies(table) == (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"))


@pytest.mark.parametrize(
    ("name", "text", "taken"),
    [
        ("debian.sources", "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n", True),
        ("mirror.list", "deb [trusted=yes] http://mirror.example/debian bookworm main\n", True),
        ("off.list", "# deb http://mirror.example/debian bookworm main\n", False),
        ("vendor.list", "deb https://packages.example/apt tool-bookworm main\n", False),
        ("debian.sources.disabled", "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n", False),
    ],
)
def test_the_root_is_built_from_those_apt_sources_that_offer_debian(
    tmp_path: Path, name: str, text: str, taken: bool
) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / name).write_text(text)
    assert root.apt_sources(tmp_path) == ([folder / name] if taken else [])


def test_proxies_and_date_checks_of_apt_are_carried_over_and_nothing_else() -> None:
    dump = 'Acquire::http::Proxy "http://proxy:3128";\nAcquire::Languages "none";\nAcquire::Check-Date "false";\n'
    assert root.apt_options(dump) == ['Acquire::http::Proxy "http://proxy:3128"', 'Acquire::Check-Date "false"']


def test_a_change_in_any_file_or_name_changes_the_deployments_fingerprint(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    first = deploy.fingerprint([one], tmp_path)
    one.rename(two)
    assert deploy.fingerprint([two], tmp_path) != first
    two.rename(one)
    assert deploy.fingerprint([one], tmp_path) == first
    one.write_text("b")
    assert deploy.fingerprint([one], tmp_path) != first


def test_the_first_failure_of_a_play_is_named_with_its_task() -> None:
    log = "TASK [ceph : Pools] ***\nok: [host1]\nTASK [ceph : Wait] ***\nfatal: [host2]: FAILED! => late\nfatal: x\n"
    assert deploy.first_failure(log) == "ceph : Wait: fatal: [host2]: FAILED! => late"


def test_the_recap_sums_over_all_hosts() -> None:
    log = "host1 : ok=10 changed=3 unreachable=0 failed=0\nhost2 : ok=5 changed=0 unreachable=0 failed=0\n"
    assert deploy.recap(log) == "15 tasks ok, 3 changed"


def test_health_carries_the_reasons_of_its_checks() -> None:
    answer = '{"status": "HEALTH_WARN", "checks": {"OSD_DOWN": {"summary": {"message": "1 osds down"}}}}'
    assert str(health.parse(answer)) == "HEALTH_WARN (1 osds down)"


def test_an_answer_that_is_not_json_is_silence() -> None:
    assert health.parse("") == health.SILENT


def test_a_failed_download_is_told_with_apts_reason() -> None:
    log = "I: running apt-get\nErr:1 http://deb.example/debian bookworm InRelease\n  Could not connect\nE: late\n"
    assert root.first_error(log) == "Err:1 http://deb.example/debian bookworm InRelease Could not connect"


def test_a_build_that_said_nothing_still_has_a_reason() -> None:
    assert root.first_error("") == "no output"
