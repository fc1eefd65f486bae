#!/bin/sh
# Packages and the Python environment, on a Debian 12 with nothing but git and make. Run again, it does only what is missing.
set -eu
cd "$(dirname "$0")/.."

PACKAGES="systemd-container mmdebstrap nftables iproute2 e2fsprogs openssh-client openssl cpio
    python3-venv python3-rados python3-rbd python3-libvirt ceph-common libvirt-clients
    postgresql-15 qemu-utils ovmf bubblewrap xz-utils bzip2 zstd busybox-static xorriso mtools grub-pc-bin grub-common"
NEEDED_MIB=6144
LOG=.lab/bootstrap.log

stop() {
    echo "bootstrap: $1" >&2
    exit 1
}

check_computer() {
    [ "$(id -u)" -eq 0 ] || stop "This needs root (packages, network interfaces, mounts): run it with sudo."
    # shellcheck source=/dev/null
    . /etc/os-release
    [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ] ||
        stop "This is ${PRETTY_NAME:-an unknown system}, and the lab needs Debian 12: use a Debian 12 machine."
}

check_disk() {
    free_mib=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free_mib" -ge "$NEEDED_MIB" ] ||
        stop "Only $free_mib MiB are free here and $NEEDED_MIB are needed: make room, then run the same command again."
}

missing_packages() {
    for package in $PACKAGES; do
        state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
        [ "$state" = "ii " ] || echo "$package"
    done
}

install_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    check_disk
    echo "packages: installing $(echo "$missing" | tr '\n' ' ')"
    export DEBIAN_FRONTEND=noninteractive
    {
        # The first line finishes what a run that was killed half-way left unconfigured.
        dpkg --configure -a &&
            apt-get -o DPkg::Lock::Timeout=300 update &&
            # shellcheck disable=SC2086 # one word per package
            apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing
    } >"$LOG" 2>&1 || stop "Installing packages failed ($(first_error)): see $LOG, then run the same command again."
}

make_environment() {
    wanted="$(sha256sum pyproject.toml | cut -d' ' -f1) $(pwd)"
    [ "$(cat .venv/nacre-stamp 2>/dev/null || true)" != "$wanted" ] || return 0
    check_disk
    echo "environment: installing the Python packages into .venv"
    # Debian's own interpreter: rados, rbd and libvirt exist for no other.
    .venv/bin/python -c '' 2>/dev/null || rm -rf .venv
    {
        { [ -d .venv ] || /usr/bin/python3 -m venv --system-site-packages .venv; } &&
            .venv/bin/python -m pip install --disable-pip-version-check --no-input -e '.[dev]'
    } >"$LOG" 2>&1 || stop "Installing the Python packages failed ($(first_error)): see $LOG, then run the same command again."
    echo "$wanted" >.venv/nacre-stamp
}

# apt gives its reason on the line after `Err:`; pip hides an unreachable index behind "no version found".
first_error() {
    if grep -q '^ERROR: No matching distribution' "$LOG" && unreachable | grep .; then return; fi
    grep -m1 -A1 '^Err:' "$LOG" | tr -s '\n ' ' ' | sed 's/ $//' | grep . || grep -m1 -E '^(E:|ERROR|error:)' "$LOG" || tail -n1 "$LOG"
}

unreachable() {
    sed -n "s/.*connection broken by '\(.*\)': \/.*/\1/p" "$LOG" | sed 's/<[^>]*>: //g' | head -n1
}

check_computer
mkdir -p .lab
# Two runs at once would install at once: the second waits here for the first.
exec 9>.lab/bootstrap.lock
flock 9
install_packages
make_environment
