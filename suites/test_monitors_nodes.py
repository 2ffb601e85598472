"""What holds for the nodes that the runs of every trace executed: the conformance graphs log each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runstone.suite import (
    GRAPHS,
    UUID,
    Event,
    Exchange,
    Finding,
    Inapplicable,
    Profile,
    Trace,
    bare_path,
    begins_run,
    body_of,
    first_difference,
    has,
    last_id,
    last_values,
    lasts_as_its_run,
    none_broken,
    raw,
    requirement,
    run_statuses,
    shown,
    some,
    strict_json,
)

_RESULTS = re.compile(r"/runs/(wait|stream)$")
_UNCOUNTED = ("/runs/batch", "/runs/crons", "/copy")  # these begin runs, or pass on what others began
_PLACE = re.compile(rf"/threads/{UUID.pattern}|/runs")
# The nodes of the conformance graphs in their order (fixtures/graphs/README.md), and those that begin a run.
_FIRST_NODES = {"s1", "a", "before", "ok", "look", "c1", "bad", "remember", "make", "u1"}
_FIRST_NODES |= {"echo", "speak", "agent", "child"}  # which log nothing
_NEXT_NODES = {
    "s1": {"s2"},
    "s2": {"s3"},
    "a": {"b"},
    "b": {"c"},
    "before": {"ask", "ask_left", "ask_right", "ask_twice"},
    "ask": {"after"},
    "ask_left": {"ask_right", "after"},
    "ask_right": {"ask_left", "after"},
    "ask_twice": {"after"},
    "c1": {"c2"},
    **{f"u{step}": {f"u{step + 1}"} for step in range(1, 5)},
    "c2": {"done"},
    "child": {"done"},
    "agent": {"tools"},
    "tools": {"agent"},
}
# With which node a run of a graph ends that asks for nothing and does not fail.
_LAST_NODES = {
    **dict.fromkeys(("steps", "sync_steps", "functional"), "s3"),
    "slow": "c",
    "config": "look",
    "memory": "remember",
    "maker": "make",
}
_LAST_UPDATES = {
    **_LAST_NODES,
    "functional": "functional",
    "echo": "echo",
    "tools": "agent",
    "tokens": "speak",
}
# What a graph keeps of its input as it is: no node writes it.
_GIVEN = {
    **dict.fromkeys(("steps", "sync_steps", "functional"), ("note",)),
    "slow": ("note", "sleep", "ticks"),
    "interrupt": ("question", "variant"),
    "subgraph": ("question", "ask"),
}
_NODES = _FIRST_NODES | set().union(*_NEXT_NODES.values())
# What the update of a node logs, itself but for the graph that is one.
_SILENT = {"echo", "speak", "agent", "tools", "child", "bad"}
_LOGGED = {**{node: [node] for node in _NODES - _SILENT}, "functional": ["s1", "s2", "s3"]}
# Words of a request with which a run may end elsewhere, and of one that may end another run.
_ELSEWHERE = ('"command"', '"interrupt_', '"checkpoint', '"timeout"', '"log"')
_STOPS_ANOTHER = re.compile(
    r'/cancel|"(multitask_?strategy|on_disconnect)": ?"(interrupt|rollback|cancel)"', re.IGNORECASE
)


@requirement("MON-014")
def test_logs_name_the_nodes_in_their_order(traces: list[Trace], profile: Profile) -> None:
    """Of an agent of the user's own nobody knows the nodes."""

    def findings() -> Iterator[Finding]:
        untouched = [_untouched(trace) for trace in traces]
        logs = [list(_logs(exchanges)) for exchanges in untouched]
        told = [found for several in logs for found in several]
        # A stream may be cut short unseen; a body of JSON may not.
        named = (log for each, log in told if log and each.found_run_id and not each.is_stream)
        some(named, "log of a run that its answer names")
        for exchange, log in told:
            for before, after in pairwise(["", *log]):
                if after not in _FIRST_NODES and after not in _NEXT_NODES.get(before, ()):
                    yield exchange, f"logs {after} after {before or 'nothing'}, in {log}"
        for trace, exchanges, own_logs in zip(traces, untouched, logs, strict=True):
            yield from _unfinished(trace, exchanges)
            yield from _ended_elsewhere(trace, exchanges, profile)
            yield from _begun_too_often(trace, own_logs)
            for exchange in trace.exchanges:
                yield from ((exchange, reason) for reason in _updated_otherwise(exchange))
                yield from ((exchange, reason) for reason in _miscounted(exchange))

    if not has(GRAPHS):
        raise Inapplicable("the nodes of the agent are not known")
    none_broken(findings())


def _unfinished(trace: Trace, exchanges: list[Exchange]) -> Iterator[Finding]:
    """Results of runs that ended well, whose last node is one after which the graph goes on."""
    ended = {run: status for each in trace.exchanges for run, status in run_statuses(each)}
    stopped = {each.found_run_id for each in trace.exchanges if "interrupt_" in (each.request_body or "")}
    for exchange in exchanges:
        if not lasts_as_its_run(exchange) or not exchange.complete or exchange.status >= 300:
            continue
        run = exchange.found_run_id or last_id(bare_path(exchange))
        paused = "__interrupt__" in exchange.content or run in stopped
        values = last_values(exchange)
        log = values.get("log") if isinstance(values, dict) else None
        if ended.get(run) != "success" or paused or not isinstance(log, list) or not log:
            continue
        if isinstance(log[-1], str) and log[-1] in _NEXT_NODES:
            yield exchange, f"ends with {log[-1]}, after which the graph goes on"


def _ended_elsewhere(trace: Trace, exchanges: list[Exchange], profile: Profile) -> Iterator[Finding]:
    """Results of runs that nothing ended early which do not show the last node, or not what went in."""
    ended = {run: status for each in trace.exchanges for run, status in run_statuses(each)}
    if trace.notes.get("restarted_at") or any(map(_may_end_another, trace.exchanges)):
        return
    for exchange in exchanges:
        asked = raw(exchange.request_json) if _RESULTS.search(bare_path(exchange)) else None
        elsewhere = any(word in (exchange.request_body or "") for word in _ELSEWHERE)
        if not isinstance(asked, dict) or elsewhere or not exchange.complete or exchange.status >= 300:
            continue
        if ended.get(exchange.found_run_id or "", "success") != "success":
            continue
        graph, values = str(asked.get("assistant_id")), _result(exchange, profile)
        yield from ((exchange, reason) for reason in _unlogged(exchange, graph, values))
        yield from ((exchange, reason) for reason in _not_updated(exchange, graph))
        if isinstance(values, dict) and values and isinstance(asked.get("input"), dict):
            yield from ((exchange, reason) for reason in _given_otherwise(asked["input"], graph, raw(values)))


def _unlogged(exchange: Exchange, graph: str, values: Any) -> Iterator[str]:
    if graph not in _LAST_NODES or values is None:
        return
    log = values.get("log") if isinstance(values, dict) else None
    if not isinstance(log, list) or log[-1:] != [_LAST_NODES[graph]]:
        yield f"ends without {_LAST_NODES[graph]}, the last node of {graph}, in {shown(log)}"
    elif bare_path(exchange).startswith("/runs") and sum(each in _FIRST_NODES for each in log) != 1:
        yield f"logs several runs in the result of one, in {shown(log)}"


def _not_updated(exchange: Exchange, graph: str) -> Iterator[str]:
    """A stream of updates that ends before the last node of its graph, and without an error."""
    names = [event.event for event in exchange.events]
    if graph not in _LAST_UPDATES or "updates" not in _modes(exchange) or "error" in names:
        return
    told = [_json_of(event) for event in exchange.events if event.event == "updates"]
    nodes = [node for each in told if isinstance(each, dict) for node in each]
    if nodes[-1:] != [_LAST_UPDATES[graph]]:
        yield f"ends without an update of {_LAST_UPDATES[graph]}, the last node of {graph}"


def _given_otherwise(given: dict[str, Any], graph: str, values: dict[str, Any]) -> Iterator[str]:
    """Values that hold something else than the input gave, where no node writes that."""
    for name in _GIVEN.get(graph, ()):
        if _is_plain(given.get(name)) and values.get(name) != given[name]:
            yield f"shows {name} {shown(values.get(name))}, and was given {shown(given[name])}"
    said = _text_of(given.get("messages")) if graph == "echo" else None
    if said is not None and _is_plain(said):
        told = values.get("messages")
        if not isinstance(told, list) or [_text_of([each]) for each in told[-2:]] != [said, said]:
            yield f"answers {shown(told)}, and was told {shown(said)}"


def _may_end_another(exchange: Exchange) -> bool:
    said = f"{exchange.path} {exchange.request_body or ''}"
    return exchange.method == "DELETE" or _STOPS_ANOTHER.search(said) is not None


def _result(exchange: Exchange, profile: Profile) -> Any:
    """The values of a wait, or the last ones of a stream of values; None where it failed or was cut short."""
    if not exchange.is_stream:
        body = body_of(exchange)
        failed = not isinstance(body, dict) or "__error__" in body
        return None if failed else profile.wait.values_in(exchange.object)
    if "values" not in _modes(exchange) or any(event.event == "error" for event in exchange.events):
        return None
    return last_values(exchange) or {}


def _modes(exchange: Exchange) -> Any:
    """The modes of a stream that nobody hung up on; none of anything else."""
    if not exchange.is_stream or exchange.closed_by_client:
        return ()
    asked = exchange.request_json.get("stream_mode", "values")
    return asked if isinstance(asked, str | list) else ()


def _begun_too_often(trace: Trace, logs: list[tuple[Exchange, list[str]]]) -> Iterator[Finding]:
    """Logs of more runs than were asked for on their thread, which a stateless run may have made."""
    asked = [
        bare_path(each)
        for each in trace.exchanges
        if begins_run(each) or (each.method == "POST" and bare_path(each).endswith("/commands"))
    ]
    if any(path.endswith(_UNCOUNTED) for path in map(bare_path, trace.exchanges)):
        return
    for exchange, log in logs:
        place = _PLACE.match(bare_path(exchange))
        if place is None:
            continue  # a search finds what other scenarios made
        on_it = [path for path in asked if path.startswith((place[0], "/runs"))]
        begun = sum(node in _FIRST_NODES for node in log)
        if begun > len(on_it):
            yield exchange, f"logs {begun} runs where {len(on_it)} were asked for, in {log}"


def _updated_otherwise(exchange: Exchange) -> Iterator[str]:
    """Updates of a run that do not follow each other as its nodes do, or log another node than their own."""
    asked = exchange.request_json if exchange.method == "POST" else None
    before = "" if isinstance(asked, dict) and _begins(asked) else None
    for event in exchange.events if exchange.is_stream else ():
        document = _json_of(event) if event.event == "updates" else None
        for node, update in document.items() if isinstance(document, dict) else ():
            legal = _FIRST_NODES if before == "" else _NEXT_NODES.get(before or "", set())
            if before is not None and node in _NODES and node not in legal:
                yield f"sends the update of {node} after that of {before or 'nothing'}"
            before = node if node in _NODES else None
            wanted = _LOGGED.get(node)
            logged = update.get("log") if isinstance(update, dict) else None
            # A task of the functional graph returns its name.
            if wanted and update != node and logged != wanted:
                yield f"sends an update of {node} that does not log {', '.join(wanted)}: {shown(update)}"


def _miscounted(exchange: Exchange) -> Iterator[str]:
    """Custom events of `slow`, which counts its ticks from 1 on, in a stream that has seen it begin."""
    asked = exchange.request_json if exchange.method == "POST" and exchange.is_stream else None
    if not isinstance(asked, dict) or asked.get("assistant_id") != "slow":
        return
    told = [_json_of(event) for event in exchange.events if event.event == "custom"]
    wanted = [{"tick": number} for number in range(1, len(told) + 1)]
    difference = first_difference(told, wanted)
    if difference is not None:
        yield f"sends other ticks than were written: {difference}"


def _begins(asked: dict[str, Any]) -> bool:
    """Whether a request begins a run at the first node of its graph, and with an input."""
    elsewhere = any(asked.get(name) for name in ("command", "checkpoint", "checkpoint_id"))
    return isinstance(asked.get("input"), dict) and not elsewhere


def _is_plain(value: Any) -> bool:
    """Whether every server keeps the value: of others, such as what JavaScript rounds, area value speaks."""
    if isinstance(value, str):
        return value.isascii() and value.isprintable()
    return isinstance(value, int | float) and abs(value) < 2**53


def _text_of(messages: Any) -> str | None:
    last = messages[-1] if isinstance(messages, list) and messages else None
    text = last.get("content") if isinstance(last, dict) else None
    return text if isinstance(text, str) else None


def _json_of(event: Event) -> Any:
    try:
        return strict_json(event.data)
    except ValueError:
        return None


def _untouched(trace: Trace) -> list[Exchange]:
    """What tells of threads to which only runs wrote until then, and none that was sent elsewhere than on."""
    hands = [
        (_thread_of(each), each.sent_at)
        for each in trace.exchanges
        if each.answered and each.status < 300 and _writes_by_hand(each)
    ]
    copied = any(bare_path(each).endswith("/copy") for each in trace.exchanges)

    def touched(exchange: Exchange) -> bool:
        own = _thread_of(exchange)
        return any(
            at <= exchange.ended_at and (copied or own is None or thread is None or own == thread)
            for thread, at in hands
        )

    return [each for each in trace.exchanges if not touched(each)]


def _writes_by_hand(exchange: Exchange) -> bool:
    words = ("checkpoint_id", '"goto"', '"update"', "supersteps")
    by_hand = exchange.method == "POST" and bare_path(exchange).endswith("/state")
    return by_hand or any(word in (exchange.request_body or "") for word in words)


def _thread_of(exchange: Exchange) -> str | None:
    place = _PLACE.match(bare_path(exchange))
    return place[0] if place is not None and place[0] != "/runs" else None


def _logs(exchanges: list[Exchange]) -> Iterator[tuple[Exchange, list[str]]]:
    """Every `log` in the values of an answer, of a values event, or of what a webhook was told."""
    for exchange in exchanges:
        if not exchange.answered or exchange.status >= 300:
            continue
        told = [event.data for event in exchange.events if event.mode == "values"]
        whole = exchange.request_body if exchange.label == "delivery" else exchange.content
        for text in told if exchange.is_stream else [whole or ""]:
            if '"log"' not in text:
                continue  # most answers have none, and need not be walked through
            try:
                document = strict_json(text)
            except ValueError:
                continue
            yield from ((exchange, log) for log in _logs_in(document))


def _logs_in(document: Any) -> Iterator[list[str]]:
    if isinstance(document, list):
        for each in document:
            yield from _logs_in(each)
    if isinstance(document, dict):
        for name, member in document.items():
            if name == "log" and isinstance(member, list) and all(isinstance(each, str) for each in member):
                yield member
            elif name not in {"kwargs", "tasks"}:
                yield from _logs_in(member)
