"""What holds for the resources of every trace: an answer is about the one asked for, and readings agree."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from runstone.suite import (
    UUID,
    Exchange,
    Finding,
    Missing,
    Trace,
    bare_path,
    begins_run,
    first_difference,
    none_broken,
    operation_for,
    raw,
    requirement,
    resolve,
    shown,
    some,
)

_THREAD = re.compile(rf"/threads/({UUID.pattern})(?=[/?]|$)")
_RUN = re.compile(rf"/runs/({UUID.pattern})(?=[/?]|$)")
_ASSISTANT = re.compile(rf"/assistants/({UUID.pattern})(?=[/?]|$)")
_MIDDLE = re.compile(3 * "-[0-9a-fA-F]{4}" + "-")  # of an id: its first sign is soon found
_CHECKPOINT = re.compile(r"/state/(?!checkpoint)([^/?]+)")
# What a resource was created with and keeps for good, by its schema; the first one is its id.
_CONSTANT = {
    "thread": ("thread_id", "created_at"),
    "run": ("run_id", "created_at", "thread_id", "assistant_id", "multitask_strategy"),
    "assistant": ("assistant_id", "created_at"),
}
# What only a request that names the resource changes. Of the metadata of threads and runs the members that
# their client gave: servers add some, and change those.
_UNTIL_CHANGED = {
    "thread": ("metadata",),
    "run": ("metadata",),
    "assistant": ("graph_id", "name", "description", "config", "context", "metadata", "version"),
    "cron": ("assistant_id", "thread_id", "schedule", "timezone", "end_time", "on_run_completed", "payload"),
}
_OF_THE_SERVER = {"graph_id", "assistant_id"}  # of the metadata of a thread, which tell of its last run
_TIMES = ("created_at", "updated_at")
_WRITES = {"PUT", "PATCH", "DELETE"}
_LISTS = re.compile(rf"/threads/({UUID.pattern})/runs(?:\?limit=(\d+)(?:&offset=0)?)?")
_CLOCK_S = 60.0  # servers renew their Date header now and then, some of them seconds late
_OF_ANOTHER = ("/copy",)  # answers about a thread that the path does not name


@requirement("MON-007")
def test_an_answer_is_about_what_was_asked(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        told = [[_told(each) for each in trace.exchanges] for trace in traces]
        found = [(each, document) for of_one in told for each in of_one for document in each.documents]
        some(
            (each for each, _ in found if _asked(each.exchange, each.schema)),
            "resource that was read by its id",
        )
        delays = _delays(traces)
        for (exchange, schema, *_), document in found:
            yield from _strangers(exchange, schema, document)
            delay = delays.get(str(document.get("run_id")), 0.0) + _delay_of(exchange)
            yield from _of_the_future(exchange, document, delay)
        for trace, of_one in zip(traces, told, strict=True):
            yield from ((each.exchange, "lists a thing twice") for each in of_one if _lists_twice(each))
            yield from _changed(of_one)
            yield from _changed_by_nobody(of_one)
            yield from _unlisted(trace)
            yield from _unheard_of(trace)
            yield from ((each, reason) for each in trace.exchanges for reason in _misplaced(each))

    none_broken(findings())


class Told(NamedTuple):
    """Objects in a 2xx answer that the contract describes by this schema; `made`: the request made them."""

    exchange: Exchange
    schema: str = ""
    made: bool = False
    documents: Sequence[dict[str, Any]] = ()


def _told(exchange: Exchange) -> Told:
    operation = operation_for(exchange.method, exchange.path)
    if operation is None or not operation.schema or not exchange.complete or not 200 <= exchange.status < 300:
        return Told(exchange)
    body = _body(exchange)
    objects = body if isinstance(body, list) else [body]
    made = operation.schema in operation.creates and not operation.many
    return Told(exchange, operation.schema, made, [each for each in objects if isinstance(each, dict)])


def _body(exchange: Exchange) -> Any:
    try:
        return exchange.json
    except Missing:
        return None  # MON-004 says so


def _strangers(exchange: Exchange, schema: str, document: dict[str, Any]) -> Iterator[Finding]:
    """Ids in the answer that are not those in the request."""
    asked = _asked(exchange, schema)
    for name, wanted in asked.items():
        told = raw(resolve(document, f"/{name}"))
        if isinstance(told, str) and told.lower() != wanted.lower():
            yield exchange, f"answers about {name} {told}, and was asked about {wanted}"


def _lists_twice(told: Told) -> bool:
    id_name, *_ = _CONSTANT.get(told.schema, ("",))
    ids = [str(each.get(id_name)) for each in told.documents] if id_name else []
    return len(set(ids)) < len(ids)


def _of_the_future(exchange: Exchange, document: dict[str, Any], delay: float) -> Iterator[Finding]:
    """Times that lie later than `delay` seconds after the moment at which the server says it answered."""
    answered = _date(exchange.headers.get("date", ""))
    if answered is None:
        return
    for name in _TIMES:
        time = _comparable(document.get(name))
        if not isinstance(time, dt.datetime) or time.tzinfo is None:
            continue
        if (time - answered).total_seconds() > _CLOCK_S + delay:
            yield exchange, f"shows {name} {document[name]}, and answered at {exchange.headers['date']}"


@cache
def _date(header: str) -> dt.datetime | None:
    """The moment that a Date header names; None where it names none, or not whose."""
    try:
        found = parsedate_to_datetime(header)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _delays(traces: list[Trace]) -> dict[str, float]:
    """By run, how much later it was asked to start: that may be when it counts as created, in lists too."""
    asked = [each for trace in traces for each in trace.exchanges if _delay_of(each)]
    return {each.found_run_id: _delay_of(each) for each in asked if each.found_run_id is not None}


def _delay_of(exchange: Exchange) -> float:
    """How much later than now the request asks for."""
    sent = raw(exchange.request_json)
    asked = sent.get("after_seconds") if isinstance(sent, dict) else None
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) else 0.0


def _asked(exchange: Exchange, schema: str) -> dict[str, str]:
    """Which id the answer must carry, by its place."""
    path = exchange.path.partition("?")[0]
    if path.endswith(_OF_ANOTHER):
        return {}
    thread, run, assistant = (each.search(path) for each in (_THREAD, _RUN, _ASSISTANT))
    asked: dict[str, str] = {}
    if thread and schema in {"thread", "run"}:
        asked["thread_id"] = thread[1]
    if thread and schema == "thread-state":
        asked |= {"checkpoint/thread_id": thread[1], "parent_checkpoint/thread_id": thread[1]}
        checkpoint = _CHECKPOINT.search(path)
        asked |= (
            {"checkpoint/checkpoint_id": checkpoint[1]} if checkpoint and exchange.method == "GET" else {}
        )
    sent = exchange.request_json
    if exchange.method == "POST" and schema == "run" and isinstance(sent, dict):
        strategy = sent.get("multitask_strategy")
        asked |= {"multitask_strategy": strategy} if isinstance(strategy, str) else {}
    if run and schema == "run":
        asked["run_id"] = run[1]
    if assistant and schema in {"assistant", "assistant-version"}:
        asked["assistant_id"] = assistant[1]
    body = exchange.request_json
    if exchange.method == "POST" and path in {"/threads", "/assistants"} and isinstance(body, dict):
        wanted = body.get(f"{path[1:-1]}_id")
        asked |= {f"{path[1:-1]}_id": wanted} if isinstance(wanted, str) else {}
    return asked


def _changed(told: Sequence[Told]) -> Iterator[Finding]:
    """What a resource was created with, and is later shown without."""
    first: dict[tuple[str, str], tuple[Any, Exchange]] = {}
    for each in told:
        if each.exchange.method == "DELETE":  # its id may be given to another one
            gone = {id_.lower() for id_ in UUID.findall(each.exchange.path)}
            first = {place: value for place, value in first.items() if place[0] not in gone}
        for document in each.documents:
            yield from _changed_in(each, document, first)


def _changed_in(
    told: Told, document: dict[str, Any], first: dict[tuple[str, str], tuple[Any, Exchange]]
) -> Iterator[Finding]:
    id_name, *others = _CONSTANT.get(told.schema, ("",))
    id_ = document.get(id_name)
    for name in others if isinstance(id_, str) else ():
        if raw(document.get(name)) is None:
            continue
        now = document[name]
        before, seen = first.setdefault((str(id_).lower(), name), (now, told.exchange))
        if before != now and _comparable(before) != _comparable(now):
            yield told.exchange, f"shows {name} {now}, which was {before} at {seen.where}"


def _changed_by_nobody(told: Sequence[Told]) -> Iterator[Finding]:
    """What was created in the trace and reads otherwise later, though no request has changed it meanwhile."""
    given = {
        _id_of(each, document): _given_to(each) for each in told if each.made for document in each.documents
    }
    writes = [
        each.exchange for each in told if each.exchange.method in _WRITES or _is_made_current(each.exchange)
    ]
    first: dict[tuple[str, int], tuple[dict[str, Any], Exchange]] = {}
    for each in told:
        exchange, read = each.exchange, each.documents if each.schema in _UNTIL_CHANGED else ()
        if read and "select" in f"{exchange.path} {exchange.request_body or ''}":
            continue
        for document in read:
            id_ = _id_of(each, document)
            if id_ not in given:
                continue
            own = [one for one in writes if id_ in one.path.lower() and one.sent_at < exchange.ended_at]
            if any(one.ended_at > exchange.sent_at and one is not exchange for one in own):
                continue  # who was first, nobody can say
            shows = _shown_of(each.schema, document, given[id_])
            before, seen = first.setdefault((id_, len(own)), (shows, exchange))
            difference = first_difference(shows, before)
            if difference is not None:
                yield exchange, f"shows {each.schema} {id_} otherwise than {seen.where}: {difference}"


def _id_of(told: Told, document: dict[str, Any]) -> str:
    return str(document.get(f"{told.schema}_id")).lower()


def _given_to(told: Told) -> frozenset[str]:
    """The names of the metadata that what the exchange made was given."""
    sent = raw(told.exchange.request_json)
    metadata = sent.get("metadata") if isinstance(sent, dict) else None
    return frozenset(metadata) if isinstance(metadata, dict) else frozenset()


def _is_made_current(exchange: Exchange) -> bool:
    """Whether another version of an assistant was made the current one."""
    return exchange.method == "POST" and bare_path(exchange).endswith("/latest")


def _shown_of(schema: str, document: dict[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """What must stay as it is; null, an empty object and nothing say the same."""
    shown = {name: raw(document.get(name)) or None for name in _UNTIL_CHANGED[schema]}
    metadata = shown.get("metadata")
    if schema in {"thread", "run"}:
        names = given - _OF_THE_SERVER
        shown["metadata"] = {
            each: metadata.get(each) if isinstance(metadata, dict) else None for each in names
        }
    return shown


def _unlisted(trace: Trace) -> Iterator[Finding]:
    """Lists of all runs of a thread that lack one which was created there, and which nobody deleted."""
    made = [(each, each.found_run_id) for each in trace.exchanges if begins_run(each)]
    if any(
        each.method == "DELETE" or "rollback" in f"{each.path}{each.request_body}" for each in trace.exchanges
    ):
        return
    for exchange in trace.exchanges:
        listed = _LISTS.fullmatch(exchange.path) if exchange.method == "GET" else None
        body = (
            _body(exchange) if listed is not None and exchange.answered and exchange.status == 200 else None
        )
        if listed is None or not isinstance(body, list) or len(body) >= int(listed[2] or 10):
            continue
        ids = [str(each.get("run_id")).lower() for each in body if isinstance(each, dict)]
        for creating, run in made:
            there = bare_path(creating).startswith(f"/threads/{listed[1].lower()}/")
            done = creating.complete and creating.status < 300
            if there and done and run and creating.ended_at < exchange.sent_at and run.lower() not in ids:
                yield exchange, f"lacks run {run}, which was created at {creating.where}"


def _misplaced(exchange: Exchange) -> Iterator[str]:
    """Items of the store that are not where they were asked for."""
    if not exchange.path.startswith("/store/items") or not exchange.answered or exchange.status != 200:
        return
    body, sent = raw(_body(exchange)), raw(exchange.request_json)
    if exchange.method == "GET" and isinstance(body, dict):
        asked = {name: values[-1] for name, values in parse_qs(exchange.path.partition("?")[2]).items()}
        told = {"namespace": _dotted(body.get("namespace")), "key": body.get("key")}
        for name in asked.keys() & told.keys():
            if told[name] != asked[name]:
                yield f"answers an item with {name} {told[name]}, and was asked for {asked[name]}"
    prefix = sent.get("namespace_prefix") if isinstance(sent, dict) else None
    items = body.get("items") if isinstance(body, dict) and isinstance(prefix, list) else None
    for item in items if isinstance(items, list) else ():
        namespace = item.get("namespace") if isinstance(item, dict) else None
        # Whether floor_12 is below floor_1 is STORE-006's to say.
        if not _dotted(namespace).startswith(_dotted(prefix)):
            yield f"finds an item in {shown(namespace)}, and was asked for those in {shown(prefix)}"


def _dotted(labels: Any) -> str:
    return ".".join(map(str, labels)) if isinstance(labels, list) else f"no list: {shown(labels)}"


def _unheard_of(trace: Trace) -> Iterator[Finding]:
    """A thread or run that is served, though nothing in the trace named it before."""
    heard: set[str] = set()
    read_before: set[str] = set()  # polls are answered the same again and again
    for exchange in sorted(trace.exchanges, key=lambda each: each.sent_at):
        operation = operation_for(exchange.method, exchange.path)
        served = (
            exchange.answered
            and exchange.status < 300
            and "if_not_exists" not in (exchange.request_body or "")
        )
        # An empty list of a thread that nobody knows is RUN-LIST-005's, which is a SHOULD.
        read = operation is not None and operation.schema in {"thread", "run", "thread-state"}
        read = read and _body(exchange) != []
        begun = exchange.method == "POST" and exchange.path.endswith(("/runs/wait", "/runs/stream"))
        if served and (begun or (read and exchange.method in {"GET", "POST"})):
            for asked in (each.lower() for kind in (_THREAD, _RUN) for each in kind.findall(exchange.path)):
                if asked not in heard:
                    yield exchange, f"serves {asked}, which no answer had named"
        told = [exchange.content, exchange.request_body or "", exchange.path]
        told += [value for _, value in exchange.response_headers]
        for text in told:
            found = () if text in read_before else _MIDDLE.finditer(text)
            heard |= {text[each.start() - 8 : each.end() + 12].lower() for each in found}
        read_before |= set(told)


def _comparable(value: Any) -> Any:
    """Ids without regard to letter case, times without regard to how they are written."""
    if not isinstance(value, str):
        return value
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError:
        return value.lower()
