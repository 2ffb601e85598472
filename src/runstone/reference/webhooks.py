"""Telling a webhook that a run ended: one POST, whose failure concerns nobody else."""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import cached_property
from typing import NamedTuple

import httpx
import msgspec
from langgraph.types import StateSnapshot

from runstone.reference.outcome import Outcome
from runstone.reference.runs import Job, Runs
from runstone.reference.wire import encode, now, to_json_marked

_log = logging.getLogger(__name__)
_TIMEOUT_S = 10.0


class Hook(NamedTuple):
    """One delivery."""

    url: str
    payload: dict[str, object]


class Webhooks:
    """Sends payloads in the background."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, job: Job, runs: Runs, outcome: Outcome, state: StateSnapshot | None) -> Hook:
        """The run as it will read in a moment, with the times, the values and the error."""
        run = runs.get(job.run_id, job.thread_id)
        ended = now()
        payload = msgspec.structs.asdict(run) | {
            "status": outcome.status,
            "updated_at": ended,
            "run_started_at": run.updated_at,
            "run_ended_at": ended,
            "values": msgspec.Raw(to_json_marked(state.values if state else {})),
            "error": outcome.error,
        }
        return Hook(str(job.plan.webhook), payload)

    def send(self, hook: Hook) -> None:
        """Deliver without waiting."""
        task = asyncio.create_task(self._post(hook))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, hook: Hook) -> None:
        body = encode(hook.payload | {"webhook_sent_at": now()})
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, verify=self._trusted) as client:
                answer = await client.post(
                    hook.url, content=body, headers={"content-type": "application/json"}
                )
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("webhook %s: %s", hook.url, error)

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()  # reading all authorities takes 30 ms

    async def close(self) -> None:
        """Give up what is still under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
