"""How a target is observed on which no run may be started."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from runstone.scenario.fitness import Fitness
from runstone.target.agents import Agent, Turn
from runstone.target.target import Target
from runstone.wire.trace import Inapplicable


def standing_for(target: Target, fitness: Fitness) -> Target:
    """The target with the first assistant that it serves in the place of the graphs, which nothing runs."""
    if not fitness.served:
        return target
    return msgspec.structs.replace(target, agent=Agent(assistant=fitness.served[0], success=Turn(input={})))


def passing_over_what_is_inapplicable(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A scenario that ends where it would start a run leaves the task behind that was to start it."""
    if not isinstance(context.get("exception"), Inapplicable):
        loop.default_exception_handler(context)
