"""POST /threads/{thread_id}/copy: a thread of its own with the state and the history of another."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Blocked,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    conforms,
    first_difference,
    new_id,
    ran,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
)

NEXT: dict[str, list[str]] = {"finished": [], "paused": ["s2"]}  # the nodes before which the source stops
by_source = cases("source", NEXT)


@scenario(Schedule(thorough=True), agent=True)
async def thread_copied(api: Api) -> None:
    """A finished and a paused thread are copied; then copy and source go ways of their own."""
    await api.each(NEXT, _copied)
    await _copy(api, new_id(), label="copy_unknown")


async def _copied(part: Api, source_is: str) -> None:
    if source_is == "paused":
        part.demand_graphs()
    source = await part.create_thread()
    await part.wait(source, "steps", {"note": "copied"}, interrupt_before=NEXT[source_is])
    await part.settle(source)
    await _read(part, source, "source")
    await part.runs(source, limit=100, label="source_runs")
    twin = (await _copy(part, source, label="copy")).object.get("thread_id")
    if not isinstance(twin, str):
        raise Blocked("the answer to the copy has no thread_id")
    part.note(source=source, twin=twin)
    await part.thread(twin, label="twin")
    await part.runs(twin, limit=100, label="twin_runs")
    await _read(part, twin, "twin")
    if source_is == "paused":
        await part.update_state(twin, values={"note": "updated"}, as_node="s1")
        await _read(part, twin, "twin_later")
        await _read(part, source, "source_later")
        return
    await part.wait(twin, "steps", {"note": "run on the copy"})
    await _read(part, twin, "twin_later")
    await _read(part, source, "source_later")
    await part.wait(source, "steps", {"note": "run on the source"})
    await _read(part, source, "source_last")
    await _read(part, twin, "twin_last")


async def _copy(api: Api, thread: str, label: str) -> Exchange:
    return await api.request("POST", f"/threads/{thread}/copy", label=label)


async def _read(part: Api, thread: str, what: str) -> None:
    await part.settle(thread)
    await part.state(thread, label=f"{what}_state")
    await part.history(thread, label=f"{what}_history")


@requirement("THR-COPY-001")
@by_source
def test_copy_has_the_state(source: str, thread_copied: Trace) -> None:
    part = thread_copied.part(source)
    _insist_on_source(part, source)
    assert part.copy.status == 200
    conforms(part.copy.object, "thread", part.copy)
    assert part.note("twin") != part.note("source"), "wanted a new id, got that of the source"
    assert part.twin.object.get("thread_id") == part.note("twin")
    for member in ("values", "next"):
        assert part.twin_state.object.get(member) == part.source_state.object.get(member)


@requirement("THR-COPY-002")
@by_source
def test_copy_has_the_history(source: str, thread_copied: Trace) -> None:
    part = thread_copied.part(source)
    _insist_on_source(part, source)
    assert part.note("twin") != part.note("source")
    difference = first_difference(_outline(part.twin_history), _outline(part.source_history))
    assert difference is None, f"the copy's history: {difference}"


@requirement("THR-COPY-003")
@cases(
    "source, changed, kept, when",
    [
        row("finished", "twin", "source", "later", name="run_on_the_copy"),
        row("paused", "twin", "source", "later", name="update_of_the_copy"),
        row("finished", "source", "twin", "last", name="run_on_the_source"),
    ],
)
def test_each_goes_its_own_way(source: str, changed: str, kept: str, when: str, thread_copied: Trace) -> None:
    part = thread_copied.part(source)
    _insist_on_source(part, source)
    was = "twin_later" if when == "last" and kept == "twin" else kept
    grew = len(part.only(f"{changed}_{when}_history").array) - len(part.only(f"{changed}_history").array)
    if grew < 1:
        raise Missing(f"the history of the {changed} did not grow, so that there was nothing to spill over")
    assert _left(part.only(f"{kept}_{when}_state")) == _left(part.only(f"{was}_state"))
    entries, earlier = part.only(f"{kept}_{when}_history").array, part.only(f"{was}_history").array
    difference = first_difference(entries, some(earlier, "entry in the history before"))
    assert difference is None, f"the {kept}'s history: {difference}"


@requirement("THR-COPY-004")
def test_unknown_thread_cannot_be_copied(thread_copied: Trace) -> None:
    assert thread_copied.part("finished").copy.ok
    status = thread_copied.copy_unknown.status
    assert status in (404, 409), f"wanted 404 or 409, got {status}"


@requirement("THR-COPY-005")
def test_copy_is_idle_and_has_no_runs(thread_copied: Trace) -> None:
    part = thread_copied.part("finished")
    some(part.source_runs.array, "run of the source that could have been copied")
    assert part.note("twin") != part.note("source")
    assert part.twin.object.get("status") == "idle"
    assert part.twin_runs.array == []


def _insist_on_source(part: Trace, source: str) -> None:
    """The source is as it was meant to be: a copy of nothing shows nothing."""
    state = part.source_state.object
    log, following = resolve(state, "/values/log"), state.get("next")
    nodes = STEPS if source == "finished" else STEPS[:1]
    if not ran(state.get("values"), nodes) or following != NEXT[source]:
        raise Missing(f"the source has the log {shown(log)} and is before {shown(following)}")
    some(part.source_history.array, "entry in the history of the source")


def _left(state: Exchange) -> dict[str, Any]:
    return {key: state.object.get(key) for key in ("values", "next", "checkpoint")}


def _outline(history: Exchange) -> list[dict[str, Any]]:
    """Each entry without ids: its values, its next nodes, and which entry of the history is its parent."""
    entries = history.array
    ids = [resolve(entry, "/checkpoint/checkpoint_id") for entry in entries]
    parents = [resolve(entry, "/parent_checkpoint/checkpoint_id") for entry in entries]
    return [
        {
            "values": resolve(entry, "/values"),
            "next": resolve(entry, "/next"),
            "parent": parent and (ids.index(parent) if parent in ids else "none of these entries"),
        }
        for entry, parent in zip(entries, parents, strict=True)
    ]
