"""GET /threads/{thread_id}: the thread as its creation answered it."""

from __future__ import annotations

from runstone.suite import (
    Api,
    Missing,
    Trace,
    cases,
    conforms,
    requirement,
    scenario,
)

MEMBERS = ("thread_id", "created_at", "updated_at", "metadata", "status")


@scenario(agent=True)
async def threads_read_back(api: Api) -> None:
    """Two threads with different metadata, each read at once."""

    async def read(part: Api, name: str) -> None:
        thread = await part.create_thread(metadata={"name": name, "rooms": [1, {"warm": True}]})
        await part.thread(thread)

    await api.each(("first", "second"), read)


@requirement("THR-GET-001")
@cases("name", ["first", "second"])
def test_thread_is_read_as_it_was_created(name: str, threads_read_back: Trace) -> None:
    part = threads_read_back.part(name)
    if len({each.object.get("thread_id") for each in threads_read_back.all("create_thread")}) != 2:
        raise Missing("the two threads have one id, so that reading one does not show that it was found")
    created, read = part.create_thread.object, part.thread
    assert read.status == 200
    conforms(read.object, "thread", read)
    assert {key: read.object[key] for key in MEMBERS} == {key: created.get(key) for key in MEMBERS}
