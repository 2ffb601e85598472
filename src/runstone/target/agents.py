"""An agent of the user's own in place of the conformance graphs.

Some servers cannot serve the conformance graphs. Their users name one of their own assistants, with an input
for each outcome that it can produce. It then stands in for every graph in the scenarios whose judges need no
more than a run with that outcome; what needs a graph of known behaviour is not applicable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, Literal

import msgspec

from runstone.locations import locate
from runstone.target.capabilities import Capability
from runstone.wire.exchange import UUID
from runstone.wire.trace import Inapplicable

Outcome = Literal["success", "error", "interrupt"]

# Capabilities that every server has which serves the conformance graphs.
GRAPHS: Final = "conformance_graphs"
OUTCOMES: Final[dict[Outcome, str]] = {"error": "error_outcome", "interrupt": "interrupt_outcome"}

NO_RUNS: Final = "no run was started (--no-graphs)"
# What can be judged where none is.
NO_GRAPHS: Final = dict.fromkeys(
    (GRAPHS, *OUTCOMES.values(), "python_sdk", "node_sdk"), Capability(declared=False, reason=NO_RUNS)
)

# The graphs that end in another way than by success.
_ENDINGS: Final[dict[str, Outcome]] = {"fail": "error", "interrupt": "interrupt"}


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input that an agent of the user's own is known to end in a certain way with."""

    input: Any


class InterruptedTurn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input with which the agent pauses at an interrupt, and the value that lets it go on to its end."""

    input: Any
    resume: Any


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the target's own assistants, with an input for each outcome that it can produce."""

    assistant: str
    success: Turn
    error: Turn | None = None
    interrupt: InterruptedTurn | None = None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes that it can produce, success first."""
        return ("success", *(outcome for outcome in OUTCOMES if getattr(self, outcome) is not None))

    def lacks(self, outcome: Outcome) -> str:
        """Why what needs this outcome is not judged."""
        return f"the agent {self.assistant} has no input that ends in {outcome}"

    @property
    def is_no_graph(self) -> str:
        """Why what needs a graph of known behaviour is not judged."""
        return f"it needs the conformance graphs, and what runs here is the agent {self.assistant}"


def capabilities(agent: Agent | None) -> dict[str, Capability]:
    """What can be judged: with the conformance graphs everything, with an agent what it can produce."""
    if agent is None:
        return dict.fromkeys((GRAPHS, *OUTCOMES.values()), Capability(declared=True))
    found = {GRAPHS: Capability(declared=False, reason=agent.is_no_graph)}
    for outcome, name in OUTCOMES.items():
        has = outcome in agent.outcomes
        found[name] = Capability(declared=has, reason="" if has else agent.lacks(outcome))
    return found


# What evidence of the conformance graphs need not say.
_UNTOLD: Final = capabilities(None)


def absent(known: Mapping[str, Capability], needs: Iterable[str]) -> str | None:
    """Why something that needs these does not apply to a target that is known so; None when it does."""
    for name in needs:
        capability = known.get(name) or _UNTOLD.get(name) or Capability()
        if capability.reason:
            return capability.reason
        if not capability.present:
            found = "not found by the probe" if capability.probed is False else "not probed"
            return f"the target has no {name}: not declared, {found}"
    return None


def standing_in(agent: Agent, body: Any) -> Any:
    """The body of a request with the agent wherever a conformance graph is meant, and with its own input.

    A null input stays, as it asks a run to go on. Raises Inapplicable for an outcome that it cannot produce.
    """
    if isinstance(body, list):
        return [standing_in(agent, each) for each in body]
    if not isinstance(body, dict):
        return body
    named, changed = body.get("assistant_id"), dict(body)
    if isinstance(named, str):
        turn = _turn(agent, ending_of(named))
        changed["assistant_id"] = assistant_of(agent, named)
        if body.get("input") is not None:
            changed["input"] = turn.input
    command = body.get("command")
    if isinstance(command, dict) and "resume" in command and agent.interrupt is not None:
        changed["command"] = {**command, "resume": agent.interrupt.resume}
    if body.get("graph_id") in (*conformance_graphs(), agent.assistant):
        changed["graph_id"] = _graph_of(agent)
    return changed


def ending_of(graph: str) -> Outcome:
    """How a run of this conformance graph ends."""
    return _ENDINGS.get(graph, "success")


def assistant_of(agent: Agent, named: str) -> str:
    """The agent for the id of a conformance graph; any other id is answered as it is."""
    return agent.assistant if named in conformance_graphs() else named


def names_a_graph(body: Any) -> bool:
    """Whether a request's body names a conformance graph, or anything in a list of such bodies does."""
    if isinstance(body, list):
        return any(map(names_a_graph, body))
    if not isinstance(body, dict):
        return False
    return any(body.get(key) in conformance_graphs() for key in ("assistant_id", "graph_id"))


def _turn(agent: Agent, outcome: Outcome) -> Turn | InterruptedTurn:
    turn: Turn | InterruptedTurn | None = getattr(agent, outcome)
    if turn is None:
        raise Inapplicable(agent.lacks(outcome))
    return turn


def _graph_of(agent: Agent) -> str:
    """The id of the agent's graph: servers give the assistant that they make of a graph the graph's name."""
    if UUID.fullmatch(agent.assistant):
        raise Inapplicable(f"the agent is named by the id {agent.assistant}, which does not tell its graph")
    return agent.assistant


@cache
def conformance_graphs() -> tuple[str, ...]:
    """The ids under which a target serves the conformance graphs, unless its configuration maps them."""
    document = (locate("fixtures") / "graphs" / "python" / "langgraph.json").read_bytes()
    return tuple(msgspec.json.decode(document)["graphs"])
