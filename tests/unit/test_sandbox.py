"""What a program sees and may do in the sandbox, as root and as an unprivileged service."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from service import sandbox
from service.sandbox import Limits, ProgramFailedError, SandboxError, running

SMALL = Limits(output_bytes=4096, cpu_s=5)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def secret(tmp_path) -> Path:
    """A file of the service's own, in a folder that nobody else can enter."""
    tmp_path.chmod(0o700)
    file = tmp_path / "in"
    file.write_bytes(b"data")
    file.chmod(0o600)
    return file


def said(script: str, reads: Path, writes: Path | None = None, limits: Limits = SMALL) -> str:
    """What a shell script writes to its standard output."""
    with running(("/usr/bin/bash", "-c", script), limits, reads=reads, writes=writes) as program:
        return b"".join(program.output()).decode()


def test_a_program_reads_its_input_as_a_file_and_as_its_standard_input(secret):
    assert said("cat /in -", secret) == "datadata"


def test_a_program_is_a_user_that_no_account_has(secret):
    assert said("id -u; id -g", secret) == "65533\n65533\n"


def test_a_program_sees_nothing_but_its_files_and_the_system_software(secret):
    assert said("cd /; echo *; echo /dev/*", secret) == "dev in lib lib64 usr\n/dev/null\n"


def test_a_program_has_none_of_the_services_environment(secret, monkeypatch):
    monkeypatch.setenv("NACRE_SECRET", "s")
    names = {line.partition("=")[0] for line in said("env", secret).splitlines()}
    assert names <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_"}


def test_a_program_has_no_network(secret):
    tried = "exec 3<>/dev/tcp/127.0.0.1/22 || echo refused"
    assert said(tried, secret) == "refused\n"


def test_a_program_cannot_change_its_input(secret):
    with pytest.raises(ProgramFailedError, match=r"Read-only|Permission denied"):
        said("echo x > /in", secret)
    assert secret.read_bytes() == b"data"


def test_a_program_writes_its_output_and_no_more_than_is_allowed(secret, tmp_path):
    out = tmp_path / "out"
    out.touch(0o600)
    said("echo made > /out", secret, out)
    assert out.read_text() == "made\n"
    with pytest.raises(ProgramFailedError) as failed:
        said("head -c 5000 /usr/bin/bash > /out", secret, out)
    assert failed.value.status in (1, 128 + signal.SIGXFSZ)
    assert out.stat().st_size == SMALL.output_bytes


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("while :; do :; done", 128 + signal.SIGKILL),
        ("x=x; while :; do x=$x$x; done", None),
        ("perl -e 'while (1) { defined(fork) or exit 9 }'", 9),
    ],
    ids=["time", "memory", "processes"],
)
def test_a_program_that_wants_too_much_fails(secret, script, status):
    with pytest.raises(ProgramFailedError) as failed:  # without limits the first two never end
        said(f"set -e; {script}", secret, limits=Limits(output_bytes=0, cpu_s=1, memory_bytes=64 << 20, processes=20))
    assert status in (None, failed.value.status)


def test_a_caller_that_gives_up_leaves_no_process(secret):
    with running(("/usr/bin/sleep", "4711"), SMALL, reads=secret) as program:
        assert next(program.output()) == b""
        assert processes("4711")
    assert ends("4711")


def test_a_program_dies_with_the_service_that_runs_it(secret):
    code = f"""
        from pathlib import Path
        from service.sandbox import Limits, running
        with running(("/usr/bin/sleep", "4712"), Limits(output_bytes=0), reads=Path({str(secret)!r})) as program:
            for _ in program.output():
                print("runs", flush=True)
    """
    service = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, cwd=ROOT)
    assert service.stdout.readline() == b"runs\n"
    assert processes("4712")
    service.kill()
    service.wait()
    service.stdout.close()
    assert ends("4712")


def ends(argument: str) -> bool:
    """Whether it is gone soon: the kernel ends a namespace's processes a moment after its first one."""
    deadline = time.monotonic() + 60
    while processes(argument) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes(argument)


def processes(argument: str) -> list[str]:
    """Processes of this computer that have this argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it ended just now
            continue
        if argument.encode() in words and b"bwrap" not in words[0]:
            found.append(path.parent.name)
    return found


@pytest.fixture
def cleaned():
    with ExitStack() as stack:
        yield stack


def test_without_its_tool_there_is_no_sandbox_and_nothing_runs(secret, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError), running(("/usr/bin/id",), SMALL, reads=secret):
        pass


def test_a_sandbox_that_cannot_be_made_is_told_apart_from_a_program_that_fails(secret, monkeypatch):
    monkeypatch.setattr(sandbox, "SYSTEM", ("--ro-bind", "/nowhere", "/usr"))
    with pytest.raises(SandboxError, match="bwrap: Can't find source path /nowhere"):
        said("id", secret)


def test_an_unprivileged_service_has_the_same_sandbox(cleaned):
    code = """
        import sys
        from pathlib import Path
        from service.sandbox import Limits, running
        script = "id -u; cd /; echo *; cat /in; echo made > /out; exec 3<>/dev/tcp/127.0.0.1/22 || echo refused"
        folder = Path(sys.argv[1])
        line = ("/usr/bin/bash", "-c", script)
        with running(line, Limits(output_bytes=4096), reads=folder / "in", writes=folder / "out") as program:
            sys.stdout.write(b"".join(program.output()).decode())
    """
    folder = Path(cleaned.enter_context(tempfile.TemporaryDirectory()))  # pytest's own are closed to others
    (folder / "in").write_text("data\n")
    (folder / "out").write_text("")
    become = []
    if os.geteuid() == 0:
        for path in (folder, folder / "in", folder / "out"):
            os.chown(path, 65534, 65534)
        become = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
        ]
    for name in ("in", "out"):
        (folder / name).chmod(0o600)
    line = [*become, sys.executable, "-B", "-c", textwrap.dedent(code), str(folder)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout, done.stderr
    assert done.stdout == "65533\ndev in lib lib64 out usr\ndata\nrefused\n"
    assert (folder / "out").read_text() == "made\n"
