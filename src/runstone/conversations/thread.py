"""A batch that is played in a thread of its own, so that it can be watched from wherever a loop runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from runstone.conversations.events import Event, Listener

# What plays: it tells its events, and ends soon after the second argument says that it is to stop.
Job: TypeAlias = Callable[[Listener, Callable[[], bool]], object]


class Playing:
    """A job while it goes on. `put` gets its events, and last None, or what the job raised."""

    def __init__(self, job: Job, put: Callable[[Event | BaseException | None], None]) -> None:
        self._stopped = threading.Event()
        self._job = job
        self._put = put
        self._thread = threading.Thread(target=self._play, name="runstone-scenarios")
        self._thread.start()

    def _play(self) -> None:
        try:
            self._job(self._put, self._stopped.is_set)
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def end(self) -> None:
        """Have it end soon."""
        self._stopped.set()

    def stop(self) -> None:
        """End it, and wait until it has cleaned up."""
        self.end()
        self._thread.join()
