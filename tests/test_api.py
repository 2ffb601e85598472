"""The operations of the run API: what each puts on the wire, and when a scenario can go no further."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from runstone.scenario.api import Api
from runstone.scenario.requests import ENTRY_POINTS, OMIT, Blocked, ask, new_id
from runstone.target.target import Target
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.servers import Heard, heard_by, reply

THREAD = "018f0000-0000-7000-8000-000000000001"
RUN = "018f0000-0000-7000-8000-0000000000aa"
IDS = {"thread_id": THREAD, "run_id": RUN, "status": "success"}
QUICK = Limits(poll_s=0.01, settle_s=0.3)
Drive = Callable[[Api], Awaitable[object]]
Answering = Callable[[Heard], bytes]


def answering(*bodies: Any) -> Answering:
    """Answer these bodies one after the other, the last one again and again."""
    left = list(bodies)

    def answer(_heard: Heard) -> bytes:
        body = left.pop(0) if len(left) > 1 else left[0]
        return reply("200 OK", "application/json", json.dumps(body).encode())

    return answer


def told(drive: Drive, answer: Answering | None = None) -> tuple[Recording, list[Heard]]:
    """What the scenario kept, and what the server heard."""
    recording = Recording("talk")

    async def session(url: str) -> None:
        async with Recorder(url, {}, QUICK) as recorder:
            await drive(Api(recorder, Target(name="t", url=url), recording))

    with heard_by(answer or answering(IDS)) as (url, heard):
        asyncio.run(session(url))
    return recording, heard


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


# --- ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [{}, [], None, {"thread_id": 7}, {"thread_id": ""}, {"thread_id": f"{THREAD}/.."}]
)
def test_without_an_id_the_scenario_is_blocked(body: Any) -> None:
    with pytest.raises(Blocked, match=r"exchange 1 POST /threads gave no thread_id, but 200: "):
        told(lambda api: api.create_thread(), answering(body))


def test_an_error_that_holds_an_id_gives_none() -> None:
    def refuse(_heard: Heard) -> bytes:
        return reply("500 Internal Server Error", "application/json", json.dumps(IDS).encode())

    with pytest.raises(Blocked, match="500"):
        told(lambda api: api.create_run(THREAD, "echo"), refuse)


def test_without_an_answer_the_block_says_why() -> None:
    async def drive(api: Api) -> None:
        await api.create_thread()

    async def session() -> None:
        async with Recorder("http://127.0.0.1:9", {}, Limits(request_s=2.0)) as recorder:
            await drive(Api(recorder, Target(name="t", url="http://127.0.0.1:9"), Recording("talk")))

    with pytest.raises(Blocked, match="gave no thread_id, but nothing: connection refused"):
        asyncio.run(session())


def test_new_ids_and_questions() -> None:
    assert UUID.fullmatch(new_id())
    assert new_id() != new_id()
    assert ask("hi") == {"messages": [{"role": "user", "content": "hi"}]}


# --- parts and notes ---------------------------------------------------------------------------------------


def test_parts_run_at_once_and_are_blocked_one_by_one() -> None:
    meeting = asyncio.Barrier(3)  # passed only if all three are under way together

    async def part(api: Api, name: str) -> None:
        await meeting.wait()
        await api.thread(THREAD, label=name)
        api.note(who=name)
        if name == "b":
            raise Blocked("b can go no further")
        await api.each(["inner"], inner)

    async def inner(api: Api, name: str) -> None:
        await api.thread(THREAD, label=name)
        api.note(who=name)

    recording, _ = told(lambda api: api.each(["a", "b", "c"], part))
    assert {each.part for each in recording.exchanges} == {"a", "b", "c", "a.inner", "c.inner"}
    assert sorted(each.number for each in recording.exchanges) == [1, 2, 3, 4, 5]
    assert recording.blocked == {"b": "b can go no further"}
    assert recording.notes == {
        "a.who": "a",
        "b.who": "b",
        "c.who": "c",
        "a.inner.who": "inner",
        "c.inner.who": "inner",
    }


def test_a_part_that_crashes_is_not_taken_for_a_blocked_one() -> None:
    async def part(_api: Api, _name: str) -> None:
        raise KeyError("run_id")

    with pytest.raises(BaseExceptionGroup) as caught:
        told(lambda api: api.each(["a"], part))
    assert isinstance(caught.value.exceptions[0], KeyError)


def test_notes_are_plain_json_and_copies() -> None:
    mine = {"list": [1]}

    async def drive(api: Api) -> None:
        api.note(mine=mine, pair=(1, 2), big=2**70)
        mine["list"].append(2)
        with pytest.raises(TypeError, match="not JSON serializable"):
            api.note(own={1, 2})

    assert told(drive)[0].notes == {"mine": {"list": [1]}, "pair": [1, 2], "big": 2**70}


# --- polls end ---------------------------------------------------------------------------------------------


def numbers(drive: Drive, *bodies: Any) -> int:
    """How many readings the poll took."""
    return len(told(drive, answering(*bodies))[1])


def status(name: str) -> dict[str, str]:
    return {"status": name}


@pytest.mark.parametrize("terminal", ["success", "error", "timeout", "interrupted"])
def test_a_run_is_polled_until_it_is_terminal(terminal: str) -> None:
    last: list[Exchange] = []

    async def drive(api: Api) -> None:
        last.append(await api.poll_run(THREAD, RUN))

    assert numbers(drive, status("pending"), status("running"), status(terminal), status("running")) == 3
    assert last[0].object == status(terminal)


def test_a_run_is_polled_until_it_runs() -> None:
    assert (
        numbers(lambda api: api.until_running(THREAD, RUN), status("pending"), status("running"), status("x"))
        == 2
    )


def test_a_thread_is_polled_until_it_is_not_busy() -> None:
    assert numbers(lambda api: api.settle(THREAD), status("busy"), status("busy"), status("idle")) == 3


def test_a_state_is_polled_until_the_node_is_logged() -> None:
    logs = [{"values": None}, {"values": {}}, {"values": {"log": 7}}, {"values": {"log": ["a", "b"]}}, {}]
    assert numbers(lambda api: api.until_logged(THREAD, "b"), *logs) == 4


NO_STATUS: list[Any] = [
    None,
    [],
    "text",
    {},
    {"status": None},
    {"status": 7},
    {"status": ["busy"]},
    {"status": {}},
]


@pytest.mark.parametrize("odd", NO_STATUS)
def test_a_poll_ends_at_an_answer_without_a_status(odd: Any) -> None:
    assert numbers(lambda api: api.poll_run(THREAD, RUN), odd, odd) == 1
    assert numbers(lambda api: api.settle(THREAD), odd, odd) == 1


def test_slack_grows_with_what_requests_take_of_late() -> None:
    found: list[float] = []

    def slowly(heard: Heard) -> bytes:
        time.sleep(0.3)
        return answering(IDS)(heard)

    async def drive(api: Api) -> None:
        found.append(api.with_slack(1.5))
        await api.thread(THREAD)
        found.append(api.with_slack(1.5))

    told(drive, slowly)
    assert found[0] == 1.5 + QUICK.turn_s
    assert found[1] >= found[0] + 4 * 0.3 - 0.05


def test_polls_end_at_the_limit_when_nothing_ever_happens() -> None:
    async def drive(api: Api) -> None:
        await api.poll_run(THREAD, RUN)
        await api.until_running(THREAD, RUN)
        await api.until_logged(THREAD, "a")

    never = {"status": "pending", "values": {"log": []}}
    assert {each.object["status"] for each in told(drive, answering(never))[0].exchanges} == {"pending"}
