"""Observation: all scenarios at once, each under its deadline, and nothing that goes wrong goes unsaid."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from typing import Any
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from runstone.errors import TargetError
from runstone.scenario import pulse
from runstone.scenario.api import Api
from runstone.scenario.observer import Observation, Observer, SelfCheckBroken
from runstone.scenario.progress import Step, Told
from runstone.scenario.requests import Blocked
from runstone.scenario.scenario import Scenario, Schedule, scenario
from runstone.scenario.self_check import Unfit, assess, clock_off
from runstone.target.target import Target
from runstone.wire.documents import Missing
from runstone.wire.exchange import Event, Exchange
from runstone.wire.limits import Limits
from runstone.wire.trace import Trace
from tests.honest import Honest, uvicorn_serving
from tests.servers import HANGING, LIARS, Heard, Writer, heard_by, reply, serving

Drive = Callable[[Api], Awaitable[None]]


class Seen:
    """What an observation handed on, in order."""

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
        self.progress: list[Told] = []
        self.outcome: Observation | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in self.traces if name != "self_check"]


def observed(
    url: str,
    scenarios: Iterable[Scenario],
    *,
    seen: Seen | None = None,
    insist: bool = False,
    concurrency: int = 16,
    budget_s: float | None = None,
    **limits: float,
) -> Seen:
    """Observe the scenarios; with tight limits, so that what hangs ends soon."""
    seen = seen or Seen()
    observer = Observer(
        Target(name="t", url=url),
        concurrency=concurrency,
        budget_s=budget_s,
        on_trace=lambda trace: seen.traces.__setitem__(trace.scenario, trace),
        on_progress=seen.progress.append,
        limits={"request_s": 0.5, "settle_s": 0.5, **limits},
    )
    seen.outcome = asyncio.run(observer.observe(lambda _fitness: list(scenarios), insist_on_fitness=insist))
    return seen


def drive_of(*paths: str) -> Drive:
    async def drive(api: Api) -> None:
        for path in paths:
            await api.request("GET", path, label=path)

    return drive


# --- declaring a scenario ----------------------------------------------------------------------------------


def test_a_scenario_is_declared_with_what_it_needs() -> None:
    async def plain(api: Api) -> None:
        """Does something."""

    async def slow(api: Api) -> None:
        """Waits."""

    declared = scenario(plain)
    assert (declared.name, declared.drive, declared.schedule.waits, declared.needs) == (
        "plain",
        plain,
        0.0,
        (),
    )
    declared = scenario(Schedule(waits=7.5), needs=["crons"])(slow)
    assert (declared.name, declared.schedule.waits, declared.needs) == ("slow", 7.5, ("crons",))


# --- concurrency -------------------------------------------------------------------------------------------


def test_scenarios_run_at_once() -> None:
    meeting = asyncio.Barrier(12)  # passed only if all are under way together

    async def drive(_api: Api) -> None:
        await meeting.wait()

    scenarios = [Scenario(f"s{number}", drive) for number in range(12)]
    with heard_by() as (url, _):
        seen = observed(url, scenarios, scenario_s=10.0)
    assert [seen.traces[name].blocked for name in seen.names] == [{}] * 12
    assert sorted(seen.names) == sorted(each.name for each in scenarios)
    steps = [each for each in seen.progress if isinstance(each, Step) and each.doing == "observing"]
    assert [(each.done, each.total) for each in steps] == [(each, 12) for each in range(1, 13)]
    assert steps[-1].left_s == 0.0
    assert seen.outcome is not None
    assert seen.outcome.stopped is None


def test_no_more_run_at_once_than_asked_for() -> None:
    under_way = most = 0

    async def drive(_api: Api) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1

    with heard_by() as (url, _):
        observed(url, [Scenario(f"s{number}", drive) for number in range(9)], concurrency=3)
    assert most == 3


def test_the_longest_begin_first() -> None:
    begun: list[float] = []

    def of(waits: float) -> Scenario:
        async def drive(_api: Api) -> None:
            begun.append(waits)

        return Scenario(f"waits {waits}", drive, Schedule(waits=waits))

    with heard_by() as (url, _):
        observed(url, [of(1.0), of(16.5), of(0.0), of(3.0)], concurrency=1)
    assert begun == [16.5, 3.0, 1.0, 0.0]


def test_what_may_wear_a_server_out_comes_last() -> None:
    begun: list[str] = []

    def of(name: str, **how: Any) -> Scenario:
        async def drive(_api: Api) -> None:
            begun.append(name)

        return Scenario(name, drive, Schedule(**how))

    with heard_by() as (url, _):
        observed(url, [of("wearing", alone=True, heavy=True), of("apart", alone=True), of("beside")])
    assert begun == ["beside", "apart", "wearing"]


# --- deadlines and budgets ---------------------------------------------------------------------------------


async def for_ever(api: Api) -> None:
    await api.request("GET", "/first")
    await asyncio.sleep(3600)


def test_a_scenario_ends_at_its_deadline_and_what_it_saw_is_judged() -> None:
    with heard_by() as (url, _):
        seen = observed(
            url, [Scenario("endless", for_ever), Scenario("other", drive_of("/x"))], scenario_s=0.4
        )
    found = seen.traces["endless"]
    assert "deadline of 0 s passed" in found.blocked[""]
    assert not found.cut_short
    assert len(found.exchanges) == 1
    assert seen.traces["other"].blocked == {}
    with pytest.raises(Missing, match="deadline"):
        found.only("second")


def test_a_scenarios_own_waiting_is_added_to_its_deadline() -> None:
    async def patient(api: Api) -> None:
        await asyncio.sleep(0.5)
        await api.request("GET", "/late", label="late")

    with heard_by() as (url, _):
        seen = observed(url, [Scenario("patient", patient, Schedule(waits=5.0))], scenario_s=0.2)
    assert seen.traces["patient"].only("late").code == 200


def test_the_request_under_way_at_the_deadline_is_kept() -> None:
    with serving(HANGING["silent"]) as url:
        seen = observed(url, [Scenario("hangs", drive_of("/x"))], scenario_s=0.3, request_s=5.0)
    (exchange,) = seen.traces["hangs"].exchanges
    assert exchange.code is None
    assert "deadline" in (exchange.failure or "")


def test_the_budget_ends_everything_and_says_so() -> None:
    scenarios = [Scenario("endless", for_ever), Scenario("quick", drive_of("/x"))]
    with heard_by() as (url, _):
        seen = observed(url, scenarios, budget_s=0.7)
    assert seen.outcome is not None
    assert seen.outcome.stopped == "the budget of 0.7 s was used up; 1 of 2 scenarios ended"
    assert seen.traces["endless"].cut_short
    assert len(seen.traces["endless"].exchanges) == 1
    assert not seen.traces["quick"].cut_short


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_crash_is_kept_and_disturbs_no_other_scenario() -> None:
    async def crash(api: Api) -> None:
        await api.request("GET", "/x", label="before")
        raise KeyError("run_id")

    with heard_by() as (url, _):
        seen = observed(url, [Scenario("bad", crash), Scenario("good", drive_of("/x"))])
    assert seen.outcome is not None
    assert list(seen.outcome.crashed) == ["bad"]
    assert seen.outcome.crashed["bad"].endswith("KeyError: 'run_id'")
    assert "in crash" in seen.outcome.crashed["bad"]
    assert seen.traces["bad"].only("before").code == 200
    assert seen.outcome.stopped is None


def test_a_blocked_scenario_says_why() -> None:
    async def blocked(_api: Api) -> None:
        raise Blocked("no id came back")

    async def missing(_api: Api) -> None:
        raise Missing("nothing there")

    with heard_by() as (url, _):
        seen = observed(url, [Scenario("one", blocked), Scenario("two", missing)])
    assert seen.traces["one"].blocked == {"": "no id came back"}
    assert seen.traces["two"].blocked == {"": "nothing there"}
    assert seen.outcome is not None
    assert seen.outcome.crashed == {}


def test_exchanges_are_ordered_by_number_whichever_ended_first() -> None:
    async def answer(line: str, _body: bytes, writer: Writer) -> None:
        await asyncio.sleep(0.2 if "slow" in line else 0.0)
        writer.write(reply("200 OK", "application/json", b"{}"))

    async def both(api: Api) -> None:
        await asyncio.gather(api.request("GET", "/slow"), api.request("GET", "/quick"))

    with serving(answer) as url:
        seen = observed(url, [Scenario("both", both)])
    assert [each.number for each in seen.traces["both"].exchanges] == [1, 2]


class Dying:
    """Answers so many requests, and none after them."""

    def __init__(self, answers: int, *, hanging: bool) -> None:
        self.left = answers
        self._hanging = hanging

    async def __call__(self, _line: str, _body: bytes, writer: Writer) -> None:
        self.left -= 1
        if self.left >= 0:
            writer.write(reply("200 OK", "application/json", b"{}"))
        elif self._hanging:
            await HANGING["silent"](_line, _body, writer)


@pytest.mark.parametrize("hanging", [False, True])
def test_a_target_that_dies_midway_stops_the_observation(hanging: bool) -> None:
    scenarios = [Scenario(f"s{number:02}", drive_of("/a", "/b")) for number in range(40)]
    with serving(Dying(30, hanging=hanging)) as url:
        seen = observed(url, scenarios, concurrency=4, request_s=0.2)
    assert seen.outcome is not None
    assert seen.outcome.stopped is not None
    assert seen.outcome.stopped.startswith("the target stopped answering; ")
    assert 0 < len(seen.names) < 40
    assert any(each.answered for name in seen.names for each in seen.traces[name].exchanges)


def test_hanging_up_on_a_silent_request_is_no_sign_of_death() -> None:
    async def hang_up(api: Api) -> None:
        for _ in range(20):
            await api.request("GET", "/x", close_after=0.02)

    async def answer(line: str, _body: bytes, writer: Writer) -> None:
        if "/x" in line:
            await HANGING["silent"](line, _body, writer)
        writer.write(reply("200 OK", "application/json", b"{}"))

    with serving(answer) as url:
        seen = observed(url, [Scenario("hangs up", hang_up)])
    assert seen.outcome is not None
    assert seen.outcome.stopped is None


# --- the self-check: who is to blame -----------------------------------------------------------------------


def test_an_honest_target_is_fit() -> None:
    honest = Honest()
    with uvicorn_serving(honest) as url:
        seen = observed(url, [Scenario("one", drive_of("/ok"))], insist=True, request_s=5.0)
    assert seen.outcome is not None
    fitness = seen.outcome.fitness
    assert (fitness.answers, fitness.fit, fitness.server) == (True, True, "honest 1.0")
    assert 0 < fitness.turn_s < 5.0
    assert fitness.probed == {"crons": False, "metrics": False, "openapi": False} | fitness.probed
    assert honest.requests["POST /threads/*/runs/wait"] == 2
    assert "POST /threads/*/runs/stream" not in honest.requests  # one path that shows the graphs is enough


@pytest.mark.parametrize("path", ["wait", "stream", "join"])
def test_one_working_path_is_enough_to_be_fit(path: str) -> None:
    """A server with a broken wait is judged and fails; it is not excused as unfit."""
    honest = Honest()
    broken = {"wait", "stream", "join"} - {path}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if any(scope["path"].endswith(name) or scope["path"].endswith("state") for name in broken):
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
        else:
            await honest(scope, receive, send)

    with uvicorn_serving(app) as url:
        seen = observed(url, [], insist=True, request_s=5.0)
    assert seen.outcome is not None
    assert seen.outcome.fitness.fit


@pytest.mark.parametrize("name", LIARS)
def test_a_liar_is_unfit(name: str) -> None:
    with serving(LIARS[name]) as url, pytest.raises(TargetError, match="no fit conformance graphs") as caught:
        observed(url, [Scenario("never", for_ever)], insist=True)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_a_server_without_the_graphs_is_unfit_and_shows_its_answer() -> None:
    def answer(heard: Heard) -> bytes:
        if "/runs" in heard.target:
            return reply("404 Not Found", "application/json", b'{"detail": "No assistant echo"}')
        thread = {"thread_id": "018f0000-0000-7000-8000-000000000001", "status": "idle"}
        return reply("200 OK", "application/json", json.dumps(thread).encode())

    with heard_by(answer) as (url, heard), pytest.raises(TargetError) as caught:
        observed(url, [], insist=True)
    assert 'POST /threads/…/runs gave no run_id, but 404: {"detail": "No assistant echo"}' in str(
        caught.value
    )
    assert {"wait", "stream", "runs"} <= {each.target.rpartition("/")[2] for each in heard}


@pytest.mark.parametrize("name", ["silent", "closed"])
def test_a_target_that_does_not_answer(name: str) -> None:
    seen = Seen()
    with socket.socket() as unused, serving(HANGING["silent"]) as silent:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TargetError, match="does not answer"):
            observed(silent if name == "silent" else closed, [], seen=seen, insist=True)
    assert len(seen.traces["self_check"].exchanges) == 1  # one deadline tells; no more are spent on it


def test_a_broken_self_check_is_not_the_targets_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_api: Api) -> None:
        raise ZeroDivisionError("own fault")

    monkeypatch.setattr("runstone.scenario.observer.self_check", broken)
    with (
        heard_by() as (url, _),
        pytest.raises(SelfCheckBroken, match="ZeroDivisionError: own fault") as caught,
    ):
        observed(url, [])
    assert caught.value.exit_code == 4


# --- assess(), by traces -----------------------------------------------------------------------------------

TEXT = "runstone self-check: äß漢"
ECHO = json.dumps({"messages": [{"type": "human", "content": TEXT}, {"type": "ai", "content": TEXT}]})
STEPS = json.dumps({"log": ["s1", "s2", "s3"]})
STREAM = (("content-type", "text/event-stream"),)


def talk(*exchanges: dict[str, Any], blocked: dict[str, str] | None = None) -> Trace:
    first: dict[str, Any] = {"label": "ok", "content": '{"ok": true}'}
    fields: dict[str, Any] = {
        "scenario": "self_check",
        "method": "GET",
        "url": "http://h/x",
        "sent_at": 0.0,
        "code": 200,
        "finished_after": 1.0,
    }
    every = [{**fields, "number": number, **each} for number, each in enumerate([first, *exchanges], 1)]
    return Trace(
        scenario="self_check", exchanges=tuple(Exchange(**each) for each in every), blocked=blocked or {}
    )


def result(graph: str, content: str, path: str = "wait", **changes: Any) -> dict[str, Any]:
    return {"label": "result", "part": f"{graph}.{path}", "content": content, **changes}


def test_the_fastest_turn_that_works_is_the_measure() -> None:
    found = assess(
        talk(
            result("echo", ECHO, finished_after=3.0),
            result("echo", ECHO, "stream", finished_after=0.5),
            result("steps", "{}", finished_after=0.1),
            result("steps", STEPS, "background", finished_after=2.0),
        )
    )
    assert (found.fit, found.reason, found.turn_s) == (True, "", 0.5)


def test_a_stream_and_a_state_show_a_graph_as_well() -> None:
    event = Event(event="values", data=ECHO, at=0.1)
    stream = result("echo", "", "stream", events=(event,), response_headers=STREAM)
    state = {"label": "state", "part": "steps.wait", "content": json.dumps({"values": json.loads(STEPS)})}
    assert assess(talk(stream, state)).fit


@pytest.mark.parametrize(
    "exchanges, blocked, reason",
    [
        ([], {}, "echo: never run; steps: never run"),
        ([result("echo", ECHO)], {}, "steps: never run"),
        ([result("echo", ECHO), result("steps", "{}")], {}, "steps: exchange 3 GET /x answered 200: {}"),
        ([result("echo", ECHO), result("steps", '{"log": ["s1", "s3"]}')], {}, "steps: exchange 3"),
        ([result("echo", ECHO)], {"steps.wait": "no thread"}, "steps: no thread"),
        ([result("echo", ECHO, code=None, failure="cut"), result("steps", STEPS)], {}, "answered cut"),
        ([result("echo", f'{{"content": "{TEXT}"}}'), result("steps", STEPS)], {}, "echo: exchange 2"),
        ([result("echo", ECHO[:-1]), result("steps", STEPS)], {}, "echo: exchange 2"),
        ([result("echo", ECHO, part="steps.wait"), result("steps", STEPS)], {}, "echo: never run"),
    ],
)
def test_why_a_target_is_unfit(exchanges: list[dict[str, Any]], blocked: dict[str, str], reason: str) -> None:
    found = assess(talk(*exchanges, blocked=blocked))
    assert found.answers
    assert not found.fit
    assert reason in found.reason


def test_an_echo_of_the_request_is_no_answer_of_the_graph() -> None:
    sent = json.dumps({"input": {"messages": [{"role": "user", "content": TEXT}]}})
    assert not assess(talk(result("echo", sent), result("steps", STEPS))).fit


def test_no_exchange_or_no_answer() -> None:
    assert assess(Trace(scenario="self_check")).reason == "no answer"
    dead = Exchange(
        scenario="s", number=1, label="ok", method="GET", url="http://h/ok", sent_at=0, failure="ConnectError"
    )
    found = assess(Trace(scenario="s", exchanges=(dead,)))
    assert (found.answers, found.fit, found.reason) == (False, False, "ConnectError")


@pytest.mark.parametrize(
    "info, server",
    [
        ('{"name": "own", "version": "2"}', "own 2"),
        ('{"version": "0.16.7", "langgraph_py_version": "1.2.22"}', "0.16.7, langgraph_py 1.2.22"),
        ('{"server": "x"}', "x"),
        ('{"name": 7, "version": []}', "unknown"),
        ("[]", "unknown"),
        ("<html>", "unknown"),
    ],
)
def test_how_a_server_names_itself(info: str, server: str) -> None:
    assert assess(talk({"label": "info", "content": info})).server == server


@pytest.mark.parametrize(
    "flags, crons",
    [('{"crons": true}', True), ('{"crons": false}', False), ('{"crons": 1}', False), ("{}", False)],
)
def test_capabilities_by_flag(flags: str, crons: bool) -> None:
    info = {"label": "info", "content": f'{{"flags": {flags}}}'}
    assert assess(talk(info)).probed["crons"] is crons


def test_capabilities_by_path() -> None:
    found = assess(talk({"label": "probe openapi"}, {"label": "probe metrics", "code": 404}))
    assert (found.probed["openapi"], found.probed["metrics"]) == (True, False)
    assert "crons" not in found.probed  # no flags were told: nothing is known


def test_nesting_past_the_stack_is_no_crash() -> None:
    deep = "[" * 900 + "]" * 900
    assert not assess(talk(result("echo", deep), {"label": "info", "content": deep})).fit


# --- limits ------------------------------------------------------------------------------------------------


def test_limits_are_multiples_of_the_targets_own_turn() -> None:
    fast, slow = Limits.calibrated(0.03), Limits.calibrated(2.0)
    assert slow.request_s - fast.request_s == pytest.approx(10 * (2.0 - 0.03))
    assert fast.request_s > 6
    assert slow.settle_s > slow.turn_s * 10
    assert slow.scenario_s > slow.request_s > slow.turn_s
    assert 0.02 <= fast.poll_s <= slow.poll_s <= 0.2
    assert (fast.body_bytes, fast.session_bytes) == (Limits().body_bytes, Limits().session_bytes)


# --- busy targets and machines -----------------------------------------------------------------------------


def test_a_canary_that_comes_late_tells_that_what_goes_on_meanwhile_is_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "_WATCHED_S", 0.05)
    sent = 0

    async def asks() -> bool:
        nonlocal sent
        sent += 1
        await asyncio.sleep(1.0 if sent == 9 else 0.0)  # the first eight tell what is usual
        return True

    async def clear() -> None:
        pass

    async def watched() -> tuple[bool, bool]:
        felt = pulse.Pulse(asks, None, 0.0, clear)
        async with felt.beating():
            began = asyncio.get_running_loop().time()
            for _ in range(200):
                if felt.was_busy(began):
                    break
                await asyncio.sleep(0.05)
            return felt.was_busy(began), felt.was_busy(asyncio.get_running_loop().time() + 1.0)

    assert asyncio.run(watched()) == (True, False)


def test_what_was_observed_while_the_target_was_busy_is_disturbed() -> None:
    assert Trace(scenario="s", busy=True).disturbed
    assert not Trace(scenario="s").disturbed


# --- what is noticed of the target beside the scenarios ---------------------------------------------------


class Shrinking(Honest):
    """An honest server with so many workers for runs that sleep; `POST /lose` takes one of them away."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers = workers
        self._sleeping: dict[str, str] = {}  # the runs that are not over, oldest first → their thread

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        steps = [step for step in scope["path"].split("/") if step]
        if steps == ["lose"]:
            self.workers -= 1
            await JSONResponse({})(scope, receive, send)
        elif scope["method"] == "POST" and steps[-1:] == ["runs"] and b'"slow"' in await request.body():
            run = str(uuid4())
            self._sleeping[run] = steps[1]
            await JSONResponse(self._row(run), headers={"content-location": f"{scope['path']}/{run}"})(
                scope, receive, send
            )
        elif steps[-1:] == ["cancel"]:
            self._sleeping.pop(steps[3], None)
            await JSONResponse({}, status_code=202)(scope, receive, send)
        elif len(steps) == 4 and steps[2] == "runs" and scope["method"] == "GET":
            await JSONResponse(self._row(steps[3]))(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _row(self, run: str) -> dict[str, Any]:
        """The run: at work where a worker is free for it, waiting where none is, and over once cancelled."""
        ahead = list(self._sleeping).index(run) if run in self._sleeping else -1
        status = "interrupted" if ahead < 0 else "running" if ahead < self.workers else "pending"
        return {"run_id": run, "thread_id": self._sleeping.get(run, ""), "status": status}


async def lose_a_worker(api: Api) -> None:
    await api.request("POST", "/lose", label="lose")


@pytest.mark.parametrize(
    "workers, loses, findings",
    [
        (4, True, ("it executed 4 runs at a time at the beginning, and 3 at the end",)),
        (4, False, ()),
        (1, False, ()),
    ],
)
def test_a_worker_that_dies_meanwhile_is_a_finding(
    workers: int, loses: bool, findings: tuple[str, ...]
) -> None:
    drive = lose_a_worker if loses else drive_of("/ok")
    with uvicorn_serving(Shrinking(workers)) as url:
        seen = observed(url, [Scenario("s", drive)], settle_s=1.0)
    assert seen.outcome is not None
    assert (seen.outcome.capacity, seen.outcome.findings) == (workers, findings)
    assert seen.outcome.stopped is None


def at(date: str) -> Trace:
    """A self-check whose last answer names this time."""
    exchange = Exchange(
        scenario="self_check",
        number=1,
        label="ok",
        method="GET",
        url="http://t/ok",
        sent_at=2.0,
        code=200,
        response_headers=(("date", date),) if date else (),
    )
    return Trace(scenario="self_check", exchanges=(exchange,))


@pytest.mark.parametrize(
    "ahead_s, said",
    [
        (0.0, None),
        (30.0, None),
        (3 * 3600.0, "its clock is 3:00:00 ahead of this machine's"),
        (-90.0, "its clock is 0:01:30 behind this machine's"),
    ],
)
def test_a_clock_that_is_wrong_is_a_finding(
    ahead_s: float, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_010.0)
    found = clock_off(at(formatdate(1_800_000_002.0 + ahead_s, usegmt=True)), elapsed_s=10.0)
    assert found is None if said is None else str(found).startswith(said)


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Nov 2026 11:00:00 GMT"])
def test_a_clock_that_nobody_can_read_is_none(date: str) -> None:
    assert clock_off(at(date), elapsed_s=10.0) is None


def test_a_budget_ends_the_self_check() -> None:
    said = r"the budget of 0\.3 s was used up before .* was seen to run anything"
    with serving(HANGING["heartbeats"]) as url, pytest.raises(Unfit, match=said):
        observed(url, [], insist=True, budget_s=0.3, request_s=60.0)
