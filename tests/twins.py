"""Graphs that are written twice: what each case results in, in Python and in TypeScript."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from runstone.target import recipes

HERE = Path(__file__).parent
RUNNER = "graph_runner.ts"
Outcomes = list[dict[str, Any]]


@dataclass(frozen=True)
class Twins:
    """Two folders of graphs, and the file of cases that are run on both."""

    python: Path
    typescript: Path
    file: str

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """The cases by their names."""
        return {each["name"]: each for each in json.loads((HERE / self.file).read_text("utf-8"))}

    def project(self, folder: Path) -> Path:
        """A copy of the TypeScript graphs, with the packages of the recipe and the runner beside them."""
        shutil.copytree(self.typescript, folder, ignore=shutil.ignore_patterns(".*", "node_modules"))
        installed = recipes.node_modules(recipes.load("langgraph-js"))
        assert installed is not None
        (folder / "node_modules").symlink_to(installed[1], target_is_directory=True)
        for name in (self.file, RUNNER):
            shutil.copy(HERE / name, folder)
        return folder

    def in_typescript(self, project: Path) -> dict[str, Outcomes]:
        """What every case results in in TypeScript: one process runs them all."""
        outcomes: dict[str, Outcomes] = json.loads(node(project, "--import", "tsx", RUNNER, self.file))
        return outcomes

    def in_python(self, case: dict[str, Any]) -> Outcomes:
        """What a case results in in Python."""
        file, _, variable = places(self.python)[case["graph"]].partition(":")
        name = f"twin_{Path(file).parent.name}_{Path(file).stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, self.python / file)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        store, savers = InMemoryStore(), dict[str, InMemorySaver]()

        async def play() -> Outcomes:
            outcomes = []
            for turn in case["turns"]:
                saver = savers.setdefault(turn.get("thread", ""), InMemorySaver())
                graph = getattr(sys.modules[name], variable).copy(
                    update={"checkpointer": saver, "store": store}
                )
                outcomes.append(await _outcome(graph, turn))
            return outcomes

        return asyncio.run(play())


def places(folder: Path) -> dict[str, str]:
    """Where each graph of a folder is, by its id."""
    graphs: dict[str, str] = json.loads((folder / "langgraph.json").read_text("utf-8"))["graphs"]
    return graphs


def node(project: Path, *words: str) -> str:
    """What Node.js prints, run in the folder of the graphs."""
    installed = recipes.node_modules(recipes.load("langgraph-js"))
    assert installed is not None
    command = [str(installed[0]), *words]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, encoding="utf-8", check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


async def _outcome(graph: Any, turn: dict[str, Any]) -> dict[str, Any]:
    thread = {"configurable": {"thread_id": turn.get("thread", "only")}}
    given = turn.get("input")
    if "resume" in turn:
        given = Command(resume=turn["resume"])
    if "resume_by_side" in turn:
        given = Command(
            resume={
                each.id: turn["resume_by_side"][each.value["side"]] for each in await _open(graph, thread)
            }
        )
    config = {"configurable": {**thread["configurable"], **turn.get("configurable", {})}}
    options = {key: turn[key] for key in ("context", "interrupt_before", "interrupt_after") if key in turn}
    outcome: dict[str, Any] = {"nodes": [], "custom": [], "error": None}
    try:
        async for mode, part in graph.astream(given, config, stream_mode=["updates", "custom"], **options):
            if mode == "custom":
                outcome["custom"].append(_told(part))
            else:
                outcome["nodes"] += [node for node in part if node != "__interrupt__"]
    except Exception as error:  # what a graph raises is a part of the contract
        outcome["error"] = {"class": type(error).__name__, "text": str(error.args[0])}
    outcome["values"] = _told((await graph.aget_state(thread)).values)
    outcome["interrupts"] = [each.value for each in await _open(graph, thread)]
    return outcome


async def _open(graph: Any, thread: Any) -> list[Any]:
    return [each for task in (await graph.aget_state(thread)).tasks for each in task.interrupts]


def _told(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return _message(value)
    if isinstance(value, dict):
        return {key: _told(member) for key, member in value.items()}
    return [_told(member) for member in value] if isinstance(value, list) else value


def _message(message: AnyMessage | BaseMessage) -> dict[str, Any]:
    calls = [
        {key: call[key] for key in ("name", "args", "id")} for call in getattr(message, "tool_calls", [])
    ]
    return {
        "type": message.type.removesuffix("MessageChunk").lower(),
        "content": message.content,
        "name": message.name,
        "tool_call_id": getattr(message, "tool_call_id", None),
        "tool_calls": calls,
    }


def canonical(outcomes: Outcomes, case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Without what the contract leaves free: the order of parallel nodes, the words of a library's errors."""
    for outcome in outcomes:
        error = outcome["error"]
        yield {
            **outcome,
            "error": error["class"] if error and case.get("class_only") else error,
            "nodes": sorted(outcome["nodes"]),
            "interrupts": sorted(outcome["interrupts"], key=json.dumps),
        }
