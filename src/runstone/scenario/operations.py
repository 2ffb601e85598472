"""A method for each operation of the run API, and for the turns that are made of several.

A method never judges; whatever the target does becomes an `Exchange`. Those that return an id raise `Blocked`
when the target gave none, which ends the scenario there: what follows is not-testable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Unpack

from runstone.contracts import lifecycle
from runstone.scenario.requests import (
    ENTRY_POINTS,
    NEVER_SLEPT_S,
    OMIT,
    Blocked,
    Omitted,
    Options,
    given,
    labelled,
    run_body,
    runs_path,
)
from runstone.scenario.waiting import Until, id_in, until_heard
from runstone.target.target import Target
from runstone.wire.documents import Missing, resolve
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder

_FAR_S: Final = 1.0  # an answer that travels so long makes another NEVER_SLEPT_S of sleep


class Operations(ABC):
    """The operations of the run API, for whoever can send a request."""

    def __init__(self, recorder: Recorder, target: Target) -> None:
        self.target = target
        self._recorder = recorder

    @property
    def limits(self) -> Limits:
        """The deadlines in force, calibrated to the target."""
        return self._recorder.limits

    @property
    def never_slept_s(self) -> float:
        """How long a run sleeps that is ended as soon as it does: from afar that is several answers later.

        Whole multiples, so that what is sent to targets nearby, and compared, is the same.
        """
        return NEVER_SLEPT_S * (1 + self.limits.answer_s // _FAR_S)

    @property
    def _until(self) -> Until:
        return Until(self.limits, self._recorder.grows)

    @abstractmethod
    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = OMIT,
        content: bytes | None = None,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        **options: Unpack[Options],
    ) -> Exchange:
        """Send any request. `json` is encoded as UTF-8 JSON; `content` is sent as it is, without a type."""

    # threads

    async def create_thread(self, *, label: str = "create_thread", **body: Any) -> str:
        """POST /threads; the new thread's id. Raises Blocked when none came back."""
        creating = partial(self.request, "POST", "/threads", json=body, label=label)
        return id_in(await until_heard(creating), "thread_id")

    async def thread(self, thread: str, **options: Unpack[Options]) -> Exchange:
        """GET /threads/{thread}."""
        return await self.request("GET", f"/threads/{thread}", **labelled("thread", options))

    async def delete_thread(self, thread: str, **options: Unpack[Options]) -> Exchange:
        """DELETE /threads/{thread}."""
        return await self.request("DELETE", f"/threads/{thread}", **labelled("delete_thread", options))

    async def search_threads(self, *, label: str = "search_threads", **body: Any) -> Exchange:
        """POST /threads/search."""
        return await self.request("POST", "/threads/search", json=body, label=label)

    async def state(
        self, thread: str, *, subgraphs: bool | Omitted = OMIT, **options: Unpack[Options]
    ) -> Exchange:
        """GET /threads/{thread}/state."""
        params = {"subgraphs": subgraphs}
        path = f"/threads/{thread}/state"
        return await self.request("GET", path, params=params, **labelled("state", options))

    async def update_state(self, thread: str, *, label: str = "update_state", **body: Any) -> Exchange:
        """POST /threads/{thread}/state."""
        return await self.request("POST", f"/threads/{thread}/state", json=given(body), label=label)

    async def history(self, thread: str, *, limit: int = 100, **options: Unpack[Options]) -> Exchange:
        """POST /threads/{thread}/history, as the official clients read it: the newest first."""
        path = f"/threads/{thread}/history"
        # The limit is always sent, as servers differ in it.
        return await self.request("POST", path, json={"limit": limit}, **labelled("history", options))

    async def checkpoint_before(self, thread: str, node: str, **options: Unpack[Options]) -> dict[str, Any]:
        """The checkpoint at which this node alone was next, by the history. Raises Blocked without one."""
        history = await self.history(thread, **options)
        for entry in history.array:
            checkpoint = resolve(entry, "/checkpoint")
            if resolve(entry, "/next") == [node] and resolve(checkpoint, "/checkpoint_id"):
                return dict(checkpoint)
        raise Blocked(f"{history.where} has no entry with {node} next")

    async def settle(self, thread: str, *, label: str = "settle", patience: float = 0.0) -> Exchange:
        """Read the thread until it is no longer busy or the limit has passed; the last reading."""
        return await self._until.status(
            lambda: self.thread(thread, label=label), lambda status: status != "busy", patience
        )

    async def settled(self, thread: str, status: str | None) -> Exchange:
        """As `settle`, until the thread has this status: one that is updated a moment after its run ended."""
        return await self._until.status(
            lambda: self.thread(thread, label="settle"),
            lambda seen: seen == status or (status is None and seen != "busy"),
            0,
        )

    # runs

    async def create_run(
        self,
        thread: str | None,
        assistant: str,
        input: Any = OMIT,  # noqa: A002 - the API's own name
        *,
        label: str = "create_run",
        **body: Any,
    ) -> str:
        """POST …/runs; the new run's id. Raises Blocked when none came back."""
        exchange = await self.send_run(thread, assistant, input, label=label, **body)
        return id_in(exchange, "run_id")

    async def create_run_later(
        self,
        thread: str,
        assistant: str,
        input: Any,  # noqa: A002
        seconds: float,
        **body: Any,
    ) -> str:
        """A run that waits for its time; one that does not, where the server refuses `after_seconds`."""
        delayed = await self.send_run(thread, assistant, input, after_seconds=seconds, **body)
        if delayed.code is not None and 400 <= delayed.code < 500:
            return await self.create_run(thread, assistant, input, label="create_at_once", **body)
        return id_in(delayed, "run_id")

    async def send_run(
        self,
        thread: str | None,
        assistant: str,
        input: Any = OMIT,  # noqa: A002
        *,
        label: str = "create_run",
        **body: Any,
    ) -> Exchange:
        """POST …/runs, to see the answer itself."""
        return await self.request(
            "POST",
            runs_path(thread),
            json=run_body(assistant, input, body, plain=self.target.plain),
            label=label,
        )

    async def wait(
        self,
        thread: str | None,
        assistant: str,
        input: Any = OMIT,  # noqa: A002
        *,
        options: Options | None = None,
        label: str = "wait",
        patience: float = 0.0,
        **body: Any,
    ) -> Exchange:
        """POST …/runs/wait. Further keywords are fields of the body; `options` says how to send it."""
        if not self.target.plain:
            body.setdefault("on_disconnect", "continue")
        chosen: Options = {"label": label, "patience": patience, **(options or {})}
        path = runs_path(thread) + "/wait"
        return await self.request(
            "POST", path, json=run_body(assistant, input, body, plain=self.target.plain), **chosen
        )

    async def stream(
        self,
        thread: str | None,
        assistant: str,
        input: Any = OMIT,  # noqa: A002
        *,
        stream_mode: str | list[str] | Omitted = "values",
        options: Options | None = None,
        label: str = "stream",
        patience: float = 0.0,
        **body: Any,
    ) -> Exchange:
        """POST …/runs/stream. Further keywords are fields of the body; `options` says how to send it."""
        if not self.target.plain:
            body.setdefault("on_disconnect", "continue")
        body["stream_mode"] = stream_mode
        chosen: Options = {"label": label, "patience": patience, **(options or {})}
        path = runs_path(thread) + "/stream"
        return await self.request(
            "POST", path, json=run_body(assistant, input, body, plain=self.target.plain), **chosen
        )

    async def turn(
        self,
        entry_point: str,
        thread: str | None,
        assistant: str,
        input: Any = OMIT,  # noqa: A002
        *,
        patience: float = 0.0,
        **body: Any,
    ) -> Exchange:
        """One run to its end by an entry point; the exchange that carries the result is labelled `result`.

        `background` creates the run and joins it. The stateless entry points ignore `thread`.
        """
        own = None if entry_point.startswith("stateless") else thread
        if entry_point.endswith("wait"):
            return await self.wait(own, assistant, input, label="result", patience=patience, **body)
        if entry_point.endswith("stream"):
            return await self.stream(own, assistant, input, label="result", patience=patience, **body)
        if entry_point != "background" or own is None:
            raise ValueError(f"{entry_point!r} is none of {', '.join(ENTRY_POINTS)}, or lacks its thread")
        run = await self.create_run(own, assistant, input, **body)
        return await self.join(own, run, label="result", patience=patience)

    async def whole_turn(
        self,
        entry_point: str,
        assistant: str,
        input: Any = OMIT,  # noqa: A002
        *,
        patience: float = 0.0,
        **body: Any,
    ) -> None:
        """One run on a thread of its own by an entry point, then every reading of what it left.

        Labels: `result`, `poll` (the run until it ended), `settle` (the thread until it left busy), `state`,
        `history`. A stateless run keeps its thread, so that it can be read where the answer names it.
        """
        if entry_point.startswith("stateless"):
            body.setdefault("on_completion", "keep")
            thread = None
        else:
            thread = await self.create_thread()
        result = await self.turn(entry_point, thread, assistant, input, patience=patience, **body)
        await self.read_what_is_left(thread, result, patience=patience)

    async def read_what_is_left(self, thread: str | None, result: Exchange, *, patience: float = 0.0) -> None:
        """Read run, thread, state and history after a turn. Raises Blocked when the answer names no run."""
        thread = thread or result.found_thread_id
        if thread is None:
            raise Blocked(f"{result.where} names no thread to read")
        run = result.found_run_id or await self._newest_run(thread)
        if run is not None:
            await self.poll_run(thread, run, patience=patience)
        await self.settle(thread)
        await self.state(thread)
        await self.history(thread)
        if run is None:
            raise Blocked(f"{result.where} names no run: no Content-Location, no metadata event")

    async def read_at_rest(self, thread: str) -> None:
        """Read the thread until it is no longer busy, and its state, with which all else must agree."""
        await self.settle(thread)
        await self.state(thread)

    async def _newest_run(self, thread: str) -> str | None:
        """The run of a thread that has one, by the list of its runs, for an answer that does not name it."""
        runs = await self.runs(thread, label="run_by_list", limit=1)
        try:
            return str(runs.array[0]["run_id"])
        except (Missing, LookupError, TypeError):
            return None

    async def run(self, thread: str, run: str, **options: Unpack[Options]) -> Exchange:
        """GET /threads/{thread}/runs/{run}."""
        return await self.request("GET", f"{runs_path(thread)}/{run}", **labelled("run", options))

    async def runs(self, thread: str, *, label: str = "runs", **params: Any) -> Exchange:
        """GET /threads/{thread}/runs."""
        return await self.request("GET", runs_path(thread), params=params, label=label)

    async def join(
        self,
        thread: str,
        run: str,
        *,
        cancel_on_disconnect: bool | Omitted = OMIT,
        **options: Unpack[Options],
    ) -> Exchange:
        """GET /threads/{thread}/runs/{run}/join."""
        params = {"cancel_on_disconnect": cancel_on_disconnect}
        path = f"{runs_path(thread)}/{run}/join"
        return await self.request("GET", path, params=params, **labelled("join", options))

    async def join_stream(
        self,
        thread: str,
        run: str,
        *,
        last_event_id: str | None = None,
        stream_mode: str | list[str] | Omitted = OMIT,
        cancel_on_disconnect: bool | Omitted = OMIT,
        **options: Unpack[Options],
    ) -> Exchange:
        """GET /threads/{thread}/runs/{run}/stream; a list of modes is sent as repeated parameters."""
        modes = stream_mode if isinstance(stream_mode, list) else [stream_mode]
        params = [*(("stream_mode", mode) for mode in modes), ("cancel_on_disconnect", cancel_on_disconnect)]
        chosen = labelled("join_stream", options)
        if last_event_id is not None:
            chosen["headers"] = {**chosen.get("headers", {}), "last-event-id": last_event_id}
        return await self.request("GET", f"{runs_path(thread)}/{run}/stream", params=params, **chosen)

    async def cancel(
        self,
        thread: str,
        run: str,
        *,
        wait: bool | str | Omitted = OMIT,
        action: str | Omitted = OMIT,
        **options: Unpack[Options],
    ) -> Exchange:
        """POST /threads/{thread}/runs/{run}/cancel; `wait` is sent as 0 or 1, as the official clients do."""
        params = {"wait": int(wait) if isinstance(wait, bool) else wait, "action": action}
        path = f"{runs_path(thread)}/{run}/cancel"
        return await self.request("POST", path, params=params, **labelled("cancel", options))

    async def poll_run(
        self, thread: str, run: str, *, label: str = "poll", patience: float = 0.0
    ) -> Exchange:
        """Read the run until its status is terminal or the limit has passed; every reading is recorded."""
        terminal = lifecycle().runs.terminal
        return await self._until.status(
            lambda: self.run(thread, run, label=label), lambda status: status in terminal, patience
        )

    async def until_running(self, thread: str, run: str, *, label: str = "poll") -> Exchange:
        """Read the run until it has left `pending`; every reading is recorded."""
        return await self._until.status(
            lambda: self.run(thread, run, label=label), lambda status: status != "pending", 0
        )

    async def until_logged(
        self, thread: str, node: str, *, unless: Callable[[], bool] = lambda: False
    ) -> Exchange:
        """Read the thread's state until `log` holds this node's name: the next node is then at work.

        `unless`: what makes that pointless.
        """

        def logged(body: dict[str, Any]) -> bool:
            if unless():
                return True
            log = body["values"].get("log") if isinstance(body.get("values"), dict) else None
            return isinstance(log, list) and node in log

        return await self._until.body(lambda: self.state(thread, label="watch"), logged)

    # assistants and the server itself

    async def search_assistants(self, *, label: str = "search_assistants", **body: Any) -> Exchange:
        """POST /assistants/search."""
        return await self.request("POST", "/assistants/search", json=body, label=label)

    async def server_ok(self, **options: Unpack[Options]) -> Exchange:
        """GET /ok."""
        return await self.request("GET", "/ok", **labelled("ok", options))

    async def alive(self, **options: Unpack[Options]) -> Exchange:
        """GET what the self-check saw answered: GET /ok, where the server has it."""
        return await self.request("GET", self._recorder.alive_path, **labelled("alive", options))

    async def info(self, **options: Unpack[Options]) -> Exchange:
        """GET /info."""
        return await self.request("GET", "/info", **labelled("info", options))
