"""What one start does on the target, by kind. It asserts nothing: what it saw is a trace.

Nothing here knows how requests are sent: `Turn` is given what sends them, sleeps, and tells the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from runstone.load.invariants import NOTE, Seen, status_of
from runstone.load.model import Kind
from runstone.load.tokens import METADATA, TOKEN, run_token
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

_ENQUEUED: Final = 3  # runs on one thread
_SLEEPS_S: Final = 60.0  # the graph of a run that is cancelled: long enough to be found running
_HUNG_UP_S: Final = 0.3  # that of one whose client hangs up
_FIRST_POLL_S: Final = 0.05
_LONGEST_POLL_S: Final = 2.0
_LOOKS: Final = 4  # at a list that lacks an accepted run, before it is believed


class Line(Protocol):
    """What sends requests, on one connection of one user."""

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        label: str,
        number: int,
        scenario: str,
        hang_up: bool = False,
    ) -> Exchange:
        """Send it, obey who asks to wait, and tell what came; nothing is raised for what a target does.

        `hang_up`: close the connection with the first bytes of the body.
        """

    def sleep(self, seconds: float) -> None:
        """Let others go on meanwhile."""

    @property
    def clock(self) -> float:
        """Seconds since the worker began."""


class CutShort(Exception):  # noqa: N818 - no fault of this program
    """The target refused what the rest of the turn hangs on."""


class Turn:
    """One start while it is played, and what it saw so far."""

    def __init__(
        self,
        kind: Kind,
        token: str,
        session: str,
        line: Line,
        hook: str = "",
        assistants: Mapping[str, str] | None = None,
    ) -> None:
        """`hook`: where webhooks are awaited; '' where none is asked for. `assistants`: as of a Target."""
        self.kind: Kind = kind
        self.token = token
        self.thread = ""
        self.known_at: float | None = None  # when its result was
        self.webhook = bool(hook) and kind == "background"
        self.cancels = kind == "cancel"
        self.exchanges: list[Exchange] = []
        self.line = line
        self.began = line.clock
        self.hook = f"{hook}/{token}"
        self._assistants = assistants or {}
        self._session = session
        self._runs: list[tuple[str, str]] = []
        self._sent = 0

    @property
    def name(self) -> str:
        """What its trace is called, and its file."""
        return f"load-{self.kind}-{self.token}"

    def play(self, until: float) -> bool:
        """Do it, and look at what it left; whether all of it was over by then."""
        try:
            self._create_thread()
            _PLAYS[self.kind](self)
        except CutShort:
            pass  # what was accepted is looked at all the same
        return self.settle(until)

    def settle(self, until: float) -> bool:
        """Read the runs until they are over, then the state; whether they were over by `until`.

        What was read before is replaced: only the last look counts.
        """
        if not self._runs:
            return True
        pause, looks = _FIRST_POLL_S, 0
        while True:
            self._look("runs", f"/threads/{self.thread}/runs?limit=100")
            seen = Seen(self.trace())
            looks += 1
            ended = seen.rows is not None and not _active(seen)
            if seen.over or (ended and looks >= _LOOKS):
                break
            if self.line.clock + pause > until:
                return False
            self.line.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)
        self._look("state", f"/threads/{self.thread}/state")
        return seen.rows is not None

    def trace(self) -> Trace:
        """What it saw so far."""
        note = {
            "kind": self.kind,
            "token": self.token,
            "session": self._session,
            "runs": self._runs,
            "webhook": self.webhook,
            "cancels": self.cancels,
        }
        return Trace(
            scenario=self.name,
            exchanges=tuple(self.exchanges),
            notes={NOTE: note},
            started_at=self.began,
            finished_at=self.line.clock,
        )

    def delivered(self, exchange: Exchange) -> None:
        """Its webhook was called."""
        self._sent += 1
        named = msgspec.structs.replace(exchange, scenario=self.name, number=self._sent, label="delivery")
        self.exchanges.append(named)

    def run(
        self, label: str, way: str = "", *, assistant: str, hang_up: bool = False, **body: Any
    ) -> Exchange:
        """Ask for a run on the thread. Raises CutShort where there is none since."""
        token = run_token(self.token, len(self._runs) + 1)
        self._runs.append((token, label))
        own = self._assistants.get(assistant, assistant)
        whole = {"assistant_id": own, "metadata": self._metadata(token), **body}
        return self.send(label, "POST", f"/threads/{self.thread}/runs{way}", whole, hang_up=hang_up)

    def send(
        self, label: str, method: str, path: str, body: object = None, *, hang_up: bool = False
    ) -> Exchange:
        """Send a request of this turn. Raises CutShort for any other answer than a 2xx."""
        exchange = self._sent_as(label, method, path, body, hang_up=hang_up)
        if exchange.code is None or exchange.code >= 300:
            raise CutShort
        return exchange

    def known(self) -> None:
        """Its result is known from now on: what follows only looks whether it is true."""
        self.known_at = self.line.clock

    def _sent_as(
        self, label: str, method: str, path: str, body: object, *, hang_up: bool = False
    ) -> Exchange:
        self._sent += 1
        exchange = self.line.send(
            method, path, body, label=label, number=self._sent, scenario=self.name, hang_up=hang_up
        )
        self.exchanges.append(exchange)
        return exchange

    def _look(self, label: str, path: str) -> None:
        exchange = self._sent_as(label, "GET", path, None)
        self.exchanges = [each for each in self.exchanges if each.label != label or each is exchange]

    def _metadata(self, token: str) -> Mapping[str, str]:
        return {METADATA: self._session, TOKEN: token}

    def _create_thread(self) -> None:
        answer = self.send("create_thread", "POST", "/threads", {"metadata": self._metadata(self.token)})
        try:
            self.thread = msgspec.json.decode(answer.content, type=_Thread).thread_id
        except msgspec.DecodeError:
            raise CutShort from None


class _Thread(msgspec.Struct):
    thread_id: str


def _active(seen: Seen) -> bool:
    return any(status_of(row) in {"pending", "running"} for row in seen.rows or [])


def _wait(turn: Turn) -> None:
    turn.run("wait", "/wait", assistant="steps", input={"note": turn.token})
    turn.known()


def _stream(turn: Turn) -> None:
    turn.run("stream", "/stream", assistant="steps", input={"note": turn.token}, stream_mode=["values"])
    turn.known()


def _background(turn: Turn) -> None:
    hook: dict[str, Any] = {"webhook": turn.hook} if turn.webhook else {}
    created = turn.run("create", assistant="steps", input={"note": turn.token}, **hook)
    _join(turn, created)


def _enqueue(turn: Turn) -> None:
    for number in range(1, _ENQUEUED + 1):
        said = {"messages": [{"role": "user", "content": run_token(turn.token, number)}]}
        created = turn.run(f"create{number}", assistant="echo", input=said, multitask_strategy="enqueue")
    _join(turn, created)


def _interrupt(turn: Turn) -> None:
    turn.run("wait", "/wait", assistant="interrupt", input={"question": turn.token})
    turn.run("resume", "/wait", assistant="interrupt", command={"resume": turn.token})
    turn.known()


def _cancel(turn: Turn) -> None:
    asked = {"note": turn.token, "sleep": _SLEEPS_S}
    created = turn.run("create", assistant="slow", input=asked)
    run = created.found_run_id
    turn.send("cancel", "POST", f"/threads/{turn.thread}/runs/{run}/cancel?wait=1")
    turn.known()


def _hangup(turn: Turn) -> None:
    asked = {"note": turn.token, "sleep": _HUNG_UP_S}
    streamed = turn.run(
        "stream",
        "/stream",
        assistant="slow",
        input=asked,
        stream_mode=["values"],
        on_disconnect="continue",
        hang_up=True,
    )
    _join(turn, streamed)


def _join(turn: Turn, created: Exchange) -> None:
    run = created.found_run_id
    if run is None:
        raise CutShort
    turn.send("join", "GET", f"/threads/{turn.thread}/runs/{run}/join")
    turn.known()


_PLAYS: Final[Mapping[Kind, Callable[[Turn], None]]] = {
    "wait": _wait,
    "stream": _stream,
    "background": _background,
    "enqueue": _enqueue,
    "interrupt": _interrupt,
    "cancel": _cancel,
    "hangup": _hangup,
}
