"""The desk of the faults of conversations, as tests use it."""

from __future__ import annotations

from runstone.proof.conversations.desk import Desk, Thread, ai, as_json, serving_desk, tool

__all__ = ["Desk", "Thread", "ai", "as_json", "serving_desk", "tool"]
