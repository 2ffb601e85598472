"""What one start must have left behind: each promise kept, broken, and not to be judged."""

from __future__ import annotations

import json

import msgspec
import pytest

from runstone.load.invariants import (
    AGREE,
    IN_ORDER,
    ISOLATED,
    NOT_LOST,
    NOT_TWICE,
    WEBHOOKS,
    Judged,
    judged,
)
from runstone.load.tokens import TOKEN, run_token
from runstone.wire.trace import Trace
from tests.load.starts import (
    OTHER,
    OWN,
    STEPS,
    background,
    cancelled,
    enqueued,
    exchange,
    interrupted,
    rows,
    run_id,
    said,
    streamed,
    trace,
    waited,
)

STATE = {**STEPS}


def verdicts(found: Judged, requirement: str) -> list[str]:
    return [each.verdict for each in found.findings if each.id == requirement]


@pytest.mark.parametrize(
    "kept, piles",
    [
        (waited(), ["ended"]),
        (streamed(), ["ended"]),
        (background(1), ["ended"]),
        (enqueued(said(1, 2, 3)), ["ended", "ended", "ended"]),
        (interrupted(OWN), ["ended", "ended"]),
        (cancelled("interrupted", ["a"]), ["cancelled"]),
        (cancelled("interrupted", []), ["cancelled"]),
        (cancelled("success", ["a", "b", "c"]), ["ended"]),
    ],
    ids=lambda each: each.scenario.rpartition("-")[0] if isinstance(each, Trace) else "",
)
def test_what_went_well_breaks_nothing(kept: Trace, piles: list[str]) -> None:
    found = judged(kept)
    assert found.broken == {}
    assert list(found.piles.values()) == piles
    assert {each.verdict for each in found.findings} == {"kept"}


@pytest.mark.parametrize(
    "broken, requirement, reason",
    [
        (waited(listed=[]), NOT_LOST, "lists no such run"),
        (waited(listed=rows("pending")), NOT_LOST, "still pending"),
        (waited(listed=rows("error")), NOT_LOST, "ended as error"),
        (waited(state={"log": [], "note": None}), NOT_LOST, "lacks [s1, s2, s3]"),
        (waited(state={"log": ["s1", "s3"], "note": OWN}), NOT_LOST, "lacks [s2]"),
        (waited(state={"log": ["s1", "s2", "s3"]}), NOT_LOST, "lacks its input"),
        (interrupted(None), NOT_LOST, "lacks its input"),
        (enqueued(said(1, 3)), NOT_LOST, "lacks"),
        (waited(state={**STATE, "log": ["s1", "s2", "s3"] * 2}), NOT_TWICE, "s1, s2, s3, s1, s2, s3"),
        (waited(state={**STATE, "log": ["s2", "s1", "s3"]}), NOT_TWICE, "another order"),
        (enqueued(said(1, 2, 2, 3)), NOT_TWICE, "messages is"),
        (cancelled("interrupted", ["a", "a"]), NOT_TWICE, "log is [a, a]"),
        (interrupted(OWN, ("before", "before", "ask", "after")), NOT_TWICE, "before, before"),
        (waited(answer={**STEPS, "log": []}), AGREE, "wait told"),
        (streamed(last={"log": ["s1"], "note": OWN}), AGREE, "stream told"),
        (enqueued(said(2, 1, 3)), IN_ORDER, "executed as 2, 1, 3, accepted as 1, 2, 3"),
        (waited(state={**STATE, "note": OTHER}), ISOLATED, OTHER),
        (waited(answer={**STEPS, "note": OTHER}), ISOLATED, "exchange 2"),
        (background(0), WEBHOOKS, "called 0 times"),
        (background(2), WEBHOOKS, "called 2 times"),
    ],
)
def test_what_went_wrong_is_found_and_told(broken: Trace, requirement: str, reason: str) -> None:
    assert reason in judged(broken).broken[requirement]


def test_two_runs_of_one_request_are_executed_twice() -> None:
    listed = [
        {"run_id": run_id(n), "status": "success", "metadata": {TOKEN: run_token(OWN, 1)}} for n in (1, 2)
    ]
    assert judged(waited(listed=listed)).broken == {NOT_TWICE: "2 runs were made of one request"}


def test_a_refused_run_is_neither_lost_nor_kept() -> None:
    found = judged(waited(listed=[], code=500))
    assert list(found.piles.values()) == ["failed"]
    assert found.broken == {}
    assert verdicts(found, NOT_LOST) == ["not-tested"]
    assert verdicts(found, AGREE) == ["not-tested"]


def test_a_time_out_is_looked_up() -> None:
    """No answer came, and the list of runs shows that it was accepted and ended."""
    found = judged(waited(code=None))
    assert list(found.piles.values()) == ["ended"]
    assert found.broken == {}
    assert verdicts(found, AGREE) == ["not-tested"]


def test_a_time_out_that_nobody_can_look_up_stays_unknown() -> None:
    gone = [exchange(2, "wait", {}, code=None), exchange(3, "runs", [], code=None)]
    found = judged(trace("wait", gone, ["wait"]))
    assert list(found.piles.values()) == ["unknown"]
    assert found.broken == {}
    assert verdicts(found, NOT_LOST) == ["not-tested"]


@pytest.mark.parametrize("odd", [None, ["success"], {"a": 1}, 7, "\ud800"])
def test_whatever_a_server_lists_is_told(odd: object) -> None:
    listed = [{**rows("success")[0], "status": odd}]
    reason = judged(waited(listed=listed)).broken[NOT_LOST]
    assert reason.startswith("it is still")
    reason.encode()


def test_a_foreign_value_in_a_delivery_is_found() -> None:
    whole = background(1)
    stray = msgspec.structs.replace(whole.exchanges[-1], request_body=json.dumps({"values": {"note": OTHER}}))
    found = judged(msgspec.structs.replace(whole, exchanges=(*whole.exchanges[:-1], stray)))
    assert ISOLATED in found.broken


def test_a_run_of_an_enqueued_thread_that_was_refused_breaks_no_order() -> None:
    whole = enqueued(said(1, 3))
    refused = msgspec.structs.replace(whole.exchanges[1], code=503)
    listed = exchange(5, "runs", [rows("success", "success", "success")[0], rows("success")[0]])
    kept = [whole.exchanges[0], refused, whole.exchanges[2], whole.exchanges[3], listed, whole.exchanges[5]]
    found = judged(msgspec.structs.replace(whole, exchanges=tuple(kept)))
    assert list(found.piles.values()) == ["ended", "failed", "ended"]
    assert found.broken == {}
    assert verdicts(found, IN_ORDER) == ["kept"]
