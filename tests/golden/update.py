"""`python -m tests.golden.update` writes the golden domain XML afresh; read the difference before keeping it."""

from __future__ import annotations

from service.hypervisor.render import render
from tests.domain_cases import CASES, FOLDER


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for outdated in FOLDER.glob("*.xml"):
        outdated.unlink()
    for name, spec in CASES.items():
        (FOLDER / f"{name}.xml").write_text(render(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
