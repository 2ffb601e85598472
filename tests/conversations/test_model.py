"""Models that judge and play users: retries, limits, what is recorded of them and what is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyrate_limiter import AbstractBucket, limiter

from runstone.conversations.model import Limits, ModelMissing, OpenAITalker
from runstone.conversations.questions import Model, controls, partial, rubric
from runstone.conversations.seen import Seen
from runstone.proof.conversations.fault import RUBRIC
from tests.command_line import one_line_of_error, runstone
from tests.conversations.desk import Desk, Thread, ai, serving_desk
from tests.conversations.language_model import KEY, completion, failure, fair, judgement, serving_model
from tests.conversations.playing import play, verdict

SIMULATED: dict[str, Any] = {
    "scenario": "simulated",
    "assistant": "desk",
    "user": {
        "simulate": {
            "goal": "get order 42 refunded",
            "persona": "in a hurry",
            "knows": {"order": "42"},
            "first": "Please refund order 42",
            "max_turns": 4,
        }
    },
    "expect": [{"trajectory": ["look_up"]}, {"interrupt": True}, {"not": {"contains": "Evil"}}],
}


def test_a_model_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    answers = iter(
        [failure("429 Too Many Requests", "slow down", "retry-after: 0"), failure("500 Oops", "boom")]
    )

    def busy_first(asked: Mapping[str, Any]) -> bytes:
        return next(answers, b"") or fair(asked)

    with serving_model(busy_first) as (url, asked):
        report = play(tmp_path, RUBRIC, model=url, limits=Limits(retries=3))
    assert verdict(report).result == "pass"
    assert len(asked) == 5
    judge = report.results.judge
    assert judge is not None
    assert (judge.model, judge.named, judge.calls, judge.tokens) == ("tiny", ("tiny-2026-11",), 3, 300)


def test_a_model_that_is_slow_is_given_up(tmp_path: Path) -> None:
    with serving_model(slow_s=2) as (url, _):
        report = play(tmp_path, RUBRIC, model=url, limits=Limits(retries=0, timeout_s=0.2))
    assert verdict(report).result == "judge-error"
    assert "did not answer within 0.2 s" in verdict(report).reason


def test_samples_are_asked_one_by_one_and_their_mean_is_the_score(tmp_path: Path) -> None:
    def wavering(asked: Mapping[str, Any]) -> bytes:
        scores = {3: 1.0, 4: 0.5, 5: 0.0}
        return judgement(asked, scores[asked["seed"]]) if asked["seed"] in scores else fair(asked)

    expect = [{"llm_rubric": {"criteria": 'Says "help".', "samples": 6, "threshold": 0.75}}]
    turns = [{"user": "Hello", "expect": expect}]
    with serving_model(wavering) as (url, asked):
        report = play(tmp_path, RUBRIC | {"turns": turns, "repeat": {"times": 2}}, model=url)
    (first, second) = verdict(report).conversations
    assert (first.score, second.score) == (0.75, 0.75)
    assert verdict(report).result == "pass"
    # Each repeat is a sample of its own, though the words are the same; the controls are asked once for all.
    about_help = [each for each in asked if 'Says "help".' in each["messages"][1]["content"]]
    assert len(about_help) == 2 * 6
    assert len(asked) - len(about_help) in {2, 3, 4}  # both conversations may have begun at once


@pytest.mark.parametrize(
    "limits, told",
    [
        (Limits(calls=2, retries=0), "the limit of 2 calls"),
        (Limits(usd=0.000001, prices=(1.0, 1.0), retries=0), "budget of 1e-06 USD"),
    ],
)
def test_beyond_its_limits_a_model_is_not_asked(tmp_path: Path, limits: Limits, told: str) -> None:
    with serving_model() as (url, asked):
        report = play(tmp_path, RUBRIC, model=url, limits=limits)
    assert (verdict(report).result, report.exit_code) == ("not-judged", 4)
    assert told in verdict(report).reason
    assert len(asked) == (limits.calls or 0)


def test_a_rubric_without_a_model_is_not_judged(tmp_path: Path) -> None:
    report = play(tmp_path, RUBRIC)
    assert (verdict(report).result, report.exit_code) == ("not-judged", 4)
    assert "--judge-model" in verdict(report).reason


def test_a_denied_rubric_is_kept_by_a_low_score(tmp_path: Path) -> None:
    turns = [{"user": "Hello", "expect": [{"not": {"llm_rubric": 'Says "Evil".'}}]}]
    with serving_model() as (url, _):
        report = play(tmp_path, RUBRIC | {"turns": turns}, model=url)
    assert (verdict(report).result, verdict(report).score) == ("pass", 1.0)


def test_a_user_that_a_model_plays(tmp_path: Path) -> None:
    lines = iter(["yes please", "###STOP###"])
    with serving_model(lambda _: completion(next(lines))) as (url, asked):
        report = play(tmp_path, SIMULATED, model=url)
    assert verdict(report).reason == ""
    turns = verdict(report).conversations[0].turns
    assert [turn.said for turn in turns] == ["Please refund order 42", 'resume: "yes please"']
    role = asked[0]["messages"][0]["content"]
    assert "get order 42 refunded" in role
    assert '{"order":"42"}' in role
    # Who plays the user is told what the agent asks, as what was said to it.
    assert asked[0]["messages"][-1]["role"] == "user"
    assert "Refund order 42?" in asked[0]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "answer", [lambda _: failure("500 Oops", "boom"), lambda _: completion(""), lambda _: b""]
)
def test_a_user_that_cannot_be_played_is_no_fault_of_the_agent(tmp_path: Path, answer: Any) -> None:
    with serving_model(answer) as (url, _):
        report = play(tmp_path, SIMULATED, model=url)
    assert (verdict(report).result, report.exit_code) == ("judge-error", 4)
    assert "the model that plays the user failed" in verdict(report).reason


def test_the_agent_is_judged_where_the_user_is_played_and_it_fails(tmp_path: Path) -> None:
    class Silent(Desk):
        def act(self, thread: Thread, said: str) -> None:  # noqa: ARG002 - it does not listen
            thread.messages.append(ai(""))

    with serving_model(lambda _: completion("###STOP###")) as (url, _):
        report = play(tmp_path, SIMULATED, Silent(), model=url)
    assert (verdict(report).result, report.exit_code) == ("fail", 1)


def test_a_question_is_another_one_with_anything_that_matters() -> None:
    seen = Seen(messages=({"type": "ai", "content": "Hi"},), said="Hi")
    model = Model(name="tiny")
    first = rubric(model, "polite", seen, asker="a.1", sample=0)
    others = [
        rubric(model, "polite", seen, asker="a.1", sample=1),
        rubric(model, "polite", seen, asker="a.2", sample=0),
        rubric(model, "rude", seen, asker="a.1", sample=0),
        rubric(Model(name="tiny", temperature=1.0), "polite", seen, asker="a.1", sample=0),
        rubric(Model(name="big"), "polite", seen, asker="a.1", sample=0),
    ]
    assert len({first.key, *(each.key for each in others)}) == 6
    assert first.key == rubric(model, "polite", seen, asker="a.1", sample=0).key
    assert partial({}, model) == "the control question was not answered"
    assert len(controls(model)) == 2


def test_a_turn_that_nobody_judges_does_not_end_the_conversation(tmp_path: Path) -> None:
    turns = [*RUBRIC["turns"], {"user": "I am Ada.", "expect": [{"contains": "Nice"}]}]
    report = play(tmp_path, RUBRIC | {"turns": turns})
    (one,) = verdict(report).conversations
    assert [turn.result for turn in one.turns] == ["not-judged", "pass"]
    assert (one.result, report.exit_code) == ("not-judged", 4)


def test_what_cannot_be_asked_is_told_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelMissing, match="set OPENAI_API_KEY"):
        OpenAITalker(model=Model(name="tiny"))
    with pytest.raises(ModelMissing, match="--judge-prices"):
        OpenAITalker(model=Model(name="tiny"), url="http://x", limits=Limits(usd=1.0))


def test_the_key_is_sent_and_recorded_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line: with a judge, again without one, and with a judge that repeats the key."""
    monkeypatch.setenv("MY_KEY", KEY)
    path = tmp_path / "polite.yaml"
    path.write_text(json.dumps(RUBRIC))
    with serving_desk(Desk()) as target, serving_model() as (url, asked):
        words = ["--target", target, "--judge-model", "tiny", "--judge-url", url, "--judge-key", "MY_KEY"]
        limits = ["--max-calls", "3", "--max-calls-per-minute", "3"]
        done = runstone("scenarios", "run", str(path), *words, *limits, "--out", str(tmp_path / "out"))
        assert (done.returncode, one_line_of_error(done)) == (0, "")
        assert {each["authorization"] for each in asked} == {f"Bearer {KEY}"}
        number = len(asked)
        again = runstone("scenarios", "judge", str(tmp_path / "out/evidence"))
        assert (again.returncode, again.stdout.splitlines()[2:-1]) == (0, done.stdout.splitlines()[2:-1])
        assert len(asked) == number
    with (
        serving_desk(Desk()) as target,
        serving_model(lambda _: failure("401 No", f"bad key {KEY}")) as (url, _),
    ):
        words = ["--target", target, "--judge-model", "tiny", "--judge-url", url, "--judge-key", "MY_KEY"]
        words += ["--judge-retries", "0", "--out", str(tmp_path / "bad")]
        bad = runstone("scenarios", "run", str(path), *words)
        assert bad.returncode == 4
        assert "bad key [MY_KEY]" in " ".join(bad.stdout.split())
    written = [each.read_text("utf-8") for each in tmp_path.rglob("*") if each.is_file()]
    assert len(written) > 10
    assert not any(KEY in each for each in [*written, done.stdout, bad.stdout])


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> int:
        return int(self.now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


def test_no_more_requests_leave_in_any_minute_than_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a whole batch: two conversations, the controls, and what is sent again."""
    clock, sent, oops = Clock(), list[float](), iter([failure("500 Oops", "boom", "retry-after: 0")])
    monkeypatch.setattr(AbstractBucket, "_clock", clock)
    # The limiter's own name for it: whoever else sleeps goes on as ever.
    monkeypatch.setattr(limiter, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": clock.sleep}))

    def answering(asked: Mapping[str, Any]) -> bytes:
        sent.append(clock.now_s)
        return next(oops, b"") or fair(asked)

    both = [RUBRIC, RUBRIC | {"scenario": "polite-again"}]
    with serving_model(answering) as (url, _):
        report = play(tmp_path, both, model=url, limits=Limits(per_minute=2, retries=3))
    assert [each.reason for each in report.results.scenarios] == ["", ""]
    assert len(sent) in {5, 6, 7}  # both conversations may have asked the controls
    assert all(later - earlier >= 60 for earlier, later in zip(sent, sent[2:], strict=False))
