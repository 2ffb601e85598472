"""The thread-centric protocol: commands to a thread, and one stream of events in channels."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    Api,
    Event,
    Exchange,
    Missing,
    Opened,
    Options,
    Schedule,
    Trace,
    canonical,
    cases,
    conforms,
    first_difference,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
)

START, NOBODY_ASKED, RESPOND = 7, 8, 9  # the ids of the commands
UNKNOWN = "no-such-thing"
QUESTION, ANSWER = "open the valve?", "yes"
CHANNELS: dict[str, list[str]] = {
    "steps": ["values", "lifecycle"],
    "fail": ["values", "lifecycle"],
    "interrupt": ["lifecycle", "input"],
    "subgraph": ["values", "lifecycle"],
}
INPUTS: dict[str, dict[str, Any]] = {
    "steps": {"note": "by command"},
    "fail": {"message": "the boiler is cold"},
    "interrupt": {"question": QUESTION},
    "subgraph": {},
}
FILTERS: dict[str, dict[str, Any]] = {
    "events": {},
    "child": {"namespaces": [["child"]]},
    "root": {"namespaces": [[]], "depth": 0},
}
# As a person answers. Official JavaScript tells of a pause half a second late, and of one that was answered
# by then not always the same (docs/divergences.md).
ANSWER_AFTER_S = 1.0
ENDS = {
    "steps": ["begun", "completed"],
    "subgraph": ["begun", "completed"],
    "fail": ["begun", "failed"],
    "interrupt": ["begun", "interrupted", "begun", "completed"],
}
REFUSED_STREAMS: dict[str, Any] = {
    "without_channels": {},
    "no_channel": {"channels": []},
    "unknown_channel": {"channels": [UNKNOWN]},
}
NO_COMMANDS: dict[str, Any] = {"object": {}, "array": [], "without_method": {"id": 3}}

BUSY_S = 20.0  # it is cancelled once the command is answered
# What run.start is given: the graph, further params, and where it shows that they have arrived.
FIELDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "input": ("steps", {"input": {"note": "sent"}}, "/values/note"),
    "configurable": (
        "config",
        {"config": {"configurable": {"note": "sent"}}},
        "/values/seen/configurable/note",
    ),
    "recursion_limit": ("steps", {"config": {"recursion_limit": 2}}, ""),
    "metadata": ("steps", {"metadata": {"note": "sent"}}, ""),
    "multitaskStrategy": ("steps", {"multitaskStrategy": "reject"}, ""),
    "identity": ("config", {}, ""),
    "context": ("config", {"context": {"note": "sent"}}, "/values/seen/context/note"),
}


@scenario(needs=["event_streaming"])
async def runs_by_command(api: Api) -> None:
    """A listener, then a run by command: one that ends, one that fails, one that pauses, one with a child.

    And a run as it is made without the protocol, for comparison.
    """

    async def drive(part: Api, graph: str) -> None:
        if graph == "legacy":
            await part.whole_turn("background", "steps", INPUTS["steps"])
            return
        thread = await part.create_thread()
        over = asyncio.Event()
        opened: list[Opened] = []
        listening: list[asyncio.Task[Exchange]] = []
        for label, narrowing in (FILTERS if graph == "subgraph" else {"events": {}}).items():
            opened.append(asyncio.get_running_loop().create_future())
            options: Options = {"label": label, "opened": opened[-1], **part.until_quiet(over)}
            listener = _listen(part, thread, {"channels": CHANNELS[graph], **narrowing}, options)
            listening.append(asyncio.create_task(listener))
        await asyncio.gather(*opened)
        try:
            await _run(part, thread, graph)
        finally:
            over.set()
        first, *_ = await asyncio.gather(*listening)
        if graph == "steps":
            await _listen_again(part, thread, first)

    await api.each([*CHANNELS, "legacy"], drive)


async def _listen(part: Api, thread: str, body: Any, options: Options) -> Exchange:
    return await part.request("POST", f"/threads/{thread}/stream/events", json=body, **options)


async def _listen_again(part: Api, thread: str, first: Exchange) -> None:
    """Ask for the events after the middle one of those that the first listener heard."""
    since = resolve(_data(first.events[len(first.events) // 2]), "/seq") if first.events else None
    if isinstance(since, int):
        part.note(since=since)
        body = {"channels": CHANNELS["steps"], "since": since}
        await _listen(part, thread, body, {"label": "since", **part.until_quiet()})


async def _command(part: Api, thread: str, number: int, method: str, params: dict[str, Any]) -> Exchange:
    body = {"id": number, "method": method, "params": params}
    return await part.request("POST", f"/threads/{thread}/commands", json=body, label=f"{method} {number}")


async def _run(part: Api, thread: str, graph: str) -> None:
    """Start the run and read what it leaves; nothing raised here, as others listen meanwhile."""
    params = {"assistant_id": part.target.assistant(graph), "input": INPUTS[graph]}
    run = resolve(_data(await _command(part, thread, START, "run.start", params)), "/result/run_id")
    if not isinstance(run, str):
        return
    part.note(run=run)
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.runs(thread, limit=100)
    state = await part.state(thread)
    interrupt = resolve(_data(state), "/tasks/0/interrupts/0/id")
    if graph == "interrupt" and isinstance(interrupt, str):
        part.note(interrupt=interrupt)
        await asyncio.sleep(ANSWER_AFTER_S)
        for number, asked in ((NOBODY_ASKED, UNKNOWN), (RESPOND, interrupt)):
            answer = {"interrupt_id": asked, "namespace": [], "response": ANSWER}
            await _command(part, thread, number, "input.respond", answer)
        await part.until_logged(thread, "after")


def _data(said: Exchange | Event) -> Any:
    """The body or the data, decoded; None where it is not JSON."""
    try:
        return said.json
    except Missing:
        return None


@scenario(needs=["event_streaming"])
async def misformed_commands(api: Api) -> None:
    """Streams without a known channel and commands that are none, on a thread that there is."""
    thread = await api.create_thread()
    for label, body in REFUSED_STREAMS.items():
        await _listen(api, thread, body, {"label": label, **api.until_quiet()})
    await _command(api, thread, START, UNKNOWN, {})
    for label, body in NO_COMMANDS.items():
        await api.request("POST", f"/threads/{thread}/commands", json=body, label=label)


@scenario(Schedule(thorough=True), needs=["commands"])
async def fields_of_run_start(api: Api) -> None:
    """A run by command with each field that it may have, and one on a thread that is busy."""

    async def start(part: Api, field: str) -> None:
        graph, params, _ = FIELDS[field]
        thread = await part.create_thread()
        if field == "multitaskStrategy":
            first = await part.create_run(thread, "slow", {"sleep": BUSY_S})
            await part.until_logged(thread, "a")
        given = {"assistant_id": part.target.assistant(graph), "input": {}, **params}
        run = resolve(_data(await _command(part, thread, START, "run.start", given)), "/result/run_id")
        if field == "multitaskStrategy":
            await part.runs(thread, limit=100)
            await part.cancel(thread, first, wait=True)
        elif isinstance(run, str):
            await part.poll_run(thread, run)
            await part.settle(thread)
            await part.state(thread)

    await api.each(FIELDS, start)


by_graph = cases("graph", CHANNELS)


@requirement("V2-001")
@by_graph
def test_stream_is_of_protocol_events(graph: str, runs_by_command: Trace) -> None:
    stream = runs_by_command.part(graph).events
    for event in stream.stream:
        conforms(event.json, "protocol-event", stream)


@requirement("V2-002")
@cases("channels", REFUSED_STREAMS)
def test_stream_without_a_known_channel_is_refused(
    channels: str, misformed_commands: Trace, runs_by_command: Trace
) -> None:
    assert runs_by_command.part("steps").events.stream
    assert misformed_commands.only(channels).status == 400


@requirement("V2-003")
def test_run_start_answers_the_run(runs_by_command: Trace) -> None:
    part = runs_by_command.part("steps")
    started = part.only(f"run.start {START}")
    assert started.status == 200
    conforms(started.object, "protocol-answer", started)
    assert (started.object["type"], started.object["id"]) == ("success", START)
    assert resolve(started.object, "/result/run_id") == part.last("poll").object.get("run_id")


@requirement("V2-004")
def test_unknown_command_is_an_error(misformed_commands: Trace, runs_by_command: Trace) -> None:
    _insist_on_commands(runs_by_command)
    _assert_error(misformed_commands.only(f"{UNKNOWN} {START}"), START, "unknown_command")
    for label in NO_COMMANDS:
        assert misformed_commands.only(label).status == 400


@requirement("V2-005")
@by_graph
def test_events_are_named_and_numbered(graph: str, runs_by_command: Trace) -> None:
    stream = runs_by_command.part(graph).events.stream
    assert [event.event for event in stream] == [resolve(event.json, "/method") for event in stream]
    numbers = _numbers_of_events(stream)
    assert numbers == sorted(set(numbers)), f"wanted `seq` to ascend, got {shown(numbers)}"
    if graph == "steps":
        part = runs_by_command.part(graph)
        since = part.note("since")
        assert _numbers_of_events(part.since.stream) == [number for number in numbers if number > since]


@requirement("V2-006")
def test_interrupt_is_told_and_answered(runs_by_command: Trace) -> None:
    part = runs_by_command.part("interrupt")
    told = [resolve(event.json, "/params/data") for event in part.events.named("input.requested")]
    assert [resolve(each, "/interrupt_id") for each in told] == [part.note("interrupt")]
    assert resolve(told[0], "/payload") == {"question": QUESTION}
    _assert_error(part.only(f"input.respond {NOBODY_ASKED}"), NOBODY_ASKED, "no_such_interrupt")
    answered = part.only(f"input.respond {RESPOND}").object
    assert (resolve(answered, "/type"), resolve(answered, "/id")) == ("success", RESPOND)
    values = resolve(part.last("watch").object, "/values")
    assert (resolve(values, "/answer"), resolve(values, "/log")) == (ANSWER, ["before", "ask", "after"])


@requirement("V2-007")
@cases("narrowed", ["child", "root"])
def test_namespaces_narrow_the_stream(narrowed: str, runs_by_command: Trace) -> None:
    part = runs_by_command.part("subgraph")
    wanted = [event for event in _in_namespaces(part.events) if _is_in(narrowed, event[0])]
    if len(wanted) in (0, len(part.events.stream)):
        raise Missing(f"{part.events.where} streamed nothing that could be narrowed")
    assert _in_namespaces(part.only(narrowed)) == wanted


@requirement("V2-009")
def test_run_by_command_is_a_run_as_any_other(runs_by_command: Trace) -> None:
    part, legacy = runs_by_command.part("steps"), runs_by_command.part("legacy")
    assert [resolve(run, "/run_id") for run in part.runs.array] == [part.note("run")]
    assert part.last("poll").object.get("status") == legacy.last("poll").object.get("status")
    values = resolve(legacy.state.object, "/values")
    if not values:
        raise Missing(f"{legacy.state.where} shows no values to compare with")
    difference = first_difference(canonical(values), canonical(resolve(part.state.object, "/values")))
    assert difference is None, f"wanted the values of a run made by POST …/runs: {difference}"


@requirement("V2-010")
@cases("graph", ENDS)
def test_lifecycle_tells_how_the_run_goes(graph: str, runs_by_command: Trace) -> None:
    told = [
        resolve(event.json, "/params/data/event")
        for event in runs_by_command.part(graph).events.named("lifecycle")
        if resolve(event.json, "/params/namespace") == []
    ]
    begun = ["begun" if each in {"started", "running"} else each for each in told]
    assert [each for each, before in zip(begun, [None, *begun], strict=False) if each != before] == ENDS[
        graph
    ]


@requirement("V2-011")
@cases(
    "field",
    [*(each for each in FIELDS if each not in ("identity", "context")), row("identity", needs=["auth"])],
)
def test_run_start_honours_its_fields(field: str, fields_of_run_start: Trace) -> None:
    part = fields_of_run_start.part(field)
    if field == "multitaskStrategy":
        created = part.create_run.ok.run_id
        assert [resolve(run, "/run_id") for run in some(part.runs.array, "run of the thread")] == [created]
        assert part.only(f"run.start {START}").object.get("type") == "error"
        return
    run = part.last("poll").ok.object
    if field == "recursion_limit":
        assert run.get("status") == "error", (
            f"wanted a run that its limit ends, got {shown(run.get('status'))}"
        )
    elif field == "metadata":
        assert resolve(run, "/metadata/note") == "sent"
    elif field == "identity":
        seen = resolve(part.state.object, "/values/seen/configurable/langgraph_auth_user_id")
        assert isinstance(seen, str), f"wanted the name of the caller, got {shown(seen)}"
    else:
        _assert_arrived(part, field)


@requirement("V2-012")
def test_run_start_honours_context(fields_of_run_start: Trace) -> None:
    _assert_arrived(fields_of_run_start.part("context"), "context")


def _assert_arrived(part: Trace, field: str) -> None:
    seen = resolve(part.state.ok.object, FIELDS[field][2])
    assert seen == "sent", f"wanted the {field} of run.start in the graph, got {shown(seen)}"


def _insist_on_commands(trace: Trace) -> None:
    """Raises Missing when no command was carried out: an error then says nothing about the command."""
    started = trace.part("steps").only(f"run.start {START}")
    if resolve(started.object, "/type") != "success":
        raise Missing(f"{started.where} carried out no command: {shown(started.object)}")


def _assert_error(answer: Exchange, number: int, error: str) -> None:
    assert answer.status == 200
    conforms(answer.object, "protocol-answer", answer)
    assert (answer.object["type"], answer.object["id"], answer.object.get("error")) == (
        "error",
        number,
        error,
    )
    assert answer.object["message"].strip(), "wanted a message, got an empty one"


def _numbers_of_events(stream: list[Event]) -> list[int]:
    numbers = some((resolve(event.json, "/seq") for event in stream), "event")
    if not all(isinstance(number, int) for number in numbers):
        raise Missing(f"events carry no numbers: {shown(numbers)}")
    return numbers


def _in_namespaces(exchange: Exchange) -> list[tuple[Any, Any, Any]]:
    """Namespace, method and data of each event, in order."""
    members = ("/params/namespace", "/method", "/params/data")
    return [tuple(resolve(event.json, each) for each in members) for event in exchange.stream]


def _is_in(narrowed: str, namespace: Any) -> bool:
    """Whether a namespace is the root's, or one of the child's, whose name may carry a task id after `:`."""
    if not isinstance(namespace, list):
        return False
    if narrowed == "root":
        return namespace == []
    return bool(namespace) and str(namespace[0]).partition(":")[0] == "child"
