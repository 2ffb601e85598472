"""A batch of scenarios on one target: played, recorded, judged, reported."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

import runstone
from runstone.conversations.assertions import OwnCheck
from runstone.conversations.events import Event, Listener, nobody
from runstone.conversations.judging import conversation_result, judged
from runstone.conversations.playing import Play, Surroundings, Talker
from runstone.conversations.reading import Case
from runstone.conversations.recorded import PLAN, plan, planned, recorded
from runstone.errors import ExitCode, UsageError
from runstone.report.digest import RESULT_WORDS
from runstone.report.text import counted
from runstone.scenario.progress import Begun, Told
from runstone.scenario.scenario import Scenario, Schedule
from runstone.session import evidence
from runstone.session.options import LimitsTable
from runstone.session.session import Beside, Session
from runstone.verdict.scenarios import Result, ScenarioResults, ScenariosReport, exit_code
from runstone.wire.trace import Trace

AT_ONCE: Final = 8  # conversations, where nobody says how many runs the target executes
# A stream tells each word, and the whole conversation once for each node that ran.
_BODY_BYTES: Final = 32 * 1024 * 1024
_SESSION_BYTES: Final = 1024 * 1024 * 1024
_EVENTS: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is to be played, and by whom it is judged. `kept`: traces of an earlier run that count still."""

    cases: Sequence[Case]
    talker: Talker | None = None
    own: Callable[[str], OwnCheck] | None = None
    tell: Listener = nobody
    stopped: Callable[[], bool] = lambda: False
    kept: Mapping[str, Trace] = field(default_factory=dict)

    def beside(self, *, alone: bool) -> Beside:
        """What a session observes of it, with the plan by which evidence is judged, and how it is judged."""
        around = Surroundings(talker=self.talker, own=self.own, tell=self.tell, stopped=self.stopped)
        scenarios = tuple(
            _scenario(case, repeat, around)
            for case in self.cases
            for repeat in range(1, case.scenario.repeat.times + 1)
            if case.trace(repeat) not in self.kept
        )
        return Beside(
            scenarios=scenarios,
            traces=(plan(self.cases), *self.kept.values()),
            alone=alone,
            judged=lambda session: results_of(session, self.cases, self.own),
        )


def _scenario(case: Case, repeat: int, around: Surroundings) -> Scenario:
    simulated = case.scenario.simulated
    turns = len(case.scenario.turns) if simulated is None else simulated.max_turns
    # Twice: the run, and reading what it left. While a model is asked, the deadline waits.
    patience = turns * 2 * case.scenario.turn_timeout_s
    play = Play(case=case, repeat=repeat, around=around)
    return Scenario(case.trace(repeat), play, Schedule(patience=patience, guest=True), agent=True)


def run(session: Session, batch: Batch) -> ScenariosReport:
    """Play the batch on the session's target and judge it.

    Raises KeyboardInterrupt after Ctrl-C; what was played by then is evidence, which `report_of` judges.
    """
    settings = session.settings
    session.settings = replace(
        settings,
        capacity=settings.capacity or settings.concurrency,
        own_limits=_generous(settings.own_limits),
    )
    session.beside = batch.beside(alone=True)
    session.progress = Progress(session, batch, alone=True)
    with session:
        session.observe([])
        report = report_of(session, batch.cases, batch.own)
        session.clean_up(_unkept(report))
    batch.tell(Event(kind="completed", data={"result": _word(report.results)}, report=report))
    return report


def _unkept(report: ScenariosReport) -> set[str]:
    """The conversations that did not pass: with `--keep failed`, what they made stays."""
    several = [one for each in report.results.scenarios for one in each.conversations]
    return {one.trace for one in several if one.result != "pass"}


def _generous(limits: LimitsTable) -> LimitsTable:
    """The limits of sizes, but for those that the user has set: long answers are not an agent's fault."""
    most = {"body_bytes": _BODY_BYTES, "session_bytes": _SESSION_BYTES, "events": _EVENTS}
    return msgspec.structs.replace(limits, **(most | limits.given()))


class Progress:
    """Tells of each conversation that has ended what it results in, and how far the batch is.

    `alone`: nothing else is observed, so that what is known of suites says nothing of how long it takes.
    """

    def __init__(self, session: Session, batch: Batch, *, alone: bool) -> None:
        self._session = session
        self._batch = batch
        self._alone = alone
        self._show = session.progress
        self._plays = {
            name: (case, repeat)
            for case in batch.cases
            for repeat in range(1, case.scenario.repeat.times + 1)
            if (name := case.trace(repeat)) not in batch.kept
        }
        self._results: Counter[Result] = Counter()

    def __call__(self, told: Told) -> None:
        if isinstance(told, Begun):
            if not self._alone:
                self._show(told)
        elif told.doing == "observing" and told.name in self._plays:
            result = self._hear(*self._plays[told.name])
            self._show(msgspec.structs.replace(told, name=self._words(told.name, result)))
            counts = {str(result): number for result, number in self._results.items()}
            self._batch.tell(
                Event(kind="batch_progress", data={"done": told.done, "of": told.total, **counts})
            )
        else:
            self._show(told)

    def _hear(self, case: Case, repeat: int) -> Result:
        """What the conversation results in; whoever listens is told, unless nothing was recorded."""
        found = recorded(case, repeat, self._session.traces)
        if found is None:
            self._results["not-judged"] += 1
            return "not-judged"
        judged = conversation_result(found, self._batch.own)
        self._results[judged.result] += 1
        self._batch.tell(
            Event(
                kind="completed",
                scenario=case.name,
                conversation=found.trace.scenario,
                text=judged.reason,
                data={"result": judged.result, "score": judged.score},
            )
        )
        return judged.result

    def _words(self, name: str, result: Result) -> str:
        """`refund: fail (12 of 31 conversations, 2 fail)`."""
        far = [f"{self._results.total()} of {counted(len(self._plays), 'conversation')}"]
        far += [f"{number} {RESULT_WORDS[each]}" for each, number in self._results.items() if each != "pass"]
        return f"{self._plays[name][0].name}: {RESULT_WORDS[result]} ({', '.join(far)})"


def play_beside(session: Session, batch: Batch) -> None:
    """Have a session that checks a server play these too; its report tells of both."""
    session.beside = batch.beside(alone=False)
    session.progress = Progress(session, batch, alone=False)


def judge_beside(session: Session) -> None:
    """Have a session that judges evidence judge the scenarios too, where the evidence holds some."""
    if PLAN in session.traces:
        cases = planned(session.traces)
        session.beside = Beside(judged=lambda judging: results_of(judging, cases, None))


def judged_again(session: Session, own: Callable[[str], OwnCheck] | None = None) -> ScenariosReport:
    """The report of evidence, with no target and no model at hand. Raises NoScenarios."""
    return report_of(session, planned(session.traces), own)


def unchanged(folder: Path, cases: Sequence[Case], target: str) -> dict[str, Trace]:
    """Of an earlier run's evidence the conversations that were played whole and need not be played again.

    Raises UsageError for evidence of another target, and EvidenceError for what is damaged.
    """
    if not (folder / "manifest.json").is_file():
        return {}
    manifest, traces = evidence.read(folder)
    if manifest.target != target:
        raise UsageError(f"{folder} is of {manifest.target}, so {target} cannot go on with it; use --out DIR")
    found = {}
    for case in cases:
        for repeat in range(1, case.scenario.repeat.times + 1):
            one = recorded(case, repeat, traces)
            whole = one is not None and not one.trace.blocked and not one.notes.broken
            if one is not None and whole and one.notes.digest == case.digest:
                found[one.trace.scenario] = one.trace
    return found


def results_of(
    session: Session, cases: Sequence[Case], own: Callable[[str], OwnCheck] | None
) -> ScenarioResults:
    """The verdicts on what a session has recorded."""
    crashed = session.manifest.crashed if session.manifest is not None else {}
    return judged(cases, session.traces, crashed, own)


def report_of(
    session: Session, cases: Sequence[Case], own: Callable[[str], OwnCheck] | None = None
) -> ScenariosReport:
    """The report on what a session has recorded."""
    results, manifest = results_of(session, cases, own), session.manifest
    code = exit_code(results)
    if session.unusable:
        code = ExitCode.UNREACHABLE
    elif session.stopped is not None and code == ExitCode.CONFORMING:
        code = ExitCode.HARNESS_ERROR
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return ScenariosReport(
        runstone=runstone.__version__,
        started_at=manifest.started_at if manifest else now,
        duration_s=round(manifest.observe_s, 2) if manifest else 0.0,
        complete=session.stopped is None,
        stopped=session.stopped,
        exit_code=code,
        accepted=code == ExitCode.CONFORMING,
        target=manifest.target if manifest else "unknown",
        url=manifest.url if manifest else "",
        server=manifest.server if manifest else "unknown",
        insecure=manifest.insecure if manifest else False,
        results=results,
    )


def _word(results: ScenarioResults) -> str:
    return "pass" if results.accepted else "fail"
