"""A load judged again, offline, by the functions that judged it while it went on.

Each recording is judged again, the sweep too; the thirds are compared again, and whether the load was the one
that was planned is decided again, of what was counted. What was counted of runs that no recording is left of
is taken as it was recorded: nobody can count it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from runstone.load.invariants import BY_START, NOBODY_STUCK, NOTE, STEADY, judged
from runstone.load.model import Broken, Invariant, Load
from runstone.load.outcome import late_generator, outcome_of
from runstone.load.steadiness import steady
from runstone.load.sweep import NAME, invariants_of
from runstone.wire.trace import Trace


def contradicted(load: Load, traces: Mapping[str, Trace]) -> str:
    """The first thing that shows something else than is said of it; '' where all agree.

    `traces`: of the starts that are kept in full, and of the sweep.
    """
    try:
        return next(_contradictions(load, traces), "")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"a recording is not as a load writes it ({type(error).__name__}: {error})"


def _contradictions(load: Load, traces: Mapping[str, Trace]) -> Iterator[str]:
    for sample in load.samples:
        if sample.trace not in traces:
            yield f"it names the recording {sample.trace}, and there is none"
    for name in sorted(traces.keys() - {NAME} - {sample.trace for sample in load.samples}):
        yield f"there is a recording {name}, which it does not name"
    for name, trace in traces.items():
        if any(each.scenario != name for each in trace.exchanges):
            yield f"{name} holds exchanges of another recording"
    by_id = {each.id: each for each in load.invariants}
    yield from _of_starts(load, traces, by_id)
    yield from _of_the_sweep(traces.get(NAME), by_id)
    again, said = steady(load.windows, late_generator(load.figures, load.workers)), by_id.get(STEADY)
    if again != said:
        yield f"its windows show {STEADY} {_verdict(again)}, and it says {_verdict(said)}"
    if (outcome := outcome_of(load)) != load.outcome:
        yield f"its counts show that it is {outcome.kind}, and it says {load.outcome.kind}"


def _of_starts(load: Load, traces: Mapping[str, Trace], by_id: Mapping[str, Invariant]) -> Iterator[str]:
    """Whether each start that is kept in full broke what is said of it, for the reason that is told."""
    shown: dict[str, set[Broken]] = {name: set() for name in BY_START}
    for sample in load.samples:
        broken = judged(traces[sample.trace]).broken
        if sorted(broken) != sorted(sample.broken):
            yield f"{sample.trace} shows {_told(broken)} broken, and it says {_told(sample.broken)}"
        for name, reason in broken.items():
            shown[name].add(
                Broken(token=sample.token, kind=sample.kind, at=sample.at, reason=reason, trace=sample.trace)
            )
    for name, recorded in shown.items():
        said = by_id.get(name)
        if {each for each in (said.samples if said else ()) if each.trace} != recorded:
            yield f"the recordings show {name} broken in other places, or for other reasons, than it says"
        elif recorded and (said is None or said.broken < len(recorded)):
            yield f"the recordings show {name} broken by more starts than it counted"


def _of_the_sweep(trace: Trace | None, by_id: Mapping[str, Invariant]) -> Iterator[str]:
    """Whether what was looked at when all was over shows what is said of it."""
    stuck = by_id.get(NOBODY_STUCK)
    made: int | None = None if trace is None else trace.notes[NOTE]["made"]
    if made is None:  # not all workers told how many threads they made
        made = 0 if stuck is None else stuck.kept + stuck.broken
    for again in invariants_of(trace, made, at=0.0):
        said = by_id.get(again.id)
        if said is None or _without_time(said) != again:
            yield f"{NAME} shows {again.id} {_verdict(again)}, and it says {_verdict(said)}"


def _without_time(said: Invariant) -> Invariant:
    samples = tuple(msgspec.structs.replace(each, at=0.0) for each in said.samples)
    return msgspec.structs.replace(said, samples=samples)


def _verdict(invariant: Invariant | None) -> str:
    if invariant is None:
        return "not judged"
    return "broken" if invariant.broken else "kept" if invariant.kept else "not tested"


def _told(ids: Mapping[str, str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(ids)) or "nothing"
