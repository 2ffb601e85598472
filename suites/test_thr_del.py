"""DELETE /threads/{thread_id}: the thread is gone, with its state, its history and its runs."""

from __future__ import annotations

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Missing,
    Trace,
    cases,
    new_id,
    ran,
    requirement,
    resolve,
    scenario,
    shown,
)


@scenario(agent=True)
async def thread_deleted(api: Api) -> None:
    """A thread with a run is deleted, read in every way, deleted once more, and created again."""
    own = new_id()
    api.note(own=own)
    await api.create_thread(thread_id=own)
    run = await api.create_run(own, "steps", {"note": "to be deleted"})
    await api.join(own, run)
    await api.settle(own)
    await _read(api, own, run, "before")
    await api.delete_thread(own, label="delete")
    await _read(api, own, run, "after")
    await api.delete_thread(own, label="delete_again")
    await api.delete_thread(new_id(), label="delete_unknown")
    await api.create_thread(thread_id=own, label="create_again")
    await _read(api, own, run, "again")


async def _read(api: Api, thread: str, run: str, when: str) -> None:
    await api.thread(thread, label=f"thread_{when}")
    await api.state(thread, label=f"state_{when}")
    await api.history(thread, label=f"history_{when}")
    await api.runs(thread, limit=100, label=f"runs_{when}")
    await api.run(thread, run, label=f"run_{when}")


@requirement("THR-DEL-001")
def test_deleted_thread_is_gone(thread_deleted: Trace) -> None:
    _insist_that_it_was_there(thread_deleted)
    assert 200 <= thread_deleted.delete.status < 300, f"wanted a 2xx, got {thread_deleted.delete.status}"
    assert thread_deleted.thread_after.status == 404


@requirement("THR-DEL-002")
def test_answer_is_empty(thread_deleted: Trace) -> None:
    _insist_that_it_was_there(thread_deleted)
    if thread_deleted.thread_after.status != 404:
        raise Missing("the thread is still there, so that the answer says nothing about a deletion")
    assert thread_deleted.delete.status == 204
    assert thread_deleted.delete.text == ""


@requirement("THR-DEL-003")
@cases("what", ["state", "history", "run", "runs"])
def test_what_it_had_is_gone(what: str, thread_deleted: Trace) -> None:
    _insist_that_it_had_run(thread_deleted)
    after = thread_deleted.only(f"{what}_after")
    if what == "runs" and after.status == 200:
        assert after.array == []
    else:
        assert after.status == 404


@requirement("THR-DEL-004")
@cases("which", ["unknown", "again"])
def test_unknown_thread_is_not_found(which: str, thread_deleted: Trace) -> None:
    assert thread_deleted.delete.ok
    assert thread_deleted.only(f"delete_{which}").status == 404


@requirement("THR-DEL-005")
def test_new_thread_of_the_same_id_is_empty(thread_deleted: Trace) -> None:
    _insist_that_it_had_run(thread_deleted)
    if thread_deleted.thread_after.status != 404:
        raise Missing("the thread was never gone, so that it could not be created again")
    assert str(thread_deleted.thread_again.object.get("thread_id")).lower() == thread_deleted.note("own")
    for exchange in (thread_deleted.thread_again, thread_deleted.state_again):
        values = exchange.object.get("values")
        assert values in (None, {}, []), f"wanted no values, got {shown(values)}"
    assert thread_deleted.history_again.array == []
    assert thread_deleted.runs_again.array == []


def _insist_that_it_was_there(trace: Trace) -> None:
    found = trace.thread_before.object.get("thread_id")
    if str(found).lower() != trace.note("own"):
        raise Missing(f"{trace.thread_before.where} answered another thread: {shown(found)}")


def _insist_that_it_had_run(trace: Trace) -> None:
    """Nothing is shown to be gone that was not there before."""
    log = resolve(trace.state_before.object, "/values/log")
    if (
        not ran(resolve(trace.state_before.object, "/values"), STEPS)
        or not trace.history_before.array
        or not _names_itself(trace.run_before)
    ):
        raise Missing(f"{trace.state_before.where} and the following do not show a run: log is {shown(log)}")
    if len(trace.runs_before.array) != 1:
        raise Missing(f"{trace.runs_before.where} does not list the one run that there was")


def _names_itself(run: Exchange) -> bool:
    found = run.object.get("run_id")
    return isinstance(found, str) and found in run.path
