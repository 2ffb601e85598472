"""A result as people read it."""

from __future__ import annotations

import asyncio
import json

import httpx

from runstone.retrieval import (
    Attempt,
    Failure,
    Refused,
    RunResult,
    describe,
    extra_latency,
)
from tests.retrieval.stage import (
    RUN,
    THREAD,
    TLS,
    VALUES,
    Stage,
    only,
    stream,
)

# --- for people -------------------------------------------------------------------------------------------


def test_description_says_which_path_worked_and_why_others_did_not(stage: Stage) -> None:
    stage.answers["stream"] = stream()
    text = describe(only(stage))
    assert text.startswith(
        f"run {RUN} of thread {THREAD}: success\nanswered by: state\n  stream: NoValues: GET"
    )
    assert json.loads(text.partition("values:\n")[2]) == VALUES


def test_description_of_a_failed_run_shows_no_values() -> None:
    refused = Attempt(strategy="state", error=Refused("GET /x answered 500", 500), elapsed_s=0.1)
    text = describe(RunResult(thread_id=THREAD, run_id=RUN, status="timeout", attempts=(refused,)))
    assert "timeout" in text
    assert "no path gave a result:\n  state: Refused: GET /x answered 500" in text
    assert "values" not in text


def test_description_cannot_steer_a_terminal() -> None:
    values = {"text": "grün \x1b[2J \x9b2J \ud800 \u202e"}
    error = Failure("E", "\x1b]0;title\x07")
    result = RunResult(
        thread_id=THREAD, run_id=RUN, status="success", values=values, error=error, strategy="state"
    )
    text = describe(result)
    assert "grün" in text
    assert not set("\x1b\x9b\x07\ud800\u202e") & set(text)
    assert json.loads(text.partition("values:\n")[2]) == values


def test_description_of_deeply_nested_values() -> None:
    try:
        values = json.loads(
            "[" * 1200 + '"core"' + "]" * 1200
        )  # Python 3.12 indents less deep than it decodes
    except RecursionError:
        values = json.loads("[" * 800 + '"core"' + "]" * 800)
    text = describe(
        RunResult(thread_id=THREAD, run_id=RUN, status="success", values=values, strategy="state")
    )
    assert "core" in text


def test_extra_latency_is_measured_against_the_same_requests(stage: Stage) -> None:
    async def go() -> None:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            latency = await extra_latency(client, THREAD, RUN, samples=3)
            assert latency.strategy == "state"
            assert latency.extra_s == latency.retriever_s - latency.bare_s
            assert latency.bare_s > 0

    asyncio.run(go())
    assert stage.asked == ["status", "state"] * 7
