"""When a scenario can go on: it has its ids, its parts are under way at once, and every poll ends."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from runstone.scenario.api import Api
from runstone.scenario.requests import Blocked, Opened, ask, new_id
from runstone.target.target import Target
from runstone.wire.exchange import UUID, Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.driving import IDS, QUICK, RUN, THREAD, Drive, answering, told
from tests.servers import Heard, Reader, Writer, conversing, read_request, reply

# --- ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [{}, [], None, {"thread_id": 7}, {"thread_id": ""}, {"thread_id": f"{THREAD}/.."}]
)
def test_without_an_id_the_scenario_is_blocked(body: Any) -> None:
    with pytest.raises(Blocked, match=r"exchange 1 POST /threads gave no thread_id, but 200: "):
        told(lambda api: api.create_thread(), answering(body))


def test_an_error_that_holds_an_id_gives_none() -> None:
    def refuse(_heard: Heard) -> bytes:
        return reply("500 Internal Server Error", "application/json", json.dumps(IDS).encode())

    with pytest.raises(Blocked, match="500"):
        told(lambda api: api.create_run(THREAD, "echo"), refuse)


def test_without_an_answer_the_block_says_why() -> None:
    async def drive(api: Api) -> None:
        await api.create_thread()

    async def session() -> None:
        async with Recorder("http://127.0.0.1:9", {}, Limits(request_s=2.0)) as recorder:
            await drive(Api(recorder, Target(name="t", url="http://127.0.0.1:9"), Recording("talk")))

    with pytest.raises(Blocked, match="gave no thread_id, but nothing: connection refused"):
        asyncio.run(session())


def test_new_ids_and_questions() -> None:
    assert UUID.fullmatch(new_id())
    assert new_id() != new_id()
    assert ask("hi") == {"messages": [{"role": "user", "content": "hi"}]}


# --- a run that goes on ----


async def _under_way(api: Api) -> tuple[str, str]:
    opened: Opened = asyncio.get_running_loop().create_future()
    sending = asyncio.create_task(api.wait(THREAD, "slow", {}, options={"opened": opened}))
    found = await api.under_way(THREAD, opened, sending)
    await sending
    return found


@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_no_header_names_is_found_by_its_thread(first: bool) -> None:
    found: list[tuple[str, str]] = []
    listed = asyncio.Event()
    bodies = {"state": {"values": {"log": ["a"]}}, "runs?limit=1": [{"run_id": RUN}], "wait": {}}

    async def converse(reader: Reader, writer: Writer) -> None:
        what = (await read_request(reader)).target.rpartition("/")[2]
        if what == "wait" and not first:  # as servers do that send no header before the run has ended
            await listed.wait()
        if what.startswith("runs"):
            listed.set()
        writer.write(reply("200 OK", "application/json", json.dumps(bodies[what]).encode()))

    async def session(url: str) -> None:
        async with Recorder(url, {}, QUICK) as recorder:
            found.append(await _under_way(Api(recorder, Target(name="t", url=url), Recording("talk"))))

    with conversing(converse) as url:
        asyncio.run(session(url))
    assert found == [(THREAD, RUN)]


def test_a_run_that_was_refused_is_not_looked_for() -> None:
    heard: list[str] = []
    refused = threading.Event()  # the server has a loop of its own

    async def converse(reader: Reader, writer: Writer) -> None:
        heard.append((await read_request(reader)).target.rpartition("/")[2])
        if heard[-1] != "wait":  # the thread is read again and again until the wait was seen to be refused
            await asyncio.to_thread(refused.wait)
        writer.write(reply("500 Internal Server Error", "application/json", b"{}"))

    async def session(url: str) -> None:
        async with Recorder(url, {}, QUICK) as recorder:
            api = Api(recorder, Target(name="t", url=url), Recording("talk"))
            opened: Opened = asyncio.get_running_loop().create_future()
            opened.add_done_callback(lambda _: refused.set())
            sending = asyncio.create_task(api.wait(THREAD, "slow", {}, options={"opened": opened}))
            await api.under_way(THREAD, opened, sending)

    with (
        conversing(converse) as url,
        pytest.raises(Blocked, match=r"exchange \d POST /threads/…/runs/wait names no run"),
    ):
        asyncio.run(session(url))
    assert "runs?limit=1" not in heard


# --- parts and notes ---------------------------------------------------------------------------------------


def test_parts_run_at_once_and_are_blocked_one_by_one() -> None:
    meeting = asyncio.Barrier(3)  # passed only if all three are under way together

    async def part(api: Api, name: str) -> None:
        await meeting.wait()
        await api.thread(THREAD, label=name)
        api.note(who=name)
        if name == "b":
            raise Blocked("b can go no further")
        await api.each(["inner"], inner)

    async def inner(api: Api, name: str) -> None:
        await api.thread(THREAD, label=name)
        api.note(who=name)

    recording, _ = told(lambda api: api.each(["a", "b", "c"], part))
    assert {each.part for each in recording.exchanges} == {"a", "b", "c", "a.inner", "c.inner"}
    assert sorted(each.number for each in recording.exchanges) == [1, 2, 3, 4, 5]
    assert recording.blocked == {"b": "b can go no further"}
    assert recording.notes == {
        "a.who": "a",
        "b.who": "b",
        "c.who": "c",
        "a.inner.who": "inner",
        "c.inner.who": "inner",
    }


def test_a_part_that_crashes_is_not_taken_for_a_blocked_one() -> None:
    async def part(_api: Api, _name: str) -> None:
        raise KeyError("run_id")

    with pytest.raises(BaseExceptionGroup) as caught:
        told(lambda api: api.each(["a"], part))
    assert isinstance(caught.value.exceptions[0], KeyError)


def test_notes_are_plain_json_and_copies() -> None:
    mine = {"list": [1]}

    async def drive(api: Api) -> None:
        api.note(mine=mine, pair=(1, 2), big=2**70)
        mine["list"].append(2)
        with pytest.raises(TypeError, match="not JSON serializable"):
            api.note(own={1, 2})

    assert told(drive)[0].notes == {"mine": {"list": [1]}, "pair": [1, 2], "big": 2**70}


# --- polls end ---------------------------------------------------------------------------------------------


def numbers(drive: Drive, *bodies: Any) -> int:
    """How many readings the poll took."""
    return len(told(drive, answering(*bodies))[1])


def status(name: str) -> dict[str, str]:
    return {"status": name}


@pytest.mark.parametrize("terminal", ["success", "error", "timeout", "interrupted"])
def test_a_run_is_polled_until_it_is_terminal(terminal: str) -> None:
    last: list[Exchange] = []

    async def drive(api: Api) -> None:
        last.append(await api.poll_run(THREAD, RUN))

    assert numbers(drive, status("pending"), status("running"), status(terminal), status("running")) == 3
    assert last[0].object == status(terminal)


def test_a_run_is_polled_until_it_runs() -> None:
    assert (
        numbers(lambda api: api.until_running(THREAD, RUN), status("pending"), status("running"), status("x"))
        == 2
    )


def test_a_thread_is_polled_until_it_is_not_busy() -> None:
    assert numbers(lambda api: api.settle(THREAD), status("busy"), status("busy"), status("idle")) == 3


def test_a_state_is_polled_until_the_node_is_logged() -> None:
    logs = [{"values": None}, {"values": {}}, {"values": {"log": 7}}, {"values": {"log": ["a", "b"]}}, {}]
    assert numbers(lambda api: api.until_logged(THREAD, "b"), *logs) == 4


NO_STATUS: list[Any] = [
    None,
    [],
    "text",
    {},
    {"status": None},
    {"status": 7},
    {"status": ["busy"]},
    {"status": {}},
]


@pytest.mark.parametrize("odd", NO_STATUS)
def test_a_poll_ends_at_an_answer_without_a_status(odd: Any) -> None:
    assert numbers(lambda api: api.poll_run(THREAD, RUN), odd, odd) == 1
    assert numbers(lambda api: api.settle(THREAD), odd, odd) == 1


def test_slack_grows_with_what_requests_take_of_late() -> None:
    found: list[float] = []

    def slowly(heard: Heard) -> bytes:
        time.sleep(0.3)
        return answering(IDS)(heard)

    async def drive(api: Api) -> None:
        found.append(api.with_slack(1.5))
        await api.thread(THREAD)
        found.append(api.with_slack(1.5))

    told(drive, slowly)
    assert found[0] == 1.5 + QUICK.turn_s
    assert found[1] >= found[0] + 4 * 0.3 - 0.05


def test_polls_end_at_the_limit_when_nothing_ever_happens() -> None:
    async def drive(api: Api) -> None:
        await api.poll_run(THREAD, RUN)
        await api.until_running(THREAD, RUN)
        await api.until_logged(THREAD, "a")

    never = {"status": "pending", "values": {"log": []}}
    assert {each.object["status"] for each in told(drive, answering(never))[0].exchanges} == {"pending"}
