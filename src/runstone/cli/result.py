"""`runstone result`: the result of one run, by whichever path works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import click
import httpx

from runstone import retrieval
from runstone.cli.options import shared_options
from runstone.session.options import Given, Options
from runstone.session.sources import TABLE, from_environment, merged
from runstone.target.target import checked_url


@click.command("result")
@click.argument("thread")
@click.argument("run")
@click.option(
    "--url", envvar=TABLE["target_name"].option.envvar, default="http://127.0.0.1:2024", show_default=True
)
@shared_options("result")
@click.option("--order", help="The paths to try; default: stream,state,join_stream,join.")
@click.option("--deadline", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds.")
def command(asked: Given, thread: str, run: str, url: str, order: str | None, deadline: float) -> int:
    """Fetch the result of RUN on THREAD by whichever path works, and say which did."""
    chosen = [name.strip() for name in order.split(",")] if order else (*retrieval.DEFAULT_ORDER, "join")
    options = Options(**merged(asked, from_environment()))
    network = options.network
    network.check(url)
    client = httpx.AsyncClient(
        base_url=checked_url(url),
        headers=options.headers,
        trust_env=False,
        verify=network.trust(url),
        proxy=network.proxy_for(url),
    )
    found = asyncio.run(_retrieve(client, thread, run, chosen, deadline))
    click.echo(retrieval.describe(found))
    return found.exit_code


async def _retrieve(
    client: httpx.AsyncClient, thread: str, run: str, order: Sequence[Any], deadline: float
) -> retrieval.RunResult:
    async with client:
        poller = retrieval.StatusPoller(client, deadline=deadline)
        return await retrieval.ResultRetriever(client, order=order, poller=poller).result(thread, run)
