"""after_seconds: runs that wait for their time."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from runstone.suite import (
    STEPS,
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    requirement,
    resolve,
    scenario,
    shown,
    some,
)

TOLERANCE_S = 0.1  # two readings of clocks, and the rounding of timestamps


@scenario(Schedule(waits=1.0))
async def delayed_run(api: Api) -> None:
    """A run at once and one that shall wait; the second is read until it ends."""
    prompt = await api.create_thread(label="prompt_thread")
    await api.create_run(prompt, "steps", {"note": "prompt"}, label="prompt")
    thread = await api.create_thread()
    delay = math.ceil(api.with_slack(0.5))  # a slow target shall be read before the time, too
    given = {"note": "delayed"}
    run = await api.create_run(thread, "steps", given, after_seconds=delay, label="delayed")
    await api.run(thread, run, label="poll")
    await api.join(thread, run, patience=delay)
    await api.poll_run(thread, run)
    await api.settle(thread)
    await api.state(thread)


@requirement("SCHED-001")
def test_run_waits_for_its_time(delayed_run: Trace) -> None:
    due = delayed_run.delayed.sent_at + _delay(delayed_run)
    readings = [delayed_run.delayed, *delayed_run.all("poll")]
    early = [reading for reading in readings if reading.ended_at < due]
    for reading in some(early, "reading of the run before its time"):
        assert reading.object.get("status") == "pending"
    early_by = due - delayed_run.join.ended_at
    assert early_by <= TOLERANCE_S, f"wanted no end before the run's time, got it {early_by:.2f} s before"
    assert delayed_run.last("poll").object.get("status") == "success"
    assert resolve(delayed_run.state.object, "/values/log") == STEPS


@requirement("SCHED-002")
def test_created_at_is_the_time_of_the_start(delayed_run: Trace) -> None:
    prompt, delayed = delayed_run.prompt, delayed_run.delayed
    assert delayed_run.last("poll").object.get("status") == "success"
    delay = _delay(delayed_run)
    # Both times are the server's, so its clock need not agree with ours.
    apart = (_created_at(delayed) - _created_at(prompt)).total_seconds()
    least = delayed.sent_at - prompt.ended_at + delay - TOLERANCE_S
    most = delayed.ended_at - prompt.sent_at + delay + TOLERANCE_S
    assert least <= apart <= most, f"wanted created_at {delay} s later, got {apart:.2f} s after a run at once"


def _delay(trace: Trace) -> int:
    return int(trace.delayed.request_json["after_seconds"])


def _created_at(created: Exchange) -> dt.datetime:
    told: Any = created.object.get("created_at")
    try:
        return dt.datetime.fromisoformat(str(told))
    except ValueError:
        raise Missing(f"{created.where} has no time in created_at: {shown(told)}") from None
