"""The contracts are data that others trust: they are checked here as strictly as code."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from runstone.contracts import (
    AreaKind,
    Automaton,
    Catalogue,
    MalformedContract,
    Requirement,
    UnknownArea,
    UnknownProfile,
    UnknownRequirement,
    UnknownSchema,
    lifecycle,
    load_capabilities,
    load_catalogue,
    load_profile,
    load_sources,
    profile_names,
    schema_names,
    stream_grammar,
    validator,
    violations,
)
from runstone.contracts.catalogue import SOURCES, read_catalogue
from runstone.contracts.profile import read_profile
from runstone.contracts.schemas import BASE
from runstone.locations import locate
from runstone.report.document import to_json
from runstone.verdict.model import Phases, Report, TargetSummary, grid_from
from runstone.wire.documents import Missing, resolve

CONTRACTS = locate("contracts")
SCHEMAS = CONTRACTS / "schemas"
EXAMPLES = SCHEMAS / "examples"
NOT_JUDGED = Path(__file__).parents[1] / "docs" / "not-judged.md"

by_schema = pytest.mark.parametrize("name", schema_names())
by_requirement = pytest.mark.parametrize("promise", load_catalogue().values(), ids=lambda each: each.id)
by_profile = pytest.mark.parametrize("name", profile_names())
by_automaton = pytest.mark.parametrize(
    "automaton", [lifecycle().runs, lifecycle().threads], ids=["runs", "threads"]
)


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def examples(kind: str) -> list[Any]:
    paths = sorted(EXAMPLES.glob(f"*/{kind}/*.json"))
    return [pytest.param(path.parts[-3], path, id=f"{path.parts[-3]}-{path.stem}") for path in paths]


# schemas


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
        assert not pointer or resolve(schema, pointer) is not None


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
def test_inlining_references_changes_no_answer(name: str, path: Path) -> None:
    plain = Draft202012Validator(read(SCHEMAS / f"{name}.json"), registry=registry())
    assert plain.is_valid(read(path)) == validator(name).is_valid(read(path))


def registry() -> Registry[Any]:
    return Registry().with_resources(
        (f"{BASE}{name}.json", Resource.from_contents(read(SCHEMAS / f"{name}.json")))
        for name in schema_names()
    )


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


# requirements


@by_requirement
def test_requirement_is_well_formed(promise: Requirement) -> None:
    assert re.fullmatch(r"[A-Z]+\d?(-[A-Z]+)*-\d{3}", promise.id)
    assert promise.statement.endswith(".")
    assert promise.statement == " ".join(promise.statement.split())
    assert promise.area in load_catalogue().areas
    assert set(promise.needs) <= set(load_capabilities())
    assert set(promise.profiles) <= set(profile_names())
    assert all(re.fullmatch(r"[A-Z]+: \S.*", text) for text in promise.source)


@by_requirement
def test_must_rests_on_more_than_one_server(promise: Requirement) -> None:
    if promise.level != "MUST":
        return
    sources = [load_sources()[text.partition(":")[0]] for text in promise.source]
    vendors = {each.vendor for each in sources if each.kind == "server"}
    assert len(vendors) >= 2 or any(each.kind != "server" for each in sources)


def test_ids_of_an_area_begin_alike_and_ascend() -> None:
    for area in load_catalogue().areas:
        ids = [each.id for each in load_catalogue().select(area=area)]
        assert ids
        for kind in {each.rpartition("-")[0] for each in ids}:
            own = [each for each in ids if each.rpartition("-")[0] == kind]
            assert own == sorted(own)


def test_every_area_is_there_in_the_order_that_it_declares() -> None:
    areas = load_catalogue().areas
    assert {f"{name}.yaml" for name in areas} == {
        path.name for path in (CONTRACTS / "requirements").glob("*.yaml") if path.name != SOURCES
    }
    assert [each.order for each in areas.values()] == sorted({each.order for each in areas.values()})
    assert next(iter(areas)) == "meta"
    assert [each.area for each in load_catalogue().values()] == [
        name for name in areas for _ in load_catalogue().select(area=name)
    ]


def test_areas_of_a_kind_are_found_by_it() -> None:
    catalogue = load_catalogue()
    kinds = [catalogue.of_kind(kind) for kind in get_args(AreaKind)]
    assert frozenset().union(*kinds) == catalogue.areas.keys()
    assert sum(map(len, kinds)) == len(catalogue.areas)
    assert catalogue.of_kind("monitor") == {"monitor"}
    assert catalogue.of_kind("exploring") == {"explore", "fuzz"}


def test_areas_that_a_user_names_are_found_by_name_glob_and_ending() -> None:
    catalogue = load_catalogue()
    assert catalogue.selected([]) == frozenset()
    assert catalogue.selected(["f*z", "wait"]) == {"fuzz", "run-wait"}
    with pytest.raises(UnknownArea, match="did you mean fuzz"):
        catalogue.selected(["meta", "fuz"])


def test_catalogue_is_large_enough_to_be_judged_by() -> None:
    catalogue = load_catalogue()
    assert len(catalogue.select(level="MUST")) >= 200
    assert len(catalogue.select(level="SHOULD")) >= 180
    assert len(catalogue.select(level="MAY")) >= 25


def test_no_promise_is_both_judged_and_listed_as_not_judged() -> None:
    rows = re.findall(
        r"^\| ([A-Z]+\d?(?:-[A-Z]+)*-\d{3}) \| (.+?) \| (.+?) \|$",
        NOT_JUDGED.read_text("utf-8"),
        re.MULTILINE,
    )
    listed = [row[0] for row in rows]
    assert listed
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(load_catalogue())
    for _, promise, reason in rows:
        assert promise.endswith(".")
        assert reason.endswith(".")


def test_what_a_promise_refers_to_is_judged() -> None:
    known = set(load_catalogue())
    for promise in load_catalogue().values():
        for text in (*promise.source, promise.note):
            assert set(re.findall(r"\b[A-Z]+\d?(?:-[A-Z]+)*-\d{3}\b", text)) <= known, promise.id


def test_select_by_area_glob_and_level() -> None:
    catalogue = load_catalogue()
    assert {each.area for each in catalogue.select(area="wait")} == {"run-wait"}
    assert {each.area for each in catalogue.select(area="get")} == {"thr-get", "run-get"}
    assert all(fnmatchcase(each.id, "SSE-*") for each in catalogue.select(glob="SSE-*"))
    assert catalogue.select(area="sse", glob="RUN-*") == ()
    assert {each.level for each in catalogue.select(area="run-wait", level="MUST")} == {"MUST"}


@pytest.mark.parametrize("wrong", ["RUN-WIAT-002", "run-wait-002"])
def test_unknown_id_names_the_nearest(wrong: str) -> None:
    assert wrong not in load_catalogue()
    with pytest.raises(UnknownRequirement, match=f"no requirement '{wrong}'; did you mean RUN-WAIT-002"):
        load_catalogue()[wrong]


def test_glob_and_area_that_match_nothing_are_errors() -> None:
    with pytest.raises(UnknownRequirement, match=r"no requirement matches 'RUN-WIAT-\*'"):
        load_catalogue().select(glob="RUN-WIAT-*")
    with pytest.raises(UnknownArea, match="did you mean run-wait"):
        load_catalogue().select(area="run-wiat")
    with pytest.raises(UnknownArea, match="the areas are meta, err"):
        load_catalogue().select(area="qqqq")


# a catalogue with one thing wrong in it


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(CONTRACTS, tmp_path / "contracts", ignore=shutil.ignore_patterns("schemas"))
    return tmp_path / "contracts"


def edited(contracts: Path, file: str, old: str, new: str) -> Catalogue:
    path = contracts / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return read_catalogue(contracts)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("level: MUST", "levl: MUST", r"unknown key 'levl' at META-001; did you mean level"),
        ("title:", "titel:", "unknown key 'titel'; did you mean title"),
        ("level: MUST", "level: WILL", r"invalid enum value 'WILL' at META-001\.level"),
        ("level: MUST", "needs: openapi", r"expected `array`, got `str` at META-001\.needs"),
        (
            "  needs: [metrics]",
            "  needs: [metric]",
            "META-004 names the unknown capability 'metric'; did you mean metrics",
        ),
        ("OAS: GET /ok", "OSA: GET /ok", "META-001 names the unknown source 'OSA'; did you mean OAS"),
        (
            "  needs: [metrics]",
            "  profiles: [langraph]",
            "unknown profile 'langraph'; did you mean langgraph",
        ),
        ("id: META-002", "id: META-001", "META-001 is given twice"),
        ("area: meta", "area: mta", "its area is 'mta', but its name says 'meta'"),
        ("  level: MUST", "  level: MUST\n  level: MAY", "the key 'level' is given twice, line 7"),
        ("order: 10\n", "", "object missing required field `order`"),
        ("order: 10", "order: first", r"expected `int`, got `str` at order"),
        ("order: 10", "order: 10\nkind: exploratory", r"invalid enum value 'exploratory' at kind"),
        ("area: meta", "area: [meta", "is not valid YAML"),
    ],
)
def test_malformed_catalogue_says_where_and_what(copied: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MalformedContract, match=said) as raised:
        edited(copied, "requirements/meta.yaml", old, new)
    assert str(raised.value).startswith("contracts/requirements/meta.yaml")
    assert "\n" not in str(raised.value)


def test_two_areas_cannot_stand_at_one_place(copied: Path) -> None:
    with pytest.raises(MalformedContract, match=r"meta\.yaml: its order 20 is that of err already"):
        edited(copied, "requirements/meta.yaml", "order: 10", "order: 20")


def test_missing_and_undecodable_files_are_named(copied: Path) -> None:
    (copied / "requirements" / "sse.yaml").write_bytes(b"area: \xff")
    with pytest.raises(MalformedContract, match=r"contracts/requirements/sse\.yaml is not valid YAML"):
        read_catalogue(copied)
    (copied / "capabilities.yaml").unlink()
    with pytest.raises(MalformedContract, match=r"cannot read contracts/capabilities\.yaml"):
        read_catalogue(copied)


def test_requirement_without_a_source_is_refused(copied: Path) -> None:
    with pytest.raises(MalformedContract, match="EXEC-002 has no source"):
        edited(
            copied,
            "requirements/exec.yaml",
            'exactly once.\n  source: ["GOAL: a run executes its graph once"]\n- id: EXEC-003',
            "exactly once.\n  source: []\n- id: EXEC-003",
        )


# profiles


@by_profile
def test_profile_speaks_of_what_exists(name: str) -> None:
    profile = load_profile(name)
    assert set(profile.capabilities) <= set(load_capabilities())
    assert {profile.wait.schema, profile.wait.error_schema} <= set(schema_names())
    for glob in [*profile.includes, *profile.excludes]:
        assert load_catalogue().select(glob=glob)
    for pointer in (profile.wait.values, profile.wait.error, profile.wait.interrupts):
        assert pointer == "" or pointer.startswith("/")
    assert any(profile.excludes_requirement(each) is None for each in load_catalogue().values())


@pytest.mark.parametrize(
    "name, body, interrupts",
    [
        ("langgraph", {"log": ["a"], "__interrupt__": [{"value": 1}]}, [{"value": 1}]),
        ("langgraph", {"log": ["a"]}, None),
        ("wait-state", {"values": {"log": ["a"]}, "interrupts": []}, []),
    ],
)
def test_profile_finds_values_and_interrupts(name: str, body: Any, interrupts: Any) -> None:
    wait = load_profile(name).wait
    assert wait.values_in(body) == {"log": ["a"]}
    assert wait.interrupts_in(body) == interrupts
    assert wait.error_in(body) is None


@by_profile
def test_pointers_resolve_in_real_bodies(name: str) -> None:
    wait = load_profile(name).wait
    for path in sorted((EXAMPLES / wait.schema / "conforms").glob("*.json")):
        assert isinstance(wait.values_in(read(path)), dict)
    for path in sorted((EXAMPLES / wait.error_schema / "conforms").glob("*.json")):
        assert wait.error_in(read(path))["error"]


def test_body_without_values_is_missing_them() -> None:
    with pytest.raises(Missing, match="no values at /values"):
        load_profile("wait-state").wait.values_in({"log": ["a"]})


def test_profile_excludes_by_glob_and_by_name(tmp_path: Path) -> None:
    text = (CONTRACTS / "profiles" / "langgraph.yaml").read_text("utf-8")
    path = tmp_path / "langgraph.yaml"
    path.write_text(text.replace("excludes: []", 'excludes: ["SSE-*"]'), "utf-8")
    profile = read_profile(path)
    catalogue = load_catalogue()
    assert profile.excludes_requirement(catalogue["SSE-001"]) == "profile langgraph excludes it"
    assert profile.excludes_requirement(catalogue["META-001"]) is None
    path.write_text(text.replace('includes: ["*"]', 'includes: ["SSE-*"]'), "utf-8")
    assert read_profile(path).excludes_requirement(catalogue["META-001"]) is not None
    path.write_text(text.replace("excludes:", "exclude:"), "utf-8")
    with pytest.raises(MalformedContract, match="unknown key 'exclude'; did you mean excludes"):
        read_profile(path)


def test_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UnknownProfile, match="no profile 'langraph'; did you mean langgraph"):
        load_profile("langraph")
    with pytest.raises(UnknownProfile, match="there are langgraph, wait-state"):
        load_profile("../secrets")


# lifecycle


@by_automaton
def test_automaton_is_closed(automaton: Automaton) -> None:
    assert automaton.initial in automaton.statuses
    assert automaton.terminal <= automaton.statuses
    for after in [*automaton.transitions.values(), *automaton.retry.values()]:
        assert after <= automaton.statuses


@by_automaton
def test_terminal_statuses_have_no_way_out(automaton: Automaton) -> None:
    for status in automaton.statuses:
        assert (status in automaton.terminal) == (not automaton.transitions[status])
        assert not (status in automaton.terminal and automaton.retry.get(status))
    for before, after in product(automaton.terminal, automaton.statuses - automaton.terminal):
        assert not automaton.may_show(before, after, retried=True)


@by_automaton
def test_every_status_can_be_reached(automaton: Automaton) -> None:
    assert all(automaton.may_show(automaton.initial, status) for status in automaton.statuses)


@pytest.mark.parametrize(
    "seen, illegal",
    [
        (["pending", "running", "success"], None),
        (["pending", "pending", "success"], None),
        (["error"], None),
        ([], None),
        (["running", "pending"], ("running", "pending")),
        (["success", "error"], ("success", "error")),
        (["pending", "interrupted", "running"], ("interrupted", "running")),
        (["pending", "done"], ("pending", "done")),
        (["done"], ("pending", "done")),
    ],
)
def test_polled_statuses(seen: list[str], illegal: tuple[str, str] | None) -> None:
    assert lifecycle().runs.first_illegal(seen) == illegal


def test_way_back_is_legal_after_a_retry_only() -> None:
    runs = lifecycle().runs
    seen = ["pending", "running", "pending", "running", "success"]
    assert runs.first_illegal(seen, retried=True) is None
    assert runs.first_illegal(seen) == ("running", "pending")
    assert runs.first_illegal(["success", "pending"], retried=True) == ("success", "pending")


@pytest.mark.parametrize("resource, automaton", [("run", lifecycle().runs), ("thread", lifecycle().threads)])
def test_automaton_and_schema_know_the_same_statuses(resource: str, automaton: Automaton) -> None:
    assert set(read(SCHEMAS / f"{resource}.json")["properties"]["status"]["enum"]) == automaton.statuses


# streams and operations


def test_grammar_speaks_of_schemas_that_exist() -> None:
    grammar = stream_grammar()
    named = {*grammar.schemas.values(), *grammar.unrequested.values()} - {None}
    assert named <= set(schema_names())
    assert set(grammar.unrequested) <= {name for mode in grammar.modes.values() for name in mode.events}
    for closing in grammar.closing.values():
        assert set(closing.then) <= set(grammar.closing)


@pytest.mark.parametrize(
    "name, modes, subgraphs, allowed",
    [
        ("metadata", ["values"], False, True),
        ("error", ["custom"], False, True),
        ("end", [], False, True),
        ("values", ["values", "updates"], False, True),
        ("values", ["updates"], False, False),
        ("messages", ["messages-tuple"], False, True),
        ("messages", ["messages"], False, False),
        ("messages/partial", ["messages"], False, True),
        ("values|child:8d8f3b7e-33d5-0c4e-0d5e-6f0c2f1d6a52", ["values"], True, True),
        ("values|child:8d8f3b7e-33d5-0c4e-0d5e-6f0c2f1d6a52|inner:1", ["values"], True, True),
        ("values|child:8d8f3b7e-33d5-0c4e-0d5e-6f0c2f1d6a52", ["values"], False, False),
        ("values|", ["values"], True, False),
        ("metadata|child", ["values"], True, False),
        ("events|child", ["events"], True, False),
        ("tools", ["values"], True, False),
    ],
)
def test_allowed_events(name: str, modes: list[str], *, subgraphs: bool, allowed: bool) -> None:
    assert stream_grammar().is_allowed(name, modes, subgraphs=subgraphs) is allowed


@pytest.mark.parametrize(
    "before, after, legal",
    [
        ("metadata", "values", True),
        ("values", "values", True),
        ("values", "metadata", False),
        ("values", "error", True),
        ("error", "end", True),
        ("error", "values", False),
        ("error", "error", False),
        ("end", "end", False),
        ("end", "error", False),
    ],
)
def test_order_of_events(before: str, after: str, *, legal: bool) -> None:
    assert stream_grammar().may_follow(before, after) is legal


@pytest.mark.parametrize(
    "name, schema",
    [
        ("values", "stream-values"),
        ("updates|child:1|inner:2", "stream-updates"),
        ("messages", "stream-message-tuple"),
        ("error", "stream-error"),
        ("custom", None),
        ("tools", None),
    ],
)
def test_schema_of_an_event(name: str, schema: str | None) -> None:
    assert stream_grammar().schema_of(name) == schema
