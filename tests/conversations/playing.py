"""Playing scenarios in this process, on a desk, as tests need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from runstone.conversations.events import Event, nobody
from runstone.conversations.functions import trusted
from runstone.conversations.model import Limits, OpenAITalker
from runstone.conversations.questions import Model
from runstone.conversations.reading import read
from runstone.conversations.running import Batch, judged_again, run
from runstone.scenario.progress import Told
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.verdict.scenarios import ScenariosReport, ScenarioVerdict
from tests.conversations.desk import Desk, serving_desk
from tests.servers import Heard


def play(
    folder: Path,
    scenario: Mapping[str, Any] | list[Mapping[str, Any]],
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
    files = folder / "scenarios"
    files.mkdir(exist_ok=True)
    for each in [scenario] if isinstance(scenario, Mapping) else scenario:
        (files / f"{each['scenario']}.yaml").write_text(yaml.safe_dump(dict(each)))
    talker = None
    if model:
        talker = OpenAITalker(
            model=Model(name="tiny"), url=model, limits=limits or Limits(retries=0, timeout_s=5.0)
        )
    own = trusted((folder,)) if trust else None
    with serving_desk(desk or Desk(), spoil) as url:
        session = open_session(given(target_name=url, out=folder / "out", concurrency=4), show)
        report = run(session, Batch(cases=read([files]), talker=talker, own=own, tell=tell))
    again = judged_again(open_session(given(evidence=folder / "out" / "evidence"), lambda *_: None), own)
    assert again.results == report.results
    assert again.exit_code == report.exit_code
    return report


def verdict(report: ScenariosReport) -> ScenarioVerdict:
    (found,) = report.results.scenarios
    return found
