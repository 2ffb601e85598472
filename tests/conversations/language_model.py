"""The scripted model of the faults of conversations, as tests use it."""

from __future__ import annotations

from runstone.proof.conversations.model_server import (
    Answering,
    completion,
    failure,
    fair,
    judgement,
    obedient,
    parts_of,
    serving_model,
)

__all__ = [
    "KEY",
    "Answering",
    "completion",
    "failure",
    "fair",
    "judgement",
    "obedient",
    "parts_of",
    "serving_model",
]

KEY = "sk-test-0123456789abcdef"
