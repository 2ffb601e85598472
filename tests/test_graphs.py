"""The Python conformance graphs keep the contract of fixtures/graphs/README.md, on the real langgraph."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError, InvalidUpdateError
from langgraph.pregel import Pregel
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from runstone.locations import locate

GRAPHS = locate("fixtures/graphs/python")
PLACES: dict[str, str] = json.loads((GRAPHS / "langgraph.json").read_text("utf-8"))["graphs"]


def _load(place: str) -> Pregel[Any, Any, Any, Any]:
    """The graph at "./file.py:variable", loaded by its path alone, as servers do."""
    file, _, variable = place.partition(":")
    name = f"conformance_{Path(file).stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, GRAPHS / file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    graph = getattr(sys.modules[name], variable)
    assert isinstance(graph, Pregel)
    return graph


class Thread:
    """One thread with one graph, as a server gives it: with a checkpointer and a store."""

    def __init__(self, graph: str, store: InMemoryStore | None = None) -> None:
        update = {"checkpointer": InMemorySaver(), "store": store or InMemoryStore()}
        self.graph = _load(PLACES[graph]).copy(update=update)
        self.config: Any = {"configurable": {"thread_id": str(uuid4())}}

    def run(self, given: Any, **options: Any) -> Any:
        return asyncio.run(self.graph.ainvoke(given, self.config, **options))

    def stream(self, given: Any, mode: Any, **options: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [
                part async for part in self.graph.astream(given, self.config, stream_mode=mode, **options)
            ]

        return asyncio.run(collect())

    @property
    def values(self) -> Any:
        return asyncio.run(self.graph.aget_state(self.config)).values


def human(text: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def interrupts(values: dict[str, Any]) -> list[Any]:
    return [interrupt.value for interrupt in values["__interrupt__"]]


def test_the_contract_and_the_configuration_name_the_same_graphs() -> None:
    readme = (GRAPHS.parent / "README.md").read_text("utf-8")
    assert set(re.findall(r"^\| ([a-z_]+) \|", readme, re.MULTILINE)) - {"id"} == set(PLACES)


@pytest.mark.parametrize("graph", PLACES)
def test_a_graph_brings_no_checkpointer_and_no_store(graph: str) -> None:
    loaded = _load(PLACES[graph])
    assert loaded.checkpointer is None
    assert loaded.store is None


@pytest.mark.parametrize("graph", PLACES)
def test_a_graph_has_schemas(graph: str) -> None:
    loaded = _load(PLACES[graph])
    given, result = loaded.get_input_jsonschema(), loaded.get_output_jsonschema()
    if graph != "functional":  # its input is anything
        assert {"log", "messages"} & set(given["properties"])
    assert result["type"] == "object"


@pytest.mark.parametrize("text", ["plain", "", "äß漢 \U0001f600", [{"type": "text", "text": "in parts"}]])
def test_echo_answers_the_text_unchanged(text: Any) -> None:
    thread = Thread("echo")
    assert thread.stream(human(text), "custom") == [{"echo": text}]
    said = thread.values["messages"]
    assert [(message.type, message.content) for message in said] == [("human", text), ("ai", text)]


def test_echo_answers_the_last_human_message() -> None:
    thread = Thread("echo")
    thread.run(human("first"))
    said = thread.run(human("second"))["messages"]
    assert [message.content for message in said] == ["first", "first", "second", "second"]


def test_echo_without_a_human_message_fails() -> None:
    with pytest.raises(ValueError, match="human message"):
        Thread("echo").run({"messages": []})


def test_tools_calls_the_tool_and_answers() -> None:
    thread = Thread("tools")
    human_said, asked, found, answered = thread.run(human("when?"))["messages"]
    assert human_said.content == "when?"
    assert asked.content == ""
    call = {"name": "lookup", "args": {"query": "when?"}, "id": "call_1", "type": "tool_call"}
    assert asked.tool_calls == [call]
    assert (found.content, found.tool_call_id, found.name) == ("found: when?", "call_1", "lookup")
    assert answered.content == "answer: when?"
    assert not answered.tool_calls


def test_tools_in_a_second_turn_uses_a_new_call_id() -> None:
    thread = Thread("tools")
    thread.run(human("one"))
    said = thread.run(human("two"))["messages"]
    assert said[5].tool_calls[0]["id"] == "call_5"
    assert said[7].content == "answer: two"


def test_tools_runs_agent_tools_agent() -> None:
    updates = Thread("tools").stream(human("x"), "updates")
    assert [list(update) for update in updates] == [["agent"], ["tools"], ["agent"]]


@pytest.mark.parametrize("graph", ["steps", "sync_steps"])
def test_steps_log_each_node_once(graph: str) -> None:
    thread = Thread(graph)
    assert thread.stream({"note": 1}, "updates") == [{name: {"log": [name]}} for name in ("s1", "s2", "s3")]
    assert thread.run({}) == {"log": ["s1", "s2", "s3", "s1", "s2", "s3"], "note": 1}


def test_steps_stop_at_static_interrupts_and_go_on() -> None:
    thread = Thread("steps")
    assert thread.run({}, interrupt_before=["s2"]) == {"log": ["s1"]}
    assert thread.run(None, interrupt_after=["s2"]) == {"log": ["s1", "s2"]}
    assert thread.run(None) == {"log": ["s1", "s2", "s3"]}


def test_sync_steps_has_synchronous_nodes() -> None:
    graph = Thread("sync_steps").graph
    assert graph.invoke({}, {"configurable": {"thread_id": "sync"}}) == {"log": ["s1", "s2", "s3"]}


def test_functional_is_a_twin_of_steps() -> None:
    thread = Thread("functional")
    tasks = [{"s1": "s1"}, {"s2": "s2"}, {"s3": "s3"}]
    result = {"log": ["s1", "s2", "s3"], "note": "n"}
    assert thread.stream({"note": "n"}, "updates") == [*tasks, {"functional": result}]
    assert thread.values == result


@pytest.mark.parametrize("given", ["text", 7, True, [1, 2]])
def test_functional_accepts_an_input_that_is_no_object(given: Any) -> None:
    assert Thread("functional").run(given) == {"log": ["s1", "s2", "s3"], "note": given}


@pytest.mark.parametrize("graph", ["slow", "limited"])
def test_slow_ticks_between_a_and_c(graph: str) -> None:
    parts = Thread(graph).stream({"sleep": 0.03, "ticks": 3}, ["custom", "updates"])
    ticks = [("custom", {"tick": tick}) for tick in (1, 2, 3)]
    nodes = {name: ("updates", {name: {"log": [name]}}) for name in "abc"}
    assert parts == [nodes["a"], *ticks, nodes["b"], nodes["c"]]


@pytest.mark.parametrize(
    "given, expected", [({}, [1]), ({"sleep": 8}, [8]), ({"sleep": 6, "ticks": 3}, [2] * 3)]
)
def test_slow_sleeps_as_long_as_it_is_told(
    given: dict[str, Any], expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    thread = Thread("slow")
    # The module's own name for it: langgraph sleeps by asyncio too.
    monkeypatch.setattr(sys.modules["conformance_slow"], "asyncio", type("Clock", (), {"sleep": note}))
    assert thread.run(given)["log"] == ["a", "b", "c"]
    assert slept == expected


@pytest.mark.parametrize(
    "given, name, text",
    [
        ({}, "ValueError", "boom"),
        ({"message": "für alle"}, "ValueError", "für alle"),
        ({"error": "KeyError"}, "KeyError", "'boom'"),
        ({"error": "RuntimeError", "message": "m"}, "RuntimeError", "m"),
        ({"error": "CustomError"}, "CustomError", "boom"),
    ],
)
def test_fail_raises_what_it_is_told(given: dict[str, Any], name: str, text: str) -> None:
    thread = Thread("fail")
    with pytest.raises(Exception, match=re.escape(text)) as caught:
        thread.run(given)
    assert type(caught.value).__name__ == name
    assert str(caught.value) == text
    assert thread.values["log"] == ["ok"]


@pytest.mark.parametrize("question", ["really?", None, {"deep": [1]}])
def test_interrupt_asks_once_and_stores_the_answer(question: Any) -> None:
    thread = Thread("interrupt")
    paused = thread.run({"question": question})
    assert paused["log"] == ["before"]
    assert interrupts(paused) == [{"question": question}]
    ended = thread.run(Command(resume={"any": "value"}))
    assert ended["answer"] == {"any": "value"}
    assert ended["log"] == ["before", "ask", "after"]


def test_interrupt_has_a_default_question() -> None:
    assert interrupts(Thread("interrupt").run({})) == [{"question": "proceed?"}]


def test_interrupt_in_parallel_keeps_both_answers() -> None:
    thread = Thread("interrupt")
    paused = thread.run({"variant": "parallel", "question": "q"})
    by_side = {interrupt.value["side"]: interrupt.id for interrupt in paused["__interrupt__"]}
    assert interrupts(paused) == [{"question": "q", "side": "left"}, {"question": "q", "side": "right"}]
    ended = thread.run(Command(resume={by_side["left"]: "L", by_side["right"]: "R"}))
    assert ended["answers"] == {"left": "L", "right": "R"}
    assert ended["log"] == ["before", "ask_left", "ask_right", "after"]


def test_interrupt_in_sequence_asks_twice() -> None:
    thread = Thread("interrupt")
    assert interrupts(thread.run({"variant": "sequence"})) == [{"question": "proceed?", "turn": 1}]
    assert interrupts(thread.run(Command(resume="one"))) == [{"question": "proceed?", "turn": 2}]
    ended = thread.run(Command(resume="two"))
    assert ended["answer"] == ["one", "two"]
    assert ended["log"] == ["before", "ask_twice", "after"]


def test_bad_update_by_default_is_a_good_one() -> None:
    assert Thread("bad_update").run({}) == {"log": ["bad"], "value": "fine"}


def test_bad_update_null_changes_nothing() -> None:
    assert Thread("bad_update").run({"kind": "null"}) == {"log": [], "kind": "null"}


@pytest.mark.parametrize(
    "kind, shown",
    [("str", "not an update"), ("list", "[1, 2, 3]"), ("int", "7"), ("future", "Future pending")],
)
def test_bad_update_that_is_none_is_refused(kind: str, shown: str) -> None:
    with pytest.raises(InvalidUpdateError, match=re.escape(shown)):
        Thread("bad_update").run({"kind": kind})


def test_bad_update_that_no_serialiser_carries_ends_the_run() -> None:
    with pytest.raises(TypeError, match="lock"):
        Thread("bad_update").run({"kind": "unserialisable"})


def test_subgraph_logs_each_node_once_in_every_run() -> None:
    thread = Thread("subgraph")
    assert thread.run({}) == {"log": ["c1", "c2", "done"]}
    assert thread.run({}) == {"log": ["c1", "c2", "done"] * 2}


def test_subgraph_streams_under_the_name_of_its_node() -> None:
    parts = Thread("subgraph").stream({}, "updates", subgraphs=True)
    spaces = [[space.partition(":")[0] for space in namespace] for namespace, _ in parts]
    assert spaces == [["child"], ["child"], [], []]
    assert [list(update) for _, update in parts] == [["c1"], ["c2"], ["child"], ["done"]]


def test_subgraph_asks_from_the_child() -> None:
    thread = Thread("subgraph")
    assert interrupts(thread.run({"ask": True, "question": "sub?"})) == [{"question": "sub?"}]
    ended = thread.run(Command(resume="yes"))
    assert (ended["log"], ended["answer"]) == (["c1", "c2", "done"], "yes")


def test_tokens_stream_as_chunks_of_one_message() -> None:
    thread = Thread("tokens")
    parts = thread.stream(human("speak"), "messages")
    chunks = [chunk for chunk, _ in parts]
    assert len(chunks) >= 3
    assert "".join(chunk.content for chunk in chunks) == "alpha beta gamma"
    last = thread.values["messages"][-1]
    assert {chunk.id for chunk in chunks} == {last.id}
    assert {metadata["langgraph_node"] for _, metadata in parts} == {"speak"}
    assert last.content == "alpha beta gamma"


def test_tokens_speak_again_in_the_next_run() -> None:
    thread = Thread("tokens")
    first, second = thread.run(human("a"))["messages"][-1], thread.run(human("b"))["messages"][-1]
    assert first.content == second.content == "alpha beta gamma"
    assert first.id != second.id


def test_config_shows_what_a_caller_may_set() -> None:
    thread = Thread("config")
    thread.config["configurable"] |= {
        "colour": "red",
        "langgraph_auth_user_id": "ada",
        "langgraph_request_id": "left out",
        "__hidden": 1,
        "no_json": object(),
    }
    ended = thread.run({}, context={"tenant": 7})
    assert ended["log"] == ["look"]
    assert ended["seen"]["context"] == {"tenant": 7}
    of_the_run = {"thread_id": thread.config["configurable"]["thread_id"]}
    sent = {"colour": "red", "langgraph_auth_user_id": "ada"}
    assert ended["seen"]["configurable"] == of_the_run | sent


def test_config_without_a_context_shows_an_empty_one() -> None:
    assert Thread("config").run({})["seen"]["context"] == {}


def test_memory_outlives_the_thread() -> None:
    store = InMemoryStore()
    place = {"namespace": ["a", "b"], "key": "k"}
    Thread("memory", store).run({"op": "put", "value": {"v": 1}, **place})
    got = Thread("memory", store).run({"op": "get", **place})
    assert (got["log"], got["found"]) == (["remember"], {"v": 1})


def test_memory_finds_null_where_nothing_is() -> None:
    assert Thread("memory").run({"op": "get", "namespace": ["a"], "key": "none"})["found"] is None


def test_maker_hands_on_what_it_is_given() -> None:
    falsy: list[Any] = [None, False, 0, "", {}, []]
    parts = Thread("maker").stream({"given": falsy, "writes": falsy}, ["custom", "values"])
    assert [part for mode, part in parts if mode == "custom"] == falsy
    assert parts[-1][1]["made"] == falsy


@pytest.mark.parametrize("kind", ["date", "uuid", "set", "bytes", "decimal", "object", "model", "nan"])
def test_maker_makes_what_json_has_no_name_for(kind: str) -> None:
    made = Thread("maker").run({"kind": kind})["made"]
    with pytest.raises((TypeError, ValueError)):
        json.dumps(made, allow_nan=False)


def test_ceiling_ends_at_its_own_limit_unless_a_run_allows_more() -> None:
    thread = Thread("ceiling")
    with pytest.raises(GraphRecursionError):
        thread.run({})
    assert thread.values["log"] == ["u1", "u2", "u3"]
    more = Thread("ceiling")
    more.config["recursion_limit"] = 9
    assert more.run({})["log"] == ["u1", "u2", "u3", "u4", "u5"]
