"""The log of a batch: what is told again, what is forgotten first, and who is too slow."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from runstone.conversations.live.log import Forgotten, Memory
from tests.conversations.desk import Desk, serving_desk
from tests.conversations.live import begin, files, heard, live, state
from tests.conversations.test_interface import SHORT


async def _all(memory: Memory, after: int = 0) -> list[bytes]:
    log = memory.new_log()
    for number in range(1, 8):
        log.add(b"%d" % number)
    log.close()
    return [each[1] async for each in log.follow(after, 1.0) if each is not None]


def test_a_log_tells_what_comes_after_a_number() -> None:
    assert asyncio.run(_all(Memory(100), after=5)) == [b"6", b"7"]


def test_the_oldest_events_of_the_oldest_batch_are_forgotten_first() -> None:
    memory = Memory(5)
    old, young = memory.new_log(), memory.new_log()
    for text in (b"a", b"b", b"c"):
        old.add(text)
    for text in (b"d", b"e", b"f", b"g"):
        young.add(text)
    assert (old.first, old.last, young.first) == (3, 3, 1)
    with pytest.raises(Forgotten) as gone:
        old.insist_on(1)
    assert gone.value.first == 3
    old.insist_on(2)
    memory.drop(old)
    young.add(b"h")
    assert young.first == 1
    young.add(b"i" * 3)
    assert (young.first, young.last) == (4, 6)
    young.add(b"j" * 6)  # more than may be kept at all
    assert (young.first, young.last) == (8, 7)


def test_who_is_too_slow_is_told_so_and_can_go_on(tmp_path: Path) -> None:
    files(tmp_path / "scenarios", {**SHORT, "repeat": {"times": 5}})
    with serving_desk(Desk()) as target, live(tmp_path, target, kept_bytes=2_000) as served:
        batch = begin(served)
        while state(served, batch)["state"] != "done":
            time.sleep(0.05)
        told = state(served, batch)["events"]
        assert 1 < told["first"] <= told["last"]
        gone = httpx.get(f"{served}/batches/{batch}/events")
        assert (gone.status_code, gone.json()["first"]) == (410, told["first"])
        rest = heard(served, batch, after=told["first"] - 1)
        assert [number for number, _ in rest] == [*range(told["first"], told["last"] + 1)]
