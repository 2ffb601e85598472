"""What a target tells of the assistants that scenarios name: whether there are such, and their tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from runstone.conversations.lint import Finding, tools_of
from runstone.conversations.reading import Case
from runstone.errors import TargetError, suggestion
from runstone.scenario.api import Api
from runstone.scenario.scenario import Scenario
from runstone.session.session import Beside, Session
from runstone.wire.documents import Missing, raw
from runstone.wire.trace import Trace

_NAME: Final = "assistants"
_TOLD: Final = ("assistant", "graph", "schemas")


def findings(session: Session, cases: Sequence[Case]) -> list[Finding]:
    """What the target says against the scenarios. Raises TargetError where it does not answer."""
    wanted = sorted({each.scenario.assistant for each in cases})

    async def ask(api: Api) -> None:
        await api.search_assistants(limit=1000)
        for name in wanted:
            part = api.within(name)
            found = await part.search_assistants(graph_id=api.target.assistant(name), limit=1)
            own = _first_id(found) or name
            await part.request("GET", f"/assistants/{own}", label="assistant")
            await part.request("GET", f"/assistants/{own}/graph", label="graph")
            await part.request("GET", f"/assistants/{own}/schemas", label="schemas")

    session.beside = Beside(scenarios=(Scenario(_NAME, ask, agent=True),), alone=True)
    with session:
        session.observe([])
    if session.unusable or _NAME not in session.traces:
        raise TargetError(session.stopped or "the target tells nothing of its assistants")
    trace = session.traces[_NAME]
    return list(dict.fromkeys(each for case in cases for each in _of_case(case, trace)))


def _first_id(found: Any) -> str:
    try:
        return str(found.array[0]["assistant_id"])
    except (Missing, LookupError):
        return ""


def _of_case(case: Case, trace: Trace) -> Iterator[Finding]:
    scenario, path = case.scenario, Path(case.scenario.scenario)
    documents = [each for label in _TOLD if (each := _document(trace, scenario.assistant, label)) is not None]
    if not documents:
        known = _known(trace)
        problem = f"the target has no assistant {scenario.assistant!r}{suggestion(scenario.assistant, known)}"
        yield Finding(path=path, grade="error", place="assistant", problem=problem)
        return
    named = {name for each in documents for name in _tools_in(each)}
    for tool in sorted(tools_of(scenario) - named) if named else ():
        problem = f"the assistant {scenario.assistant!r} names no tool {tool!r}{suggestion(tool, named)}"
        yield Finding(path=path, grade="warning", place="expect", problem=problem)


def _document(trace: Trace, part: str, label: str) -> Any:
    found = [each for each in trace.exchanges if each.part == part and each.label == label]
    try:
        return raw(found[-1].object) if found else None
    except Missing:
        return None


def _known(trace: Trace) -> set[str]:
    """The ids of graphs that the target's list of assistants names."""
    listed = [each for each in trace.exchanges if not each.part and each.label == "search_assistants"]
    try:
        rows = raw(listed[0].array) if listed else []
    except Missing:
        return set()
    return {str(each["graph_id"]) for each in rows if isinstance(each, Mapping) and "graph_id" in each}


def _tools_in(document: Any) -> Iterator[str]:
    """The names in every list `tools`, at any depth: of text, or of objects with a `name`."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key == "tools" and isinstance(value, list):
                for each in value:
                    name = each.get("name") if isinstance(each, Mapping) else each
                    if isinstance(name, str):
                        yield name
            yield from _tools_in(value)
    elif isinstance(document, list):
        for each in document:
            yield from _tools_in(each)
