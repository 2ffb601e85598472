"""The reusable workflow with a target whose observation two jobs share out, run under bash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipelines import Place, step
from tests.test_pipelines import remember, remembered, steps_of
from tests.test_pipelines import remote as remote  # a fixture

pytestmark = pytest.mark.slow


def test_two_shards_are_judged_as_one(tmp_path: Path, remote: Path) -> None:
    planned = Place(tmp_path / "plan")
    planned.run(step(steps_of("plan"), "Plan"), {"inputs.targets": "embedded", "inputs.shards": "2"})
    (target,) = json.loads(planned.outputs["targets"])["include"]
    place = Place(tmp_path / "judge")
    for leg in json.loads(planned.outputs["observe"])["include"]:
        job = Place(tmp_path / leg["artifact"])
        context = {f"matrix.{name}": value for name, value in leg.items()}
        context |= {"inputs.args": "--area=meta", "inputs.waivers": "", "secrets.headers": ""}
        done = job.run(step(steps_of("observe"), "Observe"), context)
        assert done.returncode == 0, done.stderr
        shards = place.folder / "runstone-shards"
        shards.mkdir(exist_ok=True)
        (job.folder / "runstone-observed").rename(shards / leg["artifact"])
    context = {"matrix.shards": str(target["shards"]), "inputs.fail-on": "verdict", "inputs.waivers": ""}
    done = place.run(step(steps_of("judge"), "Judge"), context)
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.outputs["verdict"] == "conforming"
    assert (place.folder / "runstone-report/evidence").is_dir()
    (place.folder / "reports").mkdir()
    (place.folder / "runstone-report").rename(place.folder / "reports/report--embedded")
    assert remember(place, remote).returncode == 0
    assert [each["target"] for each in remembered(remote)] == ["embedded"]


def test_a_missing_shard_fails_whatever_was_asked_for(tmp_path: Path) -> None:
    job, place = Place(tmp_path / "job"), Place(tmp_path / "judge")
    context = {"matrix.target": "embedded", "matrix.shard": "1/2", "inputs.args": "--area=meta"}
    done = job.run(
        step(steps_of("observe"), "Observe"), context | {"inputs.waivers": "", "secrets.headers": ""}
    )
    assert done.returncode == 0, done.stderr
    (place.folder / "runstone-shards").mkdir()
    (job.folder / "runstone-observed").rename(place.folder / "runstone-shards/shard--embedded--1-of-2")
    context = {"matrix.shards": "2", "inputs.fail-on": "never", "inputs.waivers": ""}
    done = place.run(step(steps_of("judge"), "Judge"), context)
    assert done.returncode == 2
    assert "shard 2 of 2 is missing" in done.stderr
    assert "exit code 2" in place.summary
