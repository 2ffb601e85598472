"""The runs that a scenario created, as its exchanges tell them: which of them may still be under way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from runstone.contracts import lifecycle, operation_for
from runstone.scenario.patience import SLEEPS_S
from runstone.wire.documents import Missing, raw
from runstone.wire.exchange import Exchange

Run = tuple[str, str]  # the ids of thread and run


def creates_run(method: str, path: str) -> bool:
    """Whether what this method and path ask for is answered by a run that executes."""
    operation = operation_for(method, path)
    return operation is not None and "run" in operation.creates


def sleeps(body: Any) -> bool:
    """Whether what a run is given lets a conformance graph sleep, so that its worker is not free soon."""
    given = body.get("input") if isinstance(body, dict) else None
    seconds = given.get("sleep") if isinstance(given, dict) else None
    return isinstance(seconds, int | float) and seconds >= SLEEPS_S


def unfinished(exchanges: Iterable[Exchange]) -> list[Run]:
    """The runs that were created and of which nothing shows that they are over, oldest first."""
    created: dict[Run, None] = {}
    over: set[str] = set()
    for exchange in exchanges:
        operation = operation_for(exchange.method, exchange.path)
        if operation is None or exchange.code is None or not 200 <= exchange.code < 300:
            continue
        thread = operation.segments(exchange.path).get("thread")
        if operation.deletes:
            over |= {run for of, run in created if of == thread}
        made = dict(operation.created_by(exchange))
        if "run" in made and (of := made.get("thread") or thread or exchange.found_thread_id):
            created[of, made["run"]] = None
        if exchange.complete and operation.lasts == "run" and exchange.found_run_id is not None:
            over.add(exchange.found_run_id)
        over |= set(_seen_over(exchange))
    return [each for each in created if each[1] not in over]


def _seen_over(exchange: Exchange) -> Iterator[str]:
    """The runs whose status this answer tells as terminal."""
    try:
        body = raw(exchange.json)
    except Missing:
        return
    for each in body if isinstance(body, list) else [body]:
        if isinstance(each, dict) and each.get("status") in lifecycle().runs.terminal:
            found = each.get("run_id")
            if isinstance(found, str):
                yield found
