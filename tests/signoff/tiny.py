"""A tiny Runstone: six requirements, their suite and a server that keeps them, for the tests of sign-off.

The engine is the real one. Only what it reads as data is small, so that a whole observation takes 0.2 s and
judging it again 0.1 s, and so that a contract or a judge can be changed as an attacker, or a release, would.
"""

from __future__ import annotations

import gc
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from runstone import locations
from runstone.contracts import load_profile
from runstone.judge.suites import judge
from runstone.session.session import Session
from runstone.session.settings import Settings
from runstone.target.target import Target
from tests.honest import Honest, uvicorn_serving

CONTRACTS = Path(__file__).parents[2] / "contracts"
REQUIREMENTS = {
    "meta": """
area: meta
order: 10
title: The server about itself
requirements:
- {id: META-001, level: MUST, statement: GET /ok answers ok., source: ["OAS: GET /ok"]}
- {id: META-002, level: SHOULD, statement: GET /info tells a version., source: ["OAS: GET /info"]}
- {id: META-003, level: SHOULD, statement: GET /slow answers., source: ["OAS: GET /ok"]}
""",
    "run-wait": """
area: run-wait
order: 20
title: Waiting for a run
requirements:
- {id: RUN-WAIT-001, level: MUST, statement: A wait answers the values., source: ["OAS: POST /runs/wait"]}
""",
    "cron": """
area: cron
order: 30
title: Schedules
requirements:
- {id: CRON-001, level: MUST, statement: Crons fire., source: ["OAS: POST /runs/crons"], needs: [crons]}
""",
    "explore": """
area: explore
order: 40
kind: exploring
title: Made-up stories
requirements:
- {id: EXPLORE-001, level: MUST, statement: No story breaks it., source: ["GOAL: exploration"]}
""",
}
SUITE = """
from runstone.suite import Api, Schedule, Trace, raw, requirement, scenario


@scenario
async def about(api: Api) -> None:
    await api.server_ok()
    await api.info()


@scenario
async def turn(api: Api) -> None:
    thread = await api.create_thread()
    await api.wait(thread, "echo", {"messages": [{"role": "user", "content": "hi"}]})
    await api.state(thread)


@scenario(Schedule(waits=70))
async def slow(api: Api) -> None:
    await api.request("GET", "/slow", label="slow")


@scenario(needs=["crons"])
async def schedule(api: Api) -> None:
    await api.request("POST", "/runs/crons")


@scenario(explores=True)
async def stories(api: Api) -> None:
    await api.request("GET", "/story", label="story")


@requirement("META-001")
def test_ok(about: Trace) -> None:
    assert raw(about.ok.object["ok"]) is True


@requirement("META-002")
def test_info(about: Trace) -> None:
    assert about.info.object["version"] == "1.0"


@requirement("META-003")
def test_slow(slow: Trace) -> None:
    assert slow.slow.status == 200


@requirement("RUN-WAIT-001")
def test_wait(turn: Trace) -> None:
    assert turn.wait.object == turn.state.object["values"]


@requirement("CRON-001")
def test_cron(schedule: Trace) -> None:
    assert schedule.exchanges


@requirement("EXPLORE-001")
def test_stories(stories: Trace) -> None:
    assert stories.story.status == 200
"""


class House:
    """Contracts and suites in a folder of their own, made if it is not there; the rest is the checkout's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if root.exists():
            return
        shutil.copytree(
            locations.locate("contracts"), root / "contracts", ignore=shutil.ignore_patterns("examples")
        )
        for path in (root / "contracts/requirements").iterdir():
            if path.name != "sources.yaml":
                path.unlink()
        operations = root / "contracts/operations.yaml"
        promised = re.sub(r"\bpromise: [A-Z0-9-]+", "promise: META-001", operations.read_text("utf-8"))
        operations.write_text(promised, "utf-8")
        (root / "suites").mkdir()
        for area, text in REQUIREMENTS.items():
            self.promise(area, text)
        self.judge_by(SUITE)

    def promise(self, area: str, text: str) -> None:
        """Write the requirements of one area."""
        (self.root / "contracts/requirements" / f"{area}.yaml").write_text(text, "utf-8")

    def judge_by(self, text: str) -> None:
        """Write the only suite."""
        for path in (self.root / "suites").glob("*.py"):
            path.unlink()
        (self.root / "suites" / f"test_tiny_{abs(hash(text))}.py").write_text(text, "utf-8")

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the engine read this house, and forget it afterwards."""
        with patch.object(locations, "INSTALLED", self.root):
            forget()
            try:
                yield
            finally:
                forget()


def forget() -> None:
    """Clear what the engine has read of contracts and suites."""
    for each in _caches(sum(name.startswith("runstone.") for name in sys.modules)):
        each.cache_clear()


@cache
def _caches(_modules: int) -> list[_lru_cache_wrapper[Any]]:
    """The caches of so many modules of the engine; among all the tests it takes long to find them."""
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, _lru_cache_wrapper)
        and str(getattr(each, "__module__", "")).startswith("runstone.")
    ]


class Server:
    """The honest server. `answers` replaces its answers by path; `wait_is_wrong` breaks RUN-WAIT-001."""

    def __init__(self) -> None:
        self._honest = Honest()
        self.answers: dict[str, Response] = {}
        self.wait_is_wrong = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.answers.get(scope["path"])
        if self.wait_is_wrong and scope["path"].endswith("/runs/wait"):
            answer = JSONResponse({"messages": []})
        if answer is None and scope["path"] in {"/slow", "/story"}:
            answer = JSONResponse({})
        await (answer or self._honest)(scope, receive, send)


def observe(out: Path, server: Server, **settings: Any) -> Path:
    """Observe the server with --patient and once, or as `settings` says; the folder of the evidence."""
    with uvicorn_serving(server) as url:
        session = Session(
            Settings(
                profile=load_profile("langgraph"),
                target=Target(name="tiny", url=url),
                out=out,
                **{"patient": True, "confirm": False, **settings},
            ),
            lambda *_: None,
        )
        judge(session)
    return out / "evidence"
