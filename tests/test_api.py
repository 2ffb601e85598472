"""The operations of the run API: what each puts on the wire, and which of them make a turn."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from runstone.scenario.api import Api
from runstone.scenario.requests import ENTRY_POINTS, OMIT, Blocked
from tests.driving import RUN, THREAD, Drive, answering, told


def given(**fields: Any) -> dict[str, Any]:
    return {"assistant_id": "echo", "multitask_strategy": "enqueue", **fields}


T = f"/threads/{THREAD}"
R = f"{T}/runs/{RUN}"
OPERATIONS: list[tuple[Drive, str, Any, str]] = [
    (lambda api: api.create_thread(), "POST /threads", {}, "create_thread"),
    (
        lambda api: api.create_thread(metadata={"a": 1}),
        "POST /threads",
        {"metadata": {"a": 1}},
        "create_thread",
    ),
    (lambda api: api.thread(THREAD), f"GET {T}", None, "thread"),
    (lambda api: api.delete_thread(THREAD), f"DELETE {T}", None, "delete_thread"),
    (lambda api: api.search_threads(limit=2), "POST /threads/search", {"limit": 2}, "search_threads"),
    (lambda api: api.state(THREAD), f"GET {T}/state", None, "state"),
    (lambda api: api.state(THREAD, subgraphs=True), f"GET {T}/state?subgraphs=true", None, "state"),
    (
        lambda api: api.update_state(THREAD, values={"a": None}, as_node=OMIT),
        f"POST {T}/state",
        {"values": {"a": None}},
        "update_state",
    ),
    (lambda api: api.history(THREAD), f"POST {T}/history", {"limit": 100}, "history"),
    (lambda api: api.history(THREAD, limit=3, label="again"), f"POST {T}/history", {"limit": 3}, "again"),
    (lambda api: api.settle(THREAD), f"GET {T}", None, "settle"),
    (lambda api: api.create_run(THREAD, "echo", None), f"POST {T}/runs", given(input=None), "create_run"),
    (lambda api: api.create_run(None, "echo"), "POST /runs", given(), "create_run"),
    (
        lambda api: api.send_run(THREAD, "echo", {}, multitask_strategy=OMIT),
        f"POST {T}/runs",
        {"assistant_id": "echo", "input": {}},
        "create_run",
    ),
    (
        lambda api: api.wait(THREAD, "echo", {}),
        f"POST {T}/runs/wait",
        given(input={}, on_disconnect="continue"),
        "wait",
    ),
    (
        lambda api: api.wait(None, "echo", on_disconnect="cancel"),
        "POST /runs/wait",
        given(on_disconnect="cancel"),
        "wait",
    ),
    (lambda api: api.wait(None, "echo", on_disconnect=OMIT), "POST /runs/wait", given(), "wait"),
    (
        lambda api: api.stream(THREAD, "echo", {}),
        f"POST {T}/runs/stream",
        given(input={}, on_disconnect="continue", stream_mode="values"),
        "stream",
    ),
    (
        lambda api: api.stream(None, "echo", stream_mode=OMIT),
        "POST /runs/stream",
        given(on_disconnect="continue"),
        "stream",
    ),
    (lambda api: api.run(THREAD, RUN), f"GET {R}", None, "run"),
    (lambda api: api.runs(THREAD), f"GET {T}/runs", None, "runs"),
    (
        lambda api: api.runs(THREAD, limit=2, status="success"),
        f"GET {T}/runs?limit=2&status=success",
        None,
        "runs",
    ),
    (lambda api: api.join(THREAD, RUN), f"GET {R}/join", None, "join"),
    (
        lambda api: api.join(THREAD, RUN, cancel_on_disconnect=False),
        f"GET {R}/join?cancel_on_disconnect=false",
        None,
        "join",
    ),
    (lambda api: api.join_stream(THREAD, RUN), f"GET {R}/stream", None, "join_stream"),
    (
        lambda api: api.join_stream(THREAD, RUN, stream_mode=["values", "updates"]),
        f"GET {R}/stream?stream_mode=values&stream_mode=updates",
        None,
        "join_stream",
    ),
    (lambda api: api.cancel(THREAD, RUN), f"POST {R}/cancel", None, "cancel"),
    (
        lambda api: api.cancel(THREAD, RUN, wait=True, action="rollback"),
        f"POST {R}/cancel?wait=1&action=rollback",
        None,
        "cancel",
    ),
    (lambda api: api.poll_run(THREAD, RUN), f"GET {R}", None, "poll"),
    (lambda api: api.until_running(THREAD, RUN), f"GET {R}", None, "poll"),
    (
        lambda api: api.search_assistants(limit=1),
        "POST /assistants/search",
        {"limit": 1},
        "search_assistants",
    ),
    (lambda api: api.server_ok(), "GET /ok", None, "ok"),
    (lambda api: api.info(), "GET /info", None, "info"),
    (
        lambda api: api.request("PATCH", f"{T}/x", params=[("a", 1), ("b", OMIT)]),
        f"PATCH {T}/x?a=1",
        None,
        "PATCH /threads/*/x",
    ),
]


@pytest.mark.parametrize("drive, line, body, label", OPERATIONS)
def test_what_an_operation_sends(drive: Drive, line: str, body: Any, label: str) -> None:
    recording, heard = told(drive)
    assert [f"{each.method} {each.target}" for each in heard] == [line]
    assert (json.loads(heard[0].body) if heard[0].body else None) == body
    assert heard[0].headers.get("content-type") == (None if body is None else "application/json")
    kept = recording.exchanges[0]
    assert (kept.scenario, kept.number, kept.label, kept.method) == ("talk", 1, label, line.split()[0])


def test_a_body_may_be_any_json_or_any_bytes() -> None:
    async def drive(api: Api) -> None:
        await api.request("POST", "/threads", json=None)
        await api.request("POST", "/threads", json="\ud800")
        await api.request("POST", "/threads", content=b"{", headers={"content-type": "text/plain"})

    _, heard = told(drive)
    assert [each.body for each in heard] == [b"null", b'"\xed\xa0\x80"', b"{"]
    assert heard[2].headers["content-type"] == "text/plain"


def test_options_say_how_to_send() -> None:
    async def drive(api: Api) -> None:
        options: Any = {"label": "mine", "headers": {"x-a": "1"}}
        await api.wait(THREAD, "echo", {}, options=options)
        await api.join_stream(THREAD, RUN, last_event_id="7-0\u00e4", headers={"x-b": "2"})

    recording, heard = told(drive)
    assert recording.exchanges[0].label == "mine"
    assert heard[0].headers["x-a"] == "1"
    assert (heard[1].headers["last-event-id"], heard[1].headers["x-b"]) == ("7-0Ã¤", "2")


def test_an_id_of_half_a_surrogate_pair_is_no_crash() -> None:
    async def drive(api: Api) -> None:
        await api.run("\ud800", "\udfff", headers={"x-a": "\ud800"})
        await api.runs(THREAD, status="\ud800")
        api.note(own="\ud800")

    recording, heard = told(drive)
    assert len(heard) == 2
    assert recording.notes == {"own": "?"}
    assert msgspec.json.encode(recording.exchanges)


# --- turns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry_point, paths",
    [
        ("wait", [f"{T}/runs/wait"]),
        ("stream", [f"{T}/runs/stream"]),
        ("background", [f"{T}/runs", f"{R}/join"]),
        ("stateless_wait", ["/runs/wait"]),
        ("stateless_stream", ["/runs/stream"]),
    ],
)
def test_a_turn_by_every_entry_point(entry_point: str, paths: list[str]) -> None:
    recording, heard = told(lambda api: api.turn(entry_point, THREAD, "echo", {}))
    assert [each.target for each in heard] == paths
    assert recording.exchanges[-1].label == "result"


def test_no_turn_by_an_entry_point_that_is_none() -> None:
    with pytest.raises(ValueError, match="'pigeon' is none of wait, stream"):
        told(lambda api: api.turn("pigeon", THREAD, "echo"))


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_a_whole_turn_reads_everything_it_left(entry_point: str) -> None:
    recording, heard = told(lambda api: api.whole_turn(entry_point, "echo", {}))
    assert [each.label for each in recording.exchanges][-5:] == [
        "result",
        "poll",
        "settle",
        "state",
        "history",
    ]
    sent = next(json.loads(each.body) for each in heard if "/runs" in each.target)
    assert sent.get("on_completion") == ("keep" if entry_point.startswith("stateless") else None)


def test_a_turn_that_names_no_run_is_read_as_far_as_it_goes_and_then_blocked() -> None:
    async def drive(api: Api) -> None:
        with pytest.raises(Blocked, match="names no run"):
            await api.whole_turn("wait", "echo", {})
        with pytest.raises(Blocked, match="names no thread"):
            await api.whole_turn("stateless_wait", "echo", {})

    recording, _ = told(drive, answering({"thread_id": THREAD}, {}))
    assert [each.label for each in recording.exchanges] == [
        "create_thread",
        "result",
        "run_by_list",
        "settle",
        "state",
        "history",
        "result",
    ]
