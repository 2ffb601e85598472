"""The words that judges share: what they demand, and what they read of an answer over and over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from runstone.contracts import Profile, violations
from runstone.scenario.known_results import STEPS
from runstone.target.agents import GRAPHS
from runstone.wire.canonical import canonical, difference_in_shape, first_difference, shown
from runstone.wire.documents import Missing, resolve
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

_Item = TypeVar("_Item")
_present: ContextVar[Callable[[str], bool]] = ContextVar("present", default=lambda _: True)


def has(capability: str) -> bool:
    """Whether the target has it, for judges that demand more of one that does. Outside a session: it has."""
    return _present.get()(capability)


@contextmanager
def judging_by(present: Callable[[str], bool]) -> Iterator[None]:
    """Let `has` answer what `present` says, for the time of the block."""
    token = _present.set(present)
    try:
        yield
    finally:
        _present.reset(token)


def agree(got: Any, wanted: Any) -> None:
    """Fail unless two runs had the same result.

    Of the conformance graphs the results are the same but for ids and times. Of an agent of the user's own,
    which may say other words each time, they are of the same shape (`difference_in_shape`).
    """
    if has(GRAPHS):
        difference = first_difference(canonical(got), canonical(wanted))
    else:
        difference = difference_in_shape(got, wanted)
    if difference is not None:
        raise AssertionError(str(difference))


def ran(values: Any, nodes: Sequence[str]) -> bool:
    """Whether these final values tell that a run executed these nodes, once each.

    Of an agent of the user's own nobody knows what it leaves: whether these are values at all.
    """
    if not isinstance(values, dict):
        return False
    return values.get("log") == list(nodes) if has(GRAPHS) else bool(values)


def assert_ran(values: Any, nodes: Sequence[str]) -> None:
    """Fail unless `ran`."""
    if not ran(values, nodes):
        got = values.get("log") if isinstance(values, dict) and has(GRAPHS) else values
        wanted = shown(list(nodes)) if has(GRAPHS) else "the final values"
        raise AssertionError(f"wanted {wanted}, got {shown(got)}")


def demand_values(answer: Exchange, profile: Profile) -> None:
    """Raise Missing when not even `steps`, run in order, gave its values: others then show nothing."""
    if not ran(profile.wait.values_in(answer.object), STEPS):
        raise Missing(f"{answer.where}, a run in order, gave no values: {shown(answer.json)}")


def is_refused(answer: Exchange) -> bool:
    """Whether the answer is a 4xx."""
    return 400 <= answer.status < 500


def demand_one_taken(answers: Iterable[Exchange]) -> None:
    """Raise Missing when all are refused: who refuses the plainest value too says nothing about another."""
    if all(map(is_refused, answers)):
        raise Missing("every value is refused, the plainest ones too")


def served(exchange: Exchange, graph: str) -> Exchange:
    """The exchange. Raises Missing where this graph was refused, as graphs of an older version lack it."""
    if exchange.status in (404, 422) and f'"{graph}"' in (exchange.request_body or ""):
        said = f"{exchange.where} answered {exchange.status}: {shown(exchange.content)}"
        deploy = f"where it is the graph `{graph}` that is missing, deploy fixtures/graphs of this version"
        raise Missing(f"{said}; {deploy}")
    return exchange


def applicable(*traces: Trace) -> list[Trace]:
    """Those of the traces that this target can have: all of them, but for an agent of the user's own."""
    return [trace for trace in traces if not trace.inapplicable]


class Broken(AssertionError):  # noqa: N818 - a finding, not an error of the harness
    """A promise was broken at these exchanges, of the many that were read."""

    def __init__(self, reason: str, exchanges: Sequence[Exchange]) -> None:
        super().__init__(reason)
        self.exchanges = tuple(exchanges)


def none_broken(findings: Iterable[tuple[Exchange, str]]) -> None:
    """Pass when there is no finding; else fail with the first ones and their exchanges. For monitors.

    The first finding of each scenario comes before the second of any, so that every scenario is named.
    """
    firsts: dict[str, tuple[Exchange, str]] = {}
    rest = [each for each in findings if firsts.setdefault(each[0].scenario, each) is not each]
    found = [*firsts.values(), *rest]
    if found:
        reasons = "; ".join(f"{exchange.key} {exchange.method} {reason}" for exchange, reason in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise Broken(reasons + more, [exchange for exchange, _ in found[: max(10, len(firsts))]])


def conforms(document: Any, schema: str, exchange: Exchange) -> None:
    """Fail when the document, found in this exchange, breaks a schema of contracts/schemas."""
    broken = violations(schema, document)
    if broken:
        raise Broken(f"{schema}{broken[0].path}: {broken[0].message} ({exchange.where})", [exchange])


def assert_done(exchange: Exchange) -> None:
    """Fail unless the answer is a 2xx."""
    if not 200 <= exchange.status < 300:
        raise AssertionError(f"wanted a 2xx, got {exchange.status}: {shown(exchange.content)}")


def assert_metadata(exchange: Exchange, wanted: Mapping[str, Any]) -> None:
    """Fail unless the metadata of what was answered hold these members."""
    metadata = exchange.object.get("metadata")
    if not isinstance(metadata, dict):
        raise Missing(f"{exchange.where} answered no metadata")
    difference = first_difference({key: metadata.get(key) for key in wanted}, dict(wanted))
    if difference is not None:
        raise AssertionError(str(difference))


def some(items: Iterable[_Item], what: str) -> list[_Item]:
    """The items as a list, at least one. Raises Missing: nothing is promised kept about an empty list."""
    found = list(items)
    if not found:
        raise Missing(f"there is no {what}")
    return found


def assert_parent(state: Any, wanted: Any) -> None:
    """Fail unless the state names this checkpoint as the one that it was made from; null for none."""
    found = resolve(state, "/parent_checkpoint/checkpoint_id")
    if found != wanted:
        raise AssertionError(
            f"thread-state/parent_checkpoint: it names {shown(found)}, wanted {shown(wanted)}"
        )


# what judges read of an answer


def status_of(exchange: Exchange) -> Any:
    """The status of the run or thread that the answer shows."""
    return exchange.object.get("status")


def log_in(values: Any) -> list[Any]:
    """The nodes that ran, as these values show them; none where they show no log."""
    log = resolve(values, "/log")
    return log if isinstance(log, list) else []


def log_of(state: Exchange) -> list[Any]:
    """The nodes that ran, as a thread's state shows them."""
    return log_in(state.object.get("values"))


def each_of(listed: Exchange, pointer: str) -> list[Any]:
    """The part of each item of an array that a JSON pointer names; null of those that lack it."""
    return [resolve(item, pointer) for item in listed.array]


def checkpoint_ids(history: Exchange) -> list[Any]:
    """The ids of the checkpoints of a history, newest first."""
    return each_of(history, "/checkpoint/checkpoint_id")


def summary_of(state: Any) -> dict[str, Any]:
    """What says which state of a thread this is: its checkpoint, its values, and what comes next."""
    pointers = ("/checkpoint/checkpoint_id", "/values", "/next")
    return {pointer: resolve(state, pointer) for pointer in pointers}


def refusal_of(exchange: Exchange) -> Exchange:
    """The exchange, if it answered a 4xx: whether it should have is another requirement's question."""
    if not 400 <= exchange.status < 500:
        raise Missing(f"{exchange.where} answered {exchange.status}, so there is no error to read")
    return exchange.whole


def final_values(result: Exchange, profile: Profile) -> Any:
    """The values that a stream, a wait or a join ended with, at least one member."""
    return result.named("values")[-1].json if result.is_stream else profile.wait.some_values_in(result.object)


def asked_in(state: Exchange) -> list[Any]:
    """The values of the interrupts that the state's tasks show, at least one."""
    asked = [each for task in state.object["tasks"] for each in task["interrupts"]]
    return [each["value"] for each in some(asked, f"interrupt in {state.where}")]


def events_of_state(stream: Exchange) -> Sequence[Event]:
    """The events that tell of the state; an agent of the user's own may fail before there is a state."""
    return stream.named("values") if has(GRAPHS) else stream.stream


def sent(stream: Exchange, name: str) -> list[Event]:
    """The events with a name that the promise demands. Fails where the whole stream of a run holds none.

    As `named` where it says nothing of what is promised: it was refused, cut off, or the run failed.
    """
    names = stream.names
    if stream.complete and name not in names and "error" not in names:
        others = ", ".join(dict.fromkeys(names))
        raise AssertionError(f"{stream.where} streamed no event {name!r}, only: {others}")
    return list(stream.named(name))


def told_by(events: Iterable[Event]) -> list[tuple[str, Any]]:
    """Name and data of each event; null for one without data."""
    return [(event.event, event.json if event.data else None) for event in events]


def time_in(stamp: Any, where: str) -> dt.datetime:
    """The time that a text tells; `where` says whose it is. Raises Missing for what is not a time."""
    try:
        return dt.datetime.fromisoformat(str(stamp))
    except ValueError:
        raise Missing(f"{where} is not a time: {shown(stamp)}") from None


def is_json(said: Exchange | Event) -> bool:
    """Whether the body, or the data of the event, is JSON."""
    try:
        _ = said.json
    except Missing:
        return False
    return True
