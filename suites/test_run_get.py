"""GET /threads/{thread_id}/runs/{run_id}: a run by its id, of its own thread only."""

from __future__ import annotations

from runstone.suite import (
    Api,
    Trace,
    cases,
    conforms,
    new_id,
    requirement,
    scenario,
)


@scenario(agent=True)
async def run_read_by_id(api: Api) -> None:
    """A run read on its own thread, on another one, and an id that no run has."""
    thread = await api.create_thread()
    other = await api.create_thread(label="create_other")
    run = await api.create_run(thread, "steps", {"note": "read"})
    await api.poll_run(thread, run)
    await api.run(thread, run, label="own")
    await api.run(thread, new_id(), label="unknown")
    await api.run(other, run, label="of_another_thread")


@requirement("RUN-GET-001")
@cases("asked", ["own", "unknown", "of_another_thread"])
def test_run_is_found_on_its_own_thread_only(asked: str, run_read_by_id: Trace) -> None:
    own = run_read_by_id.own
    assert own.status == 200
    conforms(own.object, "run", own)
    assert own.object["run_id"] == run_read_by_id.create_run.object["run_id"]
    assert run_read_by_id.only(asked).status == (200 if asked == "own" else 404)
