"""The proof of the measure: what its checks show together, and how they are run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from runstone import report as reports
from runstone.cli import cli
from runstone.contracts import (
    Area,
    Catalogue,
    Level,
    Requirement,
    load_capabilities,
    load_catalogue,
    violations,
)
from runstone.errors import UsageError
from runstone.proof.conversations.outcome import Conversation
from runstone.proof.faults import load_faults, load_variants
from runstone.proof.prove import matrix, outcomes, proving, published
from runstone.proof.prove.checks import Check
from runstone.proof.prove.matrix import Baseline, Fault, Hit, Matrix, Missed, Null
from runstone.proof.prove.null_servers import BOASTFUL, LIARS, NULL_SERVERS
from runstone.proof.prove.pool import Done, run_all
from runstone.verdict.model import Case, Outcome, Report, Verdict
from tests.command_line import runstone

EXAMPLES = Path(__file__).parents[1] / "contracts/schemas/examples"
EXAMPLE = EXAMPLES / "report/conforms/conforming.json"
LEVELS: dict[str, Level] = {"A-001": "MUST", "A-002": "SHOULD", "B-001": "MUST", "B-002": "MAY"}
KEPT = frozenset(LEVELS)


def report(**outcomes: Outcome) -> Report:
    """A report on A-001, A-002, B-001 and B-002, given as A_001=…; the rest passes."""
    given = {name.replace("_", "-"): outcome for name, outcome in outcomes.items()}
    verdicts = tuple(
        Verdict(
            id=id,
            level=level,
            area=id[0].lower(),
            statement=f"{id} holds.",
            source=(),
            verdict=given.get(id, "pass"),
            cases=(Case(case="", verdict=given.get(id, "pass"), reason=f"seen of {id}"),),
        )
        for id, level in LEVELS.items()  # noqa: A001 - the catalogue's own name
    )
    return msgspec.structs.replace(reports.from_json(EXAMPLE.read_bytes()), verdicts=verdicts)


def fault(name: str, breaks: Iterable[str], found: Report | None, **changes: Any) -> Fault:
    made = outcomes.fault_of(
        name,
        "It is broken.",
        "embedded",
        tuple(breaks),
        found,
        KEPT,
        trouble=changes.pop("trouble", ""),
    )
    return msgspec.structs.replace(made, **changes)


def catalogue() -> Catalogue:
    each = [
        Requirement(id=id, level=level, area=id[0].lower(), statement=f"{id} holds.", source=("GOAL: x",))
        for id, level in LEVELS.items()  # noqa: A001
    ]
    return Catalogue(each, [Area(name="a", title="A", order=1), Area(name="b", title="B", order=2)])


def whole(faults: Iterable[Fault], *, complete: bool = True, narrow: bool = False, **changes: Any) -> Matrix:
    given: dict[str, Any] = {
        "baselines": [Baseline(server="embedded", kept=4, hits=(), trouble="")],
        "variants": [],
        "null_servers": [],
        **changes,
    }
    told = tuple(faults)
    return matrix.assembled(
        "0.1.0",
        "2026-11-21",
        complete=complete,
        narrow=narrow,
        faults=told,
        requirements=outcomes.requirements_of(catalogue(), told, [report()], frozenset()),
        **given,
    )


KILLERS = (
    fault("all-at-once", ["A-001"], report(A_001="fail", A_002="warn")),
    fault("the-other", ["B-001"], report(B_001="fail")),
)


# --- what the checks show ---------------------------------------------------------------------------------


def test_fault_is_caught_when_all_that_it_names_fails() -> None:
    found = fault("f", ["A-001", "A-002"], report(A_001="fail", A_002="warn", B_001="not-testable"))
    assert found.caught
    assert [(hit.id, hit.verdict, hit.reason) for hit in found.hits] == [
        ("A-001", "fail", "seen of A-001"),
        ("A-002", "warn", "seen of A-002"),
        ("B-001", "not-testable", "seen of B-001"),
    ]
    assert (found.judged, found.coarse) == (4, False)  # one fell of the two that it does not name


def test_a_fault_is_coarse_when_most_falls_that_it_does_not_name() -> None:
    assert fault("f", ["A-001"], report(A_001="fail", A_002="warn", B_001="fail")).coarse
    assert not fault("f", ["A-001", "A-002"], report(A_001="fail", A_002="warn")).coarse


@pytest.mark.parametrize(
    "found, why",
    [
        (report(), "pass seen of A-001"),
        (report(A_001="not-testable"), "not-testable seen of A-001"),
        (report(A_001="not-run"), "not-run seen of A-001"),
        (report(A_001="harness-error"), "harness-error seen of A-001"),
        (None, "not judged"),
    ],
)
def test_whatever_is_no_failure_is_no_catch(found: Report | None, why: str) -> None:
    missed = fault("f", ["A-001"], found)
    assert not missed.caught
    assert missed.missed == (Missed(id="A-001", why=why),)


def test_only_what_the_unbroken_server_keeps_can_be_broken() -> None:
    found = outcomes.fault_of(
        "f", "It.", "embedded", ["A-001"], report(A_001="fail"), KEPT - {"A-001"}, trouble=""
    )
    assert found.hits == ()
    assert "the unbroken server does not keep it either" in found.missed[0].why


def test_a_check_that_was_ended_catches_nothing() -> None:
    assert not fault("f", ["A-001"], report(A_001="fail"), trouble="it did not end").caught


def test_reasons_say_nothing_that_differs_from_run_to_run() -> None:
    told = report(A_001="fail")
    moving = (
        "at 2026-11-21T10:03:09.123456+00:00 thread 0b0e7c35-6df4-4a80-9a34-0c9a1e9bb1d2 of "
        "http://127.0.0.1:40123 took 1.234 s; wanted 3.5"
    )
    first = msgspec.structs.replace(
        told.verdicts[0], cases=(Case(case="wait", verdict="fail", reason=moving),)
    )
    [hit] = outcomes.hits([first])
    assert hit.reason == "wait: at … thread … of http://127.0.0.1:… took … s; wanted 3.5"


def test_variant_is_green_when_every_must_is_kept_or_does_not_apply() -> None:
    def variant(found: Report | None, kept: frozenset[str] = KEPT, trouble: str = "") -> matrix.Variant:
        return outcomes.variant_of("v", "It differs.", found, kept, trouble=trouble)

    assert variant(report(A_002="warn", B_002="warn", B_001="not-applicable")).green
    assert variant(report(A_001="fail"), KEPT - {"A-001"}).green
    for outcome in ("fail", "not-testable", "not-run", "harness-error"):
        broken = variant(report(A_001=outcome))
        assert not broken.green
        assert [hit.id for hit in broken.broken] == ["A-001"]
    assert not variant(None).green
    assert not variant(report(), trouble="it did not end").green
    none = report(
        A_001="not-applicable", A_002="not-applicable", B_001="not-applicable", B_002="not-applicable"
    )
    assert not variant(none).green


def test_requirement_is_killed_by_failing_and_survivors_are_listed() -> None:
    found = whole([KILLERS[0], fault("f", ["B-001"], report(B_001="not-testable"))])
    assert {each.id: each.killed_by for each in found.requirements} == {
        "A-001": ("all-at-once",),
        "A-002": ("all-at-once",),
        "B-001": (),
        "B-002": (),
    }
    assert [each.id for each in found.survivors] == ["B-001"]
    assert found.totals["MUST"] == matrix.Share(1, 2)
    assert found.totals["faults"] == matrix.Share(1, 2)
    assert not found.proved


def test_what_no_server_shows_is_said_and_counts_as_survivor() -> None:
    absent = report(A_001="not-applicable", B_001="fail")
    found = outcomes.requirements_of(catalogue(), [], [absent], frozenset({"a", "b"}))
    assert {each.id: each.unjudged for each in found} == {
        "A-001": "not-applicable: seen of A-001",
        "A-002": "",
        "B-001": "fail: seen of B-001",
        "B-002": "",
    }


def test_twins_are_faults_of_one_effect() -> None:
    same = report(A_001="fail")
    named = [fault(name, ["A-001"], same) for name in ("first", "second")]
    other = fault("other", ["A-001"], report(A_001="fail", B_001="fail"))
    nothing = [fault(name, ["A-001"], report()) for name in ("third", "fourth")]
    told = [*named, other, *nothing]
    assert whole(told).twins == (("first", "second"),)
    assert whole(told, narrow=True).twins == ()  # only what each names was looked at


def test_faults_come_in_the_order_of_the_catalogue() -> None:
    shuffled = [fault("z", ["B-001"], None), fault("b", ["A-002"], None), fault("a", ["A-002"], None)]
    assert [each.name for each in matrix.in_order(shuffled, catalogue())] == ["a", "b", "z"]


def test_proof_needs_everything() -> None:
    assert whole(KILLERS).proved
    hit = Hit(id="A-001", verdict="fail", reason="")
    green = outcomes.variant_of("v", "It differs.", report(), KEPT, trouble="")
    spoilt: list[dict[str, Any]] = [
        {"baselines": [Baseline(server="embedded", kept=3, hits=(hit,), trouble="")]},
        {"baselines": [Baseline(server="embedded", kept=0, hits=(), trouble="")]},
        {"variants": [msgspec.structs.replace(green, broken=(hit,))]},
        {
            "variants": [
                msgspec.structs.replace(green, left=(Hit(id="A-002", verdict="harness-error", reason=""),))
            ]
        },
        {"null_servers": [null(passes=("A-001",))]},
        {"null_servers": [null(passes_unchecked=("A-001",))]},
        {"null_servers": [null(trouble="nothing was judged")]},
        {"conversations": [spoken(verdict="pass", reason="")]},
        {"conversations": [spoken(trouble="Runstone itself broke")]},
    ]
    for changes in spoilt:
        assert not whole(KILLERS, **changes).proved, changes
        assert published.missing(whole(KILLERS, **changes)), changes
    assert whole(KILLERS, variants=[green], null_servers=[null()], conversations=[spoken()]).proved
    assert not whole(KILLERS[:1]).proved
    assert whole(KILLERS[:1], complete=False).proved


def null(**changes: Any) -> Null:
    plain = Null(name="silent", passes=(), passes_unchecked=(), judged_unchecked=9, trouble="")
    return msgspec.structs.replace(plain, **changes)


def spoken(**changes: Any) -> Conversation:
    caught = Conversation(
        name="agent-x",
        statement="It errs.",
        who="agent",
        wanted="fail",
        verdict="fail",
        reason="why",
        kept=1,
    )
    return msgspec.structs.replace(caught, **changes)


# --- how it is published ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["proved", "not-proved"])
def test_published_texts_hold_the_matrix(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"kill-matrix/conforms/{name}.json").read_bytes()
    found = msgspec.json.decode(text, type=Matrix)
    published.write(found, tmp_path)
    assert json.loads((tmp_path / "kill-matrix.json").read_text("utf-8")) == json.loads(text)
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


# --- how checks are run -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Acting(Check):
    """A check that does something else."""

    act: str = "report"

    def run(self) -> None:
        self.out.mkdir(parents=True)
        (self.out / "pid").write_text(str(os.getpid()))
        if self.act == "hang":
            time.sleep(600)
        if self.act == "die":
            (self.out / "check.log").write_text("first\nthe last word\n")
            os._exit(7)
        if self.act == "leave somebody":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (self.out / "child").write_text(str(child.pid))
        (self.out / "report.json").write_text(reports.to_json(report()))


def alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def test_checks_end_with_a_report_or_a_diagnosis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstone.proof.prove.pool.BEYOND_BUDGET_S", 0.5)
    told: list[tuple[str, int]] = []
    acts = ("report", "hang", "die", "leave somebody")
    # Only the hanging one may be late, however slow the machine is.
    checks = [
        Acting(name=act, out=tmp_path / act.replace(" ", "-"), act=act, budget_s=1.5 if act == "hang" else 60)
        for act in acts
    ]
    ended = run_all(checks, 4, lambda each, left: told.append((each.check.name, left)))
    done = {each.check.name: each for each in ended}
    assert done["report"].report is not None
    assert done["report"].trouble == ""
    assert done["hang"].report is None
    assert "did not end within 2 s" in done["hang"].trouble
    assert done["die"].trouble == "the check ended with code 7: the last word"
    assert sorted(name for name, _ in told) == sorted(acts)
    assert told[-1][1] == 0
    assert not alive((tmp_path / "hang/pid").read_text())
    assert not alive((tmp_path / "leave-somebody/child").read_text())


def test_only_what_is_light_goes_before_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstone.proof.prove.pool.BEYOND_BUDGET_S", 0.5)
    weights = {"heavy": 1.5, "heavy too": 1.5, "ordinary": 1, "light": 0.25}
    checks = [
        Acting(
            name=name,
            out=tmp_path / name.replace(" ", "-"),
            act="hang" if name == "heavy" else "report",
            budget_s=1.5 if name == "heavy" else 60,
            weight=weight,
        )
        for name, weight in weights.items()
    ]
    ended = [each.check.name for each in run_all(checks, 2, lambda *_: None)]
    assert ended[:2] == ["light", "heavy"]
    assert sorted(ended[2:]) == ["heavy too", "ordinary"]


def test_an_earlier_report_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "died").mkdir()
    (tmp_path / "died/report.json").write_text(reports.to_json(report()))
    [done] = run_all([Acting(name="died", out=tmp_path / "died", act="die")], 1, lambda *_: None)
    assert done.report is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_leaves_no_check_behind(number: signal.Signals, tmp_path: Path) -> None:
    def interrupt(_done: Done, _left: int) -> None:
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    checks = [Acting(name=act, out=tmp_path / act, act=act) for act in ("hang", "report")]
    with pytest.raises(KeyboardInterrupt):
        run_all(checks, 2, interrupt)
    assert not alive((tmp_path / "hang/pid").read_text())
    assert signal.getsignal(number) is before


# --- what is checked --------------------------------------------------------------------------------------


def test_null_servers_are_complete_and_claim_every_capability() -> None:
    names = {each.name for each in NULL_SERVERS}
    assert {"closed", "silent", "empty object", "empty array", "500", "html", "echo", "heartbeats"} <= names
    assert {"truncating", *LIARS} <= names
    of_observer = {"python_sdk", "node_sdk"}
    by_graphs = {"conformance_graphs", "error_outcome", "interrupt_outcome"}
    by_commands = {"restart", "kill"}
    unsaid = [name for name in load_capabilities() if name not in BOASTFUL]
    assert set(unsaid) == of_observer | by_graphs | by_commands


def test_a_partial_proof_chooses_by_globs() -> None:
    partial = proving.Selection(out=Path("x"), faults=("wait-only-*",))
    assert [each.name for each in partial.chosen(partial.faults, load_faults())] == [
        "wait-only-stores-the-input"
    ]
    assert partial.chosen(partial.variants, load_variants()) == []
    everything = proving.Selection(out=Path("x"))
    assert len(everything.chosen((), load_faults())) == len(load_faults())


def test_what_only_a_load_shows_is_no_part_of_a_proof() -> None:
    with pytest.raises(UsageError, match="shown by no check: `runstone serve --fault one-run-in-500-is-"):
        proving.of_checks(("one-run-in-500-*",), load_faults())
    shown = proving.of_checks((), load_faults())
    assert 0 < len(shown) < len(load_faults())
    breaking = {id for each in load_faults().values() for id in each.breaks}  # noqa: A001 - the catalogue's name
    assert load_catalogue().of_loads.keys() <= breaking


@pytest.mark.parametrize(
    "words, said",
    [
        (["--fault", "no-such-*"], "no fault matches 'no-such-*'"),
        (["--variant", "no-such-*"], "no variant matches 'no-such-*'"),
        (["--fault", "wait-*", "--publish", "published"], "--publish takes a whole proof"),
        (["--narrow", "--publish", "published"], "--publish takes a whole proof"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_runs(words: list[str], said: str, tmp_path: Path) -> None:
    called = CliRunner().invoke(cli, ["prove", *words, "--out", str(tmp_path / "out")])
    assert said in str(called.exception)
    assert not (tmp_path / "out").exists()


def test_a_fault_is_proved_to_be_caught(tmp_path: Path) -> None:
    done = runstone("prove", "--fault", "failed-run-answers-an-empty-object", "--out", str(tmp_path))
    text = (tmp_path / "kill-matrix.json").read_text("utf-8")
    found = msgspec.json.decode(text, type=Matrix)
    assert violations("kill-matrix", json.loads(text)) == []
    assert (done.returncode, found.uncaught, found.complete) == (0, [], False), done.stdout + done.stderr
    assert {"RUN-WAIT-005"} <= {hit.id for hit in found.faults[0].hits}
    assert "proved" in done.stdout
    kept = tmp_path / "faults" / "failed-run-answers-an-empty-object"
    assert {"report.json", "evidence"} <= {each.name for each in kept.iterdir()}
    assert not (kept / "report.html").exists()
