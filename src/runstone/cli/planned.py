"""`runstone check --plan`: what a check would do, as text or as JSON."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console

from runstone.cli.progress import duration, shown_progress
from runstone.errors import ExitCode
from runstone.judge.suites import plan
from runstone.report.paper import Page
from runstone.report.text import counted
from runstone.scenario.capacity import WAVES
from runstone.session.opening import open_session
from runstone.session.options import Given
from runstone.session.plan import Plan


def tell(asked: Given, defaults: Given, *, as_json: bool) -> int:
    """Send the self-check, print what a check would do, and end with 0."""
    with shown_progress() as progress:
        found = plan(open_session(asked, progress, defaults=defaults))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        _print(found, Page(Console()))
    return ExitCode.CONFORMING


def _print(found: Plan, out: Page) -> None:
    out.entry("target   ", f"{found.target} at {found.url} ({found.server or 'server unknown'})")
    if found.agent:
        out.entry("agent    ", f"{found.agent}: its runs may cost money")
    judged = counted(found.requirements, "requirement")
    out.entry("judges   ", f"{judged}, by {counted(len(found.scenarios), 'scenario')}")
    made = [counted(number, kind.removesuffix("s")) for kind, number in found.creates.items()]
    end = "all of it stays there (--keep all)" if found.kept else "all of it is deleted at the end"
    out.entry("creates  ", f"about {', '.join(made)}; {end}" if made else "nothing")
    for name, done in found.destructive.items():
        out.entry("destroys ", f"{done}: {name} is declared", "yellow")
    if not found.destructive:
        out.entry("destroys ", "nothing")
    for name, done in found.spared.items():
        out.entry("spares   ", f"{name} is not declared, or else {done}")
    if found.left_out:
        left = [f"{each.capability} ({len(each.scenarios)})" for each in found.left_out]
        total = sum(len(each.scenarios) for each in found.left_out)
        out.entry("leaves   ", f"out {counted(total, 'scenario')}; they need {', '.join(left)}", "dim")
    out.entry("takes    ", _times(found))
    out.line("nothing was sent but the self-check; what that made was deleted again")


def _times(found: Plan) -> str:
    times = [f"about {duration(seconds)} at {_at(runs)}" for runs, seconds in found.seconds.items()]
    how = f" ({found.how})" if found.how else ""
    if found.capacity is not None:
        return f"{', '.join(times)}{how}; {found.capacity} was declared"
    unknown = "which is assumed" if found.agent else "a check measures how many it executes"
    return f"{', '.join(times)}{how}; {unknown}"


def _at(runs: int) -> str:
    return f"{counted(runs, 'run')}{' or more' if runs >= WAVES[-1] else ''} at a time"
