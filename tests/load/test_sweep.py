"""What is left after a load: nobody busy, and as many threads as were acknowledged."""

from __future__ import annotations

from typing import Any

import pytest

from runstone.load.invariants import CONSERVED, NOBODY_STUCK, NOTE
from runstone.load.sweep import NAME, judged_sweep
from runstone.load.tokens import METADATA
from runstone.wire.trace import Trace
from tests.load.starts import SESSION, THREAD, exchange


def swept(
    busy: Any = (), count: Any = 20, made: int | None = 20, unsure: int = 0, code: int | None = 200
) -> Trace:
    asked = [exchange(1, "busy", list(busy), code=code), exchange(2, "count", count, code=code)]
    note = {"kind": "sweep", "session": SESSION, "made": made, "unsure": unsure}
    return Trace(scenario=NAME, exchanges=tuple(asked), notes={NOTE: note})


def thread(session: str = SESSION, status: str = "busy") -> dict[str, Any]:
    return {"thread_id": THREAD, "status": status, "metadata": {METADATA: session}}


@pytest.mark.parametrize(
    "trace, stuck, conserved",
    [
        (swept(), "kept", "kept"),
        (swept([thread()]), "broken", "kept"),
        (swept([thread("another session")]), "not-tested", "kept"),
        (swept([thread(status="idle")]), "not-tested", "kept"),
        (swept(count=19), "kept", "broken"),
        (swept(count=21), "kept", "broken"),
        (swept(count=21, unsure=1), "kept", "kept"),
        (swept(count={"count": 20}), "kept", "not-tested"),
        (swept(count=21, made=None), "kept", "not-tested"),
        (swept(code=404), "not-tested", "not-tested"),
        (swept(code=None), "not-tested", "not-tested"),
    ],
)
def test_sweep(trace: Trace, stuck: str, conserved: str) -> None:
    found = {each.id: each.verdict for each in judged_sweep(trace)}
    assert found == {NOBODY_STUCK: stuck, CONSERVED: conserved}
