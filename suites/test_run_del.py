"""DELETE /threads/{thread_id}/runs/{run_id}: what is gone afterwards, and what becomes of a running run."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

SLEEP_S = 1.5
FREE_WITHIN_S = 5.0
READ_EVERY_S = 0.2


@scenario
async def deleted_after_its_end(api: Api) -> None:
    """The second of two runs on a thread is deleted, and one that never was."""
    thread = await api.create_thread()
    for which in ("kept", "deleted"):
        run = await api.create_run(thread, "steps", {"note": which}, label=f"create_{which}")
        await api.poll_run(thread, run, label=f"{which}_ended")
    await api.runs(thread, limit=100, label="listed_before")
    await api.history(thread, label="history_before")
    await _delete(api, thread, run)
    await api.run(thread, run, label="gone")
    await api.runs(thread, limit=100, label="listed_after")
    await api.runs(thread, limit=100, status="success", label="listed_by_status")
    await api.history(thread, label="history_after")
    await _delete(api, thread, new_id(), label="delete_unknown")


@scenario(Schedule(waits=1.5, calm=True))
async def deleted_while_running(api: Api) -> None:
    """A run is deleted while it sleeps, and its thread is read when the run is over or gone."""
    thread = await api.create_thread()
    sleep = api.with_slack(SLEEP_S)
    run = await api.create_run(thread, "slow", {"sleep": sleep})
    await api.until_logged(thread, "a")
    await api.run(thread, run, label="before")
    deleted = await _delete(api, thread, run)
    if deleted.code == 409:
        await api.join(thread, run, patience=sleep)
    else:  # by then a run that was removed and goes on has shown it, though nobody lists it any more
        await asyncio.sleep(sleep)
    await api.poll_run(thread, run)
    await _until_free(api, thread, sleep + FREE_WITHIN_S)
    await api.state(thread)


async def _until_free(api: Api, thread: str, seconds: float) -> None:
    for _ in range(int(seconds / READ_EVERY_S)):
        if (await api.thread(thread, label="settle")).object.get("status") != "busy":
            return
        await asyncio.sleep(READ_EVERY_S)


async def _delete(api: Api, thread: str, run: str, *, label: str = "delete") -> Exchange:
    return await api.request("DELETE", f"/threads/{thread}/runs/{run}", label=label)


@requirement("RUN-DEL-001")
def test_deleted_run_is_gone(deleted_after_its_end: Trace) -> None:
    trace = deleted_after_its_end
    kept, deleted = trace.create_kept.run_id, trace.create_deleted.run_id
    if trace.last("deleted_ended").object.get("run_id") != deleted:
        raise Missing(f"{trace.last('deleted_ended').where} does not show the run that was to be deleted")
    assert _listed(trace.listed_before) == {kept, deleted}
    assert 200 <= trace.delete.whole.status < 300, f"wanted a 2xx, got {trace.delete.status}"
    assert trace.gone.status == 404
    assert _listed(trace.listed_after) == {kept}
    assert _listed(trace.listed_by_status) == {kept}


@requirement("RUN-DEL-002")
def test_unknown_run_cannot_be_deleted(deleted_after_its_end: Trace) -> None:
    assert deleted_after_its_end.last("deleted_ended").ok
    assert deleted_after_its_end.delete.ok
    assert deleted_after_its_end.delete_unknown.status == 404


@requirement("RUN-DEL-003")
def test_running_run_does_not_block_its_thread(deleted_while_running: Trace) -> None:
    trace = deleted_while_running
    if trace.before.object.get("status") not in {"pending", "running"}:
        raise Missing(f"the run was {shown(trace.before.object.get('status'))} before it could be deleted")
    log = resolve(trace.state.object, "/values/log")
    if trace.delete.status == 409:
        assert trace.last("poll").object.get("status") == "success"
        assert log == ["a", "b", "c"]
    else:
        assert 200 <= trace.delete.whole.status < 300, f"wanted 409 or a 2xx, got {trace.delete.status}"
        assert trace.last("poll").status == 404
        assert "c" not in (log or []), f"wanted the deleted run ended, got it executed on: {shown(log)}"
    assert trace.last("settle").object.get("status") != "busy"


@requirement("RUN-DEL-004")
def test_history_forgets_the_deleted_run(deleted_after_its_end: Trace) -> None:
    trace = deleted_after_its_end
    kept, deleted = trace.create_kept.run_id, trace.create_deleted.run_id
    before = _runs_of(trace.history_before)
    if not {kept, deleted} <= before:
        raise Missing(f"{trace.history_before.where} does not tell whose entries are whose")
    assert trace.delete.ok
    after = _runs_of(trace.history_after)
    assert kept in after, "wanted the other run's entries kept, got none of them"
    assert deleted not in after, "wanted no entry of the deleted run, got some"


def _listed(runs: Exchange) -> set[Any]:
    return {resolve(run, "/run_id") for run in some(runs.array, f"run in {runs.where}")}


def _runs_of(history: Exchange) -> set[Any]:
    """The runs that the entries of a history name."""
    return {resolve(entry, "/metadata/run_id") for entry in some(history.array, "entry of history")}
