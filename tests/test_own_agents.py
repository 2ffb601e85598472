"""Own agents: what an assistant of the user's own stands in for, and that it raises no false alarm."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from runstone.judge.confirmation import Doubt, one_run_per_cause
from runstone.judge.words import judging_by
from runstone.locations import locate
from runstone.proof.mutate.judges import Bench
from runstone.scenario.estimate import recorded_costs
from runstone.session.configuration import load
from runstone.suite import Inapplicable, Missing, Trace, agree, applicable, assert_ran, has, ran
from runstone.target import recipes
from runstone.target.agents import GRAPHS, OUTCOMES, Agent, InterruptedTurn, Turn, capabilities, standing_in
from runstone.verdict.model import Case
from runstone.wire.canonical import difference_in_shape
from runstone.wire.exchange import Exchange
from tests.command_line import judged, one_line_of_error, runstone
from tests.servers import LIARS, serving
from tests.test_judges_can_fail import SPOILS, Spoil, judges_of, never_failing, spoilt
from tests.test_lying_servers import unchecked

FOLDER = locate("fixtures/agents/python")
AGENT = load(FOLDER / "runstone.toml")["agent"]
FULL = Agent(
    assistant="mine",
    success=Turn(input={"say": "yes"}),
    error=Turn(input={"say": "no"}),
    interrupt=InterruptedTurn(input={"say": "perhaps"}, resume="go"),
)
ALONE = Agent(assistant="mine", success=Turn(input={"say": "yes"}))


# what it stands in for


@pytest.mark.parametrize(
    "graph, said", [("steps", "yes"), ("slow", "yes"), ("fail", "no"), ("interrupt", "perhaps")]
)
def test_the_agent_replaces_a_graph_and_its_input(graph: str, said: str) -> None:
    body = {"assistant_id": graph, "input": {"note": "x"}, "stream_mode": "values"}
    wanted = {"assistant_id": "mine", "input": {"say": said}, "stream_mode": "values"}
    assert standing_in(FULL, body) == wanted
    assert standing_in(FULL, [body, body]) == [wanted, wanted]
    assert body["assistant_id"] == graph


def test_what_is_no_graph_keeps_its_name_but_gets_an_input() -> None:
    other = {"assistant_id": "no-such-graph", "input": {"note": "x"}}
    assert standing_in(FULL, other) == {"assistant_id": "no-such-graph", "input": {"say": "yes"}}


@pytest.mark.parametrize("body", [{}, {"metadata": {"note": 1}}, {"input": {}}, None, "text", 7])
def test_other_bodies_stay(body: Any) -> None:
    assert standing_in(FULL, body) == body


def test_a_run_that_goes_on_is_given_no_input() -> None:
    resumed = {"assistant_id": "interrupt", "command": {"resume": "yes", "goto": "x"}}
    assert standing_in(FULL, resumed) == {"assistant_id": "mine", "command": {"resume": "go", "goto": "x"}}
    assert standing_in(FULL, {"assistant_id": "steps", "input": None})["input"] is None


@pytest.mark.parametrize("graph, outcome", [("fail", "error"), ("interrupt", "interrupt")])
def test_an_outcome_that_it_lacks_is_inapplicable(graph: str, outcome: str) -> None:
    with pytest.raises(Inapplicable, match=f"mine has no input that ends in {outcome}"):
        standing_in(ALONE, {"assistant_id": graph, "input": {}})


def test_an_assistant_known_by_its_id_does_not_tell_its_graph() -> None:
    assert standing_in(FULL, {"graph_id": "steps"}) == {"graph_id": "mine"}
    own = msgspec.structs.replace(FULL, assistant="6ba7b821-9dad-11d1-80b4-00c04fd430c8")
    with pytest.raises(Inapplicable, match="does not tell its graph"):
        standing_in(own, {"graph_id": "steps"})


def test_capabilities_follow_from_its_inputs() -> None:
    assert all(each.present for each in capabilities(None).values())
    assert {name: each.present for name, each in capabilities(FULL).items()} == {
        GRAPHS: False,
        **dict.fromkeys(OUTCOMES.values(), True),
    }
    assert not any(each.present for each in capabilities(ALONE).values())


# what it costs


def test_at_most_one_run_is_confirmed_per_cause() -> None:
    def doubt(requirement: str, reason: str, *scenarios: str) -> Doubt:
        return Doubt(requirement, Case(case="", verdict="fail", reason=reason), scenarios)

    costs = recorded_costs()
    one = next(name for name, cost in costs.items() if cost.runs == 1)
    none = next(name for name, cost in costs.items() if cost.runs == 0)
    many = next(name for name, cost in costs.items() if cost.runs > 5)
    run = "6ba7b821-9dad-11d1-80b4-00c04fd430c8"
    doubted = [
        doubt("A-001", f"exchange 7: run {run} has no status", one),
        doubt("A-002", f"exchange 12: run {run.replace('6', '7')} has no status", none),
        doubt("B-001", "wanted 404, got 200", many),
        doubt("B-002", "wanted 404, got 201", one, many),
        doubt("C-001", "no header", none),
    ]
    assert [each.requirement for each in one_run_per_cause(doubted)] == ["A-001", "C-001"]


# comparison, and what judges know


@pytest.mark.parametrize(
    "left, right",
    [
        ({"messages": [1, 2]}, {"messages": [3]}),
        ({"messages": [1], "notes": None}, {"messages": [1], "notes": {"a": 1}}),
        ({"messages": [1], "notes": "x"}, {"messages": [1]}),
        ({"messages": []}, {"messages": [1]}),
        ("one", "another"),
        ([1], [1, 2]),
        (1, 2.5),
    ],
)
def test_two_answers_of_one_shape(left: Any, right: Any) -> None:
    assert difference_in_shape(left, right) is None
    assert difference_in_shape(right, left) is None


@pytest.mark.parametrize(
    "left, right, path",
    [
        ({}, {"messages": []}, ""),
        ("", "text", ""),
        ([], [1], ""),
        ({"messages": [1]}, [1], ""),
        (None, {"messages": [1]}, ""),
        (1, True, ""),
        ({"messages": [1]}, {"messages": "1"}, "/messages"),
        ({"a/b": {}}, {"a/b": []}, "/a~1b"),
    ],
)
def test_two_answers_that_cannot_both_be_whole(left: Any, right: Any, path: str) -> None:
    for one, other in ((left, right), (right, left)):
        difference = difference_in_shape(one, other)
        assert difference is not None
        assert difference.path == path


def test_judges_demand_more_of_the_graphs() -> None:
    assert has(GRAPHS)
    with pytest.raises(AssertionError, match="/log"):
        agree({"log": ["a"]}, {"log": ["b"]})
    with pytest.raises(AssertionError, match=r'wanted \["a"\], got \["b"\]'):
        assert_ran({"log": ["b"]}, ["a"])
    with judging_by(lambda name: name != GRAPHS):
        assert not has(GRAPHS)
        assert has("error_outcome")
        agree({"log": ["a"]}, {"log": ["b"]})
        assert ran({"any": "values"}, ["a"])
        nothing: tuple[Any, ...] = ({}, [], None, "text")
        for lost in nothing:
            with pytest.raises(AssertionError, match="wanted the final values"):
                assert_ran(lost, ["a"])
            with pytest.raises(AssertionError):
                agree(lost, {"messages": ["hello"]})
    assert has(GRAPHS)


def test_a_trace_tells_what_does_not_apply_from_what_is_missing() -> None:
    seen = Exchange(
        scenario="s", number=1, label="known", method="GET", url="http://h/ok", sent_at=0, part="one"
    )
    trace = Trace(scenario="s", exchanges=(seen,), inapplicable={"other": "it lacks an input"})
    assert trace.part("one").known is seen
    with pytest.raises(Missing):
        _ = trace.part("one").unknown
    for read in (lambda: trace.part("other"), lambda: trace.unknown, lambda: trace.note("unknown")):
        with pytest.raises(Inapplicable, match="lacks an input"):
            read()
    broken = msgspec.structs.replace(trace, blocked={"one": "no thread"})
    with pytest.raises(Missing, match="no thread"):
        _ = broken.unknown
    assert applicable(trace, Trace(scenario="t")) == [Trace(scenario="t")]


# the whole check, on a server that serves an agent of varying answers and no conformance graph


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference runtime with the agent of fixtures/agents; yields its URL."""
    path = tmp_path_factory.mktemp("recipe") / "concierge.yaml"
    words = ["{python}", "-m", "runstone", "serve", "--port", "{port}", "--db", "{workdir}/runstone"]
    recipe = {
        "name": "concierge",
        "description": "the reference runtime with an agent of its own",
        "command": [*words, "--graphs", "{fixtures}/agents/python/langgraph.json"],
        "ready": {"says": "http://127.0.0.1:{port}", "timeout_s": 60},
    }
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    with recipes.running(recipes.load(str(path))) as running:
        yield running.url


def check(server: str, out: Path, agent: Agent, *words: str) -> dict[str, Any]:
    """Check the server by a runstone.toml that is made for this agent; its report."""
    done = runstone("check", server, "--config", str(configured(out, agent)), "--out", str(out), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
    return found


def configured(folder: Path, agent: Agent) -> Path:
    """A runstone.toml with this agent."""
    lines = ["[agent]", f'assistant = "{agent.assistant}"']
    for outcome in agent.outcomes:
        turn = getattr(agent, outcome)
        lines.append(f"{outcome}.input = {_toml(turn.input)}")
        if outcome == "interrupt":
            lines.append(f"interrupt.resume = {_toml(turn.resume)}")
    path = folder / "runstone.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture(scope="module")
def checked(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the check of the agent left its reports; it conforms."""
    assert AGENT is not None
    out = tmp_path_factory.mktemp("checked")
    check(server, out, AGENT)
    return out


def test_at_least_ninety_requirements_are_judged_and_none_is_broken(checked: Path) -> None:
    found = json.loads((checked / "report.json").read_text("utf-8"))
    counts = Counter(each["verdict"] for each in found["verdicts"])
    assert counts["pass"] >= 90
    assert counts["fail"] + counts["not-testable"] + counts["harness-error"] == 0
    musts = [each for each in found["verdicts"] if each["verdict"] == "warn" and each["level"] != "MAY"]
    assert [each["id"] for each in musts] == []


def test_both_denominators_are_told(checked: Path) -> None:
    found = json.loads((checked / "report.json").read_text("utf-8"))
    share = found["agent"]
    assert share["assistant"] == "concierge"
    assert share["judged"] >= 90
    assert share["need_graphs"] >= 100
    assert share["need_outcome"] == 0
    assert share["requirements"] == share["judged"] + share["need_graphs"]
    said = f"judged {share['judged']} of {share['requirements']} requirements"
    assert found["observation"]["capacity"] is None
    for name in ("summary.md", "report.html"):
        assert "asked for 1 run at a time: nobody says" in (checked / name).read_text("utf-8")
        text = (checked / name).read_text("utf-8")
        assert said in text, name
        assert f"{share['need_graphs']} need the conformance graphs" in text, name
    why = [case["reason"] for each in found["verdicts"] if each["id"] == "CMD-001" for case in each["cases"]]
    assert why == ["it needs the conformance graphs, and what runs here is the agent concierge"] * len(why)
    assert why


def test_offline_the_verdicts_are_the_same(checked: Path, tmp_path: Path) -> None:
    done = runstone("judge", str(checked / "evidence"), "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert judged(tmp_path / "report.json") == judged(checked / "report.json")
    first, again = (json.loads((out / "report.json").read_text("utf-8")) for out in (checked, tmp_path))
    assert again["agent"] == first["agent"]


def test_no_run_names_a_conformance_graph(checked: Path) -> None:
    named = {
        body["assistant_id"]
        for path in (checked / "evidence" / "traces").glob("*.json")
        for exchange in json.loads(path.read_text("utf-8")).get("exchanges", ())
        if exchange.get("request_body", "").startswith("{")
        and isinstance(body := _json(exchange["request_body"]), dict)
        and "assistant_id" in body
    }
    assert "concierge" in named
    assert not named & {"steps", "slow", "echo", "fail", "interrupt", "tools", "config"}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.fixture(scope="module")
def bench(checked: Path) -> Bench:
    return judges_of(checked)


def test_every_judge_that_passes_on_the_agent_can_fail(checked: Path, bench: Bench) -> None:
    assert never_failing(checked, bench) == []


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_no_judge_breaks_on_what_is_spoilt(bench: Bench, spoil: Spoil) -> None:
    broken = [id for id, verdicts in spoilt(bench, spoil).items() if "harness-error" in verdicts]  # noqa: A001
    assert broken == []


@pytest.mark.slow
def test_an_agent_that_only_succeeds_is_judged_on_that(server: str, checked: Path, tmp_path: Path) -> None:
    assert AGENT is not None
    report = check(server, tmp_path, Agent(assistant="concierge", success=AGENT.success))
    share = report["agent"]
    whole = json.loads((checked / "report.json").read_text("utf-8"))["agent"]
    assert share["judged"] >= 60
    assert share["need_outcome"] > 0
    assert share["judged"] + share["need_outcome"] == whole["judged"]
    verdicts = {each["id"]: each for each in report["verdicts"]}
    assert verdicts["RUN-WAIT-002"]["verdict"] == "pass"
    assert verdicts["RUN-LIST-001"]["verdict"] == "pass"
    assert verdicts["RUN-WAIT-006"]["verdict"] == "not-applicable"
    assert {case["reason"] for case in verdicts["RUN-WAIT-006"]["cases"]} == {
        "the agent concierge has no input that ends in interrupt"
    }


@pytest.mark.parametrize(
    "assistant, said", [("no-such-agent", "404"), ("concierge", "exception|fails|error")]
)
def test_an_agent_that_does_not_work_ends_the_check(
    assistant: str, said: str, server: str, tmp_path: Path
) -> None:
    assert AGENT is not None
    assert AGENT.error is not None
    agent = Agent(assistant=assistant, success=AGENT.error)  # its input ends in an error
    path = configured(tmp_path, agent)
    done = runstone("check", server, "--config", str(path), "--out", str(tmp_path))
    assert done.returncode == 3, done.stdout
    line = one_line_of_error(done)
    assert f"cannot be judged on the agent {assistant}" in line
    assert any(word in line for word in said.split("|")), line
    assert {verdict for _, verdict in judged(tmp_path / "report.json")} == {"not-run"}


@pytest.mark.parametrize(
    "name", ["empty object", *(pytest.param(name, marks=pytest.mark.slow) for name in ("404", "echo"))]
)
def test_no_judge_passes_a_liar_on_an_agent(name: str, tmp_path: Path) -> None:
    with serving(LIARS[name]) as url:
        done = unchecked(url, tmp_path, FOLDER / "runstone.toml")
    verdicts = [verdict for _, verdict in judged(tmp_path / "report.json")]
    assert done.returncode == 1, done.stdout[-2000:]
    assert not {"pass", "harness-error"} & {*verdicts}
    assert verdicts.count("not-testable") + verdicts.count("fail") >= 60


def test_the_recipe_of_the_official_server_names_the_same_agent() -> None:
    assert recipes.load("own-agent-py").target("http://h").agent == AGENT
