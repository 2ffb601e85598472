"""The proxy of `first_cause_repaired` changes what it is to repair, and nothing else."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.repairing import AS_A_RESULT, IN_A_LIST, repairing
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

    with heard_by(answer) as (url, requests), repairing(url, IN_A_LIST) as through:
        got = httpx.post(f"{through}/runs/stream?a=1", content=sent, headers={"x-it": "y"}, trust_env=False)
    assert (got.status_code, got.content) == (418, b"event: a\ndata: 1\n\n")
    assert got.headers["content-type"] == "text/event-stream"
    (heard,) = requests
    assert heard.target == "/runs/stream?a=1"
    assert heard.headers["x-it"] == "y"
    assert (json.loads(heard.body) if isinstance(arrives, dict) else heard.body) == arrives


@pytest.mark.parametrize(
    "target, code, said, arrives",
    [
        (
            "/runs/wait",
            500,
            '{"message":"it is cold"}',
            (200, {"__error__": {"error": "RuntimeError", "message": "it is cold"}}),
        ),
        ("/runs/wait", 500, '{"message": "no such graph"}', (500, '{"message": "no such graph"}')),
        ("/runs/wait", 500, "Internal Server Error", (500, "Internal Server Error")),
        ("/runs", 500, '{"message": "it is cold"}', (500, '{"message": "it is cold"}')),
        ("/runs/wait", 200, '{"message":  "it is cold"}', (200, '{"message":  "it is cold"}')),
    ],
)
def test_the_failure_of_a_run_is_told_as_its_result_and_no_other_failure_is(
    target: str, code: int, said: str, arrives: tuple[int, object]
) -> None:
    def answer(_: Heard) -> bytes:
        return reply(f"{code} Whatever", "application/json", said.encode())

    with heard_by(answer) as (url, _), repairing(url, AS_A_RESULT) as through:
        asked = {"assistant_id": "fail", "input": {"message": "it is cold"}}
        got = httpx.post(through + target, json=asked, trust_env=False)
    assert (got.status_code, got.json() if isinstance(arrives[1], dict) else got.text) == arrives


def test_the_result_of_a_failed_run_names_its_run_as_other_results_do() -> None:
    def answer(heard: Heard) -> bytes:
        if heard.target == "/threads/t-1/runs?limit=1":
            return reply("200 OK", "application/json", b'[{"run_id": "r-2"}, {"run_id": "r-1"}]')
        return reply("500 Whatever", "application/json", b'{"message": "it is cold"}')

    with heard_by(answer) as (url, _), repairing(url, AS_A_RESULT) as through:
        asked = {"assistant_id": "fail", "input": {"message": "it is cold"}}
        got = httpx.post(f"{through}/threads/t-1/runs/wait", json=asked, trust_env=False)
    assert (got.status_code, got.headers["content-location"]) == (200, "/threads/t-1/runs/r-2")
