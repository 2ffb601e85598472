"""Faults of webhooks: who is told, how often, and what."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import planning, webhooks
from runstone.reference.runs import Job
from runstone.reference.scheduler import Scheduler
from runstone.reference.webhooks import Hook, Webhooks

_OF_A_RUN = ("run_id", "thread_id", "assistant_id", "status", "metadata", "created_at", "updated_at")


def _telling(seams: Seams, change: Any) -> None:
    """The payload of each webhook, changed by a function of it and of the job."""

    @seams.around(Webhooks, "prepare")
    def prepare(original: Any, own: Webhooks, job: Job, *rest: Any) -> Hook:
        hook: Hook = original(own, job, *rest)
        return hook._replace(payload=change(hook.payload, job))


@fault("WEBHOOK-001", "WEBHOOK-007", "WEBHOOK-008")
def webhook_is_never_called(seams: Seams) -> None:
    """A webhook is accepted and never called."""

    @seams.around(Webhooks, "send")
    def send(original: Any, own: Webhooks, hook: Hook) -> None:
        """Nothing is sent."""


@fault("WEBHOOK-001", "WEBHOOK-003", "WEBHOOK-008")
def webhook_is_called_at_the_start_too(seams: Seams) -> None:
    """A webhook is called twice: for the status `running`, and for the end."""

    @seams.around(Webhooks, "_post")
    async def post(original: Any, own: Webhooks, hook: Hook) -> None:
        await original(own, hook._replace(payload=hook.payload | {"status": "running"}))
        await original(own, hook)


@fault("WEBHOOK-002", "WEBHOOK-004", "WEBHOOK-005")
def webhook_tells_the_bare_run(seams: Seams) -> None:
    """The body of a webhook is the Run, without its values, its error and its times."""
    _telling(seams, lambda told, _: {name: told[name] for name in _OF_A_RUN})


@fault("WEBHOOK-003")
def webhook_tells_of_success_alone(seams: Seams) -> None:
    """A webhook is called with the status `success`, also for a run that failed."""
    _telling(seams, lambda told, _: told | {"status": "success"})


@fault("WEBHOOK-004")
def webhook_tells_an_empty_error(seams: Seams) -> None:
    """The body of a failed run's webhook has an `error` that says nothing."""
    _telling(seams, lambda told, _: told | {"error": told["error"] and {"error": "", "message": ""}})


@fault("WEBHOOK-005")
def webhook_tells_the_input_for_the_values(seams: Seams) -> None:
    """The `values` in the body of a webhook are the run's input."""
    _telling(seams, lambda told, job: told | {"values": job.plan.input})


@fault("WEBHOOK-006")
def next_run_waits_for_the_webhook(seams: Seams) -> None:
    """A webhook is called before the run's worker is free again, and may take a minute to answer."""
    seams.put(webhooks, "_TIMEOUT_S", 60.0)

    @seams.around(Scheduler, "_end")
    async def end(original: Any, own: Scheduler, job: Job, ended: Any) -> None:
        before = set(own._webhooks._tasks)
        await original(own, job, ended)
        if job.plan.webhook and (deliveries := own._webhooks._tasks - before):
            await asyncio.wait(deliveries)


@fault("WEBHOOK-008")
def webhook_needs_a_thread(seams: Seams) -> None:
    """The webhook of a run without a thread of the caller's is forgotten."""

    @seams.around(planning, "_plan")
    def plan(original: Any, *args: Any, temporary: bool) -> Any:
        planned = original(*args, temporary=temporary)
        if temporary:
            planned.webhook = None
        return planned


@fault("WEBHOOK-009")
def only_success_is_told(seams: Seams) -> None:
    """A webhook is called for runs that succeed, and for no others."""

    @seams.around(Webhooks, "send")
    def send(original: Any, own: Any, hook: Any) -> None:
        if hook.payload["status"] == "success":
            original(own, hook)
