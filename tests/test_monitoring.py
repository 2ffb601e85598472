"""Monitors pass on one conversation with a good server, and find what one changed place of it breaks."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from runstone.contracts import load_profile
from runstone.judge.declaring import declaration_of
from runstone.judge.resting import rests_of
from runstone.judge.words import Broken
from runstone.locations import locate
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

THREAD = "3f3f3f3f-4a4a-4b4b-8c4c-5d5d5d5d5d5d"
RUN = "0a0a0a0a-1b1b-4c1c-8d1d-2e2e2e2e2e2e"
NEXT_RUN = "1b1b1b1b-2c2c-4d2d-9e2e-3f3f3f3f3f3f"
OTHER = "7c7c7c7c-8d8d-4e8e-9f9f-0a0a0a0a0a0a"
THIRD_RUN = "2c2c2c2c-3d3d-4e3e-8f3f-4a4a4a4a4a4a"
ASSISTANT = "9e9e9e9e-0f0f-4a0a-8b1b-2c2c2c2c2c2c"
AT = "2026-11-21T10:15:49+00:00"
NODES = ["s1", "s2", "s3"]
ASKED = {"value": {"question": "proceed?"}, "id": "q1"}
JSON = (("content-type", "application/json"),)
STREAM = (("content-type", "text/event-stream"), ("content-location", f"/threads/{THREAD}/runs/{RUN}"))


def said(label: str, method: str, path: str, body: Any, sent: Any = None, **members: Any) -> Exchange:
    """A complete answer; its number and its times are those of its place in the trace."""
    given: dict[str, Any] = {
        "scenario": "told",
        "number": 0,
        "label": label,
        "method": method,
        "url": f"http://127.0.0.1:1{path}",
        "sent_at": 0.0,
        "request_body": None if sent is None else json.dumps(sent),
        "code": 200,
        "response_headers": JSON,
        "content": "" if body is None else json.dumps(body),
        "finished_after": 0.1,
    }
    return Exchange(**(given | members))


def thread(**members: Any) -> dict[str, Any]:
    made = {"thread_id": THREAD, "created_at": AT, "updated_at": AT, "metadata": {"owner": "Ida"}}
    return {**made, "status": "idle", "values": None, "interrupts": {}, **members}


def run(run_id: str = RUN, **members: Any) -> dict[str, Any]:
    made = {
        "run_id": run_id,
        "thread_id": THREAD,
        "assistant_id": ASSISTANT,
        "created_at": AT,
        "updated_at": AT,
    }
    return {**made, "status": "success", "metadata": {}, **members}


def state(step: int, values: dict[str, Any], **members: Any) -> dict[str, Any]:
    at = {"thread_id": THREAD, "checkpoint_ns": "", "checkpoint_id": f"c{step}"}
    before = {**at, "checkpoint_id": f"c{step - 1}"} if step else None
    made = {"values": values, "next": [], "tasks": [], "created_at": AT, "interrupts": []}
    told = {"step": step, "source": "loop", "run_id": RUN}
    return {**made, "checkpoint": at, "parent_checkpoint": before, "metadata": told, **members}


def values(count: int) -> dict[str, Any]:
    return {"log": NODES[:count], "note": "kept"}


def events(*told: tuple[str, Any]) -> tuple[Event, ...]:
    return tuple(Event(event=name, data=json.dumps(data), at=0.0) for name, data in told)


def steps_streamed() -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = [("metadata", {"run_id": RUN, "attempt": 1}), ("values", values(0))]
    for count, node in enumerate(NODES, start=1):
        told += [("updates", {node: {"log": [node]}}), ("values", values(count))]
    return told


def conversation() -> dict[str, Exchange]:
    """A run that is streamed and read in every way, and one that waits at an interrupt."""
    path = f"/threads/{THREAD}"
    asked = {"assistant_id": "steps", "input": {"note": "kept"}, "stream_mode": ["values", "updates"]}
    paused = state(4, values(3), next=["ask"], tasks=[{"id": "t1", "name": "ask", "interrupts": [ASKED]}])
    paused |= {"interrupts": [ASKED], "metadata": {"step": 4, "source": "loop", "run_id": NEXT_RUN}}
    located = (*JSON, ("content-location", f"{path}/runs/{NEXT_RUN}"))
    begun = run(THIRD_RUN, thread_id=OTHER, status="pending")
    told = [
        said("created", "POST", "/threads", thread(), {"metadata": {"owner": "Ida"}}),
        said("stream", "POST", f"{path}/runs/stream", None, asked, events=events(*steps_streamed())),
        said("poll", "GET", f"{path}/runs/{RUN}", run()),
        said("settle", "GET", path, thread(values=values(3))),
        said("state", "GET", f"{path}/state", state(3, values(3))),
        said("history", "POST", f"{path}/history", _history(), {"limit": 10}),
        said("join", "GET", f"{path}/runs/{RUN}/join", values(3)),
        said("runs", "GET", f"{path}/runs?limit=10", [run()]),
        said("found", "POST", "/threads/search", [thread(values=values(3))], {"limit": 5}),
        said("item", "GET", "/store/items?namespace=house.users&key=ida", _item()),
        said("items", "POST", "/store/items/search", {"items": [_item()]}, {"namespace_prefix": ["house"]}),
        said(
            "asks",
            "POST",
            f"{path}/runs/wait",
            {**values(3), "__interrupt__": [ASKED]},
            {"assistant_id": "own"},
        ),
        said(
            "asking", "GET", path, thread(status="interrupted", values=values(3), interrupts={"t1": [ASKED]})
        ),
        said("asked", "GET", f"{path}/state", paused),
        said("made", "POST", "/threads", thread(thread_id=OTHER), {"metadata": {"owner": "Ida"}}),
        said("begun", "POST", f"/threads/{OTHER}/runs", begun, {"assistant_id": "own"}),
    ]
    background = (*JSON, ("content-location", f"/threads/{OTHER}/runs/{THIRD_RUN}"))
    headers = {
        "stream": STREAM,
        "asks": located,
        "begun": background,
        "found": (*JSON, ("x-pagination-total", "1")),
    }
    return {
        each.label: changed(
            each,
            number=number,
            sent_at=float(number),
            response_headers=headers.get(each.label, JSON),
        )
        for number, each in enumerate(told, start=1)
    }


def _history() -> list[dict[str, Any]]:
    ahead = [{"next": [node], "tasks": [{"id": node, "name": node}]} for node in NODES]
    return [state(3, values(3)), *(state(step, values(step), **ahead[step]) for step in (2, 1, 0))]


def _item() -> dict[str, Any]:
    return {"namespace": ["house", "users"], "key": "ida", "value": {}, "created_at": AT, "updated_at": AT}


def changed(exchange: Exchange, **members: Any) -> Exchange:
    """The exchange with other members, as nothing had been read of it yet."""
    known = {name: getattr(exchange, name) for name in Exchange.__struct_fields__}
    return Exchange(**(known | members))


@cache
def _judges() -> dict[str, Callable[..., None]]:
    """The monitors by requirement, but for those that need a run that fails, or a scenario of their own."""
    found: dict[str, Callable[..., None]] = {}
    for path in locate("suites").glob("test_monitors*.py"):
        spec = importlib.util.spec_from_file_location(f"judged_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        suite = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(suite)
        declared = [(declaration_of(each), each) for each in vars(suite).values()]
        found |= {said.requirement: each for said, each in declared if said is not None}
    return {id_: each for id_, each in found.items() if id_ not in {"MON-003", "MON-005"}}


def judge(requirement: str, exchanges: Iterable[Exchange], **notes: Any) -> None:
    function, profile = _judges()[requirement], load_profile("langgraph")
    traces = [Trace(scenario="told", exchanges=tuple(exchanges), notes=notes)]
    known = {"traces": traces, "profile": profile, "rests": rests_of(traces, profile)}
    function(**{name: known[name] for name in inspect.signature(function).parameters})


@pytest.mark.parametrize("requirement", sorted(_judges()))
def test_a_good_conversation_passes(requirement: str) -> None:
    judge(requirement, conversation().values())


def _with(document: Any, pointer: str, value: Any) -> Any:
    document = json.loads(json.dumps(document))
    *steps, last = [int(step) if step.isdigit() else step for step in pointer.split("/")[1:]]
    holder = document
    for step in steps:
        holder = holder[step]
    holder[last] = value
    return document


@pytest.mark.parametrize(
    "requirement, label, pointer, value, reason",
    [
        ("MON-004", "asks", "/__interrupt__", "text", "breaks wait-values"),
        ("MON-004", "join", "/__error__", {"error": "KeyError", "message": None}, "breaks wait-error"),
        ("MON-006", "settle", "/status", "busy", "still shows the thread busy"),
        ("MON-007", "settle", "/metadata/owner", "Jón", "otherwise than"),
        ("MON-007", "found", "/0/metadata", {}, "otherwise than"),
        ("MON-007", "runs", "", [], "lacks run"),
        ("MON-007", "item", "/key", "jón", "was asked for ida"),
        ("MON-007", "items", "/items/0/namespace", ["garden"], "finds an item in"),
        ("MON-011", "created", "/values", [7], "a thread on which nothing ran"),
        ("MON-011", "found", "/0/status", "error", "shows the thread error"),
        ("MON-011", "found", "/0/values/log", ["s1"], "other values"),
        ("MON-011", "runs", "/0/status", "running", "whose result had been told"),
        ("MON-011", "poll", "/status", "interrupted", "nothing had stopped"),
        ("MON-011", "asking", "/status", "idle", "waits at an interrupt"),
        ("MON-011", "asking", "/interrupts/t1", [], "lacks the interrupt"),
        ("MON-011", "asks", "/__interrupt__", [], "does not show the interrupt"),
        ("MON-011", "asks", "/__interrupt__", [ASKED, ASKED], "twice"),
        ("MON-011", "asks", "/__interrupt__/0/id", "q2", "which is not in"),
        ("MON-013", "asked", "/next", [], "waits for an answer"),
        ("MON-013", "history", "/1/next", [], "nothing to do next"),
    ],
)
def test_another_value_in_one_answer_is_found(
    requirement: str, label: str, pointer: str, value: Any, reason: str
) -> None:
    told = conversation()
    body = _with(json.loads(told[label].content), pointer, value) if pointer else value
    told[label] = changed(told[label], content=json.dumps(body))
    with pytest.raises(Broken, match=reason):
        judge(requirement, told.values())


def test_what_a_request_has_changed_reads_otherwise() -> None:
    told = conversation()
    renamed = thread(metadata={"owner": "Jón"}, values=values(3))
    patched = said("patched", "PATCH", f"/threads/{THREAD}", renamed, number=17, sent_at=17.0)
    read = said("again", "GET", f"/threads/{THREAD}", renamed, number=18, sent_at=18.0)
    judge("MON-007", [*told.values(), patched, read])
    later = changed(read, content=json.dumps(thread(values=values(3))))
    with pytest.raises(Broken, match="otherwise than exchange 17 PATCH"):
        judge("MON-007", [*told.values(), patched, later])


Told = list[tuple[str, Any]]


@pytest.mark.parametrize(
    "requirement, spoil, reason",
    [
        ("MON-012", lambda told: _with(told, "/0/1/attempt", 2), "begins with attempt 2"),
        ("MON-012", lambda told: [told[0], *told[3:]], "begins with values that log"),
        (
            "MON-012",
            lambda told: [*told[:3], ("values", {**values(1), "__interrupt__": [ASKED]}), *told[5:]],
            "ask",
        ),
        ("MON-014", lambda told: [*told[:2], *told[4:]], "update of s2 after that of nothing"),
        ("MON-014", lambda told: _with(told, "/2/1/s1/log", ["s2"]), "an update of s1 that does not log s1"),
        ("MON-014", lambda told: [each for each in told if "s3" not in each[1]], "without an update of s3"),
        ("MON-014", lambda told: _with(told, "/7/1/note", "lost"), "was given"),
    ],
)
def test_another_event_in_a_stream_is_found(
    requirement: str, spoil: Callable[[Told], Told], reason: str
) -> None:
    told = conversation()
    spoilt = [(name, data) for name, data in spoil(steps_streamed())]
    told["stream"] = changed(told["stream"], events=events(*spoilt))
    with pytest.raises(Broken, match=reason):
        judge(requirement, told.values())


def test_a_run_may_be_tried_again_where_the_server_was_restarted() -> None:
    told = conversation()
    retried = _with(steps_streamed(), "/0/1/attempt", 2)
    told["stream"] = changed(told["stream"], events=events(*map(tuple, retried)))
    judge("MON-012", told.values(), restarted_at=[2.0])


def _streamed(mode: str, *told: Any) -> Exchange:
    path = f"/threads/{THREAD}/runs/stream"
    sent = {"assistant_id": "slow", "input": {"ticks": 2}, "stream_mode": mode}
    begun = ("metadata", {"run_id": NEXT_RUN, "attempt": 1})
    located = (*STREAM[:1], ("content-location", f"/threads/{THREAD}/runs/{NEXT_RUN}"))
    each = events(begun, *((mode, data) for data in told))
    return said(
        mode, "POST", path, None, sent, events=each, response_headers=located, number=20, sent_at=20.0
    )


STARTED = {"id": "t", "name": "a", "input": {}, "triggers": []}
RETURNED = {"id": "t", "name": "a", "result": {}}
WRITTEN: dict[str, Any] = {"values": {}, "next": []}
FIRST, SECOND = ({**WRITTEN, "metadata": {"step": step}} for step in (0, 1))


@pytest.mark.parametrize(
    "requirement, mode, told, reason",
    [
        ("MON-012", "tasks", [STARTED, RETURNED], "the start of the task a after its result"),
        ("MON-012", "checkpoints", [FIRST, SECOND], "step 0 after step 1"),
        ("MON-014", "custom", [{"tick": 1}, {"tick": 2}], "other ticks"),
    ],
)
def test_two_events_in_the_other_order_are_found(
    requirement: str, mode: str, told: list[Any], reason: str
) -> None:
    judge(requirement, [*conversation().values(), _streamed(mode, *told)])
    with pytest.raises(Broken, match=reason):
        judge(requirement, [*conversation().values(), _streamed(mode, *reversed(told))])


def test_a_stream_that_is_joined_has_the_events_of_its_run() -> None:
    path = f"/threads/{THREAD}/runs/{RUN}/stream"
    joined = said("joined", "GET", path, None, number=20, sent_at=20.0, response_headers=STREAM)
    judge("MON-012", [*conversation().values(), changed(joined, events=events(("values", values(3))))])
    with pytest.raises(Broken, match="which no mode of values, updates has"):
        judge("MON-012", [*conversation().values(), changed(joined, events=events(("echoes", values(3))))])


def test_a_header_that_names_another_run_is_found() -> None:
    told = conversation()
    other = (*JSON, ("location", f"/threads/{THREAD}/runs/{NEXT_RUN}/join"))
    told["join"] = changed(told["join"], response_headers=other)
    with pytest.raises(Broken, match="names 1b1b1b1b-2c2c-4d2d-9e2e-3f3f3f3f3f3f in location"):
        judge("MON-002", told.values())


def test_a_search_that_does_not_count_is_found() -> None:
    told = conversation()
    told["found"] = changed(told["found"], response_headers=JSON)
    with pytest.raises(Broken, match="X-Pagination-Total"):
        judge("MON-008", told.values())


def test_what_is_written_by_hand_touches_only_its_own_thread() -> None:
    told = conversation()
    elsewhere = said("by hand", "POST", f"/threads/{OTHER}/state", {}, {"values": {}}, number=20, sent_at=0.5)
    told["asked"] = changed(told["asked"], content=json.dumps(state(4, {"log": ["s2"]})))
    with pytest.raises(Broken, match="logs s2 after nothing"):
        judge("MON-014", [*told.values(), elsewhere])
    here = changed(elsewhere, url=f"http://127.0.0.1:1/threads/{THREAD}/state", sent_at=13.5)
    judge("MON-014", [*told.values(), here])
