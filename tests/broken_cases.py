"""Broken cases to find causes of: exchanges of one scenario, verdicts on them, and the causes of these."""

from __future__ import annotations

from typing import Any

import msgspec

from runstone.contracts import Level
from runstone.report.causes import causes_of
from runstone.verdict.model import Case, Cause, Outcome, Verdict
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

THREAD = "6f1d1c9e-3c55-4f0e-9a52-6a1a4b7f3c10"
OTHER = "7a0e4c52-90cf-4a3b-8d51-1b9c6f2e7d44"
RUN = "01a222f4-8396-75be-ac9f-2bf3d8778b12"
HISTORY = f"/threads/{THREAD}/history"
WAIT = f"/threads/{THREAD}/runs/wait"


def exchange(number: int, path: str, code: int | None = 200, content: str = "{}", **more: Any) -> Exchange:
    usual = Exchange(
        scenario="turns",
        number=number,
        label="wait",
        method="GET" if path.endswith(("history", "state")) else "POST",
        url=f"http://127.0.0.1:2024{path}",
        sent_at=number / 10,
        code=code,
        content=content,
        response_headers=(("content-type", "application/json"),),
    )
    return msgspec.structs.replace(usual, **more)


def verdict(
    identity: str,
    reason: str,
    *exchanges: str,
    outcome: Outcome = "not-testable",
    level: Level = "MUST",
) -> Verdict:
    case = Case(case="", verdict=outcome, reason=reason, exchanges=exchanges)
    return Verdict(
        id=identity,
        level=level,
        area="x",
        statement=f"{identity} is so.",
        source=(),
        verdict=outcome,
        cases=(case,),
    )


def causes(*verdicts: Verdict, exchanges: tuple[Exchange, ...] = (), **trace: Any) -> tuple[Cause, ...]:
    return causes_of(verdicts, {"turns": Trace(scenario="turns", exchanges=exchanges, **trace)})[0]
