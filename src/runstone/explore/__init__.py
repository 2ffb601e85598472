"""Exploration: requests that nobody wrote, made up from the contract, recorded and judged like all others.

    machine   makes up sequences (Hypothesis)           model      what a client may expect after any of them
    fuzzing   makes up single requests (Schemathesis)   findings   the answers that no request may get
    bridge    from a generator to the event loop        sequences  what was sent, a script to send it again
    expected  what the graphs make of a thread

What makes up requests is imported at the first use: it needs the extra `fuzz`, and judging does not. A
session makes sure of it before anything is started (`exploration.insist_on_packages`).
"""

from __future__ import annotations

from runstone.contracts import openapi_document
from runstone.explore.findings import findings, told
from runstone.explore.model import Finding, Model, first_broken
from runstone.explore.sequences import BrokenSequence, broken_sequences, script, sequences_of
from runstone.scenario.api import Api
from runstone.wire.documents import raw

__all__ = [
    "BrokenSequence",
    "Finding",
    "Model",
    "broken_sequences",
    "findings",
    "first_broken",
    "fuzz_contract",
    "fuzz_own_document",
    "script",
    "send_sequences",
    "sequences_of",
    "told",
]


async def send_sequences(api: Api) -> None:
    """Make up sequences as long as `api.exploration` allows, or until a broken one is as short as it gets."""
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
