"""Get a run's result by whichever path works.

`StatusPoller` reads a run's status until it has ended and reads no result; `ResultRetriever` then tries the
replayed stream, the thread's state and the joined stream, remembers which worked, and says of each other path
why it did not. Both take an `httpx.AsyncClient` whose base URL is the server; they run on asyncio.

    async with httpx.AsyncClient(base_url="http://127.0.0.1:2024") as client:
        result = await ResultRetriever(client).result(thread_id, run_id)
        print(describe(result))
"""

from runstone.retrieval.answers import Failure
from runstone.retrieval.errors import (
    AnotherRun,
    BrokenStream,
    ContradictsStatus,
    DeadlinePassed,
    EmptyResultOfFailedRun,
    FailureNotTold,
    MalformedAnswer,
    NoAnswer,
    NoValues,
    Refused,
    RetrievalError,
    RunNotFound,
    StatusUnavailable,
    StrategyFailed,
    TooLarge,
    TooSlow,
    Unreachable,
)
from runstone.retrieval.latency import Latency, extra_latency
from runstone.retrieval.poller import TERMINAL, Status, StatusPoller, StatusSeen
from runstone.retrieval.retriever import DEFAULT_ORDER, Attempt, ResultRetriever, RunResult, describe
from runstone.retrieval.strategies import Strategy

__all__ = [
    "DEFAULT_ORDER",
    "TERMINAL",
    "AnotherRun",
    "Attempt",
    "BrokenStream",
    "ContradictsStatus",
    "DeadlinePassed",
    "EmptyResultOfFailedRun",
    "Failure",
    "FailureNotTold",
    "Latency",
    "MalformedAnswer",
    "NoAnswer",
    "NoValues",
    "Refused",
    "ResultRetriever",
    "RetrievalError",
    "RunNotFound",
    "RunResult",
    "Status",
    "StatusPoller",
    "StatusSeen",
    "StatusUnavailable",
    "Strategy",
    "StrategyFailed",
    "TooLarge",
    "TooSlow",
    "Unreachable",
    "describe",
    "extra_latency",
]
