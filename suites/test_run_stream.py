"""POST /threads/{thread_id}/runs/stream: create a run and answer with its events until it ends."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx

from runstone.suite import (
    OMIT,
    STEPS,
    Api,
    Blocked,
    Event,
    Missing,
    Opened,
    Schedule,
    Trace,
    assert_ran,
    cases,
    events_of_state,
    lifecycle,
    new_id,
    raw,
    requirement,
    resolve,
    scenario,
    shown,
    some,
    view,
)

CLOSING = {"metadata", "error", "end"}  # events that belong to every stream, whatever its mode
OUTCOMES = ("success", "error", "interrupt", "cancel")
REFUSED = ("unknown_thread", "unknown_assistant", "no_assistant", "malformed_json")


@scenario(agent=True)
async def streamed_run(api: Api) -> None:
    """`steps` by stream, without a stream mode; then what the server knows of the run."""
    thread = await api.create_thread()
    await api.stream(thread, "steps", {"note": "streamed"}, stream_mode=OMIT)
    await api.runs(thread)
    await api.state(thread)


@scenario(Schedule(waits=1.0))
async def stream_and_its_location(api: Api) -> None:
    """A second client follows the Location header of a stream while the second node sleeps."""
    thread = await api.create_thread()
    opened: Opened = asyncio.get_running_loop().create_future()
    sleep = api.with_slack(1.0)
    stream = asyncio.create_task(
        api.stream(thread, "slow", {"sleep": sleep}, options={"opened": opened}, patience=sleep),
    )
    location = (await opened).headers.get("location")
    base = httpx.URL(api.target.url)
    url = httpx.URL(f"{api.target.url.rstrip('/')}/").join(location or "")
    if location and (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port):
        path = url.raw_path.decode().removeprefix(base.raw_path.decode().rstrip("/"))
        await api.request("GET", path, label="location", patience=sleep)
    await stream
    await api.read_at_rest(thread)
    if not location:
        raise Blocked("the answer of the stream has no Location header")


@scenario(Schedule(waits=1.0))
async def hang_up_on_stream(api: Api) -> None:
    """Clients hang up on a stream while the second node sleeps, once with each `on_disconnect`."""

    async def turn(part: Api, on_disconnect: str) -> None:
        # A server that does not cancel shows it in time: the run is still going on, or ends as success.
        sleep = part.with_slack({"cancel": 10.0, "continue": 1.0}[on_disconnect])
        thread = await part.create_thread()
        send = partial(part.stream, thread, "slow", {"sleep": sleep}, on_disconnect=on_disconnect)
        stream = await part.hang_up_amid(thread, send)
        run = stream.found_run_id or await part.run_hung_up_on(thread)
        await part.poll_run(thread, run, patience=sleep if on_disconnect == "continue" else 0.0)
        await part.settle(thread)
        await part.state(thread)

    await api.each(["cancel", "continue"], turn)


@scenario(agent=True)
async def refused_streams(api: Api) -> None:
    """Stream requests that cannot be served, and one that can."""
    thread = await api.create_thread()
    await api.stream(thread, "steps", {}, label="served")
    await api.stream(new_id(), "steps", {}, label="unknown_thread")
    await api.stream(thread, "no-such-graph", {}, label="unknown_assistant")
    path, json_type = f"/threads/{thread}/runs/stream", {"content-type": "application/json"}
    await api.request("POST", path, json={"input": {}}, label="no_assistant")
    await api.request("POST", path, content=b'{"assistant_id": ', headers=json_type, label="malformed_json")


@requirement("RUN-STREAM-001")
def test_creates_a_run(streamed_run: Trace) -> None:
    assert streamed_run.stream.status == 200
    assert_ran(streamed_run.stream.named("values")[-1].json, STEPS)
    assert len(streamed_run.runs.array) == 1


@requirement("RUN-STREAM-002")
def test_first_event_names_the_run(streamed_run: Trace) -> None:
    first = streamed_run.stream.stream[0]
    assert first.event == "metadata"
    assert str(resolve(first.json, "/run_id")).lower() == _only_run(streamed_run)


@requirement("RUN-STREAM-003")
def test_metadata_counts_attempts(streamed_run: Trace) -> None:
    attempt = resolve(streamed_run.stream.named("metadata")[0].json, "/attempt")
    assert type(raw(attempt)) is int, f"wanted an integer attempt, got {shown(attempt)}"
    assert attempt == 1


@requirement("RUN-STREAM-004")
def test_content_location(streamed_run: Trace) -> None:
    assert streamed_run.stream.stream
    location = streamed_run.stream.headers.get("content-location", "nothing")
    assert "/runs/" + location.lower().rpartition("/runs/")[2] == f"/runs/{_only_run(streamed_run)}"


@requirement("RUN-STREAM-005")
def test_location_leads_to_the_stream(stream_and_its_location: Trace) -> None:
    stream = stream_and_its_location.stream
    assert stream.stream
    location = stream.headers.get("location")
    assert location is not None, "wanted a Location header, got none"
    found = stream_and_its_location.find("location")
    assert found, f"wanted a Location on the same origin, got {location}"
    assert found[0].status == 200
    assert found[0].is_stream, f"wanted an event stream, got {shown(found[0].headers.get('content-type'))}"
    assert _logs(found[0].named("values"))[-1] == _logs(stream.named("values"))[-1] == ["a", "b", "c"]


@requirement("RUN-STREAM-006")
@cases("outcome", OUTCOMES)
def test_stream_closes_at_the_end_of_the_run(outcomes: dict[str, Trace], outcome: str) -> None:
    turn = outcomes[outcome].part("stream")
    assert turn.result.status == 200
    assert turn.result.complete, f"the stream did not end: {turn.result.failure}"
    assert events_of_state(turn.result)
    assert turn.last("poll").object.get("status") in lifecycle().runs.terminal


@requirement("RUN-STREAM-007")
@cases("outcome", OUTCOMES)
def test_end_is_sent_once_and_last(outcomes: dict[str, Trace], outcome: str) -> None:
    stream = outcomes[outcome].part("stream").result
    assert events_of_state(stream)
    names = stream.names
    assert names[:-1].count("end") == 0, f"wanted `end` as the last event only, got {', '.join(names)}"


@requirement("RUN-STREAM-008")
def test_error_comes_last(error: Trace) -> None:
    names = error.part("stream").result.names
    assert "error" in names, f"wanted an event `error`, got {', '.join(names)}"
    after = names[names.index("error") + 1 :]
    assert [name for name in after if name != "end"] == []


@requirement("RUN-STREAM-009")
def test_error_is_an_object_of_texts(error: Trace) -> None:
    data = error.part("stream").result.named("error")[0].json
    assert isinstance(data, dict), f"wanted an object, got {data!r}"
    for member in ("error", "message"):
        assert isinstance(data.get(member), str), f"wanted a text `{member}`, got {shown(data.get(member))}"


@requirement("RUN-STREAM-010")
def test_error_has_a_message(error: Trace) -> None:
    data = error.part("stream").result.named("error")[0].json
    assert str(resolve(data, "/message") or "").strip(), f"wanted a message, got {data!r}"


@requirement("RUN-STREAM-011")
def test_cancelled_stream_closes(cancel: Trace) -> None:
    turn = cancel.part("stream")
    assert turn.cancel.ok
    assert turn.result.complete, f"the stream did not end: {turn.result.failure}"
    logs = _logs(turn.result.named("values"))
    assert [log for log in logs if "b" in log or "c" in log] == []


@requirement("RUN-STREAM-012")
def test_default_mode_is_values(streamed_run: Trace) -> None:
    modes = {event.event for event in streamed_run.stream.stream} - CLOSING
    assert sorted(modes) == ["values"]
    assert_ran(streamed_run.stream.named("values")[-1].json, STEPS)


@requirement("RUN-STREAM-013")
def test_hanging_up_cancels(hang_up_on_stream: Trace) -> None:
    turn = hang_up_on_stream.part("cancel")
    _insist_on_hung_up_amid(turn)
    assert turn.last("poll").object.get("status") == "interrupted"


@requirement("RUN-STREAM-014")
def test_hanging_up_lets_the_run_go_on(hang_up_on_stream: Trace) -> None:
    turn = hang_up_on_stream.part("continue")
    _insist_on_hung_up_amid(turn)
    assert turn.last("poll").object.get("status") == "success"
    assert resolve(turn.state.object, "/values/log") == ["a", "b", "c"]


@requirement("RUN-STREAM-015")
@cases("graph", ["steps", "tools"])
def test_success_stands_when_the_stream_closes(success: Trace, tool_turn: Trace, graph: str) -> None:
    turn = {"steps": success, "tools": tool_turn}[graph].part("stream")
    last = turn.result.named("values")[-1]
    assert "error" not in turn.result.names
    assert turn.first("poll").object.get("status") == "success"
    assert last.json == turn.state.object.get("values")


@requirement("RUN-STREAM-016")
@cases("case", REFUSED)
def test_refusal_is_a_status(refused_streams: Trace, case: str) -> None:
    assert_ran(refused_streams.served.named("values")[-1].json, STEPS)
    assert 400 <= refused_streams.only(case).status < 500, (
        f"wanted a 4xx, got {refused_streams.only(case).status}"
    )


@view
def outcomes(success: Trace, error: Trace, interrupt: Trace, cancel: Trace) -> dict[str, Trace]:
    """The shared traces by the way in which the run ends or pauses."""
    return {"success": success, "error": error, "interrupt": interrupt, "cancel": cancel}


def _only_run(trace: Trace) -> str:
    """The id of the one run that the thread lists: what the stream says of itself is compared with it."""
    run = some(trace.runs.array, "run of the thread")[0]
    return str(resolve(run, "/run_id")).lower()


def _logs(events: list[Event]) -> list[list[Any]]:
    """The log in the state of each event; empty where it holds none."""
    logs = [resolve(event.json, "/log") for event in events]
    return [log if isinstance(log, list) else [] for log in logs]


def _insist_on_hung_up_amid(turn: Trace) -> None:
    """Demand that the client hung up on a stream that had begun, while its run was going on.

    That is seen by another request: on a line that is not even, the event that says so may be under way.
    """
    assert turn.stream.stream
    assert turn.stream.closed_by_client, "the stream ended before the client hung up"
    if resolve(turn.last("watch").object, "/values/log") != ["a"]:
        raise Missing(f"{turn.stream.where} was not seen to go on when the client hung up")
