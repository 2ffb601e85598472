"""Judging without pytest: what a suite declares, what a judge is given, and what its end means."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from runstone.contracts import load_catalogue, load_profile
from runstone.judge.declaring import (
    BadDeclaration,
    View,
    cases,
    declaration_of,
    needs,
    requirement,
    row,
    view,
)
from runstone.judge.judges import Judge, judges_of
from runstone.judge.observed import Observed
from runstone.judge.running import Judgement, run
from runstone.scenario.scenario import Scenario, scenario
from runstone.suite import Api, has, none_broken, sent
from runstone.target.capabilities import Capability
from runstone.wire.documents import Missing
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Inapplicable, Trace
from tests.exchanges import event, streamed

MUST, SHOULD = "RUN-LIST-001", "RUN-LIST-003"


@scenario(agent=True)
async def turn(api: Api) -> None:
    """One request, and another where all goes well."""
    thread = await api.create_thread()
    await api.state(thread, label="left")


@scenario(agent=True)
async def other(api: Api) -> None:
    """Another request."""
    await api.server_ok()


@view
def both(turn: Trace, other: Trace) -> dict[str, Trace]:
    """Two traces by name."""
    return {"turn": turn, "other": other}


KNOWN: dict[str, object] = {"turn": turn, "other": other, "both": both}


def exchange(label: str, content: str = "{}", number: int = 1, **members: Any) -> Exchange:
    return Exchange(
        scenario="turn",
        number=number,
        label=label,
        method="GET",
        url=f"http://127.0.0.1:1/{label}",
        sent_at=0.0,
        code=200,
        content=content,
        **members,
    )


TRACES = {
    "turn": Trace(scenario="turn", exchanges=(exchange("create_thread", '{"status": "idle", "n": 3}'),)),
    "other": Trace(scenario="other", exchanges=(exchange("ok", number=2),)),
}


def observed(**changes: Any) -> Observed:
    known = {name: each for name, each in KNOWN.items() if isinstance(each, Scenario)}
    return Observed(profile=load_profile("langgraph"), **{"traces": TRACES, "scenarios": known, **changes})


def judges(function: Callable[..., None], known: Mapping[str, object] = KNOWN) -> list[Judge]:
    declared = declaration_of(function)
    assert declared is not None
    return list(judges_of(function, declared, load_catalogue()[declared.requirement], known.get))


def judged(function: Callable[..., None], given: Observed | None = None, id: str = MUST) -> Judgement:  # noqa: A002
    """What the only case of a function comes to."""
    (judge,) = judges(requirement(id)(function))
    return run(judge, given or observed())


# what a suite declares


def names(function: Callable[..., None]) -> list[str]:
    return [judge.case for judge in judges(function)]


def test_every_row_is_a_case_and_tables_are_multiplied() -> None:
    @requirement(MUST)
    @cases("second", ["x", "y"])
    @cases("first, many", [("a", 1), row("b", None, needs=["store"]), row("c", 2.5, name="named")])
    def judge(first: str, many: object, second: str) -> None:
        """Nothing."""

    found = judges(judge)
    assert [each.case for each in found] == [
        "a-1-x", "a-1-y", "b-None-x", "b-None-y", "named-x", "named-y",
    ]  # fmt: skip
    assert found[3].parameters == {"first": "b", "many": None, "second": "y"}
    assert [each.needs for each in found[1:3]] == [(), ("store",)]
    assert found[0].name == "RUN-LIST-001[a-1-x]"


def test_cases_are_named_as_pytest_names_parameters() -> None:
    @requirement(MUST)
    @cases("value", ["größe", True, {"a": 1}, len, "a\nb"])
    def judge(value: object) -> None:
        """Nothing."""

    assert names(judge) == ["gr\\xf6\\xdfe", "True", "value2", "len", "a\\nb"]


@pytest.mark.parametrize(
    "declare, said",
    [
        (lambda: cases("a, b", [(1, 2), (3,)]), "has 1 values"),
        (lambda: cases("a", ["x", "y", "x"]), "two cases of a have the name 'x'"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(declare: Callable[[], object], said: str) -> None:
    with pytest.raises(BadDeclaration, match=said):
        declare()


def test_an_argument_that_stands_for_nothing_is_named() -> None:
    def judge(turns: Trace) -> None:
        """Nothing."""

    with pytest.raises(BadDeclaration, match=r"asks for 'turns', which is not a scenario"):
        judges(requirement(MUST)(judge))


def test_a_judge_tells_what_it_reads() -> None:
    @requirement(MUST)
    @needs("crons")
    @cases("outcome, entry_point", [("success", "wait")])
    def judge(outcome: str, entry_point: str, both: dict[str, Trace], traces: list[Trace]) -> None:
        """Nothing."""

    (found,) = judges(judge)
    assert [each.name for each in found.scenarios] == ["turn", "other"]
    assert found.reads_all
    assert found.cell == ("success", "wait")
    assert found.needs == ("crons",)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.case = "another"  # type: ignore[misc]


# what a judge is given


def test_arguments_are_traces_views_profile_and_parameters() -> None:
    given: dict[str, Any] = {}

    @cases("word", ["x"])
    def judge(word: str, turn: Trace, both: dict[str, Trace], profile: Any, traces: list[Trace]) -> None:
        given.update(word=word, turn=turn, both=both, profile=profile.name, traces=traces)

    assert judged(judge).case.verdict == "pass"
    assert given["both"] == TRACES
    assert (given["word"], given["turn"], given["profile"]) == ("x", TRACES["turn"], "langgraph")
    assert [trace.scenario for trace in given["traces"]] == ["other", "turn"]


def test_a_monitor_reads_only_what_it_is_given_to_read() -> None:
    seen: list[str] = []

    def judge(turn: Trace, traces: list[Trace]) -> None:
        assert turn.scenario == "turn"
        seen.extend(trace.scenario for trace in traces)

    assert judged(judge, observed(among={"other"})).case.verdict == "pass"
    assert seen == ["other"]


def test_nothing_observed_is_changed_and_nothing_is_kept_from_one_call_to_the_next() -> None:
    def judge(turn: Trace) -> None:
        assert turn.create_thread.object["n"] == 3

    before = dict(TRACES)
    first, second = judged(judge), judged(judge)
    assert first == second
    assert [each.key for each in first.read] == ["turn#1"]
    assert before == TRACES
    assert has("anything")  # outside of a run nothing is known of a target


def test_a_view_of_all_traces_is_made_once_and_read_by_every_judge() -> None:
    made: list[list[Trace]] = []

    @view
    def statuses(traces: list[Trace]) -> list[str]:
        made.append(traces)
        return [each.create_thread.object["status"] for each in traces if each.scenario == "turn"]

    @requirement(MUST)
    def judge(statuses: list[str]) -> None:
        assert statuses == ["idle"]

    (monitor,) = judges(judge, {"statuses": statuses})
    assert monitor.reads_all
    seen, narrower = observed(), observed(among={"other"})
    first, second = run(monitor, seen), run(monitor, seen)
    assert first == second
    assert [each.key for each in second.read] == ["turn#1"]
    assert len(made) == 1
    assert run(monitor, narrower).case.verdict == "fail"
    assert run(monitor, dataclasses.replace(seen, among={"other"})).case.verdict == "fail"
    assert len(made) == 3


def test_a_view_that_cannot_be_made_tells_every_judge_what_was_read() -> None:
    @view
    def gone(traces: list[Trace]) -> object:
        return [each.exchanges[0].object["nothing"] for each in traces]

    @requirement(MUST)
    def judge(gone: object) -> None:
        raise AssertionError(gone)

    (monitor,) = judges(judge, {"gone": gone})
    first, second = run(monitor, observed()), run(monitor, observed())
    assert first.case == second.case
    assert (first.case.verdict, [each.key for each in first.read]) == ("not-testable", ["turn#2"])


# what becomes of what it raises


def test_what_is_broken_is_told_with_its_exchanges() -> None:
    def judge(turn: Trace) -> None:
        if turn.create_thread.object["status"] != "busy":
            raise AssertionError("wanted busy, got idle")

    case = judged(judge).case
    assert (case.verdict, case.reason, case.exchanges) == ("fail", "wanted busy, got idle", ("turn#1",))
    assert case.curl[0].startswith("curl ")
    assert judged(judge, id=SHOULD).case.verdict == "warn"


def test_a_monitor_names_what_it_found() -> None:
    def judge(traces: list[Trace]) -> None:
        none_broken((each, "is odd") for trace in traces for each in trace.exchanges if each.label == "ok")

    judgement = judged(judge)
    assert judgement.case.reason == "turn#2 GET is odd"
    assert [each.label for each in judgement.read] == ["ok"]


def test_a_monitor_names_what_it_could_not_read() -> None:
    """Not all that it had read before: what is observed again is the scenario that it could not judge."""

    def judge(traces: list[Trace]) -> None:
        none_broken((each, "is odd") for trace in traces for each in trace.exchanges if not each.json)

    traces = {
        f"number {n}": Trace(scenario="turn", exchanges=(exchange("ok", "[1]", n),)) for n in range(1, 60)
    }
    cut = Trace(scenario="turn", exchanges=(exchange("ok", "[1", 60, failure="it was reset"),))
    case = judged(judge, observed(traces={**traces, "the last": cut})).case
    assert (case.verdict, case.exchanges) == ("not-testable", ("turn#60",))


@pytest.mark.parametrize(
    "read, verdict, said",
    [
        (lambda trace: trace.create_thread.object["colour"], "not-testable", 'has no "colour"'),
        (lambda trace: trace.create_thread.object["n"]["x"], "not-testable", "at /n: wanted an object"),
        (lambda trace: trace.left, "not-testable", "turn has no 'left'"),
        (lambda trace: trace.note("client"), "not-testable", "turn has no 'client'"),
        (lambda trace: trace.lfet, "harness-error", "the name 'lfet'; did you mean left?"),
        (lambda trace: trace.find("create_threads"), "harness-error", "did you mean create_thread?"),
        (lambda trace: trace.part("wiat"), "harness-error", "did you mean wait?"),
        (lambda trace: trace.note("clients"), "harness-error", "did you mean client?"),
        (lambda _: {"a": 1}["x"], "harness-error", "the judge itself failed: KeyError: 'x'"),
        (lambda _: [].foo, "harness-error", "AttributeError"),  # type: ignore[attr-defined]
        (lambda trace: trace.create_thread.object.foo, "harness-error", "there is no 'foo'"),
        (lambda _: 1 / 0, "harness-error", "ZeroDivisionError"),
    ],
)
def test_only_what_the_target_said_excuses_a_judge(
    read: Callable[[Trace], object], verdict: str, said: str
) -> None:
    def judge(turn: Trace) -> None:
        read(turn)

    case = judged(judge).case
    assert case.verdict == verdict
    assert said in case.reason


@pytest.mark.parametrize(
    "changes, verdict, said",
    [
        ({"traces": {}}, "not-run", "the evidence has no trace of turn"),
        ({"traces": {}, "stopped": "the budget was used up"}, "not-run", "the budget was used up"),
        ({"crashed": {"turn": "KeyError: 'own fault'"}}, "harness-error", "the scenario itself failed"),
        ({"capabilities": {"crons": Capability(declared=False, probed=False)}}, "not-applicable", "no crons"),
    ],
)
def test_what_was_not_observed_is_not_judged(changes: dict[str, Any], verdict: str, said: str) -> None:
    @needs(*changes.get("capabilities", ()))
    def judge(turn: Trace) -> None:
        """Passes."""

    case = judged(judge, observed(**changes)).case
    assert case.verdict == verdict
    assert said in case.reason


def test_a_monitor_passes_only_where_all_was_observed() -> None:
    def nothing(traces: list[Trace]) -> None:
        """Passes."""

    def something(traces: list[Trace]) -> None:
        raise Missing(f"there is no history in {len(traces)} traces")

    stopped = judged(nothing, observed(stopped="interrupted")).case
    assert (stopped.verdict, stopped.reason) == ("not-run", "not all was observed: interrupted")
    assert judged(something).case.verdict == "not-testable"
    assert judged(something, observed(narrowed=True)).case.verdict == "not-run"


def test_what_does_not_apply_says_so() -> None:
    def judge(turn: Trace) -> None:
        raise Inapplicable(f"the target of {turn.scenario} need not have it")

    case = judged(judge).case
    assert (case.verdict, case.reason) == ("not-applicable", "the target of turn need not have it")


def test_ctrl_c_goes_through() -> None:
    def judge() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(judge)


def test_judging_knows_nothing_of_pytest() -> None:
    program = "import sys, runstone.suite, runstone.judge.running; sys.exit('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert isinstance(both, View)


# --- what a promise demands, and what it only rests on -----------------------------------------------------


def test_a_whole_stream_without_the_promised_events_breaks_the_promise() -> None:
    whole = streamed(event("metadata"), event("values"))
    with pytest.raises(AssertionError, match="streamed no event 'custom', only: metadata, values"):
        sent(whole, "custom")
    assert [each.event for each in sent(whole, "values")] == ["values"]


@pytest.mark.parametrize(
    "stream",
    [
        streamed(event("metadata"), event("error")),
        streamed(event("metadata"), failure="reset by the server"),
        streamed(event("metadata"), closed_by_client=True),
        streamed(),
        streamed(event("metadata"), code=400),
    ],
)
def test_a_stream_that_says_nothing_of_the_promise_does_not_break_it(stream: Exchange) -> None:
    with pytest.raises(Missing):
        sent(stream, "custom")
