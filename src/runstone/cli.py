"""The command line; everything it does is done elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import runstone
from runstone import configuration, recipes, report, retrieval
from runstone.contracts import load_catalogue
from runstone.errors import RunstoneError, UsageError
from runstone.judging import judge
from runstone.locations import locate
from runstone.observe import PATIENT_S, QUICK_S
from runstone.opening import Asked, open_session
from runstone.session import UNREACHABLE
from runstone.target import checked_url, parsed_headers
from runstone.verdict import HARNESS_ERROR, INTERRUPTED, FailOn, Report

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def main() -> NoReturn:
    """Run the command line; a diagnosis is one line on standard error and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RunstoneError as error:
        _say_error(str(error))
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say_error("interrupted; what was observed is kept")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(HARNESS_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _say_error(message: str) -> None:
    click.echo(f"runstone: {' '.join(message.split())}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(runstone.__version__, prog_name="runstone")
def cli() -> None:
    """Prove whether a server that speaks the LangGraph run API keeps its promises."""


def _judging_options(command: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
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


@cli.command()
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
@_judging_options
def check(
    target: str | None,
    profile: str | None,
    header: tuple[str, ...],
    second_header: tuple[str, ...],
    quick: bool,
    patient: bool,
    concurrency: int | None,
    budget: float | None,
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
        quick=quick,
        patient=patient,
        concurrency=concurrency,
        budget_s=budget,
        fail_on=fail_on,
        areas=area,
        select=select,
        waivers=waivers,
        out=out,
    )
    with _progress() as progress:
        session = open_session(asked, progress)
        found = judge(session)
    return _show(found, session.settings.out)


def _headers(lines: Sequence[str]) -> dict[str, str]:
    return parsed_headers([*os.environ.get("RUNSTONE_HEADERS", "").splitlines(), *lines])


@cli.command(name="judge")
@click.argument("folder", metavar="EVIDENCE", type=click.Path(path_type=Path))
@_judging_options
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
    return _show(judge(session), session.settings.out)


def _show(found: Report, folder: Path) -> int:
    if found.exit_code == UNREACHABLE:
        _say_error(f"{found.stopped} (what was observed is in {folder})")
    else:
        report.print_summary(found, Console(), report_dir=folder)
    return found.exit_code


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
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


@cli.command(name="list")
@click.option("--area", help="Only this area.")
def list_requirements(area: str | None) -> None:
    """The catalogue: every requirement with its level."""
    catalogue = load_catalogue()
    report.print_catalogue(catalogue.select(area=area) if area else catalogue.values(), Console())


@cli.command()
@click.argument("requirement")
def explain(requirement: str) -> None:
    """Everything known about one REQUIREMENT, like RUN-WAIT-004."""
    report.print_requirement(load_catalogue()[requirement], Console())


@cli.command()
@click.argument("name")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: a free one.")
def up(name: str, port: int | None) -> None:
    """Start a known server and leave it running until Ctrl-C."""
    recipe = recipes.load(name)
    recipes.stay_up(
        recipe, port, lambda server: click.echo(f"{recipe.name} is up: {server.url} (Ctrl-C stops it)")
    )


@cli.command()
@click.argument("thread")
@click.argument("run")
@click.option("--url", envvar="RUNSTONE_TARGET", default="http://127.0.0.1:2024", show_default=True)
@click.option("--header", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request.")
@click.option("--order", help="The paths to try; default: stream,state,join_stream,join.")
@click.option("--deadline", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds.")
def result(
    thread: str, run: str, url: str, header: tuple[str, ...], order: str | None, deadline: float
) -> int:
    """Fetch the result of RUN on THREAD by whichever path works, and say which did."""
    chosen = [name.strip() for name in order.split(",")] if order else (*retrieval.DEFAULT_ORDER, "join")
    found = asyncio.run(_retrieve(checked_url(url), _headers(header), thread, run, chosen, deadline))
    click.echo(retrieval.describe(found))
    return found.exit_code


async def _retrieve(
    url: str, headers: dict[str, str], thread: str, run: str, order: Sequence[Any], deadline: float
) -> retrieval.RunResult:
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        poller = retrieval.StatusPoller(client, deadline=deadline)
        return await retrieval.ResultRetriever(client, order=order, poller=poller).result(thread, run)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=2024, show_default=True)
@click.option("--db", type=click.Path(path_type=Path), help="Default: a temporary folder, gone at the end.")
@click.option(
    "--graphs", type=click.Path(path_type=Path), help="A langgraph.json; default: the conformance graphs."
)
@click.option(
    "--profile", type=click.Choice(["langgraph", "wait-state"]), default="langgraph", show_default=True
)
@click.option(
    "--auth-secret", envvar="RUNSTONE_AUTH_SECRET", help="Demand bearer tokens (JWT, HS256) signed with it."
)
@click.option(
    "--run-time-limit", multiple=True, metavar="[GRAPH=]SECONDS", help="End longer runs as timeout."
)
def serve(
    host: str,
    port: int,
    db: Path | None,
    graphs: Path | None,
    profile: Literal["langgraph", "wait-state"],
    auth_secret: str | None,
    run_time_limit: tuple[str, ...],
) -> None:
    """Run the embedded reference runtime until Ctrl-C."""
    try:
        from runstone import reference
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the reference runtime needs {error.name}; install it with: pip install 'runstone[embedded]'"
        ) from None
    reference.serve(
        host=host,
        port=port,
        db=db,
        graphs=graphs or locate("fixtures") / "graphs" / "python" / "langgraph.json",
        profile=profile,
        auth_secret=auth_secret,
        run_time_limits=_time_limits(run_time_limit),
    )


def _time_limits(words: Sequence[str]) -> dict[str, float]:
    """`limited=1` → {"limited": 1.0}; a bare number holds for every graph, under the key `*`."""
    limits: dict[str, float] = {}
    for word in words:
        graph, _, text = word.rpartition("=")
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise UsageError(f"--run-time-limit {word!r} is not [GRAPH=]SECONDS, like 30 or slow=30")
        limits[graph or "*"] = seconds
    return limits
