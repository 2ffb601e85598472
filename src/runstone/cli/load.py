"""`runstone load`: thousands of runs, each of which must leave behind what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runstone.cli.load_options import load_options
from runstone.cli.options import shared_options
from runstone.errors import UsageError
from runstone.session.options import Given, given

if TYPE_CHECKING:
    from runstone.cli.loading import Words


def loaded(asked: Given, *, soak: bool, keep_going: bool = False, **words: Any) -> int:
    """Do what either command was asked to."""
    from runstone.cli import loading  # --help needs none of it

    wanted: Words = loading.Words(soak=soak, keep_going=keep_going, **words)
    if wanted.worker:
        if wanted.master is None:
            raise UsageError("--worker works for a master; say where it is: --master HOST")
        if "target_name" in asked:
            raise UsageError("--worker has the target from its master; leave it out")
        return loading.work(wanted)
    if wanted.master is not None:
        raise UsageError("--master says for whom a worker works; give --worker too")
    return loading.load(asked, given(target_name="embedded"), wanted)


@click.command("load")
@shared_options("load")
@load_options("60s")
def command(asked: Given, **words: Any) -> int:
    """Make many runs and judge what each left behind. TARGET is a URL or a recipe; default: embedded.

    Exit code 1 when a promise is broken, 4 when the load was not what was planned.
    """
    return loaded(asked, soak=False, **words)
