"""The map of the contract: nothing is judged by nobody without a reason, and the published map is current."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from runstone.cli import cli
from runstone.contracts import load_catalogue, operation_table
from runstone.contracts.coverage import COLUMNS, Cell, Coverage, Row, coverage
from runstone.locations import locate
from runstone.report.coverage import coverage_html, coverage_markdown


def test_nothing_is_open() -> None:
    assert coverage().open == []


def test_every_operation_has_a_row_and_every_id_exists() -> None:
    found = coverage()
    assert [row.operation for row in found.rows] == [each.name for each in operation_table().operations]
    ids = {id_ for row in found.rows for cell in row.cells.values() for id_ in cell.ids}
    assert ids <= set(load_catalogue())
    assert all(tuple(row.cells) == COLUMNS for row in found.rows)


def test_published_map_is_that_of_the_contract() -> None:
    published = locate("reports") / "published" / "coverage.md"
    assert published.read_text("utf-8") == coverage_markdown(coverage()), "run: runstone coverage --out …"


def test_what_is_open_is_told() -> None:
    found = Coverage((Row("GET /ok", {"schema": Cell(("META-001",)), "fields": Cell()}),))
    assert (found.count("covered"), found.count("open"), found.open) == (1, 1, ["GET /ok: fields"])


def test_pages_show_ids_and_reasons() -> None:
    cells = {column: Cell(excuse="Because <b>.") for column in COLUMNS} | {"schema": Cell(("META-001",))}
    found = Coverage((Row("GET /ok", cells),))
    html, markdown = coverage_html(found), coverage_markdown(found)
    assert "META-001" in html
    assert "&lt;b&gt;" in html
    assert "| GET /ok | META-001 |" in markdown


def test_command_writes_both_pages(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["coverage", "--out", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 0
    assert "0 open" in done.output
    assert {each.name for each in tmp_path.iterdir()} == {"coverage.md", "coverage.html"}


def test_command_fails_where_something_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Coverage((Row("GET /ok", {"schema": Cell()}),))
    monkeypatch.setattr("runstone.cli.coverage.coverage", lambda: found)
    done = CliRunner().invoke(cli, ["coverage"], standalone_mode=False)
    assert done.return_value == 1
    assert "open  GET /ok: schema" in done.output
