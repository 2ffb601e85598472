"""The reference runtime over HTTP: every entry point takes the one path, and each promise is kept."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from tests.reference.server import DONE, STEPS, Server, running_slow


def events(text: str) -> list[tuple[str, Any]]:
    """The events of a stream: names and decoded data."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_every_entry_point_gives_the_same_values_state_and_history(server: Server) -> None:
    threads = [server.thread() for _ in range(3)]
    by_wait = server.post(f"/threads/{threads[0]}/runs/wait", STEPS)
    by_stream = events(server.client.post(f"/threads/{threads[1]}/runs/stream", json=STEPS).text)[-1][1]
    run = server.post(f"/threads/{threads[2]}/runs", STEPS)
    by_join = server.get(f"/threads/{threads[2]}/runs/{run['run_id']}/join")
    stateless = server.post("/runs/wait", STEPS)
    assert by_wait == by_stream == by_join == stateless == DONE
    histories = [
        [
            (each["values"], each["next"], each["metadata"]["step"])
            for each in server.get(f"/threads/{t}/history")
        ]
        for t in threads
    ]
    assert histories[0] == histories[1] == histories[2]
    assert [step for _, _, step in histories[0]] == [3, 2, 1, 0, -1]
    assert [server.get(f"/threads/{t}")["status"] for t in threads] == ["idle"] * 3


def test_wait_says_where_the_run_is_before_it_ends_and_stays_alive(server: Server) -> None:
    thread = server.thread()
    body = {"assistant_id": "slow", "input": {"sleep": 5.5}}
    with server.client.stream("POST", f"/threads/{thread}/runs/wait", json=body) as answer:
        path = answer.headers["content-location"]
        assert server.get(path)["status"] == "running"
        assert answer.headers["location"] == f"{path}/join"
        assert answer.headers["content-type"] == "application/json"
        chunks = list(answer.iter_bytes())
    assert chunks[0] == b"\n"
    assert json.loads(b"".join(chunks))["log"] == ["a", "b", "c"]
    assert server.get(path)["status"] == "success"


def test_stream_modes_have_their_own_events(server: Server) -> None:
    modes = [
        "values",
        "updates",
        "custom",
        "messages-tuple",
        "messages",
        "tasks",
        "debug",
        "checkpoints",
        "events",
    ]
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    body = {"assistant_id": "tokens", "input": asked, "stream_mode": modes}
    thread = server.thread()
    seen = events(server.client.post(f"/threads/{thread}/runs/stream", json=body).text)
    names = [name for name, _ in seen]
    assert names[0] == "metadata"
    assert {"values", "updates", "messages", "tasks", "debug", "checkpoints", "events"} <= set(names)
    tuples = [data for name, data in seen if name == "messages"]
    assert "".join(chunk["content"] for chunk, _ in tuples) == "alpha beta gamma"
    assert {metadata["langgraph_node"] for _, metadata in tuples} == {"speak"}
    assert [data[0]["content"] for name, data in seen if name == "messages/partial"][-1] == "alpha beta gamma"
    assert names.count("messages/metadata") == names.count("messages/complete") == 1
    checkpoints = [data["checkpoint"] for name, data in seen if name == "checkpoints"]
    history = server.get(f"/threads/{thread}/history")
    assert checkpoints == [each["checkpoint"] for each in reversed(history)]


def test_subgraph_events_carry_their_namespace_only_when_asked_for(server: Server) -> None:
    body = {"assistant_id": "subgraph", "input": {}, "stream_mode": ["values", "updates"]}
    plain = events(server.client.post("/runs/stream", json=body).text)
    assert not [name for name, _ in plain if "|" in name]
    nested = events(server.client.post("/runs/stream", json=body | {"stream_subgraphs": True}).text)
    assert [data for name, data in nested if name.startswith("updates|child:")] == [
        {"c1": {"log": ["c1"]}},
        {"c2": {"log": ["c2"]}},
    ]


def test_a_delayed_run_waits_and_then_runs(server: Server) -> None:
    thread = server.thread()
    sent = time.monotonic()
    run = server.post(f"/threads/{thread}/runs", STEPS | {"after_seconds": 0.4})["run_id"]
    assert server.get(f"/threads/{thread}/runs/{run}")["status"] == "pending"
    assert server.get(f"/threads/{thread}/runs/{run}/join") == DONE
    assert time.monotonic() - sent >= 0.4


def test_resumable_events_are_replayed_exactly(server: Server) -> None:
    thread = server.thread()
    body = {"assistant_id": "slow", "input": {"sleep": 0.6, "ticks": 6}, "stream_mode": ["custom", "values"]}
    run = server.post(f"/threads/{thread}/runs", body | {"stream_resumable": True})["run_id"]
    path = f"{server.url}/threads/{thread}/runs/{run}/stream"
    with (
        httpx.Client() as client,
        connect_sse(client, "GET", path, headers={"Last-Event-ID": "-1"}) as source,
    ):
        live = [(each.id, each.event, each.data) for each in source.iter_sse()]
    assert [int(number) for number, _, _ in live] == list(range(len(live)))
    assert [data for _, name, data in live if name == "custom"] == [f'{{"tick":{n}}}' for n in range(1, 7)]
    for after in ("-1", "0", "4", str(len(live) - 1)):
        with (
            httpx.Client() as client,
            connect_sse(client, "GET", path, headers={"Last-Event-ID": after}) as source,
        ):
            replayed = [(each.id, each.event, each.data) for each in source.iter_sse()]
        assert replayed == live[int(after) + 1 :]
    filtered = server.client.get(path, params={"stream_mode": "custom"}, headers={"Last-Event-ID": "-1"})
    assert {name for name, _ in events(filtered.text)} == {"metadata", "custom"}
    assert server.client.get(path).text == ""
    assert server.client.get(path, headers={"Last-Event-ID": "x"}).status_code == 422


def test_all_subscribers_get_all_events(server: Server) -> None:
    thread, blocking = running_slow(server)
    body = {"assistant_id": "slow", "input": {"sleep": 0.2, "ticks": 5}, "stream_mode": ["custom", "values"]}
    run = server.post(f"/threads/{thread}/runs", body)["run_id"]
    attached = threading.Semaphore(0)

    def subscribe(_: int) -> str:
        path = f"{server.url}/threads/{thread}/runs/{run}/stream"
        with httpx.stream("GET", path, timeout=30) as answer:
            attached.release()
            return answer.read().decode()

    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(subscribe, range(8))
        for _ in range(8):
            assert attached.acquire(timeout=30)
        server.client.post(f"/threads/{thread}/runs/{blocking}/cancel")
        distinct = set(texts)
    assert len(distinct) == 1
    names = [name for name, _ in events(distinct.pop())]
    assert names == ["metadata", "values", "values", *["custom"] * 5, "values", "values"]


@pytest.mark.parametrize("entry", ["wait", "stream"])
@pytest.mark.parametrize("stateless", [False, True])
def test_disconnecting_cancels_only_when_asked_for(server: Server, entry: str, stateless: bool) -> None:
    ends = {}
    for on_disconnect, sleep in (("cancel", 30), ("continue", 0.5)):
        thread = server.thread()
        path = f"/runs/{entry}" if stateless else f"/threads/{thread}/runs/{entry}"
        body = {"assistant_id": "slow", "input": {"sleep": sleep}, "on_completion": "keep"}
        with server.client.stream("POST", path, json=body | {"on_disconnect": on_disconnect}) as answer:
            location = answer.headers["content-location"]
            server.until(location.split("/")[2], {"log": ["a"]})
        ends[on_disconnect] = server.settled(location.split("/")[2], location.rpartition("/")[2])
    assert ends == {"cancel": "interrupted", "continue": "success"}


def test_join_cancels_on_disconnect_only_when_asked_for(server: Server) -> None:
    thread, run = running_slow(server)
    path = f"/threads/{thread}/runs/{run}"
    for entry in ("join", "stream"):
        with server.client.stream("GET", f"{path}/{entry}"):
            pass
    assert server.get(path)["status"] == "running"
    with server.client.stream("GET", f"{path}/stream", params={"cancel_on_disconnect": "true"}):
        pass
    assert server.settled(thread, run) == "interrupted"


def test_a_wait_with_a_timeout_answers_408_and_the_run_goes_on(server: Server) -> None:
    thread = server.thread()
    body = {"assistant_id": "slow", "input": {"sleep": 0.5}, "timeout": 0.1}
    answer = server.client.post(f"/threads/{thread}/runs/wait", json=body)
    assert answer.status_code == 408
    assert "did not end within 0.1 s" in answer.json()["detail"]
    run = answer.headers["content-location"].rpartition("/")[2]
    assert server.settled(thread, run) == "success"
    assert server.post(f"/threads/{thread}/runs/wait", body | {"timeout": 20})["log"] == ["a", "b", "c"] * 2


def test_joining_an_older_run_answers_its_own_output(server: Server) -> None:
    thread = server.thread()
    path = f"/threads/{thread}/runs"
    failing = server.post(path, {"assistant_id": "fail", "input": {"error": "CustomError"}})["run_id"]
    assert server.settled(thread, failing) == "error"
    assert server.get(f"/threads/{thread}")["status"] == "error"
    first = server.post(path, STEPS)["run_id"]
    server.settled(thread, first)
    output = server.get(f"{path}/{first}/join")
    server.post(f"{path}/wait", STEPS)
    assert server.get(f"{path}/{first}/join") == output
    assert server.get(f"{path}/{failing}/join") == {"__error__": {"error": "CustomError", "message": "boom"}}
    assert server.client.delete(f"{path}/{first}").status_code == 204
    assert server.client.get(f"{path}/{first}").status_code == 404


@pytest.mark.parametrize("kind", ["str", "list", "int", "future", "unserialisable"])
def test_a_bad_update_fails_its_run_and_nothing_else(server: Server, kind: str) -> None:
    thread = server.thread()
    body = {"assistant_id": "bad_update", "input": {"kind": kind}}
    error = server.post(f"/threads/{thread}/runs/wait", body)["__error__"]
    assert error["error"] == ("TypeError" if kind == "unserialisable" else "InvalidUpdateError")
    stream = events(server.client.post("/runs/stream", json=body).text)
    assert stream[-1] == ("error", error)
    for path in ("", "/state", "/history", "/runs"):
        server.get(f"/threads/{thread}{path}")
    assert server.post("/threads/search", {"ids": [thread]})[0]["status"] == "error"
    assert server.post(f"/threads/{thread}/runs/wait", body | {"input": {"kind": "ok"}})["value"] == "fine"


def test_stateless_threads_go_unless_they_are_kept(server: Server) -> None:
    for keep in (False, True):
        answer = server.client.post("/runs/wait", json=STEPS | ({"on_completion": "keep"} if keep else {}))
        assert answer.json() == DONE
        thread = answer.headers["content-location"].split("/")[2]
        assert server.client.get(f"/threads/{thread}").status_code == (200 if keep else 404)
    batch = server.post("/runs/batch", [STEPS | {"on_completion": "keep"}] * 2)
    assert [server.get(f"/runs/{run['run_id']}/wait") for run in batch] == [DONE, DONE]
    resume = {"assistant_id": "interrupt", "command": {"resume": 1}}
    assert server.client.post("/runs/wait", json=resume).status_code == 400


def test_a_webhook_is_told_once_how_the_run_ended(server: Server) -> None:
    received: list[dict[str, Any]] = []
    told = threading.Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(500)
            self.end_headers()
            told.set()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.handle_request).start()
        thread = server.thread()
        body = STEPS | {"webhook": f"http://127.0.0.1:{hook.server_port}/"}
        assert server.post(f"/threads/{thread}/runs/wait", body) == DONE
        assert told.wait(10)
    run = server.get(f"/threads/{thread}/runs")[0]
    assert [(each["run_id"], each["status"], each["values"]) for each in received] == [
        (run["run_id"], "success", DONE)
    ]
