"""The scenarios of fixtures/scenarios: sound, as the documentation shows them, and green."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runstone.conversations import Model, OpenAITalker, play_sync
from runstone.conversations.lint import lint
from runstone.locations import CHECKOUT
from tests.conversations.language_model import completion, judgement, parts_of, serving_model

SCENARIOS = CHECKOUT / "fixtures" / "scenarios"
SHOWN = "support/refund.yaml"


def test_they_are_sound() -> None:
    findings, cases = lint([SCENARIOS])
    assert findings == []
    assert len({each.scenario.scenario for each in cases}) >= 10


def test_the_documentation_shows_one_as_it_is() -> None:
    page = (CHECKOUT / "docs" / "scenarios.md").read_text("utf-8")
    shown = page.partition(f"<!-- fixtures/scenarios/{SHOWN} -->\n```yaml\n")[2].partition("```")[0]
    assert shown == (SCENARIOS / SHOWN).read_text("utf-8")


def helpful(asked: Mapping[str, Any]) -> bytes:
    """Judges whether help is offered, or plays a customer who agrees to everything and leaves."""
    if "You play a user" in asked["messages"][0]["content"]:
        asks = "(asks)" in asked["messages"][-1]["content"]
        return completion("yes" if asks else "###STOP###")
    _, transcript = parts_of(asked)
    said = " ".join(str(each.get("text")) for each in transcript if each["role"] == "assistant")
    return judgement(asked, 0.9 if "help" in said or "nine" in said else 0.1)


def test_all_of_them_pass_on_the_reference_runtime(tmp_path: Path) -> None:
    assert_green(tmp_path, "embedded")
    evidence = json.loads((tmp_path / "evidence/manifest.json").read_text())
    assert evidence["left"] == []


@pytest.mark.slow
def test_all_of_them_pass_on_the_official_server_in_javascript(tmp_path: Path) -> None:
    assert_green(tmp_path, "langgraph-js")


def assert_green(folder: Path, target: str) -> None:
    """Every example passes on the server of this recipe, with a model that judges and plays users."""
    with serving_model(helpful) as (model, _):
        judge = OpenAITalker(model=Model(name="tiny"), url=model)
        report = play_sync(SCENARIOS, target, judge=judge, out=folder)
    assert [(each.name, each.reason) for each in report.results.scenarios if each.result != "pass"] == []
    assert {"polite", "customer-in-a-hurry", "approval"} <= {each.name for each in report.results.scenarios}
