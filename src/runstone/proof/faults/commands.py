"""Faults of run.start, the command of the thread-centric protocol that starts a run."""

from __future__ import annotations

from typing import Any

import msgspec

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import api_commands
from runstone.reference.bodies import RunBody
from runstone.reference.runtime import Caller


def _forgets(seams: Seams, **fields: Any) -> None:
    @seams.around(api_commands, "run_body")
    def run_body(original: Any, params: Any) -> RunBody:
        read: RunBody = original(params)
        return msgspec.structs.replace(read, **fields)


@fault("V2-011")
def run_start_forgets_its_config(seams: Seams) -> None:
    """A run that is started by command has neither the config nor the metadata that were sent along."""
    _forgets(seams, config=None, metadata=None)


@fault("V2-011")
def run_start_always_enqueues(seams: Seams) -> None:
    """The multitask strategy of run.start is ignored."""
    _forgets(seams, multitask_strategy="enqueue")


@fault("V2-012")
def run_start_forgets_its_context(seams: Seams) -> None:
    """A run that is started by command has no context."""
    _forgets(seams, context=None)


@fault("V2-011", server="embedded-auth")
def run_start_is_anonymous(seams: Seams) -> None:
    """The graph of a run that is started by command does not see who has started it."""

    @seams.around(api_commands, "check")
    async def check(original: Any, call: Any, *given: Any) -> Any:
        return await original(Caller(call.runtime, None), *given)
