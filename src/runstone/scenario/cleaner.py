"""Deletes what an observation made: at its end, whatever ends it; and, before it, what the dead left over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from runstone.scenario.clean_up import Made, Thing, clean_up
from runstone.scenario.fired import scheduled_among, threads_fired
from runstone.scenario.mark import left_behind
from runstone.scenario.progress import Progress, Step
from runstone.wire.recorder import Recorder


class Cleaner:
    """Deletes what was made, by id. `left`: what could not be deleted; `seconds`: how long it took."""

    def __init__(
        self, made: Made | None, left_over: Sequence[Thing], on_progress: Progress, *, keep_until_judged: bool
    ) -> None:
        """Without `made` all is left where it is. `left_over`: of killed sessions of this machine."""
        self.made = made
        self.left: tuple[str, ...] = ()
        self.seconds = 0.0
        self._left_over = left_over
        self._on_progress = on_progress
        self._keep_until_judged = keep_until_judged

    @asynccontextmanager
    async def leaving_nothing(self, recorder: Recorder) -> AsyncIterator[None]:
        """Delete at the end of the block what was made within it, after Ctrl-C too."""
        made = self.made
        if made is None:
            yield
            return
        recorder.heard = made.note
        try:
            yield
        finally:
            recorder.heard = None
            await self._delete(recorder, made, [] if self._keep_until_judged else made.things())

    async def clean_up(self, recorder: Recorder, keep: Collection[str]) -> None:
        """Delete what was made and is there still, but for what these scenarios made."""
        if (made := self.made) is not None:
            await self._delete(recorder, made, [each for each in made.things() if each.scenario not in keep])

    async def after_the_dead(self, recorder: Recorder) -> None:
        """Delete what killed sessions left: of this machine by their journals, of others by their marks."""
        if self.made is None:
            return
        await clean_up(recorder, self._left_over)
        await clean_up(recorder, await threads_fired(recorder, scheduled_among(self._left_over)))
        for mark, things in await left_behind(recorder):
            await clean_up(recorder, things)
            await clean_up(recorder, await threads_fired(recorder, scheduled_among(things)))
            await clean_up(recorder, [mark])

    async def _delete(self, recorder: Recorder, made: Made, things: Sequence[Thing]) -> None:
        began, told = recorder.clock, iter(range(1, len(things) + 1))
        self._on_progress(Step(doing="cleaning up", total=len(things)))

        def deleted(thing: Thing) -> None:
            made.forget(thing)
            self._on_progress(Step(doing="cleaning up", done=next(told), total=len(things)))

        left = await clean_up(recorder, things, deleted)
        if things and not left:
            left = await clean_up(recorder, await threads_fired(recorder, made.scheduled))
        if made.mark is not None:
            left += await clean_up(recorder, [made.mark])
            made.mark = None
        self.left = tuple(left)
        self.seconds += recorder.clock - began
