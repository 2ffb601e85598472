"""The reference runtime over HTTP: its resources, and how requests are refused."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client

from tests.reference.server import STEPS, Server


def ran(server: Server, **body: Any) -> str:
    """A thread on which `steps` ran."""
    thread = server.thread()
    server.post(f"/threads/{thread}/runs/wait", STEPS | body)
    return thread


def test_every_path_and_method_of_the_document_is_routed(server: Server) -> None:
    document = server.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    json.dumps(document)
    for path, operations in document["paths"].items():
        where = re.sub(r"{\w+_id}", str(uuid4()), path).replace("{namespace}", "x")
        for method in operations:
            answer = server.client.request(method.upper(), where, content=b"no json")
            assert answer.status_code not in (405, 500, 501), (method, path)
            assert "there is no /" not in answer.text
        wrong = server.client.request("TRACE", where)
        assert wrong.status_code == 405
        assert "is not allowed here" in wrong.json()["detail"]
    assert server.client.get("/nowhere").status_code == 404


def test_threads_are_made_once_found_by_what_they_hold_and_deleted_with_all_they_have(server: Server) -> None:
    label = str(uuid4())
    ids = [server.thread(metadata={"label": label, "deep": {"n": n, "of": {"x": [n]}}}) for n in range(5)]
    server.post(f"/threads/{ids[2]}/runs/wait", STEPS)
    server.post(f"/threads/{ids[3]}/runs/wait", {"assistant_id": "fail", "input": {}})
    taken = server.client.post("/threads", json={"thread_id": ids[0]})
    assert taken.status_code == 409
    kept = server.post("/threads", {"thread_id": ids[0], "if_exists": "do_nothing", "metadata": {"new": 1}})
    assert kept == server.get(f"/threads/{ids[0]}")

    def found(**query: Any) -> list[str]:
        return [
            each["thread_id"]
            for each in server.post("/threads/search", {"metadata": {"label": label}} | query)
        ]

    assert found() == ids[::-1]
    assert found(metadata={"label": label, "deep": {"of": {"x": [1]}}}) == [ids[1]]
    assert found(values={"note": "n"}) == [ids[2]]
    assert found(status="error") == [ids[3]]
    assert found(ids=ids[:2], sort_by="created_at", sort_order="asc") == ids[:2]
    page = server.client.post(
        "/threads/search",
        json={"metadata": {"label": label}, "limit": 2, "offset": 2, "select": ["thread_id"]},
    )
    assert page.json() == [{"thread_id": ids[2]}, {"thread_id": ids[1]}]
    assert (page.headers["x-pagination-total"], page.headers["x-pagination-next"]) == ("5", "4")
    assert server.post("/threads/count", {"metadata": {"label": label}}) == 5

    before = server.get(f"/threads/{ids[2]}")
    patched = server.client.patch(f"/threads/{ids[2]}", json={"metadata": {"deep": 1}}).json()
    assert patched["metadata"] == before["metadata"] | {"deep": 1}
    assert patched["updated_at"] > before["updated_at"]
    assert server.client.delete(f"/threads/{ids[2]}").status_code == 204
    for path in ("", "/state", "/history", "/runs"):
        assert server.client.get(f"/threads/{ids[2]}{path}").status_code == 404
    server.thread(thread_id=ids[2])
    assert server.get(f"/threads/{ids[2]}/history") == []
    assert server.post("/threads/prune", {"thread_ids": ids}) == {"pruned_count": 5}
    assert found() == []


def test_deleting_a_thread_stops_its_run(server: Server) -> None:
    threads = [server.thread() for _ in range(12)]
    for thread in threads:
        server.post(f"/threads/{thread}/runs", {"assistant_id": "slow", "input": {"sleep": 60}})
    for thread in threads:
        server.until(thread, {"log": ["a"]})
        assert server.client.delete(f"/threads/{thread}").status_code == 204
        assert server.client.get(f"/threads/{thread}").status_code == 404
    assert server.post("/runs/wait", STEPS)["log"] == ["s1", "s2", "s3"]


def test_state_can_be_updated_read_back_and_forked(server: Server) -> None:
    fresh = server.thread()
    assert server.client.post(f"/threads/{fresh}/state", json={"values": {}}).status_code == 400
    thread = ran(server, interrupt_before=["s2"])
    checkpoint = server.post(f"/threads/{thread}/state", {"values": {"log": ["u"]}, "as_node": "s2"})[
        "checkpoint"
    ]
    state = server.get(f"/threads/{thread}/state")
    assert state["checkpoint"] == checkpoint
    assert state["values"]["log"] == ["s1", "u"]
    assert state["next"] == ["s3"]
    assert state["metadata"]["source"] == "update"
    row = server.get(f"/threads/{thread}")
    assert (row["status"], row["values"]) == ("interrupted", state["values"])
    history = server.get(f"/threads/{thread}/history")
    assert [each["parent_checkpoint"] for each in history] == [
        *(each["checkpoint"] for each in history[1:]),
        None,
    ]
    older = server.post(f"/threads/{thread}/history", {"limit": 1, "before": checkpoint["checkpoint_id"]})
    assert older == history[1:2]
    at = server.post(f"/threads/{thread}/state/checkpoint", {"checkpoint": history[1]["checkpoint"]})
    assert at == server.get(f"/threads/{thread}/state/{history[1]['checkpoint']['checkpoint_id']}")
    fork = {"assistant_id": "steps", "input": None, "checkpoint": history[1]["checkpoint"]}
    assert server.post(f"/threads/{thread}/runs/wait", fork)["log"] == ["s1", "s2", "s3"]
    assert [each["checkpoint"] for each in server.get(f"/threads/{thread}/history")][-4:] == [
        each["checkpoint"] for each in history
    ]
    unknown = {"checkpoint_id": str(uuid4())}
    assert server.client.post(f"/threads/{thread}/runs", json=STEPS | unknown).status_code == 404
    wrong = server.client.post(f"/threads/{thread}/state", json={"values": {}, "as_node": "nobody"})
    assert wrong.status_code == 422


def test_state_of_a_busy_thread_is_not_updated(server: Server) -> None:
    thread = server.thread()
    server.post(f"/threads/{thread}/runs", {"assistant_id": "slow", "input": {"sleep": 60}})
    server.until(thread, {"log": ["a"]})
    assert server.client.post(f"/threads/{thread}/state", json={"values": {"log": ["u"]}}).status_code == 409
    assert server.get(f"/threads/{thread}/state")["values"]["log"] == ["a"]
    assert server.client.delete(f"/threads/{thread}").status_code == 204


def test_a_copy_has_the_state_and_goes_its_own_way(server: Server) -> None:
    thread = server.thread()
    server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "interrupt", "input": {}})
    twin = server.post(f"/threads/{thread}/copy")
    assert twin["status"] == "idle"
    assert server.get(f"/threads/{twin['thread_id']}/runs") == []
    resume = {"assistant_id": "interrupt", "command": {"resume": "yes"}}
    assert server.post(f"/threads/{twin['thread_id']}/runs/wait", resume)["answer"] == "yes"
    assert server.get(f"/threads/{thread}/state")["next"] == ["ask"]
    assert server.get(f"/threads/{thread}")["status"] == "interrupted"
    assert len(server.get(f"/threads/{twin['thread_id']}/history")) == 5


def test_supersteps_build_the_history_that_running_builds(server: Server) -> None:
    updates = [[{"as_node": "__start__", "values": {"log": []}}]]
    updates += [[{"as_node": name, "values": {"log": [name]}}] for name in ("s1", "s2", "s3")]
    body = {"metadata": {"graph_id": "steps"}, "supersteps": [{"updates": each} for each in updates]}
    replayed = server.post("/threads", body)["thread_id"]
    twin = server.thread()
    server.post(f"/threads/{twin}/runs/wait", {"assistant_id": "steps", "input": {"log": []}})
    shown = [
        [(each["values"], each["next"]) for each in server.get(f"/threads/{thread}/history")][:3]
        for thread in (replayed, twin)
    ]
    assert shown[0] == shown[1]


def test_assistants_have_versions_defaults_and_a_graph(server: Server) -> None:
    default = server.post("/assistants/search", {"graph_id": "config"})[0]
    assert default["metadata"] == {"created_by": "system"}
    assert server.get("/assistants/config") == default
    body = {
        "graph_id": "config",
        "name": "Mine",
        "config": {"configurable": {"a": 1, "b": 1}},
        "metadata": {"m": 1},
    }
    made = server.post("/assistants", body | {"assistant_id": str(uuid5(NAMESPACE_OID, "mine"))})
    assert made["version"] == 1
    path = f"/assistants/{made['assistant_id']}"
    assert (
        server.client.post("/assistants", json=body | {"assistant_id": made["assistant_id"]}).status_code
        == 409
    )
    run = {"assistant_id": made["assistant_id"], "input": {}, "config": {"configurable": {"b": 2}}}
    seen = server.post("/runs/wait", run)["seen"]["configurable"]
    assert {key: seen[key] for key in ("a", "b")} == {"a": 1, "b": 2}
    patched = server.client.patch(path, json={"metadata": {"n": 2}, "name": "Other"}).json()
    assert (patched["version"], patched["metadata"], patched["config"]) == (
        2,
        {"m": 1, "n": 2},
        made["config"],
    )
    assert [each["version"] for each in server.post(f"{path}/versions", {})] == [2, 1]
    assert server.post(f"{path}/latest", {"version": 1})["name"] == "Mine"
    assert server.client.post(f"{path}/latest", json={"version": 9}).status_code == 404
    assert server.client.patch(path, json={}).json()["version"] == 3
    assert server.post("/assistants/search", {"name": "mIN", "metadata": {"m": 1}})[0] == server.get(path)
    assert server.client.patch(path, json={"name": "Wärme"}).json()["version"] == 4
    assert server.post("/assistants/search", {"name": "WÄR"})[0] == server.get(path)
    assert server.post("/assistants/count", {"metadata": {"m": 1}}) == 1
    nodes = {each["id"] for each in server.get("/assistants/subgraph/graph")["nodes"]}
    assert nodes == {"__start__", "child", "done", "__end__"}
    assert set(server.get("/assistants/subgraph/subgraphs?recurse=true")) == {"child"}
    schemas = server.get("/assistants/steps/schemas")
    assert schemas["graph_id"] == "steps"
    assert {"log", "note"} <= set(schemas["state_schema"]["properties"])
    assert server.client.delete(path).status_code == 204
    assert server.client.get(path).status_code == 404
    assert server.client.delete("/assistants/config").status_code == 409


def test_the_store_is_shared_with_the_graphs(server: Server) -> None:
    item = {"namespace": ["people", "ann"], "key": "likes", "value": {"tea": True}}
    assert server.client.put("/store/items", json=item).status_code == 204
    read = {"assistant_id": "memory", "input": {"op": "get", "namespace": item["namespace"], "key": "likes"}}
    assert server.post("/runs/wait", read)["found"] == {"tea": True}
    write = {"op": "put", "namespace": ["people", "bob"], "key": "k", "value": {"n": 1}}
    server.post("/runs/wait", {"assistant_id": "memory", "input": write})
    put = server.get("/store/items?namespace=people.bob&key=k")
    assert put["value"] == {"n": 1}
    write["value"] = {"n": 2}
    server.post("/runs/wait", {"assistant_id": "memory", "input": write})
    put_again = server.get("/store/items?namespace=people.bob&key=k")
    assert put_again["value"] == {"n": 2}
    assert put_again["created_at"] == put["created_at"] == put["updated_at"] < put_again["updated_at"]
    found = server.post("/store/items/search", {"namespace_prefix": ["people"], "filter": {"tea": True}})
    assert [each["key"] for each in found["items"]] == ["likes"]
    assert server.post("/store/namespaces", {"prefix": ["people"]})["namespaces"] == [
        ["people", "ann"],
        ["people", "bob"],
    ]
    gone = {"namespace": item["namespace"], "key": "likes"}
    assert server.client.request("DELETE", "/store/items", json=gone).status_code == 204
    assert server.client.get("/store/items?namespace=people.ann&key=likes").status_code == 404
    assert server.client.put("/store/items", json=item | {"namespace": ["a.b"]}).status_code == 422


@pytest.mark.parametrize(
    "status, method, path, body",
    [
        (422, "GET", "/threads/no-uuid", None),
        (404, "GET", "/threads/{none}", None),
        (422, "POST", "{runs}", b"{"),
        (422, "POST", "{runs}", b""),
        (422, "POST", "{runs}", b"[]"),
        (422, "POST", "{runs}", b'{"input": {}}'),
        (422, "POST", "{runs}/wait", b'{"assistant_id": "steps", "input": NaN}'),
        (422, "POST", "{runs}/wait", b'{"assistant_id": "steps", "input": 1e999}'),
        (422, "POST", "{runs}/wait", b'{"assistant_id": "steps", "input": "\\ud800"}'),
        (422, "POST", "{runs}/wait", b'{"assistant_id": "steps", "input": "\xff"}'),
        (422, "POST", "{runs}/wait", b'{"assistant_id": "steps", "input": 18446744073709551616}'),
        (422, "POST", "{runs}/stream", b'{"assistant_id": "steps", "stream_mode": ["tools"]}'),
        (422, "POST", "{runs}", b'{"assistant_id": "steps", "multitask_strategy": "x"}'),
        (422, "POST", "{runs}", b'{"assistant_id": "steps", "on_disconnect": "x"}'),
        (422, "POST", "{runs}", b'{"assistant_id": "steps", "durability": "x"}'),
        (422, "POST", "{runs}", b'{"assistant_id": "steps", "after_seconds": -1}'),
        (422, "POST", "{runs}/wait", b'{"assistant_id": "steps", "timeout": 0}'),
        (422, "POST", "{runs}", b'{"assistant_id": "steps", "config": {"recursion_limit": 0}}'),
        (404, "POST", "{runs}", b'{"assistant_id": "nobody"}'),
        (404, "POST", "{runs}", b'{"assistant_id": "00000000-0000-4000-8000-000000000000"}'),
        (404, "POST", "/threads/{none}/runs", b'{"assistant_id": "steps"}'),
        (422, "POST", "/threads/search", b'{"limit": 0}'),
        (422, "POST", "/threads/search", b'{"select": ["nothing"]}'),
        (422, "GET", "{runs}?limit=x", None),
        (422, "GET", "{runs}?status=x", None),
        (422, "POST", "{thread}/history", b'{"metadata": {"a b": 1}, "before": {"x": 1}}'),
        (404, "POST", "/assistants", b'{"graph_id": "nothing"}'),
        (422, "POST", "/assistants", b'{"graph_id": "steps", "config": {"tags": 1}}'),
    ],
)  # fmt: skip
def test_a_refusal_is_readable_and_leaves_nothing_behind(
    server: Server, status: int, method: str, path: str, body: bytes | None
) -> None:
    thread = server.thread()
    before = server.post("/threads/count", {})
    answer = server.client.request(
        method,
        path.format(thread=f"/threads/{thread}", runs=f"/threads/{thread}/runs", none=uuid4()),
        content=body,
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    assert detail
    assert "Traceback" not in detail
    assert server.get(f"/threads/{thread}/runs") == []
    assert server.get(f"/threads/{thread}")["status"] == "idle"
    assert server.post("/threads/count", {}) == before


@pytest.mark.parametrize("part", [{"input": {"log": 5}}, {"command": {"update": {"log": 5}}}])
def test_a_write_that_no_reducer_takes_fails_its_run_and_leaves_the_thread_readable(
    server: Server, part: dict[str, Any]
) -> None:
    thread = ran(server, interrupt_before=["s2"])
    failed = server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "steps"} | part)
    assert failed["__error__"]["error"] == "TypeError"
    assert server.get(f"/threads/{thread}")["status"] == "error"
    assert server.get(f"/threads/{thread}/state")["values"]["log"] == ["s1"]
    assert server.get(f"/threads/{thread}/history")
    assert server.post(f"/threads/{thread}/runs/wait", STEPS)["log"][-3:] == ["s1", "s2", "s3"]


def test_deep_nesting_is_refused_before_it_breaks_anything(server: Server) -> None:
    for depth, accepted in ((100, True), (3000, False), (200_000, False)):
        nested = b"[" * depth + b"]" * depth
        body = b'{"assistant_id": "functional", "input": ' + nested + b"}"
        answer = server.client.post("/runs/wait", content=body)
        assert (answer.status_code == 200) == accepted
        if accepted:
            assert answer.json()["note"] == json.loads(nested)
        else:
            assert answer.status_code == 422
    assert server.get("/ok") == {"ok": True}


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, -(2**63), 2**64 - 1, 0.1, "\0", "e\u0301\u202e😀\u2028\n\"'", [], "x", True, None, {"": 1}],
)
def test_values_are_carried_exactly(server: Server, value: Any) -> None:
    thread = server.thread()
    body = {"assistant_id": "steps", "input": {"note": value}}
    assert server.post(f"/threads/{thread}/runs/wait", body)["note"] == value
    stream = server.client.post("/runs/stream", json=body).text
    assert "\0" not in stream
    last = [line for line in stream.splitlines() if line.startswith("data: ")][-1]
    assert json.loads(last.removeprefix("data: "))["note"] == value
    assert server.get(f"/threads/{thread}/state")["values"]["note"] == value
    assert server.post("/threads/search", {"ids": [thread]})[0]["values"]["note"] == value


def test_twenty_megabytes_go_through(server: Server) -> None:
    thread = server.thread()
    text = "x" * 20_000_000
    answer = server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "input": {"note": text}})
    assert answer["note"] == text
    assert server.client.delete(f"/threads/{thread}").status_code == 204
    too_large = server.client.post("/threads", content=b" " * (64 * 2**20 + 1))
    assert too_large.status_code == 413
    assert server.get("/ok") == {"ok": True}


def test_the_official_clients_work_unmodified(server: Server) -> None:
    async def converse() -> None:
        async with get_client(url=server.url) as client:
            thread = (await client.threads.create())["thread_id"]
            values = await client.runs.wait(thread, "steps", input={"note": 1})
            assert values == {"log": ["s1", "s2", "s3"], "note": 1}
            parts = [
                part async for part in client.runs.stream(thread, "steps", input={}, stream_mode="updates")
            ]
            assert [part.event for part in parts] == ["metadata", "updates", "updates", "updates"]
            run = (await client.runs.create(thread, "slow", input={"sleep": 0.2}, stream_resumable=True))[
                "run_id"
            ]
            joined = [part.event async for part in client.runs.join_stream(thread, run, last_event_id="-1")]
            assert joined[0] == "metadata"
            state = await client.threads.get_state(thread)
            assert await client.runs.join(thread, run) == state["values"]
            with pytest.raises(Exception, match="boom"):
                await client.runs.wait(None, "fail", input={})
            remote = RemoteGraph("interrupt", client=client)
            config = RunnableConfig(configurable={"thread_id": (await client.threads.create())["thread_id"]})
            start: dict[str, Any] = {}
            paused = await remote.ainvoke(start, config)
            assert paused["__interrupt__"][0]["value"] == {"question": "proceed?"}
            assert (await remote.aget_state(config)).next == ("ask",)

    asyncio.run(converse())
