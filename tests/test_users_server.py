"""A user's own small server with one promise broken: the report names it and repeats it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.command_line import runstone
from tests.honest import _NOT_FOUND, Honest, _location, _now, uvicorn_serving


class WaitStoresTheInput(Honest):
    """Its wait answers 200 with the input, and never runs the graph."""

    async def _wait(self, request: Request) -> Response:
        thread, body = self._found(request), await request.json()
        if thread is None:
            return _NOT_FOUND
        thread["values"] |= body.get("input") or {}
        run = {"run_id": thread["thread_id"], "thread_id": thread["thread_id"], "status": "success"}
        self._runs[run["run_id"]] = run | {
            "assistant_id": run["run_id"],
            "metadata": {},
            "created_at": _now(),
        }
        return JSONResponse(thread["values"], headers=_location(run))


class FailedRunAnswersNothing(Honest):
    """A run of `fail` ends in error, and its wait answers `{}`."""

    async def _wait(self, request: Request) -> Response:
        if (await request.json()).get("assistant_id") != "fail":
            return await super()._wait(request)
        thread = self._found(request)
        if thread is None:
            return _NOT_FOUND
        run = {"run_id": thread["thread_id"], "thread_id": thread["thread_id"], "status": "error"}
        self._runs[run["run_id"]] = run
        thread["status"] = "error"
        return JSONResponse({}, headers=_location(run))


class NeverLeavesBusy(Honest):
    """Its threads are busy from their first run on, for ever."""

    async def _execute(self, request: Request) -> dict[str, Any]:
        thread = self._found(request)
        if thread is not None:
            thread["status"] = "busy"
        return await super()._execute(request)


def pasted(line: str) -> str:
    """What the curl line prints. Where there is no curl, its words are sent as curl would send them."""
    if shutil.which("curl"):
        return subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout  # noqa: S602
    words = shlex.split(line)
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    data = words[words.index("--data-binary") + 1] if "--data-binary" in words else None
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    url = next(word for word in words if word.startswith("http://"))
    return httpx.request(method, url, content=data, headers=headers, trust_env=False).text


@pytest.mark.parametrize(
    "server, promise, where, shown",
    [
        (WaitStoresTheInput, "EXEC-001", "/runs/wait", '"note"'),
        (FailedRunAnswersNothing, "RUN-WAIT-004", "/runs/wait", "{}"),
        pytest.param(
            NeverLeavesBusy, "THR-STATUS-003", "/threads/", '"status":"busy"', marks=pytest.mark.slow
        ),
    ],
)
def test_the_report_names_what_is_broken(
    server: type[Honest], promise: str, where: str, shown: str, tmp_path: Path
) -> None:
    with uvicorn_serving(server()) as url:
        done = runstone("check", url, "--select", promise, "--confirm", "0", "--out", str(tmp_path))
        assert done.returncode == 1, done.stdout + done.stderr
        found: dict[str, Any] = json.loads((tmp_path / "report.json").read_text("utf-8"))
        verdict = next(each for each in found["verdicts"] if each["id"] == promise)
        assert verdict["verdict"] == "fail"
        broken = next(case for case in verdict["cases"] if case["verdict"] == "fail")
        assert broken["exchanges"]
        repeated = [pasted(line).replace(" ", "") for line in broken["curl"] if where in line]
        assert any(shown in each for each in repeated), repeated
    assert promise in done.stdout
    assert verdict["statement"].split(",")[0][:40] in " ".join(done.stdout.split())
    assert url in done.stdout
