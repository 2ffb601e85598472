"""Fixtures of all of these tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

import msgspec
import pytest

from runstone.target import recipes
from runstone.target.recipes import Recipe
from tests.recipes.writing import SERVE, Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a recipe that runs the given Python code with the port as its argument, and load it."""

    def written(code: str = SERVE, **fields: object) -> Recipe:
        script = tmp_path / "server.py"
        script.write_text(textwrap.dedent(code), "utf-8")
        document = {
            "name": "tiny",
            "description": "a tiny server",
            "command": ["{python}", str(script), "{port}"],
            "ready": {"says": "http://127.0.0.1:{port}", "timeout_s": 20},
            **fields,
        }
        path = tmp_path / "tiny.yaml"
        path.write_bytes(msgspec.yaml.encode(document))
        return recipes.load(str(path))

    return written
