"""One worker at work: its users play starts by the timetable, and each is judged when all of it is there.

What is kept is what goes on at present, and counters: memory does not grow with the number of runs.
"""

from __future__ import annotations

import os
import random
import resource
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import gevent
from gevent.event import Event

from runstone.load.clock import Clock
from runstone.load.counting import Counting, Histogram
from runstone.load.invariants import WEBHOOKS, Finding, judged
from runstone.load.line import GeventLine, Road
from runstone.load.listening import Listener
from runstone.load.messages import Found, Message, Orders, Tick, Totals
from runstone.load.model import MOST_BROKEN, SAMPLED
from runstone.load.schedule import Schedule, Start
from runstone.load.tokens import start_token
from runstone.load.turns import Turn
from runstone.wire.exchange import Exchange

_TICK_S: Final = 1.0
_NAP_S: Final = 0.1  # between two measurements of the generator's own lag
_ON_TIME_S: Final = 0.02  # a start that is later than this found no user free
_SETTLE_S: Final = 10.0  # how long a user waits for what is not over; then somebody else looks after it
_LINGER_S: Final = 3.0  # how long a second call of a webhook is waited for
_LAST_LOOK_S: Final = 30.0  # at all that is not over when the drain is
_LAST_ANSWER_S: Final = 5.0  # and for each answer
_NEVER_S: Final = 20.0  # after which a first one is missing


class Work:
    """The load of one worker. `tell` hands a message on; `serve` is what each user does."""

    def __init__(self, orders: Orders, name: str, tell: Callable[[Message], None]) -> None:
        self.plan = orders.plan
        self.over = Event()  # all that was started has been judged
        self.totals: Totals | None = None
        self._orders = orders
        self._name = name
        self._tell = tell
        self._clock = Clock()
        self._road = Road(orders, self._clock)
        self._schedule = Schedule(orders.plan, orders.worker)
        self._counting = Counting(orders.plan.session)
        self._ending = Event()
        self._turns: dict[str, Turn] = {}  # those that a user plays
        self._players: dict[str, gevent.Greenlet] = {}
        self._unsettled: dict[str, Turn] = {}  # those that no user waits for any more
        self._lingering: dict[str, tuple[Turn, float]] = {}  # over, but for a webhook; since when
        self._at: dict[str, float] = {}  # when each of them should have started
        self._lag = Histogram()
        self._lag_max_s = 0.0
        self._second: defaultdict[str, Histogram] = defaultdict(Histogram)  # by kind
        self._began = self._finished = self._errors = self._broken = self._late = 0
        self._made: list[str] = []
        self._threads = self._unsure = 0
        self._sent_in_full = 0
        self._drawn: list[Found] = []
        self._random = random.Random(f"{orders.plan.seed}-sample-{orders.worker}")  # noqa: S311 - no secret
        self._cpu_before = time.process_time()
        self._listener = Listener(self._delivered) if orders.plan.webhooks else None
        self._greenlets = [gevent.spawn(each) for each in (self._measure, self._report, self._look_after)]

    # --- users ---------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Play one start after the other, each when it is due, until there is none."""
        line = GeventLine(self._road)
        try:
            while (start := self._schedule.take(self._clock.now)) is not None:
                ahead = start.at - self._clock.now
                if ahead > 0:
                    if self._ending.wait(ahead):
                        return
                    self._note_lag(self._clock.now - start.at)
                elif ahead < -_ON_TIME_S:
                    self._late += 1
                self._play(start, line)
        finally:
            line.close()

    def drain(self) -> None:
        """Start nothing more."""
        self._schedule.end(self._clock.now)
        self._ending.set()

    def _play(self, start: Start, line: GeventLine) -> None:
        token = start_token(self.plan.session, self._orders.worker, start.number)
        hook = self._listener.url if self._listener is not None else ""
        turn = Turn(start.kind, token, self.plan.session, line, hook, self._orders.assistants)
        self._turns[token], self._at[token] = turn, start.at
        self._players[token] = gevent.getcurrent()
        self._began += 1
        self._counting.counts[start.kind]["starts"] += 1
        settled = turn.play(self._clock.now + _SETTLE_S)
        del self._turns[token], self._players[token]
        self._note_made(turn)
        self._note_times(turn)
        if settled:
            self._settled(turn)
        else:
            self._unsettled[token] = turn

    def _note_made(self, turn: Turn) -> None:
        if turn.thread:
            self._threads += 1
            self._made.append(turn.thread)
        elif turn.exchanges and turn.exchanges[0].code is None:
            self._unsure += 1

    def _note_times(self, turn: Turn) -> None:
        for exchange in turn.exchanges:
            if exchange.code is not None and exchange.failure is None:
                self._counting.latencies[exchange.label.rstrip("0123456789")].record(exchange.finished_after)
            if (wrong := _wrong(exchange)) and not exchange.closed_by_client:
                self._errors += 1
                self._counting.errors.note(f"{exchange.label.rstrip('0123456789')}: {wrong}")
        if turn.known_at is not None:
            took = turn.known_at - self._at[turn.token]
            self._counting.latencies[f"kind {turn.kind}"].record(took)
            self._second[turn.kind].record(took)
            self._finished += 1

    # --- what became of them -------------------------------------------------------------------------------

    def _settled(self, turn: Turn) -> None:
        """All of it is there but, perhaps, a webhook: a missing one may come, a second one follow."""
        if turn.webhook:
            self._lingering[turn.token] = (turn, self._clock.now)
        else:
            self._judge(turn)

    def _judge(self, turn: Turn) -> None:
        """Count it, and keep it in full where it broke something or was drawn."""
        trace = turn.trace()
        found = judged(trace)
        self._counting.note(turn.kind, found)
        at = self._at.pop(turn.token)
        full = Found(
            token=turn.token,
            kind=turn.kind,
            thread=turn.thread,
            at=round(at, 3),
            broken=found.broken,
            trace=trace,
        )
        if found.broken:
            self._broken += 1
            if self._sent_in_full < MOST_BROKEN:
                self._sent_in_full += 1
                self._tell(full)
        elif len(self._drawn) < SAMPLED:
            self._drawn.append(full)
        elif (place := self._random.randrange(self._began)) < SAMPLED:
            self._drawn[place] = full

    def _delivered(self, token: str, exchange: Exchange) -> None:
        """A webhook was called: of a start that goes on, or once too often."""
        kept = self._turns.get(token) or self._unsettled.get(token)
        lingering = self._lingering.get(token)
        turn = kept or (lingering[0] if lingering else None)
        if turn is not None:
            turn.delivered(exchange)
            return
        self._broken += 1
        self._counting.note_finding(
            Finding(WEBHOOKS, "broken", "called long after it was called, or by nobody")
        )
        self._counting.errors.note("webhook: called again, long after its run")

    def _look_after(self) -> None:
        """Those that are not over, and those whose webhook is awaited; at the end, all that is left."""
        line = GeventLine(self._road)
        while not self._drained():
            self._look_again(line)
            gevent.sleep(_NAP_S)
        self._give_up(line)
        self._finish()

    def _give_up(self, line: GeventLine) -> None:
        """The drain is over: what is still played is broken off, and all is judged as it is."""
        gevent.killall(list(self._players.values()))
        for turn in self._turns.values():
            self._note_made(turn)
        self._road.longest_s, until = _LAST_ANSWER_S, self._clock.now + _LAST_LOOK_S
        for turn in [*self._turns.values(), *self._unsettled.values()]:
            turn.line = line
            if self._clock.now < until:
                turn.settle(self._clock.now)
            self._judge(turn)
        for turn, _ in self._lingering.values():
            self._judge(turn)

    def _look_again(self, line: GeventLine) -> None:
        for turn in list(self._unsettled.values()):
            if self._drained():
                return
            turn.line = line
            if turn.settle(self._clock.now):
                del self._unsettled[turn.token]
                self._settled(turn)
        for turn, since in list(self._lingering.values()):
            called = any(each.label == "delivery" for each in turn.exchanges)
            if self._clock.now - since > (_LINGER_S if called else _NEVER_S):
                del self._lingering[turn.token]
                self._judge(turn)

    def _drained(self) -> bool:
        """Whether nothing goes on any more, or it was waited for long enough."""
        past = self._clock.now - self._schedule.ends_at
        if past < 0:
            return False
        nothing = not (self._turns or self._unsettled or self._lingering)
        return (nothing and past > _NAP_S) or past > self.plan.drain_s

    def _finish(self) -> None:
        gevent.killall([each for each in self._greenlets if each is not gevent.getcurrent()])
        self._note_not_started()
        self._tick(int(self._clock.now))
        for full in self._random.sample(self._drawn, min(len(self._drawn), self._share())):
            self._tell(full)
        self.totals = self._counted()
        self.over.set()

    def _share(self) -> int:
        """How many of the drawn ones this worker tells, of all workers' twenty."""
        return -(-SAMPLED // self.plan.workers)

    def _note_not_started(self) -> None:
        for kind, times in self._schedule.never_taken(self._clock.now).items():
            self._counting.counts[kind]["not_started"] += times

    # --- reports -------------------------------------------------------------------------------------------

    def _note_lag(self, late: float) -> None:
        self._lag.record(max(0.0, late))
        self._lag_max_s = max(self._lag_max_s, late)

    def _measure(self) -> None:
        """The lag of this process itself: a nap that takes longer than it should."""
        while True:
            asleep = self._clock.now
            gevent.sleep(_NAP_S)
            self._note_lag(self._clock.now - asleep - _NAP_S)

    def _report(self) -> None:
        second = 0
        while True:
            second += 1
            gevent.sleep(max(0.0, second * _TICK_S - self._clock.now))
            self._tick(second - 1)

    def _tick(self, second: int) -> None:
        self._tell(
            Tick(
                worker=self._orders.worker,
                second=second,
                due=self._schedule.due(self._clock.now),
                started=self._began,
                finished=self._finished,
                errors=self._errors,
                in_flight=len(self._turns) + len(self._unsettled),
                lag_max_s=round(self._lag_max_s, 4),
                broken=self._broken,
                latencies={kind: each.taken() for kind, each in self._second.items() if each.count},
                made=tuple(self._made),
                draining=self._clock.now > self._schedule.ends_at,
            )
        )
        self._made.clear()
        self._lag_max_s = 0.0

    def _counted(self) -> Totals:
        counting = self._counting
        took_s = max(self._clock.now, 0.001)
        return Totals(
            worker=self._orders.worker,
            id=self._name,
            host=socket.gethostname(),
            pid=os.getpid(),
            counts=counting.counts_by_kind(),
            issued=counting.issued.tally,
            settled=counting.settled.tally,
            tested=counting.tested_by_id(),
            latencies={name: each.encoded() for name, each in counting.latencies.items()},
            lag=self._lag.encoded(),
            late=self._late,
            threads=self._threads,
            unsure=self._unsure,
            errors=dict(counting.errors.counts),
            throttled=self._road.throttled,
            throttled_s=round(self._road.throttled_s, 1),
            cpu=round((time.process_time() - self._cpu_before) / took_s, 3),
            max_rss=_max_rss(),
        )


def _wrong(exchange: Exchange) -> str:
    """What went wrong with an exchange, in words that are alike for alike things; '' for nothing."""
    if exchange.failure is not None:
        return exchange.failure
    return f"answered {exchange.code}" if exchange.code is None or exchange.code >= 400 else ""


def _max_rss() -> int:
    """Bytes; Linux tells kilobytes, macOS bytes."""
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return told if sys.platform == "darwin" else told * 1024
