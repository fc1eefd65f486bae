"""Time budgets of the suites: a line in the summary, and the exit status of the tests alone."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.budget import Budget, line, parse

ROOT = Path(__file__).parents[2]
PASSES, FAILS = "def test_it():\n    assert True\n", "def test_it():\n    assert False\n"


@pytest.mark.parametrize(
    ("took_s", "expected"),
    [
        (800.2, "budget: lab 13 min 20 s of 14 min"),
        (840.0, "budget: lab 14 min of 14 min"),
        (0.2, "budget: lab 0 s of 14 min"),
        (903.0, "budget: lab OVER by 1 min 3 s: 15 min 3 s of 14 min"),
    ],
)
def test_the_line_compares_the_time_with_the_budget(took_s, expected):
    assert line(Budget("lab", 840.0), took_s) == expected


def test_a_budget_of_cpu_says_so():
    assert line(Budget("unit", 600.0, of_cpu=True), 500.0) == "budget: unit 8 min 20 s of 10 min CPU"


def test_a_budget_is_a_name_and_minutes():
    assert parse("unit and api 4.5") == Budget("unit and api", 270.0)
    assert parse("unit and api 4.5 cpu") == Budget("unit and api", 270.0, of_cpu=True)
    for text in ("14", "lab", "lab soon", "lab cpu", "14 cpu", "cpu", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="like 'lab 14'"):
            parse(text)


@pytest.mark.parametrize(("text", "status"), [(PASSES, 0), (FAILS, 1)])
@pytest.mark.parametrize(("minutes", "words"), [("0", "budget: x OVER by "), ("10", "budget: x ")])
def test_the_exit_status_is_that_of_the_tests(tmp_path, text, status, minutes, words):
    file = tmp_path / "test_it.py"
    file.write_text(text)
    options = ["-p", "tests.budget", "--budget", f"x {minutes}", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options, str(file)]
    quick = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quick, capture_output=True, text=True, check=False)
    assert (done.returncode, words in done.stdout) == (status, True), done.stdout + done.stderr
    assert ("OVER" in done.stdout) == (minutes == "0")


def test_the_cpu_of_all_that_a_run_starts_counts(tmp_path):
    child = (
        "import time; end = time.process_time() + 1.2; [None for _ in iter(lambda: time.process_time() < end, False)]"
    )
    file = tmp_path / "test_it.py"
    file.write_text(
        f"import subprocess, sys\ndef test_it():\n    subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.budget",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    quick = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    over = subprocess.run([*command, "--budget", "x 0.02 cpu", str(file)], cwd=ROOT, env=quick, capture_output=True)
    assert over.returncode == 0, over.stdout
    assert b"budget: x OVER by " in over.stdout
    assert b" CPU\n" in over.stdout


def test_every_suite_has_a_budget_a_timeout_and_tells_its_slowest():
    text = (ROOT / "tox.ini").read_text()
    assert text.count("/pytest ") == text.count("/pytest -q") == text.count(" --durations=25 ") == 3
    assert text.count(" --budget ") == 2 + text.count("{[on_lab]pytest}") == 5
    assert "\ntimeout = 120\n" in (ROOT / "pyproject.toml").read_text()
