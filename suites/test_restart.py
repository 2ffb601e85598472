"""A stop in good order and a start: what was stored is there, and what ran goes on.

What is read again is data (contracts/cases/restarts.yaml).
"""

from __future__ import annotations

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    lifecycle,
    new_id,
    own_server,
    requirement,
    resolve,
    restart_table,
    scenario,
)

TABLE = restart_table()
STARTS_S = 6.0
SLEEP_S = 2.5
READ = [name for name in TABLE.cases if name not in ("item", "resume", "replay")]


@scenario(Schedule(waits=STARTS_S + SLEEP_S, alone=True, heavy=True), needs=["restart"])
async def stopped_in_good_order(api: Api) -> None:
    """The server is stopped and started while a run is under way, another paused, a third long over."""
    async with own_server(api) as server:
        over, paused, busy = [await server.create_thread(metadata={"tag": new_id()}) for _ in range(3)]
        made = await server.request("POST", "/assistants", json={"graph_id": "steps"}, label="new_assistant")
        assistant = str(made.object.get("assistant_id"))
        first = await server.stream(over, "steps", {"note": "kept"}, stream_resumable=True, label="first")
        await server.settle(over)
        await server.wait(paused, "interrupt", {}, label="asked")
        await server.settle(paused)
        sleep = server.with_slack(SLEEP_S)
        run = await server.create_run(busy, "slow", {"sleep": sleep})
        await _read(server, over, first, assistant, "before")
        await server.until_logged(busy, "a")
        await server.run(busy, run, label="busy_before")
        await server.restart()
        await _read(server, over, first, assistant, "after")
        await server.join_stream(over, first.run_id, last_event_id="-1", label="replay after")
        await server.wait(paused, "interrupt", command={"resume": "yes"}, label="resume after")
        await server.poll_run(busy, run, patience=sleep)
        await server.settle(busy, label="busy_thread")
        await server.state(busy, label="busy_state")


async def _read(server: Api, thread: str, first: Exchange, assistant: str, when: str) -> None:
    await server.thread(thread, label=f"thread {when}")
    await server.state(thread, label=f"state {when}")
    await server.run(thread, first.run_id, label=f"run {when}")
    await server.join(thread, first.run_id, label=f"join {when}")
    await server.request("GET", f"/assistants/{assistant}", label=f"assistant {when}")
    await server.search_threads(ids=[thread], label=f"search {when}")


@scenario(Schedule(waits=STARTS_S, alone=True, heavy=True), needs=["restart", "store"])
async def item_over_a_restart(api: Api) -> None:
    """An item of the store is read before and after a restart."""
    async with own_server(api) as server:
        item = {"namespace": ["runstone", new_id()], "key": "k"}
        query = {"namespace": ".".join(item["namespace"]), "key": "k"}
        await server.request("PUT", "/store/items", json={**item, "value": {"kept": True}}, label="put")
        await server.request("GET", "/store/items", params=query, label="item before")
        await server.restart()
        await server.request("GET", "/store/items", params=query, label="item after")


@requirement("RESTART-001")
def test_run_under_way_comes_to_an_end(stopped_in_good_order: Trace) -> None:
    trace = stopped_in_good_order
    if trace.only("busy_before").object.get("status") != "running":
        raise Missing(f"{trace.only('busy_before').where} was not running when the server was stopped")
    status = trace.last("poll").ok.object.get("status")
    assert status in lifecycle().runs.terminal
    assert trace.last("busy_thread").ok.object.get("status") in lifecycle().threads.statuses - {"busy"}
    log = resolve(trace.only("busy_state").object, "/values/log")
    assert log == (["a", "b", "c"] if status == "success" else ["a"])


@requirement("RESTART-002")
def test_stream_of_an_ended_run_ends(stopped_in_good_order: Trace) -> None:
    replay = stopped_in_good_order.only("replay after")
    assert replay.status < 500
    assert replay.failure is None, f"wanted a stream that ends, got {replay.failure}"


@requirement("RESTART-003")
@cases("case", [*READ, "resume"])
def test_what_was_stored_is_there(case: str, stopped_in_good_order: Trace) -> None:
    if case == "resume":
        assert resolve(stopped_in_good_order.only("resume after").object, "/answer") == "yes"
    else:
        _assert_as_before(stopped_in_good_order, case)


@requirement("RESTART-004")
def test_item_is_there(item_over_a_restart: Trace) -> None:
    _assert_as_before(item_over_a_restart, "item")


def _assert_as_before(trace: Trace, what: str) -> None:
    assert trace.only(f"{what} after").status == 200
    assert trace.only(f"{what} after").json == trace.only(f"{what} before").ok.json
