"""Runs of the reference runtime that stop: at an interrupt, by a cancel, for another run of their thread."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.reference.server import DONE, SLOW, STEPS, Server, running_slow


@pytest.mark.parametrize("answer", [None, False, 0, "", [], {}, {"nested": [1]}])
def test_any_answer_to_an_interrupt_is_delivered(server: Server, answer: Any) -> None:
    thread = server.thread()
    paused = server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "interrupt", "input": {}})
    assert [each["value"] for each in paused["__interrupt__"]] == [{"question": "proceed?"}]
    assert server.get(f"/threads/{thread}")["status"] == "interrupted"
    resumed = server.post(
        f"/threads/{thread}/runs/wait", {"assistant_id": "interrupt", "command": {"resume": answer}}
    )
    assert resumed["answer"] == answer
    assert resumed["log"] == ["before", "ask", "after"]
    row = server.get(f"/threads/{thread}")
    assert (row["status"], row["interrupts"]) == ("idle", {})
    again = server.client.post(
        f"/threads/{thread}/runs", json={"assistant_id": "interrupt", "command": {"resume": 1}}
    )
    assert again.status_code == 400


def test_parallel_interrupts_are_answered_one_by_one(server: Server) -> None:
    thread = server.thread()
    body = {"assistant_id": "interrupt", "input": {"variant": "parallel"}}
    paused = server.post(f"/threads/{thread}/runs/wait", body)["__interrupt__"]
    left, right = sorted(paused, key=lambda each: str(each["value"]["side"]))
    path = f"/threads/{thread}/runs/wait"
    first = server.post(path, {"assistant_id": "interrupt", "command": {"resume": {left["id"]: "l"}}})
    assert [each["id"] for each in first["__interrupt__"]] == [right["id"]]
    last = server.post(path, {"assistant_id": "interrupt", "command": {"resume": {right["id"]: "r"}}})
    assert last["answers"] == {"left": "l", "right": "r"}


def test_goto_leaves_the_node_that_asks(server: Server) -> None:
    thread = server.thread()
    server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "interrupt", "input": {}})
    command = {"goto": "after", "update": [["answer", "mine"]]}
    gone = server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "interrupt", "command": command})
    assert gone["log"] == ["before", "after"]
    assert gone["answer"] == "mine"
    unknown = {"assistant_id": "interrupt", "command": {"goto": "nowhere"}}
    assert server.client.post(f"/threads/{thread}/runs", json=unknown).status_code == 422


def test_static_interrupts_stop_and_go_on(server: Server) -> None:
    thread = server.thread()
    path = f"/threads/{thread}/runs/wait"
    assert server.post(path, STEPS | {"interrupt_before": ["s2"]})["log"] == ["s1"]
    assert server.get(f"/threads/{thread}/state")["next"] == ["s2"]
    assert server.get(f"/threads/{thread}")["status"] == "interrupted"
    assert server.post(path, {"assistant_id": "steps", "input": None, "interrupt_after": "*"})["log"] == [
        "s1",
        "s2",
    ]
    assert server.post(path, {"assistant_id": "steps"}) == DONE
    assert server.get(f"/threads/{thread}")["status"] == "idle"


def test_cancel_keeps_the_progress_and_rollback_takes_it_back(server: Server) -> None:
    thread = server.thread()
    before = server.post(f"/threads/{thread}/runs/wait", STEPS)
    for action, gone in (("interrupt", False), ("rollback", True)):
        run = server.post(f"/threads/{thread}/runs", SLOW)["run_id"]
        wanted = [*server.get(f"/threads/{thread}/state")["values"]["log"], "a"]
        server.until(thread, {"log": wanted})
        path = f"/threads/{thread}/runs/{run}"
        answer = server.client.post(f"{path}/cancel", params={"wait": "1", "action": action})
        assert answer.status_code == 200
        assert server.client.get(path).status_code == (404 if gone else 200)
        values = server.get(f"/threads/{thread}/state")["values"]
        assert values == server.get(f"/threads/{thread}")["values"]
        if gone:
            assert values["log"] == [*before["log"], "a"]
        else:
            assert server.get(path)["status"] == "interrupted"
            assert server.get(f"{path}/join")["__error__"]["error"] == "UserInterrupt"
            assert server.client.post(f"{path}/cancel").status_code == 409
    assert server.client.post(f"/threads/{thread}/runs/{uuid4()}/cancel").status_code == 404


def test_rollback_of_a_run_that_went_on_restores_the_pause(server: Server) -> None:
    thread = server.thread()
    server.post(f"/threads/{thread}/runs/wait", SLOW | {"interrupt_before": ["b"]})
    before = server.get(f"/threads/{thread}/state")
    body = {"assistant_id": "slow", "input": None}
    with server.client.stream("POST", f"/threads/{thread}/runs/wait", json=body) as waiting:
        path = waiting.headers["content-location"]
        rolled_back = server.client.post(f"{path}/cancel", params={"wait": "true", "action": "rollback"})
        assert rolled_back.status_code == 200
        assert json.loads(waiting.read())["__error__"]["error"] == "UserRollback"
    assert server.get(f"/threads/{thread}/state") == before
    assert server.get(f"/threads/{thread}")["status"] == "interrupted"


def test_a_cancelled_run_that_was_pending_never_executes(server: Server) -> None:
    thread, first = running_slow(server)
    second = server.post(f"/threads/{thread}/runs", STEPS)
    assert second["status"] == "pending"
    assert server.client.post(f"/threads/{thread}/runs/{second['run_id']}/cancel").status_code == 202
    assert server.settled(thread, second["run_id"]) == "interrupted"
    assert server.get(f"/threads/{thread}/runs/{first}")["status"] == "running"
    body = {"thread_id": thread, "run_ids": [first]}
    assert server.client.post("/runs/cancel", json=body).status_code == 204
    assert server.settled(thread, first) == "interrupted"
    assert server.client.post("/runs/cancel", json=body).status_code == 404
    assert server.client.post("/runs/cancel", json=body | {"status": "all"}).status_code == 422
    assert server.get(f"/threads/{thread}/state")["values"]["log"] == ["a"]


def test_multitask_strategies(server: Server) -> None:
    thread, first = running_slow(server)
    path = f"/threads/{thread}/runs"
    rejected = server.client.post(path, json=STEPS | {"multitask_strategy": "reject"})
    assert rejected.status_code == 409
    assert len(server.get(path)) == 1
    interrupting = server.post(path, STEPS | {"multitask_strategy": "interrupt"})["run_id"]
    assert server.settled(thread, interrupting) == "success"
    assert server.get(f"{path}/{first}")["status"] == "interrupted"
    assert server.get(f"/threads/{thread}/state")["values"]["log"] == ["a", "s1", "s2", "s3"]

    thread, first = running_slow(server)
    path = f"/threads/{thread}/runs"
    rolling_back = server.post(path, STEPS | {"multitask_strategy": "rollback"})["run_id"]
    assert server.settled(thread, rolling_back) == "success"
    assert server.client.get(f"{path}/{first}").status_code == 404
    assert server.get(f"/threads/{thread}/state")["values"] == DONE


def test_enqueued_runs_execute_in_order_each_once(server: Server) -> None:
    thread = server.thread()
    runs = [server.post(f"/threads/{thread}/runs", STEPS)["run_id"] for _ in range(8)]
    assert server.get(f"/threads/{thread}")["status"] == "busy"
    logs = [server.get(f"/threads/{thread}/runs/{run}/join")["log"] for run in runs]
    assert [len(log) for log in logs] == list(range(3, 27, 3))
    assert [run["run_id"] for run in server.get(f"/threads/{thread}/runs")] == runs[::-1]
    assert len(server.get(f"/threads/{thread}/runs?limit=3&offset=7")) == 1
