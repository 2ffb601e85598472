"""The self-check: who is to blame."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from runstone.errors import TargetError
from runstone.scenario.api import Api
from runstone.scenario.observer import SelfCheckBroken
from runstone.scenario.scenario import Scenario
from tests.honest import Honest, uvicorn_serving
from tests.observing.stage import Seen, drive_of, for_ever, observed
from tests.servers import HANGING, LIARS, Heard, heard_by, reply, serving


def test_an_honest_target_is_fit() -> None:
    honest = Honest()
    with uvicorn_serving(honest) as url:
        seen = observed(url, [Scenario("one", drive_of("/ok"))], insist=True, request_s=5.0)
    assert seen.outcome is not None
    fitness = seen.outcome.fitness
    assert (fitness.answers, fitness.fit, fitness.server) == (True, True, "honest 1.0")
    assert 0 < fitness.turn_s < 5.0
    assert fitness.probed == {"crons": False, "metrics": False, "openapi": False} | fitness.probed
    assert honest.requests["POST /threads/*/runs/wait"] == 2
    assert "POST /threads/*/runs/stream" not in honest.requests  # one path that shows the graphs is enough


@pytest.mark.parametrize("path", ["wait", "stream", "join"])
def test_one_working_path_is_enough_to_be_fit(path: str) -> None:
    """A server with a broken wait is judged and fails; it is not excused as unfit."""
    honest = Honest()
    broken = {"wait", "stream", "join"} - {path}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if any(scope["path"].endswith(name) or scope["path"].endswith("state") for name in broken):
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
        else:
            await honest(scope, receive, send)

    with uvicorn_serving(app) as url:
        seen = observed(url, [], insist=True, request_s=5.0)
    assert seen.outcome is not None
    assert seen.outcome.fitness.fit


@pytest.mark.parametrize("name", LIARS)
def test_a_liar_is_unfit(name: str) -> None:
    with serving(LIARS[name]) as url, pytest.raises(TargetError, match="no fit conformance graphs") as caught:
        observed(url, [Scenario("never", for_ever)], insist=True)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_a_server_without_the_graphs_is_unfit_and_shows_its_answer() -> None:
    def answer(heard: Heard) -> bytes:
        if "/runs" in heard.target:
            return reply("404 Not Found", "application/json", b'{"detail": "No assistant echo"}')
        thread = {"thread_id": "018f0000-0000-7000-8000-000000000001", "status": "idle"}
        return reply("200 OK", "application/json", json.dumps(thread).encode())

    with heard_by(answer) as (url, heard), pytest.raises(TargetError) as caught:
        observed(url, [], insist=True)
    assert 'POST /threads/…/runs gave no run_id, but 404: {"detail": "No assistant echo"}' in str(
        caught.value
    )
    assert {"wait", "stream", "runs"} <= {each.target.rpartition("/")[2] for each in heard}


@pytest.mark.parametrize("name", ["silent", "closed"])
def test_a_target_that_does_not_answer(name: str) -> None:
    seen = Seen()
    with socket.socket() as unused, serving(HANGING["silent"]) as silent:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TargetError, match="does not answer"):
            observed(silent if name == "silent" else closed, [], seen=seen, insist=True)
    assert len(seen.traces["self_check"].exchanges) == 1  # one deadline tells; no more are spent on it


def test_a_broken_self_check_is_not_the_targets_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_api: Api) -> None:
        raise ZeroDivisionError("own fault")

    monkeypatch.setattr("runstone.scenario.observer.self_check", broken)
    with (
        heard_by() as (url, _),
        pytest.raises(SelfCheckBroken, match="ZeroDivisionError: own fault") as caught,
    ):
        observed(url, [])
    assert caught.value.exit_code == 4
