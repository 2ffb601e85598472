"""What a result says: whose state it is, how the run ended, and in which order paths are tried."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from runstone.errors import UsageError
from runstone.retrieval import (
    AnotherRun,
    ContradictsStatus,
    EmptyResultOfFailedRun,
    Failure,
    FailureNotTold,
    MalformedAnswer,
    NoValues,
    Refused,
    ResultRetriever,
    Strategy,
)
from tests.retrieval.stage import (
    ALL,
    ALONE,
    FOLLOWED,
    LATER,
    QUEUED,
    RUN,
    THREAD,
    TLS,
    VALUES,
    Answer,
    Stage,
    answer,
    event,
    failure,
    heartbeats,
    in_turn,
    listed,
    only,
    retrieve,
    state,
    stream,
    task,
)

# --- whose state it is ------------------------------------------------------------------------------------


def test_later_runs_state_is_no_result(stage: Stage) -> None:
    stage.answers["state"] = answer(state(LATER, {"log": ["other"]}))
    found = failure(only(stage, "state"))
    assert isinstance(found, AnotherRun)
    assert f"the other run {LATER} has written the state since" in str(found)


def test_history_holds_the_runs_own_checkpoint(stage: Stage) -> None:
    stage.answers["state"] = answer(state(LATER, {"log": ["other"]}))
    stage.answers["history"] = answer(
        [state(LATER, {"log": ["other"]}), state(RUN, {"log": ["by hand"]}, source="update"), state()]
    )
    assert only(stage, "state").values == VALUES


@pytest.mark.parametrize("carried", [RUN, None])
@pytest.mark.parametrize("source", ["update", "fork"])
def test_update_by_hand_after_the_run_is_not_its_result(
    stage: Stage, carried: str | None, source: str
) -> None:
    stage.answers["state"] = answer(state(carried, {"log": ["by hand"]}, source=source))
    assert isinstance(failure(only(stage, "state")), AnotherRun)
    stage.answers["history"] = answer([state(RUN.upper())])
    assert only(stage, "state").values == VALUES


def test_history_seen_through_another_graph_is_no_result(stage: Stage) -> None:
    echo, fail = ({"run_id": run, "graph_id": graph} for run, graph in ((RUN, "echo"), (LATER, "fail")))
    stage.answers["state"] = answer(state(LATER, metadata=fail))
    stage.answers["history"] = answer([state(values={"log": []}, metadata=echo)])
    found = failure(only(stage, "state"))
    assert isinstance(found, AnotherRun)
    assert "graph fail" in str(found)
    stage.answers["state"] = answer(state(LATER, metadata=fail | {"graph_id": "echo"}))
    assert only(stage, "state").values == {"log": []}


def test_state_of_another_thread(stage: Stage) -> None:
    stage.answers["state"] = answer(state(checkpoint={"thread_id": LATER}))
    assert isinstance(failure(only(stage, "state")), AnotherRun)


@pytest.mark.parametrize("strategy, body", [("state", state(None)), ("join", VALUES), ("join", state(None))])
def test_answer_that_names_no_run_needs_the_newest_run(
    stage: Stage, strategy: Strategy, body: dict[str, Any]
) -> None:
    stage.answers[strategy] = answer(body)
    for runs in (ALONE, QUEUED):
        stage.answers["runs"] = runs
        assert only(stage, strategy).values == VALUES
    many = [(LATER, f"2026-11-21T09:00:{second:02}Z", "success") for second in range(50)]
    for runs in (
        FOLLOWED,
        listed(),
        listed(*many, *many, (RUN, "2026-11-21T10:00:00Z", "success")),  # a full page, the oldest first
        answer([{"run_id": RUN}]),
        answer({}),
        answer([], 500),
    ):
        stage.answers["runs"] = runs
        assert isinstance(failure(only(stage, strategy)), AnotherRun | MalformedAnswer | Refused)


def test_open_tasks_of_a_checkpoint_count_only_while_the_run_is_the_newest(stage: Stage) -> None:
    asking = state(tasks=[task(interrupts=[{"id": "i", "value": "really?"}])])
    stage.answers["state"] = answer(asking)
    assert only(stage, "state").interrupts == ({"id": "i", "value": "really?"},)
    stage.answers["runs"] = FOLLOWED
    assert isinstance(failure(only(stage, "state")), AnotherRun)


def test_second_pause_in_one_node_shows_on_the_earlier_runs_checkpoint(stage: Stage) -> None:
    stage.answers["state"] = answer(state(LATER, interrupts=[{"id": "i", "value": {"turn": 2}}]))
    stage.answers["runs"] = listed(
        (RUN, "2026-11-21T10:00:01Z", "success"), (LATER, "2026-11-21T10:00:00Z", "success")
    )
    assert only(stage, "state").interrupts == ({"id": "i", "value": {"turn": 2}},)
    stage.answers["runs"] = FOLLOWED
    assert isinstance(failure(only(stage, "state")), AnotherRun)


# --- runs that did not end well ---------------------------------------------------------------------------

BOOM = Failure("ValueError", 'it\'s "broken"\n')


@pytest.mark.parametrize("status", ["error", "timeout"])
@pytest.mark.parametrize(
    "strategy, body",
    [
        (
            "stream",
            stream(event("values", VALUES), event("error", {"error": BOOM.error, "message": BOOM.message})),
        ),
        ("join_stream", stream(event("error", {"error": BOOM.error, "message": BOOM.message}), 30.0)),
        ("state", answer(state(tasks=[task(error="ValueError('it\\'s \"broken\"\\n')")]))),
        ("state", answer(state(tasks=[task(error={"name": BOOM.error, "message": BOOM.message})]))),
        ("join", answer({"__error__": {"error": BOOM.error, "message": BOOM.message}})),
        ("join", answer(state() | {"__error__": {"error": BOOM.error, "message": BOOM.message}})),
    ],
)
def test_failed_run_tells_its_error_and_no_values(
    stage: Stage, status: str, strategy: Strategy, body: Answer
) -> None:
    stage.says(status)
    stage.answers[strategy] = body
    result = only(stage, strategy)
    assert (result.status, result.strategy, result.error) == (status, strategy, BOOM)
    assert result.values is None
    assert not result.complete
    assert result.exit_code == 1


@pytest.mark.parametrize("status", ["error", "timeout"])
@pytest.mark.parametrize(
    "strategy, body",
    [
        ("join", answer({})),
        ("join", answer(None)),
        ("join", answer({"__error__": {}})),
        ("state", answer(state(values={}))),
        ("state", answer(state(None, values={}))),
        ("stream", stream(event("values", {}))),
        ("join_stream", stream(event("metadata", {"run_id": RUN}))),
    ],
)
def test_failed_run_is_never_an_empty_result(
    stage: Stage, status: str, strategy: Strategy, body: Answer
) -> None:
    stage.says(status)
    stage.answers[strategy] = body
    assert isinstance(failure(only(stage, strategy)), EmptyResultOfFailedRun)


@pytest.mark.parametrize("strategy", ALL)
def test_values_of_a_failed_run_are_no_result(stage: Stage, strategy: Strategy) -> None:
    stage.says("error")
    found = failure(only(stage, strategy))
    assert type(found) is FailureNotTold


def test_error_in_the_body_contradicts_success(stage: Stage) -> None:
    stage.answers["join"] = answer({"__error__": {"error": "ValueError", "message": "boom"}})
    assert isinstance(failure(only(stage, "join")), ContradictsStatus)


def test_state_without_values_or_author_is_no_result(stage: Stage) -> None:
    stage.answers["state"] = answer(state(None, values={}))
    assert isinstance(failure(only(stage, "state")), NoValues)


def test_wait_state_join_after_an_update_by_hand(stage: Stage) -> None:
    stage.answers["join"] = answer(state(None, source="update"))
    assert isinstance(failure(only(stage, "join")), AnotherRun)


@pytest.mark.parametrize("body", [{}, None, {"__interrupt__": []}])
def test_nothing_from_join_is_no_result_even_of_a_successful_run(stage: Stage, body: object) -> None:
    stage.answers["join"] = answer(body)
    assert isinstance(failure(only(stage, "join")), NoValues)


ASKED = ({"id": "left", "value": 1}, {"id": "right", "value": 2})


@pytest.mark.parametrize("status", ["success", "interrupted"])
@pytest.mark.parametrize(
    "strategy, body, values",
    [
        (
            "stream",
            stream(event("values", VALUES), event("values", VALUES | {"__interrupt__": ASKED})),
            VALUES,
        ),
        (
            "stream",
            stream(event("values", VALUES), *(event("values", {"__interrupt__": [each]}) for each in ASKED)),
            VALUES,
        ),
        ("state", answer(state(interrupts=ASKED)), VALUES),
        ("state", answer(state(tasks=[task(interrupts=[each]) for each in ASKED])), VALUES),
        ("join", answer({"__interrupt__": ASKED}), None),
    ],
)
def test_paused_run_fills_its_interrupts(
    stage: Stage, status: str, strategy: Strategy, body: Answer, values: object
) -> None:
    stage.says(status)
    stage.answers[strategy] = body
    result = only(stage, strategy)
    assert (result.status, result.interrupts, result.values) == (status, ASKED, values)
    assert not result.complete
    assert result.exit_code == 1


def test_cancelled_run_says_so_by_its_status(stage: Stage) -> None:
    stage.says("interrupted")
    result = only(stage, "state")
    assert (result.status, result.values, result.interrupts) == ("interrupted", VALUES, ())
    assert result.exit_code == 1


def test_run_cancelled_before_it_began_has_no_values(stage: Stage) -> None:
    stage.says("interrupted")
    stage.answers["state"] = answer(state(None, values={}))
    assert isinstance(failure(only(stage, "state")), NoValues)


# --- the order --------------------------------------------------------------------------------------------


def test_paths_are_tried_in_order_and_the_one_that_worked_comes_first_next_time(stage: Stage) -> None:
    stage.answers["stream"] = stream()
    first, second = retrieve(stage.url, times=2)
    assert [(each.strategy, type(each.error)) for each in first.attempts] == [
        ("stream", NoValues),
        ("state", type(None)),
    ]
    assert [each.strategy for each in second.attempts] == ["state"]
    assert stage.asked == ["status", "stream", "state", "status", "state"]


def test_learnt_path_that_fails_falls_back_to_the_rest_in_order(stage: Stage) -> None:
    stage.answers["stream"] = in_turn(stream(), stream(event("values", VALUES)))
    stage.answers["state"] = in_turn(answer(state()), answer({}, 500))
    _, second, third = retrieve(stage.url, times=3)
    assert [each.strategy for each in second.attempts] == ["state", "stream"]
    assert [each.strategy for each in third.attempts] == ["stream"]


def test_configured_order_is_kept(stage: Stage) -> None:
    stage.answers["join"] = answer({}, 500)
    result = only(stage, "join", "join_stream", "state")
    assert [each.strategy for each in result.attempts] == ["join", "join_stream"]


def test_all_paths_failing_gives_the_status_and_each_reason(stage: Stage) -> None:
    stage.says("error")
    stage.answers |= {"stream": stream(), "state": answer({}, 500), "join_stream": answer({}, 404)}
    result = only(stage)
    assert (result.status, result.strategy, result.values, result.error) == ("error", None, None, None)
    assert [type(each.error) for each in result.attempts] == [NoValues, Refused, Refused]
    assert all(each.elapsed_s > 0 for each in result.attempts)
    assert result.exit_code == 1


@pytest.mark.parametrize("order", [(), ("stream", "states"), "state"])
def test_unknown_order_is_a_usage_error(order: Any) -> None:
    with pytest.raises(UsageError, match="stream, state, join_stream, join"):
        ResultRetriever(httpx.AsyncClient(), order=order)


def test_cancelling_the_caller_is_not_swallowed(stage: Stage) -> None:
    stage.answers["stream"] = heartbeats

    async def go() -> None:
        async with httpx.AsyncClient(verify=TLS, base_url=stage.url) as client:
            async with asyncio.timeout(0.3):
                await ResultRetriever(client).result(THREAD, RUN)

    with pytest.raises(TimeoutError):
        asyncio.run(go())
