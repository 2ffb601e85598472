"""The contract as a model: what a client may expect of its threads and runs after any requests.

The model sees the exchanges of one sequence in their order and says of each whether it keeps what the ones
before it promised. It knows the conformance graphs `steps`, `echo`, `fail`, `interrupt` and `slow`
(fixtures/graphs/README.md), MUSTs of the catalogue and nothing of any server. What sources leave open (a
moment's delay of a status, the wording of errors, what a cancelled run leaves) it leaves open too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from runstone.contracts import Operation, Profile, lifecycle, operation_for
from runstone.explore.expected import after_resume, after_run, merged, plain
from runstone.explore.threads import Ending, RunModel, ThreadModel
from runstone.wire.canonical import shown
from runstone.wire.documents import Missing, is_null
from runstone.wire.exchange import Exchange

GRAPHS = ("steps", "echo", "fail", "interrupt", "slow")
_MISSING = 404
_NO_PROMISE = "ROB-001"  # of what the contract does not describe: only that the server bears it
_STATUSES: dict[Ending, set[str]] = {
    "success": {"success"},
    "paused": {"success", "interrupted"},
    "error": {"error"},
    "cancelled": {"interrupted", "success"},  # success: it was through before the cancel came
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise: the requirement that names it, what was seen, and where."""

    requirement: str
    reason: str
    exchange: Exchange


class Model:
    """What is expected; `see` takes the exchanges one after the other.

    `settle_s`: how long a status may lag behind the end of a run (limits.settle_s of the observation).
    """

    def __init__(self, profile: Profile, settle_s: float) -> None:
        self._profile = profile
        self._settle_s = settle_s
        self.threads: list[ThreadModel] = []

    def see(self, exchange: Exchange) -> Finding | None:
        """What this exchange breaks, as the first thing that is wrong with it; None when all is well.

        An exchange that the session itself ended is not evidence of anything.
        """
        try:
            self._see(exchange)
        except _Broken as broken:
            return Finding(broken.requirement, broken.reason, exchange)
        except Missing as reason:
            operation = operation_for(exchange.method, exchange.path)
            return Finding(_NO_PROMISE if operation is None else operation.promise, str(reason), exchange)
        return None

    def _see(self, exchange: Exchange) -> None:
        operation = operation_for(exchange.method, exchange.path)
        if operation is None:
            return
        if operation.name == "POST /threads":
            self._thread_created(exchange)
        elif operation.name == "POST /threads/search":
            self._searched(exchange)
        else:
            thread = self._known(operation.segments(exchange.path).get("thread"))
            if thread is not None:
                self._see_thread(exchange, thread, operation)

    def _known(self, thread_id: str | None) -> ThreadModel | None:
        return next((each for each in self.threads if each.thread_id == thread_id), None)

    def _see_thread(self, exchange: Exchange, thread: ThreadModel, operation: Operation) -> None:
        if thread.deleted:
            _expect(
                exchange.status == _MISSING, "THR-DEL-003", f"the thread was deleted, got {exchange.status}"
            )
            return
        run_id = operation.segments(exchange.path).get("run")
        if run_id is not None:
            self._see_run(exchange, thread, run_id, operation.name)
        elif operation.name in self._OPERATIONS:
            self._OPERATIONS[operation.name](self, exchange, thread)

    # threads

    def _thread_created(self, exchange: Exchange) -> None:
        body = exchange.object
        thread_id = body.get("thread_id")
        _expect(isinstance(thread_id, str), "THR-CREATE-001", f"got no thread_id, but {shown(body)}")
        _expect(
            body.get("status") == "idle", "THR-CREATE-003", f"a new thread is {shown(body.get('status'))}"
        )
        _expect(
            self._known(str(thread_id)) is None,
            "THR-CREATE-001",
            "a second thread was given the same thread_id",
        )
        self.threads.append(ThreadModel(str(thread_id)))

    def _searched(self, exchange: Exchange) -> None:
        found = {each.get("thread_id") for each in exchange.array if isinstance(each, dict)}
        wanted = {each.thread_id for each in self.threads if not each.deleted}
        _expect(
            found == wanted,
            "THR-SEARCH-002",
            f"wanted the {len(wanted)} threads of the sequence, found {len(found)}",
        )

    def _deleted(self, exchange: Exchange, thread: ThreadModel) -> None:
        _expect(_good(exchange), "THR-DEL-001", f"a delete was answered with {exchange.status}")
        thread.deleted = True

    def _read_thread(self, exchange: Exchange, thread: ThreadModel) -> None:
        status = exchange.object.get("status")
        if status == "busy":
            self._not_late(exchange, thread, "THR-STATUS-007", "the thread is still busy")
        elif thread.active is None and thread.resting is not None:
            names = {"idle": "THR-STATUS-003", "interrupted": "THR-STATUS-004", "error": "THR-STATUS-005"}
            if status != thread.resting and self._is_late(exchange, thread):
                raise _Broken(names[thread.resting], f"the thread is {status}, wanted {thread.resting}")

    def _read_state(self, exchange: Exchange, thread: ThreadModel) -> None:
        state = exchange.object
        values = plain(state.get("values"))
        if thread.active is not None:
            return
        if thread.values is not None:
            _expect(
                values == thread.values,
                "PARITY-002",
                f"the state holds {shown(values)}, wanted {shown(thread.values)}",
            )
            going_on = bool(state.get("next"))
            _expect(
                going_on == thread.pending or thread.resting in (None, "error"),  # what failed is left to do
                "INT-DYN-001" if thread.pending else "STATE-002",
                f"next is {shown(state.get('next'))}",
            )
        thread.values = values
        if thread.pending:
            tasks = state.get("tasks")
            asked = (
                [each for each in tasks if isinstance(each, dict) and each.get("interrupts")] if tasks else []
            )
            _expect(bool(asked), "INT-DYN-001", f"no task of the state holds the interrupt: {shown(tasks)}")

    def _read_history(self, exchange: Exchange, thread: ThreadModel) -> None:
        if thread.active is not None:
            return
        entries = [each for each in exchange.array if isinstance(each, dict)]
        ids = [_checkpoint_id(each) for each in entries]
        if entries and thread.values is not None:
            newest = plain(entries[0].get("values"))
            _expect(
                newest == thread.values,
                "HIST-002",
                f"the newest entry holds {shown(newest)}, wanted {shown(thread.values)}",
            )
        _expect(bool(entries) or not thread.values, "HIST-001", "the history is empty after a run")
        lost = [each for each in thread.checkpoints if each not in ids]
        _expect(not lost, "HIST-001", f"{len(lost)} entries of the history are gone that were there before")
        for checkpoint_id, entry in zip(ids, entries, strict=True):
            thread.checkpoints[checkpoint_id] = entry

    def _updated(self, exchange: Exchange, thread: ThreadModel) -> None:
        if not _good(exchange):
            raise _Broken("STATE-UPD-001", f"an update at rest was answered with {exchange.status}")
        given = (exchange.request_json or {}).get("values") or {}
        if thread.values is not None:
            thread.values = merged(thread.values, given)
        thread.resting, thread.pending = "idle", False

    # runs

    def _waited(self, exchange: Exchange, thread: ThreadModel) -> None:
        _expect(exchange.status == 200, "RUN-WAIT-001", f"wait was answered with {exchange.status}")
        body = exchange.json
        expected = self._begin(exchange, thread)
        ending = self._ending(expected, thread)
        self._judge_result(body, expected, ending, "RUN-WAIT-002", "RUN-WAIT-004")
        if ending == "success" and thread.values is None:
            thread.values = plain(self._profile.wait.values_in(body))
        self._end(exchange, thread, exchange.found_run_id, ending)

    def _streamed(self, exchange: Exchange, thread: ThreadModel) -> None:
        events = exchange.stream
        _expect(events[0].event == "metadata", "RUN-STREAM-002", f"the first event is {events[0].event!r}")
        expected = self._begin(exchange, thread)
        ending = self._ending(expected, thread)
        errors = [event for event in events if event.event == "error"]
        if ending == "error":
            _expect(bool(errors), "RUN-STREAM-008", "the stream of a run that failed has no error event")
        else:
            _expect(
                not errors, "EXEC-002", f"the stream ended in an error: {shown(errors and errors[0].data)}"
            )
            states = [event.json for event in events if event.event == "values"]
            _expect(bool(states), "MODE-VALUES-001", "the stream has no event of the mode that was asked for")
            last = plain({key: value for key, value in states[-1].items() if key != "__interrupt__"})
            wanted = expected.values
            _expect(
                wanted is None or last == wanted,
                "PARITY-001",
                f"the last values of the stream are {shown(last)}, wanted {shown(wanted)}",
            )
        self._end(exchange, thread, exchange.found_run_id, ending)

    def _created(self, exchange: Exchange, thread: ThreadModel) -> None:
        run = exchange.object
        _expect(isinstance(run.get("run_id"), str), "RUN-CREATE-001", f"got no run_id, but {shown(run)}")
        _expect(
            run.get("thread_id") == thread.thread_id,
            "RUN-CREATE-001",
            f"the run is on another thread: {run.get('thread_id')}",
        )
        self._begin(exchange, thread)
        thread.active = str(run["run_id"])
        thread.runs[thread.active] = RunModel("success")

    def _listed(self, exchange: Exchange, thread: ThreadModel) -> None:
        found = {each.get("run_id") for each in exchange.array if isinstance(each, dict)}
        wanted = {run_id for run_id, run in thread.runs.items() if not run.deleted}
        unnamed = len(found) - len(wanted)
        _expect(found == wanted, "RUN-LIST-001", f"{unnamed:+d} runs against those that were started")

    def _see_run(self, exchange: Exchange, thread: ThreadModel, run_id: str, operation: str) -> None:
        run = thread.runs.get(run_id)
        if run is None:
            return
        if run.deleted:
            _expect(exchange.status == _MISSING, "RUN-DEL-001", f"the run was deleted, got {exchange.status}")
        elif operation == "GET /threads/{thread}/runs/{run}":
            self._read_run(exchange, run)
        elif operation == "GET /threads/{thread}/runs/{run}/join":
            self._joined(exchange, thread, run_id, run)
        elif operation == "POST /threads/{thread}/runs/{run}/cancel":
            self._cancelled(exchange, thread, run)
        elif operation == "DELETE /threads/{thread}/runs/{run}":
            _expect(_good(exchange), "RUN-DEL-001", f"a delete was answered with {exchange.status}")
            run.deleted = True
            # Its checkpoints go with it (RUN-DEL-004), or stay: the next reading says what the thread holds.
            thread.checkpoints.clear()
            thread.values, thread.resting, thread.pending = None, None, False

    def _read_run(self, exchange: Exchange, run: RunModel) -> None:
        status = exchange.object.get("status")
        if status in lifecycle().runs.terminal:
            if run.over_at is None:
                return
            names = {"success": "RUN-STATUS-006", "error": "RUN-STATUS-005"}
            name = names.get(run.ending, "RUN-STATUS-007" if run.ending == "cancelled" else "RUN-STATUS-008")
            _expect(status in _STATUSES[run.ending], name, f"the run is {status}")
        elif run.over_at is not None and exchange.sent_at > run.over_at + self._settle_s * 0.9:
            raise _Broken("RUN-STATUS-004", f"the run is {status} though it was over")

    def _joined(self, exchange: Exchange, thread: ThreadModel, run_id: str, run: RunModel) -> None:
        _expect(exchange.status == 200, "RUN-JOIN-001", f"join was answered with {exchange.status}")
        if run_id != thread.active:
            return  # an older run: some servers answer the thread's newest values
        body = exchange.json
        expected = _Expected(thread.graph, thread.values)
        ending = self._ending(expected, thread)
        if run.ending != "cancelled" and ending != "paused":
            self._judge_result(body, expected, ending, "PARITY-001", "PARITY-003")
        self._end(exchange, thread, run_id, ending if run.ending != "cancelled" else "cancelled")

    def _cancelled(self, exchange: Exchange, thread: ThreadModel, run: RunModel) -> None:
        if thread.active is None:
            return  # it was over: a 4xx and a 2xx are both seen
        _expect(_good(exchange), "CANCEL-001", f"a cancel was answered with {exchange.status}")
        run.ending, run.over_at = "cancelled", exchange.ended_at
        thread.active, thread.values, thread.resting, thread.pending = None, None, None, False

    # what a run does to its thread

    def _begin(self, exchange: Exchange, thread: ThreadModel) -> _Expected:
        """Take in what the run was asked to do: the values that it must end with."""
        asked = exchange.request_json or {}
        thread.graph = str(asked.get("assistant_id"))
        base = thread.values
        checkpoint = asked.get("checkpoint_id")
        if isinstance(checkpoint, str):
            base = plain(thread.checkpoints[checkpoint].get("values"))
        command = asked.get("command")
        if isinstance(command, dict) and "resume" in command:
            thread.values = after_resume(base, command["resume"])
            thread.pending = False
        else:
            thread.values = after_run(thread.graph, base, asked.get("input") or {})
            thread.pending = thread.graph == "interrupt"
        return _Expected(thread.graph, thread.values)

    def _ending(self, expected: _Expected, thread: ThreadModel) -> Ending:
        if expected.graph == "fail":
            return "error"
        return "paused" if thread.pending else "success"

    def _end(self, exchange: Exchange, thread: ThreadModel, run_id: str | None, ending: Ending) -> None:
        if run_id is None:
            raise _Broken("RUN-CREATE-002", "the answer names no run: there is no Content-Location")
        known = thread.runs.get(run_id)
        _expect(
            known is None or run_id == thread.active, "RUN-CREATE-002", "two runs were given the same run_id"
        )
        thread.runs[run_id] = RunModel(ending, exchange.ended_at)
        thread.active = None
        resting = {"success": "idle", "paused": "interrupted", "error": "error"}
        thread.resting = resting.get(ending)

    def _judge_result(
        self, body: Any, expected: _Expected, ending: Ending, values_id: str, error_id: str
    ) -> None:
        error = self._profile.wait.error_in(body)
        if ending == "error":
            _expect(isinstance(error, dict), error_id, f"a run that failed was answered with {shown(body)}")
            return
        _expect(is_null(error), values_id, f"the answer is an error: {shown(error)}")
        if ending == "paused":
            asked = self._profile.wait.interrupts_in(body)
            _expect(bool(asked), "PARITY-006", f"a run that paused was answered with {shown(body)}")
            return  # whether the values stand beside the interrupts differs between servers
        values = plain(self._profile.wait.values_in(body))
        _expect(
            expected.values is None or values == expected.values,
            values_id,
            f"the answer is {shown(values)}, wanted {shown(expected.values)}",
        )

    def _is_late(self, exchange: Exchange, thread: ThreadModel) -> bool:
        """Whether a status had the time to follow the end of the last run."""
        over_at = thread.over_at
        return over_at is not None and exchange.sent_at > over_at + self._settle_s * 0.9

    def _not_late(self, exchange: Exchange, thread: ThreadModel, requirement: str, reason: str) -> None:
        if self._is_late(exchange, thread):
            raise _Broken(requirement, reason)

    _OPERATIONS: dict[str, Callable[[Model, Exchange, ThreadModel], None]] = {  # noqa: RUF012 - never changed
        "GET /threads/{thread}": _read_thread,
        "DELETE /threads/{thread}": _deleted,
        "GET /threads/{thread}/state": _read_state,
        "POST /threads/{thread}/state": _updated,
        "POST /threads/{thread}/history": _read_history,
        "POST /threads/{thread}/runs/wait": _waited,
        "POST /threads/{thread}/runs/stream": _streamed,
        "POST /threads/{thread}/runs": _created,
        "GET /threads/{thread}/runs": _listed,
    }


def first_broken(exchanges: Iterable[Exchange], profile: Profile, settle_s: float) -> Finding | None:
    """The first promise that a sequence breaks; None when it keeps all."""
    model = Model(profile, settle_s)
    return next((found for each in exchanges if (found := model.see(each)) is not None), None)


@dataclass(frozen=True, slots=True)
class _Expected:
    graph: str
    values: dict[str, Any] | None


class _Broken(Exception):  # noqa: N818 - how a finding travels to `see`
    def __init__(self, requirement: str, reason: str) -> None:
        super().__init__(reason)
        self.requirement = requirement
        self.reason = reason


def _expect(kept: bool, requirement: str, reason: str) -> None:
    if not kept:
        raise _Broken(requirement, reason)


def _good(exchange: Exchange) -> bool:
    return 200 <= exchange.status < 300


def _checkpoint_id(entry: dict[str, Any]) -> str:
    checkpoint = entry.get("checkpoint")
    found = checkpoint.get("checkpoint_id") if isinstance(checkpoint, dict) else None
    _expect(isinstance(found, str), "HIST-001", f"an entry names no checkpoint: {shown(checkpoint)}")
    return str(found)
