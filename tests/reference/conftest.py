"""A server for the tests of a file; a test that stops, kills or configures one starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reference.server import Server, launched


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for the whole file."""
    with launched() as running:
        yield running
