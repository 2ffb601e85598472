"""The threads that crons made by themselves: no answer names them, so they are looked for by their assistant.

What a search shows may be anybody's, as a server may ignore its filter. A thread is the session's where its
own GET names an assistant that the session made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from runstone.scenario.asking import asked, objects_in
from runstone.scenario.clean_up import Thing
from runstone.wire.recorder import Recorder

_MOST: Final = 100  # of one assistant; its crons fire once in a minute


async def threads_fired(recorder: Recorder, assistants: Iterable[Thing]) -> list[Thing]:
    """The threads that ran these assistants, which a session made for its crons."""
    found = []
    for assistant in assistants:
        wanted = {"metadata": {"assistant_id": assistant.id}, "limit": _MOST}
        for shown in objects_in(await asked(recorder, "POST", "/threads/search", wanted, assistant.identity)):
            thread = shown.get("thread_id")
            if isinstance(thread, str) and _ran(shown, assistant.id):
                own = await asked(recorder, "GET", f"/threads/{thread}", None, assistant.identity)
                if any(_ran(each, assistant.id) for each in objects_in(own)):
                    found.append(Thing(kind="thread", id=thread, identity=assistant.identity))
    return found


def scheduled_among(things: Iterable[Thing]) -> list[Thing]:
    """The assistants for which a session that is dead may have made crons: all, where it made any cron."""
    things = list(things)
    if not any(each.kind == "cron" for each in things):
        return []
    return [each for each in things if each.kind == "assistant"]


def _ran(thread: dict[str, Any], assistant: str) -> bool:
    metadata = thread.get("metadata")
    return isinstance(metadata, dict) and metadata.get("assistant_id") == assistant
