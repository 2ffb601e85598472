"""The Run resource: its members wherever it is answered, its metadata, and that it carries no result."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

from runstone.suite import (
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    by_threaded_entry_point,
    cases,
    conforms,
    requirement,
    scenario,
    shown,
    some,
    time_in,
)

METADATA: dict[str, Any] = {"ticket": 4711, "origin": {"desk": "Süd", "tags": ["a", None, 1.5]}}
RESULT_MEMBERS = {"result", "output", "outputs", "values", "content", "response"}
ANSWERS = ("created", "read", "listed")


@scenario(Schedule(steady=True), agent=True)
async def runs_described(api: Api) -> None:
    """A run with metadata, created, polled to its end and listed; a second one; and the graph's assistant."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": 0.3}, metadata=METADATA, label="created")
    await api.poll_run(thread, run)
    await api.run(thread, run, label="read")
    await api.create_run(thread, "slow", {"sleep": 0}, label="created_second")
    await api.runs(thread, limit=100, label="listed")
    await api.search_assistants(graph_id="slow", limit=100)


@scenario(agent=True)
async def run_of_an_own_assistant(api: Api) -> None:
    """Assistant, thread and run each with metadata; `run` is in all three, `thread` in the first two."""
    made = {"graph_id": "steps", "metadata": {"assistant": 1, "thread": 1, "run": 1}}
    assistant = await api.request("POST", "/assistants", json=made, label="create_assistant")
    thread = await api.create_thread(metadata={"thread": 2, "run": 2})
    own = str(assistant.object.get("assistant_id"))
    run = await api.create_run(thread, own, {"note": "merged"}, metadata={"run": 3}, label="created")
    await api.poll_run(thread, run)


def _described(trace: Trace, answer: str) -> tuple[Exchange, dict[str, Any]]:
    """The exchange and the first run as it was created, read or listed."""
    exchange = trace.only(answer)
    if answer != "listed":
        return exchange, exchange.object
    own = trace.created.object.get("run_id")
    runs = [run for run in exchange.array if isinstance(run, dict) and run.get("run_id") == own]
    return exchange, some(runs, "such run in the list of its thread")[0]


def _metadata(run: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    metadata = run.get("metadata")
    if not isinstance(metadata, dict):
        raise Missing(f"{exchange.where} shows no metadata")
    return metadata


def _updated_at(run: dict[str, Any], exchange: Exchange) -> dt.datetime:
    """When the run was changed. Raises Missing when that is not a time with an offset."""
    time = time_in(run.get("updated_at"), f"updated_at in {exchange.where}")
    if time.tzinfo is None:
        raise Missing(f"{exchange.where} shows {shown(run.get('updated_at'))} as updated_at")
    return time


@requirement("RUN-SCHEMA-001")
@cases("answer", ANSWERS)
def test_run_is_whole(answer: str, runs_described: Trace) -> None:
    exchange, run = _described(runs_described, answer)
    conforms(run, "run", exchange)


@requirement("RUN-SCHEMA-002")
@cases("answer", ANSWERS)
def test_run_carries_arguments_and_strategy(answer: str, runs_described: Trace) -> None:
    _, run = _described(runs_described, answer)
    assert isinstance(run.get("kwargs"), dict), f"wanted an object `kwargs`, got {shown(run.get('kwargs'))}"
    strategy = run.get("multitask_strategy")
    assert isinstance(strategy, str), f"wanted a text `multitask_strategy`, got {shown(strategy)}"


@requirement("RUN-SCHEMA-003")
@by_threaded_entry_point
def test_run_carries_no_result(entry_point: str, success: Trace) -> None:
    run = success.part(entry_point).last("poll").object
    if run.get("status") != "success":
        raise Missing(f"the run did not end well, but in {shown(run.get('status'))}")
    assert sorted(RESULT_MEMBERS & set(run)) == []


@requirement("RUN-SCHEMA-004")
def test_assistant_id_is_the_assistants(runs_described: Trace) -> None:
    assistants = some(runs_described.search_assistants.array, "assistant of the graph")
    graph = runs_described.search_assistants.request_json["graph_id"]
    ids = [each.get("assistant_id") for each in assistants if each.get("graph_id") == graph]
    for answer in ("created", "read"):
        exchange, run = _described(runs_described, answer)
        conforms(run.get("assistant_id"), "uuid", exchange)
        assert run["assistant_id"] in ids


@requirement("RUN-SCHEMA-005")
@cases("answer", ANSWERS)
def test_metadata_comes_back(answer: str, runs_described: Trace) -> None:
    exchange, run = _described(runs_described, answer)
    metadata = _metadata(run, exchange)
    assert {key: metadata.get(key) for key in METADATA} == METADATA


@requirement("RUN-SCHEMA-006")
def test_metadata_is_merged(run_of_an_own_assistant: Trace) -> None:
    for exchange in (run_of_an_own_assistant.created, run_of_an_own_assistant.last("poll")):
        metadata = _metadata(exchange.object, exchange)
        merged = {key: metadata.get(key) for key in ("assistant", "thread", "run")}
        assert merged == {"assistant": 1, "thread": 2, "run": 3}


@requirement("RUN-SCHEMA-007")
def test_run_keeps_an_identity_of_its_own(runs_described: Trace, success: Trace) -> None:
    members = ("run_id", "thread_id", "created_at")
    created, read = runs_described.created.object, runs_described.read.object
    if not all(created.get(key) for key in members):
        raise Missing(f"{runs_described.created.where} names not all of {', '.join(members)}")
    assert {key: read.get(key) for key in members} == {key: created.get(key) for key in members}
    ids = [runs_described.only(label).object.get("run_id") for label in ("created", "created_second")]
    ids += [
        success.part(entry_point).last("poll").object.get("run_id") for entry_point in THREADED_ENTRY_POINTS
    ]
    assert len(set(ids)) == len(ids), f"wanted {len(ids)} different run ids, got {shown(ids)}"


@requirement("RUN-SCHEMA-008")
def test_updated_at_never_goes_back(runs_described: Trace) -> None:
    readings = [runs_described.created, *runs_described.all("poll"), runs_described.read]
    seen = [exchange.object.get("status") for exchange in (readings[0], readings[-1])]
    if seen[0] == seen[1] or seen[1] != "success":
        raise Missing(f"the run did not go on between the readings: {shown(seen)}")
    times = [_updated_at(exchange.object, exchange) for exchange in readings]
    for (earlier, later), exchange in zip(pairwise(times), readings[1:], strict=True):
        assert later >= earlier, f"wanted {earlier} or later, got {later} ({exchange.where})"
