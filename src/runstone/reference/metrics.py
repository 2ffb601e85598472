"""What a monitor watches: how many threads there are, and how many runs in which status."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response

from runstone.reference.answers import answer
from runstone.reference.routing import Call, Operation
from runstone.reference.runs import RunStatus

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def metrics(call: Call) -> Response:
    """Gauges in the text format of Prometheus, or as one JSON object with `format=json`."""
    rows = call.runtime.database
    found = {row["status"]: row["number"] for row in rows.all(_RUNS)}
    runs = {status: found.get(status, 0) for status in get_args(RunStatus)}
    threads = rows.count("SELECT count(*) FROM threads")
    if call.text("format", ("prometheus", "json")) == "json":
        return answer({"threads": threads, "runs": runs})
    lines = [
        "# HELP runstone_threads Threads that are kept.",
        "# TYPE runstone_threads gauge",
        f"runstone_threads {threads}",
        "# HELP runstone_runs Runs that are kept, by status.",
        "# TYPE runstone_runs gauge",
        *(f'runstone_runs{{status="{status}"}} {number}' for status, number in runs.items()),
    ]
    return Response("\n".join(lines) + "\n", media_type=_PROMETHEUS)


_RUNS = "SELECT status, count(*) AS number FROM runs GROUP BY status"

OPERATIONS = [Operation("GET", "/metrics", metrics, "Counts for a monitor", query=("format",))]
