"""A thread that generates requests, and the event loop that sends them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

_Result = TypeVar("_Result")


# One generator thinks at a time, and the others await an answer meanwhile: CPython 3.11 parses source, which
# Hypothesis does, in one thread only (seen: SystemError, AST constructor recursion depth mismatch).
_thinking = threading.Lock()


def settings(most: int, **more: Any) -> hypothesis.settings:
    """How Hypothesis generates here: at most so many examples, of which a broken one is made small."""
    return hypothesis.settings(
        max_examples=most,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        **more,
    )


class Over(BaseException):
    """The time is up: it ends a generator wherever it is. Not an Exception, as generators catch those."""


class Bridge:
    """Lets a generator, which runs in a thread of its own, await what the event loop does.

    Made in the loop. `until` and `clock`: when no further request is sent, and the time that it is. `least`:
    how many are sent whatever the time, as a generator may need a second before it has made up the first.
    """

    def __init__(self, clock: Callable[[], float], until: float, least: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._until = until
        self._least = least
        self._lock = threading.Lock()
        self._closed = False
        self._pending: set[concurrent.futures.Future[Any]] = set()

    async def run(self, generate: Callable[[], None]) -> None:
        """Run the generator to its end, or until the time is up or the scenario is cancelled."""

        def whole() -> None:
            try:
                with _thinking:
                    generate()
            except Over:
                return

        try:
            await asyncio.to_thread(whole)
        finally:
            self._close()

    def do(self, request: Coroutine[Any, Any, _Result]) -> _Result:
        """Await in the loop, from the thread. Raises Over when the time is up."""
        with self._lock:
            if self._closed or (self._clock() > self._until and self._least <= 0):
                request.close()
                raise Over
            self._least -= 1
            future = asyncio.run_coroutine_threadsafe(request, self._loop)
            self._pending.add(future)
        _thinking.release()
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise Over from None
        finally:
            _thinking.acquire()
            self._pending.discard(future)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            for future in list(self._pending):
                future.cancel()
