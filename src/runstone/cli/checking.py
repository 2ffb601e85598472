"""A check as commands show it: how far it is while it goes on, the report at its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from runstone import report
from runstone.cli.progress import shown_progress
from runstone.cli.saying import say_error
from runstone.errors import ExitCode
from runstone.judge.suites import judge, observe_shard
from runstone.session.opening import open_session
from runstone.session.options import Given
from runstone.session.session import Session
from runstone.verdict.model import Report


def check(
    asked: Given, defaults: Given, prepare: Callable[[Session], None] = lambda _: None
) -> tuple[Session, int]:
    """Observe the target, judge it and show the report; the session and the exit code.

    `prepare` is given the session before anything is observed.
    """
    with shown_progress() as progress:
        session = open_session(asked, progress, defaults=defaults)
        if session.settings.shard is not None:
            observe_shard(session)
            return session, show_shard(session)
        prepare(session)
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
    traces = len(session.seen())
    again = f", {found.confirmations} of them again" if found.confirmations else ""
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
