"""pytest over the suites, in this process: to judge what a session observes, or only to list its judges."""

from __future__ import annotations

import datetime as dt
import gc
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from io import StringIO

import pytest
from platformdirs import user_cache_path

from runstone.judge.confirmation import (
    BROKEN,
    Doubt,
    Look,
    confirmed,
    doubts,
    heard_out,
    one_run_per_cause,
    scenarios_in,
)
from runstone.judge.coverage import SuitesBroken, suite_files
from runstone.judge.hooks import Judging
from runstone.judge.items import JudgeItem
from runstone.judge.judges import Judge
from runstone.judge.observed import Observed, observed_by
from runstone.judge.running import run
from runstone.judge.side_by_side import pays, side_by_side
from runstone.locations import locate
from runstone.report import write_all
from runstone.report.assembly import Judged, report_of
from runstone.scenario.progress import Step
from runstone.scenario.scenario import Scenario, Schedule
from runstone.session.plan import Plan, plan_of
from runstone.session.session import Session
from runstone.verdict.model import Report
from runstone.wire.exchange import excerpt, let_go_of_long_ones


@contextmanager
def _alone() -> Iterator[None]:
    """pytest as Runstone knows it: without the plugins and the options of the surrounding project."""
    kept = {name: os.environ.get(name) for name in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS")}
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def _compiled_suites_kept() -> Iterator[None]:
    """Let pytest keep its compiled suites in the user's cache: rewriting their asserts again takes over 1 s.

    They are not kept beside the suites, which may be read-only, or in a tree that shall stay clean.
    """
    kept = sys.dont_write_bytecode, sys.pycache_prefix
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(user_cache_path("runstone") / "pycache")
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = kept


@contextmanager
def _collecting(when: bool) -> Iterator[None]:
    """Let garbage be collected or not for the time of the block, and afterwards as before.

    The answers of a session are a million objects that live to its end; looking at them again and again took
    a fifth of the time of judging.
    """
    before = gc.isenabled()
    (gc.enable if when else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()


class _Straight:
    """How judges are run here: with nothing around them, and by two processes where that is sooner done."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._reports: list[pytest.TestReport] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        gc.collect()  # after the observation, which makes garbage: 8 MB by its end
        gc.disable()
        if session.testsfailed or session.config.option.collectonly or self._judging.session.unusable:
            return None
        # Monitors read everything, and take longest: neither process is to wait for the other's last one.
        items = sorted(self._judging.items, key=lambda item: not item.judge.reads_all)

        def judge(place: int) -> pytest.TestReport:
            item = items[place]
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            return self._reports.pop()

        def tell(report: pytest.TestReport) -> None:
            session.config.hook.pytest_runtest_logreport(report=report)

        if pays(len(items)) and not self._judging.session.settings.one_process:
            side_by_side(len(items), judge, tell)
        else:
            for place in range(len(items)):
                tell(judge(place))
        return True

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Call a judge, which needs no setup and no teardown: pytest's own ways to them take 0.2 s."""
        if not isinstance(item, JudgeItem):
            return None
        leave = KeyboardInterrupt, pytest.exit.Exception
        call = pytest.CallInfo.from_call(item.runtest, when="call", reraise=leave)
        self._reports.append(item.ihook.pytest_runtest_makereport(item=item, call=call))
        return True


def judge(session: Session) -> Report:
    """Run the suites in this process and write the reports to the session's `out`.

    Raises KeyboardInterrupt after Ctrl-C, once everything observed is written; RunstoneError for a diagnosis
    of the session; SuitesBroken when pytest itself could not run them.
    """
    judging, judged = _judged(session)
    let_go_of_long_ones()
    with _collecting(False):
        report = report_of(session, judged)
        bare = session.settings.bare_report
        write_all(report, list(session.traces.values()), session.settings.out, bare=bare)
    if judging.interrupted:
        raise KeyboardInterrupt
    return report


def observe_shard(session: Session) -> None:
    """Observe a shard, and once more what seems broken in it; what was judged for that is told to nobody.

    Raises as `judge` does.
    """
    judging, _ = _judged(session)
    if judging.interrupted:
        raise KeyboardInterrupt


def _judged(session: Session) -> tuple[Judging, Judged]:
    with session:
        judging, said, _ = _run_suites(session)
        if judging.judged is None:
            raise SuitesBroken(f"the suites in {locate('suites')} cannot be run: {excerpt(said, 600)}")
        judged = judging.judged if judging.interrupted else _confirmed(session, judging, judging.judged)
        session.clean_up(_behind_what_is_broken(judging, judged))
    return judging, judged


def _behind_what_is_broken(judging: Judging, judged: Judged) -> set[str]:
    """The scenarios that cases which are not kept were judged on."""
    broken = [
        (name, case)
        for name, several in judged.cases.items()
        for case in several
        if case.verdict in BROKEN | {"flaky"}
    ]
    needs = judging.needs
    needed = {each for name, case in broken for each in needs.get((name, case.case), ())}
    return needed | {each for _, case in broken for each in scenarios_in(case)}


def _confirmed(session: Session, judging: Judging, judged: Judged) -> Judged:
    """What was judged, with what seemed broken judged once more on a second observation, or on a third."""
    today = dt.datetime.now(dt.UTC).date()
    doubted = doubts(judged.cases, judging.needs, session.waivers, today) if session.confirms else []
    looks = {each: [Look(each.case, session.disturbed(each.scenarios, 1))] for each in doubted}
    of_agent = session.manifest is not None and bool(session.manifest.agent)
    if doubted:
        _look_again(session, judging, looks, one_run_per_cause(doubted) if of_agent else doubted, 2)
    if disturbed := [each for each in doubted if len(looks[each]) == 2 and not looks[each][1].settles]:
        _look_again(session, judging, looks, [] if of_agent else disturbed, 3)
    settled = {(each.requirement, each.case.case): confirmed(*seen) for each, seen in looks.items()}
    cases = {
        name: [settled.get((name, case.case), case) for case in several]
        for name, several in judged.cases.items()
    }
    cells = {
        cell: [(name, settled.get((name, case.case), case)) for name, case in several]
        for cell, several in judged.cells.items()
    }
    return replace(judged, cases=cases, cells=cells)


def _look_again(
    session: Session,
    judging: Judging,
    looks: Mapping[Doubt, list[Look]],
    chosen: Sequence[Doubt],
    attempt: int,
) -> None:
    """Observe what is in doubt at this attempt; each doubt gets the look at it, if it was reached."""
    wanted = [(each.scenarios, each.requirement) for each in chosen]
    reached = session.observe_again(wanted, judging.scenarios, attempt)
    session.progress(Step(doing="judging"))
    observed = observed_by(session, judging.scenarios, attempt=attempt, narrowed=True)
    judges = {(judge.requirement.id, judge.case): judge for judge in judging.judges}
    for doubt, seen in looks.items():
        if len(seen) == attempt - 1 and reached.issuperset(doubt.scenarios):
            judge = judges[doubt.requirement, doubt.case.case]
            own = _of_a_monitor(session, observed, doubt, attempt) if judge.reads_all else observed
            case = run(judge, own).case
            if case.verdict in BROKEN | {"pass"}:
                seen.append(Look(case, session.disturbed(doubt.scenarios, attempt)))


def _of_a_monitor(session: Session, observed: Observed, doubt: Doubt, attempt: int) -> Observed:
    """What was observed at this attempt where the monitor was broken."""
    earlier = [session.seen(number) for number in range(1, attempt)]
    traces = {
        name: heard_out(observed.traces[name], [each[name] for each in earlier if name in each])
        for name in doubt.scenarios
    }
    return replace(observed, traces=traces)


def collect(session: Session) -> Mapping[str, Collection[Schedule]]:
    """Import the suites into this process and run none; answers the schedules of each one's scenarios.

    They are by requirement. Processes that are forked from this one find the suites imported. Raises
    SuitesBroken.
    """
    return _collected(session).schedules


def collect_judges(session: Session) -> tuple[list[Judge], Mapping[str, Scenario]]:
    """Import the suites into this process and run none.

    Answers every judge that the session would run, and the scenarios of all judges by name. Raises
    SuitesBroken.
    """
    judging = _collected(session)
    return judging.judges, judging.scenarios


def plan(session: Session) -> Plan:
    """What a check in this session would do. Raises SuitesBroken, and what `plan_of` raises."""
    judging = _collected(session)
    scenarios = session.share_of(judging.wanted(), judging.needs.values())
    own = {each.name for each in scenarios}
    judged = {case: names for case, names in judging.needs.items() if own.issuperset(names)}
    return plan_of(session, scenarios, judged)


def _collected(session: Session) -> Judging:
    judging, said, code = _run_suites(session, "--collect-only")
    if code != pytest.ExitCode.OK:
        raise SuitesBroken(f"the suites in {locate('suites')} cannot be collected: {excerpt(said, 600)}")
    return judging


def _run_suites(session: Session, *options: str) -> tuple[Judging, str, int]:
    """pytest over all suites, in this process: what it printed, and its exit code. Raises as `judge` does."""
    judging = Judging(lambda: session, demanding=True, reports=False)
    suites = str(locate("suites"))
    # Judges open nothing that could be left open; looking for it collects all garbage five times. They print
    # and log nothing; none is skipped, nor tried again. Locust, of the extra `load`, has options of its own.
    own = ("terminal", "cacheprovider", "unraisableexception", "logging", "skipping")
    unwanted = (*own, "locust", "rerunfailures")
    without = [word for name in unwanted for word in ("-p", f"no:{name}")]
    quiet = [*without, "--capture=no", "-c", os.devnull, "--rootdir", suites]
    loaded = ["--confcutdir", suites, "--import-mode=importlib", "-p", "runstone.plugin", "-W", "error"]
    output = StringIO()
    words = [*quiet, *loaded, *options, *map(str, suite_files(session))]
    with _alone(), _compiled_suites_kept(), redirect_stdout(output), _collecting(gc.isenabled()):
        code = pytest.main(words, plugins=[judging, _Straight(judging)])
    if judging.error is not None:
        raise judging.error
    if judging.uncollected:
        raise SuitesBroken(f"the suites in {suites} cannot be run: {judging.uncollected[0]}")
    return judging, output.getvalue(), code
