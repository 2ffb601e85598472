"""Exploration: the model of the contract, the sequences that it judges, the scripts that tell them again."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from runstone.contracts import load_catalogue, load_profile
from runstone.explore import BrokenSequence, Model, broken_sequences, first_broken, script, sequences_of
from runstone.explore.model import Finding
from runstone.session import evidence
from runstone.target import recipes
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace
from tests.command_line import runstone

pytestmark = pytest.mark.slow

PROFILE = load_profile("langgraph")
# Of the faults of the reference runtime some that any client could stumble over; the machine gets no hint.
FAULTS = ("wait-only-stores-the-input", "deleting-a-thread-does-nothing", "a-history-begins-with-the-oldest")
Exchanges = tuple[Exchange, ...]


def explored(out: Path, *options: str, fault: str = "") -> tuple[subprocess.CompletedProcess[str], Trace]:
    """`runstone explore` of the embedded runtime, and what it recorded."""
    with patch.dict(os.environ, {"RUNSTONE_FAULT": fault}):
        done = runstone("explore", "--out", str(out), *options, timeout=170)
    _, traces = evidence.read(out / "evidence")
    return done, traces["explore"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trace]:
    """Some hundred sequences on the unbroken reference runtime."""
    out = tmp_path_factory.mktemp("explored")
    done, trace = explored(out, "--budget", "15", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"sent \d+ sequences in \d+ requests, seed 3", done.stdout), done.stdout
    return out, trace


def test_the_unbroken_runtime_keeps_every_sequence(unbroken: tuple[Path, Trace]) -> None:
    _, trace = unbroken
    told = sequences_of(trace)
    assert len(told) > 20
    assert broken_sequences(told, PROFILE, trace.notes["settle_s"]) == []
    operations = {
        (each.method, re.sub(r"[0-9a-f-]{36}", "*", each.path.partition("?")[0])) for each in trace.exchanges
    }
    assert {
        ("POST", "/threads"),
        ("POST", "/threads/*/runs/wait"),
        ("POST", "/threads/*/runs/stream"),
        ("GET", "/threads/*/runs/*/join"),
        ("POST", "/threads/*/runs/*/cancel"),
        ("DELETE", "/threads/*"),
        ("POST", "/threads/*/state"),
        ("POST", "/threads/*/history"),
    } <= operations


def test_a_sequence_is_evidence_that_can_be_judged_again(
    unbroken: tuple[Path, Trace], tmp_path: Path
) -> None:
    out, _ = unbroken
    done = runstone("judge", str(out / "evidence"), "--area", "explore", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept" in done.stdout


def test_the_same_seed_makes_up_the_same_sequences(unbroken: tuple[Path, Trace], tmp_path: Path) -> None:
    _, first = unbroken
    _, second = explored(tmp_path, "--budget", "4", "--seed", "3")
    _, third = explored(tmp_path / "other", "--budget", "4", "--seed", "4")
    beginnings = [[_requests(each) for each in sequences_of(trace)[:8]] for trace in (first, second, third)]
    assert beginnings[0] == beginnings[1]
    assert beginnings[0] != beginnings[2]


def _requests(sequence: Exchanges) -> list[str]:
    """What was asked, ids aside; how often a status was read is a matter of time."""
    asked: list[str] = []
    for each in sequence:
        text = f"{each.method} {each.path} {each.request_body or ''}"
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "*", text)
        if not asked or asked[-1] != text or each.method != "GET":
            asked.append(text)
    return asked


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_told_in_few_requests(fault: str, tmp_path: Path) -> None:
    done, trace = explored(tmp_path, "--budget", "60", fault=fault)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = broken_sequences(sequences_of(trace), PROFILE, trace.notes["settle_s"])
    assert broken[0].finding.requirement in load_catalogue()
    told = (tmp_path / "sequence.sh").read_text()
    assert told == script(broken[0])
    assert told in done.stdout
    assert 1 <= told.count("ANSWER") // 2 <= 8 * 2
    assert len(re.findall(r"^ANSWER\d+=", told, re.MULTILINE)) <= 8


def test_the_script_shows_the_fault_on_another_server(tmp_path: Path) -> None:
    fault = "failed-run-answers-an-empty-object"
    explored(tmp_path, "--budget", "30", fault=fault)
    told = (tmp_path / "sequence.sh").read_text()
    assert last_answer(told, tmp_path, fault) == {}
    assert "__error__" in last_answer(told, tmp_path, "")


def last_answer(told: str, folder: Path, fault: str) -> Any:
    """Run the script against a fresh server; the body that its last request got."""
    with reference(fault) as url:
        moved = folder / "moved.sh"
        moved.write_text(re.sub(r"http://127\.0\.0\.1:\d+", url, told))
        done = subprocess.run(["/bin/sh", str(moved)], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


@contextmanager
def reference(fault: str) -> Iterator[str]:
    """The reference runtime on a port of its own."""
    recipe = recipes.load("embedded")
    environment = {**recipe.env, "RUNSTONE_FAULT": fault}
    with recipes.running(msgspec.structs.replace(recipe, env=environment)) as server:
        yield server.url


# The model against sequences that were spoilt one answer at a time

Spoil = Callable[[Exchange], Exchange]


def _with_body(rewrite: Callable[[Any], Any]) -> Spoil:
    return lambda each: msgspec.structs.replace(each, content=json.dumps(rewrite(json.loads(each.content))))


def _with_code(code: int) -> Spoil:
    return lambda each: msgspec.structs.replace(each, code=code)


def _late(rewrite: Callable[[Any], Any]) -> Spoil:
    return lambda each: msgspec.structs.replace(_with_body(rewrite)(each), sent_at=each.sent_at + 1000.0)


SPOILT: dict[str, tuple[str, str, Spoil]] = {
    "a new thread is busy": ("POST", "/threads$", _with_body(lambda body: {**body, "status": "busy"})),
    "a wait has other values": ("POST", "/runs/wait$", _with_body(lambda body: {**body, "log": ["s9"]})),
    "a wait is an error": ("POST", "/runs/wait$", _with_body(lambda _: {"__error__": {"error": "E"}})),
    "a wait is refused": ("POST", "/runs/wait$", _with_code(500)),
    "a stream has no events": (
        "POST",
        "/runs/stream$",
        lambda each: msgspec.structs.replace(each, events=()),
    ),
    "a stream loses its end": (
        "POST",
        "/runs/stream$",
        lambda each: msgspec.structs.replace(each, events=each.events[:1]),
    ),
    "a state is empty": ("GET", "/state$", _with_body(lambda body: {**body, "values": {"note": "other"}})),
    "a history is empty": ("POST", r"/history$", _with_body(lambda _: [])),
    "a run is forgotten": ("GET", r"/runs\?", _with_body(lambda _: [])),
    "a run never ends": ("GET", "/runs/[^/]+$", _late(lambda body: {**body, "status": "running"})),
    "a thread stays busy": ("GET", "/threads/[^/]+$", _late(lambda body: {**body, "status": "busy"})),
    "a search finds nothing": ("POST", "/threads/search$", _with_body(lambda _: [])),
    "a delete is refused": ("DELETE", "/threads/[^/]+$", _with_code(500)),
    "an update is refused": ("POST", "/state$", _with_code(409)),
    "a join is refused": ("GET", "/join$", _with_code(404)),
}


@pytest.mark.parametrize("name", SPOILT)
def test_the_model_sees_what_is_wrong(name: str, unbroken: tuple[Path, Trace]) -> None:
    method, path, spoil = SPOILT[name]
    _, trace = unbroken
    found = [
        _first_spoilt(sequence, method, path, spoil, trace.notes["settle_s"])
        for sequence in sequences_of(trace)
    ]
    seen = [each for each in found if each is not None]
    assert seen, f"no sequence in which {name} was told, or the model took no offence in any"
    assert {each.requirement for each in seen} <= set(load_catalogue())


def _first_spoilt(
    sequence: Exchanges, method: str, path: str, spoil: Spoil, settle_s: float
) -> Finding | None:
    """What the model says of the sequence with its last such answer spoilt; None where there is none."""
    places = [
        place
        for place, each in enumerate(sequence)
        if each.method == method and re.search(path, each.path) and (each.code or 500) < 300
    ]
    if not places:
        return None
    spoilt = spoil(sequence[places[-1]])
    return first_broken([*sequence[: places[-1]], spoilt, *sequence[places[-1] + 1 :]], PROFILE, settle_s)


def test_the_model_names_requirements_of_the_catalogue() -> None:
    text = Path(inspect.getfile(Model)).read_text()
    named = set(re.findall(r'"([A-Z]+(?:-[A-Z]+)*-\d{3})"', text))
    assert len(named) > 20
    assert named <= set(load_catalogue())


def test_deleted_things_stay_deleted(unbroken: tuple[Path, Trace]) -> None:
    _, trace = unbroken
    gone = [
        (sequence, place)
        for sequence in sequences_of(trace)
        for place, each in enumerate(sequence)
        if each.code == 404 and each.method == "GET"
    ]
    assert gone, "no sequence read what it had deleted"
    for sequence, place in gone[:20]:
        told: Sequence[Exchange] = [*sequence[:place], _with_code(200)(sequence[place])]
        finding = first_broken(told, PROFILE, trace.notes["settle_s"])
        assert finding is not None
        assert finding.requirement in ("THR-DEL-003", "RUN-DEL-001")


def test_a_script_names_no_id_of_the_telling(unbroken: tuple[Path, Trace]) -> None:
    _, trace = unbroken
    sequence = max(sequences_of(trace), key=len)
    told = script(BrokenSequence(sequence, Finding("RUN-WAIT-002", "made up", sequence[-1])))
    commands = [line for line in told.splitlines() if line.startswith("ANSWER")]
    assert not any(re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", line) for line in commands), commands
    assert subprocess.run(["/bin/sh", "-n"], input=told, text=True, check=False).returncode == 0


def test_it_runs_and_is_told_of_only_where_it_is_asked_for(tmp_path: Path) -> None:
    done = runstone("check", "--area", "meta", "--area", "page", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    told = {each["id"] for each in json.loads((tmp_path / "report.json").read_text())["verdicts"]}
    exploring = {each.id for area in ("explore", "fuzz") for each in load_catalogue().select(area=area)}
    assert told == set(load_catalogue().of_checks) - exploring
    assert not (tmp_path / "evidence" / "traces" / "explore.json").exists()


def test_what_is_named_and_did_not_run_is_told_of(tmp_path: Path) -> None:
    """A judge of what explores that is asked for by its id, and not by its area, has nothing to read."""
    done = runstone("check", "--select", "META-001", "--select", "EXPLORE-*", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {each["id"]: each for each in json.loads((tmp_path / "report.json").read_text())["verdicts"]}
    assert verdicts["EXPLORE-001"]["verdict"] == "not-run"
    assert "only where its area is selected" in verdicts["EXPLORE-001"]["cases"][0]["reason"]
    assert "ROB-001" not in verdicts
