"""What Locust runs: users that serve one worker's timetable, and how workers, master and command talk.

The master judges nothing and reads nothing: it hands the lines of its workers on by a pipe, and acknowledges
the last of each. Reports by Locust's own statistics would be lost where they come after the end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import Any, Final

import gevent
import msgspec
from gevent.event import Event
from gevent.lock import Semaphore
from locust import User, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

import runstone
from runstone.load.digests import digest_of, digest_of_files
from runstone.load.messages import (
    DRAIN,
    GIVEN,
    HEARD,
    HELLO,
    LAST,
    ORDERS,
    PIPE,
    TOLD,
    TURNED_AWAY,
    Acknowledged,
    Began,
    Done,
    Gone,
    Hello,
    Listening,
    Message,
    Orders,
    Refused,
)
from runstone.load.working import Work

_AGAIN_S: Final = 2.0  # until totals are sent again that nobody has acknowledged
_HELLOS_S: Final = 10.0
_LOST_S: Final = (
    10.0  # without a sign of life; Locust gives up after three heartbeats, a busy machine needs more
)


class _Pipe:
    """Lines to the command that started this process."""

    def __init__(self) -> None:
        self._file = int(os.environ[PIPE])

    def send(self, message: Message) -> None:
        self.write(msgspec.json.encode(message))

    def write(self, line: bytes) -> None:
        line += b"\n"
        while line:
            line = line[os.write(self._file, line) :]


class _Master:
    """Hands on, and watches who is there."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._pipe = _Pipe()
        self._orders = msgspec.json.decode(os.environ[GIVEN], type=Orders)
        self._there: dict[str, Hello] = {}
        self._heard: set[str] = set()
        self._missing_since: dict[str, float] = {}
        runner.register_message(HELLO, self._greet)
        runner.register_message(TOLD, lambda msg, **_: self._hand_on(msg.data))
        runner.register_message(LAST, self._hand_on_the_last)
        environment.events.test_start.add_listener(self._order)
        gevent.signal_handler(signal.SIGUSR1, lambda: runner.send_message(DRAIN))
        gevent.spawn(self._watch)
        self._pipe.send(Listening(port=runner.server.port))

    def _greet(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        hello = msgspec.json.decode(msg.data, type=Hello)
        if len(self._there) == self._orders.plan.workers:
            enough = f"the load has all of its {len(self._there)} workers"
            self._runner.send_message(TURNED_AWAY, enough.encode(), client_id=hello.id)
            return
        self._there[hello.id] = hello
        self._pipe.send(hello)
        if hello.digest != digest_of_files():
            reason = (
                f"the worker on {hello.host} (runstone {hello.runstone}) runs other files than this machine "
                f"(runstone {runstone.__version__}): install the same version on both"
            )
            self._runner.send_message(TURNED_AWAY, reason.encode(), client_id=hello.id)
            self._pipe.send(Refused(reason=reason))

    def _order(self, **_: Any) -> None:
        """Tell each worker what to do, before Locust tells it to begin."""
        with gevent.Timeout(_HELLOS_S, False):
            while len(self._there) < self._orders.plan.workers:
                gevent.sleep(0.05)
        for number, name in enumerate(self._there):
            orders = msgspec.structs.replace(self._orders, worker=number)
            self._runner.send_message(ORDERS, msgspec.json.encode(orders), client_id=name)
            self._pipe.send(Began(worker=number, id=name))

    def _hand_on(self, line: bytes) -> None:
        try:
            self._pipe.write(line)
        except BrokenPipeError:  # the command was killed: nobody judges what workers do, nor cleans up
            gevent.spawn(self._runner.quit)

    def _hand_on_the_last(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        if msg.node_id not in self._heard:
            self._heard.add(msg.node_id)
            self._hand_on(msg.data)
        self._runner.send_message(HEARD, b"", client_id=msg.node_id)

    def _watch(self) -> None:
        """Until each worker has told its last or is lost."""
        gone: set[str] = set()
        while not self._there or self._there.keys() - self._heard - gone:
            gevent.sleep(0.5)
            for name in self._there.keys() - self._heard - gone:
                if self._lost(name):
                    gone.add(name)
                    self._pipe.send(Gone(id=name))
        self._pipe.send(Done())
        self._environment.process_exit_code = 0
        self._runner.quit()

    def _lost(self, name: str) -> bool:
        client = self._runner.clients.get(name)
        if client is not None and client.state != STATE_MISSING:
            self._missing_since.pop(name, None)
            return False
        now = time.monotonic()
        return now - self._missing_since.setdefault(name, now) > _LOST_S


class _Worker:
    """Greets the master, works by its orders, and tells the last until it was heard."""

    here: _Worker | None = None

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._heard = Event()
        self._orders: Orders | None = None
        self._work: Work | None = None
        self._one_at_a_time = Semaphore()
        self._draining = False  # it may be asked to before it has begun
        runner.register_message(ORDERS, self._take_orders)
        runner.register_message(HEARD, lambda **_: self._note_heard())
        runner.register_message(DRAIN, lambda **_: self._drain())
        runner.register_message(TURNED_AWAY, self._turned_away)
        hello = Hello(
            id=runner.client_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            digest=digest_of_files(),
            runstone=runstone.__version__,
        )
        runner.send_message(HELLO, msgspec.json.encode(hello))

    def _take_orders(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        orders = msgspec.json.decode(msg.data, type=Orders)
        if digest_of(orders.plan, digest_of_files()) != orders.plan.digest:
            self._tell(
                Refused(reason=f"the plan that reached {socket.gethostname()} is not the one that was made")
            )
            return
        self._orders = orders

    def work(self) -> Work | None:
        """What there is to do; its clock begins with the first user, who comes later than the orders."""
        with self._one_at_a_time:  # users come all at once, and making it may let others run
            if self._work is None and self._orders is not None:
                self._work = Work(self._orders, self._runner.client_id, self._tell)
                gevent.spawn(self._end, self._work)
                if self._draining:
                    self._work.drain()
        return self._work

    def _drain(self) -> None:
        self._draining = True
        if self._work is not None:
            self._work.drain()

    def _tell(self, message: Message) -> None:
        self._runner.send_message(TOLD, msgspec.json.encode(message))

    def _end(self, work: Work) -> None:
        work.over.wait()
        while not self._heard.is_set():
            self._runner.send_message(LAST, msgspec.json.encode(work.totals))
            self._heard.wait(_AGAIN_S)
        self._environment.process_exit_code = 0

    def _note_heard(self) -> None:
        if not self._heard.is_set():
            self._heard.set()
            _Pipe().send(Acknowledged(id=self._runner.client_id))

    def _turned_away(self, environment: Environment, msg: Any, **_: Any) -> None:
        del environment
        _Pipe().send(Refused(reason=msg.data.decode()))
        sys.exit(1)


@events.init.add_listener
def _attend(environment: Environment, runner: Any, **_: Any) -> None:
    if isinstance(runner, MasterRunner):
        _Master(environment, runner)
    elif isinstance(runner, WorkerRunner):
        _Worker.here = _Worker(environment, runner)


class RunUser(User):
    """One client: serves the timetable of its worker, then is done."""

    @task
    def serve(self) -> None:
        """Until nothing more is due."""
        work = _Worker.here.work() if _Worker.here is not None else None
        if work is not None:
            work.serve()
        raise StopUser
