"""What each fault of loads does to the starts of one, on the reference runtime; it strikes often here."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from runstone.contracts import load_catalogue
from runstone.load import sweep
from runstone.load.invariants import judged
from runstone.load.model import Kind
from runstone.load.sweep import Sweep, judged_sweep
from runstone.load.tokens import start_token
from runstone.load.turns import Turn
from runstone.locations import CHECKOUT, locate
from runstone.proof import faults
from runstone.proof.faults import under_load
from runstone.reference.app import app_of
from runstone.reference.runtime import open_runtime
from runstone.reference.settings import Settings
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.sse import EventReader
from tests.servers import Heard, heard_by

SESSION = "a1b2c3d4e5f6"
_PATIENCE_S = 30.0
_BRIEF_S = 1.5  # with what never ends
_OF_LOADS = {name: each for name, each in faults.load_faults().items() if not each.shown_by_checks}


class Client:
    """Sends what turns ask for, one request after the other."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @property
    def clock(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        label: str,
        number: int,
        scenario: str,
        hang_up: bool = False,
    ) -> Exchange:
        facts: dict[str, Any] = {
            "scenario": scenario,
            "number": number,
            "label": label,
            "method": method,
            "url": f"{self._client.base_url}{path}",
            "sent_at": self.clock,
        }
        reader, content = EventReader(), b""
        try:
            with self._client.stream(method, path, json=body) as answer:
                for chunk in answer.iter_raw():
                    content += chunk
                    if hang_up:
                        break
        except httpx.TimeoutException:
            return Exchange(**facts, failure="no answer in time")
        streams = answer.headers["content-type"].startswith("text/event-stream")
        if streams:
            reader.feed(content, 0.0)
        return Exchange(
            **facts,
            code=answer.status_code,
            response_headers=tuple(answer.headers.items()),
            content="" if streams else content.decode(),
            events=tuple(reader.events),
            closed_by_client=hang_up,
        )


@contextmanager
def served() -> Iterator[str]:
    """The reference runtime on a port of its own, in a thread; yields its URL."""
    ready: list[uvicorn.Server] = []

    async def serve() -> None:
        async with open_runtime(
            Settings((locate("fixtures/graphs") / "python" / "langgraph.json",))
        ) as runtime:
            quiet: dict[str, Any] = {
                "log_level": "critical",
                "lifespan": "off",
                "timeout_graceful_shutdown": 1,
            }
            ready.append(uvicorn.Server(uvicorn.Config(app_of(runtime), port=0, **quiet)))
            await ready[0].serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not ready or not ready[0].started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{ready[0].servers[0].sockets[0].getsockname()[1]}"
    finally:
        ready[0].should_exit = True
        thread.join()


def broken_by(url: str, kinds: tuple[Kind, ...], starts: int, patience_s: float = _PATIENCE_S) -> set[str]:
    """The promises that some starts of these kinds, and a look at what they left, show broken."""
    found: set[str] = set()
    plain = httpx.Client(base_url=url, timeout=patience_s, trust_env=False)
    with plain as client, heard_by() as (hook, calls):
        line, played = Client(client), []
        for number, kind in zip(range(starts), itertools.cycle(kinds), strict=False):
            turn = Turn(kind, start_token(SESSION, 0, number), SESSION, line, f"{hook}/webhook")
            turn.play(line.clock + patience_s)
            played.append(turn)
        _await_calls(calls, sum(turn.webhook for turn in played))
        for turn in played:
            for call in calls:
                if call.target.endswith(turn.token):
                    turn.delivered(_delivery(call))
            found |= judged(turn.trace()).broken.keys()
    swept = asyncio.run(_swept(url, made=sum(bool(turn.thread) for turn in played)))
    return found | {each.id for each in judged_sweep(swept) if each.verdict == "broken"}


def _await_calls(calls: list[Heard], wanted: int) -> None:
    deadline = time.monotonic() + 5.0
    while len(calls) < wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2 if wanted else 0.0)  # for a second call of the last one


def _delivery(call: Heard) -> Exchange:
    facts: dict[str, Any] = {"scenario": "", "number": 0, "label": "delivery", "sent_at": 0.0}
    return Exchange(**facts, method=call.method, url=call.target, request_body=call.body.decode(), code=200)


async def _swept(url: str, made: int) -> Any:
    async with Recorder(url, {}, Limits()) as way:
        return await Sweep(way, SESSION).run(made, 0)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What strikes one time in hundreds strikes every second time, and the third thread stays busy."""
    every: Callable[[int], Callable[[], bool]] = under_load._every
    monkeypatch.setattr(under_load, "_every", lambda _: every(2))
    monkeypatch.setattr(under_load, "_STUCK", 3)
    monkeypatch.setattr(under_load, "_POOL", 2)
    monkeypatch.setattr(sweep, "_PATIENCE_S", _BRIEF_S)


_SHOWN_BY: dict[str, tuple[tuple[Kind, ...], int]] = {
    "one-run-in-500-is-lost": (("wait",), 2),
    "one-run-in-500-is-executed-twice": (("wait", "stream"), 2),
    "one-answer-in-200-is-of-before-the-run": (("wait",), 2),
    "one-enqueued-run-in-20-passes-the-others": (("enqueue",), 4),
    "one-value-in-1000-is-crossed": (("wait", "stream"), 4),
    "one-thread-stays-busy": (("wait",), 3),
    "one-thread-in-200-is-made-twice": (("wait",), 2),
    "one-webhook-in-200-is-doubled": (("background",), 2),
    "streams-use-up-a-pool-of-forty": (("hangup", "wait"), 3),
}
_HANGS = {"one-run-in-500-is-lost", "one-thread-stays-busy", "streams-use-up-a-pool-of-forty"}
_SHOWN_BY_TIME = {"each-run-leaves-a-kilobyte"}  # by figures, of which starts tell nothing


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow if each in _HANGS else ()) for each in _SHOWN_BY]
)
@pytest.mark.usefixtures("often")
def test_a_fault_breaks_what_it_names(name: str) -> None:
    change = _OF_LOADS[name]
    kinds, starts = _SHOWN_BY[name]
    with faults.planted([change]), served() as url:
        found = broken_by(url, kinds, starts, _BRIEF_S if name in _HANGS else _PATIENCE_S)
    assert set(change.breaks) <= found


@pytest.mark.usefixtures("often")
def test_the_unbroken_runtime_breaks_nothing() -> None:
    kinds: tuple[Kind, ...] = ("wait", "stream", "background", "enqueue", "interrupt", "cancel", "hangup")
    with served() as url:
        assert broken_by(url, kinds, len(kinds)) == set()


def test_every_promise_of_loads_has_a_fault_and_every_fault_is_tried() -> None:
    assert {id_ for each in _OF_LOADS.values() for id_ in each.breaks} == load_catalogue().of_loads.keys()
    assert _SHOWN_BY.keys() | _SHOWN_BY_TIME == _OF_LOADS.keys()


def test_the_page_about_loads_lists_them() -> None:
    text = (CHECKOUT / "docs/load.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ((?:LOAD-\d+(?:, )?)+) \|$", text, re.MULTILINE)
    assert {name: set(ids.split(", ")) for name, ids in rows} == {
        name: set(each.breaks) for name, each in _OF_LOADS.items()
    }
