"""`runstone check`: observe a server, judge what was recorded, report."""

from __future__ import annotations

import click

from runstone.cli.options import shared_options
from runstone.errors import UsageError
from runstone.session.options import Given, given


@click.command("check")
@shared_options("check")
@click.option("--plan", is_flag=True, help="Only tell what would be done; sends nothing but the self-check.")
@click.option("--json", "as_json", is_flag=True, help="With --plan: as JSON.")
def command(asked: Given, plan: bool, as_json: bool) -> int:
    """Observe a server, judge it and report. TARGET is a URL or a recipe; default: embedded."""
    defaults = given(target_name="embedded")
    if plan:
        from runstone.cli import planned  # they bring in all that --help does not need

        return planned.tell(asked, defaults, as_json=as_json)
    if as_json:
        raise UsageError("--json is how --plan is told; a check writes report.json to its --out folder")
    from runstone.cli import checking

    _, code = checking.check(asked, defaults)
    return code
