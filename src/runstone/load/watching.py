"""What the server shows of itself under load: how busy it is, its memory, and who else takes its CPU."""

from __future__ import annotations

import os
import threading
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from runstone.load.gathering import Gathering, Gauge
from runstone.load.model import Plan
from runstone.load.tokens import METADATA
from runstone.target.target import Target
from runstone.wire.webhooks import on_loopback

_GAUGE_S: Final = 2.0


class Watching:
    """Asks the server now and then how much of this load it is busy with, and how much memory it takes."""

    def __init__(self, target: Target, plan: Plan, gathering: Gathering) -> None:
        self._target = target
        self._plan = plan
        self._gathering = gathering
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        network, url = self._target.network, self._target.url
        with httpx.Client(
            base_url=url,
            headers=self._target.headers,
            verify=network.trust(url),
            proxy=network.proxy_for(url),
            trust_env=False,
            timeout=_GAUGE_S,
        ) as client:
            server = _listener(self._target.url)
            every_s = max(0.5, min(_GAUGE_S, self._plan.window_s / 2))
            before = _spent(server)
            while not self._over.wait(every_s):
                now = _spent(server)
                self._gathering.note_gauge(Gauge(self._busy(client), _rss(server), others(before, now)))
                before = now

    def _busy(self, client: httpx.Client) -> int | None:
        asked = {"metadata": {METADATA: self._plan.session}, "status": "busy"}
        try:
            told = client.post("/threads/count", json=asked).json()
        except (httpx.HTTPError, ValueError):
            return None
        return told if isinstance(told, int) and not isinstance(told, bool) else None


class Spent(NamedTuple):
    """CPU seconds so far: all of this machine, those used, and those of the server and the generator."""

    all: float
    used: float
    own: float


def others(before: Spent | None, now: Spent | None) -> float | None:
    """The share of this machine that others than these two took; None where the server is not here."""
    if before is None or now is None or now.all <= before.all:
        return None
    taken = (now.used - before.used) - max(0.0, now.own - before.own)
    return round(min(1.0, max(0.0, taken / (now.all - before.all))), 3)


def _spent(server: int | None) -> Spent | None:
    if server is None:
        return None
    import psutil

    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # in user already
    own: dict[int, float] = {}
    for root in (server, os.getpid()):
        try:
            first = psutil.Process(root)
            for each in [first, *first.children(recursive=True)]:
                taken = each.cpu_times()
                own[each.pid] = taken.user + taken.system
        except psutil.Error:
            continue
    return Spent(whole, whole - idle, sum(own.values()))


def _listener(url: str) -> int | None:
    """The process that serves this URL, where it is on this machine and may be looked at."""
    import psutil  # of the extra `load`, as Locust needs it

    if not on_loopback(url):
        return None
    port = urlsplit(url).port
    try:
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return None
    return next((each.pid for each in listening if each.laddr.port == port), None)


def _rss(pid: int | None) -> int | None:
    """Bytes of a process and of those that it started; None where that is not known."""
    if pid is None:
        return None
    import psutil

    try:
        whole = psutil.Process(pid)
        return sum(int(each.memory_info().rss) for each in [whole, *whole.children(recursive=True)])
    except psutil.Error:
        return None
