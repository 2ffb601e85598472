"""POST /threads: a new thread, a given id, what happens when it exists, and threads made from supersteps."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Trace,
    assert_metadata,
    cases,
    conforms,
    new_id,
    requirement,
    scenario,
    shown,
    some,
)

METADATA: dict[str, Any] = {
    "owner": "Ida Ørsted",
    "plan": {"floors": [1, 2.5, None, {"heated": True}], "empty": {}, "none": []},
}
CREATIONS = 8  # at once; two would seldom meet


@scenario(agent=True)
async def threads_created(api: Api) -> None:
    """Threads with an id of the server's and with a given one, and the given one once more in three ways."""
    await api.request("POST", "/threads", json={}, label="empty")
    thread = await api.create_thread()
    await api.thread(thread, label="empty_read")
    own = new_id()
    api.note(own=own)
    await api.create_thread(thread_id=own, metadata=METADATA, label="given")
    await api.thread(own, label="given_read")
    again: dict[str, Any] = {"thread_id": own, "metadata": {"owner": "someone else"}}
    await api.request("POST", "/threads", json={**again, "if_exists": "raise"}, label="raise")
    await api.request("POST", "/threads", json=again, label="default")
    await api.request("POST", "/threads", json={**again, "if_exists": "do_nothing"}, label="do_nothing")
    await api.thread(own, label="read_after")
    await api.search_threads(metadata={"owner": METADATA["owner"]}, limit=100, label="found")


@scenario(agent=True)
async def thread_created_by_many(api: Api) -> None:
    """One id, created by several requests at once."""
    own = new_id()
    api.note(own=own)
    create = {"thread_id": own, "if_exists": "raise"}
    await asyncio.gather(
        *(api.request("POST", "/threads", json=create, label="create") for _ in range(CREATIONS))
    )
    await api.thread(own)


@scenario
async def thread_from_supersteps(api: Api) -> None:
    """A thread that paused after its first node, and a second one made from the same updates."""
    source = await api.create_thread()
    given = {"note": "copied"}
    await api.wait(source, "steps", given, interrupt_before=["s2"])
    await api.state(source, label="source")
    updates = [("__input__", given), ("__start__", given), ("s1", {"log": ["s1"]})]
    supersteps = [{"updates": [{"as_node": node, "values": values}]} for node, values in updates]
    copy = await api.create_thread(metadata={"graph_id": "steps"}, supersteps=supersteps, label="create_copy")
    await api.state(copy, label="copy")


def _thread_in(exchange: Exchange) -> dict[str, Any]:
    return {key: exchange.object.get(key) for key in ("thread_id", "created_at", "metadata")}


@requirement("THR-CREATE-001")
def test_server_makes_the_id(threads_created: Trace) -> None:
    first, second = threads_created.empty, threads_created.create_thread
    for exchange in (first, second):
        assert exchange.status == 200
        conforms(exchange.object, "thread", exchange)
    assert first.object["thread_id"] != second.object["thread_id"]
    assert threads_created.empty_read.object.get("thread_id") == second.object["thread_id"]


@requirement("THR-CREATE-002")
@cases("answer", ["empty", "given", "given_read", "do_nothing", "found", "after_a_run"])
def test_thread_is_whole_wherever_it_is_answered(answer: str, threads_created: Trace, success: Trace) -> None:
    exchange = (
        success.part("wait").last("settle") if answer == "after_a_run" else threads_created.only(answer)
    )
    found = exchange.array if answer == "found" else [exchange.object]
    for thread in some(found, "thread that was searched for"):
        conforms(thread, "thread", exchange)


@requirement("THR-CREATE-003")
def test_new_thread_is_idle(threads_created: Trace) -> None:
    own = threads_created.note("own")
    if str(threads_created.given_read.object.get("thread_id")).lower() != own:
        raise Missing(f"{threads_created.given_read.where} answered another thread")
    for label in ("empty", "empty_read", "given_read"):
        assert threads_created.only(label).object.get("status") == "idle"


@requirement("THR-CREATE-004")
def test_given_id_becomes_the_id(threads_created: Trace) -> None:
    own = threads_created.note("own")
    for label in ("given", "given_read"):
        assert str(threads_created.only(label).object.get("thread_id")).lower() == own


@requirement("THR-CREATE-005")
@cases("if_exists", ["raise", "default"])
def test_second_creation_conflicts(if_exists: str, threads_created: Trace) -> None:
    assert threads_created.given.ok.complete
    assert threads_created.only(if_exists).status == 409


@requirement("THR-CREATE-006")
def test_second_creation_answers_the_thread_as_it_was(threads_created: Trace) -> None:
    was = _thread_in(threads_created.given_read)
    if not isinstance(was["metadata"], dict) or was["metadata"].get("owner") != METADATA["owner"]:
        raise Missing(f"{threads_created.given_read.where} shows no metadata that could stay as it was")
    assert threads_created.do_nothing.status == 200
    assert _thread_in(threads_created.do_nothing) == was
    assert _thread_in(threads_created.read_after) == was


@requirement("THR-CREATE-007")
@cases("answer", ["given", "given_read"])
def test_metadata_comes_back(answer: str, threads_created: Trace) -> None:
    assert threads_created.given_read.ok.complete
    assert_metadata(threads_created.only(answer), METADATA)


@requirement("THR-CREATE-008")
def test_thread_without_a_run_has_no_values(threads_created: Trace, success: Trace) -> None:
    for label in ("empty", "empty_read"):
        thread = threads_created.only(label).object
        for member in ("values", "interrupts"):
            empty = thread.get(member) in (None, {}, [])
            assert empty, f"wanted no {member} without a run, got {shown(thread.get(member))}"
    after = success.part("wait")
    left = after.state.object.get("values")
    if not left:
        raise Missing(f"{after.state.where} shows no values after a run")
    assert after.last("settle").object.get("values") == left


@requirement("THR-CREATE-009")
def test_supersteps_make_the_same_state(thread_from_supersteps: Trace) -> None:
    source, copy = thread_from_supersteps.source.object, thread_from_supersteps.copy.object
    if source.get("next") != ["s2"]:
        raise Missing(f"the thread to copy did not pause before s2: its next is {shown(source.get('next'))}")
    assert copy.get("values") == source.get("values")
    assert copy.get("next") == source["next"]


@requirement("THR-CREATE-010")
def test_one_of_many_creates_the_thread(thread_created_by_many: Trace) -> None:
    codes = sorted(exchange.status for exchange in thread_created_by_many.all("create"))
    assert codes == [200] + [409] * (CREATIONS - 1)
    read = thread_created_by_many.thread.object.get("thread_id")
    assert str(read).lower() == thread_created_by_many.note("own")
