"""The reference runtime as a server to send to, in a process of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from runstone import __version__
from runstone.locations import locate
from tests.command_line import Started, command, started

GRAPHS = locate("fixtures") / "graphs" / "python" / "langgraph.json"
SECRET = "a secret of more than thirty-two bytes, as HS256 asks for"  # noqa: S105 - signs the tokens of tests
STEPS = {"assistant_id": "steps", "input": {"note": "n"}}
DONE = {"log": ["s1", "s2", "s3"], "note": "n"}
SLOW = {"assistant_id": "slow", "input": {"sleep": 30}}


@dataclass
class Server:
    """A reference runtime in a process of its own."""

    process: Started
    url: str
    client: httpx.Client

    def thread(self, **body: Any) -> str:
        """Create a thread; answers its id."""
        return str(self.post("/threads", body)["thread_id"])

    def post(self, path: str, body: Any = None) -> Any:
        """POST that must be accepted; answers the JSON, or None without a body."""
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        """GET that must be accepted; answers the JSON."""
        answer = self.client.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    def settled(self, thread: str, run: str) -> str:
        """Wait for a run by polling it; answers its terminal status."""
        for _ in range(600):
            status = str(self.get(f"/threads/{thread}/runs/{run}")["status"])
            if status not in ("pending", "running"):
                return status
            time.sleep(0.02)
        raise AssertionError(f"run {run} is still {status}")

    def until(self, thread: str, values: dict[str, Any]) -> None:
        """Wait until the thread's state holds these values."""
        for _ in range(600):
            state = self.get(f"/threads/{thread}/state")
            if values.items() <= state["values"].items():
                return
            time.sleep(0.02)
        raise AssertionError(f"the state is still {state}")


def arguments(*options: str, graphs: Path = GRAPHS) -> list[str]:
    """The words of a server on a free port."""
    return ["serve", "--port", "0", "--graphs", str(graphs), *options]


@contextmanager
def launched(*options: str) -> Iterator[Server]:
    """Start a server, wait for the line that says where it listens, and end it."""
    with started(command, *arguments(*options)) as process:
        ready = re.fullmatch(r"runstone-reference (\S+) on (http://\S+)", process.first_line())
        assert ready is not None, process.complained
        assert ready[1] == __version__
        with httpx.Client(base_url=ready[2], timeout=30) as client:
            yield Server(process, ready[2], client)


def bearer(name: str) -> dict[str, str]:
    """The header that says who is calling."""
    return {"Authorization": f"Bearer {jwt.encode({'sub': name}, SECRET, 'HS256')}"}


def running_slow(server: Server, **extra: Any) -> tuple[str, str]:
    """A thread with a run that is in its sleeping node."""
    thread = server.thread()
    run = server.post(f"/threads/{thread}/runs", SLOW | extra)["run_id"]
    server.until(thread, {"log": ["a"]})
    return thread, run
