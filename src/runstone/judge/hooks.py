"""How pytest judges: before the first test all scenarios are observed, then every outcome becomes a case.

A case travels as an attribute of pytest's own report, so that it reaches the one process that writes the
reports whether or not `pytest -n` spread the tests over workers.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from runstone import report as reports
from runstone.contracts import Requirement
from runstone.errors import ExitCode, RunstoneError
from runstone.judge.cases import case_of, compared, failure_text, pytest_outcome, tell_allure
from runstone.locations import locate
from runstone.report.assembly import Judged, report_of
from runstone.scenario.scenario import SCENARIO_ATTRIBUTE, Scenario
from runstone.session.session import Session
from runstone.suite import Broken, judging_by
from runstone.verdict.model import Case, Report
from runstone.wire.exchange import Exchange, reading
from runstone.wire.trace import Inapplicable, Names, knowing

_MARK = re.compile(r'^@requirement\("([^"]+)"\)', re.MULTILINE)
_READ = pytest.StashKey[list[Exchange]]()
_LETTERS: dict[str, tuple[str, str]] = {
    "pass": (".", "PASS"),
    "fail": ("F", "FAIL"),
    "flaky": ("f", "FLAKY"),
    "warn": ("w", "WARN"),
    "not-testable": ("t", "NOT-TESTABLE"),
    "not-applicable": ("-", "NOT-APPLICABLE"),
    "not-run": ("n", "NOT-RUN"),
    "harness-error": ("E", "HARNESS-ERROR"),
}


JUDGING = pytest.StashKey["Judging"]()


class Judging:
    """The hooks of one session. `open_session` is called when the first requirement was collected.

    `demanding`: whatever the user asked for must have a judge, as all suites that could have one are given
    to pytest. Where users name some of the files themselves, what the others judge is not asked for.
    `reports`: the report is made and written at the end. `again`: only these cases, by id and name, are
    judged.
    """

    def __init__(
        self,
        open_session: Callable[[], Session],
        *,
        demanding: bool,
        reports: bool = True,
        again: Collection[tuple[str, str]] | None = None,
    ) -> None:
        self._open_session = open_session
        self._demanding = demanding
        self._reports = reports
        self._again = again
        self._session: Session | None = None
        self._began = time.monotonic()
        self._worker = False
        self._collected: dict[str, Scenario] = {}
        self._cases: defaultdict[str, list[Case]] = defaultdict(list)
        self._cells: defaultdict[tuple[str, str], list[tuple[str, Case]]] = defaultdict(list)
        self._selected: set[str] = set()
        self._collected_ids: set[str] = set()
        self._set_aside: defaultdict[str, dict[str, str]] = defaultdict(dict)  # id → case → why
        self.judged: Judged | None = None
        self.scenarios: dict[str, Scenario] = self._collected
        self.needs: dict[tuple[str, str], list[str]] = {}  # id and case → the scenarios it is judged on
        self.report: Report | None = None
        self.error: RunstoneError | None = None
        self.interrupted = False
        self.uncollected: list[str] = []
        self.waits: dict[str, float] = {}  # id → seconds that its longest scenario must wait
        self.items: list[pytest.Item] = []  # the judges that were collected and not set aside

    @property
    def session(self) -> Session:
        """The session, opened at the first use: a run without requirements needs none."""
        if self._session is None:
            self._session = self._open_session()
        return self._session

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[JUDGING] = self

    # collection: which requirements, and which scenarios they need

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        judges = [item for item in items if item.get_closest_marker("requirement")]
        if not judges:
            return
        self._worker = hasattr(config, "workerinput")
        if self._worker:
            config.workeroutput["runstone"] = {}  # type: ignore[attr-defined]  # that there are judges here
            self.session.token = config.workerinput["testrunuid"]  # type: ignore[attr-defined]
        kept, aside = [], []
        self._collected_ids = {_requirement_id(item) for item in judges}
        for item in judges:
            scenarios = self._scenarios_of(item)
            self._collected |= {each.name: each for each in scenarios}
            self.needs[_requirement_id(item), _case_name(item)] = [each.name for each in scenarios]
            waits = [self.waits.get(_requirement_id(item), 0.0), *(each.schedule.waits for each in scenarios)]
            self.waits[_requirement_id(item)] = max(waits)
            reason = self._reason_to_leave_out(item)
            if reason is None:
                kept.append(item)
            else:
                aside.append(item)
                self._set_aside[_requirement_id(item)][_case_name(item)] = reason
        # Monitors read every trace of the session, so whatever they say comes last.
        others = [item for item in items if item not in set(judges)]
        items[:] = others + sorted(kept, key=lambda item: "traces" in _fixtures(item))
        if aside:
            config.hook.pytest_deselected(items=aside)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """By an option of ours or by pytest's own -k and -m."""
        for item in items:
            self._set_aside[_requirement_id(item)].setdefault(_case_name(item), "it was not selected")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = [item for item in session.items if item.get_closest_marker("requirement")]
        self._selected = {_requirement_id(item) for item in session.items} - {""}
        if self._worker:
            told = {
                "selected": sorted(self._selected),
                "set_aside": dict(self._set_aside),
                "collected": sorted(self._collected_ids),
            }
            session.config.workeroutput["runstone"] = told  # type: ignore[attr-defined]

    def _reason_to_leave_out(self, item: pytest.Item) -> str | None:
        settings = self.session.settings
        if self._again is not None and (_requirement_id(item), _case_name(item)) not in self._again:
            return "it is in no doubt"
        reasons = (settings.too_long(each) for each in self._scenarios_of(item))
        too_long = next((reason for reason in reasons if reason is not None), None)
        return self.session.not_asked_for(self._requirement(item)) or too_long

    def _requirement(self, item: pytest.Item) -> Requirement:
        wanted = _requirement_id(item)
        if wanted not in self.session.catalogue:
            raise pytest.UsageError(
                f"{item.nodeid} judges {wanted!r}, which is not in contracts/requirements"
            )
        return self.session.catalogue[wanted]

    def _scenarios_of(self, item: pytest.Item) -> list[Scenario]:
        return [each for name in _fixtures(item) if (each := self._scenario(item, name)) is not None]

    def _scenario(self, item: pytest.Item, fixture: str) -> Scenario | None:
        known: dict[str, Any] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]  # not public
        found = (getattr(each.func, SCENARIO_ATTRIBUTE, None) for each in known.get(fixture, ()))
        return next((each for each in found if each is not None), None)

    # observation, once, before the first test

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        self._observe_for(session)
        opened = self._session
        if opened is None:  # there is no requirement among the tests
            return (yield)
        with judging_by(lambda capability: opened.absent([capability]) is None), knowing(self._names_of):
            return (yield)

    def _names_of(self, scenario: str) -> Names | None:
        known = self._collected.get(scenario)
        return None if known is None else known.names

    def _observe_for(self, session: pytest.Session) -> None:
        judges = [item for item in session.items if item.get_closest_marker("requirement")]
        spoilt = session.testsfailed and not session.config.option.continue_on_collection_errors
        if session.config.option.collectonly or spoilt or not judges or self._again is not None:
            return
        wanted = {each.name: each for item in judges for each in self._scenarios_of(item)}
        if any("traces" in _fixtures(item) for item in judges) and reads_all(self.session):
            held = self.session.settings
            wanted |= {name: each for name, each in self._collected.items() if not held.too_long(each)}
        try:
            self.session.observe(list(wanted.values()))
        except RunstoneError as error:
            self.error = error
            pytest.exit(str(error), returncode=error.exit_code)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run nothing against a target that cannot be judged: no judge can then pass by accident."""
        judged = item.get_closest_marker("requirement") is not None
        return True if judged and self.session.unusable else None

    def _reads_a_part(self) -> bool:
        """Whether monitors read only the traces of some suites, as the others were not asked for."""
        catalogue = self.session.catalogue
        areas = catalogue.selected(self.session.settings.areas)
        whole = reads_all(self.session)
        asked_for = {name for name in self._collected_ids if whole or catalogue[name].area in areas}
        left_out = {each.area for each in catalogue.values() if each.id not in asked_for}
        return not left_out <= catalogue.of_kind("exploring")

    # judging

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Before any fixture: whether the case applies to this target at all."""
        if item.get_closest_marker("requirement") is None:
            return
        wanted = [*self._requirement(item).needs]
        wanted += [name for mark in item.iter_markers("needs") for name in mark.args]
        reason = self.session.absent(wanted)
        if reason is not None:
            raise Inapplicable(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        with reading() as journal:
            try:
                return (yield)
            finally:
                item.stash[_READ] = list(journal.values())

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        said = compared(op, left, right)
        return None if said is None else [said]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        """Make the report of a judge; that of anything else is pytest's own."""
        error = None if call.excinfo is None else call.excinfo.value
        judged = call.when == "call" or (call.when == "setup" and error is not None)
        if (
            item.get_closest_marker("requirement") is None
            or not judged
            or isinstance(error, KeyboardInterrupt)
        ):
            return None
        promise = self._requirement(item)
        read = list(error.exchanges) if isinstance(error, Broken) else item.stash.get(_READ, [])
        monitor = "traces" in _fixtures(item)
        unseen = self.session.stopped if monitor else None
        partly = self._again is not None or self.session.without_runs or self._reads_a_part()
        narrowed = monitor and partly
        case = case_of(_case_name(item), promise, error, read, unseen, narrowed=narrowed)
        if item.config.pluginmanager.hasplugin("allure_listener"):
            tell_allure(promise, case, read)
        # JUnit XML takes them from the report of the teardown, which pytest makes of the item.
        item.user_properties += [("id", promise.id), ("level", promise.level), ("verdict", case.verdict)]
        report = pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords=dict.fromkeys(item.keywords, 1),
            outcome=pytest_outcome(case, promise),
            # pytest's own rendering of a traceback takes 20 ms, and says less than the line we have.
            longrepr=None,
            when="setup" if call.when == "setup" else "call",
            duration=call.duration,
            start=call.start,
            stop=call.stop,
            user_properties=item.user_properties,
        )
        if report.outcome == "failed":
            report.longrepr = failure_text(promise, case)
            if case.verdict == "harness-error" and call.excinfo is not None:
                report.longrepr += f"\n{call.excinfo.getrepr(style='short')}"
        elif report.outcome == "skipped":
            path, line, _ = item.location
            report.longrepr = (path, line or 0, f"{case.verdict}: {case.reason}")
        report.runstone = {  # type: ignore[attr-defined]  # travels to the controller of pytest-xdist
            "id": promise.id,
            "case": msgspec.to_builtins(case),
            "cell": _cell(item),
            "set_aside": narrowed and case.verdict == "not-run",
        }
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        found: dict[str, Any] | None = getattr(report, "runstone", None)
        if found is None:
            return None
        verdict = found["case"]["verdict"]
        letter, word = _LETTERS[verdict]
        category = {"pass": "passed", "fail": "failed"}.get(verdict, verdict)
        return category, letter, word

    # reporting

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found: dict[str, Any] | None = getattr(report, "runstone", None)
        if found is None or self._worker:
            return
        if (node := getattr(report, "node", None)) is not None:  # a worker's, which may not live to its end
            self._follow(node)
        case = msgspec.convert(found["case"], Case)
        self._cases[found["id"]].append(case)
        if found["set_aside"]:
            self._set_aside[found["id"]][case.case] = case.reason
        if found["cell"]:
            outcome, entry_point = found["cell"]
            self._cells[outcome, entry_point].append((found["id"], case))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Of pytest-xdist: learn that the worker found judges, and what it left out.

        Not before, as tests without a requirement need neither a session nor a target.
        """
        told = getattr(node, "workeroutput", {}).get("runstone")
        if told is None:
            return
        self._follow(node)
        self._selected |= set(told.get("selected", ()))
        self._collected_ids |= set(told.get("collected", ()))
        for requirement, left in told.get("set_aside", {}).items():
            self._set_aside[requirement] |= left

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
        self._count_what_was_left_out()
        reasons = {name: next(iter(left.values())) for name, left in self._set_aside.items()}
        self.judged = Judged(
            cases=self._cases,
            cells=self._cells,
            selected=self._selected,
            set_aside=reasons,
            without_judge=self._without_judge(),
        )
        if not self._reports:
            return
        self.report = report_of(self._session, self.judged)
        traces, settings = list(self._session.traces.values()), self._session.settings
        reports.write_all(self.report, traces, settings.out, bare=settings.bare_report)
        session.exitstatus = ExitCode.INTERRUPTED if self.interrupted else self.report.exit_code

    def _without_judge(self) -> list[str]:
        """The requirements that were asked for and of which no judge was found."""
        catalogue = self.session.catalogue
        missing = [
            each
            for each in catalogue.values()
            if each.id not in self._collected_ids and not self.session.not_asked_for(each)
        ]
        if not self._demanding:  # whatever stands in a suite that was not named is not missing
            judged_in_part = {catalogue[each].area for each in self._collected_ids if each in catalogue}
            elsewhere = {each for ids in marked_requirements(locate("suites")).values() for each in ids}
            missing = [each for each in missing if each.area in judged_in_part and each.id not in elsewhere]
        return [each.id for each in missing]

    def _count_what_was_left_out(self) -> None:
        """A requirement of which only some cases were judged is not kept: the others are not-run."""
        for requirement, left in self._set_aside.items():
            judged = {case.case for case in self._cases.get(requirement, ())}
            missing = {name: reason for name, reason in left.items() if judged and name not in judged}
            for name, reason in missing.items():
                self._cases[requirement].append(Case(case=name, verdict="not-run", reason=reason))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.report is None or self._session is None:
            return
        terminalreporter.write_sep("=", "runstone")
        page = StringIO()
        reports.print_summary(
            self.report, Console(file=page, width=100), report_dir=self._session.settings.out
        )
        terminalreporter.write(page.getvalue())


def reads_all(session: Session) -> bool:
    """Whether monitors read the traces of all suites: no area is selected, or none but their own."""
    return session.catalogue.selected(session.settings.areas) <= session.catalogue.of_kind("monitor")


def marked_requirements(folder: Path) -> dict[Path, set[str]]:
    """The ids that each suite of a folder has a judge of, read without importing it."""
    suites = sorted(folder.glob("test_*.py"))
    return {path: set(_MARK.findall(path.read_text("utf-8"))) for path in suites}


def _requirement_id(item: pytest.Item) -> str:
    mark = item.get_closest_marker("requirement")
    return str(mark.args[0]) if mark is not None and mark.args else ""


def _case_name(item: pytest.Item) -> str:
    return str(getattr(getattr(item, "callspec", None), "id", ""))


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


def _cell(item: pytest.Item) -> list[str]:
    """The cell of the parity grid that this case fills; none for most."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return [params["outcome"], params["entry_point"]] if {"outcome", "entry_point"} <= set(params) else []
