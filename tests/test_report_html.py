"""report.html as a file: how large it is, what it embeds and how often, where its links lead."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from runstone import report as reports
from runstone.report.html import cell_target, consequence
from runstone.report.proof import gather
from runstone.target.capabilities import Capability
from runstone.verdict.model import Case, Report, Verdict, totals_by_area, totals_by_level
from runstone.wire.exchange import Event
from runstone.wire.trace import Trace
from tests.example_reports import example, exchange


@pytest.fixture(scope="module")
def report() -> Report:
    return example("every-verdict")


def many(requirements: int, content: str) -> tuple[list[Verdict], list[Trace]]:
    verdicts, traces = [], []
    for number in range(requirements):
        name = f"scenario_{number}"
        keys = tuple(f"{name}#{position}" for position in (1, 2, 3))
        cases = tuple(
            Case(case=case, verdict="pass", exchanges=keys, curl=("curl -sS -i " + "x" * 300,))
            for case in ("wait", "stream")
        )
        verdicts.append(
            Verdict(
                id=f"A-{number}",
                level="MUST",
                area="a",
                statement="s" * 90,
                source=("o",),
                verdict="pass",
                cases=cases,
            )
        )
        own = tuple(exchange(name, position, content=content) for position in (1, 2, 3))
        traces.append(Trace(scenario=name, exchanges=own))
    return verdicts, traces


def test_page_of_200_requirements_and_600_exchanges_stays_below_3_megabytes(report: Report) -> None:
    verdicts, traces = many(200, '{"a":"' + "<&>" * 2_000 + '"}')
    broken = msgspec.structs.replace(verdicts[-1], verdict="fail")
    judged = (*verdicts[:-1], broken)
    large = msgspec.structs.replace(
        report, verdicts=judged, totals=totals_by_level(judged), areas=totals_by_area(judged)
    )
    proof = gather(large, traces)
    assert len(reports.to_html(large, traces).encode()) < 3_000_000
    assert not any(shown.brief for shown in proof.exchanges[:3])  # the broken one's come first, whole
    assert proof.exchanges[0].key == "scenario_199#1"
    assert any(shown.brief for shown in proof.exchanges)
    assert sum(len(places) + left for places, left in proof.cases["A-0"]) == 6


def test_an_exchange_is_embedded_once(report: Report) -> None:
    verdicts, traces = many(3, "{}")
    proof = gather(msgspec.structs.replace(report, verdicts=tuple(verdicts)), traces)
    assert len(proof.exchanges) == 9
    assert proof.cases["A-1"] == [([3, 4, 5], 0), ([3, 4, 5], 0)]


def test_lone_surrogates_reach_no_file(report: Report, tmp_path: Path) -> None:
    odd = "\ud800 half a pair"
    event = Event(event=odd, data=odd, at=0.1, id=odd)
    trace = Trace(
        scenario="errors", exchanges=(exchange("errors", 2, content=odd, events=(event,), request_body=odd),)
    )
    reports.write_all(report, [trace], tmp_path)
    data = re.search(r'id="proof">(.*?)</script>', (tmp_path / "report.html").read_text("utf-8"), re.DOTALL)
    assert data is not None
    shown = next(entry for entry in json.loads(data[1])["exchanges"] if entry["key"] == "errors#2")
    assert shown["events"][0]["data"]["text"] == "\\ud800 half a pair"


def test_a_capability_says_what_follows() -> None:
    assert consequence(Capability()) == "not applicable"
    assert consequence(Capability(declared=False, probed=False)) == "not applicable"
    assert consequence(Capability(declared=True, probed=True)) == "judged"
    assert consequence(Capability(declared=True, probed=False)) == "judged, and bound to fail"
    assert consequence(Capability(declared=False, probed=True)) == "judged, because found"


def test_a_cell_leads_to_the_requirement_that_decided_it(report: Report) -> None:
    assert cell_target(report, "error", "stateless_wait") == "PARITY-005"
    assert cell_target(report, "success", "background") == "PARITY-001"
    assert cell_target(report, "success", "by pigeon") == ""
