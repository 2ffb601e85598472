"""`runstone check`: observe a server, judge what was recorded, report."""

from __future__ import annotations

import click

from runstone.cli.options import options_of
from runstone.session.options import Said, said


@click.command("check")
@options_of("check")
def command(asked: Said) -> int:
    """Observe a server, judge it and report. TARGET is a URL or a recipe; default: embedded."""
    from runstone.cli import checking  # it brings in all that --help does not need

    _, code = checking.check(asked, said(target_name="embedded"))
    return code
