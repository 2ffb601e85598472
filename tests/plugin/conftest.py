"""Fixtures of all of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.honest import Honest, uvicorn_serving
from tests.plugin.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    server = Honest()
    with uvicorn_serving(server) as url:
        yield Bench(tmp_path, url, server)
