"""What the retriever costs beyond the requests it must make anyway, for the benchmark."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import httpx

from runstone.retrieval.errors import RetrievalError
from runstone.retrieval.retriever import ResultRetriever
from runstone.retrieval.strategies import Strategy, first_request
from runstone.retrieval.wire import run_path


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Medians in seconds: of the retriever, and of a bare client that sends the two requests it needs."""

    strategy: Strategy
    samples: int
    retriever_s: float
    bare_s: float

    @property
    def extra_s(self) -> float:
        """The retriever's own share."""
        return self.retriever_s - self.bare_s


async def extra_latency(
    client: httpx.AsyncClient,
    thread_id: str,
    run_id: str,
    *,
    order: Sequence[Strategy] = ("state",),
    samples: int = 30,
) -> Latency:
    """Measure the retrieval of a run that has ended. Raises RetrievalError where no path gives its result.

    Both sides are measured in turn, so that a machine which slows down slows both. A path that must also
    ask who wrote the answer (`join`) has that request in its own share.
    """
    retriever = ResultRetriever(client, order=order)
    first = await retriever.result(thread_id, run_id)
    if first.strategy is None:
        reasons = "; ".join(str(attempt.error) for attempt in first.attempts)
        raise RetrievalError(f"run {run_id} gives no result to measure: {reasons}")
    retrieved, bare = [], []
    for _ in range(samples):
        began = time.perf_counter()
        await retriever.result(thread_id, run_id)
        turned = time.perf_counter()
        await _bare(client, thread_id, run_id, first.strategy)
        retrieved.append(turned - began)
        bare.append(time.perf_counter() - turned)
    return Latency(
        strategy=first.strategy, samples=samples, retriever_s=median(retrieved), bare_s=median(bare)
    )


async def _bare(client: httpx.AsyncClient, thread_id: str, run_id: str, strategy: Strategy) -> None:
    (await client.get(run_path(thread_id, run_id))).json()
    request = first_request(strategy, thread_id, run_id)
    await client.request(request.method, request.path, params=request.params, headers=request.headers)
