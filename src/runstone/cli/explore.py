"""`runstone explore`: generated sequences of requests, and the shortest that breaks a promise."""

from __future__ import annotations

import click

from runstone.cli.options import shared_options
from runstone.session.options import EXPLORE_S, Given, given
from runstone.session.sources import merged

# Of `explore` and `fuzz`, where nothing else is set.
DEFAULTS = given(target_name="embedded", budget_s=EXPLORE_S)


@click.command("explore")
@shared_options("explore")
def command(asked: Given) -> int:
    """Send TARGET generated sequences of requests, and tell the shortest that breaks a promise as a script.

    The same as `check --area explore`, and the script: it goes to sequence.sh beside the report.
    """
    from runstone.cli import checking  # it brings in all that --help does not need
    from runstone.explore import broken_sequences, script, sequences_of
    from runstone.files import replace_file

    session, code = checking.check(merged(given(areas=("explore",), select=()), asked), DEFAULTS)
    trace = session.traces.get("explore")
    if trace is None:
        return code
    told = sequences_of(trace)
    click.echo(
        f"\nsent {len(told)} sequences in {len(trace.exchanges)} requests, seed {trace.notes.get('seed')}"
    )
    broken = broken_sequences(told, session.settings.profile, trace.notes.get("settle_s", 0.0))
    if broken:
        path, told_again = session.settings.out / "sequence.sh", script(broken[0])
        replace_file(path, told_again)
        click.echo(f"the shortest that breaks a promise, in {path}:\n\n{told_again}")
    return code
