"""How pytest judges: before the first test all scenarios are observed, then every outcome becomes a case.

A case travels as an attribute of pytest's own report, so that it reaches the one process that writes the
reports whether or not `pytest -n` spread the tests over workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from runstone import report as reports
from runstone.errors import ExitCode, RunstoneError
from runstone.judge.coverage import reads_a_part, reads_all, without_judge
from runstone.judge.items import JudgeItem
from runstone.judge.judges import Judge
from runstone.judge.observed import Observed, observed_by
from runstone.judge.tally import Tally, packed_case, unpack_case
from runstone.judge.telling import compared, report_of_case, status_of_case
from runstone.report.assembly import Judged, report_of
from runstone.scenario.scenario import Scenario, Schedule
from runstone.session.session import Session
from runstone.verdict.model import Report


class Judging:
    """The hooks of one session. `open_session` is called when the first requirement was collected.

    `demanding`: whatever the user asked for must have a judge, as all suites that could have one are given
    to pytest. Where users name some of the files themselves, what the others judge is not asked for.
    `reports`: the report is made and written at the end.
    """

    def __init__(self, open_session: Callable[[], Session], *, demanding: bool, reports: bool = True) -> None:
        self._open_session = open_session
        self._demanding = demanding
        self._reports = reports
        self._session: Session | None = None
        self._began = time.monotonic()
        self._worker = False
        self._tally = Tally()
        self.scenarios: dict[str, Scenario] = {}  # those of all judges that were collected, by name
        self.items: list[JudgeItem] = []  # those that were collected and not set aside
        self.judged: Judged | None = None
        self.report: Report | None = None
        self.error: RunstoneError | None = None
        self.interrupted = False
        self.uncollected: list[str] = []
        self.schedules: dict[str, set[Schedule]] = {}  # requirement → those of its scenarios

    @property
    def session(self) -> Session:
        """The session, opened at the first use: a run without requirements needs none."""
        if self._session is None:
            self._session = self._open_session()
        return self._session

    # collection: which requirements, and which scenarios they need

    @property
    def judges(self) -> list[Judge]:
        """Those that were collected and not set aside."""
        return _judges_of(self.items)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        judged = [item for item in items if isinstance(item, JudgeItem)]
        if not judged:
            return
        self._worker = hasattr(config, "workerinput")
        if self._worker:
            config.workeroutput["runstone"] = {}  # type: ignore[attr-defined]  # that there are judges here
            self.session.token = config.workerinput["testrunuid"]  # type: ignore[attr-defined]
        kept: list[JudgeItem] = []
        aside: list[JudgeItem] = []
        for item in judged:
            self._note(item.judge)
            reason = self._reason_to_leave_out(item.judge)
            if reason is None:
                kept.append(item)
            else:
                aside.append(item)
                self._tally.set_aside(item.judge.requirement.id, item.judge.case, reason)
        # Monitors read every trace of the session, so whatever they say comes last.
        others = [item for item in items if not isinstance(item, JudgeItem)]
        items[:] = [*others, *sorted(kept, key=lambda item: item.judge.reads_all)]
        if aside:
            config.hook.pytest_deselected(items=aside)

    def _note(self, judge: Judge) -> None:
        name = judge.requirement.id
        self._tally.collect(name, judge.case)
        self.scenarios |= {each.name: each for each in judge.scenarios}
        self.schedules.setdefault(name, set()).update(each.schedule for each in judge.scenarios)

    def _reason_to_leave_out(self, judge: Judge) -> str | None:
        reasons = (self.session.settings.too_long(each) for each in judge.scenarios)
        too_long = next((reason for reason in reasons if reason is not None), None)
        return self.session.not_asked_for(judge.requirement) or too_long

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """By an option of ours or by pytest's own -k and -m."""
        for judge in _judges_of(items):
            self._tally.set_aside(judge.requirement.id, judge.case, "it was not selected")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = [item for item in session.items if isinstance(item, JudgeItem)]
        self._tally.selected |= {judge.requirement.id for judge in self.judges}
        if self._worker:
            session.config.workeroutput["runstone"] = self._tally.packed()  # type: ignore[attr-defined]

    # observation, once, before the first test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        spoilt = session.testsfailed and not session.config.option.continue_on_collection_errors
        if session.config.option.collectonly or spoilt or not self.judges:
            return
        try:
            self.session.observe(self.wanted(), self.needs.values())
        except RunstoneError as error:
            self.error = error
            pytest.exit(str(error), returncode=error.exit_code)

    def wanted(self) -> list[Scenario]:
        """The scenarios that must be observed for the judges that were collected."""
        wanted = {each.name: each for judge in self.judges for each in judge.scenarios}
        if any(judge.reads_all for judge in self.judges) and reads_all(self.session):
            settings = self.session.settings
            wanted |= {name: each for name, each in self.scenarios.items() if not settings.too_long(each)}
        return list(wanted.values())

    @property
    def needs(self) -> dict[tuple[str, str], list[str]]:
        """By requirement and case of what is judged, the scenarios that it is judged on."""
        return {
            (judge.requirement.id, judge.case): [each.name for each in judge.scenarios]
            for judge in self.judges
        }

    @cached_property
    def observed(self) -> Observed:
        """What there is to judge, once it was observed."""
        narrowed = reads_a_part(self.session, self._tally.collected)
        return observed_by(self.session, self.scenarios, narrowed=narrowed)

    # judging

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run nothing against a target that cannot be judged: no judge can then pass by accident."""
        if not isinstance(item, JudgeItem):
            return None
        if self.session.unusable:
            return True
        item.observed = self.observed
        return None

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        said = compared(op, left, right)
        return None if said is None else [said]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        """Make the report of a judge; that of anything else is pytest's own."""
        if not isinstance(item, JudgeItem) or call.when != "call" or item.judgement is None:
            return None
        judge, case = item.judge, item.judgement.case
        report = report_of_case(item, item.judgement, call)
        unseen = judge.reads_all and self.observed.narrowed and case.verdict == "not-run"
        # It travels to the controller of pytest-xdist.
        report.runstone = packed_case(judge.requirement.id, case, judge.cell, unseen=unseen)  # type: ignore[attr-defined]
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        found: dict[str, Any] | None = getattr(report, "runstone", None)
        return None if found is None else status_of_case(found["case"]["verdict"])

    # reporting

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found: dict[str, Any] | None = getattr(report, "runstone", None)
        if found is None or self._worker:
            return
        if (node := getattr(report, "node", None)) is not None:  # a worker's, which may not live to its end
            self._follow(node)
        unpack_case(found, self._tally)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Of pytest-xdist: learn that the worker found judges, and what it left out.

        Not before, as tests without a requirement need neither a session nor a target.
        """
        told = getattr(node, "workeroutput", {}).get("runstone")
        if told is not None:
            self._follow(node)
            self._tally.unpack(told)

    def _follow(self, node: Any) -> None:
        """Open the session of which one of the workers observes, or has observed, the target."""
        self.session.began = self._began
        self.session.token = node.workerinput["testrunuid"]

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, or an exit that a hook asked for, of which only the first is the user's doing."""
        self.interrupted = excinfo.type is KeyboardInterrupt  # pytest's own `Interrupted` derives from it

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a suite could not be collected."""
        if report.failed:
            last = report.longreprtext.strip().splitlines()[-1:]
            self.uncollected.append(f"{report.nodeid}: {''.join(last)}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._session is None or self._worker or session.config.option.collectonly:
            return
        if self.error is not None:
            session.exitstatus = self.error.exit_code
            return
        if self.uncollected:
            session.exitstatus = ExitCode.HARNESS_ERROR
            return
        if self._session.token:
            self._session.adopt()
        missing = without_judge(self._session, self._tally.collected, demanding=self._demanding)
        self.judged = self._tally.judged(missing)
        if not self._reports:
            return
        self.report = report_of(self._session, self.judged)
        traces, settings = list(self._session.traces.values()), self._session.settings
        reports.write_all(self.report, traces, settings.out, bare=settings.bare_report)
        session.exitstatus = ExitCode.INTERRUPTED if self.interrupted else self.report.exit_code

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.report is None or self._session is None:
            return
        terminalreporter.write_sep("=", "runstone")
        page = StringIO()
        reports.print_summary(
            self.report, Console(file=page, width=100), report_dir=self._session.settings.out
        )
        terminalreporter.write(page.getvalue())


def _judges_of(items: Sequence[pytest.Item]) -> list[Judge]:
    return [item.judge for item in items if isinstance(item, JudgeItem)]
