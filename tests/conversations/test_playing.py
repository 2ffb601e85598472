"""What is played: every kind of assertion on a desk that does its job, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runstone.conversations.events import Event
from runstone.scenario.progress import Step, Told
from tests.conversations.desk import Desk, Thread, ai
from tests.conversations.playing import play, verdict
from tests.servers import Heard, reply

REFUND: dict[str, Any] = {
    "scenario": "refund",
    "assistant": "desk",
    "turns": [
        {
            "user": "Please refund order 42",
            "expect": [
                {"contains_function_call": {"name": "look_up", "arguments": {"order": "42"}, "times": 1}},
                {"not": {"contains_function_call": "refund"}},
                {"interrupt": {"contains": "Refund order 42?"}},
                {"interrupt": {"equals": {"question": "Refund order 42?", "order": "42"}}},
                {"status": "interrupted"},
            ],
        },
        {
            "resume": True,
            "expect": [
                {"contains": "refunded"},
                {"icontains": "ORDER 42"},
                {"contains_any": ["nothing", "refunded"]},
                {"contains_all": ["Order", "42"]},
                {"equals": "Order 42 is refunded."},
                {"regex": r"Order \d+ is"},
                {"not": {"contains": "Nothing"}},
                {"not": {"interrupt": True}},
                {"state": {"path": "$.refunded[0]", "equals": "42"}},
                {"state": {"path": "$.messages[-1].content", "contains": "42"}},
                {"state": {"path": "$.refunded", "schema": {"type": "array", "maxItems": 1}}},
                {"not": {"state": {"path": "$.refused"}}},
                {"event": "messages"},
                {"event": {"mode": "messages", "at_least": 4}},
                {"event": {"mode": "values", "count": 1, "contains": "refunded"}},
                {"event": {"order": ["metadata", "messages", "values"]}},
                {"latency_s": 20},
            ],
        },
    ],
    "expect": [
        {"trajectory": ["look_up", "refund"]},
        {"trajectory": {"mode": "any_order", "calls": ["refund", "look_up"]}},
        {
            "trajectory": {
                "mode": "exact",
                "calls": [
                    {"name": "look_up", "arguments": {"order": "42"}},
                    {
                        "name": "refund",
                        "match": "schema",
                        "arguments": {"properties": {"order": {"pattern": "^4"}}},
                    },
                ],
            }
        },
        {"trajectory": {"mode": "unordered", "calls": ["refund", "look_up"]}},
        {"not": {"trajectory": ["refund", "look_up"]}},
        {"not": {"status": "error"}},
    ],
}
MEMORY: dict[str, Any] = {
    "scenario": "memory",
    "assistant": "desk",
    "entry_point": "all",
    "turns": [
        {"user": "I am Ada."},
        {"user": "Who am I?", "expect": [{"contains": "Ada"}, {"event": "messages"}]},
        {"user": "Who am I?", "thread": "other", "expect": [{"not": {"contains": "Ada"}}]},
    ],
    "expect": [{"not": {"contains_function_call": "refund"}}],
}


def test_every_kind_holds_on_an_agent_that_does_its_job(tmp_path: Path) -> None:
    report = play(tmp_path, [REFUND, MEMORY])
    assert [each.reason for each in report.results.scenarios] == ["", ""]
    assert report.exit_code == 0
    memory, refund = report.results.scenarios
    assert (refund.result, refund.score, refund.rate.passed) == ("pass", 1.0, 1)
    assert {each.entry_point for each in memory.conversations} == {"wait", "stream", "background"}
    turns = refund.conversations[0].turns
    assert [turn.said for turn in turns] == ["Please refund order 42", "resume: true"]
    assert turns[1].calls == ('refund({"order":"42"})',)
    assert turns[1].answer == "Order 42 is refunded."


def test_progress_names_each_conversation_and_what_it_results_in(tmp_path: Path) -> None:
    shown: list[Told] = []
    wrong = {**REFUND, "scenario": "wrong", "turns": [{"user": "Hello", "expect": [{"equals": "Bye"}]}]}
    play(tmp_path, [{**REFUND, "repeat": {"times": 2}}, wrong], show=shown.append)
    names = [each.name for each in shown if isinstance(each, Step) and "conversation" in each.name]
    assert {name.partition(" (")[0] for name in names} == {"refund: pass", "wrong: fail"}
    assert names[0].startswith(("refund: pass (1 of 3", "wrong: fail (1 of 3 conversations, 1 fail)"))
    assert names[2].endswith("(3 of 3 conversations, 1 fail)")


def test_events_tell_it_as_it_happens(tmp_path: Path) -> None:
    events: list[Event] = []
    play(tmp_path, REFUND, tell=events.append)
    kinds = [each.kind for each in events]
    assert kinds[:2] == ["started", "user_input"]
    assert kinds[-3:] == ["completed", "batch_progress", "completed"]
    first = kinds[: kinds.index("turn") + 1]
    assert {"tool_call", "interrupt", "agent_response", "assertion_result", "turn"} <= set(first)
    tokens = "".join(each.text for each in events if each.kind == "token")
    assert tokens.split() == ["Order", "42", "is", "refunded."]
    asked = next(each for each in events if each.kind == "interrupt")
    assert (asked.turn, asked.data["value"]["order"]) == (1, "42")
    assert events[-1].report is not None
    assert events[-1].report.exit_code == 0


class Flaky(Desk):
    """Forgets the name every fifth time that it is asked."""

    asked = 0

    def act(self, thread: Thread, said: str) -> None:
        self.asked += said == "Who am I?"
        if said == "Who am I?" and self.asked % 5 == 0:
            thread.messages.append(ai("I do not know."))
        else:
            super().act(thread, said)


@pytest.mark.parametrize(
    "gate, result, code",
    [
        ({}, "flaky", 1),
        ({"pass_k": 1, "at_least": 0.8}, "pass", 0),
        ({"pass_k": 3, "at_least": 0.8}, "flaky", 1),
        ({"pass_k": 3, "at_least": 0.4}, "pass", 0),
    ],
)
def test_the_gate_decides_on_repeats(tmp_path: Path, gate: dict[str, Any], result: str, code: int) -> None:
    turns = MEMORY["turns"][:2]
    repeated = {**MEMORY, "entry_point": "stream", "turns": turns, "repeat": {"times": 5, "gate": gate}}
    report = play(tmp_path, repeated, Flaky())
    found = verdict(report)
    assert (found.result, report.exit_code) == (result, code)
    assert (found.rate.passed, found.rate.of) == (4, 5)
    assert (round(found.rate.low, 2), round(found.rate.high, 2)) == (0.38, 0.96)
    assert len({each.trace for each in found.conversations}) == 5


def test_weights_count_in_scores_and_not_in_verdicts(tmp_path: Path) -> None:
    expect = [{"contains": "Nice", "weight": 3}, {"contains": "Evil"}]
    turns = [{"user": "I am Ada.", "expect": expect}, {"user": "Who am I?", "expect": [{"contains": "Ada"}]}]
    scenario = {"scenario": "weights", "assistant": "desk", "turns": turns, "on_turn_failure": "continue"}
    (one,) = verdict(play(tmp_path, scenario)).conversations
    assert [turn.score for turn in one.turns] == [0.75, 1.0]
    assert (one.result, one.score) == ("fail", 0.8)


def test_what_fails_stops_the_conversation(tmp_path: Path) -> None:
    turns = [
        {"user": "I am Ada.", "expect": [{"contains": "Evil"}]},
        {"user": "Who am I?", "expect": [{"contains": "A"}]},
    ]
    desk = Desk()
    (one,) = verdict(
        play(tmp_path, {"scenario": "stops", "assistant": "desk", "turns": turns}, desk)
    ).conversations
    assert desk.turns == 1
    assert [turn.status for turn in one.turns] == ["success", "not played"]
    assert one.turns[1].checks[0].reason == "not played: an earlier turn failed"


@pytest.mark.parametrize(
    "setup",
    [{"state": {"messages": []}}, {"store": [{"namespace": ["a"], "key": "b", "value": {"c": 1}}]}],
)
def test_a_setup_that_is_refused_is_told(tmp_path: Path, setup: dict[str, Any]) -> None:
    """The desk takes neither a state nor an item of a store."""
    scenario = {"scenario": "setup", "assistant": "desk", "setup": setup, "turns": MEMORY["turns"][:2]}
    report = play(tmp_path, scenario, Refusing())
    assert (verdict(report).result, report.exit_code) == ("fail", 1)
    assert "the setup failed" in verdict(report).reason


class Refusing(Desk):
    def answer(self, heard: Heard) -> bytes:
        if heard.method == "PUT" or (heard.method == "POST" and heard.target.endswith("/state")):
            return reply("404 Not Found", "application/json", b"{}")
        return super().answer(heard)


class LongWinded(Desk):
    """Says twenty thousand words: more than a judge of a server would want to read."""

    def act(self, thread: Thread, said: str) -> None:
        thread.messages.append(ai("word " * 20_000 + said))


def test_a_long_answer_is_read_to_its_end(tmp_path: Path) -> None:
    turns = [{"user": "I am Ada.", "expect": [{"contains": "I am Ada."}, {"event": "values"}]}]
    report = play(tmp_path, {"scenario": "long", "assistant": "desk", "turns": turns}, LongWinded())
    assert (verdict(report).result, verdict(report).reason) == ("pass", "")


class OtherByWait(Desk):
    """Calls a tool once more where its result is waited for; nothing that is asserted shows it."""

    def answer(self, heard: Heard) -> bytes:
        self.waited = heard.target.endswith("/wait")
        return super().answer(heard)

    def act(self, thread: Thread, said: str) -> None:
        if self.waited and said == "I am Ada.":
            self.look_up(thread, "42")
        super().act(thread, said)


def test_entry_points_must_agree(tmp_path: Path) -> None:
    turns = [{"user": "I am Ada.", "expect": [{"contains": "Nice"}]}]
    report = play(tmp_path, {**MEMORY, "turns": turns, "expect": []}, OtherByWait())
    assert [each.result for each in verdict(report).conversations] == ["pass"] * 4
    assert (verdict(report).result, report.exit_code) == ("fail", 1)
    assert verdict(report).reason.startswith("entry points disagree: wait shows")


def test_nothing_asserted_is_never_green(tmp_path: Path) -> None:
    report = play(tmp_path, {"scenario": "empty", "assistant": "desk", "turns": [{"user": "I am Ada."}]})
    assert (verdict(report).result, report.exit_code) == ("not-judged", 4)
    assert verdict(report).reason == "something is asserted: nothing is asserted"


def test_unique_is_another_text_in_each_conversation(tmp_path: Path) -> None:
    turns = [{"user": "I am {{unique}}.", "expect": [{"not": {"contains": "{{unique}}"}}]}]
    scenario = {"scenario": "unique", "assistant": "desk", "turns": turns, "repeat": {"times": 2}}
    found = verdict(play(tmp_path, scenario))
    assert found.result == "pass"
    said = {each.turns[0].said for each in found.conversations}
    assert len(said) == 2
    assert not any("{{" in each for each in said)


def test_functions_of_ones_own_judge_where_they_are_trusted(tmp_path: Path) -> None:
    (tmp_path / "own_checks_of_a_desk.py").write_text(
        "def short(turn):\n    return len(turn.answer) < 40\n"
        "def never(turn):\n    return False, f'it said {turn.answer}'\n"
        "def broken(turn):\n    return turn.nothing\n"
        "def neither(turn):\n    return 0.5\n"
    )

    def judged(name: str, *, trust: bool = True) -> tuple[str, str]:
        expect = [{"python": f"own_checks_of_a_desk:{name}"}]
        turns = [{"user": "I am Ada.", "expect": expect}]
        found = verdict(play(tmp_path, {"scenario": "own", "assistant": "desk", "turns": turns}, trust=trust))
        return found.result, found.reason

    assert judged("short") == ("pass", "")
    assert judged("never")[0] == "fail"
    assert "it said Nice to meet you." in judged("never")[1]
    assert judged("broken")[0] == judged("neither")[0] == judged("missing")[0] == "judge-error"
    assert judged("short", trust=False)[0] == "not-judged"


def test_what_was_played_is_deleted_and_evidence_is_ordinary(tmp_path: Path) -> None:
    report = play(tmp_path, REFUND)
    assert report.complete
    names = {path.name for path in (tmp_path / "out/evidence/traces").iterdir()}
    assert names == {"self_check.json", "conversation.plan.json", "conversation.refund.1.stream.1.json"}


class TellsOnlyWhatItAsks(Desk):
    """Where the agent asks, the result holds the question and no values, as some servers have it."""

    def events(self, thread: Thread, run: str) -> list[tuple[str, Any]]:
        told = super().events(thread, run)
        if not thread.interrupts:
            return told
        return [*told[:-1], *self.before(thread), ("values", {"__interrupt__": thread.interrupts})]

    def before(self, thread: Thread) -> list[tuple[str, Any]]:
        return [("values", thread.values)]

    def values(self, thread: Thread) -> dict[str, Any]:
        return {"__interrupt__": thread.interrupts} if thread.interrupts else super().values(thread)


class AndStreamsNoneBefore(TellsOnlyWhatItAsks):
    def before(self, thread: Thread) -> list[tuple[str, Any]]:  # noqa: ARG002 - there is nothing to tell
        return []


@pytest.mark.parametrize("desk", [TellsOnlyWhatItAsks, AndStreamsNoneBefore])
@pytest.mark.parametrize("entry_point", ["stream", "wait", "background"])
def test_what_was_done_before_a_question_is_seen_where_the_result_holds_only_the_question(
    tmp_path: Path, desk: type[Desk], entry_point: str
) -> None:
    turns = [
        {**turn, "expect": [each for each in turn["expect"] if "event" not in each]}
        for turn in REFUND["turns"]
    ]
    report = play(tmp_path, REFUND | {"entry_point": entry_point, "turns": turns}, desk())
    assert verdict(report).reason == ""
