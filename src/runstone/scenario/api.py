"""The run API as scenarios see it: who asks, in which part of the scenario, and holding which slots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Unpack

import msgspec

from runstone.scenario.clients import Client, serving_client
from runstone.scenario.exploration import Exploration
from runstone.scenario.operations import Operations
from runstone.scenario.requests import (
    OMIT,
    Blocked,
    Opened,
    Options,
    query_text,
    well_formed,
)
from runstone.scenario.runs import creates_run, sleeps
from runstone.scenario.slots import MANY, Lease, Slots
from runstone.target import agents
from runstone.target.control import Control
from runstone.target.target import Target
from runstone.wire.documents import Missing, encoded
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.identity import Identity
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from runstone.wire.request import Request
from runstone.wire.trace import Inapplicable
from runstone.wire.webhooks import Sink, listening

_QUIET_S = 1.5  # what is kept or happens at once has been told by then, or never will be
_REQUESTS_MEANWHILE = 4  # a status, what is watched for, and what is then done


class Api(Operations):
    """The operations of the run API for one scenario, or for one part of it."""

    def __init__(
        self,
        recorder: Recorder,
        target: Target,
        recording: Recording,
        part: str = "",
        *,
        identity: Identity = "first",
        lease: Lease | None = None,
        holder: str = "",
        control: Control | None = None,
        exploration: Exploration | None = None,
    ) -> None:
        """`lease`: the slots that its runs take, by default of many; `holder`: the part that holds them."""
        super().__init__(recorder, target)
        self._recording = recording
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

    def off_the_clock(self) -> AbstractContextManager[None]:
        """What is waited for within is not the target's: the scenario's deadline waits too."""
        return self._lease.queue()

    @property
    def clock(self) -> float:
        """Seconds since the session began."""
        return self._recorder.clock

    def with_slack(self, seconds: float) -> float:
        """So many seconds, a turn's more, and those of a few requests as slow as the slowest of late."""
        return round(seconds + self.limits.turn_s + _REQUESTS_MEANWHILE * self._recorder.answer_s, 1)

    def note(self, **facts: Any) -> None:
        """Keep what the scenario knows and the wire does not say, for judges: `trace.note(key)`.

        Raises TypeError for what is not JSON.
        """
        prefix = f"{self._part}." if self._part else ""
        self._recording.note({prefix + key: value for key, value in facts.items()})

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
            self._recording.blocked[part] = str(reason)
        except Inapplicable as reason:
            self._recording.inapplicable[part] = str(reason)
        finally:
            if not self._holder:
                await self._lease.leave(part)

    def within(self, part: str) -> Api:
        """The same operations as a part of the scenario: `trace.part(part)`."""
        return self._derived(part=f"{self._part}.{part}" if self._part else part)

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """What the scenario, with all its parts, has exchanged so far."""
        return self._recording.exchanges

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
        if self.target.without_runs:
            raise Inapplicable(agents.NO_RUNS)
        if self.target.agent is not None:
            raise Inapplicable(self.target.agent.is_no_graph)

    def offers(self, graph: str) -> bool:
        """Whether there is what ends as this conformance graph does: the graph, or an agent's input."""
        return self.target.agent is None or agents.ending_of(graph) in self.target.agent.outcomes

    def _derived(self, *, part: str | None = None, identity: Identity | None = None, holder: str = "") -> Api:
        return Api(
            self._recorder,
            self.target,
            self._recording,
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
        async with serving_client(name, self.target, self._recorder, self._recording) as client:
            yield client

    @asynccontextmanager
    async def webhook_sink(self) -> AsyncIterator[Sink]:
        """Addresses on this machine for webhooks; each delivery becomes an exchange labelled `delivery`."""
        async with listening(self._recorder, self._recording) as sink:
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
        if self.target.without_runs:
            self._refuse_to_run(method, path, json, options.get("opened"))
        headers = {name: well_formed(value) for name, value in options.get("headers", {}).items()}
        if json is not OMIT:
            json = self._with_own_assistants(json)
            content = encoded(json, separators=(",", ":")).encode("utf-8", "surrogatepass")
            headers.setdefault("content-type", "application/json")
        pairs = params.items() if isinstance(params, Mapping) else params
        path = well_formed(self._with_own_assistant(path))
        request = Request(
            scenario=self._recording.scenario,
            part=self._part,
            number=self._recording.next_number(),
            label=options.get("label") or f"{method} {UUID.sub('*', path)}",
            method=method,
            path=path,
            params=tuple((key, query_text(value)) for key, value in pairs if value is not OMIT),
            headers=tuple(headers.items()),
            content=content,
            deadline=self.limits.request_s + options.get("patience", 0.0),
            close_after=options.get("close_after"),
            close_when=options.get("close_when"),
            quiet_s=options.get("quiet_s", 0.0),
            close_after_events=options.get("close_after_events"),
            unread_until=options.get("unread_until"),
            identity=self._identity,
        )
        if creates_run(method, path):
            await self._lease.enter(self._holder, sleeps=sleeps(json))
        return await self._recorder.send(
            request, self._recording.exchanges, options.get("opened"), options.get("relay")
        )

    def _refuse_to_run(self, method: str, path: str, body: Any, opened: Opened | None) -> None:
        """Raise Inapplicable for what starts a run, or names a graph that is not known to be there."""
        unknown = self.target.agent is None and agents.names_a_graph(body)
        if not creates_run(method, path) and not unknown:
            return
        if opened is not None:  # somebody waits for the answer that never comes
            opened.set_exception(Inapplicable(agents.NO_RUNS))
        raise Inapplicable(agents.NO_RUNS)

    def until_quiet(self, over: asyncio.Event | None = None) -> Options:
        """Listen until what is listened to, if anything, is over, and nothing has come for a while."""
        if over is None:
            over = asyncio.Event()
            over.set()
        return {"close_when": over, "quiet_s": self.with_slack(_QUIET_S)}

    async def hang_up_amid(
        self, thread: str, send: Callable[..., Coroutine[Any, Any, Exchange]], *, pause_s: float = 0.5
    ) -> Exchange:
        """Hang up while the second node of `slow` sleeps on this thread: on what `send(options=…)` sends.

        The target has read the request by then: it has begun to answer, or had `pause_s` and the time for it.
        """
        await self._lease.enter(self._holder)
        seen = asyncio.Event()
        opened: Opened = asyncio.get_running_loop().create_future()
        sending = asyncio.create_task(send(options={"close_when": seen, "opened": opened}))
        try:
            await self.until_logged(thread, "a", unless=sending.done)
            await asyncio.wait(
                {sending, opened}, timeout=self.with_slack(pause_s), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            seen.set()
        return await sending

    async def under_way(
        self, thread: str | None, opened: Opened, sending: asyncio.Task[Exchange]
    ) -> tuple[str, str]:
        """Thread and run of what is being sent, once the second node of `slow` sleeps.

        The answer names them as soon as it begins; where it does not, the thread lists its run. Raises
        Blocked when nothing does.
        """
        if thread is None:
            thread = (await opened).found_thread_id
        else:
            await self._lease.enter(self._holder)
        if thread is not None:
            await self.until_logged(thread, "a", unless=sending.done)
        head = opened.result() if opened.done() else None
        run = None if head is None else head.found_run_id
        if run is None and thread is not None and (head is None or (head.code or 500) < 400):
            run = await self._newest_run(thread)
        if thread is None or run is None:
            what = "the thread" if head is None else head.where
            raise Blocked(f"{what} names no run that could be cancelled while it goes on")
        return thread, run

    async def run_hung_up_on(self, thread: str) -> str:
        """The run of a request that was hung up, by its thread's list. Raises Blocked without one."""
        listed = await self.runs(thread, limit=10)
        runs = [run for run in listed.array if isinstance(run, dict)]
        if not runs:
            raise Blocked(f"{listed.where} lists no run of the request that was hung up")
        return str(runs[0].get("run_id"))

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
        unknown = self.target.without_runs and self.target.agent is None
        if unknown and named in agents.conformance_graphs():
            raise Inapplicable(agents.NO_RUNS)
        return f"/assistants/{self.target.assistant(named)}{slash}{further}"
