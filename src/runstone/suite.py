"""What a suite is written with: scenarios, requirements, and the few words judges share.

A judge is a test function that takes traces and asserts. It does no I/O. What it needs from a trace raises
`Missing` when it is absent (not-testable), so no judge passes on what was not said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest

from runstone.contracts import (
    Profile,
    browser_table,
    field_table,
    isolation_table,
    lifecycle,
    operation_for,
    race_table,
    restart_table,
    search_table,
    status_table,
    stream_grammar,
    value_table,
    violations,
)
from runstone.scenario.api import Api
from runstone.scenario.own_server import own_server
from runstone.scenario.requests import (
    ENTRY_POINTS,
    OMIT,
    THREADED_ENTRY_POINTS,
    Blocked,
    Opened,
    Options,
    ask,
    new_id,
)
from runstone.scenario.scenario import Schedule, scenario
from runstone.target.agents import GRAPHS
from runstone.wire.canonical import ABSENT, canonical, difference_in_shape, first_difference, shown
from runstone.wire.documents import Missing, raw, resolve
from runstone.wire.exchange import UUID, Event, Exchange, strict_json
from runstone.wire.trace import Inapplicable, Trace

__all__ = [
    "ABSENT",
    "ENTRY_POINTS",
    "GRAPHS",
    "OMIT",
    "THREADED_ENTRY_POINTS",
    "UUID",
    "Api",
    "Blocked",
    "Broken",
    "Event",
    "Exchange",
    "Inapplicable",
    "Missing",
    "Opened",
    "Options",
    "Profile",
    "Schedule",
    "Trace",
    "agree",
    "applicable",
    "ask",
    "assert_ran",
    "browser_table",
    "by_entry_point",
    "by_threaded_entry_point",
    "canonical",
    "conforms",
    "field_table",
    "first_difference",
    "has",
    "isolation_table",
    "lifecycle",
    "needs",
    "new_id",
    "none_broken",
    "operation_for",
    "own_server",
    "race_table",
    "ran",
    "raw",
    "requirement",
    "resolve",
    "restart_table",
    "scenario",
    "search_table",
    "shown",
    "some",
    "status_table",
    "stream_grammar",
    "strict_json",
    "value_table",
    "violations",
]

_Judge = TypeVar("_Judge", bound=Callable[..., None])
_Item = TypeVar("_Item")
_present: ContextVar[Callable[[str], bool]] = ContextVar("present", default=lambda _: True)

by_entry_point = pytest.mark.parametrize("entry_point", ENTRY_POINTS)
by_threaded_entry_point = pytest.mark.parametrize("entry_point", THREADED_ENTRY_POINTS)


def requirement(id: str) -> Callable[[_Judge], _Judge]:  # noqa: A002 - the catalogue's own name
    """Mark a test as the judge of this requirement; statement, level and source stand in the catalogue."""

    def mark(judge: _Judge) -> _Judge:
        marked: _Judge = pytest.mark.requirement(id)(judge)
        return marked

    return mark


def needs(*capabilities: str) -> pytest.MarkDecorator:
    """Mark a single case that applies only to targets with these capabilities."""
    return pytest.mark.needs(*capabilities)


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
    """Fail unless two runs came to the same.

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


def some(items: Iterable[_Item], what: str) -> list[_Item]:
    """The items as a list, at least one. Raises Missing: nothing is promised kept about an empty list."""
    found = list(items)
    if not found:
        raise Missing(f"there is no {what}")
    return found
