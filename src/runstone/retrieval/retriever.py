"""ResultRetriever: a run's result by whichever path works, and the reason of each path that did not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import httpx

from runstone.errors import ExitCode, UsageError
from runstone.retrieval.answers import NOTHING, Failure, Finding, accept
from runstone.retrieval.errors import StrategyFailed
from runstone.retrieval.poller import Status, StatusPoller
from runstone.retrieval.strategies import READERS, Sought, Strategy, first_request
from runstone.retrieval.wire import Bounds

DEFAULT_ORDER: tuple[Strategy, ...] = ("stream", "state", "join_stream")

# A server's text must not steer a terminal: control characters, lone surrogates, direction overrides.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One strategy tried: its error, or None where it gave the result, and the seconds it took."""

    strategy: Strategy
    error: StrategyFailed | None
    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What could be learnt of a run that has ended.

    `strategy` is the path that worked, None where all failed. `values` is None unless that path gave some; a
    run with status error or timeout has none, whatever the thread holds, but an `error` where a path told it.
    `interrupts` are the open questions of a run that paused, whether its status is success or interrupted.
    """

    thread_id: str
    run_id: str
    status: Status
    values: Any = None
    error: Failure | None = None
    interrupts: tuple[Any, ...] = ()
    strategy: Strategy | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the run ended well, asks nothing, and its values were got."""
        return self.status == "success" and self.strategy is not None and not self.interrupts

    @property
    def exit_code(self) -> ExitCode:
        """0 for a complete result, 1 for a run that failed or paused and for a result that was not got."""
        return ExitCode.CONFORMING if self.complete else ExitCode.NOT_CONFORMING


class ResultRetriever:
    """Waits until a run has ended, then tries each strategy of `order` until one gives its result.

    - `stream`: replay of the run's values events (`Last-Event-ID: -1`); needs a resumable run.
    - `state`: the thread's state, or this run's last checkpoint in the history.
    - `join_stream`: the run's stream, without filter or replay asked for.
    - `join`: the body of `GET …/join`; not in the default order.

    The strategy that worked last is tried first by the next call. `deadline` (seconds) and `byte_limit`
    bound each request of a strategy; the waiting is the poller's. One retriever may serve many tasks.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        order: Sequence[Strategy] = DEFAULT_ORDER,
        poller: StatusPoller | None = None,
        deadline: float = 15.0,
        byte_limit: int = 32 * 1024 * 1024,
    ) -> None:
        self._client = client
        self._configured = _checked(order)
        self._poller = poller or StatusPoller(client)
        self._bounds = Bounds(seconds=deadline, bytes=byte_limit)
        self._worked: Strategy | None = None

    @property
    def order(self) -> tuple[Strategy, ...]:
        """The order of the next call: what worked last, then the rest as configured."""
        if self._worked is None:
            return self._configured
        return (self._worked, *(each for each in self._configured if each != self._worked))

    async def result(self, thread_id: str, run_id: str) -> RunResult:
        """The result of the run. Raises what `StatusPoller.statuses` does; a failed path is an attempt."""
        sought = Sought(client=self._client, bounds=self._bounds, thread_id=thread_id, run_id=run_id)
        status = (await self._poller.until_terminal(thread_id, run_id))[-1].status
        attempts: list[Attempt] = []
        for strategy in self.order:
            began = time.perf_counter()
            error: StrategyFailed | None = None
            finding = Finding()
            try:
                finding = await _read(strategy, sought, status)
            except StrategyFailed as failure:
                error = failure
            attempts.append(Attempt(strategy=strategy, error=error, elapsed_s=time.perf_counter() - began))
            if error is None:
                self._worked = strategy
                return _result(sought, status, tuple(attempts), finding, strategy)
        return _result(sought, status, tuple(attempts), Finding(), None)


async def _read(strategy: Strategy, sought: Sought, status: Status) -> Finding:
    source = str(first_request(strategy, sought.thread_id, sought.run_id))
    return accept(status, await READERS[strategy](sought), source)


def _result(
    sought: Sought,
    status: Status,
    attempts: tuple[Attempt, ...],
    finding: Finding,
    strategy: Strategy | None,
) -> RunResult:
    return RunResult(
        thread_id=sought.thread_id,
        run_id=sought.run_id,
        status=status,
        values=None if finding.values is NOTHING else finding.values,
        error=finding.failure,
        interrupts=finding.interrupts,
        strategy=strategy,
        attempts=attempts,
    )


def _checked(order: Sequence[Strategy]) -> tuple[Strategy, ...]:
    known = get_args(Strategy)
    wrong = [name for name in order if name not in known]
    if wrong or not order or isinstance(order, str):
        shown = repr(order if isinstance(order, str) else wrong[0]) if order else "an empty order"
        raise UsageError(f"no such order of strategies: {shown}; name one or more of {', '.join(known)}")
    return tuple(dict.fromkeys(order))


def describe(result: RunResult) -> str:
    """The result as plain text: status, the path that worked, values as JSON, each failed path's reason."""
    lines = [f"run {result.run_id} of thread {result.thread_id}: {result.status}"]
    if result.error is not None:
        lines.append(f"error: {': '.join(filter(None, (result.error.error, result.error.message)))}")
    if result.strategy is None:
        lines.append("no path gave a result:")
    else:
        lines.append(f"answered by: {result.strategy}")
    lines += [
        f"  {attempt.strategy}: {type(attempt.error).__name__}: {attempt.error}"
        for attempt in result.attempts
        if attempt.error is not None
    ]
    if result.interrupts:
        lines += ["waits for an answer to:", _json(result.interrupts)]
    if result.strategy is not None and (result.values is not None or result.complete):
        lines += ["values:", _json(result.values)]
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", "\n".join(lines))


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:  # the indenting encoder needs more of the stack than the decoder did
        return json.dumps(value, ensure_ascii=False)
