"""Playing one conversation over the run API: everything that is said becomes a trace.

What is expected of a turn is judged as soon as it has ended, because a conversation may stop there; the
verdict itself is made from the trace afterwards (`conversations.judging`), by the same functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx
import msgspec

from runstone.conversations import recorded
from runstone.conversations.assertions import Means, OwnCheck, questions
from runstone.conversations.events import Event, Kind, Listener, nobody
from runstone.conversations.format import Assertion, Simulate, innermost
from runstone.conversations.judging import applicable, checks_of_turn, checks_of_whole, said_in, score_of
from runstone.conversations.questions import Answer, Model, Question, controls, transcript
from runstone.conversations.reading import Case
from runstone.conversations.recorded import SETUP, Notes, Played, part_of, turns_seen
from runstone.conversations.seen import Seen, together
from runstone.conversations.variables import UNIQUE, names_in
from runstone.errors import TargetError
from runstone.scenario.api import Api
from runstone.scenario.requests import OMIT, Blocked, Options, new_id
from runstone.verdict.scenarios import Check, worst
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange
from runstone.wire.sse import EventReader

_STOPPED: Final = "it was stopped before its end"
_LOOK_S: Final = 0.2  # how often a conversation asks whether it is still wanted
_GRAPH: Final = "graph_id"  # where servers look up by which graph values of a new thread are written


class ModelFailed(Exception):  # noqa: N818 - named as what it reports
    """The model that plays the user gave nothing to say; the message says why."""


class Stopped(TargetError):  # noqa: N818 - it ends the observation as a target does that is lost
    """Whoever wanted to hear of the batch has gone."""


class Talker(Protocol):
    """A model that judges, and plays users."""

    @property
    def model(self) -> Model: ...

    async def ask(self, question: Question) -> Answer:
        """The answer; a failure is an answer with its `error`."""

    async def say(self, simulate: Simulate, told: Sequence[dict[str, Any]]) -> str:
        """What the user says next. Raises ModelFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all conversations of a batch share. `stopped`: whether nobody wants to hear more."""

    talker: Talker | None = None
    own: Callable[[str], OwnCheck] | None = None
    tell: Listener = nobody
    stopped: Callable[[], bool] = lambda: False


@asynccontextmanager
async def _as_long_as_wanted(stopped: Callable[[], bool]) -> AsyncIterator[None]:
    """The block, which is left in the middle of a turn once nobody wants to hear more. Raises Stopped."""
    if stopped():
        raise Stopped(_STOPPED)

    async def watch(wanted: asyncio.Timeout) -> None:
        while not stopped():  # noqa: ASYNC110 - whoever stops it is in another thread
            await asyncio.sleep(_LOOK_S)
        wanted.reschedule(asyncio.get_running_loop().time())

    wanted = asyncio.timeout(None)
    try:
        async with wanted:
            watching = asyncio.create_task(watch(wanted))
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not wanted.expired():
            raise
        raise Stopped(_STOPPED) from None


@dataclass(slots=True)
class Play:
    """One conversation while it is played."""

    case: Case
    repeat: int
    around: Surroundings
    unique: str = ""
    turns: list[Played] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    threads: dict[str, str | None] = field(default_factory=dict)
    broken: str = ""
    whole: bool = False
    planned: Case = field(init=False)  # as it is in the plan, without what stands for `{{unique}}`

    def __post_init__(self) -> None:
        """Put a text of its own in the place of `{{unique}}`."""
        self.planned = self.case
        if UNIQUE in names_in(msgspec.to_builtins(self.case.scenario)):
            self.unique = new_id()
            self.case = recorded.at_play(self.case, self.unique)

    async def __call__(self, api: Api) -> None:
        """Play it to its end; whatever happens, the notes tell how far it got."""
        api = _without_stand_in(api)
        self._tell("started", data=self._about())
        self._note(api)
        try:
            async with _as_long_as_wanted(self.around.stopped):
                await self._set_up(api)
                if self.case.scenario.simulated is not None:
                    await self._play_simulated(api, self.case.scenario.simulated)
                else:
                    await self._play_written(api)
        except ModelFailed as error:
            self.broken = f"the model that plays the user failed: {error}"
            self._tell("error", text=self.broken)
        finally:
            self._note(api)

    async def _play_written(self, api: Api) -> None:
        for turn in self.case.scenario.turns:
            way = turn.ways[0]
            shown = await self._turn(api, Played(thread=turn.thread, said=getattr(turn, way), way=way))
            checks = await self._judge_turn(api, shown)
            if self._must_stop(checks):
                return
        await self._judge_whole(api)

    async def _play_simulated(self, api: Api, simulate: Simulate) -> None:
        talker = self.around.talker
        if talker is None:
            raise ModelFailed("none was named; give --judge-model")
        asked = False
        for _ in range(simulate.max_turns):
            if not self.turns and simulate.first:
                said = simulate.first
            else:
                with api.off_the_clock():
                    said = await talker.say(simulate, transcript(together(self._seen(api))))
            if simulate.stop in said:
                break
            way = "resume" if asked else "user"
            shown = await self._turn(api, Played(thread="main", said=said, way=way))
            asked = bool(shown.interrupts)
            if self._must_stop(await self._judge_turn(api, shown)):
                return
        if self.turns:
            await self._judge_whole(api)
        else:
            raise ModelFailed("it said nothing but that it stops")

    def _must_stop(self, checks: Sequence[Check]) -> bool:
        failed = any(each.result == "fail" for each in checks)
        return failed and self.case.scenario.on_turn_failure == "stop"

    async def _set_up(self, api: Api) -> None:
        """Put there what is to be there. Raises Blocked where the target does not take it."""
        setup, scenario = self.case.scenario.setup, self.case.scenario
        within = api.within(SETUP)
        for item in setup.store:
            body = msgspec.to_builtins(item)
            _insist(await within.request("PUT", "/store/items", json=body, label="put_item"))
        if setup.state:
            thread = await self._thread(within, "main", {_GRAPH: within.target.assistant(scenario.assistant)})
            _insist(await within.update_state(str(thread), values=setup.state, as_node=setup.as_node))
            await within.state(str(thread))

    async def _thread(self, api: Api, name: str, metadata: dict[str, Any] | None = None) -> str | None:
        """The thread of this name, made when it is first spoken on; None where runs have none."""
        if self.case.entry_point == "stateless":
            return None
        if name not in self.threads:
            made = api.create_thread(metadata=metadata) if metadata else api.create_thread()
            self.threads[name] = await made
        return self.threads[name]

    async def _turn(self, api: Api, played: Played) -> Seen:
        number = len(self.turns) + 1
        self._tell("user_input", number, said_in(played), {"way": played.way, "thread": played.thread})
        within = api.within(part_of(number))
        thread = await self._thread(within, played.thread)
        self.turns.append(played)
        self._note(api)
        await self._run(within, thread, played, number)
        shown = self._seen(api)[-1]
        for call in shown.calls:
            self._tell("tool_call", number, call.name, {"name": call.name, "arguments": call.arguments})
        for asked in shown.interrupts:
            self._tell("interrupt", number, data={"value": asked})
        self._tell("agent_response", number, shown.answer)
        return shown

    async def _run(self, api: Api, thread: str | None, played: Played, number: int) -> None:
        """One run to its end by the entry point, and what it left, as far as there is a thread to read."""
        scenario, entry_point = self.case.scenario, self.case.entry_point
        body = {key: value for key in ("config", "context", "metadata") if (value := getattr(scenario, key))}
        given, fields = _spoken(played)
        name = "stateless_wait" if entry_point == "stateless" else entry_point
        if entry_point == "stream":
            body["stream_mode"] = list(scenario.stream_mode)
            options: Options = {"relay": _Tokens(lambda text: self._tell("token", number, text))}
            result = await api.stream(
                thread,
                scenario.assistant,
                given,
                label="result",
                patience=scenario.turn_timeout_s,
                options=options if self.around.tell is not nobody else None,
                **body,
                **fields,
            )
        else:
            result = await api.turn(
                name, thread, scenario.assistant, given, patience=scenario.turn_timeout_s, **body, **fields
            )
        if thread is None:
            return
        run = result.found_run_id
        if run is not None:
            await api.poll_run(thread, run, label="run")
        await api.state(thread)

    def _seen(self, api: Api) -> list[Seen]:
        return turns_seen(self.turns, sorted(api.exchanges, key=lambda each: each.number))

    # judging, while it is played

    @property
    def _name(self) -> str:
        return self.planned.trace(self.repeat)

    @property
    def _means(self) -> Means:
        model = None if self.around.talker is None else self.around.talker.model
        return Means(asker=self._name, model=model, answers=self.answers, own=self.around.own)

    async def _judge_turn(self, api: Api, shown: Seen) -> list[Check]:
        scenario, number = self.case.scenario, len(self.turns)
        if number <= len(scenario.turns):
            await self._ask(api, applicable(scenario.turns[number - 1].expect, shown, scenario), shown)
        checks = checks_of_turn(scenario, number, shown, self._means)
        self._tell_checks(checks, number)
        result = worst(each.result for each in checks) if checks else "pass"
        told = {"status": shown.status, "latency_s": shown.latency_s, "result": result}
        self._tell("turn", number, data={**told, "score": score_of(checks)})
        return checks

    async def _judge_whole(self, api: Api) -> None:
        scenario, turns = self.case.scenario, self._seen(api)
        whole = together(turns)
        await self._ask(api, applicable(scenario.expect, whole, scenario), whole)
        self._tell_checks(checks_of_whole(scenario, turns, self._means), 0)
        self.whole = True

    async def _ask(self, api: Api, expected: Sequence[Assertion], shown: Seen) -> None:
        """Have the model answer what is asked of it here, and once its controls."""
        talker = self.around.talker
        rubrics = [each for each in expected if innermost(each)[0].kind == "llm_rubric"]
        asked = [one for each in rubrics for one in questions(each, shown, self._means)]
        if talker is None or not asked:
            return
        for question in (*controls(talker.model).values(), *asked):
            if question.key not in self.answers:
                with api.off_the_clock():
                    self.answers[question.key] = await talker.ask(question)

    def _tell_checks(self, checks: Sequence[Check], number: int) -> None:
        for each in checks:
            self._tell("assertion_result", number, each.asserts, msgspec.to_builtins(each))

    # telling

    def _about(self) -> dict[str, Any]:
        return {
            "assistant": self.case.scenario.assistant,
            "entry_point": self.case.entry_point,
            "repeat": self.repeat,
            "variables": self.case.values,
        }

    def _tell(self, kind: Kind, number: int = 0, text: str = "", data: dict[str, Any] | None = None) -> None:
        self.around.tell(
            Event(
                kind=kind,
                scenario=self.planned.name,
                conversation=self._name,
                turn=number,
                text=text,
                data=data or {},
            )
        )

    def _note(self, api: Api) -> None:
        notes = Notes(
            digest=self.planned.digest,
            repeat=self.repeat,
            unique=self.unique,
            model=None if self.around.talker is None else self.around.talker.model,
            answers=self.answers,
            turns=tuple(self.turns),
            whole=self.whole,
            broken=self.broken,
        )
        api.note(conversation=msgspec.to_builtins(notes))


def _without_stand_in(api: Api) -> Api:
    """The operations for the assistants that scenarios name: no agent of runstone.toml stands in for them."""
    own = api.within("")
    own.target = msgspec.structs.replace(api.target, agent=None)
    return own


def _insist(exchange: Exchange) -> None:
    """Raises Blocked unless it was answered with a 2xx."""
    try:
        _ = exchange.ok
    except Missing as reason:
        raise Blocked(f"the setup failed: {reason}") from None


def _spoken(played: Played) -> tuple[Any, dict[str, Any]]:
    """Input and further fields of the run by which this is said."""
    match played.way:
        case "user":
            return {"messages": [{"role": "user", "content": played.said}]}, {}
        case "input":
            return played.said, {}
        case "resume":
            return OMIT, {"command": {"resume": played.said}}
        case _:
            return OMIT, {"command": played.said}


class _Tokens:
    """Passes on the agent's words while they arrive; the exchange is recorded all the same."""

    finished = False
    gone = False

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._reader = EventReader()
        self._told = 0

    async def begin(self, response: httpx.Response) -> None:
        """Nothing is to be told before the first event."""

    async def pass_on(self, chunk: bytes) -> bytes:
        """Tell what the chunk holds of messages, and leave it as it is."""
        self._reader.feed(chunk, 0.0)
        for event in self._reader.events[self._told :]:
            if event.mode == "messages" and (text := _token(event.data)):
                self._tell(text)
        self._told = len(self._reader.events)
        return chunk


def _token(data: str) -> str:
    """The text of a chunk of a message of the agent; '' for anything else."""
    try:
        pair = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return ""
    chunk = pair[0] if isinstance(pair, list) and pair else None
    if not isinstance(chunk, dict) or chunk.get("type") != "AIMessageChunk":
        return ""
    content = chunk.get("content")
    return content if isinstance(content, str) else ""
