"""`pytest SCENARIOS --target URL`: one test a scenario, of whatever folder, beside any other tests.

Each is played when its turn comes, so that `pytest -n` shares them out; its evidence has a folder of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from runstone.contracts.reading import parsed
from runstone.conversations.assertions import OwnCheck
from runstone.conversations.functions import trusted
from runstone.conversations.model import OpenAITalker
from runstone.conversations.playing import Talker
from runstone.conversations.questions import Model
from runstone.conversations.reading import SUFFIXES, BadScenario, Case, cases_of, source
from runstone.conversations.running import AT_ONCE, Batch, run
from runstone.errors import RunstoneError
from runstone.report import write_scenarios
from runstone.report.scenarios import proof, rate_words
from runstone.session.session import Session
from runstone.verdict.scenarios import UNCLEAR, ScenariosReport, ScenarioVerdict

__all__ = ["AT_ONCE", "collected"]

OpenSession = Callable[[str], Session]  # of the folder, below that of all, where its evidence goes
_KEYS: Final = frozenset({"scenario", "assistant"})  # by which a YAML file is known for one of scenarios


class NotKept(Exception):  # noqa: N818 - named as what it reports
    """A scenario did not pass; the text is what was said, and what was expected."""


OPEN: Final = pytest.StashKey[OpenSession]()
TALKER: Final = pytest.StashKey[Talker | None]()
OWN: Final = pytest.StashKey[Callable[[str], OwnCheck] | None]()


class ScenarioFile(pytest.File):
    """A YAML file with a scenario in it."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each choice of its variables, over all of its entry points."""
        try:
            cases = list(cases_of(source(self.path)))
        except BadScenario as error:
            raise self.CollectError(str(error)) from None
        groups: dict[int, list[Case]] = {}
        for case in cases:
            groups.setdefault(case.number, []).append(case)
        for group in groups.values():
            yield ScenarioItem.from_parent(self, name=group[0].name, cases=group)


class ScenarioItem(pytest.Item):
    """A scenario as a test."""

    def __init__(self, *, cases: Sequence[Case], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._cases = cases
        for tag in cases[0].scenario.tags:
            self.keywords[tag] = tag
        self.add_marker("scenario")

    def runtest(self) -> None:
        """Play it, and fail with what was said where it is not kept. Raises NotKept and RunstoneError."""
        stash = self.config.stash
        first = self._cases[0]
        session = stash[OPEN](f"scenarios/{first.scenario.scenario}.{first.number}")
        report = run(session, Batch(cases=self._cases, talker=stash[TALKER], own=stash[OWN]))
        write_scenarios(report, session.settings.out)
        self._tell(report)

    def _tell(self, report: ScenariosReport) -> None:
        (verdict,) = report.results.scenarios
        self.user_properties += [("verdict", verdict.result), ("score", verdict.score)]
        self.user_properties += [("rate", words)] if (words := rate_words(verdict)) else []
        if self.config.pluginmanager.hasplugin("allure_listener"):
            _tell_allure(verdict)
        if report.stopped and verdict.result in UNCLEAR:
            raise NotKept(report.stopped)
        if verdict.result != "pass":
            raise NotKept("\n".join([f"{verdict.result}: {verdict.reason}", *proof(verdict)]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was said and expected; a diagnosis is one line, and only a fault of ours has a traceback."""
        if isinstance(excinfo.value, NotKept | RunstoneError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands, and its name."""
        return self.path, 0, self.name


def collected(path: Path, parent: pytest.Collector, open_session: OpenSession) -> pytest.Collector | None:
    """The collector of a file of scenarios; None for any other file."""
    if path.suffix not in SUFFIXES or path.name.startswith("."):
        return None
    try:
        document = parsed(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None  # it is none of ours, as far as can be seen
    if not isinstance(document, dict) or not document.keys() >= _KEYS:
        return None
    _prepare(parent.config, open_session)
    made: ScenarioFile = ScenarioFile.from_parent(parent, path=path)
    return made


def _prepare(config: pytest.Config, open_session: OpenSession) -> None:
    """Once: how sessions are opened, and who judges. Raises UsageError of pytest where a model is missing."""
    if OPEN in config.stash:
        return
    name = config.option.judge_model or os.environ.get("RUNSTONE_JUDGE_MODEL")
    url = config.option.judge_url or os.environ.get("RUNSTONE_JUDGE_URL")
    config.stash[OPEN] = open_session
    config.stash[OWN] = trusted((config.rootpath,)) if config.option.trust_python else None
    try:
        config.stash[TALKER] = OpenAITalker(model=Model(name=name), url=url) if name else None
    except RunstoneError as error:
        raise pytest.UsageError(str(error)) from None


def _tell_allure(verdict: ScenarioVerdict) -> None:
    """A step for each turn, with what was said and what was called."""
    for one in verdict.conversations:
        with _step(one.trace):
            for turn in one.turns:
                with _step(f"turn {turn.number}: {turn.said}"):
                    for told in (*turn.calls, turn.answer or f"(nothing; {turn.status})"):
                        with _step(told):
                            pass
                    for check in turn.checks:
                        with _step(f"{check.result}: {check.asserts}"):
                            pass


def _step(title: str) -> AbstractContextManager[Any]:
    if find_spec("allure") is None:
        return nullcontext()
    import allure

    step: AbstractContextManager[Any] = allure.step(title)
    return step
