"""`runstone check` and `runstone judge`: observe a server, judge what was recorded, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from runstone import report
from runstone.cli.networking import network_options
from runstone.cli.saying import say_error
from runstone.errors import ExitCode
from runstone.judge.suites import judge
from runstone.scenario.scenario import PATIENT_S, QUICK_S
from runstone.session import configuration
from runstone.session.opening import Asked, open_session
from runstone.verdict.model import FailOn, Report
from runstone.wire.network import Network

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def judging_options(command: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """The options that `check` and `judge` share."""
    options = (
        click.option("--area", multiple=True, help="Only this area; may be repeated."),
        click.option(
            "--select", multiple=True, metavar="ID-GLOB", help="Only these requirements, like 'RUN-*'."
        ),
        click.option("--fail-on", type=click.Choice(["must", "should"]), help="Default: must."),
        click.option(
            "--waivers", type=click.Path(path_type=Path), help="Known failures, each with its expiry."
        ),
        click.option("--out", type=click.Path(path_type=Path), help="Where the reports go."),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help=f"Default: {configuration.FILE} in the current folder, if there is one.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("target", required=False)
@click.option("--profile", default=None, help="Default: langgraph.")
@click.option(
    "--header", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request, never recorded."
)
@click.option(
    "--second-header",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="The same of a second user, for isolation.",
)
@click.option("--quick", is_flag=True, help=f"Leave out what must wait for more than {QUICK_S:g} s.")
@click.option("--patient", is_flag=True, help=f"Judge also what must wait for more than {PATIENT_S:g} s.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    help="Scenarios at once, beside as many that sleep; default: 16, quick: 24.",
)
@click.option("--budget", type=click.FloatRange(min=1), metavar="SECONDS", help="End the observation then.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of areas explore and fuzz; default: 0.")
@network_options
@judging_options
def check(
    network: Network,
    target: str | None,
    profile: str | None,
    header: tuple[str, ...],
    second_header: tuple[str, ...],
    quick: bool,
    patient: bool,
    concurrency: int | None,
    budget: float | None,
    seed: int,
    area: tuple[str, ...],
    select: tuple[str, ...],
    fail_on: FailOn | None,
    waivers: Path | None,
    out: Path | None,
    config: Path | None,
) -> int:
    """Observe a server, judge it and report. TARGET is a URL or a recipe; default: embedded."""
    asked = Asked(
        target=target,
        default_target="embedded",
        config=config,
        profile=profile,
        headers=header,
        second_headers=second_header,
        network=network,
        quick=quick,
        patient=patient,
        concurrency=concurrency,
        budget_s=budget,
        seed=seed,
        fail_on=fail_on,
        areas=area,
        select=select,
        waivers=waivers,
        out=out,
    )
    with progress_bar() as progress:
        session = open_session(asked, progress)
        found = judge(session)
    return show(found, session.settings.out)


@click.command(name="judge")
@click.argument("folder", metavar="EVIDENCE", type=click.Path(path_type=Path))
@judging_options
def judge_again(
    folder: Path,
    area: tuple[str, ...],
    select: tuple[str, ...],
    fail_on: FailOn | None,
    waivers: Path | None,
    out: Path | None,
    config: Path | None,
) -> int:
    """Judge recorded EVIDENCE again, offline."""
    asked = Asked(
        evidence=folder, config=config, fail_on=fail_on, areas=area, select=select, waivers=waivers, out=out
    )
    session = open_session(asked, lambda *_: None)
    return show(judge(session), session.settings.out)


def show(found: Report, folder: Path) -> int:
    """Print the report, or in one line why there is none; the exit code."""
    if found.exit_code == ExitCode.UNREACHABLE:
        say_error(f"{found.stopped} (what was observed is in {folder})")
    else:
        report.print_summary(found, Console(), report_dir=folder)
    return found.exit_code


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing when piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    columns = (
        TextColumn("observing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("self-check", total=None)
        yield lambda name, done, total: bar.update(task, description=name, completed=done, total=total)
