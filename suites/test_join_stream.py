"""GET /threads/{thread_id}/runs/{run_id}/stream: the events of a run that somebody else started."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    OMIT,
    STEPS,
    Api,
    Exchange,
    Schedule,
    Trace,
    assert_ran,
    cases,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

SLEEP_S, TICKS = 1.5, 5
PROMPTLY_S = 5.0  # both official servers end such a stream after 0.5 s; ten times that
CLOSING = {"metadata", "error", "end"}  # events that belong to every stream, whatever its mode
SUBSCRIBERS = ("first", "second")


@scenario(Schedule(waits=1.5, calm=True, thorough=True))
async def joined_while_running(api: Api) -> None:
    """Streams of `slow` are joined while its second node sleeps: by one client, and by two at once."""

    async def turn(part: Api, who: str) -> None:
        thread = await part.create_thread()
        sleep = part.with_slack(SLEEP_S)
        given = {"sleep": sleep, "ticks": TICKS}
        run = await part.create_run(thread, "slow", given, stream_mode=["values", "updates", "custom"])
        await part.until_running(thread, run)
        if who == "two":
            joins = (part.join_stream(thread, run, label=label, patience=sleep) for label in SUBSCRIBERS)
            await asyncio.gather(*joins)
        elif who == "hangs_up":
            await part.join_stream(thread, run, close_after_events=1)
        elif who == "one_mode":
            await part.join_stream(thread, run, stream_mode="custom", patience=sleep)
        else:
            await part.join_stream(thread, run, patience=sleep)
        await part.poll_run(thread, run, label="ended", patience=sleep)
        await part.state(thread)

    await api.each(["one", "two", "one_mode", "hangs_up"], turn)


@scenario(Schedule(waits=1.0))
async def joined_before_the_start(api: Api) -> None:
    """A stream is joined while its run is queued behind another one on the thread."""

    async def turn(part: Api, graph: str) -> None:
        fields: dict[str, Any] = {"stream_mode": ["values"]}
        if graph == "subgraph":
            fields = {"stream_mode": ["values", "updates"], "stream_subgraphs": True}
        only = "updates" if graph == "subgraph" else OMIT
        thread = await part.create_thread()
        sleep = part.with_slack(1.0)
        await part.create_run(thread, "slow", {"sleep": sleep}, label="ahead")
        run = await part.create_run(thread, graph, {}, **fields)
        await part.join_stream(thread, run, stream_mode=only, patience=2 * sleep)
        await part.poll_run(thread, run)

    await api.each(["fail", "subgraph"], turn)


@scenario(agent=True)
async def joined_after_the_end(api: Api) -> None:
    """The streams of a run that has ended and of one that never was are joined."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "steps", {}, stream_resumable=False)
    await api.poll_run(thread, run)
    await api.state(thread)
    await api.join_stream(thread, run, label="ended")
    await api.join_stream(thread, new_id(), label="unknown")


@requirement("JOIN-STREAM-001")
def test_delivers_what_follows(joined_while_running: Trace) -> None:
    turn = joined_while_running.part("one")
    assert turn.join_stream.complete, f"the stream did not end: {turn.join_stream.failure}"
    _follows_to_the_end(turn.join_stream, turn)


@requirement("JOIN-STREAM-002")
def test_ended_run_ends_promptly(joined_after_the_end: Trace) -> None:
    assert joined_after_the_end.last("poll").object.get("status") == "success"
    assert_ran(resolve(joined_after_the_end.state.object, "/values"), STEPS)
    stream = joined_after_the_end.ended
    assert stream.status == 200
    assert stream.is_stream, f"wanted an event stream, got {shown(stream.headers.get('content-type'))}"
    assert stream.complete, f"the stream did not end: {stream.failure}"
    assert stream.finished_after <= PROMPTLY_S


@requirement("JOIN-STREAM-003")
def test_delivers_the_error(joined_before_the_start: Trace) -> None:
    turn = joined_before_the_start.part("fail")
    assert turn.last("poll").object.get("status") == "error"
    names = turn.join_stream.names
    assert "error" in names, f"wanted an event `error`, got {', '.join(names)}"


@requirement("JOIN-STREAM-004")
def test_hanging_up_does_not_cancel(joined_while_running: Trace) -> None:
    turn = joined_while_running.part("hangs_up")
    assert turn.join_stream.stream
    assert turn.join_stream.closed_by_client, "the stream ended before the client hung up"
    assert turn.last("ended").object.get("status") == "success"
    assert resolve(turn.state.object, "/values/log") == ["a", "b", "c"]


@requirement("JOIN-STREAM-005")
def test_stream_mode_restricts(joined_while_running: Trace) -> None:
    stream = joined_while_running.part("one_mode").join_stream
    modes = {event.mode for event in stream.stream} - CLOSING
    assert sorted(modes) == ["custom"]


@requirement("JOIN-STREAM-006")
def test_restricted_stream_keeps_subgraphs(joined_before_the_start: Trace) -> None:
    stream = joined_before_the_start.part("subgraph").join_stream
    updates = [event for event in stream.stream if event.mode == "updates"]
    assert [event.json for event in updates if event.event == "updates"][-1:] == [{"done": {"log": ["done"]}}]
    nested = [event.json for event in updates if event.event.startswith("updates|child")]
    assert nested == [{"c1": {"log": ["c1"]}}, {"c2": {"log": ["c2"]}}]


@requirement("JOIN-STREAM-007")
def test_unknown_run(joined_after_the_end: Trace) -> None:
    kind = joined_after_the_end.ended.ok.headers.get("content-type")
    assert joined_after_the_end.ended.is_stream, f"wanted an event stream, got {shown(kind)}"
    answer = joined_after_the_end.unknown
    if answer.status == 200:
        names = [event.event for event in answer.whole.events if event.event != "end"]
        assert names.count("error") == 1, f"wanted one error event, got {names}"
        assert names[-1] == "error"
    else:
        assert answer.status == 404


@requirement("JOIN-STREAM-008")
@cases("subscriber", SUBSCRIBERS)
def test_subscribers_share_every_event(joined_while_running: Trace, subscriber: str) -> None:
    turn = joined_while_running.part("two")
    _follows_to_the_end(turn.only(subscriber), turn)


def _follows_to_the_end(stream: Exchange, turn: Trace) -> None:
    """From the first event that the stream delivers none is missing, and the last ones tell of the end."""
    before = some((poll for poll in turn.all("poll") if poll.number < stream.number), "poll before the join")
    assert before[-1].object.get("status") == "running"
    ticks = [resolve(event.json, "/tick") for event in stream.named("custom")]
    assert ticks == list(range(1, TICKS + 1))[-len(ticks) :]
    assert stream.named("values")[-1].json == turn.state.object.get("values")
    assert resolve(turn.state.object, "/values/log") == ["a", "b", "c"]
