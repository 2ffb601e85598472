"""Recordings of a load judged again, offline, by the functions that judged them while it went on."""

from __future__ import annotations

from collections.abc import Mapping

from runstone.load.invariants import judged
from runstone.load.model import Load
from runstone.load.sweep import NAME, judged_sweep
from runstone.wire.trace import Trace


def contradicted(load: Load, traces: Mapping[str, Trace]) -> str:
    """The first recording that shows something else than load.json says of it; '' where all agree."""
    for sample in load.samples:
        if (trace := traces.get(sample.trace)) is None:
            return f"load.json names the recording {sample.trace}, and there is none"
        found = sorted(judged(trace).broken)
        if found != sorted(sample.broken):
            return f"{sample.trace} shows {_told(found)} broken, and load.json says {_told(sample.broken)}"
    if (swept := traces.get(NAME)) is not None:
        known = {each.id for each in load.invariants if each.broken}
        for each in judged_sweep(swept):
            if each.verdict == "broken" and each.id not in known:
                return f"{NAME} shows {each.id} broken, and load.json does not"
    return ""


def _told(ids: list[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(ids)) or "nothing"
