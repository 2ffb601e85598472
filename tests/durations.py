"""Write contracts/durations.yaml anew from recorded evidence: `make durations`.

Take the evidence of the embedded runtime on a machine that does nothing else, with --patient, and of the one
with users, for what needs them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from runstone.contracts import operation_for
from runstone.contracts.operations import Operation
from runstone.locations import locate
from runstone.scenario.estimate import CREATED
from runstone.scenario.runs import creates_run
from runstone.session import evidence
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

HEAD = """\
# What each scenario cost on the embedded runtime, whose turns take no time: seconds, and what it created.
# It tells at the start of a check how long it will take, and shares scenarios out among shards.
# Written by: make durations
"""


def line(trace: Trace) -> str:
    """The scenario's entry: runs also where there is none, other things only where there are some."""
    made: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for each in trace.exchanges:
        operation = operation_for(each.method, each.path)
        made["runs"] += creates_run(each.method, each.path) and each.answered
        new = set(created_things(operation, each)) - seen if operation is not None else set()
        seen |= new
        made.update(f"{kind}s" for kind, _ in new if kind != "run")
    told = {"seconds": f"{trace.finished_at - trace.started_at:.1f}", "runs": str(made["runs"])}
    told |= {kind: str(made[kind]) for kind in CREATED if kind != "runs" and made[kind]}
    return f"{trace.scenario}: {{{', '.join(f'{name}: {value}' for name, value in told.items())}}}"


def created_things(operation: Operation, exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Kind and id, the latter as text."""
    for kind, found in operation.created_by(exchange):
        yield kind, str(found)


def lines_of(folder: Path) -> dict[str, str]:
    """The entries of what the evidence holds, by scenario; what did not apply to the target has none."""
    _, traces = evidence.read(folder)
    known = [each for name, each in traces.items() if "@" not in name and not each.inapplicable]
    return {
        each.scenario: line(each)
        for each in known
        if not each.scenario.startswith(("self_check", "capacity"))
    }


def main(folders: Sequence[Path]) -> None:
    """Read the evidence in the folders, and write the file; what several hold is told as the first has it."""
    found: dict[str, str] = {}
    for folder in folders:
        found = lines_of(folder) | found
    text = HEAD + "\n".join(found[name] for name in sorted(found)) + "\n"
    (locate("contracts") / "durations.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
