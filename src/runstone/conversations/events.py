"""What happens while scenarios are played: one type of event for the terminal, Python and whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from runstone.verdict.scenarios import ScenariosReport

Kind = Literal[
    "started",
    "user_input",
    "token",
    "agent_response",
    "tool_call",
    "interrupt",
    "assertion_result",
    "turn",
    "completed",
    "error",
    "batch_progress",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event. `conversation`: the name of its trace; '' for those of the whole batch. `turn`: from 1.

    `text`: what was said, by whomever. `data`: what else there is to know, by kind:

    started: assistant, entry_point, repeat, variables · tool_call: name, arguments · interrupt: value ·
    assertion_result: asserts, kind, result, score, weight, reason · turn: status, latency_s, result, score ·
    completed: result, score, reason; of the batch: `report` · batch_progress: done, of, result → number
    """

    kind: Kind
    scenario: str = ""
    conversation: str = ""
    turn: int = 0
    text: str = ""
    data: dict[str, Any] = {}
    report: ScenariosReport | None = None


Listener = Callable[[Event], None]


def nobody(_: Event) -> None:
    """Whom nothing interests."""
