"""The server that the tests of the retrieval share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.retrieval.stage import (
    Stage,
    served,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Stage]:
    stage = Stage()
    with served(stage.app()) as stage.url:
        yield stage


@pytest.fixture
def stage(server: Stage) -> Stage:
    url = server.url
    server.__init__()  # type: ignore[misc]  # one server for the module, a fresh script for each test
    server.url = url
    return server
