"""Assistants: graphs with a configuration, their versions, and what they tell about their graphs."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from runstone.suite import (
    Api,
    Blocked,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    assert_done,
    assert_metadata,
    cases,
    conforms,
    new_id,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
)

NAMESPACE_OF_GRAPHS = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
GRAPHS = ("steps", "fail", "interrupt", "tools")
FIRST = {"configurable": {"colour": "blue", "tone": "warm"}}
SECOND = {"configurable": {"colour": "red"}}
PAGES = 50  # of 100; more assistants of one graph are nobody's
DELAY_S = 1.5  # a change and two readings on a slow server fit in before the run starts
# A server may have to compile the graphs' source to know the types of their states: one takes 9 s to.
DESCRIBED_WITHIN_S = 30.0


@scenario(agent=True)
async def assistants_of_graphs(api: Api) -> None:
    """The assistants of graphs, and one graph that there is not."""

    async def search(part: Api, graph: str) -> None:
        own = part.target.assistant(graph)
        part.note(graph=own)
        for page in range(PAGES):  # those of others may be many, and the graph's own the last of them
            found = await part.search_assistants(graph_id=own, limit=100, offset=100 * page)
            if found.code != 200 or len(found.array) < 100:
                return

    await api.each(GRAPHS, search)


@scenario(agent=True)
async def assistant_from_its_creation_to_its_end(api: Api) -> None:
    """An assistant is made, made again, changed, set back, changed again and deleted."""
    own, metadata = new_id(), {"owner": "Ida Ørsted", "plan": {"floors": [1, 2]}}
    api.note(own=own, metadata=metadata)
    made = {"assistant_id": own, "graph_id": api.target.assistant("config")}
    first = {**made, "name": "Heating", "config": FIRST, "metadata": metadata}
    await api.request("POST", "/assistants", json=first, label="create")
    other = {**made, "name": "Other", "metadata": {"owner": "somebody else"}}
    for choice in ("raise", "do_nothing"):
        await api.request("POST", "/assistants", json={**other, "if_exists": choice}, label=choice)
    path = f"/assistants/{own}"
    await api.request("GET", path, label="read")
    change = {"config": SECOND, "metadata": {"wing": "east"}}
    await api.request("PATCH", path, json=change, label="patch")
    await api.request("GET", path, label="read_patched")
    await api.request("PATCH", path, json={"name": "Heating, renamed"}, label="patch_again")
    await _versions(api, own, "versions")
    await api.request("POST", f"{path}/latest", json={"version": 99}, label="no_such_version")
    await api.request("POST", f"{path}/latest", json={"version": 1}, label="latest")
    await api.request("GET", path, label="read_latest")
    await api.request("PATCH", path, json=change, label="patch_after_older")
    await _versions(api, own, "versions_after")
    await api.request("GET", f"/assistants/{new_id()}", label="read_unknown")
    await api.request("PATCH", f"/assistants/{new_id()}", json=change, label="patch_unknown")
    unknown = {"graph_id": "no-such-graph", "metadata": metadata}
    await api.request("POST", "/assistants", json=unknown, label="unknown_graph")
    await api.request("DELETE", path, label="delete")
    await api.request("GET", path, label="read_deleted")


async def _versions(api: Api, assistant: str, label: str) -> Exchange:
    path = f"/assistants/{assistant}/versions"
    return await api.request("POST", path, json={"limit": 100}, label=label)


async def _create(api: Api, **body: Any) -> str:
    """POST /assistants; the new assistant's id. Raises Blocked when none came back."""
    created = await api.request("POST", "/assistants", json=body, label="create_assistant")
    found = created.object.get("assistant_id")
    if not isinstance(found, str):
        raise Blocked(f"{created.where} gave no assistant_id")
    return found


@scenario(Schedule(heavy=True))
async def assistants_that_tell_about_their_graphs(api: Api) -> None:
    """The drawing, the schemas and the subgraphs of a graph without and of one with a subgraph."""

    async def read(part: Api, graph: str) -> None:
        own = part.target.assistant(graph)
        part.note(graph=own)
        found = await part.search_assistants(graph_id=own, limit=1)
        path = f"/assistants/{resolve(found.array, '/0/assistant_id')}"
        await part.request("GET", f"{path}/graph", label="graph")
        await part.request("GET", f"{path}/schemas", label="schemas", patience=DESCRIBED_WITHIN_S)
        await part.request("GET", f"{path}/subgraphs", label="subgraphs", patience=DESCRIBED_WITHIN_S)
        await part.request("GET", f"{path}/subgraphs/child", label="child", patience=DESCRIBED_WITHIN_S)

    await api.each(("steps", "subgraph"), read)


@scenario(needs=["exclusive"], agent=True)
async def assistant_deleted_with_its_threads(api: Api) -> None:
    """An assistant runs on one thread, its graph's own on another; the first is deleted with its threads.

    A server that looks for these by a search which ignores its filter deletes those of others too.
    """
    own = await _create(api, graph_id=api.target.assistant("steps"), name="For a while")
    threads = {}

    async def run(part: Api, whose: str) -> None:
        threads[whose] = thread = await part.create_thread()
        answer = await part.wait(thread, own if whose == "own" else "steps", {"note": whose})
        await part.poll_run(thread, answer.run_id)
        await part.settle(thread)

    await api.each(("own", "other"), run)
    await api.request("GET", f"/assistants/{own}", label="read")
    params = {"delete_threads": True}
    await api.request("DELETE", f"/assistants/{own}", params=params, label="delete")
    await api.request("GET", f"/assistants/{own}", label="read_deleted")
    for whose, thread in sorted(threads.items()):
        await api.thread(thread, label=f"{whose}_thread")


@scenario(Schedule(waits=DELAY_S, calm=True))
async def assistant_changed_before_its_run_starts(api: Api) -> None:
    """A run is created to start later; its assistant is changed before, and runs once more afterwards."""
    own = await _create(api, graph_id=api.target.assistant("config"), config=FIRST)
    thread = await api.create_thread()
    delay = api.with_slack(DELAY_S)
    run = await api.create_run(thread, own, {}, after_seconds=delay)
    await api.request("PATCH", f"/assistants/{own}", json={"config": SECOND}, label="patch")
    await api.run(thread, run, label="after_the_patch")
    await api.join(thread, run, label="joined", patience=delay)
    await api.wait(await api.create_thread(), own, {}, label="later")


def _config(exchange: Exchange) -> Any:
    """The configurable values of the assistant that was answered; servers add members of their own beside."""
    return resolve(exchange.object, "/config/configurable")


def _version(exchange: Exchange) -> Any:
    return exchange.object.get("version")


def _versions_listed(exchange: Exchange) -> list[Any]:
    return [each.get("version") for each in some(exchange.array, f"version in {exchange.where}")]


def _properties(schema: Any) -> set[str]:
    """The members that a JSON Schema describes, behind a local reference too."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if isinstance(reference, str) and reference.startswith("#/"):
        schema = resolve(schema, reference[1:])
    return set(resolve(schema, "/properties") or ())


def _assistants(part: Trace) -> list[Any]:
    """What was found of a graph, on all pages."""
    return [each for page in part.all("search_assistants") for each in page.array]


@requirement("ASST-001")
@cases("graph", GRAPHS)
def test_graph_has_an_assistant(
    graph: str, assistants_of_graphs: Trace, success: Trace, error: Trace, interrupt: Trace, tool_turn: Trace
) -> None:
    part = assistants_of_graphs.part(graph)
    found = _assistants(part)
    assert found, f"there is no assistant of graph {graph}"
    assert {each.get("graph_id") for each in found} == {part.note("graph")}
    runs = dict(zip(GRAPHS, (success, error, interrupt, tool_turn), strict=True))
    turn = runs[graph].part("wait")
    assert turn.result.ok.complete
    assert turn.last("poll").object.get("assistant_id") in [each.get("assistant_id") for each in found]


@requirement("ASST-002")
@cases("graph", GRAPHS)
def test_assistant_of_a_graph_is_the_systems(graph: str, assistants_of_graphs: Trace) -> None:
    part = assistants_of_graphs.part(graph)
    found = some(_assistants(part), f"assistant of graph {graph}")
    systems = [each for each in found if resolve(each, "/metadata/created_by") == "system"]
    own = str(uuid5(NAMESPACE_OF_GRAPHS, part.note("graph")))
    assert [str(each.get("assistant_id")).lower() for each in systems] == [own]


@requirement("ASST-003")
def test_created_assistant_is_as_given(assistant_from_its_creation_to_its_end: Trace) -> None:
    trace = assistant_from_its_creation_to_its_end
    assert trace.create.status == 200
    for exchange in (trace.create, trace.read):
        conforms(exchange.object, "assistant", exchange)
        assert str(exchange.object["assistant_id"]).lower() == trace.note("own")
        assert _version(exchange) == 1
        assert exchange.object.get("name") == "Heating"
        assert _config(exchange) == FIRST["configurable"]
        assert_metadata(exchange, trace.note("metadata"))


@requirement("ASST-004")
@cases("choice", ["raise", "do_nothing"])
def test_second_creation(choice: str, assistant_from_its_creation_to_its_end: Trace) -> None:
    trace = assistant_from_its_creation_to_its_end
    assert trace.read.object.get("name") == "Heating"
    if choice == "raise":
        assert trace.only("raise").status == 409
    else:
        assert trace.do_nothing.status == 200
        assert trace.do_nothing.object.get("name") == "Heating"
        assert_metadata(trace.do_nothing, trace.note("metadata"))


@requirement("ASST-005")
def test_assistant_of_an_unknown_graph(assistant_from_its_creation_to_its_end: Trace) -> None:
    assert assistant_from_its_creation_to_its_end.create.object
    assert assistant_from_its_creation_to_its_end.unknown_graph.status in {404, 400, 422}


@requirement("ASST-006")
@cases("operation", ["read", "patch", "unknown"])
def test_assistant_is_read_and_changed(operation: str, assistant_from_its_creation_to_its_end: Trace) -> None:
    trace = assistant_from_its_creation_to_its_end
    if operation == "read":
        assert trace.read.status == 200
        assert str(trace.read.object.get("assistant_id")).lower() == trace.note("own")
        assert _config(trace.read) == FIRST["configurable"]
    elif operation == "patch":
        assert_done(trace.patch)
        for exchange in (trace.patch, trace.read_patched):
            assert_metadata(exchange, {**trace.note("metadata"), "wing": "east"})
            assert _config(exchange) == SECOND["configurable"]
    else:
        assert trace.read.ok.complete
        assert trace.patch.ok.complete
        assert [trace.read_unknown.status, trace.patch_unknown.status] == [404, 404]


@requirement("ASST-007")
def test_change_makes_a_version(assistant_from_its_creation_to_its_end: Trace) -> None:
    trace = assistant_from_its_creation_to_its_end
    assert [_version(each) for each in (trace.create, trace.patch, trace.patch_again)] == [1, 2, 3]
    assert _versions_listed(trace.versions) == [3, 2, 1]


@requirement("ASST-008")
def test_older_version_is_brought_back(assistant_from_its_creation_to_its_end: Trace) -> None:
    trace = assistant_from_its_creation_to_its_end
    if _config(trace.read_patched) != SECOND["configurable"]:
        raise Missing(f"{trace.read_patched.where} shows no other config that could be set back")
    assert_done(trace.latest)
    for exchange in (trace.latest, trace.read_latest):
        assert _version(exchange) == 1
        assert _config(exchange) == FIRST["configurable"]
    assert trace.no_such_version.status == 404


@requirement("ASST-009")
def test_number_of_a_version_is_new(assistant_from_its_creation_to_its_end: Trace) -> None:
    trace = assistant_from_its_creation_to_its_end
    before = _versions_listed(trace.versions)
    if _version(trace.read_latest) == max(before):
        raise Missing(f"{trace.read_latest.where} shows that no older version was made current")
    made = _version(trace.patch_after_older)
    assert made not in before, f"wanted a number that is none of {before}, got {made}"
    assert _versions_listed(trace.versions_after) == [made, *before]


@requirement("ASST-010")
@cases("gone", ["assistant", row("threads", needs=["exclusive"])])
def test_deleted_assistant_is_gone(
    gone: str, assistant_from_its_creation_to_its_end: Trace, assistant_deleted_with_its_threads: Trace
) -> None:
    plain, with_threads = assistant_from_its_creation_to_its_end, assistant_deleted_with_its_threads
    if gone == "assistant":
        assert plain.read.ok.complete
        assert_done(plain.delete)
        assert plain.read_deleted.status == 404
    else:
        for whose in ("own", "other"):
            assert with_threads.part(whose).last("settle").ok.complete
        assert with_threads.read.ok.complete
        assert_done(with_threads.delete)
        assert with_threads.read_deleted.status == 404
        assert with_threads.own_thread.status == 404
        assert with_threads.other_thread.status == 200


@requirement("ASST-013")
@cases("graph, nodes", [("steps", {"s1", "s2", "s3"}), ("subgraph", {"child", "done"})])
def test_graph_is_drawn(graph: str, nodes: set[str], assistants_that_tell_about_their_graphs: Trace) -> None:
    exchange = assistants_that_tell_about_their_graphs.part(graph).graph
    drawing = exchange.object
    conforms(drawing, "assistant-graph", exchange)
    drawn = {node["id"] for node in drawing["nodes"]}
    assert sorted(nodes | {"__start__", "__end__"}) == sorted(map(str, drawn))
    edges = some(drawing["edges"], "edge of the graph")
    joined = {edge["source"] for edge in edges} | {edge["target"] for edge in edges}
    assert sorted(map(str, joined)) == sorted(map(str, drawn))


@requirement("ASST-014")
@cases("graph, members", [("steps", {"log", "note"}), ("subgraph", {"log", "ask"})])
def test_schemas_describe_the_state(
    graph: str, members: set[str], assistants_that_tell_about_their_graphs: Trace
) -> None:
    part = assistants_that_tell_about_their_graphs.part(graph)
    conforms(part.schemas.object, "assistant-schemas", part.schemas)
    assert part.schemas.object["graph_id"] == part.note("graph")
    described = _properties(part.schemas.object.get("state_schema"))
    assert members <= described, f"wanted the state's {sorted(members)}, got {sorted(described)}"


@requirement("ASST-015")
@cases("label", ["subgraphs", "child"])
def test_subgraphs_are_described(label: str, assistants_that_tell_about_their_graphs: Trace) -> None:
    assert assistants_that_tell_about_their_graphs.part("steps").subgraphs.object == {}
    exchange = assistants_that_tell_about_their_graphs.part("subgraph").only(label)
    conforms(exchange.object, "assistant-subgraphs", exchange)
    assert list(exchange.object) == ["child"]
    described = [_properties(schema) for schema in exchange.object["child"].values()]
    told = any("ask" in members for members in described)
    assert told, f"wanted a schema with the member `ask`, got {shown(exchange.object['child'])}"


@requirement("ASST-016")
def test_run_keeps_the_config_of_its_creation(
    assistant_changed_before_its_run_starts: Trace, profile: Profile
) -> None:
    trace = assistant_changed_before_its_run_starts
    if trace.patch.ok and trace.after_the_patch.object.get("status") != "pending":
        raise Missing(f"{trace.after_the_patch.where} shows that the run had started before the change")
    used = [
        resolve(profile.wait.values_in(exchange.object), "/seen/configurable")
        for exchange in (trace.joined, trace.later)
    ]
    if resolve(used[1], "/colour") != "red":
        raise Missing(f"{trace.later.where} does not show the change of the assistant: {shown(used[1])}")
    assert {key: resolve(used[0], f"/{key}") for key in FIRST["configurable"]} == FIRST["configurable"]
