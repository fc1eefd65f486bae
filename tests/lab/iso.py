"""ISO images for the tests: one that boots and says so on the serial line, and small ones that hold a word."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pycdlib

BOOTED = "NACRE-BOOTED-FROM-CD"
GRUB = f"serial --unit=0\nterminal_output serial console\nset timeout=0\necho {BOOTED}\nsleep 3600\n"


def bootable(folder: Path) -> Path:
    """An ISO whose boot loader writes BOOTED to the serial line and waits."""
    (folder / "tree/boot/grub").mkdir(parents=True)
    (folder / "tree/boot/grub/grub.cfg").write_text(GRUB)
    made = folder / "boot.iso"
    command = ["grub-mkrescue", "-o", str(made), str(folder / "tree")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return made


def holding(folder: Path, word: str) -> Path:
    """An ISO with one file WORD.TXT."""
    iso = pycdlib.PyCdlib()
    iso.new(vol_ident="NACRE")
    iso.add_fp(io.BytesIO(word.encode()), len(word), "/WORD.TXT;1")
    made = folder / f"{word}.iso"
    iso.write(str(made))
    iso.close()
    return made
