"""Stream modes: which events each of them sends, with which data, in which order."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    GRAPHS,
    STEPS,
    Api,
    Exchange,
    Trace,
    ask,
    canonical,
    cases,
    conforms,
    has,
    requirement,
    resolve,
    scenario,
    sent,
    shown,
    some,
    stream_grammar,
)

STEPS_MODES = ("values", "updates", "events", "debug", "tasks", "checkpoints")
ECHO_MODES = ("values", "updates", "custom", "messages", "messages-tuple")
SHARED = ("values", "updates", "custom", "messages-tuple")  # modes that are also requested all at once
QUESTION = "is the pump on?"
TICKS = 4
ANSWER = "alpha beta gamma"  # of the graph tokens


@scenario(agent=True)
async def steps_in_each_mode(api: Api) -> None:
    """`steps` by stream, once in each mode."""

    async def turn(part: Api, mode: str) -> None:
        thread = await part.create_thread()
        # Debug events tell of checkpoints, of which a server need not keep one for each step unasked.
        fields: dict[str, Any] = {"durability": "sync"} if mode == "debug" else {}
        await part.stream(thread, "steps", {"note": "seen"}, stream_mode=mode, **fields)
        await part.state(thread)
        await part.history(thread)

    await api.each(STEPS_MODES, turn)


@scenario
async def echo_in_each_mode(api: Api) -> None:
    """`echo` by stream, once in each mode, and once in several at a time."""

    async def turn(part: Api, mode: str) -> None:
        modes = list(SHARED) if mode == "several" else mode
        thread = await part.create_thread()
        await part.stream(thread, "echo", ask("hello"), stream_mode=modes)

    await api.each([*ECHO_MODES, "several"], turn)


@scenario
async def tokens_in_each_mode(api: Api) -> None:
    """`tokens` by stream, in the two modes of messages."""

    async def turn(part: Api, mode: str) -> None:
        thread = await part.create_thread()
        await part.stream(thread, "tokens", ask("spell it"), stream_mode=mode)
        await part.state(thread)

    await api.each(["messages", "messages-tuple"], turn)


@scenario
async def ticks_by_custom(api: Api) -> None:
    """`slow` writes several custom events."""
    thread = await api.create_thread()
    await api.stream(thread, "slow", {"sleep": 0.2, "ticks": TICKS}, stream_mode="custom")


@scenario(agent=True)
async def interrupt_in_each_mode(api: Api) -> None:
    """`interrupt` pauses, seen in the modes values and updates."""

    async def turn(part: Api, mode: str) -> None:
        thread = await part.create_thread()
        await part.stream(thread, "interrupt", {"question": QUESTION}, stream_mode=mode)
        await part.state(thread)

    await api.each(["values", "updates"], turn)


@scenario
async def subgraph_streams(api: Api) -> None:
    """`subgraph` by stream, with and without the events of its child."""

    async def turn(part: Api, which: str) -> None:
        thread = await part.create_thread()
        modes = ["values", "updates"]
        await part.stream(thread, "subgraph", {}, stream_mode=modes, stream_subgraphs=which == "with")
        await part.read_at_rest(thread)

    await api.each(["with", "without"], turn)


@scenario
async def tools_in_each_mode(api: Api) -> None:
    """`tools` by stream in the mode updates, and in the mode tools, which belongs to another protocol."""

    async def turn(part: Api, mode: str) -> None:
        thread = await part.create_thread()
        await part.stream(thread, "tools", ask("Is it warm?"), stream_mode=mode)

    await api.each(["updates", "tools"], turn)


@requirement("MODE-VALUES-001")
def test_values_after_each_superstep(steps_in_each_mode: Trace) -> None:
    turn = steps_in_each_mode.part("values")
    states = [event.json for event in sent(turn.stream, "values")]
    if has(GRAPHS):
        logs = [resolve(state, "/log") or [] for state in states]
        assert logs == [STEPS[:count] for count in range(len(STEPS) + 1)]
        assert [resolve(state, "/note") for state in states] == ["seen"] * len(states)
    assert states[-1] == turn.state.object.get("values")


@requirement("MODE-VALUES-002")
def test_values_show_an_interrupt(interrupt_in_each_mode: Trace) -> None:
    turn = interrupt_in_each_mode.part("values")
    told = [resolve(event.json, "/__interrupt__") for event in turn.stream.named("values")]
    _asks([each for each in told if each], turn.state)


@requirement("MODE-UPDATES-001")
@cases("graph", ["steps", "tools"])
def test_updates_one_per_node(steps_in_each_mode: Trace, tools_in_each_mode: Trace, graph: str) -> None:
    trace = {"steps": steps_in_each_mode, "tools": tools_in_each_mode}[graph]
    updates = [event.json for event in sent(trace.part("updates").stream, "updates")]
    if not has(GRAPHS):
        for update in updates:
            conforms(update, "stream-updates", trace.part("updates").stream)
            nodes = [key for key in _keys(update) if not key.startswith("__")]
            assert len(nodes) == 1, f"wanted the update of one node, got {shown(update)}"
    elif graph == "steps":
        assert updates == [{node: {"log": [node]}} for node in STEPS]
    else:
        assert [_keys(update) for update in updates] == [["agent"], ["tools"], ["agent"]]


@requirement("MODE-UPDATES-002")
def test_updates_show_an_interrupt(interrupt_in_each_mode: Trace) -> None:
    turn = interrupt_in_each_mode.part("updates")
    told = [event.json for event in turn.stream.named("updates") if "__interrupt__" in _keys(event.json)]
    _asks([resolve(each, "/__interrupt__") for each in told], turn.state)
    for each in told:
        conforms(each, "stream-interrupt-update", turn.stream)


@requirement("MODE-MSG-001")
def test_messages_grow(tokens_in_each_mode: Trace, echo_in_each_mode: Trace) -> None:
    streamed = tokens_in_each_mode.part("messages").stream
    partial = [event for event in sent(streamed, "messages/partial") if _is_answer(resolve(event.json, "/0"))]
    texts = [_text(resolve(event.json, "/0")) for event in partial]
    assert texts[-1:] == [ANSWER]
    assert [text for text in texts if not ANSWER.startswith(text)] == []
    assert [len(text) for text in texts] == sorted(len(text) for text in texts)
    whole = echo_in_each_mode.part("messages").stream
    complete = [resolve(event.json, "/0") for event in sent(whole, "messages/complete")]
    assert [_text(message) for message in complete if _is_answer(message)] == ["hello"]
    for stream in (streamed, whole):
        _is_announced_once(stream)


@requirement("MODE-MSG-002")
@cases("graph", ["tokens", "echo"])
def test_message_chunks_concatenate(tokens_in_each_mode: Trace, echo_in_each_mode: Trace, graph: str) -> None:
    trace, text = {"tokens": (tokens_in_each_mode, ANSWER), "echo": (echo_in_each_mode, "hello")}[graph]
    stream = trace.part("messages-tuple").stream
    for event in sent(stream, "messages"):
        conforms(event.json, "stream-message-tuple", stream)
    assert "".join(_text(chunk) for chunk, _ in _answer_chunks(stream)) == text


@requirement("MODE-MSG-003")
def test_message_chunks_say_where_they_come_from(tokens_in_each_mode: Trace) -> None:
    chunks = _answer_chunks(tokens_in_each_mode.part("messages-tuple").stream)
    assert [resolve(metadata, "/langgraph_node") for _, metadata in chunks] == ["speak"] * len(chunks)
    ids = [resolve(chunk, "/id") for chunk, _ in chunks]
    assert isinstance(ids[0], str), f"wanted an id in every chunk, got {ids[0]!r}"
    assert ids == [ids[0]] * len(chunks)


@requirement("MODE-CUSTOM-001")
@cases("graph", ["slow", "echo"])
def test_custom_is_what_was_written(ticks_by_custom: Trace, echo_in_each_mode: Trace, graph: str) -> None:
    ticks: list[dict[str, Any]] = [{"tick": tick} for tick in range(1, TICKS + 1)]
    slow, echo = (ticks_by_custom, ticks), (echo_in_each_mode.part("custom"), [{"echo": "hello"}])
    trace, written = slow if graph == "slow" else echo
    assert [event.json for event in sent(trace.stream, "custom")] == written


@requirement("MODE-EVENTS-001")
def test_events_of_version_2(steps_in_each_mode: Trace) -> None:
    stream = steps_in_each_mode.part("events").stream
    told = [event.json for event in sent(stream, "events")]
    for each in told:
        conforms(each, "stream-events", stream)
    kinds = {each["event"] for each in told}
    assert {"on_chain_start", "on_chain_end"} <= kinds, f"wanted both ends of a chain, got {sorted(kinds)}"


@requirement("MODE-DEBUG-001")
def test_debug_follows_the_history(steps_in_each_mode: Trace) -> None:
    turn = steps_in_each_mode.part("debug")
    told = [event.json for event in sent(turn.stream, "debug")]
    for each in told:
        conforms(each, "stream-debug", turn.stream)
    checkpoints = [_checkpoint_id(each["payload"]) for each in told if each["type"] == "checkpoint"]
    kept = [resolve(state, "/checkpoint/checkpoint_id") for state in reversed(turn.history.array)]
    assert checkpoints == some((each for each in kept if each), "checkpoint in the history")


@requirement("MODE-TASKS-001")
def test_tasks_start_and_end(steps_in_each_mode: Trace) -> None:
    stream = steps_in_each_mode.part("tasks").stream
    told = [event.json for event in sent(stream, "tasks")]
    for each in told:
        conforms(each, "stream-task", stream)
    starts = [each for each in told if "triggers" in each]
    results = [each for each in told if "result" in each]
    if has(GRAPHS):
        assert [each["name"] for each in starts] == STEPS
        assert [resolve(each, "/input/note") for each in starts] == ["seen"] * len(STEPS)
    started, ended = ([(each["id"], each["name"]) for each in half] for half in (starts, results))
    in_order = has(GRAPHS)  # of an agent, tasks of one superstep may end in any order
    assert (ended if in_order else sorted(ended)) == (started if in_order else sorted(started))
    assert len({each["id"] for each in starts}) == len(some(starts, f"start of a task in {stream.where}"))


@requirement("MODE-CKPT-001")
def test_checkpoints_from_input_to_end(steps_in_each_mode: Trace) -> None:
    turn = steps_in_each_mode.part("checkpoints")
    told = [event.json for event in sent(turn.stream, "checkpoints")]
    for each in told:
        conforms(each, "stream-checkpoint", turn.stream)
    steps = len(told) if not has(GRAPHS) else len(STEPS) + 2
    assert [each["metadata"]["step"] for each in told] == list(range(-1, steps - 1))
    assert [bool(each["next"]) for each in told] == [True] * (steps - 1) + [False]
    assert told[-1]["values"] == turn.state.object.get("values")


@requirement("MODE-MULTI-001")
@cases("case", ["several", "subgraphs"])
def test_only_requested_modes(echo_in_each_mode: Trace, subgraph_streams: Trace, case: str) -> None:
    nested = case == "subgraphs"
    stream = subgraph_streams.part("with").stream if nested else echo_in_each_mode.part("several").stream
    modes = ["values", "updates"] if nested else list(SHARED)
    grammar = stream_grammar()
    wanted = {name for mode in modes for name in grammar.modes[mode].events}
    came = {event.mode for event in stream.stream}
    assert came >= wanted, f"wanted {shown(sorted(wanted))}, got {shown(sorted(came))}"
    foreign = [name for name in stream.names if not grammar.is_allowed(name, modes, subgraphs=nested)]
    assert foreign == []


@requirement("MODE-MULTI-002")
@cases("mode", SHARED)
def test_modes_do_not_disturb_each_other(echo_in_each_mode: Trace, mode: str) -> None:
    [name] = stream_grammar().modes[mode].events
    alone = echo_in_each_mode.part(mode).stream.named(name)
    together = echo_in_each_mode.part("several").stream.named(name)
    assert canonical([event.json for event in together]) == canonical([event.json for event in alone])


@requirement("MODE-SUB-001")
def test_subgraph_events_carry_a_namespace(subgraph_streams: Trace) -> None:
    stream = subgraph_streams.part("with").stream
    updates = [event for event in stream.stream if event.mode == "updates"]
    assert [_keys(event.json) for event in updates] == [["c1"], ["c2"], ["child"], ["done"]]
    assert [event.event for event in updates[2:]] == ["updates", "updates"]
    for event in updates[:2]:
        assert stream_grammar().is_allowed(event.event, ["updates"], subgraphs=True), event.event
        assert event.event.partition("|")[2].partition(":")[0] == "child"
    values = {event.event for event in stream.stream if event.mode == "values"}
    assert values == {"values", updates[0].event.replace("updates", "values")}


@requirement("MODE-SUB-002")
def test_no_namespace_unless_requested(subgraph_streams: Trace) -> None:
    stream = subgraph_streams.part("without").stream
    assert [_keys(event.json) for event in stream.named("updates")] == [["child"], ["done"]]
    assert [name for name in stream.names if "|" in name] == []


@requirement("MODE-UNSUP-001")
def test_unknown_mode_is_refused(tools_in_each_mode: Trace) -> None:
    assert tools_in_each_mode.part("updates").stream.named("updates")
    answer = tools_in_each_mode.part("tools").stream
    if answer.status < 400:
        modes = shown(sorted({event.mode for event in answer.stream}))
        assert '"tools"' in modes, f"wanted a 4xx or events of mode tools, got {answer.status} and {modes}"
    else:
        assert answer.status < 500


def _asks(told: list[Any], state: Exchange) -> None:
    """Fail unless the interrupts that the events list are those that the thread's state shows."""
    listed = [resolve(each, "/value") for several in told for each in several]
    if has(GRAPHS):
        assert resolve(state.object, "/next") == ["ask"]
        assert {shown(each) for each in listed} == {shown({"question": QUESTION})}
        return
    tasks = resolve(state.object, "/tasks") or []
    pending = [each for task in tasks for each in resolve(task, "/interrupts") or []]
    asked = [resolve(each, "/value") for each in some(pending, f"interrupt in {state.where}")]
    assert [resolve(each, "/value") for listed in told for each in listed] == asked


def _keys(document: Any) -> list[str]:
    return list(document) if isinstance(document, dict) else []


def _is_answer(message: Any) -> bool:
    """Whether it is a message of the AI or a chunk of one; some servers send the human's too."""
    return str(resolve(message, "/type")) in {"ai", "AIMessage", "AIMessageChunk"}


def _text(message: Any) -> str:
    """The text of a message, whose content is a text or a list of parts."""
    content = resolve(message, "/content")
    parts = content if isinstance(content, list) else [{"text": content}]
    return "".join(str(resolve(part, "/text") or "") for part in parts)


def _answer_chunks(stream: Exchange) -> list[tuple[Any, Any]]:
    """The chunks of the answer, each with its metadata."""
    pairs = [(resolve(event.json, "/0"), resolve(event.json, "/1")) for event in stream.named("messages")]
    return some([pair for pair in pairs if _is_answer(pair[0])], f"chunk of an answer in {stream.where}")


def _is_announced_once(stream: Exchange) -> None:
    """Each message has one `messages/metadata`, and it comes before the first text of the message."""
    announced: list[str] = []
    for event in stream.stream:
        if event.event == "messages/metadata":
            announced += _keys(event.json)
        elif event.mode.startswith("messages/"):
            assert resolve(event.json, "/0/id") in announced
    assert sorted(announced) == sorted(set(announced))


def _checkpoint_id(payload: dict[str, Any]) -> Any:
    """The id of a debug payload's checkpoint: servers give it with its checkpoint or with its config."""
    found = resolve(payload, "/checkpoint/checkpoint_id")
    return found or resolve(payload, "/config/configurable/checkpoint_id")
