"""What the official clients and browsers rely on, asked for by hand: Location, cancel, exposed headers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    ask,
    cases,
    raw,
    requirement,
    scenario,
    shown,
    some,
)

SLEEP_S, TICKS = 1.5, 5
CUT_AFTER = 3  # events: metadata and two ticks
CANCELS = ("cancel", "cancel_and_wait")

SLEEPING: dict[str, Any] = {"sleep": SLEEP_S, "ticks": TICKS}
ENDLESS: dict[str, Any] = {"sleep": 60.0}  # cancelled as soon as it runs


@scenario
async def what_clients_read(api: Api) -> None:
    """What the clients rely on, asked for by hand: where an answer is, and what cancel answers."""

    async def locate(part: Api, name: str) -> None:
        thread = await part.create_thread()
        send = part.wait if name == "wait" else part.stream
        answer = await send(thread, "steps", {}, label="answer")
        await part.read_at_rest(thread)
        location = answer.headers.get("location")
        if location is not None and name == "stream":
            path = urlsplit(location).path.removesuffix("/stream")
            await part.request("GET", path, label="run_of_location")

    async def cancel(part: Api, name: str) -> None:
        thread = await part.create_thread()
        run = await part.create_run(thread, "slow", ENDLESS)
        await part.until_running(thread, run)
        await part.cancel(thread, run, wait="1" if name == "cancel_and_wait" else "0", action="interrupt")
        await part.poll_run(thread, run, label="ended")

    async def turn(part: Api, name: str) -> None:
        await (cancel(part, name) if name.startswith("cancel") else locate(part, name))

    await api.each(["wait", "stream", *CANCELS], turn)


@scenario
async def from_a_browser(api: Api) -> None:
    """The requests of a page of another origin."""
    origin = {"origin": "http://page.example"}
    thread = await api.create_thread()
    await api.wait(thread, "steps", {}, options={"headers": origin})
    await api.read_at_rest(thread)
    await api.request("POST", "/threads/search", json={"limit": 1}, headers=origin, label="search")


@scenario(Schedule(waits=SLEEP_S))
async def turns_of_the_react_hook(api: Api) -> None:
    """The React hook's requests, in its order: a turn, the history, a page left and opened again, a stop."""
    thread = await api.create_thread()
    modes = ["values", "updates", "messages-tuple"]
    await api.stream(thread, "tokens", ask("say it"), stream_mode=modes)
    await api.request("POST", f"/threads/{thread}/history", json={"limit": 10}, label="history")
    left = await api.stream(
        thread,
        "slow",
        SLEEPING,
        stream_mode=["custom"],
        stream_resumable=True,
        label="left",
        options={"close_after_events": CUT_AFTER},
        patience=SLEEP_S,
    )
    run, seen = left.run_id, some((event.id for event in left.stream if event.id), "event id")[-1]
    await api.join_stream(thread, run, last_event_id=seen, label="rejoined", patience=SLEEP_S)
    await api.poll_run(thread, run, patience=SLEEP_S)
    stopped = await api.create_run(thread, "slow", ENDLESS)
    await api.until_running(thread, stopped)
    await api.cancel(thread, stopped, wait="0", action="interrupt")
    await api.poll_run(thread, stopped, label="stopped")


@requirement("SDK-004")
@cases("answer", ["wait", "stream"])
def test_location_is_the_servers_own(what_clients_read: Trace, answer: str) -> None:
    exchange = what_clients_read.part(answer).answer
    assert exchange.ok.run_id
    location = urlsplit(exchange.headers.get("location", ""))
    if location.netloc:
        assert location.netloc == urlsplit(exchange.url).netloc
        assert location.scheme in {"", urlsplit(exchange.url).scheme}


@requirement("SDK-005")
def test_location_leads_to_the_run(what_clients_read: Trace) -> None:
    turn = what_clients_read.part("stream")
    if "location" not in turn.answer.headers:
        raise Missing(f"{turn.answer.where} sends no Location")
    assert turn.run_of_location.status == 200
    run = turn.run_of_location.object
    assert run.get("run_id") == turn.answer.run_id
    assert run.get("status") == "success"


@requirement("SDK-007")
@cases("how", CANCELS)
def test_cancel_body_fits_its_status(what_clients_read: Trace, how: str) -> None:
    turn = what_clients_read.part(how)
    assert turn.last("ended").object.get("status") == "interrupted"
    cancel = turn.cancel.ok
    if cancel.status in {202, 204}:
        assert cancel.text == ""
    else:
        readable = raw(cancel.json) is None or isinstance(cancel.json, (dict, list))
        assert readable, f"wanted an object, an array or null, got {shown(cancel.json)}"


@requirement("SDK-009")
def test_browsers_may_read_the_headers(from_a_browser: Trace) -> None:
    wait, search = from_a_browser.wait, from_a_browser.search
    assert wait.ok.run_id
    assert search.array
    read = ["content-location", *(["location"] if "location" in wait.headers else [])]
    for exchange, names in ((wait, read), (search, ["x-pagination-total"])):
        hidden = [name for name in names if not _exposes(exchange, name)]
        assert not hidden, f"wanted {', '.join(hidden)} exposed too ({exchange.where})"


def _exposes(exchange: Exchange, name: str) -> bool:
    named = exchange.headers.get("access-control-expose-headers", "").lower().split(",")
    return not {name, "*"}.isdisjoint(each.strip() for each in named)


@requirement("SDK-010")
def test_react_hook_is_served(turns_of_the_react_hook: Trace) -> None:
    hook = turns_of_the_react_hook
    modes = {event.mode for event in hook.stream.stream}
    assert {"metadata", "values", "updates", "messages"} <= modes, (
        f"got the events {', '.join(sorted(modes))}"
    )
    states = some(hook.history.array, "state in the history")
    assert states[0]["values"] == hook.stream.named("values")[-1].json
    times = [state["created_at"] for state in states]
    assert times == sorted(times, reverse=True)
    ticks = [event.json["tick"] for event in (*hook.left.named("custom"), *hook.rejoined.named("custom"))]
    assert ticks == list(range(1, TICKS + 1))
    assert hook.cancel.ok
    assert hook.last("stopped").object.get("status") == "interrupted"
