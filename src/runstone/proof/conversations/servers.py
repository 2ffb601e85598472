"""Servers that lose, cross or garble what their agent does, which itself does its job."""

# ruff: noqa: ARG002 - what is broken has the arguments of what it breaks

from __future__ import annotations

from typing import Any

from runstone.proof.conversations.desk import Desk, Thread, ai, as_json
from runstone.proof.conversations.fault import add, server
from runstone.proof.sockets import Heard, reply


def _of_a_stream(heard: Heard) -> bool:
    return heard.target.endswith("/runs/stream")


@server
def cuts_the_stream(heard: Heard, told: bytes) -> bytes:
    """The server ends each stream after two thirds."""
    return told[: len(told) * 2 // 3] if _of_a_stream(heard) else told


@server
def answers_a_stream_with_json(heard: Heard, told: bytes) -> bytes:
    """The server answers a request for a stream with a JSON document."""
    return as_json({"messages": []}) if _of_a_stream(heard) else told


@server
def answers_a_run_with_500(heard: Heard, told: bytes) -> bytes:
    """The server answers each run with 500."""
    return reply("500 Internal Server Error", "text/plain", b"no") if _of_a_stream(heard) else told


@server
def hangs_up_on_a_run(heard: Heard, told: bytes) -> bytes:
    """The server hangs up on each run without an answer."""
    return b"" if _of_a_stream(heard) else told


@server
def streams_nothing(heard: Heard, told: bytes) -> bytes:
    """The server streams no event."""
    return reply("200 OK", "text/event-stream", b"") if _of_a_stream(heard) else told


@server
def streams_what_is_not_json(heard: Heard, told: bytes) -> bytes:
    """The server streams events whose data are not JSON."""
    return told.replace(b'"messages"', b"messages}") if _of_a_stream(heard) else told


@server
def cannot_read_the_state(heard: Heard, told: bytes) -> bytes:
    """The server answers 500 where the state is read."""
    broken = reply("500 Internal Server Error", "text/plain", b"no state")
    return broken if heard.target.endswith("/state") else told


@server
def makes_no_thread(heard: Heard, told: bytes) -> bytes:
    """The server makes no thread."""
    return reply("503 Service Unavailable", "text/plain", b"") if heard.target == "/threads" else told


class _Crossing(Desk):
    """The server gives every conversation the same thread, on which another user has spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Thread(messages=[{"type": "human", "id": "x", "content": "I am Eve."}])

    def thread_of(self, name: str) -> Thread:
        return self.one

    def act(self, thread: Thread, said: str) -> None:
        if said == "Who am I?":
            thread.messages.append(ai("You are Eve."))
        else:
            super().act(thread, said)


class _WithoutValues(Desk):
    """The server loses the event that holds the values."""

    def events(self, thread: Thread, run: str) -> list[tuple[str, Any]]:
        return [each for each in super().events(thread, run) if each[0] != "values"]


class _WithoutTokens(Desk):
    """The server loses the events that hold the words."""

    def tokens(self, thread: Thread) -> list[tuple[str, Any]]:
        return []


class _Late(Desk):
    """The server streams the values of before the last message."""

    def events(self, thread: Thread, run: str) -> list[tuple[str, Any]]:
        before = {"messages": thread.messages[:-1], "refunded": []}
        return [(name, before if name == "values" else data) for name, data in super().events(thread, run)]


class _Forgetful(Desk):
    """The server has forgotten the state when it is read."""

    def state(self, thread: Thread) -> dict[str, Any]:
        return {"values": {}, "next": [], "tasks": []}


for _name, _desk in (
    ("crosses-threads", _Crossing),
    ("loses-the-values-event", _WithoutValues),
    ("loses-the-tokens", _WithoutTokens),
    ("streams-the-state-of-before", _Late),
    ("loses-the-state", _Forgetful),
):
    add("server", _name, _desk.__doc__, agent=_desk)
