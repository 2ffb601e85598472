"""An agent of the user's own as a command line tells of it: `--agent ID --input JSON`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from runstone.errors import UsageError
from runstone.session.options import NOTHING, Given, given
from runstone.target.agents import Agent, InterruptedTurn, Turn

_FLAGS: Final = {
    "agent_input": "--input",
    "agent_error_input": "--error-input",
    "agent_interrupt_input": "--interrupt-input",
    "agent_resume": "--resume",
}


def of_words(asked: Given) -> Given:
    """The agent that a command line names; nothing where it names none. Raises UsageError."""
    named = asked.get("agent_id")
    inputs = {name: _json(flag, asked[name]) for name, flag in _FLAGS.items() if name in asked}
    if named is None and inputs:
        raise UsageError(f"{_FLAGS[next(iter(inputs))]} is for an agent of your own; name it by --agent ID")
    if named is None:
        return NOTHING
    if asked.get("no_graphs"):
        raise UsageError("--agent starts runs and --no-graphs none; give one of them")
    if "agent_input" not in inputs:
        raise UsageError("--agent needs --input JSON, an input with which its run ends well")
    if ("agent_interrupt_input" in inputs) != ("agent_resume" in inputs):
        raise UsageError("--interrupt-input and --resume need each other: the question and its answer")
    failing, pausing = inputs.get("agent_error_input"), inputs.get("agent_interrupt_input")
    agent = Agent(
        assistant=named,
        success=Turn(input=inputs["agent_input"]),
        error=None if failing is None else Turn(input=failing),
        interrupt=None if pausing is None else InterruptedTurn(input=pausing, resume=inputs["agent_resume"]),
    )
    return given(agent=agent)


def _json(flag: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{flag} {text!r} is not JSON ({error}); quote it for the shell, like '{{\"messages\": []}}'"
        ) from None
