"""What to fix first: what a cause is called, which comes first, and the lines that ask for it again."""

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
from runstone.report.causes import causes_of
from runstone.report.digest import cause_burden, cause_weight, cause_words
from runstone.verdict.model import Verdict
from runstone.wire.trace import Trace
from tests.broken_cases import HISTORY, RUN, THREAD, WAIT, causes, exchange, verdict
from tests.command_line import command, runstone, started
from tests.example_reports import example


def test_a_promise_that_is_kept_names_no_cause() -> None:
    refused = (exchange(1, WAIT, 500, '{"__error__":{"error":"ValueError"}}'),)
    kept = verdict("RUN-WAIT-001", "", outcome="pass")
    broken = verdict("A-2", "wanted 200, got 500", "turns#1", outcome="fail")
    promises = msgspec.structs.replace(broken, statement="Wait on a graph that fails answers 200.")
    assert [each.requirement for each in causes(kept, promises, exchanges=refused)] == ["A-2"]
    assert [each.requirement for each in causes(kept, broken, exchanges=refused)] == ["RUN-WAIT-001"]


def test_where_a_promise_is_kept_one_of_the_area_of_most_names_what_was_answered_otherwise() -> None:
    def area(given: Verdict, name: str) -> Verdict:
        return msgspec.structs.replace(given, area=name)

    kept = area(verdict("RUN-WAIT-001", "", outcome="pass"), "run-wait")
    others = [
        area(verdict(f"A-{each}", "wanted an error, got {}", "turns#1", outcome="fail"), f"a{each}")
        for each in range(3)
    ]
    own = area(verdict("RUN-WAIT-004", "wanted an error, got {}", "turns#1", outcome="fail"), "run-wait")
    hanging = area(verdict("RUN-WAIT-005", "exchange 1 POST … names no error", "turns#1"), "run-wait")
    found = causes(kept, *others, own, hanging, exchanges=(exchange(1, WAIT),))
    assert [each.requirement for each in found] == ["RUN-WAIT-004"]


def test_of_areas_with_as_many_the_first_one_names_a_cause_whenever_it_is_asked() -> None:
    for number in range(12):  # a set would have them in any order
        both = [
            msgspec.structs.replace(
                verdict(f"{which}-{number}", "it is wrong", "turns#1", outcome="fail"),
                area=f"{which}{number}",
            )
            for which in ("one", "other")
        ]
        found = causes(*both, exchanges=(exchange(1, HISTORY, content='{"a":1}'),))
        assert [each.requirement for each in found] == [f"one-{number}"]


def test_of_causes_with_as_many_must_one_that_breaks_a_promise_by_itself_comes_first() -> None:
    found = causes(
        verdict("A-1", "it names no next node", "turns#1"),
        verdict("A-2", "it names no next node", "turns#1", level="SHOULD"),
        verdict("A-3", 'wanted "a", got "b"', "turns#2", outcome="fail"),
        exchanges=(
            exchange(1, f"/threads/{THREAD}/state", content='{"a":1}'),
            exchange(2, HISTORY, content='{"a":1}'),
        ),
    )
    assert [(each.requirement, each.must, each.should) for each in found] == [("A-3", 1, 0), ("", 1, 1)]


def test_a_must_names_a_cause_though_more_of_a_should_hang_on_it() -> None:
    def of(identity: str, area: str, level: Level) -> Verdict:
        given = verdict(identity, "it is wrong", "turns#1", outcome="fail", level=level)
        return msgspec.structs.replace(given, area=area)

    several = (of("A-1", "a", "SHOULD"), of("A-2", "a", "SHOULD"), of("B-1", "b", "MUST"))
    found = causes(*several, exchanges=(exchange(1, HISTORY, content='{"a":1}'),))
    assert [each.requirement for each in found] == ["B-1"]


def test_what_says_more_of_what_is_wrong_than_the_promise_of_the_operation_names_it() -> None:
    def found(*its_cases: str, seen: str = "turns#1") -> list[str]:
        promise = verdict("RUN-WAIT-001", 'wanted "a", got "b"', "turns#1", outcome="fail")
        other = verdict("A-2", 'wanted "a", got "b"', seen, outcome="fail")
        more = [msgspec.structs.replace(other.cases[0], case=each) for each in its_cases]
        other = msgspec.structs.replace(other, cases=(*other.cases, *more))
        answers = tuple(exchange(number, WAIT, content='{"a":1}') for number in (1, 2))
        return [each.requirement for each in causes(promise, other, exchanges=answers)]

    assert found() == ["RUN-WAIT-001"]
    assert found("one", "another") == ["A-2"]
    assert found("one", "another", seen="turns#2") == ["RUN-WAIT-001"]


def test_a_run_that_never_ends_is_named_by_what_promises_that_it_is_seen_to_end() -> None:
    broken = verdict("RETR-008", 'wanted "success", got "pending"', "turns#1", outcome="fail")
    shown = exchange(1, f"/threads/{THREAD}/runs/{RUN}", content='{"status":"pending"}', method="GET")
    others = [verdict(f"A-{each}", "it still shows pending", "turns#1", outcome="fail") for each in range(3)]
    assert [each.requirement for each in causes(*others, broken, exchanges=(shown,))] == ["RETR-008"]
    assert [each.requirement for each in causes(*others, exchanges=(shown,))] == ["A-0"]


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
    broken = example("every-verdict")
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
    printed = io.StringIO()
    console = Console(file=printed, width=200)
    print_comparison(found, console, Path("out"))
    said = " ".join(printed.getvalue().split())
    assert "What to fix first in broken" in said
    assert "What to fix first in kept" not in said
    assert f"{cause_weight(broken.causes[0])}: {cause_words(broken.causes[0])}"[:80] in said
    assert "What to fix first" not in texts_of(compare([sides[0], sides[0]]), [sides[0]] * 2)["compare.md"]
