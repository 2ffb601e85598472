"""The stream of a thread on the reference runtime: its runs, their beginnings and ends, updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.reference.server import Server, launched

STEPS: dict[str, Any] = {"assistant_id": "steps", "input": {"note": "n"}, "stream_resumable": True}


@contextmanager
def following(server: Server, thread: str, last_event_id: str | None = None, **params: str) -> Iterator[Any]:
    """The lines of a thread's stream, as they come, without those of silence."""
    headers = {} if last_event_id is None else {"last-event-id": last_event_id}
    path = f"{server.url}/threads/{thread}/stream"
    with httpx.stream("GET", path, params=params, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (line for line in answer.iter_lines() if line and not line.startswith(":"))


def until(lines: Iterator[str], said: str) -> list[str]:
    """The lines to the first one that holds this."""
    found = []
    for line in lines:
        found.append(line)
        if said in line:
            return found
    raise AssertionError(f"the stream ended without {said!r}: {found}")


def test_all_runs_are_told_and_told_again_to_who_comes_back(server: Server) -> None:
    thread = server.thread()
    with following(server, thread) as lines:
        runs = []
        for _ in range(2):
            answer = server.client.post(f"/threads/{thread}/runs/wait", json=STEPS)
            runs.append(answer.headers["content-location"].rpartition("/")[2])
        log = '"log":["s1","s2","s3","s1","s2","s3"]'
        told = until(lines, log)
    assert [run for run in runs if any(run in line for line in told)] == runs
    ids = [line for line in told if line.startswith("id: ")]
    assert [int(each[4:]) for each in ids] == sorted({int(each[4:]) for each in ids})
    with following(server, thread, last_event_id="-") as lines:
        assert until(lines, log) == told
    with following(server, thread, last_event_id=ids[2][4:]) as lines:
        assert until(lines, log) == told[told.index(ids[3]) :]


def test_beginnings_ends_and_updates_are_told_to_who_asks_for_them(server: Server) -> None:
    thread = server.thread()
    with ExitStack() as stack:
        life = stack.enter_context(following(server, thread, stream_modes="lifecycle"))
        updates = stack.enter_context(following(server, thread, stream_modes="state_update"))
        answer = server.client.post(f"/threads/{thread}/runs/wait", json=STEPS)
        run = answer.headers["content-location"].rpartition("/")[2]
        server.post(f"/threads/{thread}/state", {"values": {"note": "by hand"}, "as_node": "s3"})
        assert until(life, "run_done") == [
            "event: metadata",
            f'data: {{"run_id":"{run}"}}',
            "event: metadata",
            f'data: {{"run_id":"{run}","status":"run_done"}}',
        ]
        assert until(updates, "by hand")[0] == "event: state_update"


def test_the_stream_ends_with_the_thread(server: Server) -> None:
    thread = server.thread()
    with following(server, thread) as lines:
        assert server.client.delete(f"/threads/{thread}").status_code == 204
        assert list(lines) == []


def test_the_stream_ends_with_the_server() -> None:
    with launched() as server, following(server, server.thread()) as lines:
        server.process.terminate()
        assert list(lines) == []
        assert server.process.wait(30) == 0


@pytest.mark.parametrize(
    "headers, params",
    [({"last-event-id": "x"}, {}), ({"last-event-id": "-1"}, {}), ({}, {"stream_modes": "values"})],
)
def test_what_cannot_be_followed_is_refused(
    server: Server, headers: dict[str, str], params: dict[str, str]
) -> None:
    answer = server.client.get(f"/threads/{server.thread()}/stream", headers=headers, params=params)
    assert answer.status_code == 422
    assert server.client.get(f"/threads/{uuid4()}/stream").status_code == 404
