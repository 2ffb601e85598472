"""The proxy of `first_cause_repaired` changes what it is to repair, and nothing else."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.repairing import in_a_list, repairing
from tests.servers import Heard, heard_by, reply


@pytest.mark.parametrize(
    "sent, arrives",
    [
        (b'{"stream_mode": "values", "input": {"a": [1]}}', {"stream_mode": ["values"], "input": {"a": [1]}}),
        (b'{"stream_mode":  ["values"]}', b'{"stream_mode":  ["values"]}'),
        (b"{no JSON", b"{no JSON"),
        (b"", b""),
    ],
)
def test_one_thing_is_repaired(sent: bytes, arrives: object) -> None:
    def answer(_: Heard) -> bytes:
        return reply("418 Teapot", "text/event-stream", b"event: a\ndata: 1\n\n")

    with heard_by(answer) as (url, requests), repairing(url, in_a_list) as through:
        got = httpx.post(f"{through}/runs/stream?a=1", content=sent, headers={"x-it": "y"}, trust_env=False)
    assert (got.status_code, got.content) == (418, b"event: a\ndata: 1\n\n")
    assert got.headers["content-type"] == "text/event-stream"
    (heard,) = requests
    assert heard.target == "/runs/stream?a=1"
    assert heard.headers["x-it"] == "y"
    assert (json.loads(heard.body) if isinstance(arrives, dict) else heard.body) == arrives
