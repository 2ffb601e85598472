"""The report is a pure function of what was observed, what the judges said, and the measure."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.contracts import Area, Catalogue, Level, Requirement, load_profile
from runstone.contracts.basis import Basis, Changes
from runstone.errors import ExitCode
from runstone.report.assembly import Judged, Measure, Recorded, assemble
from runstone.session.evidence import FORMAT, Manifest
from runstone.session.settings import Settings
from runstone.target.agents import GRAPHS
from runstone.target.capabilities import Capability
from runstone.verdict.model import Case, Observation, Outcome, Phases, Report
from runstone.verdict.waivers import Waiver
from runstone.wire.trace import Trace

NOW = dt.datetime(2026, 11, 28, 12, 0, 0, tzinfo=dt.UTC)
LEVELS: dict[str, Level] = {"A-001": "MUST", "A-002": "SHOULD", "B-001": "MUST"}
AREAS = {"A": "run-wait", "B": "sse"}
CATALOGUE = Catalogue(
    [
        Requirement(id=name, level=level, area=AREAS[name[0]], statement=f"{name} is so", source=("GOAL: x",))
        for name, level in LEVELS.items()
    ],
    [Area(name=area, title=area, order=place) for place, area in enumerate(AREAS.values())],
)
BASIS = Basis(revision="2026.11", catalogue="1" * 64, suites="2" * 64, graphs={}, judging="3" * 64)
SETTINGS = Settings(profile=load_profile("langgraph"), out=Path("out"))
MANIFEST = Manifest(
    format=FORMAT,
    runstone="0.1.0",
    profile="langgraph",
    basis=BASIS,
    target="here",
    url="http://127.0.0.1:1",
    server="it 1",
    started_at="2026-11-28T11:00:00+00:00",
    observe_s=2.5,
    complete=True,
)
PASSED: dict[str, Outcome] = dict.fromkeys(LEVELS, "pass")


def report(
    verdicts: dict[str, Outcome] | None = None,
    *,
    manifest: Manifest | None = MANIFEST,
    waivers: tuple[Waiver, ...] = (),
    selected: frozenset[str] = frozenset(LEVELS),
    set_aside: dict[str, str] | None = None,
    changes: Changes | None = None,
    **settings: Any,
) -> Report:
    """The report in which each requirement has one case with this verdict; all pass by default."""
    cases = {name: [Case(case="", verdict=each)] for name, each in (verdicts or PASSED).items()}
    measure = Measure(
        settings=replace(SETTINGS, **settings),
        catalogue=CATALOGUE,
        basis=BASIS,
        changes=changes,
        waivers=waivers,
    )
    judged = Judged(cases=cases, cells={}, selected=selected, set_aside=set_aside or {})
    recorded = Recorded(manifest=manifest, traces={"one": Trace(scenario="one")})
    return assemble(measure, recorded, judged, judge_s=0.25, now=NOW)


def changed(**fields: Any) -> Manifest:
    return msgspec.structs.replace(MANIFEST, **fields)


def verdicts_of(found: Report) -> dict[str, str]:
    return {each.id: each.verdict for each in found.verdicts}


def test_all_kept_is_conforming() -> None:
    found = report()
    assert (found.exit_code, found.conforming, found.complete, found.stopped) == (0, True, True, None)
    assert (found.started_at, found.duration_s) == ("2026-11-28T11:00:00+00:00", 2.75)
    assert (found.target.name, found.target.server) == ("here", "it 1")
    assert found.totals == {"MUST": {"pass": 2}, "SHOULD": {"pass": 1}, "MAY": {}}
    assert (found.judged_by, found.observed_by, found.changes) == (BASIS, BASIS, None)


def test_phases_sum_to_the_duration() -> None:
    found = report(manifest=changed(prepare_s=1.0, observe_s=10.25, confirm_s=3.5, clean_s=0.5))
    assert found.phases == Phases(prepare_s=1.0, observe_s=10.25, confirm_s=3.5, clean_s=0.5, judge_s=0.25)
    assert found.duration_s == 15.5


def test_what_the_manifest_tells_of_the_observation_is_in_the_report() -> None:
    again = {"one@2": "A-001"}
    told = {"capacity": 4, "findings": ("it lost a worker",), "left": ("thread a: no",), "again": again}
    assert report(manifest=changed(**told)).observation == Observation(**told)  # type: ignore[arg-type]
    assert report(manifest=None).observation == Observation()


def test_the_same_again_is_the_same_report() -> None:
    assert report() == report()


def test_what_was_selected_and_not_judged_is_never_conforming() -> None:
    found = report({"A-001": "pass", "A-002": "pass"})
    assert (found.exit_code, found.complete) == (ExitCode.NOT_CONFORMING, False)
    assert found.stopped == "1 requirement was not judged, B-001 first"
    assert verdicts_of(found)["B-001"] == "not-run"


def test_what_the_user_left_out_is_not_missed() -> None:
    found = report({"A-001": "pass", "A-002": "pass"}, set_aside={"B-001": "it was not selected"})
    assert (found.exit_code, found.complete) == (0, True)
    (left_out,) = [each.cases[0] for each in found.verdicts if each.id == "B-001"]
    assert (left_out.verdict, left_out.reason) == ("not-run", "it was not selected")


def test_an_area_that_was_not_selected_says_so() -> None:
    found = report({"A-001": "pass"}, areas=("run-wait",), selected=frozenset({"A-001"}))
    reasons = {each.id: each.cases[0].reason for each in found.verdicts}
    assert reasons["B-001"] == "its area was not selected"
    assert reasons["A-002"] == "its suite was not collected"


def test_evidence_of_a_part_is_named_where_more_was_to_be_judged() -> None:
    found = report({"A-001": "pass", "A-002": "pass"}, manifest=changed(areas=("run-wait",)))
    assert found.stopped == "1 requirement was not judged, B-001 first (only --area run-wait was observed)"


def test_an_observation_that_was_broken_off_is_not_complete() -> None:
    found = report(manifest=changed(stopped="interrupted", complete=False))
    assert (found.exit_code, found.complete, found.stopped) == (1, False, "interrupted")


@pytest.mark.parametrize("unusable", ["unreachable", "unfit"])
def test_a_target_that_cannot_be_judged_is_3_whatever_was_judged(unusable: str) -> None:
    found = report(
        {**PASSED, "A-001": "harness-error"}, manifest=changed(unusable=unusable, stopped="it is gone")
    )
    assert found.exit_code == ExitCode.UNREACHABLE


def test_without_any_observation_nothing_is_known_of_the_target() -> None:
    found = report({}, manifest=None)
    assert (found.exit_code, found.complete, found.stopped) == (1, False, "nothing was observed")
    assert (found.target.name, found.started_at) == ("unknown", "2026-11-28T12:00:00+00:00")


def test_a_waiver_is_applied_on_its_last_day_and_not_after() -> None:
    waiver = Waiver(requirement="A-001", reason="r", owner="us", expires=NOW.date(), link="l")
    broken: dict[str, Outcome] = {**PASSED, "A-001": "fail"}
    assert report(broken, waivers=(waiver,)).exit_code == 0
    yesterday = msgspec.structs.replace(waiver, expires=NOW.date() - dt.timedelta(days=1))
    found = report(broken, waivers=(yesterday,))
    assert (found.exit_code, len(found.waiver_errors)) == (1, 1)


def test_a_requirement_that_the_profile_excludes_is_not_applicable() -> None:
    profile = msgspec.structs.replace(SETTINGS.profile, excludes=("B-*",))
    found = report(
        {"A-001": "pass", "A-002": "pass"}, profile=profile, selected=frozenset({"A-001", "A-002"})
    )
    assert verdicts_of(found)["B-001"] == "not-applicable"
    assert found.exit_code == 0


def test_what_the_evidence_was_observed_by_is_told_beside_what_judged_it() -> None:
    older = msgspec.structs.replace(BASIS, revision="2026.10")
    found = report(manifest=changed(basis=older), changes=Changes(new=("A-001",)))
    assert (found.judged_by, found.observed_by, found.changes) == (BASIS, older, Changes(new=("A-001",)))
    assert report(manifest=changed(basis=None)).observed_by is None


def test_an_agent_has_its_share() -> None:
    capabilities = {GRAPHS: Capability(declared=False, reason="it needs the graphs")}
    manifest = changed(agent="mine", capabilities=capabilities)
    found = report({**PASSED, "B-001": "not-applicable"}, manifest=manifest)
    assert found.agent is not None
    assert (found.agent.assistant, found.agent.judged) == ("mine", 2)
