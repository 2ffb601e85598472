"""Scenarios from Python, with and without an event loop, and what becomes of who stops listening."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone.conversations import Event, play, play_sync, stream, stream_sync
from runstone.conversations.reading import BadScenario
from tests.conversations.desk import Desk, Thread, serving_desk
from tests.conversations.test_playing import REFUND

SHORT: dict[str, Any] = {
    "scenario": "short",
    "assistant": "desk",
    "turns": [{"user": "I am Ada.", "expect": [{"contains": "Nice"}]}],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_desk(Desk()) as found:
        yield found


def test_all_four_ways_find_the_same(tmp_path: Path, url: str) -> None:
    found = [play_sync(REFUND, url, out=tmp_path / "one")]
    told = list(stream_sync(REFUND, url, out=tmp_path / "two"))
    assert told[-1].report is not None
    found.append(told[-1].report)

    async def within_a_loop() -> list[Event]:
        """As in a notebook: a loop runs already, and goes on meanwhile."""
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        found.append(await play(REFUND, url, out=tmp_path / "three"))
        found.append(play_sync(REFUND, url, out=tmp_path / "four"))
        events = [event async for event in stream(REFUND, url, out=tmp_path / "five")]
        ticking.cancel()
        assert ticks > 10
        return events

    events = asyncio.run(within_a_loop())
    assert events[-1].report is not None
    assert [each.exit_code for each in found] == [0, 0, 0, 0]
    assert {each.kind for each in events} == {each.kind for each in told} >= {"started", "token", "turn"}


def test_files_mappings_and_settings(tmp_path: Path, url: str) -> None:
    report = play_sync(
        [SHORT, REFUND | {"tags": ["x"]}],
        url,
        out=tmp_path,
        tags=["x"],
        settings={"config.configurable.tier": "gold"},
    )
    assert [each.name for each in report.results.scenarios] == ["refund"]
    recorded = (tmp_path / "evidence/traces/conversation.refund.1.stream.1.json").read_text()
    assert r"\"config\":{\"configurable\":{\"tier\":\"gold\"}}" in recorded


def test_what_is_wrong_is_raised_before_anything_is_played(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadScenario, match="did you mean assistant"):
        play_sync(SHORT | {"asistant": "x"}, url, out=tmp_path)
    with pytest.raises(BadScenario, match="cannot read"):
        asyncio.run(play(tmp_path / "nowhere.yaml", url, out=tmp_path))
    assert not (tmp_path / "evidence").exists()


class Slow(Desk):
    def act(self, thread: Thread, said: str) -> None:
        time.sleep(0.02)
        super().act(thread, said)


def test_who_stops_listening_ends_the_batch(tmp_path: Path) -> None:
    before, desk = threading.active_count(), Slow()
    many = {**SHORT, "repeat": {"times": 200}}
    with serving_desk(desk) as url:
        events = stream_sync(many, url, out=tmp_path, concurrency=1)
        assert next(each for each in events if each.kind == "turn")
        events.close()  # type: ignore[attr-defined]  # a generator is what it is
        assert 0 < desk.turns < 100
        assert threading.active_count() == before + 1  # that of the desk
    manifest = (tmp_path / "evidence/manifest.json").read_text()
    assert '"stopped": "it was stopped before its end; ' in manifest
