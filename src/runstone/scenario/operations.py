"""The operations of the run API: one short method for each, over whatever sends a request.

Those that return an id raise `Blocked` when the target gave none, which ends the scenario there: what follows
is not-testable. All others return the `Exchange`, whatever was answered.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypedDict, Unpack
from uuid import uuid4

from runstone.contracts import lifecycle
from runstone.wire.limits import Limits
from runstone.wire.trace import UUID, Exchange, Missing, excerpt

ENTRY_POINTS = ("wait", "stream", "background", "stateless_wait", "stateless_stream")
THREADED_ENTRY_POINTS = ENTRY_POINTS[:3]

Opened = asyncio.Future[Exchange]


class _Omitted:
    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = _Omitted()  # a field of the body that shall not be sent at all


class Blocked(Exception):  # noqa: N818 - it ends a scenario, it is no error of the harness
    """The target gave no id to go on with; the scenario ends here."""


class Options(TypedDict, total=False):
    """How to send a request, apart from what it says."""

    label: str  # how judges find the exchange; default: the operation
    patience: float  # seconds that the answer may take beyond an ordinary one
    close_after: float  # hang up so many seconds after sending
    close_after_events: int  # hang up when so many events have arrived
    unread_until: asyncio.Event  # read nothing of the body before it is set
    opened: Opened  # is given the exchange as soon as its headers have arrived
    headers: Mapping[str, str]


class Operations(ABC):
    """The operations, for a class that can send a request."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """The deadlines in force, calibrated to the target."""

    @abstractmethod
    def with_slack(self, seconds: float) -> float:
        """So many seconds, and more where the target or this machine is slow at present.

        For what must last while something else is done, such as the sleep of a run that is read meanwhile.
        """

    @property
    @abstractmethod
    def clock(self) -> float:
        """Seconds since the session began."""

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
        exchange = await self.request("POST", "/threads", json=body, label=label)
        return _id_in(exchange, "thread_id")

    async def thread(self, thread: str, **options: Unpack[Options]) -> Exchange:
        """GET /threads/{thread}."""
        return await self.request("GET", f"/threads/{thread}", **_labelled("thread", options))

    async def delete_thread(self, thread: str, **options: Unpack[Options]) -> Exchange:
        """DELETE /threads/{thread}."""
        return await self.request("DELETE", f"/threads/{thread}", **_labelled("delete_thread", options))

    async def search_threads(self, *, label: str = "search_threads", **body: Any) -> Exchange:
        """POST /threads/search."""
        return await self.request("POST", "/threads/search", json=body, label=label)

    async def state(
        self, thread: str, *, subgraphs: bool | _Omitted = OMIT, **options: Unpack[Options]
    ) -> Exchange:
        """GET /threads/{thread}/state."""
        params = {"subgraphs": subgraphs}
        path = f"/threads/{thread}/state"
        return await self.request("GET", path, params=params, **_labelled("state", options))

    async def update_state(self, thread: str, *, label: str = "update_state", **body: Any) -> Exchange:
        """POST /threads/{thread}/state."""
        return await self.request("POST", f"/threads/{thread}/state", json=_given(body), label=label)

    async def history(self, thread: str, *, limit: int = 100, **options: Unpack[Options]) -> Exchange:
        """GET /threads/{thread}/history, newest first; the limit is always sent, as servers differ in it."""
        path = f"/threads/{thread}/history"
        return await self.request("GET", path, params={"limit": limit}, **_labelled("history", options))

    async def settle(self, thread: str, *, label: str = "settle", patience: float = 0.0) -> Exchange:
        """Read the thread until it is no longer busy or the limit has passed; the last reading."""
        return await self._poll(
            lambda: self.thread(thread, label=label), lambda status: status != "busy", patience
        )

    async def settled(self, thread: str, status: str | None) -> Exchange:
        """As `settle`, until the thread has this status: one that is updated a moment after its run ended."""
        return await self._poll(
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
        return _id_in(exchange, "run_id")

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
            "POST", _runs(thread), json=self._run_body(assistant, input, body), label=label
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
        body.setdefault("on_disconnect", "continue")
        chosen: Options = {"label": label, "patience": patience, **(options or {})}
        path = _runs(thread) + "/wait"
        return await self.request("POST", path, json=self._run_body(assistant, input, body), **chosen)

    async def stream(
        self,
        thread: str | None,
        assistant: str,
        input: Any = OMIT,  # noqa: A002
        *,
        stream_mode: str | list[str] | _Omitted = "values",
        options: Options | None = None,
        label: str = "stream",
        patience: float = 0.0,
        **body: Any,
    ) -> Exchange:
        """POST …/runs/stream. Further keywords are fields of the body; `options` says how to send it."""
        body.setdefault("on_disconnect", "continue")
        body["stream_mode"] = stream_mode
        chosen: Options = {"label": label, "patience": patience, **(options or {})}
        path = _runs(thread) + "/stream"
        return await self.request("POST", path, json=self._run_body(assistant, input, body), **chosen)

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
        run = result.found_run_id
        if thread is None:
            raise Blocked(f"{result.where} names no thread to read")
        if run is not None:
            await self.poll_run(thread, run, patience=patience)
        await self.settle(thread)
        await self.state(thread)
        await self.history(thread)
        if run is None:
            raise Blocked(f"{result.where} names no run: no Content-Location, no metadata event")

    async def run(self, thread: str, run: str, **options: Unpack[Options]) -> Exchange:
        """GET /threads/{thread}/runs/{run}."""
        return await self.request("GET", f"{_runs(thread)}/{run}", **_labelled("run", options))

    async def runs(self, thread: str, *, label: str = "runs", **params: Any) -> Exchange:
        """GET /threads/{thread}/runs."""
        return await self.request("GET", _runs(thread), params=params, label=label)

    async def join(
        self,
        thread: str,
        run: str,
        *,
        cancel_on_disconnect: bool | _Omitted = OMIT,
        **options: Unpack[Options],
    ) -> Exchange:
        """GET /threads/{thread}/runs/{run}/join."""
        params = {"cancel_on_disconnect": cancel_on_disconnect}
        path = f"{_runs(thread)}/{run}/join"
        return await self.request("GET", path, params=params, **_labelled("join", options))

    async def join_stream(
        self,
        thread: str,
        run: str,
        *,
        last_event_id: str | None = None,
        stream_mode: str | list[str] | _Omitted = OMIT,
        cancel_on_disconnect: bool | _Omitted = OMIT,
        **options: Unpack[Options],
    ) -> Exchange:
        """GET /threads/{thread}/runs/{run}/stream; a list of modes is sent as repeated parameters."""
        modes = stream_mode if isinstance(stream_mode, list) else [stream_mode]
        params = [*(("stream_mode", mode) for mode in modes), ("cancel_on_disconnect", cancel_on_disconnect)]
        chosen = _labelled("join_stream", options)
        if last_event_id is not None:
            chosen["headers"] = {**chosen.get("headers", {}), "last-event-id": last_event_id}
        return await self.request("GET", f"{_runs(thread)}/{run}/stream", params=params, **chosen)

    async def cancel(
        self,
        thread: str,
        run: str,
        *,
        wait: bool | str | _Omitted = OMIT,
        action: str | _Omitted = OMIT,
        **options: Unpack[Options],
    ) -> Exchange:
        """POST /threads/{thread}/runs/{run}/cancel."""
        params = {"wait": wait, "action": action}
        path = f"{_runs(thread)}/{run}/cancel"
        return await self.request("POST", path, params=params, **_labelled("cancel", options))

    async def poll_run(
        self, thread: str, run: str, *, label: str = "poll", patience: float = 0.0
    ) -> Exchange:
        """Read the run until its status is terminal or the limit has passed; every reading is recorded."""
        terminal = lifecycle().runs.terminal
        return await self._poll(
            lambda: self.run(thread, run, label=label), lambda status: status in terminal, patience
        )

    async def until_running(self, thread: str, run: str, *, label: str = "poll") -> Exchange:
        """Read the run until it has left `pending`; every reading is recorded."""
        return await self._poll(
            lambda: self.run(thread, run, label=label), lambda status: status != "pending", 0
        )

    async def until_logged(self, thread: str, node: str) -> Exchange:
        """Read the thread's state until `log` holds this node's name: the next node is then at work."""

        def logged(body: dict[str, Any]) -> bool:
            log = body["values"].get("log") if isinstance(body.get("values"), dict) else None
            return isinstance(log, list) and node in log

        return await self._read_until(lambda: self.state(thread, label="watch"), logged, 0)

    async def _poll(
        self, read: Callable[[], Awaitable[Exchange]], done: Callable[[str], bool], patience: float
    ) -> Exchange:
        def settled(body: dict[str, Any]) -> bool:
            status = body.get("status")
            return not isinstance(status, str) or done(status)  # what is no status will never become one

        return await self._read_until(read, settled, patience)

    async def _read_until(
        self, read: Callable[[], Awaitable[Exchange]], done: Callable[[dict[str, Any]], bool], patience: float
    ) -> Exchange:
        """Read until the answer satisfies `done` or is no 2xx object, or the limit has passed."""
        deadline = self.clock + self.limits.settle_s + patience
        interval = self.limits.poll_s
        while True:
            exchange = await read()
            body = _object_in(exchange)
            if body is None or done(body) or self.clock > deadline:
                return exchange
            await asyncio.sleep(interval)
            # A change is most likely soon; a quarter more each time spares the server many polls.
            interval = min(interval * 1.25, self.limits.longest_poll_s)

    def _run_body(self, assistant: str, input: Any, fields: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
        # Servers differ in their default strategy, so it is always sent unless a scenario omits it.
        body = {"assistant_id": assistant, "input": input, "multitask_strategy": "enqueue", **fields}
        return _given(body)

    # assistants and the server itself

    async def search_assistants(self, *, label: str = "search_assistants", **body: Any) -> Exchange:
        """POST /assistants/search."""
        return await self.request("POST", "/assistants/search", json=body, label=label)

    async def server_ok(self, **options: Unpack[Options]) -> Exchange:
        """GET /ok."""
        return await self.request("GET", "/ok", **_labelled("ok", options))

    async def info(self, **options: Unpack[Options]) -> Exchange:
        """GET /info."""
        return await self.request("GET", "/info", **_labelled("info", options))


def new_id() -> str:
    """A fresh UUID, for ids that no server knows."""
    return str(uuid4())


def ask(text: str) -> dict[str, Any]:
    """The input of a message graph: one human message."""
    return {"messages": [{"role": "user", "content": text}]}


def _runs(thread: str | None) -> str:
    return "/runs" if thread is None else f"/threads/{thread}/runs"


def _labelled(label: str, options: Options) -> Options:
    return {**options, "label": options.get("label", label)}


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not OMIT}


def _id_in(exchange: Exchange, key: str) -> str:
    body = _object_in(exchange)
    found = body.get(key) if body else None
    if not isinstance(found, str) or not UUID.fullmatch(found):
        shown = (
            f"{exchange.code}: {excerpt(exchange.content)}"
            if exchange.code
            else f"nothing: {exchange.failure}"
        )
        raise Blocked(f"{exchange.where} gave no {key}, but {shown}")
    return str(found)


def _object_in(exchange: Exchange) -> dict[str, Any] | None:
    try:
        return exchange.object
    except Missing:
        return None
