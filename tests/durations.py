"""Write contracts/durations.yaml anew from recorded evidence: `make durations`.

Take the evidence of the embedded runtime on a machine that does nothing else, with --patient.
"""

from __future__ import annotations

import sys
from pathlib import Path

from runstone.locations import locate
from runstone.scenario.runs import creates_run
from runstone.session import evidence
from runstone.wire.trace import Trace

HEAD = """\
# What each scenario cost on the embedded runtime, which takes no time for a turn: seconds, and runs created.
# It tells at the start of a check how long it will take, and shares scenarios out among shards.
# Written by: make durations
"""


def line(trace: Trace) -> str:
    runs = sum(creates_run(each.method, each.path) and each.answered for each in trace.exchanges)
    return f"{trace.scenario}: {{seconds: {trace.finished_at - trace.started_at:.1f}, runs: {runs}}}"


def main(folder: Path) -> None:
    """Read the evidence in the folder, and write the file."""
    _, traces = evidence.read(folder)
    known = [each for name, each in sorted(traces.items()) if "@" not in name and not each.inapplicable]
    lines = [line(each) for each in known if each.scenario not in {"self_check", "capacity"}]
    (locate("contracts") / "durations.yaml").write_text(HEAD + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
