"""Pages of a list: what lies beyond the end."""

from __future__ import annotations

from runstone.suite import (
    Api,
    Missing,
    Trace,
    cases,
    new_id,
    requirement,
    resolve,
    scenario,
    some,
)

BEYOND = 1000


@scenario(agent=True)
async def lists_beyond_their_end(api: Api) -> None:
    """Threads, runs and assistants are listed from the beginning, and from far beyond the end."""
    mark = {"mark": new_id()}
    thread = await api.create_thread(metadata=mark)
    run = await api.create_run(thread, "steps", {"note": "listed"})
    for name, offset in (("first", 0), ("beyond", BEYOND)):
        await api.search_threads(metadata=mark, limit=10, offset=offset, label=f"threads_{name}")
        await api.runs(thread, limit=10, offset=offset, label=f"runs_{name}")
        await api.search_assistants(graph_id="steps", limit=10, offset=offset, label=f"assistants_{name}")
    await api.poll_run(thread, run)


@requirement("PAGE-001")
@cases("what", ["threads", "runs", "assistants"])
def test_nothing_lies_beyond_the_end(what: str, lists_beyond_their_end: Trace) -> None:
    first = lists_beyond_their_end.only(f"{what}_first")
    listed = some(first.array, f"of the {what} on the first page")
    if what == "threads":
        mark = lists_beyond_their_end.create_thread.object["metadata"]["mark"]
        if any(resolve(each, "/metadata/mark") != mark for each in listed):
            raise Missing(f"{first.where} lists others than the thread that was asked for")
    beyond = lists_beyond_their_end.only(f"{what}_beyond")
    assert beyond.status == 200
    assert beyond.array == []
