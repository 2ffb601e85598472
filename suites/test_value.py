"""Values: what is sent arrives as it is, and the same in every place that shows it.

The kinds of values and the places are data (contracts/cases/values.yaml). A scenario sends a document of all
kinds on each journey; where a server refuses it as a whole, one kind after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from runstone.suite import (
    ABSENT,
    Api,
    Blocked,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    cases,
    first_difference,
    lifecycle,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
    value_table,
)

TABLE = value_table()
KINDS = {name: kind.made() for name, kind in TABLE.kinds.items()}
WHOLE = "whole"
ALL_MODES = ["values", "updates", "custom", "tasks", "checkpoints"]
LONG = {"64 KiB": 64 * 1024, "300 KiB": 300 * 1024, "2 MB": 2_000_000}
# One message of each kind with all that it may carry, and where each field stands in it.
MESSAGES: list[dict[str, Any]] = [
    {
        "type": "human",
        "id": "asked",
        "name": "ada",
        "content": [
            {"type": "text", "text": "What is on it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        ],
        "additional_kwargs": {"seen": {"at": [1, None]}},
        "response_metadata": {"channel": "app"},
    },
    {
        "type": "ai",
        "id": "called",
        "name": "bob",
        "content": [{"type": "text", "text": "Let me look."}],
        "tool_calls": [
            {
                "name": "lookup",
                "args": {"query": {"deep": [1, {"none": None}]}},
                "id": "call_1",
                "type": "tool_call",
            }
        ],
        "additional_kwargs": {"reasoning": "because"},
        "response_metadata": {"model_name": "m", "finish_reason": "tool_calls"},
    },
    {"type": "tool", "id": "found", "name": "lookup", "tool_call_id": "call_1", "content": "found"},
    {"type": "system", "id": "told", "name": "sys", "content": "Be kind."},
    {"type": "human", "id": "last", "content": "And now?"},
]
FIELDS = {
    "id": "/id",
    "name": "/name",
    "text": "/content/0",
    "image_url": "/content/1",
    "tool_calls": "/tool_calls",
    "tool_call_id": "/tool_call_id",
    "additional_kwargs": "/additional_kwargs",
    "response_metadata": "/response_metadata",
}
MADE = ("date", "uuid", "set", "bytes", "decimal", "object", "model", "nan")
READINGS = ("wait", "thread", "state", "history", "search")
OLD = "the target serves no graph `maker`; deploy fixtures/graphs of this version of Runstone"

by_kind = cases("kind", KINDS)


async def _carry(api: Api, send: Callable[[Api, dict[str, Any]], Awaitable[Exchange]]) -> None:
    """Send a document of all kinds; where that is refused, one of each kind, in a part of its own."""
    sent: list[Exchange] = []

    async def one(part: Api, name: str) -> None:
        document = KINDS if name == WHOLE else {name: KINDS[name]}
        sent.append(await send(part, document))

    await api.each([WHOLE], one)
    if not sent or _refused(sent[0]):
        await api.each(KINDS, one)


def _refused(answer: Exchange) -> bool:
    return answer.code is not None and 400 <= answer.code < 500


@scenario
async def values_of_an_input(api: Api) -> None:
    """The document is the `note` of `steps`, by stream, then by wait and without a thread."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        thread = await part.create_thread()
        sent = await part.stream(
            thread,
            "steps",
            {"note": document},
            stream_mode=ALL_MODES,
            stream_resumable=True,
            durability="exit",
        )
        if not _refused(sent):
            await _read_again(part, thread, sent)
            await part.wait(thread, "steps", {"note": document})
            await part.wait(None, "steps", {"note": document}, label="stateless_wait")
        return sent

    await _carry(api, send)


async def _read_again(part: Api, thread: str, sent: Exchange) -> None:
    run = sent.found_run_id
    if run is None:
        raise Blocked(f"{sent.where} names no run")
    await part.poll_run(thread, run)
    await part.settle(thread)
    state = await part.state(thread)
    checkpoint = resolve(state.object, "/checkpoint/checkpoint_id")
    await part.request("GET", f"/threads/{thread}/state/{checkpoint}", label="state_at")
    await part.thread(thread)
    await part.search_threads(ids=[thread], label="search")
    await part.history(thread, limit=1)
    await part.join(thread, run)
    await part.join_stream(thread, run, last_event_id="-1", label="replay")


@scenario
async def values_of_a_node(api: Api) -> None:
    """`maker` returns the document and emits it, then emits each value by itself."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        thread = await part.create_thread()
        given = {"given": document, "writes": [*document.values(), document]}
        sent = await part.stream(thread, "maker", given, stream_mode=["values", "updates", "custom"])
        if not _refused(sent):
            await part.settle(thread)
            await part.state(thread)
            await part.wait(None, "maker", {"given": document})
        return sent

    await _carry(api, send)


@scenario
async def values_of_an_interrupt(api: Api) -> None:
    """`interrupt` asks with the document, and is answered with it."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        thread = await part.create_thread()
        sent = await part.wait(thread, "interrupt", {"question": document})
        if not _refused(sent):
            await part.settle(thread)
            await part.state(thread)
            await part.wait(thread, "interrupt", command={"resume": document}, label="resumed")
            await part.settle(thread)
            await part.state(thread, label="state_resumed")
        return sent

    await _carry(api, send)


@scenario
async def values_of_an_update(api: Api) -> None:
    """The document is written to the state of `steps` from outside, and by a command that goes to a node."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        thread = await part.create_thread()
        await part.wait(thread, "steps", {"note": "before"}, label="first")
        await part.settle(thread)
        sent = await part.update_state(thread, values={"note": document}, as_node="s2")
        if not _refused(sent):
            await part.state(thread)
            await part.history(thread, limit=1)
            command = {"update": {"note": document}, "goto": "s3"}
            await part.wait(thread, "steps", command=command, label="commanded")
        return sent

    await _carry(api, send)


@scenario
async def values_of_metadata(api: Api) -> None:
    """The document is metadata of a thread, by creation and by a change, of a run and of an assistant."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        tag = new_id()
        metadata = {"document": document, "tag": tag}
        created = await part.request("POST", "/threads", json={"metadata": metadata}, label="created_thread")
        if _refused(created):
            return created
        thread = str(created.object["thread_id"])
        await part.thread(thread)
        patch = {"metadata": {"patched": document}}
        await part.request("PATCH", f"/threads/{thread}", json=patch, label="patched_thread")
        await part.search_threads(metadata={"tag": tag}, label="search")
        run = await part.create_run(thread, "steps", {}, metadata=metadata)
        await part.poll_run(thread, run)
        await part.run(thread, run)
        await part.runs(thread, limit=1)
        await _assistant(part, {"metadata": metadata})
        return created

    await _carry(api, send)


async def _assistant(part: Api, fields: dict[str, Any]) -> str:
    body = {"graph_id": "config", **fields}
    made = await part.request("POST", "/assistants", json=body, label="new_assistant")
    assistant = made.object.get("assistant_id")
    await part.request("GET", f"/assistants/{assistant}", label="assistant")
    await part.request("POST", f"/assistants/{assistant}/versions", json={"limit": 1}, label="versions")
    return str(assistant)


@scenario
async def values_of_a_configuration(api: Api) -> None:
    """`config` shows the document, sent as a configurable value and as context; an assistant keeps both."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        config = {"configurable": {"document": document}}
        sent = await part.wait(None, "config", {}, config=config, label="configurable")
        if _refused(sent):
            return sent
        await part.wait(None, "config", {}, context={"document": document}, label="context")
        for name, fields in (
            ("assistant_config", {"config": config}),
            ("assistant_context", {"context": {"document": document}}),
        ):
            made = await part.request(
                "POST", "/assistants", json={"graph_id": "config", **fields}, label=f"new_{name}"
            )
            assistant = made.object.get("assistant_id")
            await part.request("GET", f"/assistants/{assistant}", label=name)
        return sent

    await _carry(api, send)


@scenario(needs=["store"])
async def values_of_an_item(api: Api) -> None:
    """The document is an item's, written and read by HTTP and read by the graph `memory`."""

    async def send(part: Api, document: dict[str, Any]) -> Exchange:
        namespace = ["runstone", new_id()]
        item = {"namespace": namespace, "key": "document"}
        sent = await part.request(
            "PUT", "/store/items", json={**item, "value": {"document": document}}, label="put"
        )
        if not _refused(sent):
            query = {"namespace": ".".join(namespace), "key": "document"}
            await part.request("GET", "/store/items", params=query, label="item")
            search = {"namespace_prefix": namespace}
            await part.request("POST", "/store/items/search", json=search, label="search")
            await part.wait(None, "memory", {"op": "get", **item}, label="found")
        return sent

    await _carry(api, send)


@scenario(needs=["webhooks"])
async def values_of_a_webhook(api: Api) -> None:
    """The document is in the final values of a run with a webhook."""
    async with api.webhook_sink() as sink:

        async def send(part: Api, document: dict[str, Any]) -> Exchange:
            url = sink.address(WHOLE if document is KINDS else next(iter(document)))
            thread = await part.create_thread()
            sent = await part.send_run(thread, "steps", {"note": document}, webhook=url)
            if not _refused(sent):
                await sink.delivered(url)
            return sent

        await _carry(api, send)


@scenario(Schedule(heavy=True))
async def long_texts(api: Api) -> None:
    """`functional` returns the text; without a thread, as each list of states would repeat it."""

    async def send(part: Api, name: str) -> None:
        text = _long(name)
        await part.stream(None, "functional", {"note": text}, stream_mode="updates", durability="exit")

    await api.each(LONG, send)


@scenario
async def whole_messages(api: Api) -> None:
    """`echo` is sent messages that carry all that messages can."""
    thread = await api.create_thread()
    await api.stream(thread, "echo", {"messages": MESSAGES})
    await api.settle(thread)
    await api.state(thread)
    await api.history(thread, limit=1)


def _long(name: str) -> str:
    begin, end = " \r\näß漢😀", "\\u0041 "  # what lies at the ends is lost first
    return begin + "x" * (LONG[name] - 40) + end


@scenario
async def values_without_json(api: Api) -> None:
    """`maker` leaves a value that JSON has no name for; then all is read."""

    async def make(part: Api, kind: str) -> None:
        thread = await part.create_thread()
        sent = await part.wait(thread, "maker", {"kind": kind})
        if sent.found_run_id is not None:
            await part.poll_run(thread, sent.found_run_id)
        await part.settle(thread)
        await part.thread(thread)
        await part.state(thread)
        await part.history(thread)
        await part.search_threads(ids=[thread], label="search")

    await api.each(MADE, make)


def _assert_arrived(trace: Trace, journey: str, kind: str, profile: Profile) -> None:
    """Fail unless a value of this kind is the same in every place of the journey, or was refused."""
    part = trace.part(WHOLE)
    if _is_refused(_served(part.exchanges[-1])):
        part = trace.part(kind)
        if _is_refused(part.exchanges[-1]):
            _demand_one_is_taken(trace.part(each).exchanges[-1] for each in KINDS)
            return
    for name, place in TABLE.journeys[journey].places.items():
        exchange = _served(part.first(name.partition(".")[0]))
        found = [resolve(each, place.at) for each in _shown_in(exchange, place.of, profile)]
        document = next((each for each in reversed(found) if isinstance(each, dict)), None)
        _assert_same(document, kind, f"in {name} ({place.operation})")


def _assert_same(document: Any, kind: str, where: str) -> None:
    assert isinstance(document, dict), f"wanted the values {where}, got {shown(document)}"
    difference = first_difference(document.get(kind, ABSENT), KINDS[kind])
    if difference is not None:
        raise AssertionError(f"the value {kind!r} is not as it was sent {where}: {difference}")


def _demand_one_is_taken(answers: Iterable[Exchange]) -> None:
    """Demand that not all is refused: who refuses the plainest text too says nothing about a value."""
    if all(map(_is_refused, answers)):
        raise Missing("every value is refused, the plainest ones too")


def _is_refused(answer: Exchange) -> bool:
    return 400 <= answer.status < 500


def _served(exchange: Exchange) -> Exchange:
    """The exchange. Raises Missing where its graph is not there, as the target serves older graphs."""
    if exchange.status in (404, 422) and '"maker"' in (exchange.request_body or ""):
        raise Missing(OLD)
    return exchange


def _shown_in(exchange: Exchange, of: str, profile: Profile) -> list[Any]:
    """What the document may be in: the body, the values or interrupts of a wait, the events of a name."""
    if of == "body":
        return [exchange.request_json if exchange.label == "delivery" else exchange.ok.json]
    if of == "wait":
        return [profile.wait.values_in(exchange.object)]
    if of == "interrupts":
        return [profile.wait.interrupts_in(exchange.object)]
    return [event.json for event in exchange.named(of)]


@requirement("VALUE-001")
@by_kind
def test_value_of_an_input(kind: str, values_of_an_input: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_an_input, "input", kind, profile)


@requirement("VALUE-002")
@by_kind
def test_value_of_a_node(kind: str, values_of_a_node: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_a_node, "node", kind, profile)
    part = values_of_a_node.part(WHOLE)
    if not _is_refused(
        part.exchanges[-1]
    ):  # then each value was emitted by itself, in the order of the table
        emitted = part.only("stream").named("custom")
        assert len(emitted) == len(KINDS) + 1, f"wanted {len(KINDS) + 1} custom events, got {len(emitted)}"
        _assert_same({kind: emitted[list(KINDS).index(kind)].json}, kind, "as a custom event of its own")


@requirement("VALUE-003")
@by_kind
def test_value_of_an_interrupt(kind: str, values_of_an_interrupt: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_an_interrupt, "interrupt", kind, profile)


@requirement("VALUE-004")
@by_kind
def test_value_of_an_update(kind: str, values_of_an_update: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_an_update, "update", kind, profile)


@requirement("VALUE-005")
@by_kind
def test_value_of_metadata(kind: str, values_of_metadata: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_metadata, "metadata", kind, profile)


@requirement("VALUE-006")
@by_kind
def test_value_of_a_configuration(kind: str, values_of_a_configuration: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_a_configuration, "configuration", kind, profile)


@requirement("VALUE-007")
@by_kind
def test_value_of_an_item(kind: str, values_of_an_item: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_an_item, "store", kind, profile)


@requirement("VALUE-008")
@by_kind
def test_value_of_a_webhook(kind: str, values_of_a_webhook: Trace, profile: Profile) -> None:
    _assert_arrived(values_of_a_webhook, "webhook", kind, profile)


@requirement("VALUE-009")
@cases("field", FIELDS)
def test_message_keeps_its_fields(field: str, whole_messages: Trace) -> None:
    shows = {
        "the state": resolve(whole_messages.state.object, "/values/messages"),
        "the history": resolve(whole_messages.history.array, "/0/values/messages"),
        "the stream": resolve(whole_messages.only("stream").named("values")[-1].json, "/messages"),
    }
    for place, messages in shows.items():
        for number, sent in enumerate(MESSAGES):
            wanted = resolve(sent, FIELDS[field])
            if wanted is not None:  # it is ours, not an answer's
                got = resolve(messages, f"/{number}{FIELDS[field]}")
                difference = first_difference(got, wanted)
                if difference is not None:
                    raise AssertionError(
                        f"the {field} of message {sent['id']!r} is lost in {place}: {difference}"
                    )


@requirement("VALUE-010")
@cases("size", LONG)
def test_long_text_is_whole(size: str, long_texts: Trace) -> None:
    answer = long_texts.part(size).only("stream")
    if _is_refused(answer):
        _demand_one_is_taken(long_texts.part(each).only("stream") for each in LONG)
        return
    notes = [resolve(each.json, "/functional/note") for each in answer.stream if each.event == "updates"]
    got, wanted = next((each for each in notes if isinstance(each, str)), None), _long(size)
    if got != wanted:
        said = f"{len(got)} characters" if isinstance(got, str) else shown(got)
        raise AssertionError(f"wanted the text of {len(wanted)} characters, got {said}")


@requirement("VALUE-011")
@cases("kind", MADE)
def test_what_json_cannot_carry_is_no_crash(kind: str, values_without_json: Trace) -> None:
    part = values_without_json.part(kind)
    _served(part.wait)
    assert part.last("poll").ok.object.get("status") in lifecycle().runs.terminal
    for label in READINGS:
        exchange = part.only(label)
        assert exchange.status < 500, f"wanted an answer below 500 of {exchange.where}, got {exchange.status}"
        assert not isinstance(exchange.whole.json, str), f"wanted no text, got {shown(exchange.json)}"


@requirement("VALUE-012")
@cases("kind", MADE)
def test_what_json_cannot_carry_is_shown_alike(
    kind: str, values_without_json: Trace, profile: Profile
) -> None:
    part = values_without_json.part(kind)
    _served(part.wait)
    if part.last("poll").ok.object.get("status") != "success":
        return
    shows = {
        "thread": resolve(part.thread.object, "/values/made"),
        "state": resolve(part.state.object, "/values/made"),
        "history": resolve(part.history.array, "/0/values/made"),
        "search": resolve(part.search.array, "/0/values/made"),
    }
    wanted = resolve(profile.wait.values_in(part.wait.object), "/made")
    for place, got in shows.items():
        difference = first_difference(got, wanted)
        assert difference is None, f"the {kind} of wait and that of {place} differ: {difference}"
