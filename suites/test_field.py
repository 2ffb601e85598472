"""Fields of requests: each is honoured or refused, on every operation that takes it.

Which fields there are is told by the bodies of contracts/operations.yaml, what is sent by
contracts/cases/fields.yaml: whoever adds a field there gets its cases.
The wrong values are sent by test_field_wrong.py.
"""

from __future__ import annotations

import json
from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    OMIT,
    STEPS,
    Api,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    canonical,
    cases,
    field_table,
    first_difference,
    requirement,
    resolve,
    scenario,
    served,
    shown,
    with_field,
)

TABLE = field_table()
ENTRIES = dict(TABLE.entries)
GOOD = {f"good_{entry}": entry for entry in ENTRIES}  # runs with nothing odd in them
HONOURED = {f"{field}-{entry}": (field, entry) for field in TABLE.honoured for entry in ENTRIES}
PROMPT = "You are a careful assistant. " * 180  # 5 KB: an index over such a text was seen to refuse 2.7 KB
IDS = ("thread_id", "run_id", "graph_id", "assistant_id")
MARK = "kept-in-no-metadata"


@scenario(Schedule(heavy=True))
async def fields_by_every_entry(api: Api) -> None:
    """Each field that a run honours, by each entry point."""

    async def ask(part: Api, case: str) -> None:
        field, entry = HONOURED[case]
        honoured = TABLE.honoured[field]
        given: Any = OMIT if field == "command" else {}
        body = with_field({"assistant_id": honoured.graph, "input": given}, field, honoured.send)
        await _run(part, entry, {name: value for name, value in body.items() if value is not OMIT})

    await api.each(HONOURED, ask)
    await api.each(GOOD, _run_well)


async def _run_well(part: Api, name: str) -> None:
    await _run(part, GOOD[name], {"assistant_id": "steps", "input": {}})


async def _run(part: Api, entry: str, body: dict[str, Any]) -> None:
    """A run by an entry point of the table, and what can be read of it: the Run and the final values."""
    method, _, path = ENTRIES[entry].partition(" ")
    thread = await part.create_thread() if "{thread}" in path else None
    body = {"multitask_strategy": "enqueue", **body}
    if entry.endswith("stream"):
        body["stream_mode"] = ["values"]
    if thread is None:
        body["on_completion"] = "keep"
    sent: Any = [body] if entry == "batch" else body
    result = await part.request(method, path.replace("{thread}", str(thread)), json=sent, label="result")
    if result.code != 200:
        return
    if entry in ("background", "stateless_background", "batch"):
        made = result.array[0] if entry == "batch" else result.object
        thread, run = str(made["thread_id"]), str(made["run_id"])
    elif thread is None or result.found_run_id is None:
        return
    else:
        run = result.found_run_id
    await part.poll_run(thread, run)
    await part.settle(thread)
    await part.state(thread)


@scenario(Schedule(heavy=True))
async def wrong_configurable(api: Api) -> None:
    """Each wrong value as the configurable of a run, by each entry point."""

    async def ask(part: Api, name: str) -> None:
        entry, _, wrong = name.rpartition("_")
        body = {"assistant_id": "steps", "input": {}, "config": {"configurable": TABLE.wrong[wrong]}}
        await _run(part, entry, body)

    await api.each([f"{entry}_{wrong}" for entry in ENTRIES for wrong in TABLE.wrong], ask)
    await api.each(GOOD, _run_well)


@scenario
async def threads_named_in_the_configurable(api: Api) -> None:
    """A run on one thread names another in its configurable."""
    thread, other = await api.create_thread(), await api.create_thread()
    await api.wait(other, "steps", {"note": "other"}, label="other_run")
    await api.settle(other)
    await api.state(other, label="other_before")
    config = {"configurable": {"thread_id": other}}
    await api.wait(thread, "steps", {"note": "own"}, config=config, label="named")
    await api.settle(thread)
    await api.state(thread)
    await api.state(other, label="other_after")


@scenario
async def context_with_a_secret(api: Api) -> None:
    """A run whose context holds a secret, and what is read of its thread."""
    thread = await api.create_thread()
    await api.wait(thread, "steps", {}, context={"key": MARK})
    await api.settle(thread)
    await api.state(thread)
    await api.history(thread)
    await api.thread(thread)


@scenario(Schedule(thorough=True))
async def runs_without_input(api: Api) -> None:
    """A run with null input, and one with neither input nor command, by each entry point."""

    async def turn(part: Api, entry_point: str) -> None:
        for label, given in (("good", {}), ("null", None), ("none", OMIT)):
            thread = None if entry_point.startswith("stateless") else await part.create_thread()
            inner = part.within(label)
            result = await inner.turn(entry_point, thread, "steps", given)
            if thread is not None and result.found_run_id is not None:
                await inner.poll_run(thread, result.found_run_id)
                await inner.settle(thread)
                await inner.state(thread)

    await api.each(ENTRY_POINTS, turn)


@scenario
async def ids_in_the_configurable(api: Api) -> None:
    """`config` shows the configurable values of its run."""
    made = await api.request("POST", "/assistants", json={"graph_id": "config"}, label="new_assistant")
    assistant = str(made.object.get("assistant_id"))
    api.note(assistant=assistant)
    thread = await api.create_thread()
    sent = await api.wait(thread, assistant, {})
    api.note(thread=thread, run=sent.found_run_id)
    await api.read_at_rest(thread)


@scenario
async def own_limit_of_a_graph(api: Api) -> None:
    """`ceiling` without a limit in the request, and with one that is high enough."""
    for label, config in (("without", OMIT), ("with", {"recursion_limit": 20})):
        thread = await api.create_thread()
        await api.wait(thread, "ceiling", {}, config=config, label=f"run_{label}")
        await api.settle(thread)
        await api.state(thread, label=f"state_{label}")


@scenario
async def assistants_with_a_long_prompt(api: Api) -> None:
    """An assistant with a text of 5 KB in its config, its context and its metadata, and a run of each."""

    async def make(part: Api, field: str) -> None:
        value = {"configurable": {"prompt": PROMPT}} if field == "config" else {"prompt": PROMPT}
        body = {"graph_id": "config", field: value}
        made = await part.request("POST", "/assistants", json=body, label="new_assistant")
        await part.wait(None, str(made.object.get("assistant_id")), {})

    await api.each(["config", "context", "metadata"], make)


def _demand_good_run(part: Trace, entry: str, profile: Profile) -> None:
    """Demand that a run with nothing odd in it is executed: a refusal says something only then."""
    if part.result.status != 200 or resolve(_values(part, entry, profile), "/log") != STEPS:
        raise Missing(f"{part.result.where} does not show the result of a good run")


@requirement("FIELD-011")
@cases("entry", ENTRIES)
@cases("wrong", TABLE.wrong)
def test_wrong_configurable_is_refused_or_empty(
    entry: str, wrong: str, wrong_configurable: Trace, profile: Profile
) -> None:
    _demand_good_run(wrong_configurable.part(f"good_{entry}"), entry, profile)
    part = wrong_configurable.part(f"{entry}_{wrong}")
    assert part.result.status < 500, f"wanted a 2xx or a 4xx, got {part.result.status}"
    if part.result.status == 200:
        assert resolve(_values(part, entry, profile), "/log") == STEPS


@requirement("FIELD-002")
@cases("case", HONOURED)
def test_field_is_honoured(case: str, fields_by_every_entry: Trace, profile: Profile) -> None:
    field, entry = HONOURED[case]
    _demand_good_run(fields_by_every_entry.part(f"good_{entry}"), entry, profile)
    honoured, part = TABLE.honoured[field], fields_by_every_entry.part(case)
    if 400 <= part.result.status < 500:
        return
    if honoured.ends:
        assert _failed(part, profile), f"wanted the run to fail, as {field} was {shown(honoured.send)}"
    if field.startswith("interrupt") and _only_paused(part):
        return
    for pointer, wanted in honoured.shows.items():
        difference = first_difference(resolve(_values(part, entry, profile), pointer), wanted)
        assert difference is None, f"{field} was not honoured: {difference}"
    for pointer, wanted in honoured.run.items():
        if part.find("poll"):  # a stateless run need not be named by its answer
            difference = first_difference(resolve(part.last("poll").object, pointer), wanted)
            assert difference is None, f"{field} is not in the run: {difference}"


def _only_paused(part: Trace) -> bool:
    """Whether all that there is to see of a run is that it paused: a wait may answer no more than that."""
    whole = not part.result.is_stream and not part.find("state")
    return whole and set(part.result.object) == {"__interrupt__"}


def _values(part: Trace, entry: str, profile: Profile) -> Any:
    """The final values: of the state where there is one, else as the answer itself shows them."""
    if part.find("state"):
        return resolve(part.state.object, "/values")
    if entry.endswith("stream"):
        shown_last = [event.json for event in part.result.named("values")]
        return next((each for each in reversed(shown_last) if "log" in each), shown_last[-1])
    return profile.wait.values_in(part.result.object)


def _failed(part: Trace, profile: Profile) -> bool:
    if part.find("poll"):
        return bool(part.last("poll").object.get("status") == "error")
    if part.result.is_stream:
        return any(event.event == "error" for event in part.result.stream)
    return bool(profile.wait.error_in(part.result.object))


@requirement("FIELD-003")
def test_path_decides_where_a_run_executes(threads_named_in_the_configurable: Trace) -> None:
    trace = threads_named_in_the_configurable
    if 400 <= trace.only("named").status < 500:
        return
    assert resolve(trace.state.object, "/values/note") == "own"
    assert resolve(trace.only("other_before").object, "/values/note") == "other"
    assert trace.only("other_after").object == trace.only("other_before").object


@requirement("FIELD-004")
@cases("place", ["state", "history", "thread"])
def test_context_is_in_no_metadata(place: str, context_with_a_secret: Trace) -> None:
    trace = context_with_a_secret
    if trace.wait.status != 200:
        raise Missing(f"{trace.wait.where} answered {trace.wait.status}: the context was not taken")
    shows = trace.only(place).ok.json
    for document in shows if place == "history" else [shows]:
        text = json.dumps(canonical(resolve(document, "/metadata")))
        assert MARK not in text, f"the context of the run is in the metadata of the {place}"


@requirement("FIELD-005")
@cases("entry_point", ENTRY_POINTS)
def test_no_input_is_null_input(entry_point: str, runs_without_input: Trace, profile: Profile) -> None:
    _demand_good_run(runs_without_input.part(f"{entry_point}.good"), entry_point, profile)
    parts = [runs_without_input.part(f"{entry_point}.{how}") for how in ("null", "none")]
    null, none = ([_told(part.result)] for part in parts)
    if entry_point in ("wait", "stream", "background"):
        for told, part in ((null, parts[0]), (none, parts[1])):
            told += [part.last("poll").object.get("status"), resolve(part.state.object, "/values")]
    difference = first_difference(canonical(none), canonical(null))
    assert difference is None, f"a run without input is not as one with null input: {difference}"


def _told(result: Exchange) -> Any:
    if result.status != 200:
        return result.status
    return [event.event for event in result.stream] if result.is_stream else result.json


@requirement("FIELD-006")
@cases("name", IDS)
def test_ids_are_in_the_configurable(name: str, ids_in_the_configurable: Trace, profile: Profile) -> None:
    trace = ids_in_the_configurable
    wanted = {
        "thread_id": trace.note("thread"),
        "run_id": trace.note("run"),
        "graph_id": "config",
        "assistant_id": trace.note("assistant"),
    }
    got = resolve(profile.wait.values_in(trace.wait.object), f"/seen/configurable/{name}")
    assert got == wanted[name]


@requirement("FIELD-007")
def test_own_limit_of_a_graph_holds(own_limit_of_a_graph: Trace) -> None:
    trace = own_limit_of_a_graph
    served(trace.only("run_with"), "ceiling")
    nodes = ["u1", "u2", "u3", "u4", "u5"]
    if resolve(trace.only("state_with").object, "/values/log") != nodes:
        raise Missing(f"{trace.only('state_with').where} does not show a run that the request's limit allows")
    assert resolve(trace.only("state_without").object, "/values/log") == nodes[:3]


@requirement("FIELD-008")
@cases("field", ["config", "context", "metadata"])
def test_assistant_takes_a_long_prompt(
    field: str, assistants_with_a_long_prompt: Trace, profile: Profile
) -> None:
    part = assistants_with_a_long_prompt.part(field)
    assert part.only("new_assistant").status == 200
    made = part.only("new_assistant").object
    assert isinstance(resolve(made, "/assistant_id"), str), f"wanted an assistant_id, got {shown(made)}"
    if field == "metadata":
        assert resolve(made, "/metadata/prompt") == PROMPT
        return
    name = "configurable" if field == "config" else "context"
    assert resolve(profile.wait.values_in(part.wait.object), f"/seen/{name}/prompt") == PROMPT
