"""Wrong values in the fields of requests: each is refused or taken, and none is a crash.

The values, and the good requests that they are put into, are those of contracts/cases/fields.yaml.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from functools import partial
from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Schedule,
    Trace,
    cases,
    field_table,
    new_id,
    requirement,
    resolve,
    scenario,
    until_heard,
    with_field,
)

TABLE = field_table()
RUNS = [name for name in TABLE.bases if name in TABLE.entries.values()]
PIECES_AT_ONCE = 24  # more than two cores are busy with, as the way to them may be long
PIECE = 40  # requests that are sent one after the other


def _is_asked(operation: str, field: str, wrong: str) -> bool:
    """Whether this request is sent: of the entry points of runs each value meets one, as all share a body."""
    if operation not in RUNS:
        return True
    number = list(TABLE.wrong).index(wrong) + len(field) + sum(map(ord, field))
    return RUNS[number % len(RUNS)] == operation


def _operations(group: str) -> list[str]:
    """Which take fields, of those that need the capability `group` ("": none)."""
    return list(
        dict.fromkeys(
            operation.name
            for operation, _ in TABLE.fields()
            if (group in operation.needs if group else not operation.needs)
        )
    )


def _wrong_of(name: str) -> list[tuple[str, str]]:
    """Field and wrong value of each request to an operation."""
    return [
        (field, wrong)
        for operation, field in TABLE.fields()
        if operation.name == name
        for wrong in TABLE.wrong
        if _is_asked(name, field, wrong)
    ]


async def _send_wrong(api: Api, group: str) -> None:
    few = asyncio.Semaphore(PIECES_AT_ONCE)

    async def send(operation: str, piece: list[tuple[str, str]]) -> None:
        method, _, path = operation.partition(" ")
        async with few:
            ids = await _ids(api, group)  # of its own: a run of another piece would have the thread busy
            for field, wrong in piece:
                body = with_field(_filled(TABLE.bases[operation], ids), field, TABLE.wrong[wrong])
                label = f"{operation} {field} {wrong}"
                await until_heard(partial(api.request, method, _filled(path, ids), json=body, label=label))

    async with asyncio.TaskGroup() as sending:
        for operation in _operations(group):
            wrong = _wrong_of(operation)
            for start in range(0, len(wrong), PIECE):
                sending.create_task(send(operation, wrong[start : start + PIECE]))


async def _ids(api: Api, group: str) -> dict[str, str]:
    """A thread with a run that has ended, an assistant, and a cron where there are any."""

    def good(path: str, body: dict[str, Any], label: str) -> Awaitable[Exchange]:
        return until_heard(partial(api.request, "POST", path, json=body, label=label))

    thread = (await good("/threads", {}, "good_thread")).object.get("thread_id")
    await until_heard(partial(api.wait, str(thread), "steps", {"note": "before"}, label="good_run"))
    run = (await api.runs(str(thread), limit=1, label="good_runs")).array[0]["run_id"]
    made = await good("/assistants", {"graph_id": "steps"}, "good_assistant")
    ids = {
        "thread": str(thread),
        "run": str(run),
        "assistant": str(made.object.get("assistant_id")),
        "new": new_id(),
    }
    if group == "crons":
        cron = {"assistant_id": "steps", "schedule": "0 0 1 1 *", "input": {}}
        made = await good("/runs/crons", cron, "good_cron")
        ids["cron"] = str(made.object.get("cron_id"))
    return ids


def _filled(value: Any, ids: dict[str, str]) -> Any:
    """The value with the ids in the place of their names."""
    text = json.dumps(value)
    for name, found in ids.items():
        text = text.replace("{" + name + "}", found)
    return json.loads(text)


@scenario(Schedule(heavy=True))
async def wrong_fields(api: Api) -> None:
    """Each wrong value in the place of each field of a good request; at last one more good run."""
    await _send_wrong(api, "")
    await until_heard(partial(api.wait, None, "steps", {"note": "after"}, label="good_run_after"))


@scenario(Schedule(heavy=True), needs=["store"])
async def wrong_fields_of_the_store(api: Api) -> None:
    """The same of the store."""
    await _send_wrong(api, "store")


@scenario(Schedule(heavy=True), needs=["crons"])
async def wrong_fields_of_crons(api: Api) -> None:
    """The same of crons."""
    await _send_wrong(api, "crons")


def _assert_no_crash(trace: Trace, operation: str) -> None:
    for field, wrong in _wrong_of(operation):
        answer = trace.only(f"{operation} {field} {wrong}")
        sent = json.dumps(TABLE.wrong[wrong])
        assert answer.status < 500, f"wanted a 2xx or a 4xx for {field} {sent}, got {answer.status}"


@requirement("FIELD-001")
@cases("operation", _operations(""))
def test_wrong_field_is_no_crash(operation: str, wrong_fields: Trace) -> None:
    assert resolve(wrong_fields.only("good_run_after").object, "/log") == STEPS, "it no longer runs a graph"
    _assert_no_crash(wrong_fields, operation)


@requirement("FIELD-009")
@cases("operation", _operations("store"))
def test_wrong_field_of_the_store_is_no_crash(operation: str, wrong_fields_of_the_store: Trace) -> None:
    _assert_no_crash(wrong_fields_of_the_store, operation)


@requirement("FIELD-010")
@cases("operation", _operations("crons"))
def test_wrong_field_of_a_cron_is_no_crash(operation: str, wrong_fields_of_crons: Trace) -> None:
    _assert_no_crash(wrong_fields_of_crons, operation)
