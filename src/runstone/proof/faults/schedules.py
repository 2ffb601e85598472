"""Faults of crons: how they are made, found, changed and deleted, and the runs that they make."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_crons, app, crons, database, timetable
from runstone.reference.answers import answer
from runstone.reference.crons import Cron, CronQuery, Crons
from runstone.reference.errors import Invalid, NotFound

_ASSISTANT = "assistant_id TEXT NOT NULL REFERENCES assistants ON DELETE CASCADE,\n    thread_id TEXT"
_OF_A_THREAD = "thread_id TEXT REFERENCES threads ON DELETE CASCADE, schedule"


@fault("CRON-001")
def cron_answers_its_id_alone(seams: Seams) -> None:
    """POST /runs/crons answers the id of the cron, and nothing of the cron itself."""

    @seams.around_operation("POST", "/runs/crons")
    async def create(handler: Any, call: Any) -> Any:
        await handler(call)
        newest = call.runtime.crons.search(call.owner, CronQuery(), order="rowid DESC", limit=1, offset=0)
        return answer({"cron_id": newest[0].cron_id})


@fault("CRON-002", "CRON-006", "CRON-012")
def cron_forgets_its_thread(seams: Seams) -> None:
    """A cron that was made on a thread is kept without it."""

    @seams.around(api_crons, "drafted")
    def drafted(original: Any, body: Any, **rest: Any) -> Any:
        return original(body, **rest | {"thread_id": None})


@fault("CRON-003")
def schedules_are_not_checked(seams: Seams) -> None:
    """A schedule that is none, or a timezone that does not exist, makes a cron that never runs."""

    @seams.around(crons, "next_run")
    def next_run(original: Any, *rest: Any) -> Any:
        try:
            return original(*rest)
        except Invalid:
            return None


@fault("CRON-004")
def cron_of_no_assistant_is_a_server_error(seams: Seams) -> None:
    """Nobody looks whether the assistant of a cron exists, until the database refuses the row: 500."""

    @seams.around(api_crons, "check")
    async def check(original: Any, call: Any, body: Any, thread_id: Any) -> Any:
        try:
            return await original(call, body, thread_id)
        except NotFound:
            return SimpleNamespace(assistant=SimpleNamespace(assistant_id=body.assistant_id))


@fault("CRON-005")
def timezone_of_a_cron_is_ignored(seams: Seams) -> None:
    """The schedule of a cron is read in UTC, whatever its timezone."""

    @seams.around(crons, "next_run")
    def next_run(original: Any, schedule: str, timezone: str | None, end: str | None) -> Any:
        return original(schedule, timezone, end) and original(schedule, None, end)


@fault("CRON-006")
def cron_search_ignores_its_filter(seams: Seams) -> None:
    """A search for crons, and a count of them, is about all crons of the server."""

    @seams.around(crons, "_matching")
    def matching(original: Any, owner: str | None, query: CronQuery) -> Any:  # noqa: ARG001 - ignored
        return original(owner, CronQuery())


@fault("CRON-007")
def end_of_a_cron_cannot_be_taken_away(seams: Seams) -> None:
    """PATCH of a cron takes `end_time` null for an `end_time` that was not sent."""

    @seams.around(Crons, "change")
    def change(original: Any, own: Crons, owner: str | None, cron: Cron) -> Any:
        cron.end_time = cron.end_time or own.get(owner, cron.cron_id).end_time
        return original(own, owner, cron)


@fault("CRON-007")
def deleted_cron_is_found(seams: Seams) -> None:
    """DELETE of a cron answers 204 and deletes nothing."""

    @seams.around(Crons, "delete")
    def delete(original: Any, own: Crons, owner: str | None, cron_id: str) -> None:  # noqa: ARG001 - no-op
        own.get(owner, cron_id)


@fault("CRON-008")
def cron_cannot_be_read(seams: Seams) -> None:
    """Crons are found by a search only: there is no route that reads one."""
    read = ("GET", "/runs/crons/{cron_id}")
    seams.put(app, "OPERATIONS", [each for each in app.OPERATIONS if (each.method, each.path) != read])


@fault("CRON-009", patient=True)
def due_cron_makes_no_run(seams: Seams) -> None:
    """A cron that is due moves on to its next time and makes no run."""

    @seams.around(timetable, "make_run")
    async def make_run(original: Any, caller: Any, cron: Cron) -> None:  # noqa: ARG001 - never made
        caller.runtime.crons.claim(cron)


@fault("CRON-010", patient=True)
def thread_of_a_cron_is_always_kept(seams: Seams) -> None:
    """The threads that a cron makes stay, also those that were to be deleted."""

    @seams.around(timetable, "check")
    async def check(original: Any, caller: Any, body: Any, thread_id: Any) -> Any:
        body.on_completion = "keep"
        return await original(caller, body, thread_id)


@fault("CRON-011", patient=True)
def end_of_a_cron_is_ignored(seams: Seams) -> None:
    """A cron goes on after its `end_time`."""

    @seams.around(crons, "next_run")
    def next_run(original: Any, schedule: str, timezone: str | None, end: str | None) -> Any:  # noqa: ARG001
        return original(schedule, timezone, None)


@fault("CRON-012")
def crons_outlive_their_owners(seams: Seams) -> None:
    """The crons of a thread or an assistant stay when it is deleted."""
    schema = database._SCHEMA.replace(_ASSISTANT, "assistant_id TEXT NOT NULL,\n    thread_id TEXT")
    seams.put(database, "_SCHEMA", schema.replace(_OF_A_THREAD, "thread_id TEXT, schedule"))
