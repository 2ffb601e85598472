"""The first minutes of a user: graphs out of the wheel, an agent on the command line, nothing at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runstone.errors import UsageError
from runstone.locations import CHECKOUT
from runstone.scenario.runs import creates_run
from runstone.session import evidence
from runstone.session.options import given
from runstone.session.own_agent import of_words
from runstone.target import doctor
from runstone.target.agents import NO_RUNS, Agent, InterruptedTurn, Turn
from tests.command_line import command, judged, one_line_of_error, runstone, started

# --- graphs export -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["python", "typescript"])
def test_the_exported_graphs_can_be_served(tmp_path: Path, language: str) -> None:
    folder = tmp_path / "graphs"
    done = runstone("graphs", "export", str(folder), "--language", language)
    assert done.returncode == 0, done.stderr
    assert f"cd {folder}" in done.stdout
    assert "--n-jobs-per-worker 10" in done.stdout
    assert "runstone check http://127.0.0.1:2024 --quick" in done.stdout
    graphs = json.loads((folder / "langgraph.json").read_text("utf-8"))["graphs"]
    assert {"echo", "steps", "interrupt"} <= graphs.keys()
    assert all((folder / place.partition(":")[0]).is_file() for place in graphs.values())
    assert "Beside your own" in (folder / "SERVING.md").read_text("utf-8")
    assert not list(folder.rglob("__pycache__"))


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", "utf-8")
    done = runstone("graphs", "export", str(tmp_path))
    assert done.returncode == 2
    assert "exists and is not empty; name a new folder" in one_line_of_error(done)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    done = runstone("graphs", "export", str(tmp_path / "file" / "graphs"))
    assert done.returncode == 2
    assert "name another folder" in one_line_of_error(done)


# --- an agent on the command line --------------------------------------------------------------------------


def test_an_agent_is_made_of_its_words() -> None:
    asked = given(
        agent_id="mine",
        agent_input='{"q": 1}',
        agent_error_input="[]",
        agent_interrupt_input="{}",
        agent_resume='"yes"',
    )
    assert of_words(asked)["agent"] == Agent(
        assistant="mine",
        success=Turn(input={"q": 1}),
        error=Turn(input=[]),
        interrupt=InterruptedTurn(input={}, resume="yes"),
    )
    assert of_words(given(quick=True)) == {}


@pytest.mark.parametrize(
    "words, wrong",
    [
        (given(agent_id="mine"), "--agent needs --input"),
        (given(agent_input="{}"), "name it by --agent ID"),
        (given(agent_id="mine", agent_input="{"), "--input '{' is not JSON"),
        (given(agent_id="mine", agent_input="{}", agent_resume="1"), "need each other"),
        (given(agent_id="mine", agent_input="{}", agent_interrupt_input="1"), "need each other"),
        (given(agent_id="mine", agent_input="{}", no_graphs=True), "give one of them"),
    ],
)
def test_words_that_name_no_agent_say_what_is_missing(words: dict[str, object], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong.replace("{", r"\{")) as raised:
        of_words(words)
    assert "\n" not in str(raised.value)


# --- a server without the graphs ---------------------------------------------------------------------------


@contextmanager
def serving_an_agent(folder: Path) -> Iterator[str]:
    """The reference runtime with the concierge, and without the conformance graphs; its URL."""
    shutil.copytree(CHECKOUT / "fixtures/agents/python", folder / "agent")
    words = ("serve", "--port", "0", "--graphs", str(folder / "agent" / "langgraph.json"))
    with started(command, *words) as server:
        yield server.first_line().split()[-1]


@pytest.fixture(scope="module")
def without_graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_an_agent(tmp_path_factory.mktemp("agent")) as url:
        yield url


def test_exit_3_says_what_was_met_what_is_served_and_both_ways_on(
    without_graphs: str, tmp_path: Path
) -> None:
    done = runstone("check", without_graphs, "--out", str(tmp_path))
    assert done.returncode == 3
    line = one_line_of_error(done)
    assert "there is no assistant 'echo'" in line
    served = re.search(r"it serves ([a-z, ]+);", line)
    assert served
    assert sorted(served[1].split(", ")) == ["concierge", "support"]
    assert "runstone graphs export DIR" in line
    assert re.search(rf"runstone check {without_graphs} --agent (concierge|support) --input JSON", line)
    assert "fixtures/" not in line


def test_without_graphs_what_needs_no_run_is_judged(without_graphs: str, tmp_path: Path) -> None:
    done = runstone("check", without_graphs, "--no-graphs", "--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert NO_RUNS in done.stdout.splitlines()[-1]
    kept = {name for name, verdict in judged(tmp_path / "report.json") if verdict == "pass"}
    assert {"ASST", "ERR", "META", "STORE", "THR"} <= {name.partition("-")[0] for name in kept}
    asked = [each for trace in evidence.read(tmp_path / "evidence")[1].values() for each in trace.exchanges]
    assert asked
    assert not [each.where for each in asked if creates_run(each.method, each.path)]


def test_an_agent_needs_no_file(without_graphs: str, tmp_path: Path) -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": "What is there to do today?"}]})
    words = ("--agent", "concierge", "--input", asked, "--area", "run-wait", "--quick")
    done = runstone("check", without_graphs, *words, "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "concierge: judged" in done.stdout


# --- doctor ------------------------------------------------------------------------------------------------


def test_the_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(doctor, "_packages_of", lambda _: ["no-such-package"])
    found = {each.what: each for each in doctor.examine()}
    assert found["node"].standing == "missing"
    assert "Node.js" in found["node"].fix
    assert found["extra fuzz"].fix == "pip install 'runstone[fuzz]'"
    assert "lacks no-such-package" in found["extra fuzz"].detail
    assert {"recipe embedded", "recipe langgraph-py", "cache", "browser"} <= found.keys()


def test_the_doctor_speaks_on_the_command_line() -> None:
    done = runstone("doctor")
    assert done.returncode == 0, done.stderr
    assert "extra embedded" in done.stdout
