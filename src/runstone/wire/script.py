"""The shell lines that make recorded requests again, and take each id from the answer that it comes in."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from runstone.wire import curl
from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import UUID, Exchange

_NEW_ID: Final = "$(python3 -c 'import uuid; print(uuid.uuid4())')"
_IDS: Final = "grep -oiE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'"
_LOCATED: Final = "grep -i '^content-location:'"
_BODY: Final = r"sed '1,/^\r*$/d'"  # of an answer that is shown with its headers
_ASSISTANT: Final = re.compile(rf'(?:"assistant_id":"|/assistants/)({UUID.pattern})')
_LONGEST_S: Final = 30  # that a script waits at once
_NOTICEABLE_S: Final = 0.5  # a scenario that paused for longer may have waited for a run to go on


def script_of(exchanges: Sequence[Exchange], *, telling: bool = False) -> list[str]:
    """Lines that make these requests one after the other, and show the last answer, or `telling` each one."""
    variables = _Variables()
    lines: list[str] = []
    for number, exchange in enumerate(exchanges, 1):
        last = number == len(exchanges)
        later = "".join(each.url + (each.request_body or "") for each in exchanges[number:])
        lines += variables.own(exchange)
        ways = variables.wanted(exchange, later)
        headed = any(_LOCATED in way for way in ways.values())
        request = curl.line(exchange, head=last or headed, quote=variables.quoted)
        if telling or len(ways) > 1:
            lines.append(f"ANSWER{number}=$({request})")
            lines += [f'printf \'%s\\n\' "{number}. {exchange.method}" "$ANSWER{number}"'] if telling else []
            request = f"printf '%s' \"$ANSWER{number}\""
        body = f" | {_BODY}" if headed else ""
        for found, way in ways.items():
            taken = f"{request} | {way}" if _LOCATED in way else f"{request}{body} | {way}"
            lines.append(f"{variables.name(found, 'ID')}=$({taken})")
        if not telling and not ways:
            lines.append(request if last else f"{request} > /dev/null")
        if not last and (pause := _pause(exchange, exchanges[number])):
            lines.append(f"sleep {pause}")
    return lines


def needed_for(
    exchange: Exchange, earlier: Sequence[Exchange], *, waits: Callable[[Exchange], bool]
) -> list[Exchange]:
    """The earlier exchanges that a request cannot be made without, and itself: what made the things it names.

    Of what was only read, that alone from which an id was learnt, and once what `waits` for a run.
    """
    learnt_from: dict[str, Exchange] = {}
    for each in earlier:
        for found in _ids_in_answer(each) - _ids_in_request(each):
            learnt_from.setdefault(found, each)
    wanted, needed = _ids_in_request(exchange), [exchange]
    waited_for: set[str] = set()
    for each in reversed(earlier):
        named = wanted & _ids_in_request(each)
        source = any(learnt_from.get(found) is each for found in wanted)
        if each.method == "GET":
            again = bool(named) and waits(each) and each.url not in waited_for
            waited_for.add(each.url)
        else:
            again = bool(named)
        if source or again:
            needed.append(each)
            wanted |= _ids_in_request(each)
    return needed[::-1]


@dataclass
class _Variables:
    """The shell variables that hold ids, by the id that was recorded."""

    names: dict[str, str] = field(default_factory=dict)

    def name(self, found: str, kind: str) -> str:
        """The variable of an id, a new one where it has none."""
        return self.names.setdefault(found, f"{kind}{len(self.names) + 1}")

    def quoted(self, word: str) -> str:
        """A word for the shell, in which known ids are variables: 'text'"$ID1"'text'."""
        if not self.names:
            return shlex.quote(word)
        parts = re.split("(" + "|".join(map(re.escape, self.names)) + ")", word)
        return "".join(
            f'"${self.names[part]}"' if part in self.names else shlex.quote(part) for part in parts if part
        )

    def own(self, exchange: Exchange) -> Iterator[str]:
        """Lines that make the ids which the request brings along, so that two runs of it do not meet."""
        told = exchange.path + (exchange.request_body or "")
        creates = exchange.method == "POST" and exchange.path.endswith("/assistants")
        assistants = set() if creates else set(_ASSISTANT.findall(told))  # which the server has
        for unknown in dict.fromkeys(UUID.findall(told)):
            if unknown not in self.names and unknown not in assistants:
                yield f"{self.name(unknown, 'OWN')}={_NEW_ID}"

    def wanted(self, exchange: Exchange, later: str) -> dict[str, str]:
        """The ids in an answer that later requests name, each with the command that takes it out of it."""
        found = _ways_to_ids(exchange)
        return {each: way for each, way in found.items() if each in later and each not in self.names}


def _pause(exchange: Exchange, following: Exchange) -> int:
    """Whole seconds to wait before the next request, as its scenario did; 0 for none.

    Nothing goes on after a thread was made: what was waited for then is a free worker.
    """
    gap = following.sent_at - exchange.ended_at
    waits = gap > _NOTICEABLE_S and exchange.method != "GET" and not exchange.path.endswith("/threads")
    return min(math.ceil(gap), _LONGEST_S) if waits else 0


def _ids_in_request(exchange: Exchange) -> set[str]:
    return set(UUID.findall(exchange.path + (exchange.request_body or "")))


def _ids_in_answer(exchange: Exchange) -> set[str]:
    return set(UUID.findall(_located(exchange) + exchange.content))


def _located(exchange: Exchange) -> str:
    return next((value for name, value in exchange.response_headers if name == "content-location"), "")


def _ways_to_ids(exchange: Exchange) -> dict[str, str]:
    """The ids in an answer, each with the command that takes it out: of JSON by place, else by counting."""
    found: dict[str, str] = {}
    for text, before in ((_located(exchange), f"{_LOCATED} | "), (exchange.content, "")):
        for place, each in enumerate(UUID.findall(text), 1):
            found.setdefault(each, f"{before}{_IDS} | sed -n {place}p")
    return found | {
        each: f"python3 -c 'import json, sys; print(json.load(sys.stdin){path})'"
        for each, path in _ids_in_json(exchange).items()
    }


def _ids_in_json(exchange: Exchange) -> dict[str, str]:
    """The ids in a JSON body, each with the Python subscripts that lead to it."""
    if exchange.is_stream or not UUID.search(exchange.content):
        return {}
    try:
        body = raw(exchange.json)
    except Missing:
        return {}
    found: dict[str, str] = {}
    for value, path in _texts(body, ""):
        if UUID.fullmatch(value):
            found.setdefault(str(value), path)
    return found


def _texts(document: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(document, str):
        yield document, path
    elif isinstance(document, list):
        for place, each in enumerate(document):
            yield from _texts(each, f"{path}[{place}]")
    elif isinstance(document, dict):
        for key, each in document.items():
            yield from _texts(each, f"{path}[{json.dumps(key)}]")
