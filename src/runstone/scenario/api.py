"""The run API as scenarios see it: who asks, in which part of the scenario, and a method for each operation.

A method never judges; whatever the target does becomes an `Exchange`. Those that return an id raise `Blocked`
when the target gave none, which ends the scenario there: what follows is not-testable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Unpack

import msgspec

from runstone.contracts import lifecycle
from runstone.scenario.clients import Client, serving_client
from runstone.scenario.exploration import Exploration
from runstone.scenario.requests import (
    ENTRY_POINTS,
    OMIT,
    Blocked,
    Omitted,
    Options,
    given,
    labelled,
    query_text,
    run_body,
    runs_path,
    well_formed,
)
from runstone.scenario.runs import creates_run
from runstone.scenario.slots import MANY, Lease, Slots
from runstone.scenario.waiting import Until, id_in
from runstone.target import agents
from runstone.target.control import Control
from runstone.target.target import Target
from runstone.wire.documents import Missing, encoded
from runstone.wire.identity import Identity
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Story
from runstone.wire.request import Request
from runstone.wire.trace import UUID, Exchange, Inapplicable
from runstone.wire.webhooks import Sink, listening

_REQUESTS_MEANWHILE = 4  # a status, what is watched for, and what is then done


class Api:
    """The operations of the run API for one scenario, or for one part of it."""

    def __init__(
        self,
        recorder: Recorder,
        target: Target,
        story: Story,
        part: str = "",
        *,
        identity: Identity = "first",
        lease: Lease | None = None,
        holder: str = "",
        control: Control | None = None,
        exploration: Exploration | None = None,
    ) -> None:
        """`lease`: the slots that its runs take, by default of many; `holder`: the part that holds them."""
        self.target = target
        self._recorder = recorder
        self._story = story
        self._part = part
        self._identity: Identity = identity
        self._lease = lease or Lease(Slots(MANY), 1, steady=False)
        self._holder = holder
        self._control = control
        self._exploration = exploration

    @property
    def exploration(self) -> Exploration:
        """How far this scenario may go with requests of its own making. Raises Blocked where it may not."""
        if self._exploration is None:
            raise Blocked("this scenario is not declared to explore")
        return self._exploration

    @property
    def limits(self) -> Limits:
        """The deadlines in force, calibrated to the target."""
        return self._recorder.limits

    @property
    def clock(self) -> float:
        """Seconds since the session began."""
        return self._recorder.clock

    @property
    def _until(self) -> Until:
        return Until(self.limits, self._recorder.grows)

    def with_slack(self, seconds: float) -> float:
        """So many seconds, a turn's more, and those of a few requests as slow as the slowest of late."""
        return round(seconds + self.limits.turn_s + _REQUESTS_MEANWHILE * self._recorder.answer_s, 1)

    def note(self, **facts: Any) -> None:
        """Keep what the scenario knows and the wire does not say, for judges: `trace.note(key)`.

        Raises TypeError for what is no JSON.
        """
        prefix = f"{self._part}." if self._part else ""
        self._story.note({prefix + key: value for key, value in facts.items()})

    async def each(self, names: Iterable[str], drive: Callable[[Api, str], Awaitable[object]]) -> None:
        """Run `drive(api, name)` for every name at once, each as a part of its own: `trace.part(name)`."""
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self._drive_part(name, drive))

    async def _drive_part(self, name: str, drive: Callable[[Api, str], Awaitable[object]]) -> None:
        part = f"{self._part}.{name}" if self._part else name
        try:
            await drive(self._derived(part=part, holder=self._holder or part), name)
        except (Blocked, Missing) as reason:
            self._story.blocked[part] = str(reason)
        except Inapplicable as reason:
            self._story.inapplicable[part] = str(reason)
        finally:
            if not self._holder:
                await self._lease.leave(part)

    def within(self, part: str) -> Api:
        """The same operations as a part of the scenario: `trace.part(part)`."""
        return self._derived(part=f"{self._part}.{part}" if self._part else part)

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """What the scenario, with all its parts, has exchanged so far."""
        return self._story.exchanges

    @property
    def control(self) -> Control:
        """How this scenario's own server is restarted and killed. Raises Blocked where there is none."""
        if self._control is None:
            raise Blocked("there is no server that this scenario may restart or kill")
        return self._control

    def demand_graphs(self) -> None:
        """Go on only with the conformance graphs: an agent of the user's own cannot stand in from here on.

        Raises Inapplicable, which ends the scenario, or this part of it.
        """
        if self.target.agent is not None:
            raise Inapplicable(self.target.agent.is_no_graph)

    def offers(self, graph: str) -> bool:
        """Whether there is what ends as this conformance graph does: the graph, or an agent's input."""
        return self.target.agent is None or agents.ending_of(graph) in self.target.agent.outcomes

    def _derived(self, *, part: str | None = None, identity: Identity | None = None, holder: str = "") -> Api:
        return Api(
            self._recorder,
            self.target,
            self._story,
            self._part if part is None else part,
            identity=identity or self._identity,
            lease=self._lease,
            holder=holder or self._holder,
            control=self._control,
            exploration=self._exploration,
        )

    def plainly(self) -> Api:
        """The same operations without what official clients send along with every run."""
        api = self._derived()
        api.target = msgspec.structs.replace(self.target, plain=True)
        return api

    @property
    def second(self) -> Api:
        """The same operations by the second identity, with its headers and not with the first one's."""
        return self._as("second")

    @property
    def restricted(self) -> Api:
        """The same operations by the identity that may only read."""
        return self._as("restricted")

    @property
    def anonymous(self) -> Api:
        """The same operations without any of the configured headers."""
        return self._derived(identity="anonymous")

    def _as(self, identity: Identity) -> Api:
        if not self.target.headers_of(identity):
            raise Blocked(f"the headers of the {identity} identity are not configured")
        return self._derived(identity=identity)

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[Client]:
        """An official client (`clients.CLIENTS`), whose turns become parts of this scenario.

        Raises ClientError when its program does not run; whether it can is a capability of this machine.
        """
        await self._lease.enter(self._holder)
        async with serving_client(name, self.target, self._recorder, self._story) as client:
            yield client

    @asynccontextmanager
    async def webhook_sink(self) -> AsyncIterator[Sink]:
        """Addresses on this machine for webhooks; each delivery becomes an exchange labelled `delivery`."""
        async with listening(self._recorder, self._story) as sink:
            yield sink

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
        headers = {name: well_formed(value) for name, value in options.get("headers", {}).items()}
        if json is not OMIT:
            json = self._with_own_assistants(json)
            content = encoded(json, separators=(",", ":")).encode("utf-8", "surrogatepass")
            headers.setdefault("content-type", "application/json")
        pairs = params.items() if isinstance(params, Mapping) else params
        path = well_formed(self._with_own_assistant(path))
        request = Request(
            scenario=self._story.scenario,
            part=self._part,
            number=self._story.next_number(),
            label=options.get("label") or f"{method} {UUID.sub('*', path)}",
            method=method,
            path=path,
            params=tuple((key, query_text(value)) for key, value in pairs if value is not OMIT),
            headers=tuple(headers.items()),
            content=content,
            deadline=self.limits.request_s + options.get("patience", 0.0),
            close_after=options.get("close_after"),
            close_after_events=options.get("close_after_events"),
            unread_until=options.get("unread_until"),
            identity=self._identity,
        )
        if creates_run(method, path):
            await self._lease.enter(self._holder)
        return await self._recorder.send(request, self._story.exchanges, options.get("opened"))

    def _with_own_assistants(self, body: Any) -> Any:
        """The body with the target's own ids of the conformance graphs, wherever an assistant is named."""
        if self.target.agent is not None:
            return agents.standing_in(self.target.agent, body)
        if isinstance(body, list):
            return [self._with_own_assistants(each) for each in body]
        named = body.get("assistant_id") if isinstance(body, dict) else None
        return {**body, "assistant_id": self.target.assistant(named)} if isinstance(named, str) else body

    def _with_own_assistant(self, path: str) -> str:
        before, found, rest = path.partition("/assistants/")
        if before or not found:
            return path
        named, slash, further = rest.partition("/")
        return f"/assistants/{self.target.assistant(named)}{slash}{further}"

    # threads

    async def create_thread(self, *, label: str = "create_thread", **body: Any) -> str:
        """POST /threads; the new thread's id. Raises Blocked when none came back."""
        exchange = await self.request("POST", "/threads", json=body, label=label)
        return id_in(exchange, "thread_id")

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

    async def until_logged(self, thread: str, node: str) -> Exchange:
        """Read the thread's state until `log` holds this node's name: the next node is then at work."""

        def logged(body: dict[str, Any]) -> bool:
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
