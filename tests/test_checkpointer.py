"""The reference runtime's checkpointer keeps the vendor's conformance suite for checkpointers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from runstone.reference.checkpoints import open_saver


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # of the suite, not of the checkpointer
def test_checkpointer_conforms(tmp_path: Path) -> None:
    @checkpointer_test(name="runstone-reference")
    async def saver() -> AsyncIterator[Any]:
        async with aiosqlite.connect(tmp_path / "checkpoints.sqlite") as connection:
            yield await open_saver(connection)

    report = asyncio.run(validate(saver))
    assert report.passed_all(), report.to_dict()
