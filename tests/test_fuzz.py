"""The contract's own OpenAPI document, and the requests that are made up from it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from runstone.contracts import openapi_document, operation_table
from runstone.explore import findings, told
from runstone.explore.findings import problem
from runstone.session import evidence
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace
from tests.command_line import runstone
from tests.test_explore import reference

ANSWER = Exchange(
    scenario="fuzzed_contract",
    number=1,
    label="POST /threads",
    method="POST",
    url="http://127.0.0.1:1/threads",
    sent_at=0.0,
    code=200,
    content="{}",
)


def test_the_document_describes_every_operation() -> None:
    document = openapi_document()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    fuzzed = operation_table().fuzzed
    assert described == {(each.method, each.path) for each in fuzzed}
    for each in fuzzed:
        operation = document["paths"][each.path][each.method.lower()]
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", each.path))
        assert ("requestBody" in operation) == bool(each.body)


def test_its_schemas_are_schemas_and_lead_nowhere_else() -> None:
    document = openapi_document()
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_what_the_monitor_knows_is_described() -> None:
    answered = [each for each in operation_table().operations if each.schema]
    assert len(answered) >= 40
    for each in answered:
        content = openapi_document([each])["paths"][each.path][each.method.lower()]["responses"]["2XX"]
        assert "application/json" in content["content"]


@pytest.mark.parametrize(
    "changes, wanted",
    [
        ({}, None),
        ({"code": 422}, None),
        ({"code": 500, "content": "sorry"}, "500 sorry"),
        ({"code": 503, "content": ""}, "503 an empty body"),
        ({"content": " \n"}, "200 with an empty body"),
        ({"code": None, "failure": "connection reset"}, "no answer: connection reset"),
        ({"code": None, "closed_by_client": True}, None),
        ({"failure": "cut off"}, "200, and then: cut off"),
    ],
)
def test_what_no_request_may_get(changes: dict[str, object], wanted: str | None) -> None:
    found = problem(msgspec.structs.replace(ANSWER, **changes), empty=False)
    assert (found or "").strip() == (wanted or "")


def test_an_empty_answer_may_be_all_there_is_to_say() -> None:
    assert problem(msgspec.structs.replace(ANSWER, code=204, content=""), empty=True) is None


def test_findings_are_told_apart_by_cause_with_the_smallest_request() -> None:
    answers = [
        msgspec.structs.replace(ANSWER, number=number, code=code, content=content, request_body="x" * size)
        for number, (code, content, size) in enumerate(
            [(200, "{}", 1), (500, "a", 30), (500, "a", 10), (500, "b", 20), (502, "a", 5)], 1
        )
    ]
    found = findings(answers, empty=False)
    assert [(each.problem, each.times, each.exchange.number) for each in found] == [
        ("502 a", 1, 5),
        ("500 a", 2, 3),
        ("500 b", 1, 4),
    ]
    assert told(found, 5) == "502 a (1 of 5 requests); 500 a (2 of 5 requests); 500 b (1 of 5 requests)"


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trace]:
    """The unbroken reference runtime, fuzzed for a short time: every operation gets some requests."""
    out = tmp_path_factory.mktemp("fuzzed")
    done = runstone("fuzz", "--budget", "10", "--seed", "2", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"sent \d+ requests, seed 2", done.stdout)
    _, traces = evidence.read(out / "evidence")
    return out, traces["fuzzed_contract"]


@pytest.mark.slow
def test_every_operation_is_tried(fuzzed: tuple[Path, Trace]) -> None:
    _, trace = fuzzed
    for operation in operation_table().fuzzed:
        assert len(trace.find(operation.name)) >= 5, operation.name


@pytest.mark.slow
def test_requests_are_well_formed_and_otherwise(fuzzed: tuple[Path, Trace]) -> None:
    _, trace = fuzzed
    codes = [each.code or 0 for each in trace.exchanges]
    assert sum(code < 300 for code in codes) > 20
    assert sum(400 <= code < 500 for code in codes) > 20


@pytest.mark.slow
def test_its_own_document_is_tried_too(fuzzed: tuple[Path, Trace]) -> None:
    out, _ = fuzzed
    _, traces = evidence.read(out / "evidence")
    own = traces["fuzzed_own_document"]
    operations = own.note("operations")
    assert "POST /threads/{thread_id}/runs/wait" in operations
    assert all(own.find(name) for name in operations)


@pytest.mark.slow
def test_it_is_judged_again_offline(fuzzed: tuple[Path, Trace], tmp_path: Path) -> None:
    out, _ = fuzzed
    done = runstone("judge", str(out / "evidence"), "--area", "fuzz", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_crash_is_found_and_its_curl_line_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = "malformed-json-crashes"
    monkeypatch.setenv("RUNSTONE_FAULT", fault)
    done = runstone("fuzz", "--budget", "10", "--out", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    verdict = next(each for each in report["verdicts"] if each["id"] == "ROB-001")
    broken = [each for each in verdict["cases"] if each["verdict"] == "fail" and each["case"]]
    assert broken
    with reference(fault) as url:
        line = re.sub(r"http://127\.0\.0\.1:\d+", url, broken[0]["curl"][0])
        answer = subprocess.run(  # noqa: S602 - pasted into a shell, as a user would
            line, shell=True, capture_output=True, text=True, timeout=30, check=True
        )
    assert answer.stdout.startswith("HTTP/1.1 500")
