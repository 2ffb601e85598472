"""load.html: a load on one self-contained page that loads nothing and runs no script but its own.

Charts are SVG drawn here, their numbers in tables below; recordings are drawn when they are unfolded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from markupsafe import Markup

from runstone.load.charts import charts_of
from runstone.load.model import MOST_BROKEN, Invariant, Load
from runstone.report import digest, remarks
from runstone.report.drawing import HEIGHT, WIDTH
from runstone.report.html import page_style
from runstone.report.proof import ShownExchange, brief_exchange, inert_json, shown_exchange
from runstone.report.templates import environment
from runstone.report.text import counted, for_terminal, shortened
from runstone.verdict.model import Report, Verdict
from runstone.wire.trace import Trace

_BUDGET: Final = 1_600_000  # bytes of embedded recordings: the page stays below 3 MB
_REASON: Final = 600  # characters
_ERRORS: Final = 20
_SHOWN: Final = 20  # starts that broke one promise; the others are in load.json


class _Recordings(msgspec.Struct, frozen=True):
    """The exchanges that the page embeds, and by trace the places of its own."""

    exchanges: list[ShownExchange]
    traces: dict[str, list[int]]


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """One promise as the page shows it. `seen`: what was counted; None where the load did not look."""

    verdict: Verdict
    seen: Invariant | None


def to_html(load: Load, report: Report, traces: Mapping[str, Trace]) -> str:
    """The page of a load. `report`: what it was judged as; `traces`: the recordings by name."""
    template = environment(autoescape=True, finalize=_shown).get_template("load.html.j2")
    return template.render(
        load=load,
        report=report,
        promises=_promises(load, report),
        charts=charts_of(load),
        standing=standing(load, report),
        digest=digest,
        remarks=remarks.remarks(report),
        random=[each for each in load.samples if not each.broken],
        recorded=frozenset(traces),
        errors=sorted(load.errors.items(), key=lambda each: -each[1])[:_ERRORS],
        counted=counted,
        duration=duration,
        megabytes=lambda size: f"{size / 1_000_000:,.0f} MB",
        shortened=lambda text: shortened(text, _REASON),
        most_shown=_SHOWN,
        most_recorded=MOST_BROKEN,
        width=WIDTH,
        height=HEIGHT,
        **page_style(["report.css", "charts.css", "load.css"], "page.js", "exchanges.js", "load.js"),
        data=Markup(inert_json(_recordings(load, traces)).decode()),  # noqa: S704 - made inert
    )


def standing(load: Load, report: Report) -> str:
    """`Kept`, `Broken`, or that there is no verdict."""
    if digest.conforms(report):
        return "Kept"
    if digest.failing(report):
        return "Broken"
    return "Not in order" if load.outcome.kind == "whole" else "No verdict"


def duration(seconds: float) -> str:
    """`45 s`, `10 min`, `8 h`."""
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _promises(load: Load, report: Report) -> list[Promise]:
    seen = {each.id: each for each in load.invariants}
    return [Promise(verdict=each, seen=seen.get(each.id)) for each in report.verdicts]


def _recordings(load: Load, traces: Mapping[str, Trace]) -> _Recordings:
    """Those of broken starts first, as long as there is room; of the others the first lines."""
    known = {exchange.key: exchange for trace in traces.values() for exchange in trace.exchanges}
    exchanges: list[ShownExchange] = []
    places: dict[str, list[int]] = {}
    spent = 0
    broken = (each.trace for promise in load.invariants for each in promise.samples)
    for name in dict.fromkeys([*broken, *(each.trace for each in load.samples)]):
        if name not in traces:
            continue
        places[name] = []
        for key in (each.key for each in traces[name].exchanges):
            entry = shown_exchange(known, key) if spent < _BUDGET else brief_exchange(known, key)
            spent += len(inert_json(entry))
            places[name].append(len(exchanges))
            exchanges.append(entry)
    return _Recordings(exchanges, places)


def _shown(value: Any) -> Any:
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value
