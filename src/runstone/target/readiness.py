"""Waiting until a server that was started answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import httpx

ANSWER_S: Final = 2.0  # for one answer; a server that takes longer is asked again
_POLL_S: Final = 0.05


class NotReady(Exception):  # noqa: N818 - a finding about the server, which the caller makes an error of its own
    """The time passed; the text is what was seen last."""


def await_fit(unfit: Callable[[], str | None], *, seconds: float, watch: Callable[[], None]) -> None:
    """Ask `unfit` again and again until it answers None. Raises NotReady after so many seconds.

    `watch` is called before each time and may end the waiting by an exception of its own.
    """
    deadline = time.monotonic() + seconds
    seen: str | None = "nothing answered"
    while time.monotonic() < deadline:
        watch()
        seen = unfit()
        if seen is None:
            return
        time.sleep(_POLL_S)
    raise NotReady(seen)


def await_answer(
    client: httpx.Client,
    url: str,
    *,
    seconds: float,
    unfit: Callable[[int], str | None],
    watch: Callable[[], None],
) -> None:
    """GET the URL again and again until its status is fit. Raises NotReady after so many seconds.

    `unfit`: why a status does not show that the server is up; None for one that does. `watch` as above.
    """
    seen = "nothing answered"

    def asked() -> str | None:
        nonlocal seen
        try:
            reason = unfit(client.get(url).status_code)
        except httpx.TransportError:
            return seen  # what it answered before says more
        seen = reason or seen
        return reason

    await_fit(asked, seconds=seconds, watch=watch)
