"""The table of the API's operations: read strictly, complete, and true of what is exchanged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from runstone.contracts import Kind, MalformedContract, operation_for, operation_table, schema_names
from runstone.contracts.operations import read_operations
from runstone.locations import locate
from runstone.reference.app import OPERATIONS as SERVED
from runstone.wire.exchange import Exchange

TABLE = locate("contracts") / "operations.yaml"
IF_MISSING = {"if_not_exists": "create"}
THREAD, RUN, ASSISTANT = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")


# which operation a request is


@pytest.mark.parametrize(
    "method, path, schema, many",
    [
        ("POST", "/threads", "thread", False),
        ("GET", "/threads/7e6f2a1c/history?limit=10", "thread-state", True),
        ("GET", "/threads/7e6f2a1c/runs/1f0a9c34", "run", False),
        ("GET", "/threads/7e6f2a1c/state/1f0a9c34", "thread-state", False),
        ("POST", "/threads/7e6f2a1c/state/checkpoint", "thread-state", False),
        ("POST", "/threads/7e6f2a1c/runs/crons", "cron", False),
        ("POST", "/threads/count", "count", False),
        ("POST", "/runs/batch", "run", True),
        ("POST", "/assistants/fe096781/versions", "assistant-version", True),
        ("GET", "/store/items?namespace=a.b&key=k", "store-found", False),
    ],
)
def test_operation_names_the_schema_of_its_answer(method: str, path: str, schema: str, *, many: bool) -> None:
    operation = operation_for(method, path)
    assert operation is not None
    assert (operation.schema, operation.many) == (schema, many)
    assert operation.schema in schema_names()


@pytest.mark.parametrize(
    "method, path, name, segments",
    [
        ("POST", "/threads/search", "POST /threads/search", {}),
        ("GET", "/threads/a?x=/b", "GET /threads/{thread}", {"thread": "a"}),
        (
            "GET",
            "/threads/a/runs/b/join",
            "GET /threads/{thread}/runs/{run}/join",
            {"thread": "a", "run": "b"},
        ),
        ("GET", "/runs/crons/c", "GET /runs/crons/{cron}", {"cron": "c"}),
    ],
)
def test_segments_of_a_path_are_what_they_stand_for(
    method: str, path: str, name: str, segments: dict[str, str]
) -> None:
    operation = operation_for(method, path)
    assert operation is not None
    assert operation.name == name
    assert operation.segments(path) == segments


@pytest.mark.parametrize(
    "method, path", [("PUT", "/threads"), ("GET", "/threads/a/b"), ("OPTIONS", "/threads")]
)
def test_what_is_no_operation_is_none(method: str, path: str) -> None:
    assert operation_for(method, path) is None


def test_every_route_of_the_reference_runtime_is_an_operation() -> None:
    """Their two tables are made apart: what one has and the other lacks was forgotten in one of them."""
    served = {(each.method, re.sub(r"\{\w+\}", "{}", each.path)) for each in SERVED}
    known = {(each.method, re.sub(r"\{\w+\}", "{}", each.path)) for each in operation_table().operations}
    elsewhere = {each.path for each in operation_table().operations if "event_streaming" in each.needs}
    assert served <= known
    assert {path for _, path in known - served} == {re.sub(r"\{\w+\}", "{}", path) for path in elsewhere}


# what the table says


def test_bodies_and_parameters_are_schemas() -> None:
    table = operation_table()
    assert {each.body for each in table.operations} - {""} <= table.bodies.keys()
    parameters = [schema for each in table.operations for schema in each.query.values()]
    for schema in (*table.bodies.values(), *parameters):
        Draft202012Validator.check_schema(schema)


def test_whose_things_an_operation_reaches_is_known() -> None:
    """What names, finds and makes nothing reaches nobody's things: the server's own, and no more."""
    operations = operation_table().operations
    nobodys = [each.path for each in operations if not (each.named or each.lists or each.creates)]
    assert nobodys == ["/ok", "/info", "/metrics", "/openapi.json"]
    assert {each.path for each in operations if each.public} <= {*nobodys}


@pytest.mark.parametrize(
    "method, path, named",
    [
        ("POST", "/threads", {"thread": "$request.body#/thread_id"}),
        ("POST", "/threads/prune", {"thread": "$request.body#/thread_ids/*"}),
        ("GET", "/threads/a/runs/b", {"thread": "$request.path.thread", "run": "$request.path.run"}),
        ("GET", "/store/items", {"item": "$request.query"}),
        ("POST", "/threads/a/copy", {"thread": "$request.path.thread"}),
        ("GET", "/assistants/a/subgraphs/child", {"assistant": "$request.path.assistant"}),
    ],
)
def test_what_a_request_names(method: str, path: str, named: dict[str, str]) -> None:
    operation = operation_for(method, path)
    assert operation is not None
    assert operation.named == named


def test_what_lasts_says_so() -> None:
    """Event streams and what is called wait or join: a new one may not be taken for prompt."""
    for each in operation_table().operations:
        assert (each.lasts is not None) >= each.stream, each.name
        assert (each.lasts == "run") >= each.path.endswith(("/wait", "/join")), each.name


@pytest.mark.parametrize("kind", sorted({*get_args(Kind)} - {"checkpoint"}))
def test_what_can_be_made_can_be_deleted(kind: Kind) -> None:
    """A checkpoint goes with its thread; everything else goes by its own id."""
    operations = operation_table().operations
    one = {f"$request.path.{kind}", "$request.body"}
    assert [each for each in operations if kind in each.creates]
    assert [each.method for each in operations if each.deletes.get(kind) in one] == ["DELETE"]


@pytest.mark.parametrize(
    "changes, made",
    [
        ({"content": {"thread_id": THREAD}}, [("thread", THREAD)]),
        ({"content": {"thread_id": None}}, []),
        ({"content": {"thread_id": THREAD}, "code": 409}, []),
        ({"code": None, "failure": "cut off"}, []),
        ({"url": "/threads/search", "content": [{"thread_id": THREAD}]}, []),
        ({"url": f"/threads/{THREAD}/runs", "content": {"run_id": RUN}}, [("run", RUN)]),
        (
            {
                "url": f"/threads/{THREAD}/runs",
                "content": {"run_id": RUN},
                "asked": IF_MISSING,
            },
            [("run", RUN), ("thread", THREAD)],
        ),
        (
            {"url": f"/threads/{THREAD}/runs", "code": None, "asked": IF_MISSING},
            [("thread", THREAD)],
        ),
        ({"url": f"/threads/{THREAD}/runs", "code": 404, "asked": IF_MISSING}, []),
        (
            {"url": f"/threads/{THREAD}/runs/wait", "located": f"/threads/{THREAD}/runs/{RUN}"},
            [("run", RUN)],
        ),
        (
            {"url": "/runs/stream", "located": f"/threads/{THREAD}/runs/{RUN}"},
            [("run", RUN), ("thread", THREAD)],
        ),
        (
            {"url": "/runs/batch", "content": [{"run_id": RUN, "thread_id": THREAD}, {"run_id": "other"}]},
            [("run", RUN), ("run", "other"), ("thread", THREAD)],
        ),
        (
            {"method": "PUT", "url": "/store/items", "code": 204, "asked": {"namespace": ["a"], "key": "k"}},
            [("item", {"namespace": ["a"], "key": "k"})],
        ),
        ({"url": "/assistants", "content": {"assistant_id": ASSISTANT}}, [("assistant", ASSISTANT)]),
        (
            {"url": f"/threads/{THREAD}/commands", "content": {"type": "success", "result": {"run_id": RUN}}},
            [("run", RUN)],
        ),
        ({"method": "DELETE", "url": f"/threads/{THREAD}", "code": 204}, []),
    ],
)
def test_what_an_exchange_made(changes: dict[str, Any], made: list[tuple[Kind, Any]]) -> None:
    found = exchange(**changes)
    operation = operation_for(found.method, found.path)
    assert operation is not None
    assert sorted(operation.created_by(found), key=str) == sorted(made, key=str)


def exchange(
    method: str = "POST",
    url: str = "/threads",
    asked: Any = None,
    content: Any = None,
    located: str | None = None,
    **changes: Any,
) -> Exchange:
    return Exchange(
        scenario="s",
        number=1,
        label="it",
        method=method,
        url=f"http://127.0.0.1:1{url}",
        sent_at=0.0,
        request_body=None if asked is None else json.dumps(asked),
        content="" if content is None else json.dumps(content),
        response_headers=() if located is None else (("content-location", located),),
        **{"code": 200, **changes},
    )


# a table with one thing wrong in it


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("method: GET, path: /info,", "method: GET, path: /ok,", r"GET /ok is given twice"),
        (
            'method: GET, path: "/threads/{thread}",',
            'method: GET, path: "/threads/{run}", promise: THR-GET-001}\n'
            '- {method: GET, path: "/threads/{thread}",',
            r"GET /threads/\{thread\} is given twice; GET /threads/\{run\} is the same",
        ),
        ("promise: META-001", "promis: META-001", "unknown key 'promis' at GET /ok; did you mean promise"),
        (
            "promise: META-001",
            "promise: META-999",
            "GET /ok names the unknown requirement 'META-999'; did you",
        ),
        ("schema: info", "schema: inof", "GET /info names the unknown schema 'inof'; did you mean info"),
        ("needs: [metrics]", "needs: [metric]", "the unknown capability 'metric'; did you mean metrics"),
        (
            "body: thread_change",
            "body: thread_chnage",
            "the unknown body 'thread_chnage'; did you mean thread_change",
        ),
        ("/crons/{cron}", "/crons/{corn}", "the unknown placeholder 'corn'; did you mean cron"),
        ("lasts: open", "lasts: long", "invalid enum value 'long' at GET /threads/{thread}/stream.lasts"),
        ("lists: cron", "lists: crons", "invalid enum value 'crons' at POST /runs/crons/search.lists"),
        (
            "creates: {cron: $response.body#/cron_id}",
            "creates: {cron: /cron_id}",
            "'/cron_id' names no place; write it like",
        ),
        ("$request.path.cron", "$request.path.run", r"\$request.path.run is not a segment of its path"),
        (
            "promise: STATELESS-001,",
            "promise: STATELESS-001, if_not_exists: thread,",
            "POST /runs/wait names no thread in its path",
        ),
        (
            "promise: META-002",
            "promise: META-002, names: {thread: $request.body#/thread_id}",
            "GET /info: it has no body in which",
        ),
    ],
)
def test_malformed_table_says_where_and_what(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "contracts" / "operations.yaml"
    path.parent.mkdir()
    text = TABLE.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(MalformedContract, match=said) as raised:
        read_operations(path)
    assert str(raised.value).startswith("contracts/operations.yaml: ")
    assert "\n" not in str(raised.value)
