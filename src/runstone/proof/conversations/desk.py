"""A run API with one agent behind it, a help desk, in a few lines.

The desk remembers names, looks up orders, asks before it refunds and refunds. `Desk` keeps its promises; its
subclasses break them, one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from runstone.proof.sockets import Heard, Reader, Writer, conversing, read_request, reply

Message = dict[str, Any]


def ai(text: str = "", *calls: tuple[str, dict[str, Any]]) -> Message:
    """What the agent says, and calls."""
    made = [{"name": name, "args": args, "id": f"call-{uuid4()}"} for name, args in calls]
    return {"type": "ai", "id": str(uuid4()), "content": text, "tool_calls": made}


def tool(name: str, text: str) -> Message:
    """What a tool answers."""
    return {"type": "tool", "id": str(uuid4()), "name": name, "content": text, "tool_call_id": "call"}


@dataclass
class Thread:
    """A conversation as the desk remembers it. `status`: how its last run ended."""

    messages: list[Message] = field(default_factory=list)
    interrupts: list[Any] = field(default_factory=list)
    refunded: list[str] = field(default_factory=list)
    status: str = "success"

    @property
    def values(self) -> dict[str, Any]:
        """The state, as a graph has it."""
        return {"messages": list(self.messages), "refunded": list(self.refunded)}


class Desk:
    """The agent that does its job. `turns`: how many it has been asked for, over all threads."""

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}
        self.runs: dict[str, str] = {}
        self.turns = 0

    # what the agent does

    def act(self, thread: Thread, said: str) -> None:
        """Answer what was said, or ask."""
        named = [m for each in thread.messages if (m := re.fullmatch(r"I am (\w+)\.", str(each["content"])))]
        order = re.search(r"order (\d+)", said)
        if said.startswith("I am "):
            thread.messages.append(ai("Nice to meet you."))
        elif said == "Who am I?":
            thread.messages.append(ai(f"You are {named[-1][1]}." if named else "I do not know."))
        elif order:
            self.look_up(thread, order[1])
            self.ask(thread, order[1])
        else:
            thread.messages.append(ai("How can I help?"))

    def look_up(self, thread: Thread, order: str) -> None:
        """Call the tool that looks an order up."""
        thread.messages += [ai("", ("look_up", {"order": order})), tool("look_up", f"order {order}: paid")]

    def ask(self, thread: Thread, order: str) -> None:
        """Interrupt before anything is paid."""
        thread.interrupts = [{"question": f"Refund order {order}?", "order": order}]

    def answered(self, thread: Thread, answer: Any) -> None:
        """Go on with the answer to what was asked."""
        order = thread.interrupts[0]["order"] if thread.interrupts else "0"
        thread.interrupts = []
        if answer is True:
            self.refund(thread, order)
        else:
            thread.messages.append(ai("Nothing was refunded."))

    def refund(self, thread: Thread, order: str) -> None:
        """Pay."""
        thread.messages += [ai("", ("refund", {"order": order})), tool("refund", "done")]
        thread.refunded.append(order)
        thread.messages.append(ai(f"Order {order} is refunded."))

    # how the server tells it

    def run(self, thread: Thread, body: Mapping[str, Any]) -> None:
        """One run to its end."""
        self.turns += 1
        thread.status = "success"
        if "command" in body:
            self.answered(thread, body["command"].get("resume"))
        else:
            said = body["input"]["messages"][0]["content"]
            thread.messages.append({"type": "human", "id": str(uuid4()), "content": said})
            self.act(thread, said)

    def events(self, thread: Thread, run: str) -> list[tuple[str, Any]]:
        """What a stream tells of a run: names and data."""
        values = thread.values | ({"__interrupt__": thread.interrupts} if thread.interrupts else {})
        end = [("error", {"error": "Broken", "message": "it broke"})] if thread.status == "error" else []
        return [("metadata", {"run_id": run}), *self.tokens(thread), ("values", values), *end]

    def tokens(self, thread: Thread) -> list[tuple[str, Any]]:
        """The words of the last message, one by one."""
        last = thread.messages[-1] if thread.messages else {}
        words = str(last.get("content", "")).split(" ") if last.get("type") == "ai" else []
        return [
            ("messages", [{"type": "AIMessageChunk", "content": f"{word} ", "id": last["id"]}, {}])
            for word in words
        ]

    def state(self, thread: Thread) -> dict[str, Any]:
        """The answer to GET state."""
        asked = [{"id": str(uuid4()), "value": each} for each in thread.interrupts]
        return {"values": thread.values, "next": [], "tasks": [{"interrupts": asked}], "checkpoint": {}}

    def thread_of(self, name: str) -> Thread:
        """The thread of this id."""
        return self.threads[name]

    def answer(self, heard: Heard) -> bytes:
        """The response to one request of the run API."""
        path = heard.target.partition("?")[0]
        body = json.loads(heard.body) if heard.body else {}
        if path in {"/ok", "/info"}:
            return as_json({"ok": True})
        if path == "/threads/search":  # for what killed sessions have left
            return as_json([])
        if path == "/threads":
            name = str(uuid4())
            self.threads[name] = Thread()
            return as_json({"thread_id": name, "status": "idle", "metadata": body.get("metadata") or {}})
        parts = path.strip("/").split("/")
        thread = self.thread_of(parts[1]) if parts[0] == "threads" else Thread()
        if heard.method == "DELETE":
            return reply("204 No Content", "application/json", b"")
        if parts[-1] == "state":
            return as_json(self.state(thread))
        if parts[-1] == "stream" and heard.method == "POST":
            run = self.begin(thread, body)
            told = "".join(
                f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in self.events(thread, run)
            )
            located = f"content-location: {path.removesuffix('/stream')}/{run}"
            return reply("200 OK", "text/event-stream", told.encode(), located)
        if parts[-1] == "wait":
            run = self.begin(thread, body)
            located = f"content-location: {path.removesuffix('/wait')}/{run}"
            return reply("200 OK", "application/json", json.dumps(self.values(thread)).encode(), located)
        if parts[-1] == "runs" and heard.method == "POST":
            return as_json({"run_id": self.begin(thread, body), "thread_id": parts[1], "status": "pending"})
        if parts[-1] == "join":
            return as_json(self.values(thread))
        if "runs" in parts:
            return as_json({"run_id": parts[-1], "thread_id": parts[1], "status": self.runs[parts[-1]]})
        return as_json({"thread_id": parts[1], "status": "idle", "values": thread.values})

    def values(self, thread: Thread) -> dict[str, Any]:
        """The answer to a wait: the values, with what was asked."""
        return thread.values | ({"__interrupt__": thread.interrupts} if thread.interrupts else {})

    def begin(self, thread: Thread, body: Mapping[str, Any]) -> str:
        """Run it and answer its id."""
        self.run(thread, body)
        run = str(uuid4())
        self.runs[run] = thread.status
        return run


def as_json(document: Any) -> bytes:
    """A whole response with this body."""
    return reply("200 OK", "application/json", json.dumps(document).encode())


@contextmanager
def serving_desk(desk: Desk, spoil: Callable[[Heard, bytes], bytes] | None = None) -> Iterator[str]:
    """The desk behind a socket; `spoil` may change each answer. An answer of b"" hangs up."""

    async def converse(reader: Reader, writer: Writer) -> None:
        heard = await read_request(reader)
        told = desk.answer(heard)
        writer.write(told if spoil is None else spoil(heard, told))

    with conversing(converse) as url:
        yield url
