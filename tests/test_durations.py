"""What scenarios cost: by the contracts, by a file of the user's own, or by evidence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from runstone.scenario.division import divided
from runstone.scenario.estimate import Cost, choose_costs, recorded_costs
from runstone.scenario.scenario import AT_ANY_TIME, Scenario
from runstone.session.durations import costs_in
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace
from tests.command_line import one_line_of_error, runstone
from tests.durations import line

ID, OTHER_ID = "6ba7b821-9dad-11d1-80b4-00c04fd430c8", "7ba7b821-9dad-11d1-80b4-00c04fd430c8"


@pytest.fixture(autouse=True)
def shipped() -> Iterator[None]:
    """The costs of the contracts, before and after."""
    choose_costs(None)
    yield
    choose_costs(None)


async def nothing(_: object) -> None:
    """Send nothing."""


def shares() -> set[tuple[str, ...]]:
    scenarios = [Scenario(name, nothing, AT_ANY_TIME) for name in ("a", "b", "c")]
    return set(divided(scenarios, [], 2).shards)


def test_a_file_says_how_scenarios_are_shared_out(tmp_path: Path) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text("a: {seconds: 9, runs: 0}\nb: {seconds: 1, runs: 0}\nc: {seconds: 1, runs: 0}\n", "utf-8")
    assert len(recorded_costs()) > 100
    open_session(given(target_name="http://127.0.0.1:9", durations=file, out=tmp_path), lambda _: None)
    assert set(recorded_costs()) == {"a", "b", "c"}
    assert shares() == {("a",), ("b", "c")}
    open_session(given(target_name="http://127.0.0.1:9", out=tmp_path), lambda _: None)
    assert len(recorded_costs()) > 100


def sent(method: str, path: str, body: str) -> Exchange:
    return Exchange(
        scenario="s",
        part="",
        number=1,
        label="",
        method=method,
        url=f"http://h{path}",
        sent_at=0.0,
        code=200,
        content=body,
        response_headers=(("content-type", "application/json"),),
        finished_after=0.1,
    )


def test_evidence_says_what_its_scenarios_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = f'{{"thread_id": "{ID}"}}'
    made = (
        sent("POST", "/threads", thread),
        sent("POST", f"/threads/{ID}/runs", f'{{"run_id": "{OTHER_ID}", "thread_id": "{ID}"}}'),
        sent("GET", f"/threads/{ID}", thread),
    )
    traces = {
        "s": Trace(scenario="s", exchanges=made, started_at=1.0, finished_at=3.25),
        "s@2": Trace(scenario="s", exchanges=made, started_at=0.0, finished_at=9.0),
        "self_check": Trace(scenario="self_check"),
        "without": Trace(scenario="without", inapplicable={"": "no store"}),
    }
    recorded = SimpleNamespace(turn_s=0.5)  # all that is asked of its manifest
    monkeypatch.setattr("runstone.session.durations.evidence.read", lambda _: (recorded, traces))
    assert costs_in(tmp_path) == {"s": Cost(seconds=1.8, runs=1, threads=1)}


def test_an_entry_tells_runs_always_and_other_things_where_there_are_some() -> None:
    assert line("s", Cost(seconds=1.25, runs=0)) == "s: {seconds: 1.2, runs: 0}"
    assert line("s", Cost(seconds=2.0, runs=3, crons=1)) == "s: {seconds: 2.0, runs: 3, crons: 1}"


@pytest.mark.parametrize(
    "text, said",
    [
        (None, "cannot read"),
        ("a: {second: 1}", "unknown key 'second'"),
        ("a: [", "is not valid YAML"),
        ("a: 1", "costs.yaml"),
    ],
)
def test_a_file_that_is_none_is_one_line(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.yaml"
    if text is not None:
        file.write_text(text, "utf-8")
    done = runstone("check", "http://127.0.0.1:9", "--durations", str(file), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert said in one_line_of_error(done)
