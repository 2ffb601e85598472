"""Values: what is sent arrives as it is, and the same in every place that shows it.

The kinds of values and the places are data (contracts/cases/values.yaml). A scenario sends a document of all
kinds on each journey; where a server refuses it as a whole, one kind after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from runstone.suite import (
    ABSENT,
    Api,
    Blocked,
    Exchange,
    Profile,
    Trace,
    cases,
    demand_one_taken,
    first_difference,
    is_refused,
    new_id,
    requirement,
    resolve,
    scenario,
    served,
    shown,
    value_table,
)

TABLE = value_table()
KINDS = {name: kind.made() for name, kind in TABLE.kinds.items()}
WHOLE = "whole"
ALL_MODES = ["values", "updates", "custom", "tasks", "checkpoints"]

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


def _assert_arrived(trace: Trace, journey: str, kind: str, profile: Profile) -> None:
    """Fail unless a value of this kind is the same in every place of the journey, or was refused."""
    part = trace.part(WHOLE)
    if is_refused(served(part.exchanges[-1], "maker")):
        part = trace.part(kind)
        if is_refused(part.exchanges[-1]):
            demand_one_taken(trace.part(each).exchanges[-1] for each in KINDS)
            return
    for name, place in TABLE.journeys[journey].places.items():
        exchange = served(part.first(name.partition(".")[0]), "maker")
        found = [resolve(each, place.at) for each in _shown_in(exchange, place.of, profile)]
        document = next((each for each in reversed(found) if isinstance(each, dict)), None)
        _assert_same(document, kind, f"in {name} ({place.operation})")


def _assert_same(document: Any, kind: str, where: str) -> None:
    assert isinstance(document, dict), f"wanted the values {where}, got {shown(document)}"
    difference = first_difference(document.get(kind, ABSENT), KINDS[kind])
    if difference is not None:
        raise AssertionError(f"the value {kind!r} is not as it was sent {where}: {difference}")


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
    if not is_refused(part.exchanges[-1]):  # each value was emitted by itself, in the order of the table
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
