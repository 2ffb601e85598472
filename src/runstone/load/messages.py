"""What the processes of a load tell each other, a line of JSON each: workers, the master, the command.

Workers tell the master, by Locust's messages; the master hands each on to the command unread, by a pipe.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from runstone.load.model import Counts, Plan, Tally
from runstone.wire.network import Network
from runstone.wire.trace import Trace

# The names of Locust's messages.
HELLO: Final = "runstone-hello"  # worker to master: who it is
ORDERS: Final = "runstone-orders"  # master to worker: what to do
TOLD: Final = "runstone-told"  # worker to master: a line for the command
LAST: Final = "runstone-last"  # worker to master: the same, to be acknowledged
HEARD: Final = "runstone-heard"  # master to worker: it was
DRAIN: Final = "runstone-drain"  # master to worker: start nothing more
TURNED_AWAY: Final = "runstone-turned-away"  # master to worker: it does not fit, and why

PIPE: Final = "RUNSTONE_LOAD_PIPE"  # the variable that holds the pipe's descriptor
GIVEN: Final = "RUNSTONE_LOAD_ORDERS"  # the one that holds the orders, of the master


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to know. `headers`: the target's credentials, which are in no file and no trace.

    `assistants`: the target's own ids by those of the graphs. `worker`: its number, from 0 on.
    """

    plan: Plan
    headers: dict[str, str] = {}
    network: Network = Network()
    assistants: dict[str, str] = {}
    worker: int = 0


class Listening(msgspec.Struct, frozen=True, kw_only=True, tag="listening"):
    """The master can be met, at this port."""

    port: int


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """A worker is there. `digest`: of the files that it runs."""

    id: str
    host: str
    pid: int
    digest: str
    runstone: str


class Began(msgspec.Struct, frozen=True, kw_only=True, tag="began"):
    """A worker has its orders, and starts from now on."""

    worker: int
    id: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The load cannot begin."""

    reason: str


class Gone(msgspec.Struct, frozen=True, kw_only=True, tag="gone"):
    """A worker is not heard any more."""

    id: str


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag="tick"):
    """One second of one worker. `latencies`: by kind a histogram of the starts that were through in it.

    `made`: the threads that the target acknowledged in it.
    """

    worker: int
    second: int
    due: int
    started: int
    finished: int
    errors: int
    in_flight: int
    lag_max_s: float
    broken: int
    latencies: dict[str, str] = {}
    made: tuple[str, ...] = ()
    draining: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True, tag="found"):
    """A start in full: what it broke, or, drawn at random, whatever it showed. `thread`: its id, if any."""

    token: str
    kind: str
    thread: str = ""
    at: float
    broken: dict[str, str]
    trace: Trace


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """How often an invariant was kept, broken, and could not be looked at, with the reasons for that."""

    kept: int = 0
    broken: int = 0
    not_tested: int = 0
    why: dict[str, int] = {}


class Totals(msgspec.Struct, frozen=True, kw_only=True, tag="totals"):
    """All that one worker has counted, at its end. `late`: starts for which no user was free in time.

    `threads`: creates that the target acknowledged; `unsure`: those of which nothing came back.
    """

    worker: int
    id: str
    host: str
    pid: int
    counts: dict[str, Counts]
    issued: Tally
    settled: Tally
    tested: dict[str, Tested]
    latencies: dict[str, str]
    lag: str
    late: int
    threads: int
    unsure: int
    errors: dict[str, int]
    throttled: dict[str, int]
    throttled_s: float
    cpu: float
    max_rss: int


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledged"):
    """A worker's totals have reached the master."""

    id: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """Nothing more will be told."""


Message: TypeAlias = Listening | Hello | Began | Refused | Gone | Tick | Found | Totals | Acknowledged | Done
