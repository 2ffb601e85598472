"""`runstone fuzz`: requests that nobody wrote to each operation, and those that break it as curl lines."""

from __future__ import annotations

import click

from runstone.cli.explore import DEFAULTS
from runstone.cli.options import shared_options
from runstone.session.options import Given, given
from runstone.session.sources import merged


@click.command("fuzz")
@shared_options("fuzz")
def command(asked: Given) -> int:
    """Make up requests to each operation of TARGET, and list those that break it, as curl lines.

    The same as `check --area fuzz`, and the lines that prepare a fresh server for pasting the others.
    """
    from runstone.cli import checking  # it brings in all that --help does not need
    from runstone.errors import ExitCode

    session, code = checking.check(merged(given(areas=("fuzz",), select=()), asked), DEFAULTS)
    trace = session.traces.get("fuzzed_contract")
    if trace is None:
        return code
    click.echo(f"\nsent {len(trace.exchanges)} requests, seed {session.settings.seed}")
    if code == ExitCode.NOT_CONFORMING:
        click.echo("on a fresh server, paste these before the lines above:\n")
        click.echo("\n".join(each.curl() for each in trace.find("prepare") if each.method == "POST"))
    return code
