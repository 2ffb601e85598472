"""What the harness costs: `check` against a bare httpx client that replays the same requests.

Both talk to an embedded runtime of their own, one after the other, in one run of this script. The replay
keeps each scenario's order and pauses and the concurrency that the check reached; ids are replaced by those
of the new server. Peak memory is that of the process that checks.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from runstone import retrieval
from runstone.session import evidence
from runstone.target import recipes
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.trace import Trace

RATIO_ALLOWED = 1.25
MEMORY_ALLOWED_MB = 250
_UNREPEATED = {"host", "content-length"}


class Replay:
    """Sends what a trace holds once more, each request when the answers that it waited for have come."""

    def __init__(self, client: httpx.AsyncClient, trace: Trace, url: str) -> None:
        self._client = client
        # What a webhook delivered was the server's request to us.
        ours = tuple(each for each in trace.exchanges if "delivery" not in each.label)
        self._trace = msgspec.structs.replace(trace, exchanges=ours)
        self._url = url
        self._ids: dict[str, str] = {}
        self._opened = {each.number: asyncio.Event() for each in ours}
        self._ended = {each.number: asyncio.Event() for each in ours}

    async def run(self) -> None:
        """Replay the whole trace."""
        async with asyncio.TaskGroup() as group:
            for exchange in self._trace.exchanges:
                group.create_task(self._resend(exchange))

    async def _resend(self, exchange: Exchange) -> None:
        others = [each for each in self._trace.exchanges if each.number != exchange.number]
        ended = [each for each in others if each.ended_at <= exchange.sent_at]
        opened = [
            each
            for each in others
            if each.headers_after is not None and each.sent_at + each.headers_after <= exchange.sent_at
        ]
        for each in ended:
            await self._ended[each.number].wait()
        for each in opened:
            await self._opened[each.number].wait()
        marks = [each.ended_at for each in ended] + [
            each.sent_at + (each.headers_after or 0.0) for each in opened
        ]
        await asyncio.sleep(exchange.sent_at - max([self._trace.started_at, *marks]))
        try:
            await self._send(exchange)
        finally:
            self._opened[exchange.number].set()
            self._ended[exchange.number].set()

    async def _send(self, exchange: Exchange) -> None:
        path = exchange.path if exchange.url.startswith("http") else exchange.url
        hang_up = exchange.finished_after if exchange.closed_by_client else None
        try:
            async with (
                asyncio.timeout(hang_up),
                self._client.stream(
                    exchange.method,
                    self._url + self._renamed(path),
                    headers={
                        name: value for name, value in exchange.request_headers if name not in _UNREPEATED
                    },
                    content=None if exchange.request_body is None else self._renamed(exchange.request_body),
                ) as response,
            ):
                self._learn(
                    exchange.headers.get("content-location", ""), response.headers.get("content-location", "")
                )
                self._opened[exchange.number].set()
                body = b"".join([chunk async for chunk in response.aiter_raw()])
                self._learn(exchange.content, body.decode("utf-8", "replace"))
        except (TimeoutError, httpx.HTTPError):
            return  # the scenario hung up here too, or asked for what breaks a connection

    def _learn(self, recorded: str, fresh: str) -> None:
        self._ids.update(zip(UUID.findall(recorded), UUID.findall(fresh), strict=False))

    def _renamed(self, text: str) -> str:
        return UUID.sub(lambda found: self._ids.get(found.group(), found.group()), text)


def _most_at_once(traces: Sequence[Trace]) -> int:
    """How many scenarios the check really had under way at once: the replay may have as many."""
    return max(sum(one.started_at <= each.started_at < one.finished_at for one in traces) for each in traces)


async def _replay_all(traces: Sequence[Trace], url: str) -> float:
    slots = asyncio.Semaphore(_most_at_once(traces))
    pool = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(timeout=60, limits=pool, trust_env=False) as client:

        async def one(trace: Trace) -> None:
            async with slots:
                await Replay(client, trace, url).run()

        began = time.perf_counter()
        first, rest = [each for each in traces if each.scenario == "self_check"], list(traces)
        rest = sorted((each for each in rest if each not in first), key=lambda each: each.started_at)
        for trace in first:
            await one(trace)
        await asyncio.gather(*(one(trace) for trace in rest))
        return time.perf_counter() - began


def _check(url: str, out: Path, options: Sequence[str]) -> tuple[float, float]:
    """Wall time in seconds and peak memory in MB of a `runstone check` in a process of its own."""
    command = [sys.executable, "-m", "runstone", "check", url, "--out", str(out), *options]
    began = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        command,
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    elapsed = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in {0, 1}:
        sys.exit(f"the check itself failed with exit code {os.waitstatus_to_exitcode(status)}")
    return elapsed, usage.ru_maxrss / 1024


async def _latency(url: str) -> list[retrieval.Latency]:
    """The retriever's own share, per path that a finished resumable run offers."""
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        thread = (await client.post("/threads", json={})).json()["thread_id"]
        fields = {"assistant_id": "steps", "input": {"note": "bench"}, "stream_resumable": True}
        run = (await client.post(f"/threads/{thread}/runs", json=fields)).json()["run_id"]
        paths: tuple[retrieval.Strategy, ...] = ("stream", "state")
        return [await retrieval.extra_latency(client, thread, run, order=[path]) for path in paths]


def main() -> int:
    """Print the measurements; 1 when one is over its budget."""
    recipe = recipes.load("embedded")
    table = Table("what", "runstone", "bare client", "ratio", "allowed")
    over = False
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("everything", []), ("--quick", ["--quick"])):
            out = Path(folder) / name
            with recipes.running(recipe) as server:
                checked, memory = _check(server.url, out, options)
            _, traces = evidence.read(out / "evidence")
            with recipes.running(recipe) as server:
                bare = asyncio.run(_replay_all(list(traces.values()), server.url))
            judged = name == "everything"
            over |= judged and (checked / bare > RATIO_ALLOWED or memory > MEMORY_ALLOWED_MB)
            requests = sum(len(trace.exchanges) for trace in traces.values())
            table.add_row(
                f"{name} ({requests} requests)",
                f"{checked:.2f} s",
                f"{bare:.2f} s",
                f"{checked / bare:.2f}",
                f"{RATIO_ALLOWED}" if judged else "-",
            )
            table.add_row(f"{name}, peak memory", f"{memory:.0f} MB", "", "", f"{MEMORY_ALLOWED_MB} MB")
        with recipes.running(recipe) as server:
            for latency in asyncio.run(_latency(server.url)):
                table.add_row(
                    f"retrieval by {latency.strategy}",
                    f"{latency.retriever_s * 1000:.1f} ms",
                    f"{latency.bare_s * 1000:.1f} ms",
                    "",
                    "",
                )
    Console(width=100).print(table)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
