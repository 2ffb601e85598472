"""Starts that went well, as a worker would have seen them, and what is changed of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from runstone.load.invariants import NOTE
from runstone.load.model import Kind
from runstone.load.tokens import TOKEN, run_token, start_token
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

SESSION = "a1b2c3d4e5f6"
OWN = start_token(SESSION, 0, 42)
OTHER = start_token(SESSION, 1, 7)
THREAD = "11111111-1111-1111-1111-111111111111"


def run_id(number: int) -> str:
    return f"22222222-2222-2222-2222-{number:012d}"


def exchange(number: int, label: str, body: Any, *, code: int | None = 200, method: str = "GET") -> Exchange:
    return Exchange(
        scenario=f"load-{OWN}",
        number=number,
        label=label,
        method=method,
        url=f"http://127.0.0.1:2024/threads/{THREAD}/{label}",
        sent_at=float(number),
        code=code,
        response_headers=(("content-type", "application/json"),),
        content=json.dumps(body),
        failure=None if code is not None else "no answer within 60 s",
    )


def rows(*statuses: str) -> list[dict[str, Any]]:
    """The thread's runs, the newest first, as servers list them."""
    tokens = [run_token(OWN, number) for number in range(1, len(statuses) + 1)]
    return [
        {"run_id": run_id(number), "status": status, "metadata": {TOKEN: token}}
        for number, (status, token) in enumerate(zip(statuses, tokens, strict=True), 1)
    ][::-1]


def trace(kind: Kind, exchanges: list[Exchange], labels: list[str], **note: Any) -> Trace:
    runs = [(run_token(OWN, number), label) for number, label in enumerate(labels, 1)]
    facts = {"kind": kind, "token": OWN, "session": SESSION, "runs": runs, **note}
    return Trace(scenario=f"load-{kind}-{OWN}", exchanges=tuple(exchanges), notes={NOTE: facts})


STEPS = {"log": ["s1", "s2", "s3"], "note": OWN}


def waited(state: Any = STEPS, answer: Any = STEPS, listed: Any = None, code: int | None = 200) -> Trace:
    return trace(
        "wait",
        [
            exchange(1, "create_thread", {"thread_id": THREAD}, method="POST"),
            exchange(2, "wait", answer, method="POST", code=code),
            exchange(3, "runs", rows("success") if listed is None else listed),
            exchange(4, "state", {"values": state}),
        ],
        ["wait"],
    )


def streamed(last: Any = STEPS, state: Any = STEPS) -> Trace:
    stream = msgspec.structs.replace(
        exchange(2, "stream", "", method="POST"),
        response_headers=(("content-type", "text/event-stream"),),
        events=(
            Event(event="values", data=json.dumps({"log": [], "note": OWN}), at=0.1),
            Event(event="values", data=json.dumps(last), at=0.2),
        ),
    )
    seen = [stream, exchange(3, "runs", rows("success")), exchange(4, "state", {"values": state})]
    return trace("stream", seen, ["stream"])


def said(*numbers: int) -> list[dict[str, str]]:
    """Messages of the graph echo, by the numbers of their runs."""
    texts = [run_token(OWN, number) for number in numbers]
    return [{"type": kind, "content": text} for text in texts for kind in ("human", "ai")]


def enqueued(messages: list[dict[str, str]], statuses: tuple[str, ...] = ("success",) * 3) -> Trace:
    labels = ["create1", "create2", "create3"]
    asked = [
        exchange(number, label, {"run_id": run_id(number)}, method="POST")
        for number, label in enumerate(labels, 1)
    ]
    values = {"messages": messages}
    seen = [
        exchange(4, "join", values),
        exchange(5, "runs", rows(*statuses)),
        exchange(6, "state", {"values": values}),
    ]
    return trace("enqueue", [*asked, *seen], labels)


def background(deliveries: int, status: str = "success") -> Trace:
    calls = [
        msgspec.structs.replace(
            exchange(number, "delivery", "", method="POST"), request_body=json.dumps({"values": STEPS})
        )
        for number in range(10, 10 + deliveries)
    ]
    seen = [
        exchange(2, "create", {"run_id": run_id(1)}, method="POST"),
        exchange(3, "join", STEPS),
        exchange(4, "runs", rows(status)),
        exchange(5, "state", {"values": STEPS}),
    ]
    return trace("background", [*seen, *calls], ["create"], webhook=True)


def cancelled(status: str, log: list[str]) -> Trace:
    seen = [
        exchange(2, "create", {"run_id": run_id(1)}, method="POST"),
        exchange(3, "cancel", {}, method="POST"),
        exchange(4, "runs", rows(status)),
        exchange(5, "state", {"values": {"log": log, "note": OWN}}),
    ]
    return trace("cancel", seen, ["create"], cancels=True)


def interrupted(answer: Any, log: tuple[str, ...] = ("before", "ask", "after")) -> Trace:
    values = {"log": list(log), "question": OWN, "answer": answer}
    seen = [
        exchange(2, "wait", {"log": ["before"], "question": OWN, "__interrupt__": []}, method="POST"),
        exchange(3, "resume", values, method="POST"),
        exchange(4, "runs", rows("interrupted", "success")),
        exchange(5, "state", {"values": values}),
    ]
    return trace("interrupt", seen, ["wait", "resume"])
