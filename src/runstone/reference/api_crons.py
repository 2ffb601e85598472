"""Crons: schedules by which the server makes runs, on one thread or on a new one each time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from runstone.reference.answers import answer, page
from runstone.reference.bodies import ConfigBody, Limit, Names, Offset, RunBody
from runstone.reference.crons import Cron, CronQuery, OnRunCompleted, drafted, in_utc
from runstone.reference.planning import check
from runstone.reference.routing import Call, Operation, checked_uuid

CronField = Literal[
    "cron_id", "assistant_id", "thread_id", "schedule", "timezone", "end_time", "next_run_date", "payload",
    "metadata", "enabled", "on_run_completed", "created_at", "updated_at",
]  # fmt: skip


class CronBody(RunBody, kw_only=True):
    """POST /runs/crons and POST /threads/{thread_id}/runs/crons: a run, and when it is to be made."""

    schedule: str
    timezone: str | None = None
    end_time: datetime | None = None
    enabled: bool = True
    on_run_completed: OnRunCompleted | None = None


class CronPatch(msgspec.Struct):
    """PATCH /runs/crons/{cron_id}: what is left out stays as it is; `end_time` null takes the end away."""

    schedule: str | UnsetType = UNSET
    timezone: str | UnsetType | None = UNSET
    end_time: datetime | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    on_run_completed: OnRunCompleted | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    input: Any = UNSET
    config: ConfigBody | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET
    webhook: str | UnsetType = UNSET
    interrupt_before: Names | UnsetType = UNSET
    interrupt_after: Names | UnsetType = UNSET


class SearchBody(CronQuery):
    """POST /runs/crons/search."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal[
        "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"
    ] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: Annotated[list[CronField], Meta(min_length=1)] | None = None


async def create(call: Call) -> Response:
    """Make a cron of a run that could be made now."""
    thread_id = None
    if "thread_id" in call.request.path_params:
        thread_id = call.runtime.threads.get(call.owner, call.uuid("thread_id")).thread_id
    body = await call.body(CronBody)
    checked = await check(call, body, thread_id)
    draft = drafted(
        body,
        assistant_id=checked.assistant.assistant_id,
        thread_id=thread_id,
        schedule=body.schedule,
        timezone=body.timezone,
        end_time=body.end_time,
        enabled=body.enabled,
        on_run_completed=body.on_run_completed,
    )
    return answer(call.runtime.crons.create(call.owner, draft))


async def get(call: Call) -> Response:
    """One cron."""
    return answer(_cron(call))


async def patch(call: Call) -> Response:
    """Change when a cron makes runs, and what runs."""
    body, cron = await call.body(CronPatch), _cron(call)
    changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if "end_time" in changes:
        changes["end_time"] = in_utc(changes["end_time"])
    if "metadata" in changes:
        changes["metadata"] = cron.metadata | changes["metadata"]
    own = {name: changes.pop(name) for name in Cron.__struct_fields__ if name in changes}
    payload = cron.payload | msgspec.to_builtins(changes)
    changed = msgspec.structs.replace(cron, **own, payload=payload)
    await check(call, changed.body, cron.thread_id)
    return answer(call.runtime.crons.change(call.owner, changed))


async def delete(call: Call) -> Response:
    """Delete a cron; runs that it has made stay."""
    call.runtime.crons.delete(call.owner, call.uuid("cron_id"))
    return Response(status_code=204)


async def search(call: Call) -> Response:
    """Find crons."""
    body, crons = _with_uuids(await call.body(SearchBody)), call.runtime.crons
    order = f"{body.sort_by} {body.sort_order}, cron_id"
    found = crons.search(call.owner, body, order=order, limit=body.limit, offset=body.offset)
    shown = [{name: getattr(each, name) for name in body.select} for each in found] if body.select else found
    return page(list(shown), crons.count(call.owner, body), body.limit, body.offset)


async def count(call: Call) -> Response:
    """How many crons there are."""
    return answer(call.runtime.crons.count(call.owner, _with_uuids(await call.body(CronQuery))))


def _with_uuids(query: Any) -> Any:
    for name in ("assistant_id", "thread_id"):
        if (wanted := getattr(query, name)) is not None:
            setattr(query, name, checked_uuid(wanted, name))
    return query


def _cron(call: Call) -> Cron:
    return call.runtime.crons.get(call.owner, call.uuid("cron_id"))


_ALL = "/runs/crons"
_ONE = f"{_ALL}/{{cron_id}}"

OPERATIONS = [
    Operation("POST", _ALL, create, "Schedule runs on threads of their own", CronBody, Cron),
    Operation("POST", "/threads/{thread_id}/runs/crons", create, "Schedule runs on a thread", CronBody, Cron),
    Operation("POST", f"{_ALL}/search", search, "Search crons", SearchBody, list[Cron]),
    Operation("POST", f"{_ALL}/count", count, "Count crons", CronQuery, int),
    Operation("GET", _ONE, get, "Read a cron", None, Cron),
    Operation("PATCH", _ONE, patch, "Change a cron", CronPatch, Cron),
    Operation("DELETE", _ONE, delete, "Delete a cron", None, None, 204),
]
