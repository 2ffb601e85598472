"""Faults of runs as rows: how they are read, listed and deleted, and what they tell."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, runs
from runstone.reference.answers import answer
from runstone.reference.errors import NotFound
from runstone.reference.routing import Call
from runstone.reference.runs import Run, Runs, RunStatus

_RUNS = "/threads/{thread_id}/runs"
_RUN = f"{_RUNS}/{{run_id}}"


@fault("RUN-GET-001", "RUN-JOIN-006")
def runs_are_found_on_any_thread(seams: Seams) -> None:
    """A run is looked up by its own id alone, whichever thread the path names."""

    @seams.around(Runs, "get")
    def get(original: Any, rows: Runs, run_id: str, thread_id: str) -> Any:  # noqa: ARG001
        return original(rows, run_id, rows.thread_of(run_id))


@fault("RUN-LIST-001")
def the_runs_of_every_thread_are_listed(seams: Seams) -> None:
    """The list of a thread's runs holds those of all threads."""

    @seams.around(Runs, "page")
    def page(original: Any, rows: Runs, thread_id: str, status: Any, limit: int, offset: int) -> list[Run]:
        found: list[Run] = original(rows, thread_id, status, 1000, 0)
        others = rows._db.all("SELECT DISTINCT thread_id FROM runs WHERE thread_id <> ?", thread_id)
        for row in others:
            found += original(rows, row["thread_id"], status, 1000, 0)
        return found[offset : offset + limit]


@fault("RUN-LIST-002")
def the_list_of_runs_ignores_status(seams: Seams) -> None:
    """The list of a thread's runs holds runs of every status, whichever one is asked for."""

    @seams.around(Runs, "page")
    def page(original: Any, rows: Runs, thread_id: str, status: Any, *window: int) -> Any:  # noqa: ARG001
        return original(rows, thread_id, None, *window)


@fault("RUN-LIST-003")
def the_list_of_runs_begins_with_the_oldest(seams: Seams) -> None:
    """Runs are listed in the order of their creation."""

    @seams.around(Runs, "page")
    def page(original: Any, rows: Runs, thread_id: str, status: Any, limit: int, offset: int) -> Any:
        return original(rows, thread_id, status, 1000, 0)[::-1][offset : offset + limit]


@fault("RUN-LIST-004")
def pages_of_runs_overlap(seams: Seams) -> None:
    """Each page of runs but the first begins with the last run of the page before."""

    @seams.around(Runs, "page")
    def page(original: Any, rows: Runs, thread_id: str, status: Any, limit: int, offset: int) -> Any:
        return original(rows, thread_id, status, limit, max(offset - 1, 0))


@fault("RUN-LIST-005")
def an_unknown_thread_has_no_runs(seams: Seams) -> None:
    """The runs of a thread that there is not are an empty list."""

    @seams.around_operation("GET", _RUNS)
    async def page(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return answer([])


@fault("RUN-DEL-001", "RUN-DEL-004")
def deleting_a_run_does_nothing(seams: Seams) -> None:
    """DELETE of a run answers 204 and leaves it as it is."""

    @seams.around_operation("DELETE", _RUN)
    async def delete(handler: Any, call: Call) -> Any:
        run = api_runs._run(call)
        return await handler(call) if run.active else Response(status_code=204)


@fault("RUN-DEL-002")
def deleting_an_unknown_run_succeeds(seams: Seams) -> None:
    """DELETE of a run that there is not answers 204."""

    @seams.around_operation("DELETE", _RUN)
    async def delete(handler: Any, call: Call) -> Any:
        try:
            return await handler(call)
        except NotFound:
            return Response(status_code=204)


@fault("RUN-DEL-003")
def a_deleted_run_goes_on(seams: Seams) -> None:
    """DELETE of a running run removes its row, and its graph runs on to the end."""

    @seams.around_operation("DELETE", _RUN)
    async def delete(handler: Any, call: Call) -> Any:
        run = api_runs._run(call)
        if not run.active:
            return await handler(call)
        call.runtime.runs.delete(run.run_id)
        return Response(status_code=204)


@fault("RUN-DEL-004")
def a_deleted_run_stays_in_the_history(seams: Seams) -> None:
    """DELETE of a run removes its row and leaves its checkpoints in the history."""

    @seams.around_operation("DELETE", _RUN)
    async def delete(handler: Any, call: Call) -> Any:
        run = api_runs._run(call)
        if run.active:
            return await handler(call)
        call.runtime.runs.delete(run.run_id)
        return Response(status_code=204)


@fault("RUN-SCHEMA-001")
def times_of_runs_have_no_offset(seams: Seams) -> None:
    """The times of a run are written without their offset, as if they were local."""

    @seams.around(runs, "now")
    def now(original: Any) -> Any:
        return original().removesuffix("+00:00")


@fault("RUN-SCHEMA-002")
def a_run_does_not_tell_what_was_asked(seams: Seams) -> None:
    """A run shows neither its `kwargs` nor its `multitask_strategy`."""

    def bare(value: Any) -> Any:
        if isinstance(value, list):
            return [bare(each) for each in value]
        if not isinstance(value, Run):
            return value
        told = msgspec.structs.asdict(value)
        return {key: told[key] for key in told if key not in ("kwargs", "multitask_strategy")}

    @seams.around(api_runs, "answer")
    def answered(original: Any, value: Any, *rest: Any, **more: Any) -> Any:
        return original(bare(value), *rest, **more)


@fault("RUN-SCHEMA-003")
def a_run_carries_its_output(seams: Seams) -> None:
    """A run that has ended shows its output beside its status."""

    @seams.around_operation("GET", _RUN)
    async def get(handler: Any, call: Call) -> Any:
        run = api_runs._run(call)
        if run.active:
            return await handler(call)
        output = msgspec.Raw(call.runtime.runs.output(run.run_id))
        return answer(msgspec.structs.asdict(run) | {"output": output})


@fault("RUN-SCHEMA-004", "RUN-SCHEMA-001")
def a_run_names_its_graph_as_its_assistant(seams: Seams) -> None:
    """The `assistant_id` of a run is the name of its graph."""

    @seams.around(runs, "_run")
    def run(original: Any, row: Any) -> Run:
        shown: Run = original(row)
        shown.assistant_id = msgspec.json.decode(shown.metadata)["graph_id"]
        return shown


@fault("RUN-SCHEMA-007")
def a_run_is_created_when_it_starts(seams: Seams) -> None:
    """The `created_at` of a run changes when a worker takes it up."""

    @seams.around(Runs, "start_next")
    def start_next(original: Any, rows: Runs, thread_id: str) -> Any:
        job = original(rows, thread_id)
        if isinstance(job, runs.Job):
            rows._db.run("UPDATE runs SET created_at = updated_at WHERE run_id = ?", job.run_id)
        return job


@fault("RUN-SCHEMA-008")
def the_end_of_a_run_resets_its_times(seams: Seams) -> None:
    """The `updated_at` of a run that has ended is the time of its creation again."""

    @seams.around(Runs, "end")
    def end(original: Any, rows: Runs, run_id: str, status: RunStatus, output: bytes) -> None:
        original(rows, run_id, status, output)
        rows._db.run("UPDATE runs SET updated_at = created_at WHERE run_id = ?", run_id)
