"""`runstone explore` and `runstone fuzz`: requests that nobody wrote, and how to repeat what they find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypedDict, TypeVar, Unpack

import click

from runstone.cli.checking import progress_bar, show
from runstone.cli.networking import network_options
from runstone.errors import ExitCode
from runstone.explore import broken_stories, script, stories_of
from runstone.files import replace_file
from runstone.judge.suites import judge
from runstone.session.opening import Asked, open_session
from runstone.session.session import Session
from runstone.wire.network import Network
from runstone.wire.trace import Trace

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def _exploring_options(command: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """The target and the options of both commands."""
    options = (
        click.argument("target", required=False),
        click.option(
            "--budget", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds."
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which requests."
        ),
        click.option("--profile", default=None, help="Default: langgraph."),
        click.option("--header", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request."),
        click.option("--out", type=click.Path(path_type=Path), help="Where the reports go."),
        click.option(
            "--config", type=click.Path(path_type=Path), help="Default: runstone.toml, if there is one."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@network_options
@_exploring_options
def explore(network: Network, **asked: Unpack[_Exploring]) -> int:
    """Make up stories of requests for TARGET, and tell the shortest that breaks a promise as a script.

    The same as `check --area explore`, and the script: it goes to story.sh beside the report.
    """
    session, code = _explored("explore", network, asked)
    if (trace := session.traces.get("explore")) is not None:
        _tell_story(session, trace)
    return code


@click.command()
@network_options
@_exploring_options
def fuzz(network: Network, **asked: Unpack[_Exploring]) -> int:
    """Make up requests to each operation of TARGET, and list those that break it, as curl lines.

    The same as `check --area fuzz`, and the lines that prepare a fresh server for pasting the others.
    """
    session, code = _explored("fuzz", network, asked)
    if (trace := session.traces.get("fuzzed_contract")) is not None:
        click.echo(f"\nsent {len(trace.exchanges)} requests, seed {asked['seed']}")
        if code == ExitCode.NOT_CONFORMING:
            click.echo("on a fresh server, paste these before the lines above:\n")
            click.echo("\n".join(each.curl() for each in trace.find("prepare") if each.method == "POST"))
    return code


class _Exploring(TypedDict):
    target: str | None
    budget: float
    seed: int
    profile: str | None
    header: tuple[str, ...]
    out: Path | None
    config: Path | None


def _explored(area: str, network: Network, given: _Exploring) -> tuple[Session, int]:
    asked = Asked(
        target=given["target"],
        default_target="embedded",
        config=given["config"],
        profile=given["profile"],
        headers=given["header"],
        network=network,
        budget_s=given["budget"],
        seed=given["seed"],
        areas=(area,),
        out=given["out"],
    )
    with progress_bar() as progress:
        session = open_session(asked, progress)
        found = judge(session)
    return session, show(found, session.settings.out)


def _tell_story(session: Session, trace: Trace) -> None:
    told = stories_of(trace)
    click.echo(
        f"\ntold {len(told)} stories in {len(trace.exchanges)} requests, seed {trace.notes.get('seed')}"
    )
    broken = broken_stories(told, session.settings.profile, trace.notes.get("settle_s", 0.0))
    if broken:
        path, told_again = session.settings.out / "story.sh", script(broken[0])
        replace_file(path, told_again)
        click.echo(f"the shortest that breaks a promise, in {path}:\n\n{told_again}")
