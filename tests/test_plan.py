"""`check --plan`: what a check would do is told, and nothing is sent but the self-check."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from tests.command_line import one_line_of_error, runstone
from tests.honest import Honest, uvicorn_serving

# A self-check runs each of two graphs by one path, asks what else there is, and tries the plainest request.
_MOST_REQUESTS = 40


def planned(*words: str) -> dict[str, Any]:
    done = runstone("check", "--plan", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_only_the_self_check_is_sent_and_nothing_is_written(tmp_path: Path) -> None:
    app, out = Honest(), tmp_path / "out"
    with uvicorn_serving(app) as url:
        done = runstone("check", url, "--plan", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not out.exists()
    assert app.requests.total() < _MOST_REQUESTS
    assert app.requests["DELETE /threads/*"] == app.requests["POST /threads"]
    told = " ".join(done.stdout.split())
    assert "destroys nothing" in told
    assert "exclusive is not declared, or else runs are cancelled by their status, whoever made them" in told
    assert "kill is not declared, or else the server is killed and started again" in told
    assert "all of it is deleted at the end" in told
    assert "at 1 run at a time" in told
    assert "a check measures how many it executes" in told
    assert "nothing was sent but the self-check" in told


def test_what_is_declared_is_destructive(tmp_path: Path) -> None:
    config = tmp_path / "runstone.toml"
    config.write_text('[capabilities]\nexclusive = true\n[server]\nrestart = ["true"]\n', "utf-8")
    with uvicorn_serving(Honest()) as url:
        config.write_text(f'target = "{url}"\n' + config.read_text("utf-8"), "utf-8")
        found = planned(url, "--config", str(config), "--capacity", "4", "--keep", "all")
    assert set(found["destructive"]) == {"exclusive", "restart"}
    assert set(found["spared"]) == {"kill"}
    assert found["capacity"] == 4
    assert found["kept"] is True
    assert next(iter(found["seconds"])) == "4"


def test_a_part_creates_less() -> None:
    with uvicorn_serving(Honest()) as url:
        whole, part = planned(url), planned(url, "--area", "run-get")
    assert part["scenarios"] == ["run_read_by_id"]
    assert part["requirements"] == 1
    assert part["destructive"] == part["spared"] == {}
    assert 0 < part["creates"]["runs"] < whole["creates"]["runs"]
    assert part["seconds"]["1"] < whole["seconds"]["1"]
    assert {"crons", "store"} <= {each["capability"] for each in whole["left_out"]}
    assert not {"crons", "items"} & whole["creates"].keys()  # it offers neither


def test_nothing_to_plan_for_is_3() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    done = runstone("check", f"http://127.0.0.1:{port}", "--plan")
    assert done.returncode == 3
    assert "does not answer" in one_line_of_error(done)


def test_json_belongs_to_a_plan() -> None:
    done = runstone("check", "embedded", "--json")
    assert done.returncode == 2
    assert "--json is how --plan is told" in one_line_of_error(done)
