"""What a turn shows of the agent: pure readings of the exchanges that were recorded of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import Event, Exchange

_RESULT: Final = "result"
_STATE: Final = "state"
_RUN: Final = "run"
_INTERRUPTS: Final = "__interrupt__"
_ERROR: Final = "__error__"
_SPOKEN: Final = frozenset({"ai", "AIMessageChunk", "assistant"})


class Call(msgspec.Struct, frozen=True):
    """One call of a tool, as the agent's message has it."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({msgspec.json.encode(self.arguments).decode()})"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn, or all of them together, shows.

    `answer`: the text of the agent's last message. `heard`: what an assertion about the text reads, `said`:
    all that the agent said, which what is denied reads. `values`: the result as the client got it; None where
    none came. `state`: as it was read afterwards; None where it was not. `lost`: why the turn shows less than
    it should; '' where it ended.
    """

    answer: str = ""
    heard: str = ""
    said: str = ""
    calls: tuple[Call, ...] = ()
    messages: tuple[dict[str, Any], ...] = ()
    interrupts: tuple[Any, ...] = ()
    status: str = ""
    latency_s: float | None = None
    values: Any = None
    state: Any = None
    events: tuple[Event, ...] = ()
    streamed: bool = False
    lost: str = ""
    exchanges: tuple[str, ...] = ()

    @property
    def alive(self) -> bool:
        """Whether the agent did anything at all: said something, called a tool, asked, or left values."""
        ended = self.status in {"success", "interrupted"}
        return ended and bool(self.said.strip() or self.calls or self.interrupts or self.values)


def seen(exchanges: Sequence[Exchange], before: Any) -> Seen:
    """What these exchanges of one turn show; `before`: the values of the thread when it began."""
    result = _labelled(exchanges, _RESULT)
    if result is None:
        return Seen(lost=_lack(exchanges[-1] if exchanges else None), exchanges=_keys(exchanges))
    state = _object(_labelled(exchanges, _STATE))
    values = _values_of(result, state)
    messages = tuple(_new_messages(values, before))
    said = [_text(each) for each in messages if _role(each) in _SPOKEN]
    answer = said[-1] if said else ""
    interrupts = tuple(_interrupts(state, values))
    status = _status(result, _object(_labelled(exchanges, _RUN)), interrupts)
    return Seen(
        answer=answer,
        heard=answer,
        said="\n".join(said),
        calls=tuple(call for each in messages for call in _calls(each)),
        messages=messages,
        interrupts=interrupts,
        status=status,
        latency_s=_latency(exchanges, result) if status else None,
        values=values,
        state=None if state is None else state.get("values"),
        events=result.events,
        streamed=result.is_stream,
        lost="" if status else _lack(result),
        exchanges=_keys(exchanges),
    )


def together(turns: Sequence[Seen]) -> Seen:
    """What the turns of a conversation show as a whole: the last answer and state, and all that happened."""
    if not turns:
        return Seen(lost="no turn was played")
    last = turns[-1]
    times = [each.latency_s for each in turns]
    return Seen(
        answer=last.answer,
        heard="\n".join(each.answer for each in turns),
        said="\n".join(each.said for each in turns),
        calls=tuple(call for each in turns for call in each.calls),
        messages=tuple(message for each in turns for message in each.messages),
        interrupts=tuple(found for each in turns for found in each.interrupts),
        status=last.status,
        latency_s=sum(each for each in times if each is not None) if None not in times else None,
        values=last.values,
        state=last.state,
        events=tuple(event for each in turns for event in each.events),
        streamed=any(each.streamed for each in turns),
        lost=next((each.lost for each in turns if each.lost), ""),
        exchanges=tuple(key for each in turns for key in each.exchanges),
    )


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, be it one text or parts of which some are text."""
    return _text(message)


def values_in(exchanges: Iterable[Exchange]) -> Any:
    """The values of the thread as these exchanges leave it; None where none of them shows it."""
    state = _object(_labelled(exchanges, _STATE))
    return None if state is None else state.get("values")


def _labelled(exchanges: Iterable[Exchange], label: str) -> Exchange | None:
    found = [each for each in exchanges if each.label == label]
    return found[-1] if found else None


def _keys(exchanges: Iterable[Exchange]) -> tuple[str, ...]:
    return tuple(each.key for each in exchanges)


def _object(exchange: Exchange | None) -> dict[str, Any] | None:
    try:
        return None if exchange is None else dict(raw(exchange.object))
    except Missing:
        return None


def _lack(exchange: Exchange | None) -> str:
    """Why a turn has no result that can be read."""
    if exchange is None:
        return "nothing was sent"
    try:
        _ = exchange.ok
    except Missing as reason:
        return str(reason)
    return f"{exchange.where} has no result"


def _values_of(result: Exchange, state: Mapping[str, Any] | None = None) -> Any:
    """The values that the client was given: the body, or the last `values` event of the graph itself.

    Some servers give nothing but the question where the graph asks one; then they are those of the event
    before, or of the state.
    """
    shown = _shown(result)
    try:
        last = next(shown, None)
        if not _only_asks(last):
            return last
        earlier = next((each for each in shown if not _only_asks(each)), None)
    except Missing:
        return None
    if earlier is None and state is not None:
        earlier = state.get("values")
    return {**earlier, **last} if isinstance(earlier, dict) and isinstance(last, dict) else last


def _shown(result: Exchange) -> Iterator[Any]:
    """All values that the client was given, the last ones first. Raises Missing."""
    if not result.is_stream:
        yield raw(result.ok.json)
    else:
        _ = result.ok
        yield from (raw(each.json) for each in reversed(result.events) if each.event == "values")


def _only_asks(values: Any) -> bool:
    return isinstance(values, dict) and values.keys() == {_INTERRUPTS}


def _new_messages(values: Any, before: Any) -> Iterable[dict[str, Any]]:
    """The messages that the turn added, what it was asked included; by id, else by their number."""
    after, earlier = _messages(values), _messages(before)
    known = {each["id"] for each in earlier if isinstance(each.get("id"), str)}
    for number, each in enumerate(after):
        own = each.get("id")
        if own not in known if isinstance(own, str) and own else number >= len(earlier):
            yield each


def _messages(values: Any) -> list[dict[str, Any]]:
    found = values.get("messages") if isinstance(values, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _role(message: Mapping[str, Any]) -> str:
    return str(message.get("type") or message.get("role") or "")


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [
        each if isinstance(each, str) else each.get("text") for each in parts if isinstance(each, str | dict)
    ]
    return "".join(each for each in texts if isinstance(each, str))


def _calls(message: Mapping[str, Any]) -> Iterable[Call]:
    made = message.get("tool_calls")
    if _role(message) not in _SPOKEN or not isinstance(made, list):
        return
    for each in made:
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            arguments = each.get("args")
            yield Call(each["name"], arguments if isinstance(arguments, dict) else {})


def _interrupts(state: Mapping[str, Any] | None, values: Any) -> list[Any]:
    """The values that the graph asks about, by the state; without one, by the result itself."""
    found: list[Any] = []
    tasks = state.get("tasks") if state is not None else None
    if isinstance(tasks, list):
        found = [one for each in tasks if isinstance(each, dict) for one in each.get("interrupts") or []]
    elif isinstance(values, dict) and isinstance(values.get(_INTERRUPTS), list):
        found = values[_INTERRUPTS]
    return [each["value"] if isinstance(each, dict) and "value" in each else each for each in found]


def _status(result: Exchange, run: Mapping[str, Any] | None, interrupts: Sequence[Any]) -> str:
    """How the run ended, '' where that cannot be told.

    A run that waits for an answer is interrupted, whether its server calls that success or not.
    """
    if result.code is None or not 200 <= result.code < 300 or not result.complete:
        return ""
    told = run.get("status") if run is not None else None
    if told in {"error", "timeout"}:
        return str(told)
    if _failed(result):
        return "error"
    if interrupts:
        return "interrupted"
    return "success" if told is None else str(told) if told in {"success", "interrupted"} else ""


def _failed(result: Exchange) -> bool:
    if any(event.mode == "error" for event in result.events):
        return True
    values = _values_of(result)
    return isinstance(values, dict) and _ERROR in values


def _latency(exchanges: Sequence[Exchange], result: Exchange) -> float | None:
    """Seconds from the request that began the run until its result had arrived."""
    if not result.complete:
        return None
    first = _labelled(exchanges, "create_run") or result
    return round(result.ended_at - first.sent_at, 4)
