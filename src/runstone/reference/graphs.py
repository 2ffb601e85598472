"""The graphs of a langgraph.json, and what can be told about each."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from runstone.reference.checkpoints import Graph
from runstone.reference.errors import BadGraphs


def load_graphs(*paths: Path) -> dict[str, Graph]:
    """The graphs that these files name. Raises BadGraphs, also where two of them have one id."""
    found: dict[str, Graph] = {}
    for path in paths:
        more = _graphs_of(path)
        if twice := found.keys() & more.keys():
            raise BadGraphs(
                f"{path} names the graph {min(twice)!r}, as another file does; rename one of them"
            )
        found |= more
    return found


def _graphs_of(path: Path) -> dict[str, Graph]:
    """The graphs that a langgraph.json names, by id: `{"graphs": {"echo": "./conformance/echo.py:graph"}}`.

    Each is a compiled graph or a StateGraph, which is compiled here. Raises BadGraphs.
    """
    try:
        document = json.loads(path.read_text())
        targets = document["graphs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadGraphs(f"{path} does not list graphs ({type(error).__name__}: {error})") from None
    if not isinstance(targets, dict) or not targets:
        raise BadGraphs(f'{path} lists no graphs; it needs {{"graphs": {{"ID": "./FILE.py:NAME"}}}}')
    folder = path.resolve().parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # so that the modules of one folder can import each other
    return {graph_id: _load(folder, graph_id, target) for graph_id, target in targets.items()}


def _load(folder: Path, graph_id: str, target: Any) -> Graph:
    source = target.get("path") if isinstance(target, dict) else target
    file, _, name = str(source).partition(":")
    found = getattr(_module(folder, folder / file), name or "graph", None)
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        raise BadGraphs(f"graph {graph_id!r}: {source} is neither a compiled graph nor a StateGraph")
    return found


def _module(folder: Path, file: Path) -> ModuleType:
    # A name made of the path keeps two files with one stem apart, and finds classes in checkpoints again
    # after a restart; one file is executed once, however many graphs it holds.
    file = file.resolve()
    below = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    name = ".".join(below.with_suffix("").parts)
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(file):
        return loaded
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise BadGraphs(f"{file} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file raises, the person who named it wants to read
        raise BadGraphs(f"{file} cannot be imported ({type(error).__name__}: {error})") from error
    return module


def equip(graph: Graph, saver: BaseCheckpointSaver[str], store: BaseStore) -> Graph:
    """A copy of the graph that keeps its checkpoints and its long-term memory with this server."""
    return graph.copy(update={"checkpointer": saver, "store": store})


def drawing(graph: Graph, xray: bool | int) -> dict[str, Any]:
    """Nodes and edges, `__start__` and `__end__` included."""
    return graph.get_graph(xray=xray).to_json()


def schemas(graph_id: str, graph: Graph) -> dict[str, Any]:
    """The JSON Schemas of what a graph takes, keeps and gives; null where it declares none."""
    return {
        "graph_id": graph_id,
        "input_schema": graph.get_input_jsonschema(),
        "output_schema": graph.get_output_jsonschema(),
        "state_schema": _state_schema(graph),
        "config_schema": graph.get_config_jsonschema(),
        "context_schema": graph.get_context_jsonschema(),
    }


def _state_schema(graph: Graph) -> dict[str, Any]:
    builder = getattr(graph, "builder", None)
    if isinstance(builder, StateGraph):
        try:
            return TypeAdapter(builder.state_schema).json_schema()
        except PydanticUserError:  # a state may hold types that have no JSON Schema
            return graph.get_output_jsonschema()
    return graph.get_output_jsonschema()  # the functional API keeps what it returns


def subgraph_schemas(graph: Graph, namespace: str | None, *, recurse: bool) -> Mapping[str, Any]:
    """The schemas of the subgraphs by namespace, `parent|child` where they nest."""
    found = graph.get_subgraphs(namespace=namespace, recurse=recurse)
    return {
        name: schemas(name.rpartition("|")[2], subgraph)
        for name, subgraph in found
        if isinstance(subgraph, Pregel)
    }
