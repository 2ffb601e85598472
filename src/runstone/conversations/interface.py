"""Scenarios from Python: to their end, or event by event; with `await`, or without.

    report = await play("scenarios/refund.yaml", "http://127.0.0.1:2024")
    async for event in stream("scenarios", "embedded", judge=OpenAITalker(model=Model(name="gpt-5-mini"))):
        print(event.kind, event.text)

`play_sync` and `stream_sync` are the same for programs without an event loop. All four play in a thread of
their own, so that they can be called wherever a loop runs already, as in a notebook.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias, TypedDict, Unpack

from runstone.conversations.events import Event, Listener
from runstone.conversations.functions import trusted
from runstone.conversations.playing import Talker
from runstone.conversations.reading import Source, chosen, files_of, source, source_of, with_values
from runstone.conversations.running import AT_ONCE, Batch, run
from runstone.conversations.thread import Job, Playing
from runstone.errors import RunstoneError
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.session.sources import merged
from runstone.verdict.scenarios import ScenariosReport

# A file or a folder, or a scenario as a mapping with the keys of its file.
Scenarios: TypeAlias = str | Path | Mapping[str, Any]


class Interrupted(RunstoneError):  # noqa: N818 - named as what it reports
    """The batch has no report; what was played is in the evidence."""


class Options(TypedDict, total=False):
    """What all four take beside the scenarios and the target (a URL, or the name of a recipe)."""

    judge: Talker  # who judges rubrics and plays users
    out: Path | str  # where evidence goes; reports/out/TARGET otherwise
    settings: Mapping[str, Any]  # values by their place, as {"config.configurable.tier": "gold"}, for all
    tags: Iterable[str]  # only scenarios with one of these
    headers: Mapping[str, str]  # sent with every request, never recorded
    concurrency: int
    capacity: int  # how many runs the target executes at once
    trust_python: bool  # run the functions that `python` assertions name


def play_sync(
    scenarios: Scenarios | Iterable[Scenarios], target: str, **options: Unpack[Options]
) -> ScenariosReport:
    """Play scenarios on a target and judge them. What fails is in the report.

    Raises RunstoneError where nothing can be played, such as BadScenario.
    """
    return _report_of(list(stream_sync(scenarios, target, **options)))


async def play(
    scenarios: Scenarios | Iterable[Scenarios], target: str, **options: Unpack[Options]
) -> ScenariosReport:
    """As `play_sync`, with the same options, while the caller's loop goes on."""
    return _report_of([event async for event in stream(scenarios, target, **options)])


def stream_sync(
    scenarios: Scenarios | Iterable[Scenarios], target: str, **options: Unpack[Options]
) -> Iterator[Event]:
    """As `play_sync`, event by event; the last one has the report. Who stops listening ends the batch."""
    queue: SimpleQueue[Event | BaseException | None] = SimpleQueue()
    playing = Playing(_job(scenarios, target, **options), queue.put)
    try:
        while (event := queue.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        playing.stop()


async def stream(
    scenarios: Scenarios | Iterable[Scenarios], target: str, **options: Unpack[Options]
) -> AsyncIterator[Event]:
    """As `stream_sync`, while the caller's loop goes on."""
    queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(event: Event | BaseException | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, event)

    playing = Playing(_job(scenarios, target, **options), put)
    try:
        while (event := await queue.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        await asyncio.to_thread(playing.stop)


def _job(scenarios: Scenarios | Iterable[Scenarios], target: str, **options: Unpack[Options]) -> Job:
    """What plays them. Raises BadScenario, and UsageError of the target, before anything is sent."""
    several = [scenarios] if isinstance(scenarios, str | Path | Mapping) else list(scenarios)
    settings = options.get("settings", {})
    cases = chosen([one for each in several for one in _sources(each, settings)], options.get("tags", ()))
    asked = given(
        target_name=target,
        concurrency=options.get("concurrency", AT_ONCE),
        headers=dict(options.get("headers", {})),
    )
    if "out" in options:
        asked = merged(asked, given(out=Path(options["out"])))
    if "capacity" in options:
        asked = merged(asked, given(capacity=options["capacity"]))
    session = open_session(asked, lambda *_: None)
    own = trusted((Path.cwd(),)) if options.get("trust_python") else None
    judge = options.get("judge")

    def play(tell: Listener, stopped: Callable[[], bool]) -> object:
        return run(session, Batch(cases=cases, talker=judge, own=own, tell=tell, stopped=stopped))

    return play


def _sources(wanted: Scenarios, settings: Mapping[str, Any]) -> Iterator[Source]:
    if isinstance(wanted, Mapping):
        yield with_values(source_of(dict(wanted), Path("a scenario")), settings)
    else:
        for path in files_of([Path(wanted)]):
            yield with_values(source(path), settings)


def _report_of(events: list[Event]) -> ScenariosReport:
    report = events[-1].report if events else None
    if report is None:
        raise Interrupted("the batch ended without a report")
    return report
