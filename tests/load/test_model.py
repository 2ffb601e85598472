"""load.json: its schema is that of the structs, and its examples are what they write."""

from __future__ import annotations

import json

import msgspec
import pytest

from runstone.contracts.schemas import schema_text
from runstone.load.model import Load
from runstone.load.schema import of_comparison, of_load
from runstone.locations import CHECKOUT

SCHEMAS = CHECKOUT / "contracts" / "schemas"
EXAMPLES = SCHEMAS / "examples" / "load"


def test_schema_is_that_of_the_structs() -> None:
    written = (SCHEMAS / "load.json").read_text("utf-8")
    assert written == schema_text(of_load()), "python -m runstone.load.schema"
    written = (SCHEMAS / "load-comparison.json").read_text("utf-8")
    assert written == schema_text(of_comparison()), "python -m runstone.load.schema"


@pytest.mark.parametrize("name", ["one-executed-twice", "worker-missing"])
def test_reading_and_writing_keeps_everything(name: str) -> None:
    text = (EXAMPLES / "conforms" / f"{name}.json").read_text("utf-8")
    load = msgspec.json.decode(text, type=Load)
    assert json.loads(msgspec.json.encode(load)) == json.loads(text)
