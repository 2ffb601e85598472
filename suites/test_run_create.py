"""POST /threads/{thread_id}/runs: the run that it creates, and what of the request reaches the graph."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from runstone.suite import (
    ABSENT,
    GRAPHS,
    OMIT,
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    by_threaded_entry_point,
    cases,
    conforms,
    needs,
    new_id,
    requirement,
    scenario,
    shown,
)

SLEEP_S = 1.5
INPUTS: dict[str, Any] = {
    "object": {"note": {"deep": [1, "zwei", None]}},
    "array": ["one", 2, {"three": 3}],
    "text": "a text",
    "number": 2.5,
    "boolean": True,
    "null": None,
}
CONFIGURABLE = {"colour": "blue", "plan": {"floors": [1, 2]}}
CONTEXT = {"tone": "warm", "plan": {"rooms": [3, 4]}}


@scenario(Schedule(waits=1.5), agent=True)
async def run_created(api: Api) -> None:
    """A run that takes a while, read at once and until it ends."""
    thread = await api.create_thread()
    sleep = api.with_slack(SLEEP_S)
    run = await api.create_run(thread, "slow", {"sleep": sleep})
    await api.run(thread, run, label="at_once")
    await api.poll_run(thread, run, patience=sleep)


@scenario(agent=True)
async def runs_of_unknown_assistants(api: Api) -> None:
    """Runs of assistants that there are not, on a thread that there is, by every entry point."""

    async def send(part: Api, entry_point: str) -> None:
        thread = await part.create_thread()
        await part.turn(entry_point, thread, "steps", {"note": "known"})
        await part.read_at_rest(thread)
        await _send(part, entry_point, thread, new_id(), label="unknown_uuid")
        await _send(part, entry_point, thread, "no-such-graph", label="unknown_name")

    await api.each(THREADED_ENTRY_POINTS, send)


@scenario(Schedule(thorough=True), agent=True)
async def runs_on_unknown_threads(api: Api) -> None:
    """Runs on threads that there are not yet, by what `if_not_exists` says and by every entry point."""

    async def send(part: Api, entry_point: str) -> None:
        for label, choice in (("reject", "reject"), ("default", OMIT), ("create", "create")):
            thread = new_id()
            part.note(**{label: thread})
            answer = await _send(part, entry_point, thread, "steps", label=label, if_not_exists=choice)
            if label == "create":
                if answer.found_run_id is not None:
                    await part.poll_run(thread, answer.found_run_id)
                await part.settle(thread)
                await part.runs(thread, limit=100)
            else:
                await part.thread(thread, label=f"{label}_thread")
                await part.runs(thread, limit=100, label=f"{label}_runs")

    await api.each(THREADED_ENTRY_POINTS, send)


async def _send(
    part: Api, entry_point: str, thread: str, assistant: str, *, label: str, **fields: Any
) -> Exchange:
    send: dict[str, Callable[..., Coroutine[Any, Any, Exchange]]] = {
        "wait": part.wait,
        "stream": part.stream,
        "background": part.send_run,
    }
    return await send[entry_point](thread, assistant, {"note": "unknown"}, label=label, **fields)


@scenario
async def runs_with_every_kind_of_input(api: Api) -> None:
    """`functional` takes any JSON value and shows it in `note`."""

    async def send(part: Api, kind: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "functional", INPUTS[kind])
        await part.state(thread)

    await api.each(INPUTS, send)


@scenario
async def runs_with_config_and_context(api: Api) -> None:
    """`config` shows what reached it: configurable values, a context, both, and a header."""
    sent: dict[str, dict[str, Any]] = {
        "configurable": {"config": {"configurable": CONFIGURABLE}},
        "context": {"context": CONTEXT},
        "both": {"config": {"configurable": CONFIGURABLE}, "context": CONTEXT},
        "header": {"options": {"headers": {"x-colour": "blue"}}},
    }

    async def send(part: Api, name: str) -> None:
        thread = await part.create_thread()
        await part.wait(thread, "config", {}, **sent[name])
        await part.read_at_rest(thread)

    await api.each(sent, send)


@scenario
async def runs_of_configured_assistants(api: Api) -> None:
    """Assistants with config or context of their own: one run without and one with a value of its own."""

    async def send(part: Api, name: str) -> None:
        def values(**given: str) -> dict[str, Any]:
            return {"config": {"configurable": given}} if name == "config" else {"context": given}

        made = {"graph_id": "config", **values(colour="blue", tone="warm")}
        created = await part.request("POST", "/assistants", json=made, label="create_assistant")
        assistant = str(created.object.get("assistant_id"))
        thread = await part.create_thread()
        await part.wait(thread, assistant, {}, label="defaults")
        await part.wait(thread, assistant, {}, **values(colour="red"), label="overridden")
        await part.read_at_rest(thread)

    await api.each(("config", "context"), send)


@scenario
async def runs_with_a_recursion_limit(api: Api) -> None:
    """`steps` takes three supersteps: once it may take two, once ten."""

    async def send(part: Api, name: str) -> None:
        thread = await part.create_thread()
        limit = {"too_low": 2, "enough": 10}[name]
        answer = await part.wait(thread, "steps", {"note": name}, config={"recursion_limit": limit})
        await part.poll_run(thread, answer.run_id)
        await part.state(thread)

    await api.each(("too_low", "enough"), send)


def _seen(answer: Exchange, profile: Profile, kind: str) -> dict[str, Any]:
    """The configurable values or the context that `config` saw. Raises Missing when it shows none."""
    values = profile.wait.some_values_in(answer.object)
    seen = values.get("seen") if isinstance(values, dict) else None
    found = seen.get(kind) if isinstance(seen, dict) else None
    if not isinstance(found, dict):
        raise Missing(f"{answer.where} does not show the {kind} that the graph saw: {shown(values)}")
    return found


def _assert_seen(answer: Exchange, profile: Profile, kind: str, sent: dict[str, Any]) -> None:
    seen = _seen(answer, profile, kind)
    assert {key: seen.get(key) for key in sent} == sent


def _assert_reached(part: Trace, profile: Profile, sent: Any) -> None:
    """The input came back, as the final values and as the thread's state."""
    for values in (profile.wait.some_values_in(part.wait.object), part.state.object.get("values")):
        assert isinstance(values, dict), f"wanted an object of values, got {shown(values)}"
        assert values.get("log") == STEPS
        assert values.get("note", ABSENT) == sent


def _without(part: Trace, label: str) -> None:
    """Fail unless the thread that was not to be created is not there, nor any run of it."""
    assert part.only(f"{label}_thread").status == 404
    runs = part.only(f"{label}_runs")
    if runs.status != 404:
        assert runs.array == []


@requirement("RUN-CREATE-001")
@needs(GRAPHS)
def test_run_is_answered_before_its_end(run_created: Trace) -> None:
    created = run_created.create_run
    assert 200 <= created.status < 300, f"wanted a 2xx, got {created.status}"
    conforms(created.object, "run", created)
    at_once = run_created.at_once
    over = at_once.object.get("status") not in {"pending", "running"}
    if over and at_once.ended_at - created.sent_at < SLEEP_S:
        raise Missing(f"the run was over before its node can have slept {SLEEP_S} s")
    before_its_end = not over or created.finished_after < SLEEP_S
    assert before_its_end, f"wanted an answer before the run's end, got it after {created.finished_after} s"
    if run_created.last("poll").object.get("status") != "success":
        raise Missing("the run never ended well, so nothing was created that could be waited for")


@requirement("RUN-CREATE-002")
def test_content_location_names_the_run(run_created: Trace) -> None:
    created = run_created.create_run
    location = created.headers.get("content-location", "").lower()
    wanted = f"/runs/{created.object.get('run_id')}".lower()
    assert location.endswith(wanted), f"wanted a Content-Location that ends in {wanted}, got {location!r}"
    assert run_created.at_once.object.get("run_id") == created.object.get("run_id")


@requirement("RUN-CREATE-003")
@by_threaded_entry_point
def test_unknown_assistant_id_is_not_found(entry_point: str, runs_of_unknown_assistants: Trace) -> None:
    part = runs_of_unknown_assistants.part(entry_point)
    assert part.result.ok.complete
    assert part.unknown_uuid.status == 404


@requirement("RUN-CREATE-004")
@by_threaded_entry_point
def test_unknown_graph_is_refused(entry_point: str, runs_of_unknown_assistants: Trace) -> None:
    part = runs_of_unknown_assistants.part(entry_point)
    assert part.result.ok.complete
    assert part.unknown_name.status in {404, 422}


@requirement("RUN-CREATE-005")
@by_threaded_entry_point
def test_unknown_thread_is_rejected(entry_point: str, runs_on_unknown_threads: Trace, success: Trace) -> None:
    assert success.part(entry_point).result.ok.complete
    part = runs_on_unknown_threads.part(entry_point)
    assert part.reject.status == 404
    _without(part, "reject")


@requirement("RUN-CREATE-006")
@by_threaded_entry_point
def test_unknown_thread_is_created(entry_point: str, runs_on_unknown_threads: Trace) -> None:
    part = runs_on_unknown_threads.part(entry_point)
    created = part.create
    accepted = 200 <= created.status < 300
    assert accepted, f"wanted a 2xx, got {created.status}: {shown(created.content)}"
    thread = part.last("settle")
    assert thread.status == 200
    assert str(thread.object.get("thread_id")).lower() == part.note("create")
    assert thread.object.get("status") == "idle"
    assert [run.get("status") for run in part.runs.array] == ["success"]


@requirement("RUN-CREATE-007")
@by_threaded_entry_point
def test_unknown_thread_is_rejected_by_default(
    entry_point: str, runs_on_unknown_threads: Trace, success: Trace
) -> None:
    assert success.part(entry_point).result.ok.complete
    part = runs_on_unknown_threads.part(entry_point)
    assert part.default.status == 404
    _without(part, "default")


@requirement("RUN-CREATE-008")
@cases("kind", INPUTS)
def test_input_is_taken_or_refused(kind: str, runs_with_every_kind_of_input: Trace, profile: Profile) -> None:
    _assert_reached(runs_with_every_kind_of_input.part("object"), profile, INPUTS["object"]["note"])
    answer = runs_with_every_kind_of_input.part(kind).wait
    taken = 200 <= answer.whole.status < 300 or 400 <= answer.status < 500
    assert taken, f"wanted a 2xx or a 4xx, got {answer.status}: {shown(answer.content)}"


@requirement("RUN-CREATE-009")
def test_configurable_reaches_the_graph(runs_with_config_and_context: Trace, profile: Profile) -> None:
    answer = runs_with_config_and_context.part("configurable").wait
    _assert_seen(answer, profile, "configurable", CONFIGURABLE)


@requirement("RUN-CREATE-010")
@cases("sent", ["context", "both"])
def test_context_reaches_the_graph(sent: str, runs_with_config_and_context: Trace, profile: Profile) -> None:
    _assert_seen(runs_with_config_and_context.part("context").wait, profile, "context", CONTEXT)
    answer = runs_with_config_and_context.part("both").wait
    if sent == "both" and answer.status != 400:
        _assert_seen(answer, profile, "configurable", CONFIGURABLE)
        _assert_seen(answer, profile, "context", CONTEXT)


@requirement("RUN-CREATE-011")
@cases("given, kind", [("config", "configurable"), ("context", "context")])
def test_run_overrides_its_assistant(
    given: str, kind: str, runs_of_configured_assistants: Trace, profile: Profile
) -> None:
    part = runs_of_configured_assistants.part(given)
    _assert_seen(part.defaults, profile, kind, {"colour": "blue", "tone": "warm"})
    _assert_seen(part.overridden, profile, kind, {"colour": "red", "tone": "warm"})


@requirement("RUN-CREATE-012")
def test_recursion_limit_is_enforced(runs_with_a_recursion_limit: Trace) -> None:
    enough, too_low = (runs_with_a_recursion_limit.part(name) for name in ("enough", "too_low"))
    if enough.last("poll").object.get("status") != "success":
        raise Missing("the run with a limit that it does not reach did not end well either")
    assert too_low.last("poll").object.get("status") == "error"
    log = (too_low.state.object.get("values") or {}).get("log")
    assert log != STEPS, "wanted the third node not executed, got it in the log"


@requirement("RUN-CREATE-013")
def test_headers_reach_the_graph(runs_with_config_and_context: Trace, profile: Profile) -> None:
    answer = runs_with_config_and_context.part("header").wait
    _assert_seen(answer, profile, "configurable", {"x-colour": "blue"})


@requirement("RUN-CREATE-014")
@cases("kind", [kind for kind in INPUTS if kind not in {"object", "null"}])
def test_input_reaches_the_graph(kind: str, runs_with_every_kind_of_input: Trace, profile: Profile) -> None:
    _assert_reached(runs_with_every_kind_of_input.part("object"), profile, INPUTS["object"]["note"])
    answer = runs_with_every_kind_of_input.part(kind).wait
    accepted = 200 <= answer.whole.status < 300
    assert accepted, f"wanted it accepted, got {answer.status}: {shown(answer.content)}"
    _assert_reached(runs_with_every_kind_of_input.part(kind), profile, INPUTS[kind])
