"""The official clients at work: langgraph_sdk, RemoteGraph and @langchain/langgraph-sdk, unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    ask,
    cases,
    raw,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
    view,
)

CLIENTS_START_S = 6.0  # what an interpreter, its imports and the first back-off of a reconnect take together
SLEEP_S, TICKS = 1.5, 5
CUT_AFTER = 3  # events: metadata and two ticks; the third tick is 0.3 s away, so that no two share an id
QUESTION = "open the valve?"
ANSWER = "yes"
UNKNOWN_ASSISTANT = "no-such-assistant"
CANCELS = ("cancel", "cancel_and_wait")

STEPS: dict[str, Any] = {"assistant": "steps", "input": {"note": "by a client"}}
FAILING: dict[str, Any] = {"assistant": "fail", "input": {"message": "the boiler is cold"}}
PAUSING: dict[str, Any] = {"assistant": "interrupt", "input": {"question": QUESTION}, "answer": ANSWER}
SLEEPING: dict[str, Any] = {"assistant": "slow", "input": {"sleep": SLEEP_S, "ticks": TICKS}}
ENDLESS: dict[str, Any] = {"assistant": "slow", "input": {"sleep": 60.0}}  # cancelled as soon as it runs

RECONNECT: dict[str, Any] = {
    "do": "stream",
    **SLEEPING,
    "modes": ["custom"],
    "resumable": True,
    "cut_after_events": CUT_AFTER,
    "patience": SLEEP_S + 2.0,  # the clients wait up to 2 s before they reconnect
}

SDK_TURNS: dict[str, dict[str, Any]] = {
    "wait": {"do": "wait", **STEPS},
    "stream": {"do": "stream", **STEPS, "modes": ["values", "updates"]},
    "background": {"do": "background", **STEPS},
    "join_stream": {"do": "join_stream", **SLEEPING, "modes": ["values", "custom"], "patience": SLEEP_S},
    "cancel": {"do": "cancel", **ENDLESS, "wait": False},
    "cancel_and_wait": {"do": "cancel", **ENDLESS, "wait": True},
    "delete": {"do": "delete", **STEPS},
    "refused": {"do": "refused", "assistant": UNKNOWN_ASSISTANT},
    "failing_wait": {"do": "wait", **FAILING},
    "interrupt": {"do": "interrupt", **PAUSING},
    "reconnect": RECONNECT,
}

GRAPH_TURNS: dict[str, dict[str, Any]] = {
    "invoke": {"do": "wait", **STEPS},
    "stream": {"do": "stream", **STEPS, "modes": ["updates", "values"]},
    "failing": {"do": "wait", **FAILING},
    "interrupt": {"do": "interrupt", **PAUSING},
    "state": {"do": "state", **STEPS, "values": {"note": "by hand"}, "node": "s3"},
    "graph": {"do": "graph", "assistant": "steps"},
    "reconnect": RECONNECT,
}


async def _hold(api: Api, client: str, turns: dict[str, dict[str, Any]]) -> None:
    """Every turn at once, each a part of its own."""
    async with api.client(client) as at_work:
        await asyncio.gather(*(at_work.turn(name, **_long_enough(api, turn)) for name, turn in turns.items()))


def _long_enough(api: Api, turn: dict[str, Any]) -> dict[str, Any]:
    """The turn with a sleep that is still going on when the client joins it."""
    if turn.get("input") != SLEEPING["input"]:
        return turn
    sleep = api.with_slack(SLEEP_S)
    return {**turn, "input": {"sleep": sleep, "ticks": TICKS}, "patience": turn["patience"] + sleep - SLEEP_S}


@scenario(Schedule(waits=CLIENTS_START_S, heavy=True), needs=["python_sdk"])
async def turns_by_python_sdk(api: Api) -> None:
    """Every kind of turn by langgraph_sdk."""
    await _hold(api, "python_sdk", SDK_TURNS)


@scenario(Schedule(waits=CLIENTS_START_S, heavy=True), needs=["python_sdk"])
async def turns_by_remote_graph(api: Api) -> None:
    """Every kind of turn by RemoteGraph."""
    await _hold(api, "remote_graph", GRAPH_TURNS)


@scenario(Schedule(waits=CLIENTS_START_S, heavy=True), needs=["node_sdk"])
async def turns_by_node_sdk(api: Api) -> None:
    """Every kind of turn by @langchain/langgraph-sdk."""
    await _hold(api, "node_sdk", SDK_TURNS)


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
        run = await part.create_run(thread, "slow", ENDLESS["input"])
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
        SLEEPING["input"],
        stream_mode=["custom"],
        stream_resumable=True,
        label="left",
        options={"close_after_events": CUT_AFTER},
        patience=SLEEP_S,
    )
    run, seen = left.run_id, some((event.id for event in left.stream if event.id), "event id")[-1]
    await api.join_stream(thread, run, last_event_id=seen, label="rejoined", patience=SLEEP_S)
    await api.poll_run(thread, run, patience=SLEEP_S)
    stopped = await api.create_run(thread, "slow", ENDLESS["input"])
    await api.until_running(thread, stopped)
    await api.cancel(thread, stopped, wait="0", action="interrupt")
    await api.poll_run(thread, stopped, label="stopped")


PYTHON = row("python_sdk", needs=["python_sdk"])
REMOTE_GRAPH = row("remote_graph", needs=["python_sdk"])
NODE = row("node_sdk", needs=["node_sdk"])
by_sdk = cases("client", [PYTHON, NODE])
by_client = cases("client", [PYTHON, REMOTE_GRAPH, NODE])


@view
def taken(
    client: str, turns_by_python_sdk: Trace, turns_by_remote_graph: Trace, turns_by_node_sdk: Trace
) -> Trace:
    """The turns of the client that the case is about."""
    traces = {
        "python_sdk": turns_by_python_sdk,
        "remote_graph": turns_by_remote_graph,
        "node_sdk": turns_by_node_sdk,
    }
    return traces[client]


Turn = dict[str, Any]  # an outcome, as fixtures/clients/README.md describes it
Check = Callable[[Trace, Turn, Profile], None]


def _outcome(taken: Trace, turn: str) -> Turn:
    """What the client made of a turn, in which the target answered anything well."""
    part = taken.part(turn)
    some([each for each in part.exchanges if each.answered and 200 <= each.status < 300], "2xx answer in it")
    outcome: Turn = part.note("outcome")
    return outcome


def _member(outcome: Turn, name: str) -> Any:
    """A member of the outcome; what the client raised instead is the finding."""
    raised = outcome.get("error")
    assert name in outcome, f"wanted {name}, but the client raised {_shown(raised)}"
    return outcome[name]


def _shown(raised: Any) -> str:
    return f"{raised['type']}: {raised['message']}" if raised else "nothing"


def _ended_well(outcome: Turn) -> None:
    assert "error" not in outcome, f"the client raised {_shown(outcome['error'])}"


def _creation(turn: Trace) -> Exchange:
    """The request of a turn that created its run."""
    paths = ("/runs", "/runs/wait", "/runs/stream")
    found = [each for each in turn.exchanges if each.method == "POST" and each.path.endswith(paths)]
    return some(found, "request that creates a run")[0]


def _values_of_wait(_turn: Trace, outcome: Turn, profile: Profile) -> None:
    assert profile.wait.values_in(_member(outcome, "values"))["log"] == ["s1", "s2", "s3"]
    assert _member(outcome, "status") == "success"


def _listed(turn: Trace, outcome: Turn, _profile: Profile) -> None:
    assert _member(outcome, "listed") == [_creation(turn).run_id]


def _values_of_stream(_turn: Trace, outcome: Turn, _profile: Profile) -> None:
    _ended_well(outcome)
    events = _member(outcome, "events")
    values = [each["data"] for each in events if each["event"] == "values"]
    assert some(values, "event `values`")[-1]["log"] == ["s1", "s2", "s3"]
    assert [list(each["data"]) for each in events if each["event"] == "updates"] == [["s1"], ["s2"], ["s3"]]


def _values_of_join_stream(_turn: Trace, outcome: Turn, _profile: Profile) -> None:
    assert _member(outcome, "status") == "success"
    values = [each["data"] for each in outcome["events"] if each["event"] == "values"]
    assert some(values, "event `values`")[-1]["log"] == ["a", "b", "c"]


def _cancelled(_turn: Trace, outcome: Turn, _profile: Profile) -> None:
    assert _member(outcome, "status") == "interrupted"


def _deleted(_turn: Trace, outcome: Turn, _profile: Profile) -> None:
    assert _member(outcome, "deleted")
    assert _raised_status(outcome) == 404


def _refused(_turn: Trace, outcome: Turn, _profile: Profile) -> None:
    assert _member(outcome, "thread_id")  # a server that refuses everything has refused the thread too
    assert _raised_status(outcome) in {404, 422}


OPERATIONS: dict[str, tuple[str, Check]] = {
    "create_and_wait": ("wait", _values_of_wait),
    "list": ("wait", _listed),
    "stream": ("stream", _values_of_stream),
    "create_and_join": ("background", _values_of_wait),
    "join_stream": ("join_stream", _values_of_join_stream),
    "cancel": ("cancel", _cancelled),
    "cancel_and_wait": ("cancel_and_wait", _cancelled),
    "delete": ("delete", _deleted),
    "refused": ("refused", _refused),
}


def _raised_status(outcome: Turn) -> int:
    """The HTTP status that the client's own typed error carries."""
    raised = outcome.get("error")
    assert raised, "wanted an error, but the client raised none"
    assert "status" in raised, f"wanted the client's own HTTP error, but it raised {_shown(raised)}"
    status: int = raised["status"]
    return status


@requirement("SDK-001")
@cases("operation", OPERATIONS)
@by_sdk
def test_clients_work(taken: Trace, operation: str, profile: Profile) -> None:
    turn, check = OPERATIONS[operation]
    check(taken.part(turn), _outcome(taken, turn), profile)


@requirement("SDK-002")
@by_sdk
def test_wait_raises(taken: Trace) -> None:
    _ended_well(_outcome(taken, "wait"))
    failing = taken.part("failing_wait")
    assert _creation(failing).ok.run_id  # it is the failed run that makes the client raise, not a refusal
    outcome = _outcome(taken, "failing_wait")
    assert outcome.get("error", {}).get("message"), f"wanted an error, got {shown(outcome.get('values'))}"
    assert "values" not in outcome


@requirement("SDK-003")
@cases("turn", ["wait", "stream", "background"])
@by_sdk
def test_clients_tell_the_ids(taken: Trace, turn: str) -> None:
    outcome = _outcome(taken, turn)
    wanted = {
        "run_id": _creation(taken.part(turn)).run_id,
        "thread_id": _member(outcome, "thread_id"),
    }
    assert _member(outcome, "created") == [wanted]


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


@requirement("SDK-006")
@by_client
def test_reconnects_without_loss(taken: Trace) -> None:
    turn = taken.part("reconnect")
    streams = [each for each in turn.exchanges if each.path.partition("?")[0].endswith("/stream")]
    cut, *later = some(streams, "request for the stream")
    if not cut.closed_by_client:
        raise Missing(f"{cut.where} ended before it could be cut: {', '.join(cut.names) or cut.failure}")
    last_seen = some(cut.events, f"event in {cut.where}")[-1].id
    assert last_seen, f"wanted an id on every event of a resumable stream, got none ({cut.where})"
    asked = [value for each in later for name, value in each.request_headers if name == "last-event-id"]
    assert last_seen in asked, f"wanted a reconnect with Last-Event-ID {last_seen}, got {asked or 'none'}"
    outcome = _outcome(taken, "reconnect")
    _ended_well(outcome)
    ticks = [data["tick"] for name, data in _handed_on(outcome) if name == "custom"]
    assert ticks == list(range(1, TICKS + 1))


def _handed_on(outcome: Turn) -> list[tuple[str, Any]]:
    """(name, data) of every event that the client handed on."""
    if "chunks" in outcome:
        return [(chunk[0], chunk[1]) for chunk in outcome["chunks"]]
    return [(each["event"], each["data"]) for each in _member(outcome, "events")]


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


def _graph_invokes(outcome: Turn) -> None:
    assert _member(outcome, "values")["log"] == ["s1", "s2", "s3"]


def _graph_streams(outcome: Turn) -> None:
    _ended_well(outcome)
    chunks = _handed_on(outcome)
    assert [list(data) for name, data in chunks if name == "updates"] == [["s1"], ["s2"], ["s3"]]
    assert [data["log"] for name, data in chunks if name == "values"][-1:] == [["s1", "s2", "s3"]]


def _graph_raises(outcome: Turn) -> None:
    raised = outcome.get("error")
    assert raised, f"wanted RemoteException raised, got {shown(outcome.get('values'))}"
    assert raised["type"] == "RemoteException", f"wanted RemoteException, got {_shown(raised)}"


def _graph_keeps_state(outcome: Turn) -> None:
    assert _member(outcome, "values") == {"log": ["s1", "s2", "s3"], "note": "by hand"}
    assert outcome["next"] == []


def _graph_is_drawn(outcome: Turn) -> None:
    assert {"s1", "s2", "s3"} <= set(_member(outcome, "nodes")), f"got nodes {outcome['nodes']}"


GRAPH_CHECKS: dict[str, Callable[[Turn], None]] = {
    "invoke": _graph_invokes,
    "stream": _graph_streams,
    "failing": _graph_raises,
    "state": _graph_keeps_state,
    "graph": _graph_is_drawn,
}


@requirement("SDK-008")
@cases("turn", GRAPH_CHECKS)
def test_remote_graph_is_like_a_local_one(turns_by_remote_graph: Trace, turn: str) -> None:
    GRAPH_CHECKS[turn](_outcome(turns_by_remote_graph, turn))


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


@requirement("SDK-011")
@by_client
def test_clients_resume_an_interrupt(taken: Trace, client: str, profile: Profile) -> None:
    outcome = _outcome(taken, "interrupt")
    paused = _member(outcome, "paused")
    shown = paused.get("__interrupt__") if client == "remote_graph" else profile.wait.interrupts_in(paused)
    values = [each["value"] for each in some(shown or [], "interrupt in what the client was given")]
    assert values == [{"question": QUESTION}]
    assert _member(outcome, "interrupts") == [{"question": QUESTION}]
    resumed = _member(outcome, "values")
    resumed = resumed if client == "remote_graph" else profile.wait.values_in(resumed)
    assert resolve(resumed, "/answer") == ANSWER
    assert resolve(resumed, "/log") == ["before", "ask", "after"]
