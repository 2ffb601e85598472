"""What one start must have left behind: a pure function of its trace, for workers and offline alike.

A start has a thread of its own, and tokens that nothing else has: what it finds there is its own or a fault.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from runstone.load.model import Kind
from runstone.load.tokens import TOKEN, foreign
from runstone.scenario.known_results import STEPS
from runstone.wire.exchange import Exchange, excerpt
from runstone.wire.trace import Trace

NOT_LOST: Final = "LOAD-101"
NOT_TWICE: Final = "LOAD-102"
AGREE: Final = "LOAD-103"
IN_ORDER: Final = "LOAD-104"
ISOLATED: Final = "LOAD-105"
NOBODY_STUCK: Final = "LOAD-106"
CONSERVED: Final = "LOAD-107"
WEBHOOKS: Final = "LOAD-108"
STEADY: Final = "LOAD-109"
BY_START: Final = (NOT_LOST, NOT_TWICE, AGREE, IN_ORDER, ISOLATED, WEBHOOKS)

Pile = Literal["ended", "failed", "cancelled", "unknown"]
Verdict = Literal["kept", "broken", "not-tested"]

NOTE: Final = "load"  # the note of the trace that holds what the wire does not say
_OVER: Final = frozenset({"success", "error", "timeout", "interrupted"})
_LOGS: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(("wait", "stream", "background"), STEPS),
    "interrupt": ("before", "ask", "after"),
    **dict.fromkeys(("cancel", "hangup"), ("a", "b", "c")),
}
# The exchange that tells a run's values, by kind.
_ANSWERS: Final[Mapping[str, str]] = {
    "wait": "wait",
    "stream": "stream",
    "background": "join",
    "enqueue": "join",
    "interrupt": "resume",
    "hangup": "join",
}
# What only starts of these kinds show; a mix without them does not ask for it.
ASKED_BY: Final[Mapping[str, frozenset[str]]] = {
    AGREE: frozenset(_ANSWERS),
    IN_ORDER: frozenset({"enqueue"}),
    WEBHOOKS: frozenset({"background"}),
}


class Finding(NamedTuple):
    """One thing looked at: of which requirement, and what it showed. `reason` is '' for what is kept."""

    id: str
    verdict: Verdict
    reason: str = ""


class Judged(NamedTuple):
    """A start judged. `piles`: what became of each run that was asked for, by its token."""

    piles: dict[str, Pile]
    findings: list[Finding]

    @property
    def broken(self) -> dict[str, str]:
        """Requirement → the first reason for which it is broken."""
        found: dict[str, str] = {}
        for each in self.findings:
            if each.verdict == "broken":
                found.setdefault(each.id, each.reason)
        return found


class Asked(NamedTuple):
    """A run that was asked for. `label`: of the exchange that asked."""

    token: str
    label: str


class Seen:
    """What a trace shows of its start."""

    def __init__(self, trace: Trace) -> None:
        note: dict[str, Any] = trace.notes[NOTE]
        self.trace = trace
        self.kind: Kind = note["kind"]
        self.token: str = note["token"]
        self.session: str = note["session"]
        self.runs = [Asked(*each) for each in note["runs"]]
        self.webhook: bool = note.get("webhook", False)
        self.cancels: bool = note.get("cancels", False)  # whether its runs are cancelled, or may be
        self.rows = _listed(self.last("runs"))
        self.state = _values(self.last("state"))

    def last(self, label: str) -> Exchange | None:
        """The last exchange of this label, if there is one."""
        return next((each for each in reversed(self.trace.exchanges) if each.label == label), None)

    def rows_of(self, run: Asked) -> list[dict[str, Any]]:
        """The rows of the thread's list of runs that are this one: one, as things should be."""
        asked = self.last(run.label)
        known = asked.found_run_id if asked is not None and self.accepted(run) else None
        return [
            row
            for row in self.rows or []
            if (known and row.get("run_id") == known) or _metadata(row).get(TOKEN) == run.token
        ]

    def accepted(self, run: Asked) -> bool:
        """Whether the target said that there is such a run."""
        asked = self.last(run.label)
        return asked is not None and asked.code is not None and asked.code < 300

    @property
    def over(self) -> bool:
        """Whether each run is listed, or was refused, and every listed one has ended."""
        if self.rows is None or any(status_of(row) not in _OVER for row in self.rows):
            return False
        return all(self.rows_of(run) for run in self.runs if self.accepted(run))


def judged(trace: Trace) -> Judged:
    """What became of its runs, and each promise that could be looked at."""
    seen = Seen(trace)
    piles: dict[str, Pile] = {}
    findings: list[Finding] = []
    for run in seen.runs:
        pile, found = _fate(seen, run)
        piles[run.token] = pile
        findings += [*found, *_executed(seen, run, pile)]
    whole = bool(piles) and all(pile in {"ended", "cancelled"} for pile in piles.values())
    findings += [*_agreeing(seen, whole=whole), *_ordered(seen, piles), *_own(seen), *_told(seen, piles)]
    return Judged(piles, [each._replace(reason=_printable(each.reason)) for each in findings])


def _fate(seen: Seen, run: Asked) -> tuple[Pile, list[Finding]]:
    """What became of a run, by the list of its thread's runs."""
    rows = seen.rows_of(run)
    if rows:
        found = (
            [Finding(NOT_TWICE, "broken", f"{len(rows)} runs were made of one request")] if rows[1:] else []
        )
        status = status_of(rows[0])
        if status in _wanted(seen, run):
            return ("cancelled" if seen.cancels and status != "success" else "ended"), found
        if status not in _OVER:
            return "unknown", [*found, Finding(NOT_LOST, "broken", f"it is still {status} after the drain")]
        return "failed", [
            *found,
            Finding(NOT_LOST, "broken", f"it ended as {status}, which its graph cannot"),
        ]
    if seen.rows is None:
        reason = f"the list of runs was not told: {_why(seen.last('runs'))}"
        return "unknown", [Finding(NOT_LOST, "not-tested", reason)]
    if seen.accepted(run):
        return "unknown", [Finding(NOT_LOST, "broken", "it was accepted, and its thread lists no such run")]
    return "failed", [Finding(NOT_LOST, "not-tested", f"it was not accepted: {_why(seen.last(run.label))}")]


def _wanted(seen: Seen, run: Asked) -> frozenset[str]:
    """The statuses with which the run may end."""
    if seen.cancels:
        return frozenset({"success", "interrupted"})
    pauses = seen.kind == "interrupt" and run == seen.runs[0]
    return frozenset({"success", "interrupted"}) if pauses else frozenset({"success"})


def _executed(seen: Seen, run: Asked, pile: Pile) -> Iterator[Finding]:
    """Whether the state holds what the run did, once."""
    if pile in {"failed", "unknown"} or (seen.kind == "interrupt" and run == seen.runs[0]):
        return  # the second run of an interrupt ends what the first one began
    if seen.state is None:
        yield from (Finding(each, "not-tested", "the state was not told") for each in (NOT_LOST, NOT_TWICE))
        return
    done, wanted = _work(seen, run)
    again = [step for step, times in Counter(done).items() if times > wanted.count(step)]
    if again:
        yield Finding(NOT_TWICE, "broken", f"{_named(seen)} is {_short(done)}, wanted {_short(wanted)}")
    elif sorted(done) == sorted(wanted) and done != wanted:
        yield Finding(
            NOT_TWICE, "broken", f"{_named(seen)} is {_short(done)}, in another order than executed"
        )
    else:
        yield Finding(NOT_TWICE, "kept")
    if pile == "cancelled" or again:
        yield Finding(NOT_LOST, "kept")
    elif missing := [step for step in wanted if step not in done]:
        reason = f"it ended as success, and {_named(seen)} of the state lacks {_short(missing)}"
        yield Finding(NOT_LOST, "broken", reason)
    elif seen.kind != "enqueue" and _own_value(seen) is None:
        yield Finding(NOT_LOST, "broken", "it ended as success, and the state lacks its input")
    else:
        yield Finding(NOT_LOST, "kept")


def _work(seen: Seen, run: Asked) -> tuple[list[str], list[str]]:
    """What the state says that was done of this run, and what should be done."""
    if seen.kind == "enqueue":
        said = [text for kind, text in _messages(seen.state) if text == run.token and kind in {"human", "ai"}]
        return said, [run.token, run.token]
    log = seen.state.get("log") if seen.state else None
    return [str(step) for step in log] if isinstance(log, list) else [], list(_LOGS[seen.kind])


def _own_value(seen: Seen) -> Any:
    """What the state holds of the start's own value."""
    return (seen.state or {}).get("answer" if seen.kind == "interrupt" else "note")


def _agreeing(seen: Seen, *, whole: bool) -> Iterator[Finding]:
    """Whether the answer of the entry point is what the state holds."""
    label = _ANSWERS.get(seen.kind)
    asked = seen.last(label) if label is not None else None
    if label is None or asked is None or seen.cancels:
        return
    told = _last_values(asked) if asked.is_stream else _answered(asked)
    if told is None or seen.state is None or not whole:
        reason = "a run of it did not end well" if not whole else f"{label}: {_why(asked)}"
        yield Finding(AGREE, "not-tested", "the state was not told" if seen.state is None else reason)
        return
    values = {key: value for key, value in told.items() if key != "__interrupt__"}
    if values == seen.state:
        yield Finding(AGREE, "kept")
    else:
        got, wanted = excerpt(json.dumps(values)), excerpt(json.dumps(seen.state))
        yield Finding(AGREE, "broken", f"{label} told {got}, the state is {wanted}")


def _ordered(seen: Seen, piles: Mapping[str, Pile]) -> Iterator[Finding]:
    """Whether the runs of one thread were executed in the order in which they were accepted."""
    if seen.kind != "enqueue":
        return
    accepted = [run.token for run in seen.runs if piles[run.token] == "ended"]
    if seen.state is None or len(accepted) < 2:
        why = "the state was not told" if seen.state is None else "fewer than two of its runs ended"
        yield Finding(IN_ORDER, "not-tested", why)
        return
    said = list(dict.fromkeys(text for _, text in _messages(seen.state) if text in accepted))
    if said == [token for token in accepted if token in said]:
        yield Finding(IN_ORDER, "kept")
    else:
        yield Finding(IN_ORDER, "broken", f"executed as {_numbers(said)}, accepted as {_numbers(accepted)}")


def _own(seen: Seen) -> Iterator[Finding]:
    """Whether no answer holds what belongs to another start."""
    for exchange in seen.trace.exchanges:
        if exchange.label == "delivery":
            other = foreign(exchange.request_body or "", seen.session, seen.token)
        else:
            other = foreign(exchange.content, seen.session, seen.token)
        if other:
            yield Finding(ISOLATED, "broken", f"{exchange.where} holds {other}, of another thread")
            return
    if seen.state is None:
        yield Finding(ISOLATED, "not-tested", "the state was not told")
    else:
        yield Finding(ISOLATED, "kept")


def _told(seen: Seen, piles: Mapping[str, Pile]) -> Iterator[Finding]:
    """Whether each run that ended was told to its webhook, once."""
    if not seen.webhook:
        return
    calls = sum(1 for each in seen.trace.exchanges if each.label == "delivery")
    if any(pile in {"failed", "unknown"} for pile in piles.values()):
        yield Finding(WEBHOOKS, "not-tested", "its run did not end well")
    elif calls == len(piles):
        yield Finding(WEBHOOKS, "kept")
    else:
        yield Finding(WEBHOOKS, "broken", f"{len(piles)} run ended, and its webhook was called {calls} times")


def _listed(exchange: Exchange | None) -> list[dict[str, Any]] | None:
    body = _body(exchange)
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else None


def _values(exchange: Exchange | None) -> dict[str, Any] | None:
    body = _body(exchange)
    values = body.get("values") if isinstance(body, dict) else None
    return values if isinstance(values, dict) else None


def _answered(exchange: Exchange) -> dict[str, Any] | None:
    body = _body(exchange)
    return body if isinstance(body, dict) and "__error__" not in body else None


def _body(exchange: Exchange | None) -> Any:
    """What a whole 2xx answer says; None for any other."""
    if exchange is None or exchange.code is None or not 200 <= exchange.code < 300 or exchange.failure:
        return None
    return _read(exchange.content)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _last_values(exchange: Exchange) -> dict[str, Any] | None:
    """The last values that a whole stream told."""
    if exchange.failure or exchange.closed_by_client:
        return None
    told = [event for event in exchange.events if event.event == "values"]
    values = _read(told[-1].data) if told else None
    return values if isinstance(values, dict) else None


def _messages(state: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Type and content of each message of the state."""
    found = (state or {}).get("messages")
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict):
            yield str(each.get("type")), str(each.get("content"))


def status_of(row: Mapping[str, Any]) -> str:
    """The status of a run, whatever a server may put there, as text."""
    return str(row.get("status"))


def _printable(reason: str) -> str:
    """Half a surrogate pair, which a server may send, cannot be written."""
    return reason.encode("utf-8", "backslashreplace").decode()


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found = row.get("metadata")
    return found if isinstance(found, dict) else {}


def _why(exchange: Exchange | None) -> str:
    """Why an exchange told nothing, in few words that are alike for alike reasons."""
    if exchange is None:
        return "it was not asked for"
    if exchange.code is None:
        return exchange.failure or "no answer"
    return f"answered {exchange.code}" + (f", {exchange.failure}" if exchange.failure else "")


def _named(seen: Seen) -> str:
    return "messages" if seen.kind == "enqueue" else "log"


def _short(steps: Sequence[str]) -> str:
    return "[" + ", ".join(step.rpartition("-")[2] for step in steps) + "]"


def _numbers(tokens: Iterable[str]) -> str:
    return ", ".join(token.rpartition(".")[2] for token in tokens)
