"""`runstone init`: what a server says of itself becomes a runstone.toml that `runstone check` can read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest

from runstone.session import configuration
from runstone.session.first_file import toml
from runstone.session.introduction import example
from tests.command_line import one_line_of_error, runstone
from tests.servers import Heard, heard_by, reply

MESSAGES = {
    "properties": {"messages": {"type": "array"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
}
DOCUMENT = {
    "paths": {"/store/items/search": {"post": {}}, "/threads/{thread_id}/copy": {"post": {}}, "/ok": 3}
}


def answering(answers: dict[str, Any], refusal: str = "404 Not Found") -> Callable[[Heard], bytes]:
    def answer(heard: Heard) -> bytes:
        found = answers.get(heard.target)
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        status = refusal if found is None else "200 OK"
        return reply(status, "application/json", body if found is not None else b"{}")

    return answer


def assistants(*graphs: str) -> list[dict[str, str]]:
    return [{"graph_id": graph, "assistant_id": f"id-of-{graph}"} for graph in graphs]


OWN = {
    "/info": {"version": "1.2", "flags": {"crons": True, "exclusive": True}},
    "/openapi.json": DOCUMENT,
    "/assistants/search": assistants("concierge", "other"),
    "/assistants/id-of-concierge/schemas": {"input_schema": MESSAGES},
}


@contextmanager
def introduced(
    folder: Path, answers: dict[str, Any], *words: str, refusal: str = "404 Not Found"
) -> Iterator[Any]:
    with heard_by(answering(answers, refusal)) as (url, requests), chdir(folder):
        done = runstone("init", url, *words)
        yield done, url, requests


def test_an_assistant_of_its_own_stands_in_with_an_input_made_of_its_schema(tmp_path: Path) -> None:
    with introduced(tmp_path, OWN, "--yes") as (done, url, requests):
        assert done.returncode == 0, done.stderr
    written = tomllib.loads((tmp_path / "runstone.toml").read_text("utf-8"))
    assert written["target"] == url
    assert written["agent"]["assistant"] == "concierge"
    assert written["agent"]["success"]["input"] == {"messages": [{"role": "user", "content": "Hello"}]}
    assert written["capabilities"] == {"store": True, "crons": True, "thread_copy": True}
    assert "next:  runstone check" in done.stdout
    assert "note: the assistant other tells no schema of its input" in done.stdout
    assert {each.method for each in requests if each.target != "/assistants/search"} == {"GET"}
    assert configuration.load(tmp_path / "runstone.toml")["agent"].assistant == "concierge"


def test_the_conformance_graphs_need_no_agent(tmp_path: Path) -> None:
    answers = {
        "/assistants/search": assistants("echo", "steps", "mine"),
        "/info": {"langgraph_py_version": "1"},
    }
    with introduced(tmp_path, answers) as (done, _, _):
        assert done.returncode == 0, done.stderr
    assert "start the server with `--n-jobs-per-worker 10`" in done.stdout
    assert "next:  runstone check --quick" in done.stdout
    text = (tmp_path / "runstone.toml").read_text("utf-8")
    assert "agent" not in tomllib.loads(text)
    assert "It serves the conformance graphs" in text
    assert "note: GET /openapi.json is not an OpenAPI document that can be read (404)" in done.stdout


@pytest.mark.parametrize("document", [b"<html>", b"[]", b'{"paths": 7}', b"\xff"])
def test_a_document_that_cannot_be_read_is_a_note(tmp_path: Path, document: bytes) -> None:
    with introduced(tmp_path, {**OWN, "/openapi.json": document}, "--yes") as (done, _, _):
        assert done.returncode == 0, done.stderr
    assert "is not an OpenAPI document that can be read (200)" in done.stdout


def test_an_assistant_without_schema_is_written_down_for_its_user_to_complete(tmp_path: Path) -> None:
    with introduced(tmp_path, {"/assistants/search": assistants("mine")}, "--yes") as (done, _, _):
        assert done.returncode == 0, done.stderr
    text = (tmp_path / "runstone.toml").read_text("utf-8")
    assert "It tells no schema: write an input" in text
    assert tomllib.loads(text)["agent"]["success"]["input"] == {}


def test_nothing_is_overwritten_nor_asked(tmp_path: Path) -> None:
    (tmp_path / "runstone.toml").write_text("mine", "utf-8")
    with introduced(tmp_path, OWN, "--yes") as (done, _, requests):
        assert (done.returncode, requests) == (2, [])
    assert "is not overwritten" in one_line_of_error(done)
    assert (tmp_path / "runstone.toml").read_text("utf-8") == "mine"


def test_secrets_stay_out_of_the_file(tmp_path: Path) -> None:
    with introduced(tmp_path, OWN, "--yes", "--header", "X-Api-Key: hush") as (done, _, requests):
        assert done.returncode == 0, done.stderr
    text = (tmp_path / "runstone.toml").read_text("utf-8")
    assert "hush" not in text + done.stdout
    assert '"X-Api-Key" = "${RUNSTONE_X_API_KEY}"' in text
    assert all(each.headers.get("x-api-key") == "hush" for each in requests)


@pytest.mark.parametrize(
    "answers, refusal, code, said",
    [
        ({}, "404 Not Found", 2, "serves neither the conformance graphs nor any assistant"),
        ({}, "401 Unauthorized", 3, "wants credentials (401); give them by --header"),
    ],
)
def test_what_keeps_it_from_knowing_is_told_in_one_line(
    tmp_path: Path, answers: dict[str, Any], refusal: str, code: int, said: str
) -> None:
    with introduced(tmp_path, answers, refusal=refusal) as (done, _, _):
        assert done.returncode == code
    assert said in one_line_of_error(done)
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_one_line(tmp_path: Path) -> None:
    with chdir(tmp_path):
        done = runstone("init", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert "does not answer (connection refused)" in one_line_of_error(done)


@pytest.mark.parametrize(
    "schema, wanted",
    [
        ({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "o": {}}}, {"n": 1}),
        ({"properties": {"a": {"enum": ["x", "y"]}, "b": {"default": 7}}}, {"a": "x", "b": 7}),
        ({"$ref": "#/$defs/In", "$defs": {"In": {"type": "string"}}}, "text"),
        ({"type": ["array", "null"]}, []),
        ({"$ref": "#", "type": "object"}, {}),
        (None, {}),
    ],
)
def test_examples_fit_their_schema(schema: Any, wanted: Any) -> None:
    assert example(schema, schema) == wanted


@pytest.mark.parametrize("value", [{"a b": [1, 2.5, True, {"ü\n\x1b": '"'}]}, [], {}, "x"])
def test_values_are_written_as_toml(value: Any) -> None:
    assert tomllib.loads(f"it = {toml(value)}")["it"] == value
