"""Exploration: requests that nobody wrote, made up from the contract, recorded and judged like all others.

    machine   makes up stories (Hypothesis)             model      what a client may expect after any of them
    fuzzing   makes up single requests (Schemathesis)   findings   the answers that no request may get
    bridge    from a generator to the event loop        story      what was told, and a script to tell it
    expected  what the graphs make of a thread

What makes up requests is imported at the first use: it needs the extra `fuzz`, and judging does not. A
session makes sure of it before anything is started (`exploration.insist_on_packages`).
"""

from __future__ import annotations

from runstone.contracts import openapi_document
from runstone.explore.findings import findings, told
from runstone.explore.model import Finding, Model, first_broken
from runstone.explore.story import BrokenStory, broken_stories, script, stories_of
from runstone.scenario.api import Api
from runstone.wire.documents import raw

__all__ = [
    "BrokenStory",
    "Finding",
    "Model",
    "broken_stories",
    "findings",
    "first_broken",
    "fuzz_contract",
    "fuzz_own_document",
    "script",
    "stories_of",
    "tell_stories",
    "told",
]


async def tell_stories(api: Api) -> None:
    """Make up stories as long as `api.exploration` allows, or until a broken one is as short as it gets."""
    from runstone.explore.machine import tell

    await tell(api)


async def fuzz_contract(api: Api) -> None:
    """Try every operation of the contract."""
    from runstone.explore.fuzzing import fuzz_document

    await fuzz_document(api, openapi_document())


async def fuzz_own_document(api: Api) -> None:
    """Try every operation of the document at /openapi.json."""
    from runstone.explore.fuzzing import fuzz_document

    served = await api.request("GET", "/openapi.json", label="document")
    await fuzz_document(api, raw(served.object))
