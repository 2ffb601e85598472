"""The reference runtime as a process: it starts, stops, is killed, and loses nothing."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from tests.command_line import runstone
from tests.reference.server import GRAPHS, SECRET, arguments, bearer, launched


def said_by(*options: str, graphs: Path = GRAPHS) -> tuple[int, str]:
    """Exit code and error output of a server that cannot start."""
    ended = runstone(*arguments(*options, graphs=graphs), timeout=60)
    return ended.returncode, ended.stderr


def test_kill_in_mid_run_and_restart_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    slow = {"assistant_id": "slow", "input": {"sleep": 3}, "stream_resumable": True}
    with launched("--db", str(tmp_path)) as server:
        thread, done = server.thread(), server.thread(metadata={"kept": True})
        finished = server.post(f"/threads/{done}/runs/wait", {"assistant_id": "steps", "input": {}})
        halfway = server.post(f"/threads/{thread}/runs", slow)["run_id"]
        queued = server.post(f"/threads/{thread}/runs", {"assistant_id": "steps", "input": {"note": 7}})[
            "run_id"
        ]
        server.until(thread, {"log": ["a"]})
        server.process.kill()
    with launched("--db", str(tmp_path)) as server:
        assert server.get(f"/threads/{thread}")["status"] == "busy"
        assert server.settled(thread, halfway) == "success"
        assert server.settled(thread, queued) == "success"
        assert server.get(f"/threads/{thread}/runs/{halfway}/join")["log"] == ["a", "b", "c"]
        assert server.get(f"/threads/{thread}/state")["values"]["log"] == ["a", "b", "c", "s1", "s2", "s3"]
        assert server.get(f"/threads/{thread}")["status"] == "idle"
        assert server.get(f"/threads/{done}")["metadata"]["kept"] is True
        assert server.get(f"/threads/{done}/state")["values"] == finished
        assert len(server.get(f"/threads/{done}/history")) == 5
        replay = server.client.get(
            f"/threads/{thread}/runs/{halfway}/stream", headers={"Last-Event-ID": "-1"}
        )
        numbers = [int(number) for number in re.findall(r"^id: (\d+)$", replay.text, re.MULTILINE)]
        assert numbers == list(range(len(numbers)))
        assert '"attempt":2' in replay.text


def test_a_run_that_had_no_checkpoint_yet_starts_over_from_its_input(tmp_path: Path) -> None:
    body = {"assistant_id": "slow", "input": {"sleep": 2, "note": "n"}, "durability": "exit"}
    with launched("--db", str(tmp_path)) as server:
        thread = server.thread()
        run = server.post(f"/threads/{thread}/runs", body)["run_id"]
        stream = f"{server.url}/threads/{thread}/runs/{run}"
        assert httpx.get(stream).json()["status"] == "running"
        server.process.kill()
    with launched("--db", str(tmp_path)) as server:
        assert server.settled(thread, run) == "success"
        assert server.get(f"/threads/{thread}/runs/{run}/join") == {
            "log": ["a", "b", "c"],
            "note": "n",
            "sleep": 2,
        }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_open_streams_and_leaves_the_run_for_the_next_start(tmp_path: Path, number: int) -> None:
    with launched("--db", str(tmp_path)) as server:
        thread = server.thread()
        body = {"assistant_id": "slow", "input": {"sleep": 2}}
        with server.client.stream("POST", f"/threads/{thread}/runs/stream", json=body) as stream:
            run = stream.headers["content-location"].rpartition("/")[2]
            lines = stream.iter_lines()
            assert next(lines) == "event: metadata"
            server.process.send_signal(number)
            assert not [line for line in lines if line.startswith(("event: error", "event: end"))]
        assert server.process.wait(timeout=10) == 0
    with launched("--db", str(tmp_path)) as server:
        assert server.settled(thread, run) == "success"
        assert server.get(f"/threads/{thread}/state")["values"]["log"] == ["a", "b", "c"]


def test_what_keeps_a_server_from_starting_is_said_in_one_line(tmp_path: Path) -> None:
    with launched("--db", str(tmp_path / "db")) as server:
        port = server.url.rpartition(":")[2]
        code, taken = said_by("--port", port)
        assert (code, taken) == (
            3,
            f"runstone: port {port} on 127.0.0.1 is taken; name another with --port\n",
        )
        code, in_use = said_by("--db", str(tmp_path / "db"))
        assert code == 3
        assert in_use.count("\n") == 1
        assert "another server keeps its data in" in in_use
    broken = tmp_path / "langgraph.json"
    broken.write_text('{"graphs": {"x": "./nowhere.py:graph"}}')
    code, missing = said_by(graphs=broken)
    assert code == 3
    assert missing == f"runstone: {tmp_path / 'nowhere.py'} is not a Python file\n"
    code, twice = said_by("--graphs", str(GRAPHS))
    assert code == 3
    assert (
        twice
        == f"runstone: {GRAPHS} names the graph 'bad_update', as another file does; rename one of them\n"
    )


def test_a_temporary_folder_goes_with_the_server() -> None:
    with launched() as server:
        opened = Path(f"/proc/{server.process.pid}/fd")
        if not opened.is_dir():
            pytest.skip("needs /proc")
        files = {each.readlink() for each in opened.iterdir()}
        folder = next(each.parent for each in files if each.name == "runstone.sqlite")
        server.process.terminate()
        assert server.process.wait(timeout=10) == 0
    assert not folder.exists()


def test_credentials_decide_what_is_seen() -> None:
    with launched("--auth-secret", SECRET) as server:
        client, ann, bob = server.client, bearer("ann"), bearer("bob")
        assert client.get("/ok").json() == {"ok": True}
        nameless = jwt.encode({}, SECRET, "HS256")
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {nameless}"}):
            refused = client.post("/threads", json={}, headers=headers)
            assert refused.status_code == 401
            assert isinstance(refused.json()["detail"], str)
        thread = client.post("/threads", json={"metadata": {"of": "ann"}}, headers=ann).json()["thread_id"]
        spoof = {
            "assistant_id": "config",
            "input": {},
            "config": {"configurable": {"langgraph_auth_user_id": "bob"}},
        }
        path = f"/threads/{thread}/runs"
        seen = client.post(f"{path}/wait", json=spoof, headers=ann).json()["seen"]["configurable"]
        assert seen["langgraph_auth_user_id"] == "ann"
        run = client.get(path, headers=ann).json()[0]["run_id"]
        foreign: list[tuple[str, str, Any]] = [
            ("GET", f"/threads/{thread}", None),
            ("PATCH", f"/threads/{thread}", {"metadata": {}}),
            ("DELETE", f"/threads/{thread}", None),
            ("GET", f"/threads/{thread}/state", None),
            ("POST", f"/threads/{thread}/history", {}),
            ("POST", f"/threads/{thread}/copy", None),
            ("POST", f"{path}/wait", spoof),
            ("GET", f"{path}/{run}/join", None),
            ("GET", f"{path}/{run}/stream", None),
            ("GET", f"/runs/{run}/wait", None),
            ("POST", f"{path}/{run}/cancel", None),
        ]
        for method, where, body in foreign:
            assert client.request(method, where, json=body, headers=bob).status_code == 404, where
        assert client.post("/threads/search", json={}, headers=bob).json() == []
        assert client.post("/threads/count", json={}, headers=bob).json() == 0
        again = {"thread_id": thread, "if_exists": "do_nothing"}
        assert client.post("/threads", json=again, headers=bob).status_code == 409
        assert client.get(f"/threads/{thread}", headers=ann).json()["metadata"]["of"] == "ann"


def test_each_user_has_a_store_of_his_own_and_so_have_his_graphs() -> None:
    with launched("--auth-secret", SECRET) as server:
        client, ann, bob = server.client, bearer("ann@here.example"), bearer("bob")
        item: dict[str, Any] = {"namespace": ["people", "tea"], "key": "k"}
        for headers, value in ((ann, {"of": "ann"}), (bob, {"of": "bob"})):
            assert client.put("/store/items", json=item | {"value": value}, headers=headers).is_success
        client.put("/store/items", json=item | {"namespace": ["ann's"], "value": {}}, headers=ann)
        gone = client.request("DELETE", "/store/items", json=item, headers=bob)
        assert gone.status_code == 204
        query = {"namespace": "people.tea", "key": "k"}
        assert client.get("/store/items", params=query, headers=bob).status_code == 404
        kept = client.get("/store/items", params=query, headers=ann).json()
        assert (kept["namespace"], kept["value"]) == (["people", "tea"], {"of": "ann"})
        found = client.post("/store/items/search", json={"namespace_prefix": ["people"]}, headers=ann)
        assert found.json()["items"] == [kept]

        def listed(headers: dict[str, str], **asked: Any) -> Any:
            return client.post("/store/namespaces", json=asked, headers=headers).json()["namespaces"]

        assert listed(bob) == []
        assert sorted(listed(ann)) == [["ann's"], ["people", "tea"]]
        assert listed(ann, prefix=["people"]) == [["people", "tea"]]
        assert listed(ann, suffix=["tea"]) == [["people", "tea"]]
        assert sorted(listed(ann, max_depth=1)) == [["ann's"], ["people"]]
        read = {"assistant_id": "memory", "input": {"op": "get", "namespace": ["people", "tea"], "key": "k"}}
        seen = [client.post("/runs/wait", json=read, headers=who).json()["found"] for who in (ann, bob)]
        assert seen == [{"of": "ann"}, None]


def test_a_token_whose_scope_is_read_changes_nothing() -> None:
    with launched("--auth-secret", SECRET) as server:
        client, ann = server.client, bearer("ann")
        reader = {"Authorization": "Bearer " + jwt.encode({"sub": "ann", "scope": "read"}, SECRET, "HS256")}
        thread = client.post("/threads", json={}, headers=ann).json()["thread_id"]
        run = {"assistant_id": "steps", "input": {}}
        changes: list[tuple[str, str, Any]] = [
            ("POST", "/threads", {}),
            ("PATCH", f"/threads/{thread}", {"metadata": {}}),
            ("POST", f"/threads/{thread}/state", {"values": {}}),
            ("POST", f"/threads/{thread}/runs", run),
            ("POST", "/runs/wait", run),
            ("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": {}}),
            ("DELETE", f"/threads/{thread}", None),
        ]
        for method, where, body in changes:
            assert client.request(method, where, json=body, headers=reader).status_code == 403, where
        questions: list[tuple[str, str, Any]] = [
            ("GET", f"/threads/{thread}", None),
            ("POST", f"/threads/{thread}/history", {}),
            ("POST", "/threads/search", {}),
            ("POST", "/assistants/count", {}),
            ("POST", "/store/items/search", {"namespace_prefix": []}),
        ]
        for method, where, body in questions:
            assert client.request(method, where, json=body, headers=reader).status_code == 200, where


def test_wait_state_profile_answers_thread_states() -> None:
    with launched("--profile", "wait-state") as server:
        thread = server.thread()
        first = server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "input": {}})
        assert first == server.get(f"/threads/{thread}/state")
        run = server.get(f"/threads/{thread}/runs")[0]["run_id"]
        paused = server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "interrupt", "input": {}})
        assert paused["next"] == ["ask"]
        assert [each["value"] for each in paused["interrupts"]] == [{"question": "proceed?"}]
        assert server.get(f"/threads/{thread}/runs/{run}/join") == first
        failing = server.post("/runs/wait", {"assistant_id": "fail", "input": {}})
        assert failing["__error__"] == {"error": "ValueError", "message": "boom"}
        assert failing["values"]["log"] == ["ok"]


def test_a_run_over_its_time_limit_ends_as_timeout() -> None:
    with launched("--run-time-limit", "limited=0.2") as server:
        body = {"assistant_id": "limited", "input": {"sleep": 30}}
        thread = server.thread()
        waited = server.post(f"/threads/{thread}/runs/wait", body)
        assert waited["__error__"]["error"] == "TimeoutError"
        run = server.get(f"/threads/{thread}/runs")[0]
        assert run["status"] == "timeout"
        assert server.get(f"/threads/{thread}")["status"] == "error"
        stream = server.client.post("/runs/stream", json=body).text
        assert stream.rstrip().splitlines()[-2] == "event: error"
        assert server.post("/runs/wait", body | {"assistant_id": "slow", "input": {"sleep": 0.3}})["log"] == [
            "a",
            "b",
            "c",
        ]


def test_the_terminal_status_of_a_run_and_its_thread_are_one_commit(tmp_path: Path) -> None:
    """Another reader of the file never sees a run that is over on a thread that has not settled."""
    sql = "SELECT runs.status, resting FROM runs JOIN threads USING (thread_id) WHERE thread_id = ?"
    with (
        launched("--db", str(tmp_path)) as server,
        closing(sqlite3.connect(tmp_path / "runstone.sqlite")) as rows,
    ):
        thread = server.thread(thread_id=str(uuid4()))
        server.post(f"/threads/{thread}/runs", {"assistant_id": "fail", "input": {}})
        pairs = [rows.execute(sql, (thread,)).fetchone()]
        while pairs[-1][0] in ("pending", "running"):
            pairs.append(rows.execute(sql, (thread,)).fetchone())
        assert pairs[-1] == ("error", "error")
        assert set(pairs[:-1]) <= {("pending", "idle"), ("running", "idle")}
