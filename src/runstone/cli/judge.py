"""`runstone judge`: judge what was recorded again, offline."""

from __future__ import annotations

import click

from runstone.cli.options import shared_options
from runstone.session.options import Given


@click.command("judge")
@shared_options("judge")
def command(asked: Given) -> int:
    """Judge recorded EVIDENCE again, offline."""
    from runstone.cli.checking import show  # they bring in all that --help does not need
    from runstone.conversations.running import judge_beside
    from runstone.judge.suites import judge
    from runstone.session.opening import open_session

    session = open_session(asked, lambda *_: None)
    judge_beside(session)
    return show(judge(session), session.settings.out)
