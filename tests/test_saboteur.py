"""However a stream is sabotaged on its way, neither the recorder nor the retriever says what is not so."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies

from runstone.retrieval import ResultRetriever, RunResult, StatusPoller
from runstone.target import recipes
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.request import Request
from tests.saboteur import Plan, Saboteur

pytestmark = pytest.mark.slow

TEXT = "äß漢字🙂 and \\u2028 plain"
DEADLINE_S = 1.5
LIMITS = Limits(request_s=DEADLINE_S, connect_s=1.0)
STREAM = {
    "assistant_id": "echo",
    "input": {"messages": [{"role": "user", "content": TEXT}]},
    "stream_mode": ["values", "updates", "custom"],
    "stream_resumable": True,
}

plans = strategies.builds(
    Plan,
    keep=strategies.one_of(strategies.just(1000), strategies.integers(0, 999)),
    pieces=strategies.one_of(
        strategies.just(()), strategies.lists(strategies.integers(1, 60), min_size=1, max_size=4).map(tuple)
    ),
    repeat=strategies.one_of(strategies.none(), strategies.integers(0, 8)),
    replay=strategies.integers(0, 3),
    comments=strategies.booleans(),
    heartbeats=strategies.booleans(),
    line_end=strategies.sampled_from([b"\n", b"\r\n", b"\r"]),
    byte_order_mark=strategies.booleans(),
    end=strategies.sampled_from(["clean", "clean", "cut", "reset", "length_too_long"]),
    refuse=strategies.integers(0, 2),
)
sabotage = settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The reference runtime, for all sabotages."""
    with recipes.running(recipes.load("embedded")) as server:
        yield server.url


@pytest.fixture(scope="module")
def finished(upstream: str) -> tuple[str, str, Any]:
    """Thread, run and true result of a resumable run that has ended."""
    with httpx.Client(base_url=upstream, trust_env=False, timeout=20) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        run = client.post(f"/threads/{thread}/runs", json=STREAM).json()["run_id"]
        values = client.get(f"/threads/{thread}/runs/{run}/join").json()
    return thread, run, values


# The recording client


async def _recorded(upstream: str, plan: Plan) -> tuple[Exchange, Saboteur]:
    async with Saboteur(upstream, plan).serving() as saboteur, Recorder(saboteur.url, {}, LIMITS) as recorder:
        request = Request(
            scenario="sabotage",
            part="",
            number=1,
            label="stream",
            method="POST",
            path="/runs/stream",
            headers=(("content-type", "application/json"),),
            content=json.dumps(STREAM).encode(),
            deadline=DEADLINE_S,
        )
        return await recorder.send(request, []), saboteur


@sabotage
@given(plan=plans)
@example(plan=Plan(pieces=(1,), line_end=b"\r\n"))
@example(plan=Plan(keep=999, end="cut"))
@example(plan=Plan(keep=999, end="reset", pieces=(7,)))
@example(plan=Plan(comments=True, heartbeats=True, byte_order_mark=True))
@example(plan=Plan(end="length_too_long"))
def test_the_recorder_keeps_what_was_sent_whole_and_knows_a_cut(upstream: str, plan: Plan) -> None:
    exchange, saboteur = asyncio.run(_recorded(upstream, plan))
    recorded = [(event.event, event.data) for event in exchange.events]
    if not saboteur.streams:  # it was hung up on, more often than a client may try again
        assert exchange.code is None
        assert not exchange.complete
        return
    sent = saboteur.streams[-1]
    assert recorded == sent.events[: len(recorded)], "an event was recorded that was not sent whole"
    if sent.whole:
        assert exchange.complete
        assert recorded == sent.events
        assert exchange.malformed_lines == ()
    else:
        assert not exchange.complete, "a stream that was cut was recorded as whole"
    if plan.end != "reset":  # a reset may overtake what was sent before it
        assert recorded == sent.events


def test_the_recorder_gives_up_on_a_stalled_stream(upstream: str) -> None:
    exchange, saboteur = asyncio.run(_recorded(upstream, Plan(keep=700, end="stall")))
    assert not exchange.complete
    assert exchange.failure is not None
    assert "not finished within" in exchange.failure
    assert [(event.event, event.data) for event in exchange.events] == saboteur.streams[0].events


# The retriever


async def _retrieved(
    upstream: str, plan: Plan, run: tuple[str, str, Any], order: tuple[str, ...]
) -> RunResult:
    async with (
        Saboteur(upstream, plan).serving() as saboteur,
        httpx.AsyncClient(base_url=saboteur.url, trust_env=False) as client,
    ):
        poller = StatusPoller(client, deadline=10)
        retriever = ResultRetriever(client, order=order, poller=poller, deadline=DEADLINE_S)  # type: ignore[arg-type]
        return await retriever.result(run[0], run[1])


@sabotage
@given(plan=plans)
@example(plan=Plan(replay=2))
@example(plan=Plan(keep=999, end="cut"))
@example(plan=Plan(keep=400, end="length_too_long", pieces=(3,)))
@example(plan=Plan(replay=3, comments=True, pieces=(1,)))
def test_the_retriever_never_reports_a_wrong_result(
    upstream: str, finished: tuple[str, str, Any], plan: Plan
) -> None:
    found = asyncio.run(_retrieved(upstream, plan, finished, ("stream",)))
    assert found.status == "success"
    if found.complete:
        assert found.values == finished[2]
    else:
        assert found.values is None
        assert found.attempts[0].error is not None


@sabotage
@given(plan=plans)
@example(plan=Plan(keep=0, end="reset"))
def test_the_retriever_finds_the_result_by_another_path(
    upstream: str, finished: tuple[str, str, Any], plan: Plan
) -> None:
    found = asyncio.run(_retrieved(upstream, plan, finished, ("stream", "join_stream", "state")))
    assert found.complete
    assert found.values == finished[2]


def test_the_retriever_gives_up_on_a_stalled_stream(upstream: str, finished: tuple[str, str, Any]) -> None:
    found = asyncio.run(_retrieved(upstream, Plan(keep=900, end="stall"), finished, ("stream",)))
    assert not found.complete
    assert "had not ended" in str(found.attempts[0].error)


def test_a_stream_without_sabotage_gives_the_result(upstream: str, finished: tuple[str, str, Any]) -> None:
    found = asyncio.run(_retrieved(upstream, Plan(), finished, ("stream",)))
    assert found.complete
    assert found.values == finished[2]


# A whole check through the saboteur

# What cannot be known of a stream whose end was lost.
LOST = {
    "RUN-STREAM-006": "the stream closes when the run has ended",
    "RUN-STREAM-008": "a failed run's stream carries an error event",
    "RUN-STREAM-015": "once it has closed, the run is terminal",
    "RUN-STREAM-011": "the stream of a cancelled run closes",
}


def test_no_judge_passes_on_what_was_lost(upstream: str, tmp_path: Path) -> None:
    plan = Plan(keep=900, end="cut")

    async def check() -> int:
        async with Saboteur(upstream, plan).serving() as saboteur:
            command = [sys.executable, "-m", "runstone", "check", saboteur.url, "--out", str(tmp_path)]
            command += ["--quick", "--confirm", "0"]
            areas = ["--area", "run-stream", "--area", "parity", "--area", "join-stream"]
            process = await asyncio.create_subprocess_exec(
                *command, *areas, stdout=subprocess.DEVNULL, env={**os.environ}
            )
            return await process.wait()

    assert asyncio.run(check()) == 1
    report = json.loads((tmp_path / "report.json").read_text())
    verdicts = {each["id"]: each for each in report["verdicts"]}
    kept = {name: why for name, why in LOST.items() if verdicts[name]["verdict"] == "pass"}
    assert not kept, f"judged kept though its end was lost: {kept}"
    streams = [case for case in verdicts["PARITY-001"]["cases"] if "stream" in case["case"]]
    assert streams
    assert not [case for case in streams if case["verdict"] == "pass"]
