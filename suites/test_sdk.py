"""The official clients at work: langgraph_sdk, RemoteGraph and @langchain/langgraph-sdk, unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    begins_run,
    cases,
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

STEPPING: dict[str, Any] = {"assistant": "steps", "input": {"note": "by a client"}}
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
    "wait": {"do": "wait", **STEPPING},
    "stream": {"do": "stream", **STEPPING, "modes": ["values", "updates"]},
    "background": {"do": "background", **STEPPING},
    "join_stream": {"do": "join_stream", **SLEEPING, "modes": ["values", "custom"], "patience": SLEEP_S},
    "cancel": {"do": "cancel", **ENDLESS, "wait": False},
    "cancel_and_wait": {"do": "cancel", **ENDLESS, "wait": True},
    "delete": {"do": "delete", **STEPPING},
    "refused": {"do": "refused", "assistant": UNKNOWN_ASSISTANT},
    "failing_wait": {"do": "wait", **FAILING},
    "interrupt": {"do": "interrupt", **PAUSING},
    "reconnect": RECONNECT,
}

GRAPH_TURNS: dict[str, dict[str, Any]] = {
    "invoke": {"do": "wait", **STEPPING},
    "stream": {"do": "stream", **STEPPING, "modes": ["updates", "values"]},
    "failing": {"do": "wait", **FAILING},
    "interrupt": {"do": "interrupt", **PAUSING},
    "state": {"do": "state", **STEPPING, "values": {"note": "by hand"}, "node": "s3"},
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
    return some(filter(begins_run, turn.exchanges), "request that creates a run")[0]


def _values_of_wait(_turn: Trace, outcome: Turn, profile: Profile) -> None:
    assert profile.wait.values_in(_member(outcome, "values"))["log"] == STEPS
    assert _member(outcome, "status") == "success"


def _listed(turn: Trace, outcome: Turn, _profile: Profile) -> None:
    assert _member(outcome, "listed") == [_creation(turn).run_id]


def _values_of_stream(_turn: Trace, outcome: Turn, _profile: Profile) -> None:
    _ended_well(outcome)
    events = _member(outcome, "events")
    values = [each["data"] for each in events if each["event"] == "values"]
    assert some(values, "event `values`")[-1]["log"] == STEPS
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


def _graph_invokes(outcome: Turn) -> None:
    assert _member(outcome, "values")["log"] == STEPS


def _graph_streams(outcome: Turn) -> None:
    _ended_well(outcome)
    chunks = _handed_on(outcome)
    assert [list(data) for name, data in chunks if name == "updates"] == [["s1"], ["s2"], ["s3"]]
    assert [data["log"] for name, data in chunks if name == "values"][-1:] == [STEPS]


def _graph_raises(outcome: Turn) -> None:
    raised = outcome.get("error")
    assert raised, f"wanted RemoteException raised, got {shown(outcome.get('values'))}"
    assert raised["type"] == "RemoteException", f"wanted RemoteException, got {_shown(raised)}"


def _graph_keeps_state(outcome: Turn) -> None:
    assert _member(outcome, "values") == {"log": STEPS, "note": "by hand"}
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
