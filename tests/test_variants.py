"""Each legal variant does what it says: the difference is seen on the wire."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import pytest

from runstone.proof.faults import load_variants
from tests.reference.server import Server, launched

ECHO = {"assistant_id": "echo", "input": {"messages": [{"type": "human", "content": "hello"}]}}
STREAM = ECHO | {"stream_mode": ["values"]}
FAIL = {"assistant_id": "fail", "input": {"message": "a secret"}}
SLOW = {"assistant_id": "slow", "input": {"sleep": 2.5}}
JOURNEY = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def stream(server: Server, body: dict[str, Any]) -> httpx.Response:
    return server.client.post(f"/threads/{server.thread()}/runs/stream", json=body)


def waited(server: Server, body: dict[str, Any]) -> httpx.Response:
    return server.client.post(f"/threads/{server.thread()}/runs/wait", json=body)


def finished_run(server: Server) -> tuple[str, str]:
    thread = server.thread()
    answer = server.client.post(f"/threads/{thread}/runs/wait", json=ECHO)
    return thread, answer.headers["content-location"].rpartition("/")[2]


def lines_end_with_crlf(server: Server) -> None:
    text = stream(server, STREAM).content
    assert text.count(b"\r\n") == text.count(b"\n") > 4


def streams_end_with_an_end_event(server: Server) -> None:
    assert re.findall(r"^event: (\w+)", stream(server, STREAM).text, re.MULTILINE)[-1] == "end"


def all_events_have_ids(server: Server) -> None:
    text = stream(server, STREAM).text
    assert re.findall(r"^id: (\d+)", text, re.MULTILINE) == [str(n) for n in range(text.count("event: "))]


def streams_keep_alive_by_bare_comments(server: Server) -> None:
    assert "\n:\n\n" in stream(server, SLOW).text


def streams_keep_alive_by_newlines(server: Server) -> None:
    text = stream(server, SLOW).text
    assert "\n\n\n" in text
    assert ": heartbeat" not in text


def keys_come_in_another_order(server: Server) -> None:
    for keys in (list(server.get("/info")), list(json.loads(waited(server, SLOW).text))):
        assert keys == sorted(keys, reverse=True)


def ids_are_written_in_upper_case(server: Server) -> None:
    thread, run = finished_run(server)
    assert JOURNEY.fullmatch(thread)
    assert JOURNEY.fullmatch(run)
    for spelt in (run, run.lower()):
        assert server.get(f"/threads/{thread.lower()}/runs/{spelt}")["run_id"] == run


def numbers_are_those_of_javascript(server: Server) -> None:
    body = {"metadata": {"exact": 2**53 + 1, "whole": 1.0, "half": 0.5, "large": 1e300, "flag": True}}
    shown = json.dumps(server.post("/threads", body)["metadata"])
    assert shown == ('{"exact": 9007199254740992, "whole": 1, "half": 0.5, "large": 1e+300, "flag": true}')


def objects_have_members_of_their_own(server: Server) -> None:
    thread, run = finished_run(server)
    for path in (f"/threads/{thread}", f"/threads/{thread}/runs/{run}", f"/threads/{thread}/state"):
        assert server.get(path)["tenant_id"] == "t-1"


def runs_have_no_location(server: Server) -> None:
    for answer in (stream(server, STREAM), waited(server, ECHO)):
        assert "content-location" in answer.headers
        assert "location" not in answer.headers


def bad_requests_answer_400(server: Server) -> None:
    assert server.client.post("/threads", json=7).status_code == 400


def a_busy_thread_answers_422(server: Server) -> None:
    thread = server.thread()
    server.post(f"/threads/{thread}/runs", SLOW)
    rejected = server.client.post(f"/threads/{thread}/runs", json=ECHO | {"multitask_strategy": "reject"})
    assert rejected.status_code == 422


def what_is_done_answers_200(server: Server) -> None:
    deleted = server.client.delete(f"/threads/{server.thread()}")
    assert (deleted.status_code, deleted.json()) == (200, {"ok": True})


def what_is_done_answers_204(server: Server) -> None:
    thread = server.thread()
    run = server.post(f"/threads/{thread}/runs", SLOW)["run_id"]
    assert server.client.post(f"/threads/{thread}/runs/{run}/cancel?wait=1").status_code == 204
    assert server.client.delete(f"/threads/{thread}").status_code == 202


def a_missing_item_is_null(server: Server) -> None:
    missing = server.client.get("/store/items", params={"namespace": "none", "key": "none"})
    assert (missing.status_code, missing.json()) == (200, None)


def histories_answer_one_state_by_default(server: Server) -> None:
    thread, _ = finished_run(server)
    path = f"/threads/{thread}/history"
    assert len(server.get(path)) == len(server.post(path, {})) == 1
    assert len(server.get(f"{path}?limit=9")) == len(server.post(path, {"limit": 9})) > 1


def a_paused_run_is_interrupted(server: Server) -> None:
    thread = server.thread()
    answer = server.client.post(
        f"/threads/{thread}/runs/wait", json={"assistant_id": "interrupt", "input": {}}
    )
    assert server.get(answer.headers["content-location"])["status"] == "interrupted"
    assert server.get(f"/threads/{thread}")["status"] == "interrupted"


def runs_start_when_the_queue_is_polled(server: Server) -> None:
    run = server.post(f"/threads/{server.thread()}/runs", ECHO)
    assert server.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}")["status"] == "pending"
    assert server.settled(run["thread_id"], run["run_id"]) == "success"


def texts_of_errors_are_redacted(server: Server) -> None:
    error = waited(server, FAIL).json()["__error__"]
    assert error == {"error": "ValueError", "message": "An internal error occurred"}


def errors_have_one_class(server: Server) -> None:
    error = waited(server, FAIL).json()["__error__"]
    assert error["error"] == "Error"
    assert json.loads(error["message"]) == {"error": "ValueError", "message": "a secret"}


def unusual_values_are_refused(server: Server) -> None:
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    for value, status in (
        *((each, 422) for each in (deep, {str(n): n for n in range(900)}, "a\x01b", {"\x00": 1}, 2**60)),
        ("x" * 60_000, 413),
        ({"plain": ["x" * 5_000, True, None, 1.5]}, 200),
    ):
        assert server.client.post("/threads", json={"metadata": {"m": value}}).status_code == status


def nothing_busy_is_deleted(server: Server) -> None:
    thread = server.thread()
    run = server.post(f"/threads/{thread}/runs", SLOW | {"input": {"sleep": 30}})["run_id"]
    assert server.client.delete(f"/threads/{thread}").status_code == 409
    assert server.get(f"/threads/{thread}/runs/{run}")["status"] == "running"
    server.client.post(f"/threads/{thread}/runs/{run}/cancel?wait=1")
    assert server.client.delete(f"/threads/{thread}").status_code == 204


def refusals_take_the_other_status(server: Server) -> None:
    unknown = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    thread, run = finished_run(server)
    for path, body, status in (
        (f"/threads/{thread}/runs", ECHO | {"assistant_id": "no such"}, 422),
        (f"/threads/{thread}/runs", ECHO | {"assistant_id": unknown}, 404),
        (f"/threads/{thread}/runs/{run}/cancel", {}, 422),
        (f"/threads/{unknown}/copy", {}, 409),
    ):
        assert server.client.post(path, json=body).status_code == status


def requests_past_a_rate_are_put_off(server: Server) -> None:
    at = urlsplit(server.url)
    request = b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    with socket.create_connection((str(at.hostname), int(at.port or 0)), timeout=20) as opened:
        opened.sendall(request * 499 + last)  # all at once: in a second even where the machine is busy
        answers = b"".join(iter(lambda: opened.recv(65536), b"")).split(b"HTTP/1.1 ")[1:]
    refused = [each for each in answers if not each.startswith(b"200")]
    assert len(answers) == 500
    assert refused
    assert all(each.startswith(b"429 ") and b"retry-after: 1\r\n" in each for each in refused)


LOOKS: dict[str, Callable[[Server], None]] = {
    look.__name__.replace("_", "-"): look
    for look in (
        lines_end_with_crlf,
        streams_end_with_an_end_event,
        all_events_have_ids,
        streams_keep_alive_by_bare_comments,
        streams_keep_alive_by_newlines,
        keys_come_in_another_order,
        ids_are_written_in_upper_case,
        numbers_are_those_of_javascript,
        objects_have_members_of_their_own,
        runs_have_no_location,
        bad_requests_answer_400,
        a_busy_thread_answers_422,
        what_is_done_answers_200,
        what_is_done_answers_204,
        a_missing_item_is_null,
        histories_answer_one_state_by_default,
        a_paused_run_is_interrupted,
        runs_start_when_the_queue_is_polled,
        texts_of_errors_are_redacted,
        errors_have_one_class,
        unusual_values_are_refused,
        nothing_busy_is_deleted,
        refusals_take_the_other_status,
        requests_past_a_rate_are_put_off,
    )
}


@contextmanager
def doing(variant: str) -> Iterator[Server]:
    with patch.dict(os.environ, {"RUNSTONE_VARIANT": variant} if variant else {}), launched() as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """The runtime as it is."""
    with doing("") as server:
        yield server


def test_there_are_enough_and_each_is_looked_at() -> None:
    assert sorted(LOOKS) == sorted(load_variants())
    assert len(LOOKS) >= 15


@pytest.mark.parametrize("name", LOOKS)
def test_variant_is_seen_on_the_wire(name: str) -> None:
    with doing(name) as server:
        LOOKS[name](server)


@pytest.mark.parametrize("name", [name for name in LOOKS if name != "runs-start-when-the-queue-is-polled"])
def test_runtime_by_itself_does_otherwise(name: str, plain: Server) -> None:
    """So that a look which any server passes is none. How soon a run starts is a matter of moments."""
    with pytest.raises((AssertionError, KeyError, ValueError)):
        LOOKS[name](plain)
