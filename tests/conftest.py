"""What tests share: their order, a whole check, and a real browser for those of pages.

Whatever uses the browser is marked, so `-m "not browser"` leaves it out.
"""

from __future__ import annotations

import gc
import os
import shutil
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, expect, sync_playwright

from tests.command_line import runstone

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_MANY: Final = 500
_FLAGS: Final = (
    "--no-sandbox --headless --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's chromium; its absence is a failure, because nothing else proves a page."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail("chromium is missing: install the system's package, for instance `apt install chromium`")
    with sync_playwright() as playwright:
        expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong
        chromium = playwright.chromium.launch(executable_path=found, args=_FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def whole_check(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole check of the embedded runtime, which conforms; all workers share it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made, making = shared / "embedded", shared / "embedded-in-the-making"
    with FileLock(shared / "embedded.lock"):
        if not made.exists():
            done = runstone("check", "--out", str(making))
            assert done.returncode == 0, done.stdout + done.stderr
            making.rename(made)
    return made


def pytest_sessionstart(session: pytest.Session) -> None:
    gc.set_threshold(50_000, 20, 100)  # nine thousand tests stay: to look at them again finds nothing
    # With `--reruns` a worker of pytest-xdist asks about each test over a socket, which would wait 40 ms
    # each time for more to send.
    asking = getattr(getattr(session.config, "failures_db", None), "sock", None)
    if asking is not None:
        asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    # What waits for minutes begins first, and files with something slow before the others; last come files of
    # a thousand tests, which take seconds: at the end no process waits for one that has only begun.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    sizes = Counter(item.path for item in items)
    items.sort(
        key=lambda item: (
            item.get_closest_marker("patient") is None,
            item.path not in slow,
            sizes[item.path] > _MANY,
        )
    )
