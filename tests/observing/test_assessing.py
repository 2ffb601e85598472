"""What the traces of a self-check say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runstone.scenario.fitness import assess
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

TEXT = "runstone self-check: äß漢"
ECHO = json.dumps({"messages": [{"type": "human", "content": TEXT}, {"type": "ai", "content": TEXT}]})
STEPS = json.dumps({"log": ["s1", "s2", "s3"]})
STREAM = (("content-type", "text/event-stream"),)


def talk(*exchanges: dict[str, Any], blocked: dict[str, str] | None = None) -> Trace:
    first: dict[str, Any] = {"label": "ok", "content": '{"ok": true}'}
    fields: dict[str, Any] = {
        "scenario": "self_check",
        "method": "GET",
        "url": "http://h/x",
        "sent_at": 0.0,
        "code": 200,
        "finished_after": 1.0,
    }
    every = [{**fields, "number": number, **each} for number, each in enumerate([first, *exchanges], 1)]
    return Trace(
        scenario="self_check", exchanges=tuple(Exchange(**each) for each in every), blocked=blocked or {}
    )


def result(graph: str, content: str, path: str = "wait", **changes: Any) -> dict[str, Any]:
    return {"label": "result", "part": f"{graph}.{path}", "content": content, **changes}


def test_the_fastest_turn_that_works_is_the_measure() -> None:
    found = assess(
        talk(
            result("echo", ECHO, finished_after=3.0),
            result("echo", ECHO, "stream", finished_after=0.5),
            result("steps", "{}", finished_after=0.1),
            result("steps", STEPS, "background", finished_after=2.0),
        )
    )
    assert (found.fit, found.reason, found.turn_s) == (True, "", 0.5)


@pytest.mark.parametrize("fastest_s, times", [(0.04, 1.0), (0.1, 4.0), (0.3, 12.0), (0.9, 16.0)])
def test_the_fastest_answer_tells_how_far_it_is(fastest_s: float, times: float) -> None:
    """The slowest one would tell of a busy server instead, which gets no more to do."""
    far = {"label": "info", "content": "{}", "finished_after": fastest_s}
    run = result("echo", ECHO, finished_after=0.001)
    found = assess(talk(far, {**far, "label": "metrics", "finished_after": 5.0}, run))
    assert found.times_at_once == pytest.approx(times)


@pytest.mark.parametrize(
    "fastest_s, turn_s, many, one, slow",
    [
        (0.01, 0.8, 0, 0, True),
        (0.3, 0.4, 24, 3, False),
        (0.3, 0.3, 96, 12, False),
        (0.3, 0.9, 4, 0, True),
        (0.9, 0.9, 128, 16, False),
    ],
)
def test_the_way_is_no_part_of_a_turn(
    fastest_s: float, turn_s: float, many: int, one: int, slow: bool
) -> None:
    ways = {"label": "info", "content": "{}", "finished_after": fastest_s}
    found = assess(talk(ways, result("echo", ECHO, finished_after=turn_s)))
    assert (found.travelling(32), found.travelling(1), found.slow) == (many, one, slow)


def test_a_stream_and_a_state_show_a_graph_as_well() -> None:
    event = Event(event="values", data=ECHO, at=0.1)
    stream = result("echo", "", "stream", events=(event,), response_headers=STREAM)
    state = {"label": "state", "part": "steps.wait", "content": json.dumps({"values": json.loads(STEPS)})}
    assert assess(talk(stream, state)).fit


@pytest.mark.parametrize(
    "exchanges, blocked, reason",
    [
        ([], {}, "echo: never run; steps: never run"),
        ([result("echo", ECHO)], {}, "steps: never run"),
        ([result("echo", ECHO), result("steps", "{}")], {}, "steps: exchange 3 GET /x answered 200: {}"),
        ([result("echo", ECHO), result("steps", '{"log": ["s1", "s3"]}')], {}, "steps: exchange 3"),
        ([result("echo", ECHO)], {"steps.wait": "no thread"}, "steps: no thread"),
        ([result("echo", ECHO, code=None, failure="cut"), result("steps", STEPS)], {}, "answered cut"),
        ([result("echo", f'{{"content": "{TEXT}"}}'), result("steps", STEPS)], {}, "echo: exchange 2"),
        ([result("echo", ECHO[:-1]), result("steps", STEPS)], {}, "echo: exchange 2"),
        ([result("echo", ECHO, part="steps.wait"), result("steps", STEPS)], {}, "echo: never run"),
    ],
)
def test_why_a_target_is_unfit(exchanges: list[dict[str, Any]], blocked: dict[str, str], reason: str) -> None:
    found = assess(talk(*exchanges, blocked=blocked))
    assert found.answers
    assert not found.fit
    assert reason in found.reason


def test_an_echo_of_the_request_is_no_answer_of_the_graph() -> None:
    sent = json.dumps({"input": {"messages": [{"role": "user", "content": TEXT}]}})
    assert not assess(talk(result("echo", sent), result("steps", STEPS))).fit


def test_no_exchange_or_no_answer() -> None:
    assert assess(Trace(scenario="self_check")).reason == "no answer"
    dead = Exchange(
        scenario="s", number=1, label="ok", method="GET", url="http://h/ok", sent_at=0, failure="ConnectError"
    )
    found = assess(Trace(scenario="s", exchanges=(dead,)))
    assert (found.answers, found.fit, found.reason) == (False, False, "ConnectError")


@pytest.mark.parametrize(
    "info, server",
    [
        ('{"name": "own", "version": "2"}', "own 2"),
        ('{"version": "0.16.7", "langgraph_py_version": "1.2.22"}', "0.16.7, langgraph_py 1.2.22"),
        ('{"server": "x"}', "x"),
        ('{"name": 7, "version": []}', "unknown"),
        ("[]", "unknown"),
        ("<html>", "unknown"),
    ],
)
def test_how_a_server_names_itself(info: str, server: str) -> None:
    assert assess(talk({"label": "info", "content": info})).server == server


@pytest.mark.parametrize(
    "flags, crons",
    [('{"crons": true}', True), ('{"crons": false}', False), ('{"crons": 1}', False), ("{}", False)],
)
def test_capabilities_by_flag(flags: str, crons: bool) -> None:
    info = {"label": "info", "content": f'{{"flags": {flags}}}'}
    assert assess(talk(info)).probed["crons"] is crons


def test_capabilities_by_path() -> None:
    found = assess(talk({"label": "probe openapi"}, {"label": "probe metrics", "code": 404}))
    assert (found.probed["openapi"], found.probed["metrics"]) == (True, False)
    assert "crons" not in found.probed  # no flags were told: nothing is known


def test_nesting_past_the_stack_is_no_crash() -> None:
    deep = "[" * 900 + "]" * 900
    assert not assess(talk(result("echo", deep), {"label": "info", "content": deep})).fit
