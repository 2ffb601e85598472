"""Turns of a conversation: nothing is lost between them, and nothing is changed on the way."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    Api,
    Profile,
    Schedule,
    Trace,
    ask,
    cases,
    final_values,
    requirement,
    scenario,
    shown,
)

QUESTIONS = ("Is the boiler on?", "Is the pump on?", "Is the valve open?")
TEXTS = {
    "umlauts": "Größe über Öl: äöüß, naïve façade",
    "CJK": "漢字 かな 한글 𠮷",
    "emoji": "👍🏽 👩‍👩‍👧 🇪🇺",
    "combining marks": "e\u0301 is not \u00e9; a\u0323\u0307",
    "right to left": "שלום, مرحبا \u200f(1)",
    "line ends": "one\ntwo\r\nthree\rfour\u2028five\ttab",
    "quotes": "\"double\" 'single' \\ back `tick` </script> &amp; {} data: : event",
}


@scenario
async def conversation(api: Api) -> None:
    """Three turns with a tool on one thread: by wait, by stream and in the background."""
    thread = await api.create_thread()
    await api.wait(thread, "tools", ask(QUESTIONS[0]), label="turn 1")
    await api.settle(thread)
    await api.state(thread, label="state 1")
    await api.stream(thread, "tools", ask(QUESTIONS[1]), label="turn 2")
    await api.settle(thread)
    await api.state(thread, label="state 2")
    run = await api.create_run(thread, "tools", ask(QUESTIONS[2]))
    await api.join(thread, run, label="turn 3")
    await api.poll_run(thread, run)
    await api.settle(thread)
    await api.state(thread, label="state 3")
    await api.history(thread)


@scenario(Schedule(thorough=True))
async def texts_echoed(api: Api) -> None:
    """Texts that are easily damaged are echoed, by wait and by stream."""

    async def turn(part: Api, name: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "echo", ask(TEXTS[name]))
        await part.settle(thread)
        await part.stream(thread, "echo", ask(TEXTS[name]))
        await part.settle(thread)
        await part.state(thread)

    await api.each(TEXTS, turn)


@requirement("TURN-001")
@cases("turn", [2, 3])
def test_later_turns_see_the_earlier_ones(conversation: Trace, turn: int, profile: Profile) -> None:
    earlier = _messages_of(conversation.only(f"state {turn - 1}").object.get("values"))
    later = _messages_of(final_values(conversation.only(f"turn {turn}"), profile))
    assert len(earlier) == 4 * (turn - 1)
    assert len(later) == 4 * turn
    assert later[: len(earlier)] == earlier
    # The graph numbers its tool call by the messages that it saw before it.
    calls = later[-3].get("tool_calls")
    assert isinstance(calls, list), f"wanted tool_calls, got {shown(later[-3])}"
    assert [each.get("id") for each in calls] == [f"call_{4 * turn - 3}"]
    assert _messages_of(conversation.only(f"state {turn}").object.get("values")) == later


@requirement("TURN-002")
def test_first_values_hold_the_history(conversation: Trace) -> None:
    earlier = _messages_of(conversation.only("state 1").object.get("values"))
    assert len(earlier) == 4
    first = _messages_of(conversation.only("turn 2").named("values")[0].json)
    assert first[: len(earlier)] == earlier


@requirement("TURN-003")
def test_message_ids_are_the_same_everywhere(conversation: Trace, profile: Profile) -> None:
    entries = conversation.history.array
    newest = entries[0].get("values") if entries and isinstance(entries[0], dict) else None
    ids = _message_ids(newest)
    assert len(ids) == 12
    assert all(isinstance(each, str) and each for each in ids), f"wanted text ids, got {shown(ids)}"
    assert len(set(ids)) == 12, f"wanted twelve ids of their own, got {shown(ids)}"
    for turn in (1, 2, 3):
        assert _message_ids(final_values(conversation.only(f"turn {turn}"), profile)) == ids[: 4 * turn]
        assert _message_ids(conversation.only(f"state {turn}").object.get("values")) == ids[: 4 * turn]


@requirement("TURN-004")
@cases("path", ["wait", "stream", "state"])
@cases("text", TEXTS)
def test_text_is_unchanged(texts_echoed: Trace, text: str, path: str, profile: Profile) -> None:
    answer = texts_echoed.part(text).only(path)
    values = answer.object.get("values") if path == "state" else final_values(answer, profile)
    turns = 1 if path == "wait" else 2
    said = [message.get("content") for message in _messages_of(values)]
    assert said == [TEXTS[text]] * (2 * turns)


@requirement("TURN-005")
@cases("path", ["turn 1", "turn 2", "turn 3", "state 3"])
def test_messages_are_plain_objects(conversation: Trace, path: str, profile: Profile) -> None:
    answer = conversation.only(path)
    values = answer.object.get("values") if path == "state 3" else final_values(answer, profile)
    messages = _messages_of(values)
    assert len(messages) >= 4, f"wanted the messages of a turn, got {shown(messages)}"
    for message in messages:
        lacking = {"type", "content", "id"} - set(message)
        assert not lacking, f"wanted type, content and id, got {shown(message)}"
        assert isinstance(message["type"], str), f"wanted a text `type`, got {shown(message)}"
        assert "lc" not in message, f"wanted a plain message, got {shown(message)}"
        assert message["type"] != "constructor", f"wanted a plain message, got {shown(message)}"


def _messages_of(values: Any) -> list[dict[str, Any]]:
    messages = values.get("messages") if isinstance(values, dict) else None
    assert isinstance(messages, list), f"wanted messages, got {shown(values)}"
    assert all(isinstance(each, dict) for each in messages), f"wanted objects, got {shown(messages)}"
    return messages


def _message_ids(values: Any) -> list[Any]:
    return [message.get("id") for message in _messages_of(values)]
