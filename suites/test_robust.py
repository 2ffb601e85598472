"""Unusual input: very large, very deep, or with values that not every language carries; and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runstone.suite import (
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    ask,
    cases,
    is_refused,
    new_id,
    refusal_of,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

HUGE = 20_000_000  # bytes
DEEP = 3000  # levels
# Made when they are sent: 20 MB would lie about until all is judged.
NOTES: dict[str, Callable[[], bytes]] = {
    "huge": lambda: b'"%s"' % (b"x" * HUGE),
    "deep": lambda: b"[" * DEEP + b"]" * DEEP,
}
PATIENCE_S = 20.0  # for 20 MB through a queue and a checkpointer; seen: 1 s on the official Python server
ORDINARY = '"as it is"'
# What is sent as it stands here, and what must come back for it; for what is not JSON there is nothing.
ODD: dict[str, tuple[str, Any]] = {
    "integer_past_2_53": ("9007199254740993", 2**53 + 1),
    "integer_past_64_bits": ("18446744073709551617", 2**64 + 1),
    "nan": ("NaN", None),
    "nul": (r'"a\u0000b"', "a\0b"),
    "lone_surrogate": (r'"a\ud800b"', "a\ud800b"),
}
NO_JSON = {"nan"}
RUN_PATHS = {"wait": "/runs/wait", "stream": "/runs/stream", "background": "/runs"}
REFUSED_CHANGES = ("state_update", "creation")
REFUSED_RUNS = ("unknown_assistant", "unknown_mode", "broken_body")


@scenario(Schedule(alone=True, heavy=True))
async def outsized_inputs(api: Api) -> None:
    """20 MB, then 3000 levels, by a stream that does not repeat its input; before and after, small runs.

    The runs are stateless, so that the 20 MB go as they came and stand in no other scenario's search. Nothing
    else runs meanwhile: a server with one thread was seen to answer nobody for 20 s.
    """
    await _stream_note(api, lambda: b'"small"', label="small")
    for name, note in NOTES.items():
        await _stream_note(api, note, label=name)
        await api.server_ok(label=f"ok_after_{name}")
        await api.wait(None, "echo", ask("still there?"), label=f"echo_after_{name}")


async def _stream_note(api: Api, note: Callable[[], bytes], *, label: str) -> None:
    # `durability`: one checkpoint of 20 MB instead of five, where the server knows it.
    body = (
        b'{"assistant_id":"%s","input":{"note":%s},"stream_mode":"updates","on_disconnect":"continue",'
        b'"durability":"exit"}'
    ) % (api.target.assistant("steps").encode(), note())
    headers = {"content-type": "application/json"}
    await api.request("POST", "/runs/stream", content=body, headers=headers, label=label, patience=PATIENCE_S)


@scenario(Schedule(heavy=True))
async def odd_values(api: Api) -> None:
    """`functional` shows the `note` that it was given; the values are sent as text, as no encoder would."""

    async def send(part: Api, kind: str) -> None:
        text = ORDINARY if kind == "ordinary" else ODD[kind][0]
        assistant = part.target.assistant("functional")
        content = f'{{"assistant_id":"{assistant}","input":{{"note":{text}}},"multitask_strategy":"enqueue"}}'
        thread = await part.create_thread()
        await part.request(
            "POST",
            f"/threads/{thread}/runs/wait",
            content=content.encode(),
            headers={"content-type": "application/json"},
            label="wait",
        )
        await part.state(thread)

    await api.each(["ordinary", *ODD], send)


@scenario(Schedule(heavy=True))
async def refused_requests(api: Api) -> None:
    """Requests that must be refused, on a thread with a finished run and on threads that there are not."""

    async def refuse_runs(part: Api, entry_point: str) -> None:
        thread = await part.create_thread()
        await part.turn(entry_point, thread, "steps", {"note": "accepted"})
        await part.settle(thread)
        await _read(part, thread, "before")
        for kind in REFUSED_RUNS:
            await _send_refused_run(part, entry_point, kind, thread, label=kind)
        await _read(part, thread, "after")
        for kind in REFUSED_RUNS:
            unborn = new_id()
            await _send_refused_run(part, entry_point, kind, unborn, label=f"{kind}_on_new")
            await part.thread(unborn, label=f"{kind}_thread")

    async def refuse_changes(part: Api, _name: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "steps", {"note": "accepted"}, label="result")
        await part.settle(thread)
        await _read(part, thread, "before")
        path = f"/threads/{thread}/state"
        await part.request("POST", path, json={"values": 7, "as_node": "s1"}, label="state_update")
        await _read(part, thread, "after")
        unborn = new_id()
        body = {"thread_id": unborn, "metadata": "no object"}
        await part.request("POST", "/threads", json=body, label="creation")
        await part.thread(unborn, label="creation_thread")

    await api.each(THREADED_ENTRY_POINTS, refuse_runs)
    await api.each(["changes"], refuse_changes)
    await api.wait(None, "echo", ask("is anybody free?"), label="echo_after")


async def _read(part: Api, thread: str, when: str) -> None:
    await part.runs(thread, limit=100, label=f"runs_{when}")
    await part.history(thread, label=f"history_{when}")
    await part.thread(thread, label=f"thread_{when}")


async def _send_refused_run(part: Api, entry_point: str, kind: str, thread: str, *, label: str) -> Exchange:
    path = f"/threads/{thread}{RUN_PATHS[entry_point]}"
    body = {"assistant_id": "steps", "input": {"note": "refused"}, "if_not_exists": "create"}
    if kind == "broken_body":
        headers = {"content-type": "application/json"}
        return await part.request("POST", path, content=b'{"assistant_id": ', headers=headers, label=label)
    body |= (
        {"assistant_id": "no-such-graph"} if kind == "unknown_assistant" else {"stream_mode": "no-such-mode"}
    )
    return await part.request("POST", path, json=body, label=label)


def _nodes(exchange: Exchange) -> list[str]:
    """The nodes whose updates were streamed, in order."""
    updates = [event.json for event in exchange.stream if event.event == "updates"]
    return [node for update in updates if isinstance(update, dict) for node in update]


def _assert_echoed(exchange: Exchange, profile: Profile, text: str) -> None:
    messages = resolve(profile.wait.values_in(exchange.object), "/messages")
    answer = resolve(some(messages if isinstance(messages, list) else [], "message")[-1], "/content")
    assert answer == text


@requirement("ROB-002")
@cases("size", NOTES)
def test_outsized_input_is_accepted_or_refused(size: str, outsized_inputs: Trace, profile: Profile) -> None:
    if _nodes(outsized_inputs.small) != STEPS:
        raise Missing(f"a small input gave no result: {outsized_inputs.small.where}")
    answer = outsized_inputs.only(size)
    if not is_refused(answer):
        assert answer.status == 200
        assert "error" not in answer.names, f"wanted a result, got {shown(answer.named('error')[0].data)}"
        assert _nodes(answer) == STEPS
    assert outsized_inputs.only(f"ok_after_{size}").status == 200
    _assert_echoed(outsized_inputs.only(f"echo_after_{size}"), profile, "still there?")


@requirement("ROB-003")
@cases("kind", ODD)
def test_odd_value_is_unchanged_or_refused(kind: str, odd_values: Trace, profile: Profile) -> None:
    ordinary = odd_values.part("ordinary").wait
    if profile.wait.values_in(ordinary.object) != {"log": STEPS, "note": "as it is"}:
        raise Missing(f"an ordinary value did not come back: {ordinary.where}")
    part = odd_values.part(kind)
    if is_refused(part.wait):
        return
    assert part.wait.status == 200
    assert kind not in NO_JSON, f"wanted a 4xx for what is not JSON, got {shown(part.wait.text)}"
    wanted = ODD[kind][1]
    for note in (
        resolve(profile.wait.values_in(part.wait.object), "/note"),
        resolve(part.state.object, "/values/note"),
    ):
        assert note == wanted, f"wanted {shown(wanted)} as it was sent, got {shown(note)}"


@requirement("ROB-004")
@cases("refused", [*THREADED_ENTRY_POINTS, *REFUSED_CHANGES])
def test_refused_request_leaves_nothing(refused: str, refused_requests: Trace, profile: Profile) -> None:
    of_runs = refused in THREADED_ENTRY_POINTS
    part = refused_requests.part(refused if of_runs else "changes")
    for kind in REFUSED_RUNS if of_runs else (refused,):
        refusal_of(part.only(kind))
    _assert_nothing_was_added(part)
    for unborn in _unborn(part, refused):
        assert unborn.status == 404
    _assert_echoed(refused_requests.echo_after, profile, "is anybody free?")


def _unborn(part: Trace, refused: str) -> list[Exchange]:
    """The readings of the threads that a refused request named and that there were not before."""
    if refused == "state_update":
        return []
    if refused == "creation":
        return [part.creation_thread]
    for kind in REFUSED_RUNS:
        refusal_of(part.only(f"{kind}_on_new"))
    return [part.only(f"{kind}_thread") for kind in REFUSED_RUNS]


def _assert_nothing_was_added(part: Trace) -> None:
    assert part.result.ok.complete
    runs = some((resolve(run, "/run_id") for run in part.runs_before.array), "run of the thread")
    assert [resolve(run, "/run_id") for run in part.runs_after.array] == runs
    checkpoints = some((resolve(each, "/checkpoint") for each in part.history_before.array), "checkpoint")
    assert [resolve(each, "/checkpoint") for each in part.history_after.array] == checkpoints
    assert part.thread_after.object.get("status") == part.thread_before.object.get("status")
