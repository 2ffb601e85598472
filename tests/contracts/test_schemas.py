"""The schemas: valid, with examples of both kinds, and plain about what violates them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runstone.contracts import (
    UnknownSchema,
    schema_names,
    validator,
    violations,
)
from runstone.contracts.schemas import BASE
from runstone.report.document import to_json
from runstone.verdict.model import Phases, Report, TargetSummary, grid_from
from runstone.wire.documents import resolve
from tests.contracts.reading import EXAMPLES, SCHEMAS, by_schema, examples, read


@by_schema
def test_schema_is_valid_and_identifies_itself(name: str) -> None:
    schema = read(SCHEMAS / f"{name}.json")
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"{BASE}{name}.json"
    assert schema["title"]
    assert schema["description"].endswith(".")


@by_schema
def test_references_lead_to_schemas(name: str) -> None:
    schema = read(SCHEMAS / f"{name}.json")
    for reference in references(schema):
        file, _, pointer = reference.partition("#")
        assert not file or file.removesuffix(".json") in schema_names()
        meant = read(SCHEMAS / file) if file else schema
        assert not pointer or resolve(meant, pointer) is not None


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from references(each)


@by_schema
def test_schema_has_examples_of_both_kinds(name: str) -> None:
    assert len(list((EXAMPLES / name / "conforms").glob("*.json"))) >= 2
    assert len(list((EXAMPLES / name / "violates").glob("*.json"))) >= 3


def test_examples_belong_to_schemas() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(schema_names())


@pytest.mark.parametrize("name, path", examples("conforms"))
def test_conforming_example(name: str, path: Path) -> None:
    assert violations(name, read(path)) == []


@pytest.mark.parametrize("name, path", examples("violates"))
def test_violating_example(name: str, path: Path) -> None:
    found = violations(name, read(path))
    assert found
    assert all(0 < len(each.message) <= 200 for each in found)
    assert all(resolves(read(path), each.path) for each in found)


def resolves(document: Any, pointer: str) -> bool:
    """Whether the pointer leads somewhere, be it to null; `resolve` does not tell null from nothing."""
    *way, last = pointer.split("/")
    parent = resolve(document, "/".join(way)) if way else document
    key = last.replace("~1", "/").replace("~0", "~")
    return not way or (key in parent if isinstance(parent, dict) else int(key) < len(parent))


@pytest.mark.parametrize("name, path", [*examples("conforms"), *examples("violates")])
def test_what_is_said_at_once_is_what_is_said_at_length(name: str, path: Path) -> None:
    """One library says whether a document conforms, and another one why not: they agree, whatever is sent."""
    for document in (read(path), *islice(spoilt(read(path)), 0, None, EVERY)):
        assert bool(violations(name, document)) != validator(name).is_valid(document), document


def spoilt(document: Any) -> Iterator[Any]:
    """The document with each place of it, one after the other, as another value."""
    held_in = (
        document
        if isinstance(document, dict)
        else dict(enumerate(document if isinstance(document, list) else ()))
    )
    for place, held in held_in.items():
        changed = [*OTHERS, *spoilt(held)] if isinstance(held, dict | list) else [*OTHERS, f"{held}\n"]
        for other in changed:
            copied = document.copy()
            copied[place] = other
            yield copied


EVERY = 101  # all of them take six minutes
OTHERS: list[Any] = [None, True, 0, -1, 1.0, 2**64, 1e400, "", "\ud800", "٣", [], [None], {}, {"\ud800": 1}]


def test_violation_names_place_and_reason() -> None:
    run = read(EXAMPLES / "run" / "violates" / "status-unknown.json")
    (found,) = violations("run", run)
    assert found.path == "/status"
    assert found.message.endswith('got "completed"')
    assert "running" in found.message


def test_violation_points_into_keys_with_slashes() -> None:
    (found,) = violations("thread", {**thread(), "interrupts": {"a/b~c": {}}})
    assert found.path == "/interrupts/a~1b~0c"


def test_violation_quotes_no_large_value() -> None:
    (found,) = violations("thread", {**thread(), "status": "x" * 10_000})
    assert len(found.message) <= 200


def test_endless_nesting_is_a_violation() -> None:
    state: Any = read(EXAMPLES / "thread-state" / "conforms" / "official-python-interrupted.json")
    for _ in range(2_000):
        task = {**state["tasks"][0], "state": state}
        state = {**state, "tasks": [task]}
    (found,) = violations("thread-state", state)
    assert found.path == ""
    assert "nested" in found.message


def test_real_report_conforms() -> None:
    report = Report(
        runstone="0.1.0",
        profile="langgraph",
        started_at="2026-11-21T07:00:00+00:00",
        duration_s=0.5,
        phases=Phases(),
        complete=False,
        stopped="nothing was observed",
        conforming=False,
        exit_code=3,
        fail_on="must",
        quick=False,
        target=TargetSummary(name="nowhere", url="http://127.0.0.1:1", server="unknown"),
        totals={"MUST": {}, "SHOULD": {}, "MAY": {}},
        areas=(),
        grid=grid_from({}),
        verdicts=(),
    )
    assert violations("report", json.loads(to_json(report))) == []


def test_unknown_schema_names_the_nearest() -> None:
    with pytest.raises(UnknownSchema, match="did you mean thread-state"):
        validator("thread_state")


def thread() -> dict[str, Any]:
    document: dict[str, Any] = read(EXAMPLES / "thread" / "conforms" / "official-python-new.json")
    return document
