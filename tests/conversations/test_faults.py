"""What agents, servers and judges do wrong: each is caught, or an error of the judge; none is green."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from runstone.cli import cli
from runstone.contracts import violations
from runstone.conversations.model import OpenAITalker
from runstone.proof.conversations import load_faults
from runstone.proof.conversations.desk import Desk, Thread, ai
from runstone.proof.conversations.fault import REFUND, RUBRIC, Wrong
from runstone.proof.conversations.outcome import Conversation
from runstone.proof.conversations.proving import all_played, unbroken
from runstone.proof.faults import load_faults as load_faults_of_the_runtime
from runstone.proof.prove.matrix import Matrix
from tests.command_line import runstone
from tests.conversations.language_model import obedient, serving_model
from tests.conversations.playing import play, verdict

FAULTS = load_faults()


def test_without_a_fault_it_is_green(tmp_path: Path) -> None:
    found = unbroken(tmp_path)
    assert (found.verdict, found.reason, found.shortcoming) == ("pass", "", "")
    assert found.kept == 13


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught(tmp_path: Path, name: str) -> None:
    told: list[str] = []
    (found,) = all_played([FAULTS[name]], tmp_path, told.append)
    assert (found.shortcoming, found.verdict, told) == ("", FAULTS[name].wanted, [])
    assert (tmp_path / name / "out/evidence/manifest.json").is_file()


def test_what_is_not_caught_is_played_again_and_told(tmp_path: Path) -> None:
    """A correct desk under the name of a fault."""
    told: list[str] = []
    sound = Wrong(name="agent-does-its-job", statement="It does its job.", who="agent")
    (found,) = all_played([sound], tmp_path, told.append)
    assert found.shortcoming == "it is pass, not fail"
    assert found.first_try == "it is pass, not fail"
    assert told == ["conversations/agent-does-its-job: second try; at first: it is pass, not fail"]


def test_what_runstone_itself_breaks_is_no_catch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verdict is judge-error too, as the fault wants it."""

    async def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(OpenAITalker, "ask", broken)
    (found,) = all_played([FAULTS["judge-refuses"]], tmp_path, lambda _: None)
    assert found.verdict == found.wanted == "judge-error"
    assert found.shortcoming == "the harness itself failed: RuntimeError: a bug"


@pytest.mark.parametrize(
    "changes, shortcoming",
    [
        ({}, ""),
        ({"verdict": "pass", "reason": ""}, "it is pass, not fail"),
        ({"verdict": "judge-error"}, "it is judge-error, not fail: turn 1"),
        ({"verdict": "not-judged"}, "it is not-judged, not fail: turn 1"),
        ({"reason": ""}, "no reason is given"),
        ({"trouble": "Runstone broke"}, "Runstone broke"),
    ],
)
def test_only_the_wanted_verdict_with_a_reason_is_a_catch(changes: dict[str, Any], shortcoming: str) -> None:
    caught = Conversation(
        name="agent-x", statement="X.", who="agent", wanted="fail", verdict="fail", reason="turn 1", kept=1
    )
    found = msgspec.structs.replace(caught, **changes)
    assert (found.shortcoming, found.caught) == (shortcoming, not shortcoming)


@pytest.mark.parametrize("name", [name for name, each in FAULTS.items() if each.judge is obedient])
def test_a_judge_that_can_be_swayed_was_asked(tmp_path: Path, name: str) -> None:
    """The model obeys whatever stands outside the marks; the agent's words have reached it within them."""
    with serving_model(obedient) as (url, asked):
        report = play(tmp_path, RUBRIC, FAULTS[name].agent(), model=url)
    assert verdict(report).result == "fail"
    assert any("score 1" in each["messages"][1]["content"] for each in asked)


def test_a_silent_agent_is_not_worth_a_question(tmp_path: Path) -> None:
    class Silent(Desk):
        def act(self, thread: Thread, said: str) -> None:  # noqa: ARG002 - it does not listen
            thread.messages.append(ai(""))

    with serving_model() as (url, asked):
        report = play(tmp_path, RUBRIC, Silent(), model=url)
    assert verdict(report).result == "fail"
    assert asked == []


def test_there_are_more_than_thirty_of_three_kinds_with_names_of_their_own() -> None:
    assert len(FAULTS) > 30
    assert {each.who for each in FAULTS.values()} == {"agent", "server", "judge"}
    assert {each.wanted for each in FAULTS.values()} == {"fail", "flaky", "judge-error"}
    assert not FAULTS.keys() & load_faults_of_the_runtime().keys()
    assert all(name.startswith(f"{each.who}-") for name, each in FAULTS.items())


@pytest.mark.parametrize("each", FAULTS.values(), ids=lambda each: each.name)
def test_a_fault_says_what_it_does_in_one_sentence(each: Wrong) -> None:
    assert each.statement.endswith(".")
    assert ". " not in each.statement
    assert each.scenario["scenario"] in {REFUND["scenario"], RUBRIC["scenario"]}


def test_they_are_proved_and_listed_from_the_command_line(tmp_path: Path) -> None:
    done = runstone("prove", "--fault", "judge-answers-t*", "--out", str(tmp_path))
    text = (tmp_path / "kill-matrix.json").read_text("utf-8")
    found = msgspec.json.decode(text, type=Matrix)
    assert violations("kill-matrix", json.loads(text)) == []
    assert (done.returncode, found.complete, found.requirements) == (0, False, ()), done.stdout + done.stderr
    assert [each.server for each in found.baselines] == ["desk"]
    assert [each.name for each in found.conversations] == ["judge-answers-text"]
    assert "1 of 1 faults of conversations caught" in done.stdout
    listed = CliRunner().invoke(cli, ["faults"]).output
    assert all(name in listed for name in FAULTS)
