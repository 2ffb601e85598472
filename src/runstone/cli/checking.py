"""A check as commands show it: a bar while it observes, the report at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from runstone import report
from runstone.cli.saying import say_error
from runstone.errors import ExitCode
from runstone.judge.suites import judge, observe_shard
from runstone.session.opening import open_session
from runstone.session.options import Said
from runstone.session.session import SECOND, Session
from runstone.verdict.model import Report


def check(asked: Said, defaults: Said) -> tuple[Session, int]:
    """Observe the target, judge it and show the report; the session and the exit code."""
    with progress_bar() as progress:
        session = open_session(asked, progress, defaults=defaults)
        if session.settings.shard is not None:
            observe_shard(session)
            return session, show_shard(session)
        found = judge(session)
    return session, show(found, session.settings.out)


def show_shard(session: Session) -> int:
    """Tell in one line what was observed of a shard, or why it is not whole; the exit code."""
    found, folder = session.manifest, session.folder
    if found is None or found.shard is None or found.unusable:
        say_error(f"{session.stopped} (what was observed is in {folder})")
        return ExitCode.UNREACHABLE
    name = f"shard {found.shard.number} of {found.shard.of}"
    if found.stopped is not None:
        say_error(f"{name} is not whole: {found.stopped} (what was observed is in {folder}); run it again")
        return ExitCode.NOT_CONFORMING
    traces = sum(not each.endswith(SECOND) for each in session.traces)
    again = f", {found.confirmations} of them twice" if found.confirmations else ""
    click.echo(f"{name}: {traces} scenarios observed in {found.observe_s:.1f} s{again}: {folder}")
    click.echo(f"no verdict yet: runstone merge DIR… judges all {found.shard.of} shards together")
    return ExitCode.CONFORMING


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
