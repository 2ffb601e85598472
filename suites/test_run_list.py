"""GET /threads/{thread_id}/runs: the runs of one thread, filtered, ordered and in pages."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Trace,
    cases,
    conforms,
    each_of,
    needs,
    new_id,
    requirement,
    resolve,
    scenario,
    some,
)

GRAPHS = ("steps", "steps", "steps", "steps", "fail")  # the last one fails, so that it stops no other
PAGE = 2
OFFSETS = (0, 2, 4, 6)


@scenario(agent=True)
async def runs_listed(api: Api) -> None:
    """The ended runs of a thread and one of another, listed in every way."""
    thread, other = await api.create_thread(), await api.create_thread()
    graphs = [graph for graph in GRAPHS if api.offers(graph)]
    own = [await api.create_run(thread, graph, {"note": "listed"}) for graph in graphs]
    api.note(own=own, others=[await api.create_run(other, "steps", {"note": "other"})])
    for run in own:
        await api.poll_run(thread, run)
    await api.runs(thread, limit=100)
    await api.runs(other, limit=100, label="others")
    for status in ("success", "error"):
        await api.runs(thread, limit=100, status=status, label=f"in_{status}")
    for offset in OFFSETS:
        await api.runs(thread, limit=PAGE, offset=offset, label="page")
    await api.runs(new_id(), limit=100, label="of_unknown_thread")


def _in_status(listed: Exchange, status: str) -> list[Any]:
    """The ids of those of the listed runs that say they are in this status."""
    return [run["run_id"] for run in listed.array if resolve(run, "/status") == status]


@requirement("RUN-LIST-001")
@cases("label, note", [("runs", "own"), ("others", "others")])
def test_list_holds_the_runs_of_its_thread(label: str, note: str, runs_listed: Trace) -> None:
    listed = runs_listed.only(label)
    assert listed.status == 200
    for run in some(listed.array, "run in the list"):
        conforms(run, "run", listed)
    assert sorted(each_of(listed, "/run_id")) == sorted(runs_listed.note(note))


@requirement("RUN-LIST-002")
@needs("error_outcome")
@cases("status", ["success", "error"])
def test_status_filters(status: str, runs_listed: Trace) -> None:
    everything, wanted = each_of(runs_listed.runs, "/run_id"), _in_status(runs_listed.runs, status)
    if not 0 < len(wanted) < len(everything):
        raise Missing(f"{len(wanted)} of {len(everything)} runs are in {status}, so a filter would not show")
    assert sorted(each_of(runs_listed.only(f"in_{status}"), "/run_id")) == sorted(wanted)


@requirement("RUN-LIST-003")
def test_newest_comes_first(runs_listed: Trace) -> None:
    assert each_of(runs_listed.runs, "/run_id") == list(reversed(runs_listed.note("own")))


@requirement("RUN-LIST-004")
def test_pages_hold_every_run_once(runs_listed: Trace) -> None:
    pages = [each_of(page, "/run_id") for page in runs_listed.all("page")]
    own = runs_listed.note("own")
    assert [len(page) for page in pages] == [len(own[offset : offset + PAGE]) for offset in OFFSETS]
    assert sorted(run for page in pages for run in page) == sorted(own)


@requirement("RUN-LIST-005")
def test_unknown_thread_has_no_list(runs_listed: Trace) -> None:
    some(runs_listed.runs.array, "run in the list of a known thread")
    assert runs_listed.of_unknown_thread.status == 404
