"""How a session that goes on is shown: a bar on a terminal, a plain line now and then where it is piped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from runstone.report.text import counted
from runstone.scenario.capacity import WAVES
from runstone.scenario.progress import Begun, Step, Told

_EVERY_S: Final = 30.0  # CI systems end what is silent for minutes, and so do people
_RATE_AFTER_S: Final = 5.0  # before that a rate is chance


class Shown(Protocol):
    """Shows what is told; `title`: of which target, where there are several."""

    def __call__(self, told: Told, title: str = "") -> None: ...


@contextmanager
def shown_progress(console: Console | None = None, every_s: float = _EVERY_S) -> Iterator[Shown]:
    """Show what goes on until the end of the block, on standard error."""
    console = console or Console(stderr=True)
    show = _bar if console.is_terminal else _lines
    with show(console, every_s) as shown:
        yield shown


def start_line(begun: Begun, title: str = "") -> str:
    """How many runs the target executes at a time, how long that will take, and what would make it faster."""
    runs = counted(begun.capacity, "run")
    if begun.known == "measured":
        more = " or more" if begun.capacity >= WAVES[-1] else ""
        said = f"executes {runs}{more} at a time"
    elif begun.known == "declared":
        said = f"executes {runs} at a time, as declared"
    else:
        said = f"is asked for {runs} at a time, as nobody says how many it executes (--capacity N)"
    agent = f"about {counted(begun.creates.get('runs', 0), 'run')} of {begun.agent}, " if begun.agent else ""
    line = f"{title or 'the target'} {said}: {agent}about {duration(begun.seconds)}"
    if begun.more is not None:
        faster = begun.more.how or f"{begun.more.capacity} at a time"
        line += f"; {faster} {'makes' if begun.more.how else 'would make'} it {duration(begun.more.seconds)}"
    return line if begun.quick_s is None else f"{line}; --quick takes {duration(begun.quick_s)}"


def duration(seconds: float) -> str:
    """`25 s`, `8 min`: no more precise than a guess is."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    return f"{5 * round(seconds / 5)} s" if seconds < 100 else f"{round(seconds / 60)} min"


class _Phase:
    """What is done at present, since when, and what is known of its end."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._title = ""
        self._began = self._told = time.monotonic()

    def note(self, step: Step, title: str) -> None:
        now = time.monotonic()
        if self._step is None or (step.doing, title) != (self._step.doing, self._title):
            self._began = now
        self._step, self._title, self._told = step, title, now

    @property
    def rate(self) -> str:
        """`23/min`; '' where it would be chance."""
        elapsed_s = time.monotonic() - self._began
        done = 0 if self._step is None else self._step.done
        return f"{60 * done / elapsed_s:.0f}/min" if done and elapsed_s >= _RATE_AFTER_S else ""

    @property
    def left(self) -> str:
        """`about 5 min left`; '' where nobody knows."""
        if self._step is None or self._step.left_s is None:
            return ""
        return f"about {duration(self._step.left_s - (time.monotonic() - self._told))} left"

    @property
    def line(self) -> str:
        """All of it, for a log; '' while nothing is known."""
        step = self._step
        if step is None:
            return ""
        title = f"{self._title}: " if self._title else ""
        far = [f"{step.done} of {step.total}"] if step.total else []
        after = f"after {duration(time.monotonic() - self._began)}"
        return f"{title}{step.doing}: {', '.join([*far, after, *filter(None, (self.rate, self.left))])}"


@contextmanager
def _lines(console: Console, every_s: float) -> Iterator[Shown]:
    """A line at the start of the scenarios, and one of how far they are every now and then."""
    phase, over = _Phase(), threading.Event()

    def say(line: str) -> None:
        if line:
            console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)

    def keep_saying() -> None:
        while not over.wait(every_s):
            say(phase.line)

    def show(told: Told, title: str = "") -> None:
        if isinstance(told, Begun):
            say(start_line(told, title))
        else:
            phase.note(told, title)

    saying = threading.Thread(target=keep_saying, daemon=True)
    saying.start()
    try:
        yield show
    finally:
        over.set()
        saying.join()


class _Said(ProgressColumn):
    """What changes with time, though nothing is told."""

    def __init__(self, phase: _Phase) -> None:
        super().__init__()
        self._phase = phase

    def render(self, _: Task) -> Text:
        return Text(", ".join(filter(None, (self._phase.rate, self._phase.left))))


@contextmanager
def _bar(console: Console, _: float) -> Iterator[Shown]:
    """A bar for what is done at present; nothing is left of it at the end but the line of the start."""
    phase = _Phase()
    columns = (
        TextColumn("{task.fields[doing]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[far]}"),
        TimeElapsedColumn(),
        _Said(phase),
        TextColumn("{task.description}", style="dim"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, doing="starting", far="")

        def show(told: Told, title: str = "") -> None:
            if isinstance(told, Begun):
                bar.console.print(start_line(told, title), highlight=False, markup=False, emoji=False)
                return
            phase.note(told, title)
            name = f"{title}: {told.name}" if title else told.name
            bar.update(
                task,
                description=name,
                doing=told.doing,
                far=f"{told.done}/{told.total}" if told.total else "",
                completed=told.done,
                total=told.total or None,
            )

        yield show
