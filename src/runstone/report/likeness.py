"""What is said beside the values of one case: reasons that are alike in it may have one cause.

A judge quotes what it met, and a server what it was sent. Neither tells one defect from another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from runstone.contracts import lifecycle
from runstone.wire.canonical import anonymous
from runstone.wire.documents import raw
from runstone.wire.exchange import UUID, Exchange

_OPEN: Final = "…"
_TEXT: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LIST: Final = re.compile(r"\[[^\[\]{}]+\]|\{[^\[\]{}]+\}")  # an empty one is told from one that is not
# How an excerpt ends that is broken off.
_BROKEN_OFF: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*|[\[{][^"\[\]{}]*)…(?=, wanted |$)')
_POINTER: Final = re.compile(r"(?<![\w<])/[^\s,()]*[^\s:,()]")
# Three digits are a status, which says something.
_NUMBER: Final = re.compile(r"\b(?!\d{3}\b)\d+(?:\.\d+)?\b")
_GOT_BY_A_SERVER: Final = re.compile(r'\b(got) (?:(?!\\n)[^"\n])+')
_GOT_BY_A_JUDGE: Final = re.compile(r"\b(got) (?!null\b|\{\}|\[\]|<|\d{3}\b).+", re.DOTALL)
_QUOTED: Final = re.compile(r"""'<sent>'|\\"<sent>\\\"""")
# How pydantic quotes what it was sent, in JSON and as Python shows it.
_ECHO: Final = re.compile(
    r"""(["']input["']: ?)(?:.+?(?=, ?["'](?:ctx|url)["']: ?)|.+(?=\}\])|.+$)""", re.DOTALL
)
_MOST: Final = 2000  # characters of an answer that are compared
_SHORTEST: Final = 4  # characters of a text that is looked for in an answer; shorter ones are in any


@cache
def without_values(reason: str) -> str:
    """A judge's reason with the values of its case left open.

    The statuses of runs and threads stay, as do null, empty objects and lists: each is a defect of its own.
    """
    found = _BROKEN_OFF.sub(_OPEN, _TEXT.sub(_value, reason))
    while (inner := _LIST.sub(_OPEN, found)) != found:
        found = inner
    found = _POINTER.sub(f"/{_OPEN}", _BROKEN_OFF.sub(_OPEN, found))
    return _NUMBER.sub("N", _GOT_BY_A_JUDGE.sub(rf"\1 {_OPEN}", found))


def _value(text: re.Match[str]) -> str:
    statuses = {*lifecycle().runs.statuses, *lifecycle().threads.statuses}
    return f"<{text[1]}>" if text[1] in statuses else _OPEN


def without_echo(said: str) -> str:
    """What a server said without the input that pydantic quotes."""
    return _ECHO.sub(rf"\1{_OPEN}", said)


def without_what_was_sent(exchange: Exchange) -> str:
    """What a server said to a request, without the texts and ids of the request, and what it "got"."""
    said = without_echo(exchange.content[:_MOST])
    sent = {*_texts(raw(exchange.request_json)), *UUID.findall(exchange.path)}
    for text in sorted(sent, key=lambda each: (-len(each), each)):
        for written in dict.fromkeys((text, json.dumps(text)[1:-1])):
            if written in said:
                said = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", "<sent>", said)
    said = _QUOTED.sub("<sent>", said)
    return _NUMBER.sub("N", _GOT_BY_A_SERVER.sub(rf"\1 {_OPEN}", anonymous(said)))


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield from [document] if len(document) >= _SHORTEST else []
    elif isinstance(document, dict | list):
        for each in document.values() if isinstance(document, dict) else document:
            yield from _texts(each)
