"""The retrieval against the reference runtime: real runs of the conformance graphs, by every path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from runstone.locations import locate
from runstone.retrieval import (
    AnotherRun,
    Failure,
    FailureNotTold,
    NoValues,
    ResultRetriever,
    RunNotFound,
    RunResult,
    StatusPoller,
    Strategy,
    extra_latency,
)
from tests.command_line import command, started

ALL: tuple[Strategy, ...] = ("stream", "state", "join_stream", "join")
STEPS = {"log": ["s1", "s2", "s3"]}
RESUMABLE = {"stream_resumable": True, "stream_mode": ["values"]}


@pytest.fixture(scope="module", params=["langgraph", "wait-state"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A reference runtime of its own, by profile; it says its URL when it is ready."""
    graphs = locate("fixtures") / "graphs" / "python" / "langgraph.json"
    folder = tmp_path_factory.mktemp("reference")
    words = ["--port", "0", "--db", str(folder), "--graphs", str(graphs), "--profile", request.param]
    with started(command, "serve", *words, "--run-time-limit", "limited=1") as process:
        ready = process.first_line()
        assert " on http://" in ready, process.complained
        yield ready.split()[-1]


class Session:
    """Threads and runs on the server under test."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def thread(self) -> str:
        return await self._created("/threads", {}, "thread_id")

    async def run(self, thread: str, graph: str, **members: Any) -> str:
        body = {"assistant_id": graph, "input": {}, "multitask_strategy": "enqueue", **members}
        return await self._created(f"/threads/{thread}/runs", body, "run_id")

    async def _created(self, path: str, body: dict[str, Any], key: str) -> str:
        answer = (await self.client.post(path, json=body)).raise_for_status().json()
        return str(answer[key])

    async def result(self, thread: str, run: str, *order: Strategy) -> RunResult:
        return await ResultRetriever(self.client, order=order or ALL[:3]).result(thread, run)


T = TypeVar("T")


def session(url: str, play: Callable[[Session], Awaitable[T]]) -> T:
    async def go() -> T:
        async with httpx.AsyncClient(base_url=url) as client:
            return await play(Session(client))

    return asyncio.run(go())


def one_run(url: str, order: tuple[Strategy, ...], graph: str, **members: Any) -> RunResult:
    async def play(at: Session) -> RunResult:
        thread = await at.thread()
        return await at.result(thread, await at.run(thread, graph, **members), *order)

    return session(url, play)


@pytest.mark.parametrize("strategy", ["stream", "state", "join"])
@pytest.mark.parametrize("graph", ["steps", "functional"])
def test_every_path_gives_the_same_values(url: str, strategy: Strategy, graph: str) -> None:
    result = one_run(url, (strategy,), graph, **RESUMABLE)
    assert result.complete
    assert result.values["log"] == STEPS["log"]


def test_default_order_falls_back_to_the_state_where_nothing_can_be_replayed(url: str) -> None:
    result = one_run(url, (), "steps")
    assert [type(each.error) for each in result.attempts] == [NoValues, type(None)]
    assert (result.strategy, result.values) == ("state", STEPS)


@pytest.mark.parametrize("strategy", ["stream", "state", "join"])
@pytest.mark.parametrize("message", ["boom", 'it\'s "quoted"\nand ü'])
def test_every_path_tells_the_same_error(url: str, strategy: Strategy, message: str) -> None:
    result = one_run(url, (strategy,), "fail", **RESUMABLE | {"input": {"message": message}})
    assert (result.status, result.error, result.values) == ("error", Failure("ValueError", message), None)


def test_failure_that_the_state_does_not_hold_is_told_by_join(url: str) -> None:
    result = one_run(url, ("state", "join"), "bad_update", input={"kind": "unserialisable"})
    assert type(result.attempts[0].error) is FailureNotTold
    assert (result.status, result.strategy) == ("error", "join")
    assert result.error is not None


@pytest.mark.parametrize("strategy", ["stream", "state", "join"])
@pytest.mark.parametrize("variant, count", [("single", 1), ("parallel", 2)])
def test_every_path_tells_the_open_interrupts(url: str, strategy: Strategy, variant: str, count: int) -> None:
    result = one_run(url, (strategy,), "interrupt", **RESUMABLE | {"input": {"variant": variant}})
    assert [each["value"]["question"] for each in result.interrupts] == ["proceed?"] * count
    assert result.values["log"] == ["before"]
    assert not result.complete


def test_run_over_its_time_limit_is_a_timeout_without_values(url: str) -> None:
    result = one_run(url, ALL, "limited", input={"sleep": 20})
    assert (result.status, result.values) == ("timeout", None)
    assert not result.complete


def test_cancelled_run_has_its_status(url: str) -> None:
    async def play(at: Session) -> RunResult:
        thread = await at.thread()
        run = await at.run(thread, "slow", input={"sleep": 20})
        async for seen in StatusPoller(at.client, interval=0.02).statuses(thread, run):
            if seen.status == "running":
                path = f"/threads/{thread}/runs/{run}/cancel"
                (await at.client.post(path, params={"wait": "1"})).raise_for_status()
        return await at.result(thread, run)

    result = session(url, play)
    assert result.status == "interrupted"
    assert not result.complete


def test_result_of_an_earlier_run_is_its_own(url: str) -> None:
    async def play(at: Session) -> tuple[RunResult, RunResult]:
        thread = await at.thread()
        first, last = await at.run(thread, "steps"), await at.run(thread, "steps")
        await at.result(thread, last)
        return await at.result(thread, first, "state"), await at.result(thread, first, "join")

    by_state, by_join = session(url, play)
    assert by_state.values == STEPS
    assert by_join.values in (STEPS, None)
    assert by_join.complete or isinstance(by_join.attempts[0].error, AnotherRun)


def test_second_pause_in_one_node_is_the_second_runs(url: str) -> None:
    async def play(at: Session) -> list[RunResult]:
        thread = await at.thread()
        first = await at.run(thread, "interrupt", input={"variant": "sequence"})
        told = [await at.result(thread, first, "state")]
        second = await at.run(thread, "interrupt", input=None, command={"resume": "one"})
        told.append(await at.result(thread, second, "state"))
        return [*told, await at.result(thread, first, "state")]

    first, second, again = session(url, play)
    assert [each["value"]["turn"] for each in (*first.interrupts, *second.interrupts)] == [1, 2]
    assert isinstance(again.attempts[0].error, AnotherRun)


def test_unknown_run(url: str) -> None:
    async def play(at: Session) -> None:
        await at.result(await at.thread(), "00000000-0000-4000-8000-000000000000")

    with pytest.raises(RunNotFound):
        session(url, play)


def test_own_latency_can_be_measured(url: str) -> None:
    async def play(at: Session) -> Strategy:
        thread = await at.thread()
        run = await at.run(thread, "steps", **RESUMABLE)
        return (await extra_latency(at.client, thread, run, order=ALL, samples=2)).strategy

    assert session(url, play) == "stream"
