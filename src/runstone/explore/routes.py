"""Which operation an exchange of a story is, and the requirement that it answers at all."""

from __future__ import annotations

import re

from runstone.wire.trace import UUID, Exchange

THREAD_PATH = re.compile(rf"/threads/(?P<thread>{UUID.pattern})(?P<rest>/[^?]*)?")
_ANSWERS = {
    "POST /threads": "THR-CREATE-001",
    "POST /threads/search": "THR-SEARCH-001",
    "GET ": "THR-GET-001",
    "DELETE ": "THR-DEL-001",
    "GET /state": "STATE-001",
    "POST /state": "STATE-UPD-001",
    "GET /history": "HIST-001",
    "GET /runs": "RUN-LIST-001",
    "POST /runs": "RUN-CREATE-001",
    "POST /runs/wait": "RUN-WAIT-001",
    "POST /runs/stream": "RUN-STREAM-001",
    "GET /runs/*": "RUN-GET-001",
    "GET /runs/*/join": "RUN-JOIN-001",
    "POST /runs/*/cancel": "CANCEL-001",
    "DELETE /runs/*": "RUN-DEL-001",
}


def operation_of(exchange: Exchange) -> str:
    """Method and path below the thread: `POST /runs/wait`, `GET /runs/*/join`, `GET ` of the thread."""
    found = THREAD_PATH.fullmatch(exchange.path.partition("?")[0])
    rest = (found["rest"] or "") if found else exchange.path.partition("?")[0]
    return exchange.method + " " + re.sub(f"/runs/{UUID.pattern}", "/runs/*", rest)


def promise_of(exchange: Exchange) -> str:
    """The requirement that an operation answers at all, and with what."""
    return _ANSWERS.get(operation_of(exchange), "ROB-001")
