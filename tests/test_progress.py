"""What is told of a session that goes on: the line at its start, how far it is, and that no log is silent."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from runstone.cli.progress import duration, shown_progress, start_line
from runstone.scenario.api import Api
from runstone.scenario.estimate import expected_creations, expected_seconds, recorded_costs
from runstone.scenario.fitness import Fitness
from runstone.scenario.phases import Phases
from runstone.scenario.progress import Begun, Course, Faster, Known, Step, begun_of
from runstone.scenario.scenario import Scenario, Schedule
from tests.command_line import runstone


async def nothing(_: Api) -> None:
    """A scenario's drive."""


def begun(
    capacity: int,
    known: Known = "measured",
    more: Faster | None = None,
    agent: str = "",
    quick_s: float | None = None,
) -> Begun:
    return Begun(
        scenarios=150,
        capacity=capacity,
        known=known,
        turn_s=0.6,
        seconds=470.0,
        creates={"runs": 380, "threads": 460},
        more=more,
        agent=agent,
        quick_s=quick_s,
    )


@pytest.mark.parametrize(
    "told, line",
    [
        (begun(32), "the target executes 32 runs or more at a time: about 8 min"),
        (begun(4, "declared"), "the target executes 4 runs at a time, as declared: about 8 min"),
        (
            begun(1, more=Faster(capacity=10, how="`--n-jobs-per-worker 10`", seconds=62.0), quick_s=190.0),
            "the target executes 1 run at a time: about 8 min; `--n-jobs-per-worker 10` makes it 60 s; "
            "--quick takes 3 min",
        ),
        (
            begun(2, more=Faster(capacity=10, how="", seconds=121.0)),
            "the target executes 2 runs at a time: about 8 min; 10 at a time would make it 2 min",
        ),
        (
            begun(1, "assumed", agent="concierge"),
            "the target is asked for 1 run at a time, as nobody says how many it executes (--capacity N): "
            "about 380 runs of concierge, about 8 min",
        ),
    ],
)
def test_the_line_at_the_start(told: Begun, line: str) -> None:
    assert start_line(told) == line
    assert start_line(told, "theirs") == line.replace("the target", "theirs", 1)


@pytest.mark.parametrize(
    "seconds, said", [(0.2, "1 s"), (7.4, "7 s"), (23.0, "25 s"), (98.0, "100 s"), (446.0, "7 min")]
)
def test_a_duration_is_no_more_precise_than_a_guess(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def fitness(turn_s: float, *, info: frozenset[str] = frozenset()) -> Fitness:
    return Fitness(
        answers=True,
        fit=True,
        reason="",
        server="",
        probed={},
        turn_s=turn_s,
        answer_s=0.02,
        info=info,
    )


def test_who_is_known_to_get_more_workers_is_told_how() -> None:
    long = [Scenario(f"s{number}", nothing, Schedule(waits=3.0)) for number in range(100)]
    phases = Phases.of(long, shared=False, slow=True)
    known = begun_of(
        phases,
        fitness(0.6, info=frozenset({"langgraph_py_version"})),
        capacity=1,
        known="measured",
        confirms=True,
    )
    other = begun_of(phases, fitness(0.6), capacity=1, known="measured", confirms=True)
    assert known.more is not None
    assert other.more is not None
    assert (known.more.how, known.more.capacity) == ("`--n-jobs-per-worker 10`", 10)
    assert (other.more.how, other.more.capacity) == ("", 10)
    assert known.more.seconds < known.seconds
    assert begun_of(phases, fitness(0.6), capacity=10, known="measured", confirms=True).more is None


def test_what_would_not_be_faster_is_not_recommended() -> None:
    alone = Phases.of([Scenario("s", nothing, Schedule(waits=20.0))], shared=False, slow=False)
    assert begun_of(alone, fitness(0.1), capacity=1, known="measured", confirms=True).more is None


def test_what_may_be_confirmed_takes_as_long_however_many_runs_go_on_at_once() -> None:
    brief = Phases.of(
        [Scenario(f"s{n}", nothing, Schedule(waits=5.0)) for n in range(60)], shared=False, slow=True
    )
    cost = [
        begun_of(brief, fitness(0.6), capacity=capacity, known="measured", confirms=True).seconds
        - begun_of(brief, fitness(0.6), capacity=capacity, known="measured", confirms=False).seconds
        for capacity in (1, 4)
    ]
    assert cost == pytest.approx([60.0, 60.0])


def test_a_first_verdict_is_offered_where_all_of_it_takes_long() -> None:
    brief = [Scenario(f"s{number}", nothing) for number in range(10)]
    long = [Scenario(f"long{number}", nothing, Schedule(waits=20.0)) for number in range(10)]
    told = begun_of(
        Phases.of(brief + long, shared=False, slow=True),
        fitness(0.6),
        capacity=1,
        known="measured",
        confirms=True,
    )
    assert told.seconds > 200
    assert told.quick_s is not None
    assert told.quick_s < 60
    quick = begun_of(
        Phases.of(brief, shared=False, slow=True), fitness(0.6), capacity=1, known="measured", confirms=True
    )
    assert quick.quick_s is None, "it is the quick one"


def test_what_is_created_is_summed_by_kind() -> None:
    known = recorded_costs()["crons_made_and_changed"]
    assert known.crons > 0
    made = expected_creations([Scenario("crons_made_and_changed", nothing), Scenario("made_up", nothing)])
    assert made["crons"] == known.crons
    assert made["runs"] == known.runs + 1  # of one that nobody has recorded
    assert "items" not in made


def test_a_course_goes_by_cost_and_ends_with_nothing_left() -> None:
    brief = [Scenario(f"s{number}", nothing, Schedule(steady=True)) for number in range(4)]
    long = Scenario("long", nothing, Schedule(waits=30.0))
    phases = Phases.of([*brief, long], shared=False, slow=True)
    course = Course(phases, expected_s=60.0, turn_s=0.5)
    steps = [course.end(each.name, 1.0) for each in brief] + [course.end("long", 31.0)]
    assert [(each.done, each.total) for each in steps] == [(number, 5) for number in range(1, 6)]
    left = [each.left_s for each in steps]
    assert left == sorted(left, key=lambda each: -(each or 0.0))
    assert left[3] is not None
    assert left[3] > 20.0  # four of five have ended, and most of the time is still to come
    assert left[4] == 0.0


def test_what_comes_alone_at_the_end_is_left_until_then() -> None:
    many = [Scenario(f"s{number}", nothing) for number in range(50)]
    alone = Scenario("alone", nothing, Schedule(waits=20.0, alone=True))
    course = Course(Phases.of([*many, alone], shared=False, slow=True), expected_s=30.0, turn_s=0.01)
    steps = [course.end(each.name, 1.0) for each in many]
    assert (steps[-1].left_s or 0.0) >= 19.0
    assert course.end("alone", 25.0).left_s == 0.0


def test_more_workers_never_take_longer() -> None:
    scenarios = [Scenario(f"s{number}", nothing, Schedule(waits=number % 7)) for number in range(60)]
    phases = Phases.of(scenarios, shared=False, slow=True)
    times = [expected_seconds(phases, capacity=each, turn_s=0.6) for each in (1, 2, 4, 10, 32)]
    assert times == sorted(times, reverse=True)


def test_a_piped_log_is_never_silent() -> None:
    file = io.StringIO()
    with shown_progress(Console(file=file, width=60), every_s=0.01) as shown:
        shown(begun(1))
        shown(Step(doing="observing", name="s", done=34, total=165, left_s=300.0))
        while file.getvalue().count("\n") < 3:
            time.sleep(0.01)
    lines = file.getvalue().splitlines()
    assert lines[0] == start_line(begun(1))
    assert lines[1] == lines[2] == "observing: 34 of 165, after 1 s, about 5 min left"


def test_a_terminal_gets_a_bar_and_keeps_the_line_of_the_start() -> None:
    file = io.StringIO()
    with shown_progress(Console(file=file, width=100, force_terminal=True)) as shown:
        shown(begun(1), "theirs")
        shown(Step(doing="confirming", name="s", done=1, total=3), "theirs")
    assert start_line(begun(1), "theirs") in file.getvalue()
    assert "confirming" in file.getvalue()
    assert "theirs: s" in file.getvalue()


def test_a_check_says_what_it_found_and_expects(tmp_path: Path) -> None:
    done = runstone("check", "--area", "run-get", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"the target executes 32 runs at a time, as declared: about \d+ s\n", done.stderr)
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    phases = found["phases"]
    assert found["duration_s"] == pytest.approx(sum(phases.values()), abs=0.02)
    assert min(phases["observe_s"], phases["clean_s"], phases["judge_s"]) > 0
    evidence = sorted((tmp_path / "evidence/traces").glob("*.json"))
    ended = max(json.loads(path.read_text("utf-8"))["finished_at"] for path in evidence)
    # It is counted from the first request, and told to the hundredth of a second.
    assert phases["observe_s"] + phases["prepare_s"] >= ended - 0.02
