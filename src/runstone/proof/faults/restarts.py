"""Faults of what outlives a process, of durability, and of unusual input."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_runs, channels, execution, planning, routing, runtime
from runstone.reference.assistants import Assistants
from runstone.reference.bodies import Plan, RunBody
from runstone.reference.checkpoints import Checkpoints
from runstone.reference.errors import Invalid
from runstone.reference.runs import Job, Runs
from runstone.reference.scheduler import Scheduler

_EXACT = 2**53
_FRAMES = 1000  # of Python's stack


@fault("PERS-001", "PERS-005")
def ended_runs_are_kept_in_memory(seams: Seams) -> None:
    """The runs that have ended are gone after a restart."""
    _at_the_start(seams, "DELETE FROM runs WHERE status NOT IN ('pending', 'running')")


@fault("PERS-001", "PERS-005")
def threads_at_rest_are_kept_in_memory(seams: Seams) -> None:
    """The threads on which nothing was under way are gone after a restart."""
    busy = "SELECT thread_id FROM thread WHERE status = 'busy'"
    _at_the_start(seams, f"DELETE FROM threads WHERE thread_id NOT IN ({busy})")  # noqa: S608


@fault("PERS-002", "PERS-004", "RESTART-005")
def unfinished_runs_are_left_running(seams: Seams) -> None:
    """Nobody takes up the runs that a killed server left: they stay as they are, and their thread busy."""

    @seams.around(Scheduler, "recover")
    def recover(original: Any, own: Scheduler) -> None:
        """What is in the rows is history."""


@fault("PERS-003")
def recovered_run_starts_again(seams: Seams) -> None:
    """A run that is taken up after a crash is executed as a new one, from the first node."""

    @seams.around(Checkpoints, "written_by")
    async def written_by(original: Any, own: Checkpoints, thread_id: str, run_id: str) -> bool:  # noqa: ARG001
        return False

    @seams.around(execution, "config_for")
    def config_for(original: Any, job: Job, *limit: Any) -> Any:
        config = original(job, *limit)
        if job.attempt > 1:  # langgraph goes on by itself where it finds the id of the run
            config["metadata"] |= {"run_id": str(uuid4())}
        return config


@fault("PERS-004", "RESTART-005")
def queue_is_a_success_after_a_crash(seams: Seams) -> None:
    """The runs that were queued when the server ended are closed as successful, and not executed."""
    _at_the_start(seams, "UPDATE runs SET status = 'success', output = '{}' WHERE status = 'pending'")


@fault("PERS-004", "RESTART-005")
def delayed_runs_wait_in_memory(seams: Seams) -> None:
    """A run that waited for its time when the server ended is pending for ever."""
    # A delayed run counts as created when its time comes.
    delayed = "status = 'pending' AND created_at > updated_at"
    _at_the_start(seams, f"UPDATE runs SET start_at = start_at + 1e6 WHERE {delayed}")  # noqa: S608


@fault("RESTART-006", "PERS-007")
def crons_are_kept_in_memory(seams: Seams) -> None:
    """The crons are gone after a restart."""
    _at_the_start(seams, "DELETE FROM crons")


@fault("RESTART-007", "PERS-008")
def webhooks_are_kept_in_memory(seams: Seams) -> None:
    """A run that is taken up after a restart has forgotten its webhook."""
    _at_the_start(seams, "UPDATE runs SET kwargs = json_set(kwargs, '$.webhook', NULL)")


@fault("RESTART-003", "PERS-005")
def pauses_are_kept_in_memory(seams: Seams) -> None:
    """After a restart no thread is interrupted, so that nothing can be resumed."""
    _at_the_start(
        seams, "UPDATE threads SET resting = 'idle', interrupts = '{}' WHERE resting = 'interrupted'"
    )


@fault("DUR-001")
def durability_is_not_checked(seams: Seams) -> None:
    """A durability that there is not is taken for none."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        try:
            return original(body, shape)
        except Invalid as refused:
            if shape is not RunBody or "durability" not in refused.detail:
                raise
            given = {name: value for name, value in json.loads(body).items() if name != "durability"}
            return original(json.dumps(given).encode(), shape)


def _durable(seams: Seams, asked: str, done: str) -> None:
    @seams.around(execution, "_options")
    def options(original: Any, plan: Plan) -> dict[str, Any]:
        return dict(original(plan)) | ({"durability": done} if plan.durability == asked else {})


@fault("DUR-002", "DUR-004")
def durability_exit_writes_every_step(seams: Seams) -> None:
    """With durability "exit" a run writes a checkpoint after each step, as without."""
    _durable(seams, "exit", "async")


@fault("DUR-003")
def durability_sync_writes_at_the_end(seams: Seams) -> None:
    """With durability "sync" a run writes one checkpoint, at its end."""
    _durable(seams, "sync", "exit")


@fault("ROB-002")
def deep_input_overflows_the_stack(seams: Seams) -> None:
    """An input that is nested deeper than the stack of the server is answered with 500."""

    @seams.around(routing, "decode")
    def decode(original: Any, body: bytes, shape: Any) -> Any:
        if b"[" * _FRAMES in body:
            raise RecursionError
        return original(body, shape)


@fault("ROB-003")
def integers_are_floats(seams: Seams) -> None:
    """Numbers are kept as floating point: integers beyond 2^53 are rounded."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
            return int(float(value))
        return value

    @seams.around(planning, "_plan")
    def plan(original: Any, *args: Any, **named: Any) -> Plan:
        planned: Plan = original(*args, **named)
        planned.input = rounded(planned.input)
        return planned


@fault("ROB-004")
def refused_run_leaves_its_thread(seams: Seams) -> None:
    """The thread of a run is made before the run is checked; when that is refused, the thread stays."""

    @seams.around(api_runs, "check")
    async def check(original: Any, call: Any, body: RunBody, thread_id: str | None) -> Any:
        if thread_id is not None and body.if_not_exists == "create":
            call.runtime.threads.create(call.owner, thread_id, if_exists="do_nothing")
        return await original(call, body, thread_id)


@fault("RESTART-001")
def a_run_under_way_at_a_stop_stays_running(seams: Seams) -> None:
    """A run that was under way at a stop in good order is running for ever."""
    seams.around(Scheduler, "recover")(lambda _original, _own: None)


@fault("RESTART-002", "PERS-005")
def a_stream_of_before_the_restart_never_ends(seams: Seams) -> None:
    """Joining the stream of a run that ended before the restart waits for more events."""
    made: set[str] = set()

    @seams.around(Runs, "create")
    def create(original: Any, rows: Any, new: Any) -> Any:
        run = original(rows, new)
        made.add(run.run_id)
        return run

    @seams.around(Scheduler, "channel")
    def channel(original: Any, own: Any, run_id: str) -> Any:
        return original(own, run_id) if run_id in made else channels.Channel()


@fault("RESTART-003", "PERS-005")
def assistants_are_kept_in_memory(seams: Seams) -> None:
    """Assistants that clients made are gone after a restart."""

    @seams.around(Assistants, "install_defaults")
    def install(original: Any, rows: Any) -> None:
        rows._db.run("DELETE FROM assistants")
        original(rows)


@fault("RESTART-004", "PERS-006")
def items_are_kept_in_memory(seams: Seams) -> None:
    """The items of the store are gone after a restart."""

    @seams.around(runtime, "open_store")
    @asynccontextmanager
    async def open_store(original: Any, path: Any) -> Any:
        async with original(path) as store:
            await store.conn.execute("DELETE FROM store")
            await store.conn.commit()
            yield store


def _at_the_start(seams: Seams, statement: str) -> None:
    """Let a server begin by this change of what an earlier one has stored."""

    @seams.around(Scheduler, "recover")
    def recover(original: Any, own: Scheduler) -> None:
        own._db.run(statement)
        original(own)
