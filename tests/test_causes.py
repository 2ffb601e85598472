"""What to fix first: which cases share a cause, what it is called, and the lines that ask for it again."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from runstone.compare import compare, print_comparison, texts_of
from runstone.compare.comparison import Side
from runstone.contracts import Level, violations
from runstone.report import from_json
from runstone.report.causes import causes_of
from runstone.report.digest import cause_burden, cause_weight, cause_words
from runstone.verdict.model import Case, Cause, Outcome, Verdict
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace
from tests.command_line import command, runstone, started

EXAMPLES = Path(__file__).parents[1] / "contracts/schemas/examples/report/conforms"
THREAD = "6f1d1c9e-3c55-4f0e-9a52-6a1a4b7f3c10"
RUN = "01a222f4-8396-75be-ac9f-2bf3d8778b12"
HISTORY = f"/threads/{THREAD}/history"
WAIT = f"/threads/{THREAD}/runs/wait"


def exchange(number: int, path: str, code: int | None = 200, content: str = "{}", **more: Any) -> Exchange:
    usual = Exchange(
        scenario="turns",
        number=number,
        label="wait",
        method="GET" if path.endswith(("history", "state")) else "POST",
        url=f"http://127.0.0.1:2024{path}",
        sent_at=number / 10,
        code=code,
        content=content,
        response_headers=(("content-type", "application/json"),),
    )
    return msgspec.structs.replace(usual, **more)


def verdict(
    identity: str,
    reason: str,
    *exchanges: str,
    outcome: Outcome = "not-testable",
    level: Level = "MUST",
) -> Verdict:
    case = Case(case="", verdict=outcome, reason=reason, exchanges=exchanges)
    return Verdict(
        id=identity,
        level=level,
        area="x",
        statement=f"{identity} is so.",
        source=(),
        verdict=outcome,
        cases=(case,),
    )


def causes(*verdicts: Verdict, exchanges: tuple[Exchange, ...] = (), **trace: Any) -> tuple[Cause, ...]:
    return causes_of(verdicts, {"turns": Trace(scenario="turns", exchanges=exchanges, **trace)})[0]


def test_refusals_that_say_the_same_are_one_cause_and_others_are_two() -> None:
    stored, broken = f'{{"error":"no column, thread {THREAD}"}}', '{"error":"no table"}'
    found = causes(
        verdict("HIST-001", "exchange 1 GET /threads/…/history answered 500: no column", "turns#1"),
        verdict("A-2", "wanted 200, got 500", "turns#2", outcome="fail"),
        verdict("A-3", "exchange 3 GET /threads/…/history answered 500: no table", "turns#3"),
        exchanges=(
            exchange(1, HISTORY, 500, stored),
            exchange(2, HISTORY, 500, stored.replace(THREAD, RUN)),
            exchange(3, HISTORY, 500, broken),
        ),
    )
    assert [(each.requirements, each.answer) for each in found] == [
        (("HIST-001", "A-2"), "500"),
        (("A-3",), "500"),
    ]
    assert (found[0].requirement, found[0].operation) == ("HIST-001", "GET /threads/{thread}/history")
    assert "<id>" in found[0].reason


def test_what_servers_say_to_anything_joins_no_operations() -> None:
    def of(said: str) -> int:
        return len(
            causes(
                verdict("A-1", f"exchange 1 GET /threads/…/history answered 500: {said}", "turns#1"),
                verdict("A-2", f"exchange 2 POST /threads/…/runs/wait answered 500: {said}", "turns#2"),
                exchanges=(exchange(1, HISTORY, 500, said), exchange(2, WAIT, 500, said)),
            )
        )

    assert of('{"detail": "Internal Server Error"}') == 2
    assert of("no such column: created_at") == 1


def test_a_refusal_that_was_asked_for_is_another_cause_than_one_that_was_not() -> None:
    said = '{"detail":"Thread not found"}'
    found = causes(
        verdict("A-1", "wanted 422, got 404", "turns#1", outcome="fail"),
        verdict("A-2", "exchange 2 GET /threads/…/history answered 404: not found", "turns#2"),
        exchanges=(exchange(1, HISTORY, 404, said), exchange(2, HISTORY, 404, said)),
    )
    assert {each.requirement: each.requirements for each in found} == {"A-1": ("A-1",), "HIST-001": ("A-2",)}


def test_what_a_scenario_could_not_go_on_from_is_the_cause_of_all_that_it_did_not_see() -> None:
    found = causes(
        verdict(
            "A-1",
            "turns has no 'poll': exchange 2 POST /threads/…/runs/wait names no run: no Content-Location, no "
            "metadata event",
        ),
        verdict(
            "A-2",
            "wanted a Content-Location ending in /runs/{run_id}, got no Content-Location",
            "turns#1",
            "turns#2",
            outcome="fail",
        ),
        exchanges=(exchange(1, "/threads"), exchange(2, WAIT, content='{"log":[]}')),
    )
    assert [(each.requirement, each.requirements, each.must) for each in found] == [
        ("A-2", ("A-1", "A-2"), 2)
    ]
    assert found[0].expected == "A-2 is so."


def test_a_scenario_that_names_no_exchange_stopped_at_its_last_one() -> None:
    found = causes(
        verdict("A-1", "turns has no 'twin': the answer to the copy has no thread_id"),
        exchanges=(exchange(1, "/threads"), exchange(2, f"/threads/{THREAD}/copy", content='{"a":1}')),
        blocked={"": "the answer to the copy has no thread_id"},
    )
    assert found[0].operation == "POST /threads/{thread}/copy"


def test_an_empty_body_is_one_cause_whatever_each_judge_missed_in_it() -> None:
    found = causes(
        verdict("RUN-WAIT-001", "the body carries no values", "turns#1"),
        verdict("A-2", "wanted a list of interrupts, got {}", "turns#1", outcome="fail", level="SHOULD"),
        verdict("A-3", "exchange 1 POST /threads/…/runs/wait has no header location", "turns#1"),
        exchanges=(exchange(1, WAIT),),
    )
    assert (found[0].requirement, found[0].reason) == ("RUN-WAIT-001", "the body is {}")
    assert (found[0].must, found[0].should) == (2, 1)


def test_numbers_times_and_how_often_it_was_seen_tell_no_causes_apart() -> None:
    told = (
        'item 1 of /messages is "a", wanted "b" after 3.25 s',
        'item 8 of /messages is "a", wanted "b" after 11.0 s',
    )
    found = causes(
        verdict("A-1", f"unconfirmed: {told[0]}", "turns#1", outcome="fail"),
        verdict(
            "A-2",
            f"broken in one of two observations ({told[1]}), kept in the other",
            "turns#1",
            outcome="flaky",
        ),
        exchanges=(exchange(1, WAIT, content='{"messages":[]}'),),
    )
    assert [each.requirements for each in found] == [("A-1", "A-2")]


def test_a_monitor_hangs_on_its_first_finding() -> None:
    found = causes(
        verdict(
            "M-1", "turns#2 POST answers late; turns#3 GET answers later; and 9 more", "turns#2", "turns#3"
        ),
        exchanges=(exchange(1, "/threads"), exchange(2, WAIT, content='{"a":1}'), exchange(3, HISTORY)),
    )
    assert [(each.operation, each.reason) for each in found] == [
        ("POST /threads/{thread}/runs/wait", "it answers late")
    ]


def test_one_requirement_hangs_and_several_hang() -> None:
    exchanges = (exchange(1, WAIT, content='{"a":1}'), exchange(2, HISTORY, content='{"a":1}'))
    one = causes(verdict("A-1", "one", "turns#1"), exchanges=exchanges)[0]
    two = causes(verdict("A-1", "two", "turns#2"), verdict("A-2", "two", "turns#2"), exchanges=exchanges)[0]
    assert cause_burden(one) == "1 MUST hangs on it"
    assert cause_burden(two) == "2 MUST hang on it"


def test_only_what_is_broken_has_a_cause_and_the_greatest_comes_first() -> None:
    verdicts = [
        verdict("A-1", "one", "turns#1", outcome="warn", level="SHOULD"),
        verdict("A-2", "two", "turns#1", outcome="fail"),
        *(verdict(f"B-{each}", "three", "turns#1", outcome="warn", level="SHOULD") for each in range(3)),
        verdict("C-1", "four", "turns#1", outcome="waived"),
        verdict("C-2", "", "turns#1", outcome="pass"),
    ]
    trace = Trace(scenario="turns", exchanges=(exchange(1, WAIT, content='{"a":1}'),))
    found, named = causes_of(verdicts, {"turns": trace})
    assert [each.requirements for each in found] == [("A-2",), ("B-0", "B-1", "B-2"), ("A-1",)]
    assert [each.cases[0].cause for each in named] == [found[2].id, found[0].id, *[found[1].id] * 3, "", ""]
    assert causes_of(verdicts, {})[0], "evidence may be gone; the causes are then told by their reasons alone"


def test_the_lines_take_each_id_from_the_answer_that_it_came_in() -> None:
    made = exchange(1, "/threads", content=json.dumps({"thread_id": THREAD}), request_body="{}")
    ran = exchange(
        2,
        WAIT,
        content='{"log":[]}',
        response_headers=(("content-location", f"/threads/{THREAD}/runs/{RUN}"),),
    )
    read = exchange(3, f"/threads/{THREAD}/runs/{RUN}/join", 500, "gone", method="GET", sent_at=9.0)
    found = causes(
        verdict("A-1", "wanted 200, got 500", "turns#3", outcome="fail"), exchanges=(made, ran, read)
    )
    first, second, pause, last = found[0].curl.splitlines()
    assert first.startswith("ID1=$(curl -sS -X POST http://127.0.0.1:2024/threads ")
    assert second.startswith('ID2=$(curl -sS -i -X POST http://127.0.0.1:2024/threads/"$ID1"/runs/wait')
    assert "content-location" in second
    assert pause == "sleep 9"
    assert last == 'curl -sS -i http://127.0.0.1:2024/threads/"$ID1"/runs/"$ID2"/join'
    assert THREAD not in found[0].curl


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The report of a reference runtime with two faults, while it is still up."""
    out = tmp_path_factory.mktemp("faulty")
    words = (
        "serve",
        "--port",
        "0",
        "--fault",
        "unknown-threads-crash",
        "--fault",
        "answers-do-not-say-where-their-run-is",
    )
    with started(command, *words) as server:
        url = server.first_line().split()[-1]
        done = runstone(
            "check",
            url,
            "--confirm",
            "0",
            "--out",
            str(out),
            "--quick",
            *("--area", "err", "--area", "run-wait", "--area", "thr-del"),
        )
        assert done.returncode == 1, done.stderr
        yield json.loads((out / "report.json").read_text("utf-8")) | {"said": done.stdout}


def test_the_planted_faults_are_the_first_causes(faulty: dict[str, Any]) -> None:
    named = [each["requirement"] for each in faulty["causes"][:2]]
    assert sorted(named) == ["ERR-003", "RUN-WAIT-009"]
    assert "What to fix first: " in faulty["said"]
    assert faulty["said"].index("What to fix first") < faulty["said"].index("area ")


def test_the_lines_work_after_the_clean_up(faulty: dict[str, Any]) -> None:
    for cause in faulty["causes"][:3]:
        done = subprocess.run(
            ["/bin/sh", "-c", cause["curl"]], capture_output=True, text=True, timeout=60, check=True
        )
        last = done.stdout.rpartition("HTTP/1.1 ")[2]
        assert last.startswith(cause["answer"]), (cause["curl"], done.stdout)
        assert "content-location" not in done.stdout.lower()


def test_a_comparison_tells_the_greatest_causes_of_each_target() -> None:
    broken = from_json((EXAMPLES / "every-verdict.json").read_bytes())
    kept = msgspec.structs.replace(broken, causes=())
    sides = [Side("kept", kept), Side("broken", broken)]
    found = compare(sides)
    texts = texts_of(found, sides)
    for name in ("compare.md", "compare.html"):
        assert "What to fix first" in texts[name]
        assert cause_words(broken.causes[0]).split("{")[0] in texts[name]
    written = json.loads(texts["compare.json"])
    assert violations("compare", written) == []
    assert [len(each["causes"]) for each in written["targets"]] == [0, len(broken.causes)]
    console = Console(file=io.StringIO(), width=200)
    print_comparison(found, console, Path("out"))
    said = " ".join(console.file.getvalue().split())
    assert "What to fix first in broken" in said
    assert "What to fix first in kept" not in said
    assert f"{cause_weight(broken.causes[0])}: {cause_words(broken.causes[0])}"[:80] in said
    assert "What to fix first" not in texts_of(compare([sides[0], sides[0]]), [sides[0]] * 2)["compare.md"]
