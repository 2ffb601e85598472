"""A bare Locust file: it sends what `runstone load` sends, and looks at none of it (tests/load/bench.py).

Each process adds to a file how many starts were through when the time was over.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gevent.pywsgi import WSGIServer
from locust import FastHttpUser, events, task

MIX: Final[dict[str, int]] = json.loads(os.environ["BARE_MIX"])
COUNTS: Final = Path(os.environ["BARE_COUNTS"])


def _answer(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", "0")])
    return [b""]


@events.init.add_listener
def _listen(**_: Any) -> None:
    """Webhooks come here; each process has a listener of its own, as the workers of `runstone load` have."""
    hooks = WSGIServer(("127.0.0.1", 0), _answer, log=None, environ={"SERVER_NAME": "127.0.0.1"})
    hooks.start()
    BareUser.hook = f"http://127.0.0.1:{hooks.server_port}/webhook"


@events.test_stop.add_listener
def _tell(**_: Any) -> None:
    with COUNTS.open("a") as counts:
        counts.write(f"{BareUser.through}\n")


class BareUser(FastHttpUser):
    """One client, which starts one thing after the other."""

    hook = ""
    through = 0  # starts of all users of this process
    thread = note = ""

    @task
    def start_one(self) -> None:
        """One start, of a kind that is drawn."""
        self.note = f"bare-{random.getrandbits(64):016x}"
        self.thread = self._post("/threads", metadata={"note": self.note})["thread_id"]
        kind = random.choices(list(MIX), list(MIX.values()))[0]  # noqa: S311
        getattr(self, f"play_{kind}")()
        self._get("/runs?limit=100")
        self._get("/state")
        BareUser.through += 1

    def play_wait(self) -> None:
        """A run by `runs/wait`."""
        self._run("/wait", "steps", input={"note": self.note})

    def play_stream(self) -> None:
        """A run by `runs/stream`, read to its end."""
        self._streamed("steps", input={"note": self.note}).content  # noqa: B018 - reads it

    def play_background(self) -> None:
        """A run with a webhook, joined."""
        webhook = f"{self.hook}/{self.note}"
        self._join(self._run("", "steps", input={"note": self.note}, webhook=webhook)["run_id"])

    def play_enqueue(self) -> None:
        """Three runs on one thread, the last one joined."""
        for number in range(1, 4):
            said = {"messages": [{"role": "user", "content": f"{self.note}.{number}"}]}
            created = self._run("", "echo", input=said, multitask_strategy="enqueue")
        self._join(created["run_id"])

    def play_interrupt(self) -> None:
        """A run that stops, and is resumed."""
        self._run("/wait", "interrupt", input={"question": self.note})
        self._run("/wait", "interrupt", command={"resume": self.note})

    def play_cancel(self) -> None:
        """A run that is cancelled while it sleeps."""
        run = self._run("", "slow", input={"note": self.note, "sleep": 60})["run_id"]
        self._post(f"/threads/{self.thread}/runs/{run}/cancel?wait=1")

    def play_hangup(self) -> None:
        """A stream whose client hangs up; the run is joined."""
        asked = {"note": self.note, "sleep": 0.3}
        streamed = self._streamed("slow", input=asked, on_disconnect="continue")
        streamed.stream.read(1)
        streamed.release()
        self._join(streamed.headers["content-location"].rpartition("/")[2])

    def _run(self, way: str, assistant: str, **body: Any) -> Any:
        return self._post(f"/threads/{self.thread}/runs{way}", assistant_id=assistant, **self._named(body))

    def _streamed(self, assistant: str, **body: Any) -> Any:
        asked = {"assistant_id": assistant, "stream_mode": ["values"], **self._named(body)}
        return self.client.post(f"/threads/{self.thread}/runs/stream", json=asked, name="stream", stream=True)

    def _named(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"note": self.note}, **body}

    def _join(self, run: str) -> None:
        self._get(f"/runs/{run}/join", "join")

    def _get(self, path: str, name: str | None = None) -> None:
        self.client.get(f"/threads/{self.thread}{path}", name=name or path).content  # noqa: B018 - reads it

    def _post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(path, json=body, name="post")
        return json.loads(answer.content or b"null")
