"""PATCH /threads/{thread_id}: metadata is merged into a thread, and nothing else of it changes."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    conforms,
    new_id,
    requirement,
    scenario,
    shown,
)

OLD: dict[str, Any] = {"owner": "Ida Ørsted", "plan": {"floors": 2, "lift": True}, "area": "north"}
GIVEN: dict[str, Any] = {"owner": "Jón", "plan": {"floors": 3}, "colour": "blue"}
MINIMAL = {"sealed": True}
TICK_S = 1.1  # some servers stamp whole seconds: a later stamp cannot be told from an equal one before that


@scenario(Schedule(waits=1.0), agent=True)
async def thread_patched(api: Api) -> None:
    """A paused thread is given metadata, then some more with a minimal answer; so is an unknown one."""
    thread = await api.create_thread(metadata=OLD)
    paused: dict[str, Any] = {"interrupt_before": ["s2"]} if api.target.agent is None else {}
    await api.wait(thread, "steps", {"note": "patched"}, **paused)
    await api.settle(thread)
    await api.thread(thread, label="before")
    await asyncio.sleep(TICK_S)
    await _patch(api, thread, GIVEN, "patch")
    await api.thread(thread, label="after")
    await _patch(api, thread, MINIMAL, "minimal", {"prefer": "return=minimal"})
    await api.thread(thread, label="after_minimal")
    await _patch(api, new_id(), GIVEN, "unknown")


async def _patch(
    api: Api, thread: str, metadata: dict[str, Any], label: str, headers: dict[str, str] | None = None
) -> None:
    body = {"metadata": metadata}
    await api.request("PATCH", f"/threads/{thread}", json=body, label=label, headers=headers or {})


@requirement("THR-PATCH-001")
@cases("answer", ["patch", "after"])
def test_metadata_is_merged(answer: str, thread_patched: Trace) -> None:
    before, patched = _metadata(thread_patched.before), thread_patched.patch
    if any(before.get(key) != value for key, value in OLD.items()):
        raise Missing(f"{thread_patched.before.where} does not show the metadata that the thread was given")
    assert patched.status == 200
    conforms(patched.object, "thread", patched)
    assert _metadata(thread_patched.only(answer)) == before | GIVEN


@requirement("THR-PATCH-002")
def test_nothing_else_changes(thread_patched: Trace) -> None:
    before, after = thread_patched.before.object, thread_patched.after.object
    if not before.get("values") or _metadata(thread_patched.after).get("colour") != GIVEN["colour"]:
        raise Missing("the thread had no values that could change, or the patch did not take")
    kept = ("created_at", "status", "values")
    assert {key: after.get(key) for key in kept} == {key: before.get(key) for key in kept}
    was, became = _updated(thread_patched.before), _updated(thread_patched.after)
    assert became > was, f"wanted an updated_at after {was.isoformat()}, got {became.isoformat()}"


@requirement("THR-PATCH-003")
def test_unknown_thread_is_not_found(thread_patched: Trace) -> None:
    if _metadata(thread_patched.patch).get("colour") != GIVEN["colour"]:
        raise Missing(f"{thread_patched.patch.where} did not patch a thread that is there")
    assert thread_patched.unknown.status == 404


@requirement("THR-PATCH-004")
def test_minimal_answer_is_empty(thread_patched: Trace) -> None:
    merged = _metadata(thread_patched.after) | MINIMAL
    minimal = thread_patched.minimal
    assert minimal.status == 204
    assert minimal.text == ""
    assert _metadata(thread_patched.after_minimal) == merged


def _metadata(thread: Exchange) -> dict[str, Any]:
    metadata = thread.object.get("metadata")
    if not isinstance(metadata, dict):
        raise Missing(f"{thread.where} shows no metadata, but {shown(metadata)}")
    return metadata


def _updated(thread: Exchange) -> datetime:
    stamp = thread.object.get("updated_at")
    conforms(stamp, "timestamp", thread)
    return datetime.fromisoformat(str(stamp).upper())
