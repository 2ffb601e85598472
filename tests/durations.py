"""Write contracts/durations.yaml anew from recorded evidence: `make durations`.

Take the evidence of the embedded runtime on a machine that does nothing else, with --patient, of the one with
users, for what needs them, and of the official server in Python for what only that one has.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runstone.locations import locate
from runstone.scenario.estimate import CREATED, Cost
from runstone.session.durations import costs_in

HEAD = """\
# What each scenario cost where turns take no time: seconds, and what it created.
# It tells at the start of a check how long it will take, and shares scenarios out among shards.
# Written by: make durations
"""


def line(scenario: str, cost: Cost) -> str:
    """The scenario's entry: runs also where there is none, other things only where there are some."""
    told = {"seconds": f"{cost.seconds:.1f}", "runs": str(cost.runs)}
    told |= {kind: str(getattr(cost, kind)) for kind in CREATED if kind != "runs" and getattr(cost, kind)}
    return f"{scenario}: {{{', '.join(f'{name}: {value}' for name, value in told.items())}}}"


def main(folders: Sequence[Path]) -> None:
    """Read the evidence in the folders, and write the file; what several hold is told as the first has it."""
    found: dict[str, Cost] = {}
    for folder in folders:
        found = {**costs_in(folder), **found}
    text = HEAD + "\n".join(line(name, found[name]) for name in sorted(found)) + "\n"
    (locate("contracts") / "durations.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
