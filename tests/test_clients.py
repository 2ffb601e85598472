"""The official clients as programs: what they tell of a good server, and of a machine that lacks them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone.locations import locate
from runstone.scenario import clients
from runstone.scenario.clients import ClientBroken, NoSuchClient, serving_client
from runstone.target.target import Target
from runstone.wire.limits import Limits
from runstone.wire.recorder import Recorder
from runstone.wire.recording import Recording
from tests.command_line import runstone
from tests.reference.server import Server, launched
from tests.servers import Heard, heard_by, reply

STEPS = {"assistant": "steps", "input": {}}
DONE = ["s1", "s2", "s3"]
SDKS = ("python_sdk", "node_sdk")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One reference runtime for the whole file."""
    with launched() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of a user, in which no client is installed."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache"


def holding(
    url: str, client: str, turns: dict[str, dict[str, Any]], headers: dict[str, str] | None = None
) -> Recording:
    """The recording of a client that holds these turns."""
    target = Target(name="test", url=url, assistants={"mapped": "steps"})
    recording = Recording("turns")

    async def hold() -> None:
        async with (
            Recorder(url, headers or {}, Limits()) as recorder,
            serving_client(client, target, recorder, recording) as at_work,
        ):
            await asyncio.gather(*(at_work.turn(name, **turn) for name, turn in turns.items()))

    asyncio.run(hold())
    return recording


def insist_on(client: str) -> None:
    """Skip where this machine lacks Node; the Python clients come with the tests' own requirements."""
    reason = clients.missing([client]).get(client)
    if reason is not None and client == "node_sdk":
        pytest.skip(reason)
    assert reason is None, reason


@pytest.mark.parametrize("client", SDKS)
def test_an_sdk_tells_values_errors_interrupts_and_ids(server: Server, client: str) -> None:
    insist_on(client)
    turns: dict[str, dict[str, Any]] = {
        "wait": {"do": "wait", **STEPS},
        "mapped": {"do": "background", "assistant": "mapped", "input": {}},
        "stream": {"do": "stream", **STEPS, "modes": ["values"]},
        "failing": {"do": "wait", "assistant": "fail", "input": {"message": "cold"}},
        "refused": {"do": "refused", "assistant": "nobody"},
        "deleted": {"do": "delete", **STEPS},
        "interrupt": {"do": "interrupt", "assistant": "interrupt", "input": {}, "answer": 7},
    }
    recording = holding(server.url, client, turns)
    outcomes = {name: recording.notes[f"{name}.outcome"] for name in turns}
    assert recording.blocked == {}
    assert outcomes["wait"]["values"]["log"] == DONE
    assert outcomes["wait"]["status"] == "success"
    assert outcomes["wait"]["listed"] == [outcomes["wait"]["created"][0]["run_id"]]
    assert outcomes["mapped"]["values"]["log"] == DONE
    assert outcomes["stream"]["events"][-1]["data"]["log"] == DONE
    assert "cold" in outcomes["failing"]["error"]["message"]
    assert outcomes["refused"]["error"]["status"] in {404, 422}
    assert outcomes["deleted"]["error"]["status"] == 404
    assert outcomes["interrupt"]["interrupts"] == [{"question": "proceed?"}]
    assert outcomes["interrupt"]["values"]["answer"] == 7


@pytest.mark.parametrize("client", clients.CLIENTS)
def test_a_client_reconnects_and_the_trace_shows_it(server: Server, client: str) -> None:
    insist_on(client)
    turn = {"do": "stream", "assistant": "slow", "input": {"sleep": 0.6, "ticks": 3}, "modes": ["custom"]}
    recording = holding(server.url, client, {"part": {**turn, "resumable": True, "cut_after_events": 3}})
    outcome = recording.notes["part.outcome"]
    handed_on = outcome.get("chunks") or [[each["event"], each["data"]] for each in outcome["events"]]
    assert [data["tick"] for name, data in handed_on if name == "custom"] == [1, 2, 3]
    cut, again, *_ = [each for each in recording.exchanges if each.path.endswith("/stream")]
    assert len(cut.events) == 3
    assert cut.closed_by_client
    assert ("last-event-id", cut.events[2].id) in again.request_headers
    assert {each.part for each in recording.exchanges} == {"part"}


def test_remote_graph_is_used_like_a_graph(server: Server) -> None:
    turns: dict[str, dict[str, Any]] = {
        "invoke": {"do": "wait", **STEPS},
        "failing": {"do": "wait", "assistant": "fail", "input": {}},
        "state": {"do": "state", **STEPS, "values": {"note": "n"}, "node": "s3"},
        "graph": {"do": "graph", "assistant": "steps"},
    }
    recording = holding(server.url, "remote_graph", turns)
    assert recording.notes["invoke.outcome"]["values"]["log"] == DONE
    assert recording.notes["failing.outcome"]["error"]["type"] == "RemoteException"
    assert recording.notes["state.outcome"]["values"] == {"log": DONE, "note": "n"}
    assert set(DONE) < set(recording.notes["graph.outcome"]["nodes"])
    assert re.fullmatch(r"langgraph \d+\.\d+\.\d+", recording.notes["client"])


@pytest.mark.parametrize("client", SDKS)
def test_a_client_learns_no_secret_and_sends_no_key_of_the_user(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insist_on(client)
    for name in ("LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://the-users-own.example")

    def echo_the_secret(heard: Heard) -> bytes:
        body = {"thread_id": heard.headers["authorization"]}
        return reply("200 OK", "application/json", json.dumps(body).encode())

    with heard_by(echo_the_secret) as (url, requests):
        turns = {"wait": {"do": "wait", **STEPS}}
        recording = holding(url, client, turns, headers={"Authorization": "Bearer sesame-open"})
    assert requests[0].headers["authorization"] == "Bearer sesame-open"
    assert all("x-api-key" not in heard.headers for heard in requests)
    assert "the-users-own" not in repr(requests)
    assert recording.notes["wait.outcome"]["thread_id"] == "[redacted:authorization]"


def test_a_turn_that_does_not_end_blocks_its_part(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_MARGIN_S", -11.0)
    turn = {"do": "wait", "assistant": "slow", "input": {"sleep": 60}}
    recording = holding(server.url, "python_sdk", {"part": turn})
    assert recording.blocked["part"].startswith("python_sdk did not end its turn 'part' within ")
    assert "part.outcome" not in recording.notes


@pytest.mark.parametrize(
    "program, said",
    [
        ("raise SystemExit('no such luck')", "the program of python_sdk died with code 1: no such luck"),
        ("print('hello')", "the program of python_sdk wrote what is not an outcome: hello"),
        ("print('{}'); print('[]'); input()", "the program of python_sdk wrote what is not an outcome: []"),
        ("print('{}'); input(); raise SystemExit(3)", "the program of python_sdk died with code 3"),
    ],
    ids=["dies", "says hello", "says no object", "dies in a turn"],
)
def test_a_broken_program_is_the_harness_fault(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_command", lambda _name: [sys.executable, "-c", program])
    with pytest.raises(ClientBroken, match=re.escape(said)):
        holding("http://127.0.0.1:9", "python_sdk", {"part": {"do": "wait", **STEPS}})


def test_a_client_that_there_is_not() -> None:
    with pytest.raises(NoSuchClient, match="'ruby_sdk'; there are python_sdk, remote_graph, node_sdk"):
        holding("http://127.0.0.1:9", "ruby_sdk", {})


# a machine without the JavaScript client


def script(folder: Path, name: str, text: str) -> None:
    """An executable of this name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def lacking(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Why the JavaScript client cannot run where PATH is this folder."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(folder))
    reason = clients.missing(["node_sdk"])["node_sdk"]
    assert reason is not None
    assert reason.startswith("this machine, not the target, lacks the official JavaScript client: ")
    assert "\n" not in reason
    return reason.partition(": ")[2]


@pytest.mark.usefixtures("cache")
def test_without_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking(monkeypatch, tmp_path / "bin") == (
        "node is not on PATH; install Node.js 18 or newer, with npm"
    )


@pytest.mark.usefixtures("cache")
def test_with_a_node_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin", "node", "echo v16.20.2")
    script(tmp_path / "bin", "npm", "exit 0")
    assert lacking(monkeypatch, tmp_path / "bin") == "Node.js 18 or newer is needed, got v16.20.2"


def test_with_an_npm_that_reaches_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin", "node", "echo v20.1.0")
    script(tmp_path / "bin", "npm", "echo 'npm error code ENOTFOUND' >&2; exit 1")
    assert lacking(monkeypatch, tmp_path / "bin") == (
        "npm failed: npm error code ENOTFOUND (is its registry in reach?)"
    )
    assert [path.name for path in (cache / "runstone" / "clients").iterdir() if path.is_dir()] == []


def test_installing_happens_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin", "node", "echo v20.1.0")
    script(tmp_path / "bin", "npm", f"echo $@ >> {tmp_path}/calls")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for _ in range(2):
        assert clients.missing(["node_sdk"]) == {"node_sdk": None}
    assert (tmp_path / "calls").read_text().count("ci --prefix") == 1
    (folder,) = (path for path in (cache / "runstone" / "clients").iterdir() if path.is_dir())
    assert (folder / "client.mjs").is_file()


def test_only_capabilities_of_this_machine_are_looked_at() -> None:
    assert clients.missing(["crons", "store"]) == {}


def test_the_lock_file_names_no_registry() -> None:
    lock = locate("fixtures/clients/javascript/package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert json.loads(lock)["packages"]["node_modules/@langchain/langgraph-sdk"]["version"] == "1.12.0"


def test_a_report_says_whose_lack_it_is(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = runstone("check", server.url, "--select", "SDK-002", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    (verdict,) = (each for each in report["verdicts"] if each["id"] == "SDK-002")
    cases = {each["case"]: each for each in verdict["cases"]}
    assert cases["python_sdk"]["verdict"] == "pass"
    assert cases["python_sdk"]["exchanges"]
    assert cases["node_sdk"]["verdict"] == "not-applicable"
    assert cases["node_sdk"]["reason"].startswith("this machine, not the target, lacks")
    assert os.sep not in cases["node_sdk"]["reason"]
