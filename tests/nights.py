"""Nights for the tests of a history: real reports, broken as the kill matrix saw real faults break them."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from runstone import report as reports
from runstone.locations import CHECKOUT
from runstone.trend import Night, night_of
from runstone.verdict.model import Case, Outcome, Report, Verdict, fails_target

PUBLISHED: Final = CHECKOUT / "reports/published"
FIRST: Final = dt.datetime(2026, 9, 1, 2, 17, tzinfo=dt.UTC)


@cache
def published(target: str = "embedded") -> Report:
    """The report of a known server."""
    return reports.read(PUBLISHED / target)


@cache
def faults() -> dict[str, dict[str, tuple[Outcome, str]]]:
    """Fault → what it did to requirements: verdict and reason."""
    matrix = msgspec.json.decode(gzip.decompress((PUBLISHED / "kill-matrix.json.gz").read_bytes()))
    return {
        each["name"]: {hit["id"]: (hit["verdict"], hit["reason"]) for hit in each["hits"]}
        for each in matrix["faults"]
    }


@cache
def single_faults() -> list[tuple[str, str]]:
    """Faults that made one MUST fail and touched nothing else, and which; no two of the same one."""
    must = {each.id for each in published().verdicts if each.level == "MUST" and each.verdict == "pass"}
    found = {
        id_: name
        for name, hits in faults().items()
        for id_, (outcome, _) in hits.items()
        if len(hits) == 1 and outcome == "fail" and id_ in must
    }
    return [(name, id_) for id_, name in sorted(found.items())]


def on(index: int) -> dt.datetime:
    """When the night of this number was."""
    return FIRST + dt.timedelta(days=index)


def report(
    index: int,
    *planted: str,
    server: str = "server 1.0",
    target: str = "embedded",
    outcomes: Mapping[str, Outcome] | None = None,
    **changes: Any,
) -> Report:
    """The report of a night on which the server had these faults. `outcomes`: what other ids resulted in."""
    hits = {id_: hit for name in planted for id_, hit in faults()[name].items()}
    hits |= {id_: (outcome, f"{outcome} on night {index}") for id_, outcome in (outcomes or {}).items()}
    real = published(target)
    verdicts = tuple(_hit(each, *hits[each.id]) if each.id in hits else each for each in real.verdicts)
    broken = any(fails_target(each, real.fail_on) for each in verdicts)
    return msgspec.structs.replace(
        real,
        started_at=on(index).isoformat(),
        verdicts=verdicts,
        exit_code=int(broken),
        conforming=not broken,
        target=msgspec.structs.replace(real.target, server=server),
        **changes,
    )


def night(index: int, *planted: str, **changes: Any) -> Night:
    """The line of such a report."""
    return night_of(report(index, *planted, **changes))


def closed(index: int) -> Night:
    """A night on which the server did not answer."""
    outcomes: dict[str, Outcome] = {each.id: "not-run" for each in published().verdicts}
    made = night(index, server="", outcomes=outcomes)
    said = "http://127.0.0.1:2024 does not answer (connection refused)"
    return msgspec.structs.replace(made, exit_code=3, stopped=said, reasons={})


def _hit(verdict: Verdict, outcome: Outcome, reason: str) -> Verdict:
    return msgspec.structs.replace(
        verdict, verdict=outcome, cases=(Case(case="", verdict=outcome, reason=reason),)
    )
