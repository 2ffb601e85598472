"""Many and long: 600 events, 44 open answers, 120 items of a list, runs of minutes."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise

from runstone.suite import (
    Api,
    Missing,
    Profile,
    Schedule,
    Trace,
    ask,
    cases,
    new_id,
    requirement,
    resolve,
    scenario,
    until_heard,
)

EVENTS = 600
OPEN = 44
LISTED = 120
MADE_AT_ONCE = 8
PATIENCE_S = (2.0, 8.0)  # that a run sleeps: longer where a busy machine took all of that to open the answers
OPENED_S = 0.6  # until all of them have reached the server
PAGE = 50
TICKS = 4
TICK_S = 0.4
LONG_S, LONGER_S = 66.0, 185.0


@scenario(Schedule(heavy=True))
async def many_events(api: Api) -> None:
    """A resumable run emits 600 events; then they are replayed."""
    thread = await api.create_thread()
    sent = await api.stream(
        thread, "maker", {"writes": list(range(EVENTS))}, stream_mode=["custom"], stream_resumable=True
    )
    await api.poll_run(thread, sent.run_id)
    await api.join_stream(thread, sent.run_id, last_event_id="-1", label="replay")


@scenario(Schedule(waits=3.0, heavy=True, runs=2, steady=True))
async def many_open_answers(api: Api) -> None:
    """Waits and streams are open on 44 threads whose runs sleep or are queued; others want their answers."""
    other = await api.create_thread()
    await api.wait(other, "echo", ask("before"), label="before")
    for patience in PATIENCE_S:
        if await _read_with_many_open(api, other, api.with_slack(patience)):
            return


async def _read_with_many_open(api: Api, other: str, sleep: float) -> bool:
    """Whether the run that all wait for was still under way when the others had been answered."""
    busy = await api.create_thread()
    run = await api.create_run(busy, "slow", {"sleep": sleep})
    await api.until_logged(busy, "a")
    opened = [
        asyncio.create_task(
            api.join(busy, run, label="open", patience=sleep)
            if number % 2
            else api.join_stream(busy, run, label="open", patience=sleep)
        )
        for number in range(OPEN)
    ]
    await asyncio.sleep(OPENED_S)
    await api.server_ok(label="ok_meanwhile")
    await api.wait(other, "echo", ask("meanwhile"), label="meanwhile")
    meanwhile = await api.run(busy, run, label="run_meanwhile")
    await asyncio.gather(*opened)
    return '"running"' in meanwhile.content


@scenario(Schedule(waits=TICKS * TICK_S, calm=True))
async def events_in_time(api: Api) -> None:
    """`slow` emits an event at a time, with a pause after each; a longer one where a busy machine hid it."""
    for times in (1, 3, 6):
        thread = await api.create_thread()
        given = {"sleep": TICKS * TICK_S * times, "ticks": TICKS}
        sent = await api.stream(
            thread, "slow", given, stream_mode=["custom", "updates"], patience=given["sleep"]
        )
        if not _held_back([event.at for event in sent.events if event.event == "custom"]):
            break


def _held_back(arrivals: list[float]) -> list[int]:
    """The events that came together with the next one, though a pause lies between them."""
    return [number for number, (one, next_) in enumerate(pairwise(arrivals)) if next_ - one < TICK_S / 4]


@scenario(Schedule(heavy=True))
async def long_lists(api: Api) -> None:
    """120 threads, assistants and runs are made and read in pages."""
    tag = new_id()
    metadata = {"tag": tag}
    for resource, body in (("threads", {}), ("assistants", {"graph_id": "steps"})):
        sent = {**body, "metadata": metadata}
        for _ in range(0, LISTED, MADE_AT_ONCE):
            new = partial(api.request, "POST", f"/{resource}", json=sent, label=f"new_{resource}")
            await asyncio.gather(*(until_heard(new) for _ in range(MADE_AT_ONCE)))
        for offset in range(0, LISTED, PAGE):
            page = {"metadata": metadata, "limit": PAGE, "offset": offset}
            await api.request("POST", f"/{resource}/search", json=page, label=resource)


@scenario(Schedule(waits=LONG_S))
async def wait_of_a_minute(api: Api) -> None:
    """A run sleeps for 66 s behind a wait."""
    thread = await api.create_thread()
    await api.wait(thread, "slow", {"sleep": LONG_S}, patience=LONG_S)


@scenario(Schedule(waits=LONGER_S))
async def run_of_three_minutes(api: Api) -> None:
    """A run sleeps for more than 180 s in the background."""
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": LONGER_S})
    await api.poll_run(thread, run, patience=LONGER_S)
    await api.settle(thread)
    await api.state(thread)


@scenario
async def ends_of_streams(api: Api) -> None:
    """A stream of each end, and the run's status."""

    async def turn(part: Api, graph: str) -> None:
        thread = await part.create_thread()
        sent = await part.stream(thread, graph, {})
        await part.poll_run(thread, sent.run_id)
        await part.read_at_rest(thread)

    await api.each(["steps", "fail", "interrupt"], turn)


@requirement("SCALE-001")
def test_replay_holds_every_event(many_events: Trace) -> None:
    stream = many_events.only("stream")
    if stream.status in (404, 422):
        raise Missing(
            "the target serves no graph `maker`; deploy fixtures/graphs of this version of Runstone"
        )
    if [event.json for event in stream.named("custom")] != list(range(EVENTS)):
        raise Missing(f"{stream.where} does not hold the events of the run")
    got = [event.json for event in many_events.only("replay").named("custom")]
    assert len(got) == EVENTS, f"wanted {EVENTS} events, got {len(got)}"
    assert got == list(range(EVENTS))


@requirement("SCALE-002")
def test_open_answers_hold_up_nobody(many_open_answers: Trace, profile: Profile) -> None:
    trace = many_open_answers
    if trace.before.status != 200:
        raise Missing(f"{trace.before.where} answered {trace.before.status}: it runs no graph")
    assert trace.last("ok_meanwhile").status == 200
    assert trace.last("meanwhile").status == 200
    messages = resolve(profile.wait.values_in(trace.last("meanwhile").object), "/messages")
    assert resolve(messages[-1], "/content") == "meanwhile"
    # It was answered while the others were open: the run that they wait for was still under way.
    assert trace.last("run_meanwhile").object.get("status") == "running"
    assert [each.status for each in trace.all("open") if each.status != 200] == []


@requirement("SCALE-003")
def test_events_come_one_by_one(events_in_time: Trace) -> None:
    ticks = events_in_time.last("stream").named("custom")
    assert len(ticks) == TICKS
    together = _held_back([event.at for event in ticks])
    assert not together, f"events {together} were kept back until the next one came"


@requirement("SCALE-004")
def test_wait_of_a_minute_is_answered(wait_of_a_minute: Trace, profile: Profile) -> None:
    assert resolve(profile.wait.values_in(wait_of_a_minute.wait.object), "/log") == ["a", "b", "c"]


@requirement("SCALE-005")
def test_run_of_three_minutes_is_executed_once(run_of_three_minutes: Trace) -> None:
    trace = run_of_three_minutes
    assert trace.last("poll").object.get("status") == "success"
    assert resolve(trace.state.object, "/values/log") == ["a", "b", "c"]


@requirement("SCALE-006")
@cases("graph", ["steps", "fail", "interrupt"])
def test_end_tells_the_runs_status(graph: str, ends_of_streams: Trace) -> None:
    part = ends_of_streams.part(graph)
    status = part.last("poll").object.get("status")
    for event in part.stream.events:
        if event.event == "end" and event.data.strip() not in ("", "null"):
            told = resolve(event.json, "/status")
            assert told in (None, status), f"wanted the run's status {status}, got {told}"


@requirement("SCALE-007")
@cases("resource, key", [("threads", "thread_id"), ("assistants", "assistant_id")])
def test_long_list_holds_each_once(resource: str, key: str, long_lists: Trace) -> None:
    sent = long_lists.all(f"new_{resource}")
    heard = [each for each in sent if not each.lost]
    if len(heard) < LISTED:
        raise Missing(
            f"{len(heard)} of {LISTED} {resource} were heard to be made: the network cut the others"
        )
    made = {each.object.get(key) for each in heard}
    found = [each.get(key) for page in long_lists.all(resource) for each in page.array]
    assert len(found) == len(set(found)), "a page repeats what an earlier one showed"
    # What the network lost on its way back was made as well.
    unheard = len(set(found) - made)
    count = f"wanted {len(made)} {resource}, got {len(set(found))}"
    assert made <= set(found), count
    assert unheard <= sum(each.lost for each in sent), count
