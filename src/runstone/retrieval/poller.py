"""StatusPoller: reads a run's status until it has ended, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

import httpx

from runstone.retrieval.errors import (
    DeadlinePassed,
    MalformedAnswer,
    NoAnswer,
    Refused,
    RunNotFound,
    StatusUnavailable,
    TooLarge,
    TooSlow,
    Unreachable,
)
from runstone.retrieval.wire import Bounds, Request, fetch_json, kind_of, run_path
from runstone.wire.exchange import excerpt

Status = Literal["pending", "running", "success", "error", "timeout", "interrupted"]

TERMINAL: frozenset[Status] = frozenset({"success", "error", "timeout", "interrupted"})

_STATUSES = frozenset(get_args(Status))
_UNKNOWN_RUN = frozenset({400, 404, 422})  # 400 and 422: ids that are not UUIDs, on the official servers
_RUN_BYTES = 16 * 1024 * 1024  # a run repeats its input in `kwargs`; more than this is not a status
_REQUEST_S = 5.0  # three silent readings end within 15 s


@dataclass(frozen=True)
class StatusSeen:
    """One distinct status and when it was first read, in seconds after the polling began."""

    status: Status
    at: float


class StatusPoller:
    """Polls `GET /threads/{thread_id}/runs/{run_id}`; it never reads a result.

    `interval` is the first wait in seconds; each wait is `backoff` times the one before, up to
    `longest_interval`: with the defaults the end of a run is noticed late by at most a quarter of the run's
    own time. `deadline` bounds the whole polling. `retries` readings in a row may fail, by a broken or silent
    connection or a 5xx, before that is raised: a server that restarts does not end the watch.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        interval: float = 0.1,
        backoff: float = 1.25,
        longest_interval: float = 2.0,
        deadline: float = 600.0,
        retries: int = 2,
    ) -> None:
        self._client = client
        self._interval = interval
        self._backoff = backoff
        self._longest_interval = longest_interval
        self._deadline = deadline
        self._retries = retries

    async def until_terminal(self, thread_id: str, run_id: str) -> tuple[StatusSeen, ...]:
        """Every distinct status that was read, with its time; the last is terminal. Raises as `statuses`."""
        return tuple([seen async for seen in self.statuses(thread_id, run_id)])

    async def statuses(self, thread_id: str, run_id: str) -> AsyncIterator[StatusSeen]:
        """Each status when it is first read or has changed, up to the terminal one.

        Raises RunNotFound, StatusUnavailable (Unreachable where nothing answered), DeadlinePassed, and
        UsageError for an id that is none.
        """
        began = time.monotonic()
        last: Status | None = None
        failures = 0
        wait = self._interval
        while True:
            try:
                status = await self._read(thread_id, run_id, self._left(began))
            except StatusUnavailable as error:
                failures += 1
                if failures > self._retries or not _may_pass(error):
                    raise
            except RunNotFound as error:
                raise _vanished(error, last) from error
            else:
                failures = 0
                if status != last:
                    yield StatusSeen(status, time.monotonic() - began)
                    last = status
                if status in TERMINAL:
                    return
            left = self._left(began)
            if left <= 0:
                self._give_up(run_id, last)
            await asyncio.sleep(min(wait, left))
            wait = min(wait * self._backoff, self._longest_interval)

    def _left(self, began: float) -> float:
        return began + self._deadline - time.monotonic()

    def _give_up(self, run_id: str, last: Status | None) -> None:
        if last is None:
            raise Unreachable(f"no status of run {run_id} could be read within {self._deadline:g} s")
        raise DeadlinePassed(
            f"run {run_id} was still {last} after {self._deadline:g} s; ask again later or wait longer",
            last,
        )

    async def _read(self, thread_id: str, run_id: str, left: float) -> Status:
        request = Request(path=run_path(thread_id, run_id))
        bounds = Bounds(seconds=max(0.05, min(_REQUEST_S, left)), bytes=_RUN_BYTES)
        try:
            body = await fetch_json(self._client, request, bounds)
        except (NoAnswer, TooSlow) as error:
            raise Unreachable(f"the server did not answer: {error}") from error
        except Refused as error:
            if error.code in _UNKNOWN_RUN:
                raise RunNotFound(f"no such run: {error}") from error
            raise StatusUnavailable(f"no status: {error}") from error
        except (MalformedAnswer, TooLarge) as error:
            raise StatusUnavailable(f"no status: {error}") from error
        return _status_in(body, request, run_id)


def _status_in(body: object, request: Request, run_id: str) -> Status:
    run = body if isinstance(body, dict) else {}
    status = run.get("status")
    if not isinstance(status, str):
        raise StatusUnavailable(f"{request} answered {kind_of(body)} without a status text")
    if status not in _STATUSES:
        raise StatusUnavailable(f"{request} answered the unknown status {excerpt(status)!r}")
    named = run.get("run_id", run_id)
    if not isinstance(named, str) or named.lower() != run_id.lower():
        shown = excerpt(named) if isinstance(named, str) else kind_of(named)
        raise StatusUnavailable(f"{request} answered for another run: {shown}")
    return cast("Status", status)


def _may_pass(error: StatusUnavailable) -> bool:
    """Whether a later reading may do better: the connection failed, or the server said it was its fault."""
    cause = error.__cause__
    return isinstance(error, Unreachable) or (isinstance(cause, Refused) and cause.code >= 500)


def _vanished(error: RunNotFound, last: Status | None) -> RunNotFound:
    if last is None:
        return error
    return RunNotFound(f"the run was {last} and is gone, so it was deleted or rolled back: {error}")
