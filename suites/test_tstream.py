"""GET /threads/{thread_id}/stream: one stream for all runs and updates of a thread."""

from __future__ import annotations

import asyncio

from runstone.suite import (
    Api,
    Blocked,
    Event,
    Exchange,
    Missing,
    Opened,
    Options,
    Schedule,
    Trace,
    cases,
    requirement,
    resolve,
    scenario,
    shown,
)

MODES = {"runs": None, "lifecycle": "lifecycle", "state_update": "state_update"}
NOTES = ("first", "second")  # of the two runs
UPDATES = ("updated", "updated again")
NO_EVENT_ID = "no-event-id"


@scenario(Schedule(waits=3.0, thorough=True), needs=["thread_stream"])
async def thread_watched(api: Api) -> None:
    """Three clients watch a thread on which two runs end and the state is updated twice; then one returns."""
    thread = await api.create_thread()
    over = asyncio.Event()
    opened: list[Opened] = []
    watching: list[asyncio.Task[Exchange]] = []
    for label, mode in MODES.items():
        opened.append(asyncio.get_running_loop().create_future())
        options: Options = {"label": label, "opened": opened[-1], **api.until_quiet(over)}
        watching.append(asyncio.create_task(_watch(api, thread, mode, options)))
    await asyncio.gather(*opened)
    runs = []
    try:
        for note, update in zip(NOTES, UPDATES, strict=True):
            answer = await api.wait(thread, "steps", {"note": note}, stream_resumable=True)
            runs.append(answer.found_run_id)
            await api.update_state(thread, values={"note": update}, as_node="s3")
    finally:
        over.set()
    api.note(runs=runs)
    feed, *_ = await asyncio.gather(*watching)
    await _return(api, thread, feed, runs[1])


async def _watch(
    api: Api, thread: str, mode: str | None, options: Options, last_event_id: str | None = None
) -> Exchange:
    if last_event_id is not None:
        options["headers"] = {"last-event-id": last_event_id}
    params = {} if mode is None else {"stream_modes": mode}
    return await api.request("GET", f"/threads/{thread}/stream", params=params, **options)


async def _return(api: Api, thread: str, feed: Exchange, second_run: str | None) -> None:
    """Come back with the id of the event after which the second run began, with "-", and with none."""
    starts = _start_of(second_run, feed.events)
    if starts is None or starts == 0:
        raise Blocked(f"{feed.where} shows no event before the second run's first")
    last = feed.events[starts - 1].id
    if last is None:
        raise Blocked(f"{feed.where} gives its events no ids to return with")
    api.note(starts=starts)
    ids = {"resumed": last, "replayed": "-", "misformed": NO_EVENT_ID}
    await asyncio.gather(
        *(
            _watch(api, thread, None, {"label": label, **api.until_quiet()}, last_event_id)
            for label, last_event_id in ids.items()
        )
    )


def _start_of(run: str | None, events: tuple[Event, ...]) -> int | None:
    return next((at for at, event in enumerate(events) if run is not None and run in event.data), None)


def _names_and_data(events: list[Event] | tuple[Event, ...]) -> list[tuple[str, str]]:
    return [(event.event, event.data) for event in events]


@requirement("TSTREAM-001")
def test_stream_tells_all_runs_and_stays_open(thread_watched: Trace) -> None:
    feed = thread_watched.runs
    notes = [resolve(event.json, "/note") for event in feed.named("values")]
    assert [note for note in dict.fromkeys(notes) if note in NOTES] == list(NOTES)
    assert feed.closed_by_client, "wanted a stream that stays open, got one that the server ended"


@requirement("TSTREAM-002")
def test_lifecycle_tells_start_and_end_of_each_run(thread_watched: Trace) -> None:
    told = [(event.event, event.json) for event in thread_watched.lifecycle.stream]
    seen = [(name, resolve(data, "/run_id"), resolve(data, "/status")) for name, data in told]
    runs = thread_watched.note("runs")
    assert [answer.where for answer in thread_watched.all("wait") if not answer.ok.complete] == []
    assert seen == [("metadata", run, status) for run in runs for status in (None, "run_done")]


@requirement("TSTREAM-003")
def test_each_state_update_is_told(thread_watched: Trace) -> None:
    assert [answer.where for answer in thread_watched.all("update_state") if not answer.ok.complete] == []
    told = thread_watched.state_update.named("state_update")
    for update in UPDATES:
        found = any(f'"{update}"' in event.data for event in told)
        assert found, f"wanted the update to {update!r}, got {shown([event.json for event in told])}"


@requirement("TSTREAM-004")
@cases("last_event_id", ["resumed", "replayed", "misformed"])
def test_last_event_id_says_where_to_go_on(last_event_id: str, thread_watched: Trace) -> None:
    feed, starts = thread_watched.runs.stream, thread_watched.note("starts")
    again = thread_watched.only(last_event_id)
    if last_event_id == "misformed":
        assert thread_watched.replayed.stream
        assert again.status == 422
        return
    wanted = _names_and_data(feed[starts:] if last_event_id == "resumed" else feed)
    if not wanted:
        raise Missing("the second run streamed no event that could be sent again")
    assert _names_and_data(again.stream) == wanted
