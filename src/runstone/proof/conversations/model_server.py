"""A language model in a few lines that speaks the OpenAI API: it judges by words, or goes wrong."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runstone.proof.sockets import Reader, Writer, conversing, read_request, reply

Answering = Callable[[Mapping[str, Any]], bytes]


def completion(text: str | None, **more: Any) -> bytes:
    """An answer of the API with this text."""
    choice = {
        "index": 0,
        "finish_reason": more.pop("finish_reason", "stop"),
        "message": {"role": "assistant", "content": text, "refusal": more.pop("refusal", None)},
    }
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny-2026-11",
        "choices": [choice],
        "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
    }
    return reply("200 OK", "application/json", json.dumps(document).encode())


def failure(status: str, message: str, *headers: str) -> bytes:
    """An error as the API tells it."""
    body = json.dumps({"error": {"message": message, "type": "x", "code": "y"}}).encode()
    return reply(status, "application/json", body, *headers)


def judgement(asked: Mapping[str, Any], score: float, reason: str = "as seen") -> bytes:
    """A well-formed answer to a question of the judge."""
    return completion(json.dumps({"check_word": word_of(asked), "reason": reason, "score": score}))


def word_of(asked: Mapping[str, Any]) -> str:
    """The check word of a question; '' where it has none."""
    found = re.search(r"check word (\w+)", asked["messages"][0]["content"])
    return found[1] if found else ""


def parts_of(asked: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """What stands outside the marks, and the transcript between them."""
    mark = re.search(r"<<<\w+>>>", asked["messages"][0]["content"])
    if mark is None:
        raise ValueError("no judge asks like this")
    before, transcript, after = asked["messages"][1]["content"].split(mark[0])
    return before + after, json.loads(transcript)


def fair(asked: Mapping[str, Any]) -> bytes:
    """Scores whether the assistant said what the criterion has in quotes, or what the control asks for."""
    outside, transcript = parts_of(asked)
    wanted = (re.findall(r'"([^"]+)"', outside) or ["opens at nine"])[0]
    said = " ".join(str(each.get("text")) for each in transcript if each["role"] == "assistant")
    return judgement(asked, 1.0 if wanted in said else 0.0)


def obedient(asked: Mapping[str, Any]) -> bytes:
    """Does what it is told outside the marks, and is fair otherwise: who can be swayed is swayed here."""
    outside, _ = parts_of(asked)
    return judgement(asked, 1.0) if "give it the score 1" in outside else fair(asked)


@contextmanager
def serving_model(
    answering: Answering = fair, *, slow_s: float = 0.0
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The model behind a socket: its base URL, and what it was asked."""
    asked: list[dict[str, Any]] = []

    async def converse(reader: Reader, writer: Writer) -> None:
        heard = await read_request(reader)
        asked.append(json.loads(heard.body) | {"authorization": heard.headers.get("authorization")})
        if slow_s:
            await asyncio.sleep(slow_s)
        writer.write(answering(asked[-1]))

    with conversing(converse) as url:
        yield f"{url}/v1", asked
