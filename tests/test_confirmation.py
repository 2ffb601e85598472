"""Confirmation: what seems broken is looked at again, and what a network disturbs is no finding."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from runstone.judge.confirmation import Look, confirmed, heard_out
from runstone.judge.suites import judge
from runstone.report import from_json
from runstone.scenario.waiting import until_heard
from runstone.session import evidence
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.verdict.model import Case, Report
from runstone.wire.attempts import attempt_of, recording_of, scenario_of
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace
from tests.exchanges import exchange
from tests.signoff import tiny

KEPT = Look(Case(case="", verdict="pass"), disturbed=False)
KEPT_DISTURBED = Look(KEPT.case, disturbed=True)
BROKEN = Look(Case(case="", verdict="fail", reason="wrong"), disturbed=False)
DISTURBED = Look(Case(case="", verdict="not-testable", reason="cut"), disturbed=True)


@pytest.mark.parametrize(
    "looks, verdict, reason",
    [
        ([BROKEN], "fail", "unconfirmed: wrong"),
        ([DISTURBED], "not-testable", "unconfirmed: cut"),
        ([BROKEN, BROKEN], "fail", "wrong"),
        ([DISTURBED, BROKEN], "not-testable", "cut"),
        ([DISTURBED, KEPT], "pass", ""),
        ([DISTURBED, KEPT_DISTURBED], "pass", ""),
        ([BROKEN, KEPT], "flaky", "broken in one of two observations (wrong), kept in the other"),
        ([DISTURBED, DISTURBED], "not-testable", "unconfirmed: cut"),
        ([DISTURBED, DISTURBED, KEPT], "pass", ""),
        ([DISTURBED, DISTURBED, BROKEN], "not-testable", "cut"),
        ([DISTURBED, DISTURBED, DISTURBED], "not-testable", "cut"),
        ([BROKEN, DISTURBED, KEPT], "flaky", "broken in one of two observations (wrong), kept in the other"),
    ],
)
def test_what_all_looks_say_together(looks: list[Look], verdict: str, reason: str) -> None:
    found = confirmed(*looks)
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    "recording, scenario, attempt",
    [("turn", "turn", 1), ("turn@2", "turn", 2), ("turn@3", "turn", 3), ("capacity@shard-2", "capacity", 1)],
)
def test_the_name_of_a_recording_says_which_one_it_is(recording: str, scenario: str, attempt: int) -> None:
    assert (scenario_of(recording), attempt_of(recording)) == (scenario, attempt)
    assert scenario_of(f"{recording}#4") == scenario
    assert recording_of("turn", 1) == "turn"
    assert recording_of("turn", 3) == "turn@3"


# --- what the network took ----------------------------------------------------------------------------------

LOST = {"code": None, "failure": "connection reset", "disturbed": "the network cut it off"}


def test_what_was_lost_now_and_heard_before_is_left_out() -> None:
    first = Trace(scenario="talk", exchanges=(exchange(number=1), exchange(number=2, **LOST)))
    again = Trace(scenario="talk", exchanges=(exchange(number=1, **LOST), exchange(number=2)))
    assert [each.number for each in heard_out(again, [first]).exchanges] == [2]


def test_what_is_lost_each_time_and_what_the_target_left_undone_stay() -> None:
    lost = Trace(scenario="talk", exchanges=(exchange(number=1, **LOST), exchange(number=2)))
    assert heard_out(lost, [lost]) == lost
    busy = "the target or this machine was busy (not finished within 6.0 s)"
    late = exchange(number=2, code=None, failure="not finished within 6.0 s", disturbed=busy)
    undone = msgspec.structs.replace(lost, exchanges=(lost.exchanges[0], late))
    assert heard_out(undone, [lost]) == undone


@pytest.mark.parametrize("losses, sent, heard", [(0, 1, True), (2, 3, True), (9, 3, False)])
def test_what_may_be_done_twice_is_sent_until_it_is_heard(losses: int, sent: int, heard: bool) -> None:
    answers = [exchange(number=number + 1, **(LOST if number < losses else {})) for number in range(9)]
    left = iter(answers)

    async def send() -> Exchange:
        return next(left)

    found = asyncio.run(until_heard(send))
    assert (found.number, found.complete) == (sent, heard)


# --- a whole check ------------------------------------------------------------------------------------------


class Losing(tiny.Server):
    """The tiny server, of whose answers to the waits of a scenario the first ones are cut in the middle."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self._losses = losses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/runs/wait"):
            body = await Request(scope, receive).body()
            if b'"hi"' in body and self._losses:
                self._losses -= 1
                return await _cut_in_the_middle(send)

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

        return await super().__call__(scope, receive, send)


async def _cut_in_the_middle(send: Send) -> None:
    length = (b"content-length", b"99")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"{", "more_body": False})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[None]:
    with tiny.House(tmp_path / "house").installed():
        yield


def verdict_in(report: Report) -> str:
    return next(each.verdict for each in report.verdicts if each.id == "RUN-WAIT-001")


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    "losses, verdict, recordings",
    [(0, "pass", 1), (1, "pass", 2), (2, "pass", 3), (3, "not-testable", 3)],
)
def test_what_was_disturbed_twice_is_observed_a_third_time(
    losses: int, verdict: str, recordings: int, tmp_path: Path
) -> None:
    folder = tiny.observe(tmp_path / "out", Losing(losses), confirm=1)
    report = from_json((tmp_path / "out/report.json").read_bytes())
    assert verdict_in(report) == verdict
    manifest = evidence.read_manifest(folder)
    later = ["turn@2", "turn@3"][: recordings - 1]
    assert manifest.again == dict.fromkeys(later, "RUN-WAIT-001")
    assert manifest.confirmations == bool(later)
    assert len(report.observation.disturbed) == losses
    judged = judge(open_session(given(evidence=folder, out=tmp_path / "judged"), lambda *_: None))
    assert verdict_in(judged) == verdict


@pytest.mark.usefixtures("house")
def test_evidence_without_the_third_look_says_that_nobody_confirmed_it(tmp_path: Path) -> None:
    folder = tiny.observe(tmp_path / "out", Losing(2), confirm=1)
    (folder / "traces/turn@3.json").unlink()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]["traces/turn@3.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    judged = judge(open_session(given(evidence=folder, out=tmp_path / "judged"), lambda *_: None))
    broken = next(each for each in judged.verdicts if each.id == "RUN-WAIT-001")
    assert broken.cases[0].reason.startswith("unconfirmed: ")
