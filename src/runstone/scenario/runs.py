"""The runs that a scenario created, as its exchanges tell them: which of them may still be under way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runstone.contracts import lifecycle
from runstone.wire.trace import UUID, Exchange, Missing

_CREATES = re.compile(r"(/threads/[^/]+)?/runs(/wait|/stream|/batch)?|/threads/[^/]+/commands")
_ENDS_WITH_RUN = re.compile(r"/(wait|stream|join)$")
_THREAD = re.compile(rf"/threads/({UUID.pattern})")

Run = tuple[str, str]  # the ids of thread and run


def creates_run(method: str, path: str) -> bool:
    """Whether a request with this method and path (without query) is answered by a run that executes."""
    return method == "POST" and _CREATES.fullmatch(path.partition("?")[0]) is not None


def unfinished(exchanges: Iterable[Exchange]) -> list[Run]:
    """The runs that were created and of which nothing shows that they are over, oldest first."""
    created: dict[Run, None] = {}
    over: set[str] = set()
    for exchange in exchanges:
        path = exchange.path.partition("?")[0]
        thread = _THREAD.match(path)
        if exchange.code is None or not 200 <= exchange.code < 300:
            continue
        if exchange.method == "DELETE":
            over |= {run for of, run in created if thread is not None and of == thread[1]}
        elif creates_run(exchange.method, path):
            created |= dict.fromkeys(_runs_of(exchange, thread[1] if thread else None))
        if exchange.complete and _ENDS_WITH_RUN.search(path) and exchange.found_run_id is not None:
            over.add(exchange.found_run_id)
        over |= set(_seen_over(exchange))
    return [each for each in created if each[1] not in over]


def _runs_of(exchange: Exchange, thread: str | None) -> Iterator[Run]:
    of, run = exchange.found_thread_id or thread, exchange.found_run_id
    if of is not None and run is not None:
        yield of, run


def _seen_over(exchange: Exchange) -> Iterator[str]:
    """The runs whose status this answer tells as terminal."""
    try:
        body = exchange.json
    except Missing:
        return
    for each in body if isinstance(body, list) else [body]:
        if isinstance(each, dict) and each.get("status") in lifecycle().runs.terminal:
            found = each.get("run_id")
            if isinstance(found, str):
                yield found
