"""A fault of a conversation: one agent, server or judge that goes wrong, and what that must result in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from runstone.proof.conversations.desk import Desk
from runstone.proof.conversations.model_server import Answering
from runstone.proof.sockets import Heard

Who = Literal["agent", "server", "judge"]
Caught = Literal["fail", "flaky", "judge-error"]
Spoil = Callable[[Heard, bytes], bytes]
Document = dict[str, Any]
_Agent = TypeVar("_Agent", bound=type[Desk])
_Answer = TypeVar("_Answer", bound=Answering)
_Spoils = TypeVar("_Spoils", bound=Spoil)

REFUND: Final[Document] = {
    "scenario": "refund-with-a-name",
    "assistant": "desk",
    "turns": [
        {
            "user": "I am Ada.",
            "expect": [{"contains": "Nice"}, {"not": {"contains_function_call": "refund"}}],
        },
        {
            "user": "Please refund order 42",
            "expect": [
                {"contains_function_call": {"name": "look_up", "arguments": {"order": "42"}, "times": 1}},
                {"not": {"contains_function_call": "refund"}},
                {"interrupt": {"contains": "order 42"}},
            ],
        },
        {
            "resume": True,
            "expect": [
                {"contains_all": ["42", "refunded"]},
                {"state": {"path": "$.refunded", "equals": ["42"]}},
                {"event": {"mode": "messages", "at_least": 2}},
                {"not": {"contains": "secret"}},
                {"latency_s": 10},
            ],
        },
        {"user": "Who am I?", "expect": [{"equals": "You are Ada."}]},
    ],
    "expect": [
        {
            "trajectory": {
                "mode": "exact",
                "calls": ["look_up", {"name": "refund", "arguments": {"order": "42"}}],
            }
        }
    ],
}
RUBRIC: Final[Document] = {
    "scenario": "polite",
    "assistant": "desk",
    "turns": [{"user": "Hello", "expect": [{"llm_rubric": 'It says "How can I help"; no {braces} matter.'}]}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One fault. `who` goes wrong, in a word and in a sentence; `wanted`: the verdict that it must result in.

    `spoil`: what becomes of the server's answers. `judge`: how the model answers; None where nobody is asked.
    `listens`: whether the model's server does.
    """

    name: str
    statement: str
    who: Who
    wanted: Caught = "fail"
    scenario: Document = field(default_factory=lambda: REFUND)
    agent: type[Desk] = Desk
    spoil: Spoil | None = None
    judge: Answering | None = None
    listens: bool = True

    @property
    def kind(self) -> str:
        """As lists of faults call it."""
        return "conversation fault"

    @property
    def breaks(self) -> tuple[str, ...]:
        """What lists show after the statement: the verdict that it must result in."""
        return (f"→ {self.wanted}",)


registered: Final[dict[str, Wrong]] = {}


def agent(*, wanted: Caught = "fail", **members: Any) -> Callable[[_Agent], _Agent]:
    """Register a desk that goes wrong under its own name; its docstring is the statement."""

    def register(desk: _Agent) -> _Agent:
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", desk.__name__).lower()
        add("agent", name, desk.__doc__, wanted=wanted, agent=desk, **members)
        return desk

    return register


def server(spoil: _Spoils) -> _Spoils:
    """The same of what becomes of a server's answers."""
    add("server", spoil.__name__, spoil.__doc__, spoil=spoil)
    return spoil


def judge(answer: _Answer) -> _Answer:
    """The same of a model that answers so when it is to judge."""
    add("judge", answer.__name__, answer.__doc__, wanted="judge-error", judge=answer, scenario=RUBRIC)
    return answer


def add(who: Who, name: str, statement: str | None, **members: Any) -> None:
    """Register a fault of this one, under `who` and this name, with hyphens."""
    name = f"{who}-{name.replace('_', '-')}"
    if name in registered:
        raise ValueError(f"two faults of conversations are called {name}")
    registered[name] = Wrong(name=name, statement=" ".join((statement or "").split()), who=who, **members)
