"""The options of `load` and `soak`, beyond those that commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_TIME = "TIME"


def load_options(for_default: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command these options; `for_default`: how long it takes where nobody says it."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        for option in reversed([*_load(for_default), *_machines(), *_figures()]):
            command = option(command)
        return command

    return decorate


def _load(for_default: str) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--users",
            type=int,
            default=50,
            show_default=True,
            help="Clients, of all workers together.",
        ),
        click.option(
            "--rate",
            default="10/s",
            show_default=True,
            metavar="N/s",
            help="Starts, by a timetable that waits for no answer.",
        ),
        click.option(
            "--for",
            "for_words",
            default=for_default,
            show_default=True,
            metavar=_TIME,
            help="How long something is started: 90s, 10m, 8h.",
        ),
        click.option(
            "--mix",
            "mix_words",
            metavar="KIND=N,…",
            help="How often each kind is started. Default: wait=3,stream=3,background=2,enqueue=1,"
            "interrupt=1,cancel=1,hangup=1.",
        ),
    ]


def _machines() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--processes",
            type=int,
            metavar="N",
            help="Workers on this machine. Default: 1, and 0 with --expect-workers.",
        ),
        click.option(
            "--expect-workers",
            type=int,
            metavar="N",
            help="Wait for so many workers of other machines too.",
        ),
        click.option(
            "--worker", is_flag=True, help="Work for the master of another machine, which knows the target."
        ),
        click.option("--master", metavar="HOST[:PORT]", help="Where that master is, with --worker."),
        click.option(
            "--port",
            type=click.IntRange(1, 65535),
            help="Where the master meets workers. Default: 5557, or a free one where none is to come.",
        ),
    ]


def _figures() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--drain",
            "drain_words",
            default="60s",
            show_default=True,
            metavar=_TIME,
            help="How long unfinished runs are waited for at the end.",
        ),
        click.option(
            "--window",
            "window_words",
            metavar=_TIME,
            help="How long the parts are that figures are of. Default: a 20th of the time, 5m of a soak.",
        ),
        click.option(
            "--seed",
            type=int,
            default=0,
            show_default=True,
            help="Of the order of kinds, and of the starts that are kept at random.",
        ),
    ]
