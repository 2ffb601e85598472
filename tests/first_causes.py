"""How often the first cause that a report tells is the fault that was planted.

    python -m tests.first_causes DIR [--jobs N] [FAULT …]

Checks the reference runtime with each fault whole, a quick check without confirmation, N at once, and keeps
what was observed in DIR/FAULT, so that a second run judges the causes alone; DIR may be the folder `faults`
of a proof. It counts the faults that break more than five requirements, one of those at least that they are
said to break, as not every fault shows in a quick check. The planted one is first if the first cause is named
by a requirement that the fault is said to break; `hangs` says that at least one of those hangs on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from runstone import report as reports
from runstone.proof.faults import load_faults
from runstone.proof.prove.checks import Check
from runstone.proof.prove.pool import run_all
from runstone.proof.prove.proving import warmed
from runstone.report.causes import causes_of
from runstone.report.digest import cause_words
from runstone.session import evidence
from runstone.verdict.model import Cause

_BREAKS_MUCH = 5
_BUDGET_S = 240.0


def main() -> None:
    """Print a line per fault, and at last how many of them are told first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("faults", nargs="*", metavar="FAULT")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_intermixed_args()
    folder, faults = asked.folder.resolve(), load_faults()
    names = asked.faults or sorted(each.name for each in folder.iterdir() if each.is_dir())
    _observe(folder, [each for each in names if not (folder / each / "report.json").exists()], asked.jobs)
    named = hanging = counted = 0
    for name in names:
        first, broken = _first(folder / name)
        seen = not broken.isdisjoint(faults[name].breaks)
        told = first is not None and first.requirement in faults[name].breaks
        hangs = first is not None and not set(faults[name].breaks).isdisjoint(first.requirements)
        if seen and len(broken) > _BREAKS_MUCH:
            counted, named, hanging = counted + 1, named + told, hanging + (told or hangs)
        words = "nothing" if first is None else f"{first.requirement} {cause_words(first)[:110]}"
        how = "first" if told else "hangs" if hangs else "OTHER" if seen else "unseen"
        print(f"{how} {len(broken):>4} {name}: {words}")  # noqa: T201
    print(f"{named} named first, {hanging} hang on the first, of {counted} faults")  # noqa: T201


def _observe(folder: Path, names: Sequence[str], jobs: int) -> None:
    if not names:
        return
    faults = load_faults()
    checks = [
        Check(
            name=f"faults/{name}",
            out=folder / name,
            recipe=faults[name].server,
            changes=(faults[name],),
            quick=True,
            budget_s=_BUDGET_S,
        )
        for name in names
    ]
    warmed(folder)
    run_all(checks, jobs, lambda done, left: print(f"{done.check.name} {done.trouble}; {left} to go"))  # noqa: T201


def _first(folder: Path) -> tuple[Cause | None, set[str]]:
    report = reports.from_json((folder / "report.json").read_bytes())
    causes, verdicts = causes_of(report.verdicts, evidence.read(folder / "evidence")[1])
    broken = {each.id for each in verdicts if any(case.cause for case in each.cases)}
    return (causes[0] if causes else None), broken


if __name__ == "__main__":
    main()
