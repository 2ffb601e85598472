"""In which order scenarios are observed, and which of them may go on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from runstone.scenario.patience import QUICK_S
from runstone.scenario.scenario import Scenario

CALM_AT_ONCE: Final = 8  # they sleep most of their time
HEAVY_AT_ONCE: Final = 4  # two cores are busy with two, and the others fill their pauses

One = Callable[[Scenario], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Phases:
    """`first` go on at once, `quiet` when of those only long silences are left, `last` one by one.

    `guests`: after the quiet ones, as many at once as of the first.
    """

    first: tuple[Scenario, ...]
    quiet: tuple[Scenario, ...]
    last: tuple[Scenario, ...]
    guests: tuple[Scenario, ...] = ()

    @classmethod
    def of(cls, scenarios: Iterable[Scenario], *, shared: bool, slow: bool) -> Self:
        """`shared`: whoever restarts a server restarts the target. `slow`: the target's turns are long."""
        several = list(scenarios)
        guests = tuple(each for each in several if each.schedule.guest)
        chosen = [each for each in several if not each.schedule.guest]
        last = [each for each in chosen if each.schedule.alone and (shared or not each.controls)]
        quiet = [
            each
            for each in chosen
            if (each.schedule.heavy or (each.schedule.calm and slow)) and each not in last
        ]
        first = [each for each in chosen if each not in last and each not in quiet]
        return cls(
            # What needs workers for itself begins first, and what waits long: at the end nobody waits for one
            # that has only begun.
            first=tuple(sorted(first, key=lambda each: (not each.schedule.steady, -each.schedule.waits))),
            quiet=tuple(quiet),
            # A server may be worn out by a heavy one.
            last=tuple(sorted(last, key=lambda each: each.schedule.heavy)),
            guests=guests,
        )

    @property
    def all(self) -> tuple[Scenario, ...]:
        """Every scenario."""
        return self.first + self.quiet + self.guests + self.last

    @property
    def brief(self) -> Self:
        """Without what `--quick` leaves out."""
        first, quiet, last = (
            tuple(each for each in some if each.schedule.brief)
            for some in (self.first, self.quiet, self.last)
        )
        return type(self)(first, quiet, last)

    async def run(self, one: One, times: float = 1.0) -> None:
        """Run `one` of every scenario. Raises what it raises, as a group.

        `times`: how many times as many go on at once as load a target that is near.
        """
        async with asyncio.TaskGroup() as group:
            running = {each.name: group.create_task(one(each)) for each in self.first}
            brief = [running[each.name] for each in self.first if each.schedule.waits <= QUICK_S]
            group.create_task(self._run_quiet(one, brief, times))
        for each in self.last:
            await one(each)

    async def _run_quiet(self, one: One, after: list[asyncio.Task[None]], times: float) -> None:
        """Beside the long silences, which load nothing, but not beside what is a matter of moments."""
        if after:
            await asyncio.wait(after)
        few, some = (asyncio.Semaphore(round(times * many)) for many in (HEAVY_AT_ONCE, CALM_AT_ONCE))

        async def run(chosen: Scenario) -> None:
            async with few if chosen.schedule.heavy else some:
                await one(chosen)

        async with asyncio.TaskGroup() as group:
            for each in self.quiet:
                group.create_task(run(each))
        async with asyncio.TaskGroup() as group:
            for each in self.guests:
                group.create_task(one(each))
