"""`runstone scenarios`: a team's own conversations with its agents, played and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from runstone.cli.asking import Asking, asking
from runstone.cli.options import shared_options
from runstone.errors import ExitCode, UsageError
from runstone.report.text import counted
from runstone.session.options import Given, given
from runstone.session.sources import merged

if TYPE_CHECKING:
    from runstone.conversations.events import Event
    from runstone.verdict.scenarios import ScenariosReport

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
_SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PATH=VALUE",
    help="Replace a value in every file; may be repeated.",
)
_TAG = click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Only scenarios with it; may be repeated."
)


@click.group("scenarios")
def command() -> None:
    """Play conversations with agents as acceptance tests, and judge them."""


@command.command("run")
@_PATHS
@shared_options("scenarios", by_flag=True)
@asking
@_SET
@_TAG
@click.option("--resume", is_flag=True, help="Keep what --out holds of an earlier run, and play the rest.")
@click.option("--stream", is_flag=True, help="Print each event as a line of JSON while it happens.")
def run_command(
    asks: Asking,
    asked: Given,
    paths: tuple[Path, ...],
    settings: tuple[str, ...],
    tags: tuple[str, ...],
    resume: bool,
    stream: bool,
) -> int:
    """Play the scenarios of files and folders on --target, judge them and report."""
    from runstone.cli.progress import shown_progress  # they bring in all that --help does not need
    from runstone.conversations.events import nobody
    from runstone.conversations.reading import read
    from runstone.conversations.running import AT_ONCE, Batch, report_of, run, unchanged
    from runstone.session.opening import open_session

    cases = read(paths, settings, tags)
    own = asks.own(*(path if path.is_dir() else path.parent for path in paths))
    talker = asks.talker()
    with shown_progress() as progress:
        session = open_session(asked, progress, defaults=given(target_name="embedded", concurrency=AT_ONCE))
        target = session.settings.target
        kept = unchanged(session.folder, cases, target.name) if resume and target is not None else {}
        tell = _printed if stream else nobody
        try:
            report = run(session, Batch(cases=cases, talker=talker, own=own, tell=tell, kept=kept))
        except KeyboardInterrupt:
            _write(report_of(session, cases, own), session.settings.out, quiet=True)
            raise
    return _write(report, session.settings.out, quiet=stream)


@command.command("serve")
@_PATHS
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="To listen on; beyond this machine a token is needed.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=2030, show_default=True)
@click.option(
    "--token", envvar="RUNSTONE_SERVE_TOKEN", metavar="TEXT", help="Default: one is made, if needed."
)
@click.option("--no-token", is_flag=True, help="Let everybody in who reaches --host.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A name by which browsers may call it; may be repeated.",
)
@shared_options("scenarios", by_flag=True)
@asking
@_SET
@_TAG
def serve_command(
    asks: Asking,
    asked: Given,
    paths: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    no_token: bool,
    allow_host: tuple[str, ...],
    settings: tuple[str, ...],
    tags: tuple[str, ...],
) -> None:
    """Play scenarios whenever somebody asks for it over HTTP, and show them on a page, until Ctrl-C."""
    try:
        from runstone.conversations.live import Guard, Offer, serve
    except ModuleNotFoundError as error:
        raise UsageError(
            f"serving needs {error.name}; install it with: pip install 'runstone[scenarios]'"
        ) from None

    guard = Guard.of(host, token=token, open_to_all=no_token, names=allow_host)
    own = asks.own(*(path if path.is_dir() else path.parent for path in paths))
    offer = Offer(paths=paths, asked=asked, talkers=asks.talkers(), own=own, settings=settings, tags=tags)

    serve(offer, guard, host, port, click.echo)


@command.command("judge")
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Default: beside the evidence.")
@asking
def judge_command(asks: Asking, evidence: Path, out: Path | None) -> int:
    """Judge recorded EVIDENCE again, offline: no target and no model is asked."""
    from runstone.conversations.running import judged_again
    from runstone.session.opening import open_session

    asked = given(evidence=evidence) if out is None else given(evidence=evidence, out=out)
    session = open_session(asked, lambda *_: None)
    return _write(judged_again(session, asks.own()), session.settings.out)


@command.command("lint")
@_PATHS
@shared_options("scenarios", by_flag=True)
@_SET
def lint_command(asked: Given, paths: tuple[Path, ...], settings: tuple[str, ...]) -> int:
    """Find what cannot fail, cannot pass, contradicts itself or is secret; with --target, unknown tools."""
    from tempfile import TemporaryDirectory

    from runstone.conversations.assistants import findings
    from runstone.conversations.lint import lint
    from runstone.session.opening import open_session

    found, cases = lint(paths, settings)
    if "target_name" in asked and cases:
        with TemporaryDirectory(prefix="runstone-") as folder:
            session = open_session(merged(given(out=Path(folder)), asked), lambda *_: None)
            found += findings(session, cases)
    for each in found:
        click.echo(str(each))
    errors = sum(each.grade == "error" for each in found)
    click.echo(f"{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}")
    return ExitCode.NOT_CONFORMING if errors else ExitCode.CONFORMING


@command.command("list")
@_PATHS
@_SET
@_TAG
def list_command(paths: tuple[Path, ...], settings: tuple[str, ...], tags: tuple[str, ...]) -> None:
    """List the cases of files and folders, without playing any."""
    from runstone.conversations.reading import read

    for case in read(paths, settings, tags):
        turns = "simulated" if case.scenario.simulated else counted(len(case.scenario.turns), "turn")
        times = f", {case.scenario.repeat.times} times" if case.scenario.repeat.times > 1 else ""
        click.echo(f"{case.name}  {case.scenario.assistant}, {turns}, by {case.entry_point}{times}")


@command.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of a file of scenarios, for editors."""
    from runstone.contracts.schemas import schema_text
    from runstone.conversations.schema import of_scenarios

    click.echo(schema_text(of_scenarios()), nl=False)


def _printed(event: Event) -> None:
    """The event as a line of JSON, at once."""
    click.echo(msgspec.json.encode(event).decode())


def _write(report: ScenariosReport, folder: Path, *, quiet: bool = False) -> int:
    """Write the reports and show them; the exit code."""
    from rich.console import Console

    from runstone import report as reports
    from runstone.cli.saying import say_error

    reports.write_scenarios(report, folder)
    if report.exit_code == ExitCode.UNREACHABLE:
        say_error(f"{report.stopped} (what was recorded is in {folder})")
    elif not quiet:
        reports.print_scenarios_report(report, Console(), report_dir=folder)
    return report.exit_code
