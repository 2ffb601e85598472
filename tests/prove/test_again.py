"""A second try in a proof: each thing that did not come out as it should, once more, alone, and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from runstone import report as reports
from runstone.contracts import load_catalogue, violations
from runstone.proof.faults import load_variants
from runstone.proof.prove import outcomes, proving, published
from runstone.proof.prove.checks import Check
from runstone.proof.prove.matrix import Matrix
from runstone.proof.prove.planning import together, variants_check
from runstone.proof.prove.pool import Done
from runstone.verdict.model import Case, Outcome, Report, Verdict
from tests.prove.matrices import EXAMPLE, fault, report, spoken

FLAKY_FAULT = "faults/the-runs-of-every-thread-are-listed"
FLAKY_VARIANTS = variants_check(together(sorted(load_variants().values(), key=lambda each: each.name))[0])
FLAKY_PLAIN = "plain/embedded"
FLAKY_NULL = "null/500"


def reported(outcomes: dict[str, Outcome], rest: Outcome = "pass") -> Report:
    """A report on the whole catalogue."""
    verdicts = tuple(
        Verdict(
            id=each.id,
            level=each.level,
            area=each.area,
            statement=each.statement,
            source=(),
            verdict=outcomes.get(each.id, rest),
            cases=(Case(case="", verdict=outcomes.get(each.id, rest), reason=f"seen of {each.id}"),),
        )
        for each in load_catalogue().values()
    )
    return msgspec.structs.replace(reports.from_json(EXAMPLE.read_bytes()), verdicts=verdicts, exit_code=0)


PERFECT, NOTHING = reported({}), reported({}, "fail")


def ending(check: Check) -> Done:
    """A check that comes out as it should."""
    if check.null_server is not None:
        return Done(check, NOTHING, "", 1.0)
    broken = [name for change in check.changes for name in change.breaks]
    return Done(check, reported(dict.fromkeys(broken, "fail")) if broken else PERFECT, "", 1.0)


FIRST = 2  # rounds: the unbroken servers, then all else


def flaky(check: Check) -> Done:
    """The same, but for the four."""
    done = ending(check)
    if check.name == FLAKY_FAULT:
        return Done(check, PERFECT, "", 1.0)
    if check.name == FLAKY_VARIANTS:
        return Done(check, reported({"SSE-001": "fail"}), "", 1.0)
    if check.name == FLAKY_PLAIN:
        return Done(check, reported({"META-001": "fail"}), "", 1.0)
    if check.name == FLAKY_NULL:
        return Done(check, None, "the check did not end within 105 s", 1.0)
    return done


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[list[Check]]:
    """The rounds of checks of a proof, of which the first ones are flaky; nothing is run."""
    seen: list[list[Check]] = []

    def run_all(checks: Iterable[Check], slots: int, tell: Callable[[Done, int], None]) -> list[Done]:
        seen.append(list(checks))
        ended = [flaky(each) if len(seen) <= FIRST else ending(each) for each in seen[-1]]
        assert slots == 1 or len(seen) <= FIRST
        for each in ended:
            tell(each, 0)
        return ended

    monkeypatch.setattr(proving, "run_all", run_all)
    monkeypatch.setattr(proving, "warmed", lambda _: {})
    monkeypatch.setattr(proving, "unbroken", lambda _: spoken(wanted="pass", verdict="pass"))
    monkeypatch.setattr(proving, "all_played", lambda *_: [spoken()])
    return seen


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def proof(rounds: list[list[Check]], told: list[str], tmp_path: Path) -> Matrix:  # noqa: ARG001 - they change what it sees
    return proving.prove(proving.Selection(out=tmp_path), told.append)


def test_only_what_failed_is_checked_again_and_the_unbroken_server_first(
    proof: Matrix, rounds: list[list[Check]], told: list[str]
) -> None:
    assert proof.proved
    assert [[each.name for each in each_round] for each_round in rounds[FIRST:]] == [
        [FLAKY_PLAIN],
        [FLAKY_VARIANTS, FLAKY_FAULT, FLAKY_NULL],
    ]
    tries = [line for line in told if "second try, alone" in line]
    assert tries[0] == f"{FLAKY_PLAIN}: second try, alone; at first: META-001 fail: seen of META-001"
    assert len(tries) == 4


def test_each_second_try_is_told_with_its_reason(proof: Matrix, tmp_path: Path) -> None:
    assert violations("kill-matrix", json.loads(published.to_json(proof))) == []
    reasons = {
        "the-runs-of-every-thread-are-listed": "RUN-LIST-001: pass seen of RUN-LIST-001",
        FLAKY_VARIANTS.removeprefix("variants/"): "SSE-001 fail: seen of SSE-001",
        "500": "the check did not end within 105 s",
        "unbroken embedded": "META-001 fail: seen of META-001",
    }
    group = published.second_tries(proof)
    assert dict(group.lines) == {name: f"at first: {why}" for name, why in reasons.items()}
    assert "### Second try" in published.to_markdown(proof)
    with (tmp_path / "terminal").open("w") as page:
        published.print_matrix(proof, Console(file=page, width=400), tmp_path)
    said = (tmp_path / "terminal").read_text("utf-8")
    assert "Second try" in said
    assert all(why in said for why in reasons.values())
    assert [each.name for each in proof.faults if each.tries == 2] == ["the-runs-of-every-thread-are-listed"]


def test_a_pass_of_a_null_server_gets_no_second_try(
    rounds: list[list[Check]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(
        globals(),
        "flaky",
        lambda check: Done(check, PERFECT, "", 1.0) if check.name == "null/echo" else ending(check),
    )
    found = proving.prove(proving.Selection(out=tmp_path), lambda _: None)
    assert not found.proved
    assert rounds[FIRST:] == [[], []]


def test_of_two_tries_the_one_counts_that_caught_more() -> None:
    both, one, none = (
        fault("f", ["A-001", "A-002"], report(**broken))  # type: ignore[arg-type]
        for broken in ({"A_001": "fail", "A_002": "warn"}, {"A_001": "fail"}, {})
    )
    better = outcomes.second_try_of(one, both)
    assert (better.caught, better.tries, better.first_try) == (True, 2, "A-002: pass seen of A-002")
    kept = outcomes.second_try_of(one, none)
    assert ([each.id for each in kept.missed], kept.tries) == (["A-002"], 2)
    ended = outcomes.second_try_of(fault("f", ["A-001"], None, trouble="it died"), none)
    assert (ended.trouble, ended.first_try) == ("", "it died")
