"""Each fault of a conversation played, and whether it results in the verdict that it must."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runstone.conversations.judging import HARNESS_FAILED
from runstone.conversations.model import Limits, OpenAITalker
from runstone.conversations.questions import Model
from runstone.proof.conversations.fault import REFUND, RUBRIC, Document, Wrong
from runstone.proof.conversations.model_server import fair, serving_model
from runstone.proof.conversations.outcome import Conversation
from runstone.proof.conversations.playing import played
from runstone.proof.reasons import settled
from runstone.verdict.scenarios import ConversationResult, ScenariosReport

UNBROKEN: Final = Wrong(
    name="desk", statement="Agent, server and judge do their job.", who="agent", judge=fair
)
_LIMITS: Final = Limits(retries=0, timeout_s=10.0)
_NO_KEY: Final = ""  # the variable that holds it: that of a real model is nothing for this one


def demand_model() -> None:
    """Raises ModelMissing where none could be asked: without the extra `scenarios`."""
    _talker("http://127.0.0.1")


def _talker(url: str) -> OpenAITalker:
    return OpenAITalker(model=Model(name="scripted"), url=url, limits=_LIMITS, key_variable=_NO_KEY)


def unbroken(folder: Path) -> Conversation:
    """What is said of faults rests on this: without any of them every assertion is kept."""
    found = _played(UNBROKEN, [REFUND, RUBRIC], folder)
    return msgspec.structs.replace(found, wanted="pass")


def all_played(faults: Iterable[Wrong], folder: Path, tell: Callable[[str], None]) -> list[Conversation]:
    """Each fault played, and once more where it did not come out as it should; evidence is in `folder`."""
    found = []
    for each in faults:
        one = _played(each, [each.scenario], folder)
        if one.shortcoming:
            tell(f"conversations/{each.name}: second try; at first: {one.shortcoming}")
            again = _played(each, [each.scenario], folder)
            one = msgspec.structs.replace(again, first_try=one.shortcoming)
        found.append(one)
    return found


def _played(wrong: Wrong, scenarios: Sequence[Document], folder: Path) -> Conversation:
    own = folder / wrong.name
    if own.exists():
        shutil.rmtree(own)
    with _model_of(wrong) as url:
        report, again = played(
            own,
            scenarios,
            wrong.agent(),
            spoil=wrong.spoil,
            talker=None if url is None else _talker(url),
        )
    told = [each for each in report.results.scenarios if each.result != "pass"] or report.results.scenarios
    checks = [one for each in _conversations(report) for turn in each.turns for one in turn.checks]
    checks += [one for each in _conversations(report) for one in each.checks]
    return Conversation(
        name=wrong.name,
        statement=wrong.statement,
        who=wrong.who,
        wanted=wrong.wanted,
        verdict=told[0].result,
        reason=settled(told[0].reason),
        kept=sum(each.result == "pass" for each in checks),
        trouble=_trouble(report, again),
    )


@contextmanager
def _model_of(wrong: Wrong) -> Iterator[str | None]:
    """The address of the model that judges; None where nobody does."""
    if wrong.judge is None:
        yield None
        return
    with serving_model(wrong.judge) as (url, _):
        if wrong.listens:
            yield url
    if not wrong.listens:
        yield url


def _trouble(report: ScenariosReport, again: ScenariosReport) -> str:
    """Why no verdict of this report can be trusted: Runstone broke, or judges otherwise offline."""
    broke = [each.reason for each in _conversations(report) if each.reason.startswith(HARNESS_FAILED)]
    if broke:
        return broke[0]
    same = (report.results, report.exit_code) == (again.results, again.exit_code)
    return "" if same else "judged again from its evidence it is another"


def _conversations(report: ScenariosReport) -> list[ConversationResult]:
    return [one for each in report.results.scenarios for one in each.conversations]
