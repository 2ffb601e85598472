"""stream_resumable and Last-Event-ID: going on with an event stream where it was lost."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any

from runstone.suite import (
    Api,
    Blocked,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    requirement,
    row,
    scenario,
    shown,
    some,
    told_by,
)

SLEEP_S, TICKS = 1.5, 6  # a tick every 0.25 s or more: apart even for ids that are made of milliseconds
EVERYTHING = ["values", "updates", "custom", "tasks", "checkpoints", "debug"]
READERS, DENSE = 24, 30  # at 50 ms from tick to tick some join in the moment of one
BETWEEN_S = 0.04
BURST = {"sleep": 0, "ticks": 100}  # so fast that ids made of the time alone cannot all differ
NO_EVENT_IDS = ("not-an-event-id", "1-2-3", "-7", "99999999999999999999-0")
ASCENDING_NUMBERS = re.compile(r"\d+(-\d+)*")


@scenario(Schedule(steady=True))
async def resumable_stream(api: Api) -> None:
    """A resumable run with a burst of events is streamed in many modes, and replayed afterwards."""
    thread = await api.create_thread()
    whole = await api.stream(thread, "slow", BURST, stream_mode=EVERYTHING, stream_resumable=True)
    await api.poll_run(thread, whole.run_id)
    await api.join_stream(thread, whole.run_id, last_event_id="-1", label="replay")
    for number, strange in enumerate(NO_EVENT_IDS):
        await api.join_stream(thread, whole.run_id, last_event_id=strange, label=f"strange_{number}")
    await api.read_at_rest(thread)


@scenario(Schedule(waits=1.5))
async def resumed_stream(api: Api) -> None:
    """The stream of a resumable run is lost after two ticks, and taken up again while the run goes on."""
    sleep = api.with_slack(SLEEP_S)
    thread = await api.create_thread()
    lost = await api.stream(
        thread,
        "slow",
        {"sleep": sleep, "ticks": TICKS},
        stream_mode="custom",
        stream_resumable=True,
        options={"close_after_events": 3},  # metadata and two ticks
        patience=sleep,
        label="lost",
    )
    run, last = lost.run_id, lost.stream[-1].id
    if last is None:
        raise Blocked(f"the last event of {lost.where} has no id to go on from")

    async def join(label: str, event_id: str) -> None:
        await api.join_stream(thread, run, last_event_id=event_id, label=label, patience=sleep)

    await asyncio.gather(join("resumed", last), join("from_the_first", "-1"))
    await api.run(thread, run)
    await join("resumed_late", last)


@scenario(Schedule(waits=1.5))
async def joined_while_events_come(api: Api) -> None:
    """One client after the other joins the stream of a resumable run from its first event on."""
    sleep = api.with_slack(SLEEP_S)
    given = {"sleep": sleep, "ticks": DENSE}
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", given, stream_mode="custom", stream_resumable=True)
    await api.until_running(thread, run)

    async def join(number: int) -> None:
        await asyncio.sleep(number * BETWEEN_S)
        await api.join_stream(thread, run, last_event_id="-1", label="reader", patience=sleep)

    await asyncio.gather(*map(join, range(READERS)))


@scenario
async def resumed_without_being_resumable(api: Api) -> None:
    """`Last-Event-ID` is sent for a run that keeps no events."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "steps", {}, stream_resumable=False)
    await api.poll_run(thread, run)
    for event_id in ("-1", "1"):
        await api.join_stream(thread, run, last_event_id=event_id, label=f"after {event_id}")


@requirement("RESUME-001")
def test_every_event_has_an_id(resumable_stream: Trace) -> None:
    whole = resumable_stream.stream
    assert whole.named("values")
    assert whole.named("custom")
    told = [event for event in whole.stream if event.event != "end"]  # which nothing follows
    without = [event.event for event in told if not event.id]
    assert without == []


@requirement("RESUME-002")
def test_ids_ascend(resumable_stream: Trace) -> None:
    ids = _event_ids(resumable_stream.stream)
    strange = [each for each in ids if not ASCENDING_NUMBERS.fullmatch(each)]
    assert strange == [], f"wanted numbers joined by dashes, got {', '.join(strange[:3])}"
    numbers = [tuple(map(int, each.split("-"))) for each in ids]
    wrong = [(ids[at], ids[at + 1]) for at, (one, two) in enumerate(pairwise(numbers)) if one >= two]
    assert wrong == [], f"wanted ascending ids, got {wrong[0][0]} before {wrong[0][1]}, of {len(ids)} ids"


@requirement("RESUME-003")
def test_nothing_is_lost_or_repeated(resumed_stream: Trace) -> None:
    seen = _before_the_loss(resumed_stream)
    assert resumed_stream.lost.closed_by_client, "the stream ended before the client hung up"
    assert _heard(resumed_stream.resumed) == _ticks(len(seen), TICKS)


@requirement("RESUME-004")
@cases("joined", ["after a loss", "while events come"])
def test_minus_one_is_the_beginning(
    resumed_stream: Trace, joined_while_events_come: Trace, joined: str
) -> None:
    if joined == "after a loss":
        seen = _before_the_loss(resumed_stream)
        assert _heard(resumed_stream.from_the_first) == [*seen, *_ticks(len(seen), TICKS)]
    else:
        readers = joined_while_events_come.all("reader")
        heard = [each for each in readers if not each.lost]
        if 2 * len(heard) < len(readers):
            raise Missing(f"the network cut off {len(readers) - len(heard)} of {len(readers)} readers")
        for reader in heard:
            assert _told_in(reader, "custom") == _ticks(1, DENSE)


@requirement("RESUME-005")
@cases("start", ["the first", "the last seen"])
def test_ended_run_is_replayed(resumable_stream: Trace, resumed_stream: Trace, start: str) -> None:
    if start == "the first":
        assert resumable_stream.last("poll").object.get("status") == "success"
        whole, replay = resumable_stream.stream.stream, resumable_stream.replay.ok.events
        assert [(event.event, event.data) for event in replay] == [
            (event.event, event.data) for event in whole
        ]
    else:
        assert resumed_stream.run.object.get("status") == "success"
        assert _heard(resumed_stream.resumed_late) == _ticks(len(_before_the_loss(resumed_stream)), TICKS)


@requirement("RESUME-006")
@cases("event_id", ["-1", "1"])
def test_run_without_kept_events(resumed_without_being_resumable: Trace, event_id: str) -> None:
    trace = resumed_without_being_resumable
    assert trace.last("poll").object.get("status") == "success"
    answer = trace.only(f"after {event_id}")
    assert answer.status == 200
    assert answer.is_stream, f"wanted an event stream, got {shown(answer.headers.get('content-type'))}"
    assert answer.complete, f"the stream did not end: {answer.failure}"
    assert "error" not in [event.event for event in answer.events]


@requirement("RESUME-007")
@cases("number", [row(number, name=name) for number, name in enumerate(NO_EVENT_IDS)])
def test_what_is_no_event_id(resumable_stream: Trace, number: int) -> None:
    assert resumable_stream.replay.named("values")
    answer = resumable_stream.only(f"strange_{number}")
    if not 400 <= answer.status < 500:
        assert answer.status < 500, f"wanted a 4xx or an event stream, got {answer.status}"
        assert answer.ok.is_stream, f"wanted a 4xx or an event stream, got {answer.status}"
        assert "error" not in [event.event for event in answer.events]


def _event_ids(stream: Exchange) -> list[str]:
    return some((event.id for event in stream.stream if event.id), f"event id in {stream.where}")


def _heard(stream: Exchange) -> list[tuple[str, Any]]:
    """What a stream of ticks tells; servers may add events that nobody asked for."""
    return _told_in(stream, "metadata", "custom")


def _told_in(stream: Exchange, *names: str) -> list[tuple[str, Any]]:
    return told_by(event for event in stream.ok.events if event.event in names)


def _ticks(first: int, last: int) -> list[tuple[str, Any]]:
    return [("custom", {"tick": number}) for number in range(first, last + 1)]


def _before_the_loss(trace: Trace) -> list[tuple[str, Any]]:
    """What the client saw before it hung up. Raises Missing unless it was metadata and the first ticks."""
    seen = _heard(trace.lost)
    if len(seen) < 2 or seen[0][0] != "metadata" or seen[1:] != _ticks(1, len(seen) - 1):
        raise Missing(f"{trace.lost.where} did not begin with metadata and ticks, but {shown(seen)}")
    return seen
