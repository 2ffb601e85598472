"""Playing scenarios in this process, on a desk, as tests need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runstone.conversations.events import Event, nobody
from runstone.conversations.functions import trusted
from runstone.conversations.model import Limits, OpenAITalker
from runstone.conversations.questions import Model
from runstone.proof.conversations.desk import Desk
from runstone.proof.conversations.playing import played
from runstone.scenario.progress import Told
from runstone.verdict.scenarios import ScenariosReport, ScenarioVerdict
from tests.servers import Heard


def play(
    folder: Path,
    scenario: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    desk: Desk | None = None,
    *,
    model: str = "",
    spoil: Callable[[Heard, bytes], bytes] | None = None,
    tell: Callable[[Event], None] = nobody,
    limits: Limits | None = None,
    trust: bool = False,
    show: Callable[[Told], None] = lambda _: None,
) -> ScenariosReport:
    """Play one scenario, or several, on a desk. What is judged again from the evidence must be the same."""
    talker = None
    if model:
        talker = OpenAITalker(
            model=Model(name="tiny"), url=model, limits=limits or Limits(retries=0, timeout_s=5.0)
        )
    report, again = played(
        folder,
        [scenario] if isinstance(scenario, Mapping) else scenario,
        desk or Desk(),
        spoil=spoil,
        talker=talker,
        own=trusted((folder,)) if trust else None,
        tell=tell,
        show=show,
    )
    assert again.results == report.results
    assert again.exit_code == report.exit_code
    return report


def verdict(report: ScenariosReport) -> ScenarioVerdict:
    (found,) = report.results.scenarios
    return found
