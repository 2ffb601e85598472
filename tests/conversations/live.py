"""Batches served in this process, and a reader of their events, as tests need them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from runstone.conversations.live.app import Application
from runstone.conversations.live.batches import Batches
from runstone.conversations.live.guard import Guard
from runstone.conversations.live.log import KEPT_BYTES, Memory
from runstone.conversations.live.offer import Offer
from runstone.conversations.live.page import page_for
from runstone.serving import Server, listening
from runstone.session.options import given
from tests.conversations.desk import Desk, Thread

LOCAL = Guard.of("127.0.0.1", token=None, open_to_all=False)


class Leisurely(Desk):
    """Takes its time for each turn, so that there is something to watch."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def act(self, thread: Thread, said: str) -> None:
        time.sleep(self._seconds)
        super().act(thread, said)


class Held(Desk):
    """Stops in the middle of a batch for as long as a test looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self._held = ""
        self._left = 0
        self._gone_on = threading.Event()

    def hold(self, said: str, after: int = 0) -> None:
        """Answer this so many times more, and then nothing."""
        self._gone_on.clear()
        self._held, self._left = said, after

    def go_on(self) -> None:
        """Answer again."""
        self._held = ""
        self._gone_on.set()

    def act(self, thread: Thread, said: str) -> None:
        if said == self._held:
            self._left -= 1
            if self._left < 0:
                self._gone_on.wait(60)
        super().act(thread, said)


def files(folder: Path, *scenarios: Mapping[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for each in scenarios:
        (folder / f"{each['scenario']}.yaml").write_text(yaml.safe_dump(dict(each)))
    return folder


@contextmanager
def live(
    folder: Path,
    target: str,
    *,
    guard: Guard = LOCAL,
    silence_s: float = 10.0,
    kept_bytes: int = KEPT_BYTES,
    headers: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The scenarios in `folder`/scenarios, served; the URL. Results go to `folder`/out."""
    asked = given(target_name=target, out=folder / "out", concurrency=4, headers=dict(headers or {}))
    offer = Offer(paths=[folder / "scenarios"], asked=asked)
    ready: list[str] = []
    servers: list[Server] = []

    async def serve() -> None:
        batches = Batches(offer.prepare, offer.folder, Memory(kept_bytes))
        app = Application(offer, batches, page_for(target), silence_s).guarded(guard)
        with listening("127.0.0.1", 0) as listener:
            servers.append(Server(app, ready=ready.append, hang_up=batches.close))
            await servers[0].serve([listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        while not ready:
            assert thread.is_alive()
            time.sleep(0.01)
        yield ready[0]
    finally:
        servers[0].should_exit = True
        thread.join()


def begin(url: str, **wanted: Any) -> str:
    """The id of a batch that was started."""
    answer = httpx.post(f"{url}/batches", json=wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def heard(url: str, batch: str, after: int = 0, most: int | None = None) -> list[tuple[int, dict[str, Any]]]:
    """The events of a batch after a number, by a client that hangs up after `most` of them."""
    found: list[tuple[int, dict[str, Any]]] = []
    seen = {"Last-Event-ID": str(after)} if after else {}
    with httpx.stream("GET", f"{url}/batches/{batch}/events", headers=seen, timeout=60) as answer:
        if answer.status_code == 204:
            return []
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        number = 0
        for line in answer.iter_lines():
            name, _, text = line.partition(": ")
            if name == "id":
                number = int(text)
            elif name == "data":
                found.append((number, json.loads(text)))
                if len(found) == most:
                    break
    return found


def state(url: str, batch: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/batches/{batch}").json()
    return found
