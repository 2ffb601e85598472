"""What a suite is written with: scenarios, requirements, and the words that judges share.

A judge is a function that takes traces and asserts. It does no I/O. What it needs from a trace raises
`Missing` when it is absent (not-testable), so no judge passes on what was not said. A suite imports nothing
else of Runstone.
"""

from __future__ import annotations

from runstone.contracts import (
    Profile,
    browser_table,
    field_table,
    isolation_table,
    lifecycle,
    operation_for,
    operation_table,
    race_table,
    restart_table,
    search_table,
    status_table,
    stream_grammar,
    value_table,
    violations,
)
from runstone.explore import (
    broken_sequences,
    findings,
    fuzz_contract,
    fuzz_own_document,
    send_sequences,
    sequences_of,
)
from runstone.explore import told as findings_told
from runstone.judge.declaring import cases, needs, requirement, row, view
from runstone.judge.monitoring import (
    Finding,
    bare_path,
    body_of,
    last_id,
    last_values,
    lasts_as_its_run,
    run_statuses,
)
from runstone.judge.words import (
    Broken,
    agree,
    applicable,
    asked_in,
    assert_done,
    assert_metadata,
    assert_ran,
    checkpoint_ids,
    conforms,
    demand_values,
    each_of,
    events_of_state,
    final_values,
    has,
    is_json,
    log_in,
    log_of,
    none_broken,
    ran,
    refusal_of,
    some,
    status_of,
    summary_of,
    time_in,
    told_by,
)
from runstone.scenario.api import Api
from runstone.scenario.own_server import own_server
from runstone.scenario.requests import (
    ENTRY_POINTS,
    OMIT,
    THREADED_ENTRY_POINTS,
    Blocked,
    Opened,
    Options,
    ask,
    new_id,
)
from runstone.scenario.scenario import Schedule, scenario
from runstone.target.agents import GRAPHS
from runstone.wire.canonical import ABSENT, canonical, first_difference, shown
from runstone.wire.documents import Missing, raw, resolve
from runstone.wire.exchange import UUID, Event, Exchange, strict_json
from runstone.wire.trace import Inapplicable, Trace
from runstone.wire.webhooks import LOOPBACK, Sink

__all__ = [
    "ABSENT",
    "ENTRY_POINTS",
    "GRAPHS",
    "LOOPBACK",
    "OMIT",
    "THREADED_ENTRY_POINTS",
    "UUID",
    "Api",
    "Blocked",
    "Broken",
    "Event",
    "Exchange",
    "Finding",
    "Inapplicable",
    "Missing",
    "Opened",
    "Options",
    "Profile",
    "Schedule",
    "Sink",
    "Trace",
    "agree",
    "applicable",
    "ask",
    "asked_in",
    "assert_done",
    "assert_metadata",
    "assert_ran",
    "bare_path",
    "body_of",
    "broken_sequences",
    "browser_table",
    "by_entry_point",
    "by_threaded_entry_point",
    "canonical",
    "cases",
    "checkpoint_ids",
    "conforms",
    "demand_values",
    "each_of",
    "events_of_state",
    "field_table",
    "final_values",
    "findings",
    "findings_told",
    "first_difference",
    "fuzz_contract",
    "fuzz_own_document",
    "has",
    "is_json",
    "isolation_table",
    "last_id",
    "last_values",
    "lasts_as_its_run",
    "lifecycle",
    "log_in",
    "log_of",
    "needs",
    "new_id",
    "none_broken",
    "operation_for",
    "operation_table",
    "own_server",
    "race_table",
    "ran",
    "raw",
    "refusal_of",
    "requirement",
    "resolve",
    "restart_table",
    "row",
    "run_statuses",
    "scenario",
    "search_table",
    "send_sequences",
    "sequences_of",
    "shown",
    "some",
    "status_of",
    "status_table",
    "stream_grammar",
    "strict_json",
    "summary_of",
    "time_in",
    "told_by",
    "value_table",
    "view",
    "violations",
]

by_entry_point = cases("entry_point", ENTRY_POINTS)
by_threaded_entry_point = cases("entry_point", THREADED_ENTRY_POINTS)
