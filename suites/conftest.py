"""Scenarios that several areas share: one turn of each outcome by every entry point, and the long silences.

Each part of such a scenario is one entry point: `success.part("stream")`. Labels within a part: `result`,
`poll`, `settle`, `state`, `history` (see `Api.whole_turn`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    THREADED_ENTRY_POINTS,
    Api,
    Blocked,
    Exchange,
    Schedule,
    ask,
    scenario,
)

SILENCE_S = 16.5  # a silence of 15 s can be seen only in a longer one; 1.5 s are left for slow starts


@scenario(agent=True)
async def success(api: Api) -> None:
    """`steps` runs to its end."""

    async def turn(part: Api, entry_point: str) -> None:
        await part.whole_turn(entry_point, "steps", {"note": "success"})

    await api.each(ENTRY_POINTS, turn)


@scenario(agent=True)
async def error(api: Api) -> None:
    """`fail` raises a ValueError after one good node."""

    async def turn(part: Api, entry_point: str) -> None:
        await part.whole_turn(entry_point, "fail", {"message": "the boiler is cold"})

    await api.each(ENTRY_POINTS, turn)


@scenario(agent=True)
async def interrupt(api: Api) -> None:
    """`interrupt` pauses at a dynamic interrupt."""

    async def turn(part: Api, entry_point: str) -> None:
        await part.whole_turn(entry_point, "interrupt", {"question": "open the valve?"})

    await api.each(ENTRY_POINTS, turn)


@scenario
async def static_interrupt(api: Api) -> None:
    """`steps` pauses before its second node."""

    async def turn(part: Api, entry_point: str) -> None:
        await part.whole_turn(entry_point, "steps", {"note": "paused"}, interrupt_before=["s2"])

    await api.each(THREADED_ENTRY_POINTS, turn)


@scenario(Schedule(steady=True))
async def cancel(api: Api) -> None:
    """`slow` is cancelled with action=interrupt while its second node sleeps."""

    async def turn(part: Api, entry_point: str) -> None:
        stateless = entry_point.startswith("stateless")
        thread = None if stateless else await part.create_thread()
        # A run that nothing names cannot be cancelled; it ends with the connection, where it would sleep on.
        fields: dict[str, Any] = {"on_completion": "keep", "on_disconnect": "cancel"} if stateless else {}
        opened = asyncio.get_running_loop().create_future()
        result = asyncio.create_task(
            _cancellable_turn(part, entry_point, thread, opened, fields),
        )
        try:
            thread, run = await part.under_way(thread, opened, result)
            await part.cancel(thread, run, action="interrupt", wait=True)
        except Blocked:
            result.cancel()
            raise
        await part.read_what_is_left(thread, await result)

    await api.each(ENTRY_POINTS, turn)


async def _cancellable_turn(
    part: Api, entry_point: str, thread: str | None, opened: asyncio.Future[Exchange], fields: dict[str, Any]
) -> Exchange:
    given = {"sleep": part.never_slept_s}
    if entry_point == "background" and thread is not None:
        created = await part.send_run(thread, "slow", given)
        opened.set_result(created)
        return await part.join(thread, created.run_id, label="result")
    send = part.stream if entry_point.endswith("stream") else part.wait
    return await send(thread, "slow", given, label="result", options={"opened": opened}, **fields)


@scenario(needs=["run_time_limit"])
async def timeout(api: Api) -> None:
    """A run of the limited assistant sleeps past the declared time limit."""
    limit = api.target.run_time_limit
    if limit is None:
        raise Blocked("run_time_limit is declared without an assistant and its seconds")
    assistant, seconds = limit.assistant, limit.seconds

    async def turn(part: Api, entry_point: str) -> None:
        await part.whole_turn(entry_point, assistant, {"sleep": seconds + 30}, patience=seconds)

    await api.each(ENTRY_POINTS, turn)


@scenario
async def tool_turn(api: Api) -> None:
    """`tools` answers a question by a tool call, over every entry point."""

    async def turn(part: Api, entry_point: str) -> None:
        await part.whole_turn(entry_point, "tools", ask("When was the heating serviced?"))

    await api.each(ENTRY_POINTS, turn)


@scenario(Schedule(waits=SILENCE_S))
async def silence_by_wait(api: Api) -> None:
    """One node sleeps for longer than clients' idle limits, behind wait."""
    await api.whole_turn("wait", "slow", {"sleep": SILENCE_S}, patience=SILENCE_S)


@scenario(Schedule(waits=SILENCE_S))
async def silence_by_stream(api: Api) -> None:
    """One node sleeps for longer than clients' idle limits, behind stream."""
    await api.whole_turn("stream", "slow", {"sleep": SILENCE_S}, patience=SILENCE_S)
