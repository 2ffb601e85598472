"""`runstone ci`: what the steps of a pipeline ask for, so that their shell stays short."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from runstone.errors import UsageError

_NAME = re.compile(r"\w[\w.@+]*(-[\w.@+]+)*")  # two hyphens part it from what follows it in artifacts
_SHARD = "{shard}"
_MOST_JOBS = 256  # of one matrix, on GitHub


@click.group("ci")
def command() -> None:
    """Plan the jobs of a pipeline, and tell its steps what a report says."""


@command.command()
@click.argument("targets", envvar="TARGETS")
@click.option("--shards", type=click.IntRange(min=1), default=1, show_default=True, help="Of each target.")
def plan(targets: str, shards: int) -> None:
    """Put out `observe` and `targets`: a matrix of jobs for TARGETS.

    TARGETS are URLs, recipes or NAME=URL, parted by spaces or lines. A URL is shared out only where it has
    {shard} in it, the number of the shard: shards must not meet on one server. `observe` has an entry for
    each target and shard, `targets` one for each target. They go to the file that GITHUB_OUTPUT names, else
    they are printed.
    """
    named = {
        name: (target, shards if _can_be_shared_out(target) else 1)
        for name, target in _named(targets).items()
    }
    observe = [
        {
            "name": name,
            "target": target.replace(_SHARD, str(number)),
            "shard": f"{number}/{of}" if of > 1 else "",
            "artifact": f"shard--{name}--{number}-of-{of}",
        }
        for name, (target, of) in named.items()
        for number in range(1, of + 1)
    ]
    if len(observe) > _MOST_JOBS:
        raise UsageError(f"{len(observe)} jobs are more than the {_MOST_JOBS} of a matrix")
    put_out(
        {
            "observe": json.dumps({"include": observe}),
            "targets": json.dumps(
                {"include": [{"name": name, "shards": of} for name, (_, of) in named.items()]}
            ),
        }
    )


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--exit-code", type=click.IntRange(0, 255), required=True, help="That of the check.")
def outputs(folder: Path, exit_code: int) -> None:
    """Put out what the report in DIR says: `verdict`, `exit-code`, `must-kept`, `report`, `causes`.

    The summary, cut to what fits, is appended to the file that GITHUB_STEP_SUMMARY names; the outputs to the
    one that GITHUB_OUTPUT names, else they are printed. Without a report that is what they say.
    """
    from runstone.report import from_json, pipeline

    file = folder / "report.json"
    report = from_json(file.read_bytes()) if file.exists() else None
    put_out(pipeline.outputs(report, folder, exit_code))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        text = folder / "summary.md"
        told = text.read_text("utf-8") if report and text.exists() else pipeline.no_report(exit_code)
        with Path(summary).open("a", encoding="utf-8") as place:
            place.write(pipeline.cut(told, pipeline.SUMMARY_BYTES - place.tell()))


def put_out(values: Mapping[str, Any]) -> None:
    """A line `name=value` for each, where GitHub reads them; on standard output elsewhere."""
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    file = os.environ.get("GITHUB_OUTPUT")
    if file:
        with Path(file).open("a", encoding="utf-8") as place:
            place.write(lines)
    else:
        click.echo(lines, nl=False)


def _named(targets: str) -> dict[str, str]:
    """Each target by its name."""
    named: dict[str, str] = {}
    for word in targets.split():
        before, _, after = word.partition("=")
        name, target = (before, after) if after and _NAME.fullmatch(before) else (_name_of(word), word)
        if not name:
            raise UsageError(
                f"{word!r} is not a target; write a URL, the name of a known server, or NAME=URL"
            )
        if name in named:
            raise UsageError(f"two targets are named {name}; tell them apart: NAME=URL")
        named[name] = target
    if not named:
        raise UsageError("there is no target; give a URL or the name of a known server")
    return named


def _can_be_shared_out(target: str) -> bool:
    return "://" not in target or _SHARD in target


def _name_of(target: str) -> str:
    """A target without what a file's name cannot have, and without the password of a URL."""
    scheme, _, address = target.rpartition("://")
    plain = address.rpartition("@")[2] if scheme else target
    return re.sub(r"[^\w.@+]+", "-", plain).strip("-.")
