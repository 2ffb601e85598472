"""How often the first cause that a report tells is the fault that was planted.

    python -m tests.first_causes DIR [FAULT …]

Checks the reference runtime with each fault, a quick check without confirmation, and keeps what was observed
in DIR, so that a second run judges the causes alone. It counts the faults that break more than five
requirements. The planted one is first if the first cause is named by a requirement that the fault is said to
break; `hangs` says that at least one of those hangs on it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from runstone import report as reports
from runstone.proof.faults import load_faults
from runstone.report.causes import causes_of
from runstone.session import evidence
from runstone.verdict.model import Cause
from tests.command_line import command, runstone, started

_BREAKS_MUCH = 5


def main(folder: Path, names: Iterable[str]) -> None:
    """Print a line per fault, and at last how many of them are told first."""
    faults = load_faults()
    named = hanging = counted = 0
    for name in names or sorted(each.name for each in folder.iterdir() if each.is_dir()):
        if not (folder / name / "report.json").exists():
            _observe(folder / name, name)
        first, broken = _first(folder / name)
        told = first is not None and first.requirement in faults[name].breaks
        hangs = first is not None and not set(faults[name].breaks).isdisjoint(first.requirements)
        if broken > _BREAKS_MUCH:
            counted, named, hanging = counted + 1, named + told, hanging + (told or hangs)
        words = "nothing" if first is None else f"{first.requirement} {first.operation}: {first.reason[:70]}"
        print(f"{'first' if told else 'hangs' if hangs else 'OTHER'} {broken:>4} {name}: {words}")  # noqa: T201
    print(f"{named} named first, {hanging} hang on the first, of {counted} faults")  # noqa: T201


def _observe(out: Path, fault: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with started(command, "serve", "--port", str(port), "--fault", fault) as server:
        server.first_line()
        runstone(
            "check", f"http://127.0.0.1:{port}", "--quick", "--confirm", "0", "--out", str(out), timeout=600
        )


def _first(folder: Path) -> tuple[Cause | None, int]:
    report = reports.from_json((folder / "report.json").read_bytes())
    causes, verdicts = causes_of(report.verdicts, evidence.read(folder / "evidence")[1])
    broken = sum(any(case.cause for case in each.cases) for each in verdicts)
    return (causes[0] if causes else None), broken


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
