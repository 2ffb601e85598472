"""Faults of assistants: their creation, their versions, and what they tell about their graphs."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_assistants, assistants, graphs
from runstone.reference.assistants import Assistant, Assistants
from runstone.reference.bodies import AssistantBody, AssistantPatch
from runstone.reference.database import Database, Where
from runstone.reference.errors import NotFound
from runstone.reference.runs import Job, Runs
from runstone.reference.threads import Threads


@fault("ASST-001")
def assistants_of_graphs_are_not_found(seams: Seams) -> None:
    """A search of assistants leaves out those that the server made of its graphs."""

    @seams.around(Assistants, "search")
    def search(original: Any, *given: Any, **rest: Any) -> Any:
        found: list[Assistant] = original(*given, **rest)
        return [each for each in found if each.metadata.get("created_by") != "system"]


@fault("ASST-002")
def assistants_of_graphs_have_ids_of_their_own(seams: Seams) -> None:
    """The id of a graph's assistant is derived in another way than everywhere else."""
    seams.put(assistants, "NAMESPACE", NAMESPACE_URL)


@fault("ASST-003")
def a_new_assistant_has_no_config(seams: Seams) -> None:
    """A new assistant does not keep the config that it was given."""

    @seams.around(Assistants, "create")
    def create(original: Any, rows: Assistants, owner: Any, body: AssistantBody) -> Any:
        return original(rows, owner, msgspec.structs.replace(body, config=None))


@fault("ASST-004")
def an_existing_assistant_is_overwritten(seams: Seams) -> None:
    """Creating an assistant whose id exists gives that one the new name and metadata."""

    @seams.around(Assistants, "create")
    def create(original: Any, rows: Assistants, owner: Any, body: AssistantBody) -> Any:
        made: Assistant = original(rows, owner, msgspec.structs.replace(body, if_exists="do_nothing"))
        if made.name == body.name:
            return made
        patch = AssistantPatch(name=body.name or made.name, metadata=body.metadata or {})
        return rows.patch(owner, made.assistant_id, patch)


@fault("ASST-005")
def an_unknown_graph_crashes(seams: Seams) -> None:
    """Creating an assistant of a graph that there is not answers 500."""

    @seams.around(Assistants, "create")
    def create(original: Any, rows: Assistants, owner: Any, body: AssistantBody) -> Any:
        try:
            return original(rows, owner, body)
        except NotFound as error:
            raise KeyError(body.graph_id) from error


@fault("ASST-006")
def the_config_of_an_assistant_is_merged(seams: Seams) -> None:
    """PATCH of an assistant keeps the configurable values that the new config does not name."""

    @seams.around(Assistants, "patch")
    def patch(original: Any, rows: Assistants, owner: Any, assistant_id: str, given: AssistantPatch) -> Any:
        if isinstance(given.config, dict):
            old = rows.get(owner, assistant_id).config
            merged = old.get("configurable", {}) | given.config.get("configurable", {})
            given = msgspec.structs.replace(given, config=old | given.config | {"configurable": merged})
        return original(rows, owner, assistant_id, given)


@fault("ASST-007", "ASST-009")
def versions_begin_with_the_oldest(seams: Seams) -> None:
    """The versions of an assistant are listed the oldest first."""

    @seams.around(Assistants, "versions")
    def versions(original: Any, *given: Any) -> Any:
        return original(*given)[::-1]


@fault("ASST-008")
def an_older_version_becomes_a_new_one(seams: Seams) -> None:
    """Bringing an older version back makes a new version that is like it."""

    @seams.around(Assistants, "set_latest")
    def set_latest(original: Any, rows: Assistants, owner: Any, assistant_id: str, version: int) -> Any:
        for each in rows.versions(owner, assistant_id, None, 1000, 0):
            if each.version == version:
                again = AssistantPatch(name=each.name, config=each.config, metadata=each.metadata)
                return rows.patch(owner, assistant_id, again)
        return original(rows, owner, assistant_id, version)


@fault("ASST-009")
def the_number_of_a_version_is_used_again(seams: Seams) -> None:
    """A new version gets the number after the current one's, and replaces the version that had it."""

    @seams.around(Database, "count")
    def count(original: Any, database: Database, sql: str, *values: Any) -> Any:
        if sql.startswith("SELECT max(version)"):
            sql = "SELECT version FROM assistants WHERE assistant_id = ?"
        return original(database, sql, *values)


@fault("ASST-010")
def a_deleted_assistant_leaves_its_threads(seams: Seams) -> None:
    """Deleting an assistant with `delete_threads` leaves the threads that it ran on."""

    @seams.around(Threads, "of_assistant")
    def of_assistant(original: Any, *given: Any) -> list[str]:  # noqa: ARG001 - it is not asked
        return []


@fault("ASST-011")
def a_search_of_assistants_ignores_its_filter(seams: Seams) -> None:
    """A search of assistants ignores their graph and their metadata."""

    @seams.around(Assistants, "search")
    def search(original: Any, rows: Assistants, owner: Any, query: Any, **rest: Any) -> Any:
        return original(rows, owner, msgspec.structs.replace(query, metadata=None, graph_id=None), **rest)


@fault("ASST-013")
def a_drawing_has_no_ends(seams: Seams) -> None:
    """The drawing of a graph leaves out `__start__` and `__end__`, with their edges."""

    @seams.around(api_assistants, "drawing")
    def drawing(original: Any, *given: Any) -> Any:
        whole, ends = original(*given), {"__start__", "__end__"}
        nodes = [node for node in whole["nodes"] if node["id"] not in ends]
        edges = [edge for edge in whole["edges"] if not {edge["source"], edge["target"]} & ends]
        return {"nodes": nodes, "edges": edges}


@fault("ASST-014")
def the_state_of_a_graph_has_no_schema(seams: Seams) -> None:
    """The schema of a graph's state is an empty one."""

    @seams.around(graphs, "_state_schema")
    def state_schema(original: Any, graph: Any) -> dict[str, Any]:  # noqa: ARG001 - it is not asked
        return {}


@fault("ASST-015")
def subgraphs_have_no_schemas(seams: Seams) -> None:
    """An assistant names the subgraphs of its graph and describes none of them."""

    @seams.around(api_assistants, "subgraph_schemas")
    def subgraph_schemas(original: Any, *given: Any, **rest: Any) -> dict[str, Any]:
        return {name: {"graph_id": name} for name in original(*given, **rest)}


@fault("ASST-016")
def a_run_takes_the_config_of_its_start(seams: Seams) -> None:
    """A run takes the config that its assistant has when it starts, not when it was created."""

    @seams.around(Runs, "start_next")
    def start_next(original: Any, rows: Runs, thread_id: str) -> Any:
        job = original(rows, thread_id)
        if isinstance(job, Job):
            row = rows._db.one("SELECT config FROM assistants WHERE assistant_id = ?", job.assistant_id)
            config = msgspec.json.decode(row["config"]) if row else {}
            job.plan.config.configurable.update(config.get("configurable", {}))
        return job


@fault("ASST-017")
def names_of_assistants_match_by_letter_case(seams: Seams) -> None:
    """A search of assistants by name tells upper from lower case."""

    @seams.around(Where, "add")
    def add(original: Any, where: Where, condition: str, *values: Any) -> None:
        original(where, "instr(name, ?) > 0" if "folded" in condition else condition, *values)
