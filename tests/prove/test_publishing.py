"""The texts of a kill matrix, and that they fit their schema."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt

from runstone.contracts import (
    violations,
)
from runstone.proof.prove import published
from runstone.proof.prove.matrix import Matrix
from tests.prove.matrices import EXAMPLES, KILLERS, fault, null, spoken, whole


@pytest.mark.parametrize("name", ["proved", "not-proved"])
def test_published_texts_hold_the_matrix(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"kill-matrix/conforms/{name}.json").read_bytes()
    found = msgspec.json.decode(text, type=Matrix)
    published.write(found, tmp_path)
    assert json.loads((tmp_path / "kill-matrix.json").read_text("utf-8")) == json.loads(text)
    published.write(found, tmp_path / "packed", packed=True)
    packed = gzip.decompress((tmp_path / "packed" / "kill-matrix.json.gz").read_bytes())
    assert json.loads(packed) == json.loads(text)
    markdown = (tmp_path / "kill-matrix.md").read_text("utf-8")
    tables = MarkdownIt("commonmark").enable("table").render(markdown).count("<table>")
    assert tables >= 6
    for group in published.missing(found):
        assert group.title in markdown
        assert all(what in markdown for what, _ in group.lines)


def test_made_matrix_fits_its_schema() -> None:
    made = whole(
        [*KILLERS, fault("f", ["A-001"], None, tries=2, first_try="A-001: pass")],
        null_servers=[null()],
        conversations=[spoken()],
    )
    assert violations("kill-matrix", json.loads(published.to_json(made))) == []
