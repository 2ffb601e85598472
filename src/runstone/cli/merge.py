"""`runstone merge`: the shards of one observation as one, judged."""

from __future__ import annotations

from pathlib import Path

import click

from runstone.cli.options import shared_options
from runstone.cli.out import out_option
from runstone.cli.saying import say_error
from runstone.session.options import Given, given


@click.command("merge")
@click.argument("shards", metavar="DIR…", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared_options("merge")
@out_option("reports/out/merged", "the evidence of all shards and the reports")
@click.option(
    "--same-server",
    is_flag=True,
    help="Demand that all shards observed one start of one server, one after the other.",
)
def command(asked: Given, shards: tuple[Path, ...], out: Path, same_server: bool) -> int:
    """Put the shards of one observation together, judge them once and report.

    Each DIR is one that `runstone check --shard I/N` wrote. All N must be there, each once, of the same
    server version and by the same contract. Exit code 2 says which is not fit, else as judge.
    """
    from runstone.cli.checking import show  # they bring in all that --help does not need
    from runstone.judge.suites import judge
    from runstone.session.evidence import read_manifest
    from runstone.session.merging import UnfitShards, merge
    from runstone.session.opening import open_session
    from runstone.session.sources import merged

    try:
        evidence = merge(shards, out, same_server=same_server)
    except UnfitShards as error:
        for reason in error.reasons:
            say_error(reason)
        return error.exit_code
    observed = read_manifest(evidence)
    wanted = given(evidence=evidence, out=out, areas=observed.areas, select=observed.select)
    session = open_session(merged(wanted, asked), lambda *_: None)
    return show(judge(session), session.settings.out)
