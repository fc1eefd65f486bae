"""A command that runs beside another one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from lab.command import TIED_TO_US
from lab.spec import CHECKOUT

END_S = 30.0


class Lane:
    """Runs the command, from `with` on, in a session of its own; its output is in `log`, and printed when it ends.

    At the end of the block it is interrupted, if it has not ended by then, and what is left of its group is killed.
    """

    def __init__(self, command: tuple[str, ...], log: Path) -> None:
        self.command = command
        self.log = log

    def __enter__(self) -> Lane:
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [*TIED_TO_US, *self.command],
                cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()
        return self

    def wait(self) -> int:
        """Wait for the end; the exit status. All output is printed by then."""
        self._printer.join()
        return self._process.returncode

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._printer.is_alive():
            self._signal(signal.SIGINT)
            self._printer.join(END_S)
        self._signal(signal.SIGKILL)
        self._printer.join()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # all have ended
            os.killpg(self._process.pid, number)

    def _print(self) -> None:
        self._process.wait()
        sys.stdout.write("\n" + self.log.read_text(errors="replace"))
        sys.stdout.flush()
