"""Dynamic interrupts: a node that asks the caller something, and the answers that resume it."""

from __future__ import annotations

from typing import Any

import pytest

from runstone.contracts.profile import resolve
from runstone.suite import (
    THREADED_ENTRY_POINTS,
    Api,
    Blocked,
    Exchange,
    Trace,
    by_threaded_entry_point,
    canonical,
    first_difference,
    requirement,
    scenario,
    shown,
    some,
)

QUESTION = {"text": "open the valve?", "choices": ["yes", "no"]}
FALSY: dict[str, Any] = {"false": False, "zero": 0, "empty_text": "", "empty_list": []}
SIDES = ("left", "right")
# What `interrupt` asks, and the nodes that are next, by its variant.
ASKED: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "single": ([{"question": QUESTION}], ["ask"]),
    "parallel": ([{"question": QUESTION, "side": side} for side in SIDES], ["ask_left", "ask_right"]),
    "sequence": ([{"question": QUESTION, "turn": 1}], ["ask_twice"]),
}


@scenario
async def asked_and_answered(api: Api) -> None:
    """`interrupt` asks once; the answer is given by each entry point, and once more when none is wanted."""

    async def turn(part: Api, entry_point: str) -> None:
        thread = await part.create_thread()
        await part.turn(entry_point, thread, "interrupt", {"question": QUESTION})
        await _read(part, thread, "asked")
        await part.turn(entry_point, thread, "interrupt", command={"resume": "yes"})
        await _read(part, thread, "answered")
        run = await part.runs(thread)
        part.note(statuses=[each.get("status") for each in run.array if isinstance(each, dict)])
        await part.wait(thread, "interrupt", command={"resume": "again"}, label="unasked")
        await _read(part, thread, "unasked_state")

    await api.each(THREADED_ENTRY_POINTS, turn)


@scenario
async def asked_more_than_once(api: Api) -> None:
    """`interrupt` asks twice at once, answered by one map, and twice in sequence, answered in turn."""

    async def turn(part: Api, variant: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": QUESTION, "variant": variant})
        asked = await _read(part, thread, "asked")
        answers: list[Any] = ["one", "two"]
        if variant == "parallel":
            answers = [{each["id"]: f"to the {resolve(each, '/value/side')}" for each in _identified(asked)}]
        for answer in answers:
            await part.wait(thread, "interrupt", command={"resume": answer})
        await _read(part, thread, "answered")

    await api.each(["parallel", "sequence"], turn)


@scenario
async def answered_with_nothing(api: Api) -> None:
    """`interrupt` asks once, and the answer is a value that counts as false."""

    async def turn(part: Api, case: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "interrupt", {"question": QUESTION})
        await _read(part, thread, "asked")
        await part.wait(thread, "interrupt", command={"resume": FALSY[case]})
        await _read(part, thread, "answered")

    await api.each(FALSY, turn)


@scenario
async def resumed_without_a_run(api: Api) -> None:
    """A resume comes to a thread that never ran."""
    thread = await api.create_thread()
    await _read(api, thread, "answered")
    await api.wait(thread, "interrupt", command={"resume": "yes"}, label="unasked")
    await _read(api, thread, "unasked_state")


async def _read(part: Api, thread: str, label: str) -> Exchange:
    """The state that the run left."""
    await part.settle(thread)
    return await part.state(thread, label=label)


def _identified(state: Exchange) -> list[dict[str, Any]]:
    """The pending interrupts, each with its id. Raises Blocked when one has none."""
    found = _pending(state)
    if len({each["id"] for each in found if isinstance(each.get("id"), str)}) != len(SIDES):
        raise Blocked(f"{state.where} gives no id of its own for each of two interrupts: {shown(found)}")
    return found
