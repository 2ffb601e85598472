"""Lint: what cannot fail, cannot pass, contradicts itself, is unknown or secret; and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runstone.conversations.lint import lint
from tests.command_line import one_line_of_error, runstone
from tests.conversations.desk import Desk, as_json, serving_desk
from tests.conversations.test_playing import MEMORY, REFUND
from tests.servers import Heard, reply

PLAIN: dict[str, Any] = {
    "scenario": "plain",
    "assistant": "desk",
    "turns": [{"user": "Hello", "expect": [{"contains": "help"}]}],
}


def found(folder: Path, scenario: dict[str, Any]) -> list[str]:
    path = folder / "one.yaml"
    path.write_text(yaml.safe_dump(scenario))
    findings, _ = lint([path])
    return [str(each).removeprefix(f"{path}: ") for each in findings]


def expecting(*expect: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**PLAIN, "turns": [{"user": "Hello", "expect": [{"contains": "help"}, *expect]}], **more}


@pytest.mark.parametrize("scenario", [REFUND, MEMORY, PLAIN], ids=lambda each: str(each["scenario"]))
def test_a_sound_scenario_is_left_alone(tmp_path: Path, scenario: dict[str, Any]) -> None:
    assert found(tmp_path, scenario) == []


@pytest.mark.parametrize(
    "scenario, told",
    [
        ({**PLAIN, "turns": [{"user": "Hello"}]}, "error: it cannot fail: nothing is asserted"),
        (expecting({"regex": ".*"}), "turns.0.expect.1: error: it cannot fail"),
        (expecting({"state": {}}), "turns.0.expect.1: error: it cannot fail"),
        (expecting({"llm_rubric": {"criteria": "x", "threshold": 0}}), "it cannot fail"),
        (expecting({"event": {"mode": "messages", "at_least": 0}}), "it cannot fail"),
        (expecting({"trajectory": []}), "turns.0.expect.1: error: it cannot pass"),
        (expecting({"not": {"regex": ""}}), "length >= 1"),
        (expecting({"not": {"regex": "x*"}}), "it cannot pass: not regex"),
        (expecting({"json": {"schema": False}}), "its schema allows nothing"),
        (expecting({"event": "updates"}), "stream_mode brings no event updates"),
        (expecting({"event": "messages"}, entry_point="wait"), "entry_point wait streams no event"),
        (expecting({"not": {"contains": "help"}}), "it contradicts itself"),
        (expecting({"not": {"contains": "elp"}}), "it contradicts itself"),
        (expecting({"equals": "Hi"}), "it contradicts itself"),
        (expecting({"status": "success"}, {"status": "error"}), "it contradicts itself"),
        (expecting({"status": "success"}, {"interrupt": True}), "it contradicts itself"),
        (expecting({"interrupt": {"contains": "x"}}, {"not": {"interrupt": True}}), "it contradicts itself"),
        (
            expecting({"trajectory": ["f"]}, {"not": {"contains_function_call": "f"}}),
            "it contradicts itself",
        ),
        (
            expecting(
                {"contains_function_call": {"name": "f", "arguments": {"a": 1}}},
                {"contains_function_call": {"name": "f", "times": 0}},
            ),
            "it contradicts itself",
        ),
        ({**PLAIN, "turns": [{"resume": 1, "expect": [{"contains": "x"}]}]}, "nothing was asked"),
        (
            {**PLAIN, "turns": [*expecting({"status": "success"})["turns"], {"resume": 1}]},
            "the turn before asks nothing",
        ),
        ({**PLAIN, "turns": [{"user": "{{titel}}"}], "vars": {"name": "x"}}, "unknown variable {{titel}}"),
        ({**PLAIN, "vars": {"name": "x"}}, "vars.name: warning: nothing uses this variable"),
        ({**PLAIN, "config": {"configurable": {"api_key": "hunter2hunter2"}}}, "config.configurable.api_key"),
        ({**PLAIN, "description": "sk-abcdefghijklmnop1234"}, "this looks like a secret"),
        ({**PLAIN, "metadata": {"h": ["Bearer abcdefghijklmnopqrst"]}}, "metadata.h.0: error"),
        ({**PLAIN, "asistant": "x"}, "did you mean assistant?"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, scenario: dict[str, Any], told: str) -> None:
    findings = found(tmp_path, scenario)
    assert any(told in each for each in findings), findings
    assert not any("hunter2" in each or "sk-abc" in each or "Bearer" in each for each in findings)


def test_a_name_that_two_files_have_is_found(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(PLAIN))
    findings, cases = lint([tmp_path])
    assert [str(each) for each in findings] == [
        f"{tmp_path / 'b.yaml'}: scenario: error: {tmp_path / 'a.yaml'} has a scenario 'plain' too"
    ]
    assert len(cases) == 2


class Telling(Desk):
    """A desk that tells of itself."""

    def answer(self, heard: Heard) -> bytes:
        row = {
            "assistant_id": "a-1",
            "graph_id": "desk",
            "metadata": {"tools": ["look_up", {"name": "refund"}]},
        }
        if heard.target == "/assistants/search":
            wanted = b'"graph_id":"' in heard.body and b'"desk"' not in heard.body
            return as_json([] if wanted else [row])
        if heard.target == "/assistants/a-1":
            return as_json(row)
        if heard.target.startswith("/assistants"):
            return reply("404 Not Found", "application/json", b"{}")
        return super().answer(heard)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_desk(Telling()) as found:
        yield found


def test_a_target_tells_which_assistants_and_tools_there_are(tmp_path: Path, url: str) -> None:
    path = tmp_path / "one.yaml"

    def linted(scenario: dict[str, Any]) -> tuple[int, str]:
        path.write_text(yaml.safe_dump(scenario))
        done = runstone("scenarios", "lint", str(path), "--target", url)
        assert one_line_of_error(done) == ""
        return done.returncode, done.stdout

    assert linted(REFUND) == (0, "0 errors, 0 warnings\n")
    code, told = linted(expecting({"contains_function_call": "lookup"}))
    assert code == 0
    assert "warning: the assistant 'desk' names no tool 'lookup'; did you mean look_up?" in told
    code, told = linted({**PLAIN, "assistant": "dsk"})
    assert code == 1
    assert "the target has no assistant 'dsk'; did you mean desk?" in told


def test_an_unreachable_target_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(PLAIN))
    done = runstone("scenarios", "lint", str(tmp_path), "--target", "http://127.0.0.1:1")
    assert done.returncode == 3
    assert "does not answer" in one_line_of_error(done)
