"""`runstone soak`: a load for hours, told in windows as they end."""

from __future__ import annotations

from typing import Any

import click

from runstone.cli.load import loaded
from runstone.cli.load_options import load_options
from runstone.cli.options import shared_options
from runstone.session.options import Given


@click.command("soak")
@shared_options("load")
@load_options("8h")
@click.option("--keep-going", is_flag=True, help="Go on after a broken promise.")
def command(asked: Given, *, keep_going: bool, **words: Any) -> int:
    """A load for hours; each window of 5 minutes is written to load.jsonl as it ends.

    TARGET is a URL or a recipe; default: embedded. Ends at the first broken promise.
    """
    return loaded(asked, soak=True, keep_going=keep_going, **words)
