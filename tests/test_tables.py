"""The tables of contracts/cases: what they name exists, once, and what is not judged says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstone.contracts import MalformedContract
from runstone.contracts.table import Table, read_table
from runstone.contracts.tables import FieldTable, SearchTable, ValueTable
from runstone.contracts.tables_of_operations import (
    BrowserTable,
    IsolationTable,
    RaceTable,
    RestartTable,
    StatusTable,
)
from runstone.locations import locate

CASES = locate("contracts") / "cases"
SHAPES: dict[str, type[Table]] = {
    "values": ValueTable,
    "fields": FieldTable,
    "isolation": IsolationTable,
    "searches": SearchTable,
    "statuses": StatusTable,
    "races": RaceTable,
    "restarts": RestartTable,
    "browsers": BrowserTable,
}


def test_every_table_is_read() -> None:
    assert {path.stem for path in CASES.glob("*.yaml")} == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_table_judges_exists(name: str) -> None:
    table = read_table(CASES / f"{name}.yaml", SHAPES[name])
    assert list(table.judged())


@pytest.mark.parametrize(
    "name, old, new, said",
    [
        ("values", "GET /store/items,", "GET /store/item,", "unknown operation 'GET /store/item'"),
        ("values", "promise: VALUE-001", "promise: VALUE-901", "unknown requirement 'VALUE-901'"),
        ("values", "promise: VALUE-002", "promise: VALUE-001", "'VALUE-001' is given twice"),
        ("values", "zero: {value: 0}", "zero: {val: 0}", "unknown key 'val'"),
        ("values", "zero: {value: 0}", "zero: {}", "needs one of value, repeat, nested and members"),
        ("values", "zero: {value: 0}", "zero: {value: 0, nested: 1}", "not 2"),
        ("values", "  negative: {value: -1}", "  zero: {value: -1}", "'zero' is given twice"),
        ("values", "excused:", "excused:\n  zero: It is nothing.", "both judged and excused"),
        (
            "fields",
            "  POST /runs/crons/count: {}\n",
            "",
            "crons/count takes a body and is in no case",
        ),
        ("fields", "  after_seconds: [SCHED-001]\n", "", "the field after_seconds of a run is in no case"),
        (
            "searches",
            "sort_by: [cron_id, created",
            "sort_by: [cron_id, cron_id, created",
            "given twice",
        ),
        ("searches", "needs: [crons]", "needs: [cron]", "unknown capability 'cron'"),
        ("isolation", '  "GET /threads/{thread}": {}\n', "", "neither asked nor excused"),
        ("isolation", "path: {thread:", "path: {threads:", "unknown placeholder"),
        ("statuses", "refuses: [busy]}", "refuses: [bus]}", "unknown status 'bus'"),
        ("statuses", "thread: [idle], run", "thread: [id], run", "unknown status 'id'"),
        ("races", "item: PUT /store/items", "item: PUT /store/item", "unknown operation"),
        ("restarts", "operation: GET /store/items", "operation: POST /threads/search", "given twice"),
        ("restarts", "of: [item]", "of: [items]", "unknown thing 'items'"),
        ("restarts", "of: [item]", "of: [item, item]", "the thing 'item' is given twice"),
        ("restarts", "of: [cron]", "of: [item]", "nothing reads cron again"),
        ("restarts", "kill: PERS-006", "kill: PERS-906", "unknown requirement 'PERS-906'"),
        ("restarts", "kill: PERS-006", "kill: PERS-005", "PERS-005 does not need 'store'"),
        ("restarts", "kill: PERS-006", "kill: RESTART-004", "RESTART-004 does not need 'kill'"),
        ("browsers", "  GET /metrics", "  GET /metric", "unknown operation 'GET /metric'"),
        ("fields", "[SCHED-001]", "[SCHED-901]", "unknown requirement 'SCHED-901'"),
        ("fields", "  context: {graph", "  contexts: {graph", "unknown field 'contexts'"),
        ("fields", "  stream_mode:", "  input:", "input is both honoured here and judged elsewhere"),
        ("fields", "batch: POST /runs/batch", "batch: POST /runs/batches", "unknown operation"),
        ("values", "excused:", "excused:\n  dates: ''", "without a reason"),
        ("values", "of: checkpoints,", "of: checkpoint,", "unknown place 'checkpoint'"),
        ("values", "  debug: It wraps", "  debugs: It wraps", "debug is in no journey"),
        ("values", "  GET /ok: It", "  GET /okay: It", "GET /ok is in no journey"),
        (
            "values",
            "unread:\n",
            "unread:\n  GET /okay: It is nothing.\n",
            "nothing matches the unread 'GET /okay'",
        ),
        ("values", "      wait: {operation", "      stream: {operation", "'stream' is given twice"),
        ("fields", "send: 2, ends: error", "send: 2, ends: badly", "badly"),
        ("fields", '  text: "no', '  list: "no', "'list' is given twice"),
        ("searches", "  threads by ids: THR-SEARCH-009.\n", "", "threads by ids is in no case"),
        ("searches", "  threads by ids:", "  threads by id:", "unknown field 'threads by id'"),
        ("searches", "by: [metadata, sort_by", "by: [metadata, limit, sort_by", "both judged and excused"),
        ("searches", "by: [metadata, sort_by", "by: [metadatas, sort_by", "unknown field 'metadatas'"),
        ("isolation", '["{spare}"]', '["{spear}"]', "unknown thing 'spear'"),
        ("isolation", "run: pending}, query", "run: depending}, query", "unknown thing 'depending'"),
        ("browsers", "[content-type, auth", "[content-type, content-type, auth", "given twice"),
        (
            "statuses",
            "  idle: {thread: [idle], run",
            "  idle: {threads: [idle], run",
            "unknown key|unexpected|threads",
        ),
    ],
)
def test_malformed_table_says_where_and_what(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = (CASES / f"{name}.yaml").read_text("utf-8")
    assert old in text
    path = tmp_path / f"{name}.yaml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(MalformedContract, match=said.replace("(", r"\(")):
        read_table(path, SHAPES[name])
