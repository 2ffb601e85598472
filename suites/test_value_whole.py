"""Values beyond plain JSON: whole messages, long texts, and what nodes make that JSON has no name for."""

from __future__ import annotations

from typing import Any

from runstone.suite import (
    Api,
    Profile,
    Schedule,
    Trace,
    cases,
    demand_one_taken,
    first_difference,
    is_refused,
    lifecycle,
    raw,
    requirement,
    resolve,
    scenario,
    served,
    shown,
)

SHORT, SHORT_BYTES = "1 KiB", 1024
LONG = {"64 KiB": 64 * 1024, "300 KiB": 300 * 1024, "2 MB": 2_000_000}
# One message of each kind with all that it may carry, and where each field stands in it.
MESSAGES: list[dict[str, Any]] = [
    {
        "type": "human",
        "id": "asked",
        "name": "ada",
        "content": [
            {"type": "text", "text": "What is on it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        ],
        "additional_kwargs": {"seen": {"at": [1, None]}},
        "response_metadata": {"channel": "app"},
    },
    {
        "type": "ai",
        "id": "called",
        "name": "bob",
        "content": [{"type": "text", "text": "Let me look."}],
        "tool_calls": [
            {
                "name": "lookup",
                "args": {"query": {"deep": [1, {"none": None}]}},
                "id": "call_1",
                "type": "tool_call",
            }
        ],
        "additional_kwargs": {"reasoning": "because"},
        "response_metadata": {"model_name": "m", "finish_reason": "tool_calls"},
    },
    {"type": "tool", "id": "found", "name": "lookup", "tool_call_id": "call_1", "content": "found"},
    {"type": "system", "id": "told", "name": "sys", "content": "Be kind."},
    {"type": "human", "id": "last", "content": "And now?"},
]
FIELDS = {
    "id": "/id",
    "name": "/name",
    "text": "/content/0",
    "image_url": "/content/1",
    "tool_calls": "/tool_calls",
    "tool_call_id": "/tool_call_id",
    "additional_kwargs": "/additional_kwargs",
    "response_metadata": "/response_metadata",
}
MADE = ("date", "uuid", "set", "bytes", "decimal", "object", "model", "nan")
READINGS = ("wait", "thread", "state", "history", "search")


@scenario(Schedule(heavy=True))
async def long_texts(api: Api) -> None:
    """`functional` returns each text, and a short one; without a thread, as states would repeat them."""

    async def send(part: Api, name: str) -> None:
        text = _long(name)
        await part.stream(None, "functional", {"note": text}, stream_mode="updates", durability="exit")

    await api.each([SHORT, *LONG], send)


@scenario
async def whole_messages(api: Api) -> None:
    """`echo` is sent messages that carry all that messages can."""
    thread = await api.create_thread()
    await api.stream(thread, "echo", {"messages": MESSAGES})
    await api.settle(thread)
    await api.state(thread)
    await api.history(thread, limit=1)


def _long(name: str) -> str:
    begin, end = " \r\näß漢😀", "\\u0041 "  # what lies at the ends is lost first
    return begin + "x" * (LONG.get(name, SHORT_BYTES) - 40) + end


@scenario(Schedule(thorough=True))
async def values_without_json(api: Api) -> None:
    """`maker` leaves a value that JSON has no name for; then all is read."""

    async def make(part: Api, kind: str) -> None:
        thread = await part.create_thread()
        sent = await part.wait(thread, "maker", {"kind": kind})
        if sent.found_run_id is not None:
            await part.poll_run(thread, sent.found_run_id)
        await part.settle(thread)
        await part.thread(thread)
        await part.state(thread)
        await part.history(thread)
        await part.search_threads(ids=[thread], label="search")

    await api.each(MADE, make)


@requirement("VALUE-009")
@cases("field", FIELDS)
def test_message_keeps_its_fields(field: str, whole_messages: Trace) -> None:
    shows = {
        "the state": resolve(whole_messages.state.object, "/values/messages"),
        "the history": resolve(whole_messages.history.array, "/0/values/messages"),
        "the stream": resolve(whole_messages.only("stream").named("values")[-1].json, "/messages"),
    }
    for place, messages in shows.items():
        for number, sent in enumerate(MESSAGES):
            wanted = resolve(sent, FIELDS[field])
            if wanted is not None:  # it is ours, not an answer's
                got = resolve(messages, f"/{number}{FIELDS[field]}")
                difference = first_difference(got, wanted)
                if difference is not None:
                    raise AssertionError(
                        f"the {field} of message {sent['id']!r} is lost in {place}: {difference}"
                    )


@requirement("VALUE-010")
@cases("size", LONG)
def test_long_text_is_whole(size: str, long_texts: Trace) -> None:
    answer = long_texts.part(size).only("stream")
    if is_refused(answer):
        demand_one_taken(long_texts.part(each).only("stream") for each in (SHORT, *LONG))
        return
    told = [raw(each.json) for each in answer.stream if each.event == "updates"]  # no further copy of 2 MB
    notes = [resolve(each, "/functional/note") for each in told]
    got, wanted = next((each for each in notes if isinstance(each, str)), None), _long(size)
    if got != wanted:
        said = f"{len(got)} characters" if isinstance(got, str) else shown(got)
        raise AssertionError(f"wanted the text of {len(wanted)} characters, got {said}")


@requirement("VALUE-011")
@cases("kind", MADE)
def test_what_json_cannot_carry_is_no_crash(kind: str, values_without_json: Trace) -> None:
    part = values_without_json.part(kind)
    served(part.wait, "maker")
    assert part.last("poll").ok.object.get("status") in lifecycle().runs.terminal
    for label in READINGS:
        exchange = part.only(label)
        assert exchange.status < 500, f"wanted an answer below 500 of {exchange.where}, got {exchange.status}"
        assert not isinstance(exchange.whole.json, str), f"wanted no text, got {shown(exchange.json)}"


@requirement("VALUE-012")
@cases("kind", MADE)
def test_what_json_cannot_carry_is_shown_alike(
    kind: str, values_without_json: Trace, profile: Profile
) -> None:
    part = values_without_json.part(kind)
    served(part.wait, "maker")
    if part.last("poll").ok.object.get("status") != "success":
        return
    shows = {
        "thread": resolve(part.thread.object, "/values/made"),
        "state": resolve(part.state.object, "/values/made"),
        "history": resolve(part.history.array, "/0/values/made"),
        "search": resolve(part.search.array, "/0/values/made"),
    }
    wanted = resolve(profile.wait.values_in(part.wait.object), "/made")
    for place, got in shows.items():
        difference = first_difference(got, wanted)
        assert difference is None, f"the {kind} of wait and that of {place} differ: {difference}"
