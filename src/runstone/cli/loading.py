"""What `load` and `soak` do: plan, run, show, write; and the part of a worker of another machine."""

from __future__ import annotations

import datetime as dt
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from runstone.contracts import load_catalogue
from runstone.errors import ExitCode, TargetError, UsageError
from runstone.load import planning, processes, reports
from runstone.load.messages import Acknowledged, Refused
from runstone.load.model import Load, Plan
from runstone.load.probing import calls_webhooks
from runstone.load.running import Progress, Wanted, run
from runstone.report.text import counted
from runstone.session.introduction import introduce
from runstone.session.opening import open_session
from runstone.session.options import Given
from runstone.session.settings import Settings
from runstone.target.target import Target
from runstone.verdict import waivers
from runstone.verdict.model import Report
from runstone.wire.webhooks import on_loopback

_EVERY_S: Final = 30.0  # a line, where nobody sees a terminal
_MASTER_S: Final = 30.0  # for a master to be there
_LOOK_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the command line says, beyond the options that commands share."""

    users: int
    rate: str
    for_words: str
    mix_words: str | None
    processes: int | None
    expect_workers: int | None
    worker: bool
    master: str | None
    port: int | None
    drain_words: str
    window_words: str | None
    seed: int
    soak: bool
    keep_going: bool


def load(asked: Given, defaults: Given, words: Words) -> int:
    """Make the load, judge it, show and write what it results in."""
    processes.insist_on_packages()
    session = open_session(
        asked, lambda *_: None, defaults=defaults, beneath="soak" if words.soak else "load"
    )
    target = session.settings.target
    if target is None:
        raise UsageError("no target: give one, or set RUNSTONE_TARGET")
    if (target.network.proxy_for(target.url) or "").startswith("https:"):
        raise UsageError("a load is sent by plain HTTP proxies only, which tunnel TLS: give --proxy http://…")
    plan = _planner(words)
    plan(target, False)  # what makes no sense is told before a server is started
    with _shown() as tell:
        tell(Progress("reaching the target"))
        with session.reach(target) as reached:
            server = _server_of(reached)
            wanted = _wanted(plan(reached, _webhooks(reached, words)), words, session.settings, server)
            made = run(reached, wanted, tell)
    return show(made, session.settings)


def _planner(words: Words) -> Callable[[Target, bool], Plan]:
    workers = _workers(words)
    per_s, for_s = planning.rate(words.rate), planning.seconds(words.for_words, "--for")
    kinds = planning.mix(words.mix_words or planning.MIX)
    drain_s = planning.seconds(words.drain_words, "--drain")
    window_s = planning.seconds(words.window_words, "--window") if words.window_words else None

    def plan(target: Target, webhooks: bool) -> Plan:
        return planning.planned(
            target,
            webhooks=webhooks,
            users=words.users,
            per_s=per_s,
            for_s=for_s,
            kinds=kinds,
            workers=workers,
            drain_s=drain_s,
            seed=words.seed,
            soak=words.soak,
            window_s=window_s,
        )

    return plan


def _webhooks(target: Target, words: Words) -> bool:
    """Whether webhooks can be judged: the listeners of workers elsewhere are out of the server's reach."""
    if words.expect_workers or not on_loopback(target.url):
        return False
    declared = target.declared.get("webhooks")
    return calls_webhooks(target) if declared is None else declared


def _workers(words: Words) -> int:
    """All of them. Raises UsageError for fewer than one."""
    if words.expect_workers is not None and words.expect_workers < 1:
        raise UsageError(f"--expect-workers {words.expect_workers}: say how many come, or leave it out")
    workers = _local(words) + (words.expect_workers or 0)
    if workers < 1 or _local(words) < 0:
        raise UsageError(
            f"--processes {_local(words)} leaves nobody to work; give more, or --expect-workers N"
        )
    return workers


def _local(words: Words) -> int:
    if words.processes is not None:
        return words.processes
    return 0 if words.expect_workers else 1


def _wanted(plan: Plan, words: Words, settings: Settings, server: str) -> Wanted:
    elsewhere = bool(words.expect_workers)
    host = "*" if elsewhere else "127.0.0.1"
    port = words.port or (processes.PORT if elsewhere else 0)
    processes.insist_on_port(host, port)
    return Wanted(
        plan=plan,
        out=settings.out,
        keep=settings.keep,
        local=_local(words),
        host=host,
        port=port,
        server=server,
        soak=words.soak,
        keep_going=words.keep_going,
    )


def _server_of(target: Target) -> str:
    """How it names itself. Raises TargetError where it lacks the graphs that are run."""
    said = introduce(target.url, target.headers, target.network)
    if not said.has_graphs and not target.assistants:
        raise TargetError(
            f"{target.url} serves no conformance graphs, which a load runs; deploy them: runstone graphs DIR"
        )
    return said.server


def show(made: Load, settings: Settings) -> int:
    """Write what it results in, and say the greatest part of it; the exit code."""
    of_loads, out = load_catalogue().of_loads, settings.out
    accepted = [] if settings.waivers is None else waivers.load_for(settings.waivers, of_loads)
    today = dt.datetime.now(dt.UTC).date()
    recorded, report = reports.judge(out, waivers=accepted, fail_on=settings.fail_on, today=today)
    reports.write(recorded, report, out)
    for line in lines_of(made, report):
        click.echo(line)
    outcome, ended = made.outcome, report.exit_code
    if made.exit_code == ExitCode.INTERRUPTED and ended != ExitCode.NOT_CONFORMING:
        ended = ExitCode.INTERRUPTED
    verdict = "NOT CONFORMING" if ended == ExitCode.NOT_CONFORMING else outcome.kind
    click.echo(f"{verdict}{': ' + outcome.reason if outcome.reason else ''}; see {out / 'load.html'}")
    return ended


def lines_of(made: Load, report: Report) -> Iterator[str]:
    """What a load results in, for a terminal."""
    figures, counts = made.figures, made.counts.values()
    issued, ended = sum(each.issued for each in counts), sum(each.ended for each in counts)
    failed, unknown = sum(each.failed for each in counts), sum(each.unknown for each in counts)
    cancelled = sum(each.cancelled for each in counts)
    yield (
        f"{issued:,} runs: {ended:,} ended, {cancelled:,} cancelled, {failed:,} failed, {unknown:,} unknown; "
        f"{figures.achieved:g} of {figures.offered:g} starts/s, {figures.finished:g} runs/s"
    )
    waived = {each.id for each in report.verdicts if each.verdict == "waived"}
    for each in made.invariants:
        broken = "waived" if each.id in waived else "broken"
        mark = broken if each.broken else "kept" if each.kept else "not tested"
        untested = f", {each.not_tested:,} not tested" if each.not_tested and mark != "not tested" else ""
        numbers = f"{each.broken:,} broken, {each.kept:,} kept" if each.broken else f"{each.kept:,}"
        reason = f": {each.samples[0].reason}" if each.samples else ""
        remark = f" ({each.remark})" if each.remark else ""
        why = "".join(f": {why}" for why in list(each.why_not_tested)[:1]) if mark == "not tested" else ""
        yield f"  {each.id}  {mark:10}  {numbers} {each.of}{untested}{reason}{why}{remark}"
    for worker in made.workers:
        yield f"  worker on {worker.host}: {worker.cpu:.0%} of a core, {worker.max_rss / 1e6:.0f} MB"
    if made.throttled.answers:
        told = ", ".join(f"{times:,} times {code}" for code, times in made.throttled.answers.items())
        yield f"  the target asked to wait: {told}; {made.throttled.waited_s:g} s were waited"
    for trouble in made.left[:5]:
        yield f"  left on the target: {trouble}"
    for message in report.waiver_errors:
        yield f"  {message}"


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """A line that changes, on a terminal; one now and then, where there is none."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as status:
            yield lambda progress: status.update(line_of(progress))
        return
    told, doing = 0.0, ""

    def tell(progress: Progress) -> None:
        nonlocal told, doing
        now = time.monotonic()
        if progress.doing != doing or now - told >= _EVERY_S:
            told, doing = now, progress.doing
            click.echo(line_of(progress), err=True)

    yield tell


def line_of(progress: Progress) -> str:
    """How far it is, in one line."""
    if not progress.of_s:
        return progress.doing
    of_server = "" if progress.server_in_flight is None else f" ({progress.server_in_flight} on the server)"
    return (
        f"{progress.doing}: {progress.seconds:.0f} of {progress.of_s:g} s, {progress.rate:.1f} starts/s, "
        f"{progress.in_flight} in flight{of_server}, {progress.broken} broken"
    )


def work(words: Words) -> int:
    """Take part in the load of another machine, until it is over."""
    processes.insist_on_packages()
    host, _, named = (words.master or "").partition(":")
    if named and not (named.isascii() and named.isdigit() and 0 < int(named) < 65536):
        raise UsageError(f"--master {words.master!r}: {named!r} is not a port")
    port = int(named) if named else words.port or processes.PORT
    click.echo(f"waiting for a master on {host}:{port}", err=True)
    processes.await_master(host, port, _MASTER_S)
    log, number = Path("reports/out/load-worker/locust.log"), words.processes or 1
    with processes.processes(log) as started:
        for _ in range(number):
            started.start_worker(host, port)
        started.sealed()
        working = counted(number, "process", "processes")
        click.echo(f"working for {host}:{port} with {working}", err=True)
        acknowledged = 0
        while acknowledged < number:
            try:
                message = started.told.get(timeout=_LOOK_S)
            except queue.Empty:
                if started.any_alive:
                    continue
                raise processes.GeneratorFailed(
                    f"the master on {host}:{port} went away before it had what {working} did"
                ) from None
            if isinstance(message, Refused):
                raise UsageError(message.reason)
            acknowledged += isinstance(message, Acknowledged)
        started.wait(_MASTER_S)
    return ExitCode.CONFORMING
