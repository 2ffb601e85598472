"""`runstone check`: observe a server, judge what was recorded, report."""

from __future__ import annotations

import click

from runstone.cli.options import shared_options
from runstone.session.options import Given, given


@click.command("check")
@shared_options("check")
def command(asked: Given) -> int:
    """Observe a server, judge it and report. TARGET is a URL or a recipe; default: embedded."""
    from runstone.cli import checking  # it brings in all that --help does not need

    _, code = checking.check(asked, given(target_name="embedded"))
    return code
