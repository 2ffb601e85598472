"""Scheduled runs: how they are made, found, changed and deleted, and the runs that they make when due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from runstone.suite import (
    Api,
    Blocked,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    conforms,
    each_of,
    lifecycle,
    new_id,
    raw,
    requirement,
    resolve,
    scenario,
    some,
    time_in,
)

INPUT = {"note": "every morning"}
MORNING: dict[str, Any] = {"schedule": "30 7 * * *", "input": INPUT}
KOLKATA = timezone(timedelta(hours=5, minutes=30))  # no daylight saving time since 1945
DUE = {"create": (7, 30, UTC), "zoned": (7, 30, KOLKATA), "patch": (12, 15, UTC)}
FAR = "2099-01-01T00:00:00+00:00"
PAST = "2020-01-01T00:00:00+00:00"
DUE_S = 75.0  # a minute at most, and what a scheduler that looks every 5 or 10 s may be late
SLEEP_S = 4.0  # a run of a cron lasts so long, or its thread could come and go between two looks
LOOK_S = 1.0


@scenario(needs=["crons"])
async def crons_made_and_changed(api: Api) -> None:
    """Crons without a thread, on a thread and disabled are made, found, changed and deleted."""
    async with _own_assistant(api) as own:
        api.note(assistant=own)
        thread = await api.create_thread()
        api.note(thread=thread)
        cron = await _make(api, None, own, **MORNING, metadata={"floor": 1})
        await _make(api, None, own, **MORNING, timezone="Asia/Kolkata", label="zoned")
        await _make(api, None, own, **MORNING, enabled=False, label="disabled")
        await _make(api, thread, own, **MORNING, label="on_thread")
        await _refusals(api, own)
        await _find(api, "by_assistant", assistant_id=own)
        await _find(api, "by_thread", thread_id=thread)
        for enabled in (True, False):
            await _find(api, f"by_enabled_{enabled}", assistant_id=own, enabled=enabled)
        for label, chosen in (("count", {"assistant_id": own}), ("count_of_thread", {"thread_id": thread})):
            await api.request("POST", "/runs/crons/count", json=chosen, label=label)
        path = f"/runs/crons/{cron}"
        await api.request("GET", path, label="read")
        await api.request("GET", f"/runs/crons/{new_id()}", label="read_unknown")
        change = {"schedule": "15 12 * * *", "enabled": False, "end_time": FAR}
        await api.request("PATCH", path, json=change, label="patch")
        await api.request("PATCH", path, json={"end_time": None}, label="patch_end")
        await _find(api, "after_the_patches", assistant_id=own)
        await api.request("DELETE", path, label="delete")
        await _find(api, "after_the_deletion", assistant_id=own)


@scenario(needs=["crons"])
async def crons_whose_owners_are_deleted(api: Api) -> None:
    """A thread and an assistant with crons are deleted; a cron of neither stays."""
    async with _own_assistant(api) as doomed, _own_assistant(api) as own:
        thread = await api.create_thread()
        await _make(api, thread, own, **MORNING, label="of_the_thread")
        await _make(api, None, doomed, **MORNING, label="of_the_assistant")
        await _make(api, None, own, **MORNING, label="of_neither")
        for when in ("before", "after"):
            if when == "after":
                await api.delete_thread(thread)
                await api.request("DELETE", f"/assistants/{doomed}", label="delete_assistant")
            await _find(api, f"thread_{when}", assistant_id=own)
            await _find(api, f"assistant_{when}", assistant_id=doomed)


@scenario(Schedule(waits=DUE_S), needs=["crons"])
async def crons_of_every_minute(api: Api) -> None:
    """Crons of every minute, some of which must make no run, until the others have made one that ended."""
    own_assistants = (_own_assistant(api, "slow") for _ in range(3))
    async with next(own_assistants) as own, next(own_assistants) as deleting, next(own_assistants) as keeping:
        assistants, known = {"delete": deleting, "keep": keeping}, {}
        for kind, assistant in assistants.items():
            known[kind] = await api.create_thread()
            await api.wait(known[kind], assistant, {"sleep": 0}, label=f"{kind}_known")
        threads = {kind: await api.create_thread() for kind in ("running", "disabled", "ending", "ended")}
        every: dict[str, Any] = {"schedule": "* * * * *", "input": {"sleep": SLEEP_S}}
        await _make(api, threads["running"], own, **every, label="running")
        await _make(api, None, deleting, **every, on_run_completed="delete", label="delete")
        await _make(api, None, keeping, **every, on_run_completed="keep", label="keep")
        await _make(api, threads["disabled"], own, **every, enabled=False, label="disabled")
        # Last, since an end that a scheduler cannot read must not keep the others from running.
        await _make(api, threads["ending"], own, **every, end_time=FAR, label="ending")
        await _request_cron(api, threads["ended"], own, {**every, "end_time": PAST}, "ended")

        async def watch(part: Api, kind: str) -> None:
            if kind in threads:
                await _until_run_ends(part, threads[kind])
            else:
                await _until_new_thread_ends(part, assistants[kind], known[kind])

        await api.each(("running", "ending", *assistants), watch)
        for kind in ("running", "disabled", "ended"):
            await api.runs(threads[kind], limit=10, label=f"{kind}_at_last")


@asynccontextmanager
async def _own_assistant(api: Api, graph: str = "steps") -> AsyncIterator[str]:
    """An assistant that nobody else has crons of; it and its crons are deleted at the end.

    Of the crons that are found only those that this scenario made: a search may show those of others too.
    """
    body = {"graph_id": api.target.assistant(graph), "name": "For crons"}
    created = await api.request("POST", "/assistants", json=body, label="create_assistant")
    own = created.object.get("assistant_id")
    if not isinstance(own, str):
        raise Blocked(f"{created.where} gave no assistant_id")
    try:
        yield own
    finally:
        left_over = await _find(api, "left_over", assistant_id=own)
        await api.request("DELETE", f"/assistants/{own}", label="delete_own_assistant")
        found = {str(resolve(cron, "/cron_id")) for cron in left_over.array}
        for cron in sorted(found & _made(api)):
            await api.request("DELETE", f"/runs/crons/{cron}", label="delete_left_over")


def _made(api: Api) -> set[str]:
    """The crons that this scenario has made so far."""
    created = [each for each in api.exchanges if each.method == "POST" and each.path.endswith("/runs/crons")]
    return {str(resolve(each.object, "/cron_id")) for each in created if each.code == 200}


async def _request_cron(
    api: Api, thread: str | None, assistant: str, fields: dict[str, Any], label: str
) -> Exchange:
    path = "/runs/crons" if thread is None else f"/threads/{thread}/runs/crons"
    return await api.request("POST", path, json={"assistant_id": assistant, **fields}, label=label)


async def _make(api: Api, thread: str | None, assistant: str, *, label: str = "create", **fields: Any) -> str:
    """The new cron's id. Raises Blocked when none came back."""
    created = await _request_cron(api, thread, assistant, fields, label)
    cron = created.object.get("cron_id")
    if not isinstance(cron, str):
        raise Blocked(f"{created.where} gave no cron_id")
    return cron


async def _refusals(api: Api, assistant: str) -> None:
    await _request_cron(api, new_id(), assistant, MORNING, "unknown_thread")
    await _request_cron(api, None, new_id(), MORNING, "unknown_assistant")
    await _request_cron(api, None, assistant, {**MORNING, "schedule": "every morning"}, "no_schedule")
    await _request_cron(api, None, assistant, {**MORNING, "timezone": "Mars/Olympus_Mons"}, "no_timezone")


async def _find(api: Api, label: str, **chosen: Any) -> Exchange:
    return await api.request("POST", "/runs/crons/search", json={**chosen, "limit": 100}, label=label)


async def _look(read: Callable[[], Awaitable[Exchange]], seen: Callable[[list[Any]], Any]) -> list[Any]:
    """Read again and again until a list satisfies `seen` or a run is overdue; the last list."""
    for _ in range(int(DUE_S / LOOK_S)):
        found = (await read()).array
        if seen(found):
            break
        await asyncio.sleep(LOOK_S)
    return found


async def _until_run_ends(part: Api, thread: str) -> None:
    """Until the thread has a run, and that has ended."""
    runs = await _look(lambda: part.runs(thread, limit=10), bool)
    if runs:
        await part.poll_run(thread, str(resolve(runs, "/0/run_id")), patience=SLEEP_S)


async def _until_new_thread_ends(part: Api, assistant: str, known: str) -> None:
    """Until the assistant has a thread beside the one that is known, and that is at rest or gone."""
    part.note(known=known)
    chosen: dict[str, Any] = {"metadata": {"assistant_id": assistant}, "limit": 10}
    found = await _look(
        lambda: part.search_threads(**chosen, label="threads"), lambda threads: _other_than(known, threads)
    )
    for thread in _other_than(known, found)[:1]:
        await part.runs(thread, limit=10)
        await part.settle(thread, patience=SLEEP_S)
        await asyncio.sleep(LOOK_S)  # a thread may be taken away a moment after it settled
        await part.thread(thread, label="at_last")


def _other_than(known: str, threads: list[Any]) -> list[str]:
    found = [str(resolve(thread, "/thread_id")) for thread in threads]
    return [thread for thread in found if thread.lower() != known.lower()]


def _cron_ids(exchange: Exchange) -> list[Any]:
    return sorted(map(str, each_of(exchange, "/cron_id")))


def _ids_of(trace: Trace, *labels: str) -> list[str]:
    """The ids of the crons that were made under these labels."""
    return sorted(str(trace.only(label).object["cron_id"]) for label in labels)


def _time(exchange: Exchange, member: str) -> datetime:
    time = time_in(exchange.object.get(member), f"{member} in {exchange.where}")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@requirement("CRON-001")
def test_cron_is_as_given(crons_made_and_changed: Trace) -> None:
    trace = crons_made_and_changed
    assert trace.create.status == 200
    conforms(trace.create.object, "cron", trace.create)
    assert trace.create.object.get("assistant_id") == trace.note("assistant")
    assert trace.create.object["schedule"] == MORNING["schedule"]
    assert resolve(trace.create.object, "/payload/input") == INPUT
    assert _time(trace.create, "next_run_date") > _time(trace.create, "created_at")


@requirement("CRON-002")
def test_cron_of_a_thread(crons_made_and_changed: Trace) -> None:
    trace = crons_made_and_changed
    assert trace.on_thread.status == 200
    assert trace.on_thread.object.get("thread_id") == trace.note("thread")
    assert raw(trace.create.object.get("thread_id")) is None
    assert trace.unknown_thread.status == 404


@requirement("CRON-003")
@cases("fault", ["no_schedule", "no_timezone"])
def test_schedule_that_is_none_is_refused(fault: str, crons_made_and_changed: Trace) -> None:
    assert crons_made_and_changed.create.ok.complete
    assert crons_made_and_changed.zoned.ok.complete
    assert crons_made_and_changed.only(fault).status == 422


@requirement("CRON-004")
def test_cron_of_an_unknown_assistant(crons_made_and_changed: Trace) -> None:
    assert crons_made_and_changed.create.ok.complete
    assert crons_made_and_changed.unknown_assistant.status in {404, 422}


@requirement("CRON-005")
@cases("label", DUE)
def test_next_run_is_the_next_time_that_matches(label: str, crons_made_and_changed: Trace) -> None:
    cron = crons_made_and_changed.only(label)
    hour, minute, zone = DUE[label]
    due, now = _time(cron, "next_run_date"), _time(cron, "updated_at")
    local = due.astimezone(zone)
    assert (local.hour, local.minute, local.second) == (hour, minute, 0)
    next_one = now < due <= now + timedelta(days=1)
    assert next_one, f"wanted a time within a day after {now}, got {due}"


@requirement("CRON-006")
@cases("by", ["assistant", "thread", "enabled", "count"])
def test_crons_are_found(by: str, crons_made_and_changed: Trace) -> None:
    trace = crons_made_and_changed
    enabled = ("create", "zoned", "on_thread")
    if by == "assistant":
        assert _cron_ids(trace.by_assistant) == _ids_of(trace, *enabled, "disabled")
    elif by == "thread":
        assert _cron_ids(trace.by_thread) == _ids_of(trace, "on_thread")
    elif by == "enabled":
        assert _cron_ids(trace.by_enabled_True) == _ids_of(trace, *enabled)
        assert _cron_ids(trace.by_enabled_False) == _ids_of(trace, "disabled")
    else:
        assert len(_ids_of(trace, *enabled, "disabled")) == 4
        assert [trace.count.ok.json, trace.count_of_thread.ok.json] == [4, 1]


@requirement("CRON-007")
@cases("change", ["patch", "patch_end", "delete"])
def test_cron_is_changed(change: str, crons_made_and_changed: Trace) -> None:
    trace = crons_made_and_changed
    (cron,) = _ids_of(trace, "create")
    if change == "delete":
        assert cron in _cron_ids(trace.after_the_patches)
        assert 200 <= trace.delete.status < 300, f"wanted a 2xx, got {trace.delete.status}"
        assert _cron_ids(trace.after_the_deletion) == _ids_of(trace, "zoned", "disabled", "on_thread")
        return
    changed = trace.only(change)
    assert changed.status == 200
    assert changed.object.get("cron_id") == cron
    assert changed.object.get("schedule") == "15 12 * * *"
    assert raw(changed.object.get("enabled")) is False
    if change == "patch":
        assert _time(changed, "end_time") == datetime.fromisoformat(FAR)
    else:
        assert _time(trace.patch, "end_time") == datetime.fromisoformat(FAR)
        assert raw(changed.object.get("end_time")) is None


@requirement("CRON-008")
def test_cron_is_read(crons_made_and_changed: Trace) -> None:
    trace = crons_made_and_changed
    assert trace.read.status == 200
    assert trace.read.object.get("cron_id") == trace.create.object.get("cron_id")
    assert trace.read.object.get("schedule") == MORNING["schedule"]
    assert trace.read_unknown.status == 404


@requirement("CRON-009")
@cases("cron", ["running", "keep", "ending"])
def test_cron_makes_a_run(cron: str, crons_of_every_minute: Trace) -> None:
    made, part = crons_of_every_minute.only(cron), crons_of_every_minute.part(cron)
    looks = _new_threads(part) if cron == "keep" else [(look, look.array) for look in part.all("runs")]
    seen = [look.sent_at for look, found in looks if found]
    assert seen, f"wanted a run within {DUE_S:g} s, got none in {len(looks)} looks"
    late = seen[0] - made.ended_at
    assert late <= DUE_S + LOOK_S, f"wanted a run within {DUE_S:g} s, got one after {late:.0f} s"
    run = some(part.last("runs").array, "run of the cron")[0]
    assert resolve(run, "/assistant_id") == made.object.get("assistant_id")
    if cron != "keep":
        assert resolve(run, "/thread_id") == made.object.get("thread_id")


def _new_threads(part: Trace) -> list[tuple[Exchange, list[str]]]:
    """Each look for threads of the cron's assistant, with the new ones. Raises Missing for none at all."""
    looks, known = part.all("threads"), part.note("known")
    if len(_other_than(known, looks[0].array)) == len(looks[0].array):
        raise Missing(f"{looks[0].where} does not find a thread by the assistant that ran on it")
    return [(look, _other_than(known, look.array)) for look in looks]


@requirement("CRON-010")
@cases("choice, status", [("delete", 404), ("keep", 200)])
def test_thread_of_a_cron_is_removed_or_kept(choice: str, status: int, crons_of_every_minute: Trace) -> None:
    part = crons_of_every_minute.part(choice)
    some(_new_threads(part)[-1][1], f"thread of the cron that should {choice} it")
    assert part.first("settle").ok.complete
    assert part.at_last.status == status


@requirement("CRON-011")
@cases("cron", ["disabled", "ended"])
def test_cron_makes_no_run(cron: str, crons_of_every_minute: Trace) -> None:
    trace = crons_of_every_minute
    some(trace.running_at_last.array, "run of the cron that should make one")
    if trace.part("running").last("poll").object.get("status") not in lifecycle().runs.terminal:
        raise Missing("the run of the cron that should make one did not end")
    assert trace.only(f"{cron}_at_last").array == []


@requirement("CRON-012")
@cases("owner", ["thread", "assistant"])
def test_cron_goes_with_its_owner(owner: str, crons_whose_owners_are_deleted: Trace) -> None:
    trace = crons_whose_owners_are_deleted
    assert _cron_ids(trace.thread_before) == _ids_of(trace, "of_the_thread", "of_neither")
    assert _cron_ids(trace.assistant_before) == _ids_of(trace, "of_the_assistant")
    assert trace.delete_thread.ok.complete
    assert trace.delete_assistant.ok.complete
    assert _cron_ids(trace.thread_after) == _ids_of(trace, "of_neither")
    if owner == "assistant" and trace.assistant_after.status != 404:
        assert trace.assistant_after.array == []
