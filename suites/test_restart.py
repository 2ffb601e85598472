"""Restarts: what a server keeps over a stop in good order and over a kill, and what becomes of its runs.

What is stored, and what is read again, is data (contracts/cases/restarts.yaml). Each thing is a part of both
scenarios: those at rest are read before and after; those under way must end.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Sink,
    Trace,
    cases,
    lifecycle,
    log_of,
    new_id,
    own_server,
    requirement,
    resolve,
    restart_table,
    scenario,
    shown,
    some,
    status_of,
)

TABLE = restart_table()
STARTS_S = 6.0  # two starts of a server and one stop; the fastest takes 1.5 s for each
SLEEP_S = 1.5  # long enough to be ended in, once its node is seen at work on a server that takes no time
ENQUEUED = 2
OUTCOMES = {
    "success": ("steps", {"note": "kept"}),
    "error": ("fail", {"message": "the boiler is cold"}),
    "interrupt": ("interrupt", {"question": "open the valve?"}),
}
THREADS = ("single", "queue")
OF_AN_OUTCOME = ("thread", "state", "history", "runs", "run")
READ = [name for name, case in TABLE.cases.items() if "stored" in case.of and name != "replay"]
ONCE_A_YEAR = "0 0 1 1 *"

Kept = dict[str, Any]  # what a thing must be known by to be read again


@scenario(Schedule(waits=STARTS_S + SLEEP_S, alone=True, heavy=True), needs=["restart"])
async def stopped_in_good_order(api: Api) -> None:
    """The server is stopped and started while it keeps everything that a server can keep."""
    async with own_server(api) as server:
        await _keep_over(server, server.restart)


@scenario(Schedule(waits=STARTS_S + SLEEP_S, alone=True, heavy=True), needs=["kill"])
async def killed_in_the_midst(api: Api) -> None:
    """The same, but it is killed."""
    async with own_server(api) as server:

        async def kill_and_start() -> None:
            await server.kill()
            await server.start()

        await _keep_over(server, kill_and_start)


async def _keep_over(server: Api, end: Callable[[], Awaitable[None]]) -> None:
    """Make all things, those under way last; end the server and start it; read them and wait for them."""
    kept: dict[str, Kept] = {}
    sleep = server.with_slack(SLEEP_S) + 2 * server.limits.turn_s
    async with server.webhook_sink() as sink:

        async def rest(part: Api, name: str) -> None:
            kept[name] = await _rest(part, name)

        async def begin(part: Api, name: str) -> None:
            kept[name] = await _begin(part, name, sleep, sink)

        async def see(part: Api, name: str) -> None:
            if name in at_rest:
                await _read(part, name, kept[name], "after")
                return
            await _end(part, kept[name], sleep)
            if name == "webhook":
                await sink.delivered(kept[name]["url"])

        at_rest = [name for name, thing in TABLE.things.items() if thing.rests and _has(server, name)]
        under_way = [name for name, thing in TABLE.things.items() if not thing.rests and _has(server, name)]
        await server.each(at_rest, rest)
        await server.each(under_way, begin)
        await end()
        await server.each(kept, see)


def _has(server: Api, name: str) -> bool:
    """Whether the server has such a thing, as far as is known."""
    return all(map(server.target.has, TABLE.things[name].needs))


async def _rest(part: Api, name: str) -> Kept:
    """Make a thing that nothing goes on with, and read it."""
    make = {"item": _put_item, "cron": _schedule, "paused": _pause, "stored": _store}.get(
        name, _run_to_its_end
    )
    kept = await make(part, name)
    if "thread" in kept:
        await part.settle(kept["thread"])
    await _read(part, name, kept, "before")
    return kept


async def _read(part: Api, name: str, kept: Kept, when: str) -> None:
    read = {"item": _read_item, "cron": _find_cron, "paused": _resume, "stored": _read_stored}
    await read.get(name, _read_outcome)(part, kept, when)


async def _put_item(part: Api, _name: str) -> Kept:
    kept = {"namespace": ["runstone", new_id()], "key": "k"}
    await part.request("PUT", "/store/items", json={**kept, "value": {"kept": True}}, label="put")
    return kept


async def _read_item(part: Api, kept: Kept, when: str) -> None:
    query = {"namespace": ".".join(kept["namespace"]), "key": kept["key"]}
    await part.request("GET", "/store/items", params=query, label=f"item {when}")


async def _schedule(part: Api, _name: str) -> Kept:
    thread = await part.create_thread()
    body = {"assistant_id": "steps", "schedule": ONCE_A_YEAR, "input": {"note": "kept"}}
    await part.request("POST", f"/threads/{thread}/runs/crons", json=body, label="new_cron")
    return {"thread": thread}


async def _find_cron(part: Api, kept: Kept, when: str) -> None:
    found = {"thread_id": kept["thread"], "limit": 10}
    await part.request("POST", "/runs/crons/search", json=found, label=f"cron {when}")


async def _pause(part: Api, _name: str) -> Kept:
    thread = await part.create_thread()
    await part.wait(thread, "interrupt", {}, label="asked")
    return {"thread": thread}


async def _resume(part: Api, kept: Kept, when: str) -> None:
    if when == "after":
        await part.wait(kept["thread"], "interrupt", command={"resume": "yes"}, label="resume after")


async def _store(part: Api, _name: str) -> Kept:
    """A thread with a run whose events are kept, and an assistant."""
    thread = await part.create_thread(metadata={"tag": new_id()})
    made = await part.request("POST", "/assistants", json={"graph_id": "steps"}, label="new_assistant")
    first = await part.stream(thread, "steps", {"note": "kept"}, stream_resumable=True, label="first")
    return {"thread": thread, "run": first.run_id, "assistant": made.object.get("assistant_id")}


async def _read_stored(part: Api, kept: Kept, when: str) -> None:
    thread, run = kept["thread"], kept["run"]
    await part.thread(thread, label=f"thread {when}")
    await part.state(thread, label=f"state {when}")
    await part.run(thread, run, label=f"run {when}")
    await part.join(thread, run, label=f"join {when}")
    await part.request("GET", f"/assistants/{kept['assistant']}", label=f"assistant {when}")
    await part.search_threads(ids=[thread], label=f"search {when}")
    if when == "after":
        await part.join_stream(thread, run, last_event_id="-1", label="replay after")


async def _run_to_its_end(part: Api, outcome: str) -> Kept:
    thread = await part.create_thread(metadata={"outcome": outcome})
    run = await part.create_run(thread, *OUTCOMES[outcome])
    await part.poll_run(thread, run)
    return {"thread": thread, "run": run}


async def _read_outcome(part: Api, kept: Kept, when: str) -> None:
    thread = kept["thread"]
    await part.thread(thread, label=f"thread {when}")
    await part.state(thread, label=f"state {when}")
    await part.history(thread, label=f"history {when}")
    await part.runs(thread, label=f"runs {when}")
    await part.run(thread, kept["run"], label=f"run {when}")


async def _begin(part: Api, name: str, sleep: float, sink: Sink) -> Kept:
    """Begin one run or several, the first of which sleeps in its second node or waits for its time."""
    thread = await part.create_thread()
    fields: Kept = {}
    if name == "delayed":
        fields = {"after_seconds": math.ceil(sleep)}
    elif name == "webhook":
        fields = {"webhook": sink.address(name)}
    given = {"sleep": 0 if name == "delayed" else sleep}
    first = await part.create_run(thread, "slow", given, **fields)
    further = range(ENQUEUED if name == "queue" else 0)
    runs = [first, *[await part.create_run(thread, "slow", {"sleep": 0}) for _ in further]]
    if name != "delayed":
        await part.until_logged(thread, "a")
    await part.run(thread, first, label="run before")
    await part.state(thread, label="state before")
    return {"thread": thread, "runs": runs, "url": fields.get("webhook")}


async def _end(part: Api, kept: Kept, sleep: float) -> None:
    """Wait until every run is terminal, and read what is left."""
    thread, runs = kept["thread"], kept["runs"]
    await asyncio.gather(*(part.poll_run(thread, run, patience=2 * sleep) for run in runs))
    await part.settle(thread)
    await part.state(thread)
    for run in runs:
        await part.run(thread, run, label="run after")


@requirement("PERS-001")
@cases("outcome", OUTCOMES)
def test_what_was_at_rest_is_the_same_after_a_restart(outcome: str, stopped_in_good_order: Trace) -> None:
    _assert_outcome_as_before(stopped_in_good_order.part(outcome))


@requirement("PERS-002")
@cases("thread", THREADS)
def test_a_killed_run_comes_to_an_end(thread: str, killed_in_the_midst: Trace) -> None:
    part = _under_way(killed_in_the_midst, thread)
    assert status_of(part.first("run after").ok) in lifecycle().runs.terminal
    assert status_of(part.last("settle").ok) in lifecycle().threads.statuses - {"busy"}


@requirement("PERS-003")
def test_completed_nodes_are_not_executed_again(killed_in_the_midst: Trace) -> None:
    _assert_executed_once(_under_way(killed_in_the_midst, "single"))


@requirement("PERS-004")
@cases("thing", ["queue", "delayed"])
def test_no_accepted_run_is_lost(thing: str, killed_in_the_midst: Trace) -> None:
    _assert_none_is_lost(killed_in_the_midst, thing)


@requirement("PERS-005")
@cases("case", [*OUTCOMES, *READ, "resume", "replay"])
def test_what_was_at_rest_outlives_a_kill(case: str, killed_in_the_midst: Trace) -> None:
    if case in OUTCOMES:
        _assert_outcome_as_before(killed_in_the_midst.part(case))
    else:
        _assert_as_before(killed_in_the_midst, case)


@requirement("PERS-006")
def test_item_outlives_a_kill(killed_in_the_midst: Trace) -> None:
    _assert_as_before(killed_in_the_midst, "item")


@requirement("PERS-007")
def test_cron_outlives_a_kill(killed_in_the_midst: Trace) -> None:
    _assert_as_before(killed_in_the_midst, "cron")


@requirement("PERS-008")
def test_webhook_outlives_a_kill(killed_in_the_midst: Trace) -> None:
    _assert_called(killed_in_the_midst)


@requirement("RESTART-001")
def test_run_under_way_comes_to_an_end(stopped_in_good_order: Trace) -> None:
    part = _under_way(stopped_in_good_order, "single")
    assert status_of(part.first("run after").ok) in lifecycle().runs.terminal
    assert status_of(part.last("settle").ok) in lifecycle().threads.statuses - {"busy"}
    _assert_executed_once(part)


@requirement("RESTART-002")
def test_stream_of_an_ended_run_ends(stopped_in_good_order: Trace) -> None:
    _assert_as_before(stopped_in_good_order, "replay")


@requirement("RESTART-003")
@cases("case", [*READ, "resume"])
def test_what_was_stored_is_there(case: str, stopped_in_good_order: Trace) -> None:
    _assert_as_before(stopped_in_good_order, case)


@requirement("RESTART-004")
def test_item_is_there(stopped_in_good_order: Trace) -> None:
    _assert_as_before(stopped_in_good_order, "item")


@requirement("RESTART-005")
@cases("thing", ["queue", "delayed"])
def test_no_run_is_lost_over_a_stop(thing: str, stopped_in_good_order: Trace) -> None:
    _assert_none_is_lost(stopped_in_good_order, thing)


@requirement("RESTART-006")
def test_cron_is_there(stopped_in_good_order: Trace) -> None:
    _assert_as_before(stopped_in_good_order, "cron")


@requirement("RESTART-007")
def test_webhook_is_called_after_the_start(stopped_in_good_order: Trace) -> None:
    _assert_called(stopped_in_good_order)


def _assert_outcome_as_before(part: Trace) -> None:
    some(part.only("history before").ok.array, "checkpoint before the restart")
    some(part.only("runs before").ok.array, "run before the restart")
    gone = [what for what in OF_AN_OUTCOME if part.only(f"{what} after").status == 404]
    assert gone == []
    seen = {what: part.only(f"{what} after").ok.json for what in OF_AN_OUTCOME}
    assert seen == {what: part.only(f"{what} before").ok.json for what in OF_AN_OUTCOME}


def _assert_as_before(trace: Trace, what: str) -> None:
    """Fail unless what was stored is read as before; a replay ends, and an answer reaches its graph."""
    part = trace.part("paused" if what == "resume" else what if what in ("item", "cron") else "stored")
    after = part.only(f"{what} after")
    assert after.failure is None, f"wanted the answer of {after.where} to end, got {after.failure}"
    if what == "replay":
        assert after.status < 500
        told = [event.event for event in after.events if event.event != "end"]
        whole = [event.event for event in part.only("first").stream if event.event != "end"]
        assert told in ([], whole), f"wanted all events of the run or none, got {shown(told)}"
        return
    assert after.status == 200
    if what == "resume":
        assert resolve(after.object, "/answer") == "yes"
        return
    before = part.only(f"{what} before").ok.json
    if what == "cron":
        some(before, "cron before the restart")
    assert after.json == before


def _under_way(trace: Trace, thing: str) -> Trace:
    """What was seen of it. Raises Missing unless its run had not ended, and was where it was to be."""
    part = trace.part(thing)
    log = None if thing == "delayed" else log_of(part.only("state before"))
    status = status_of(part.only("run before").ok)
    if (status, log) != (("pending", None) if thing == "delayed" else ("running", ["a"])):
        raise Missing(f"it was not ended in mid-run: the run was {shown(status)}, its log {shown(log)}")
    return part


def _assert_executed_once(part: Trace) -> None:
    resumed = status_of(part.only("run after").ok) == "success"
    assert some(log_of(part.state), f"log in {part.state.where}") == (["a", "b", "c"] if resumed else ["a"])


def _assert_none_is_lost(trace: Trace, thing: str) -> None:
    part = _under_way(trace, thing)
    statuses = [status_of(each.ok) for each in part.all("run after")]
    assert len(statuses) == 1 + (ENQUEUED if thing == "queue" else 0)
    assert set(statuses) <= lifecycle().runs.terminal
    # The last node of a run that succeeded has executed exactly once, and that of no other run.
    log = log_of(part.state) if "success" in statuses or thing == "queue" else []
    assert log.count("c") == statuses.count("success")


def _assert_called(trace: Trace) -> None:
    part = _under_way(trace, "webhook")
    run = part.first("run after").ok.object
    told = [_told(each) for each in part.find("delivery")]
    wanted = (run.get("run_id"), run.get("status"))
    assert wanted in told, f"wanted the webhook of {wanted[0]} to be told {wanted[1]}, got {shown(told)}"


def _told(delivery: Exchange) -> tuple[Any, Any]:
    body = delivery.request_json
    return (body.get("run_id"), body.get("status")) if isinstance(body, dict) else (None, None)
