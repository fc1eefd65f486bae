"""The `nacre` command, run in this process."""

import io
import sys

import pytest

from service.cli import main as cli
from service.cli import session


def run_nacre(monkeypatch, capsys, *arguments: str, text: str = "") -> tuple[int, str, str]:
    """Exit status, standard output, standard error. `text` is what it may read."""
    session.client.cache_clear()  # it holds the environment of the run before
    monkeypatch.setattr(sys, "argv", ["nacre", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    session.client.cache_clear()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err
