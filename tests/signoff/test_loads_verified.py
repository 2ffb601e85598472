"""A load under an acceptance: how it is verified, what alters it, and what is of another kind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.load.reading import COUNTS
from runstone.signoff import lines, policy, statement
from runstone.signoff.lines import Line, Unreadable
from runstone.signoff.statement import ACCEPTANCE, Acceptance
from tests.load.made import TWICE, made
from tests.signoff.case import Case
from tests.signoff.drafting import written
from tests.signoff.loads import (
    answers,
    changed,
    draft,
    refused,
    rerecorded,
    verified,
)
from tests.signoff.terminal import Run

pytestmark = pytest.mark.slow

# --- altered evidence --------------------------------------------------------------------------------------


def kept_instead(trace: Any) -> Any:
    load = trace["notes"]["load"]["load"]
    for each in load["invariants"]:
        each.update(kept=541, broken=0, samples=[])
    load["outcome"].update(broken=[], kept=True)
    return trace


def unsampled(trace: Any) -> Any:
    trace = kept_instead(trace)
    load = trace["notes"]["load"]["load"]
    load["samples"] = [each for each in load["samples"] if not each["broken"]]
    return trace


def twice(trace: Any) -> Any:
    recorded = json.loads(msgspec.json.encode(TWICE))
    return {**trace, "exchanges": recorded["exchanges"]}


def slower(trace: Any) -> Any:
    for number, window in enumerate(trace["notes"]["load"]["load"]["windows"]):
        for of_kind in window["kinds"].values():
            of_kind["p99_ms"] = 1000.0 * number
    return trace


def one_left(trace: Any) -> Any:
    (count,) = [each for each in trace["exchanges"] if each["label"] == "count"]
    count["content"] = "1"
    return trace


LIES: dict[str, tuple[bool, str, Callable[[Any], Any], str]] = {
    "a broken start is said to have kept all": (True, COUNTS, kept_instead, "LOAD-102"),
    "a broken start is not named": (True, COUNTS, unsampled, "there is a recording"),
    "a recording shows more": (False, TWICE.scenario, twice, "shows LOAD-102 broken, and it says nothing"),
    "the windows show that it grew slower": (False, COUNTS, slower, "its windows show LOAD-109 broken"),
    "the sweep shows another count": (False, "load-sweep", one_left, "load-sweep shows LOAD-107 broken"),
    "a worker is missing": (False, COUNTS, lambda each: changed(each, workers=[]), "its counts show"),
    "it is not a load": (False, COUNTS, lambda each: {**each, "notes": {}}, f"{COUNTS} is damaged"),
    "a start has no note": (
        False,
        TWICE.scenario,
        lambda each: {**each, "notes": {}},
        "a recording is not as a load writes it",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_what_does_not_follow_from_the_recordings(name: str, load: Path, tmp_path: Path) -> None:
    """Whoever mends the digests has to make up everything: what is derived is derived again."""
    broken, recording, lie, says = LIES[name]
    folder = made(tmp_path / "broken", broken=[TWICE]) if broken else load
    draft(load).write(tmp_path)
    rerecorded(folder, recording, lie)
    (reason,) = refused(folder)
    assert says in reason
    assert answers(verified(folder, tmp_path))["bound"] == "no"


def test_altered_and_added_and_lost_recordings(load: Path, tmp_path: Path) -> None:
    draft(load).write(tmp_path)
    traces = load / "evidence/traces"
    (traces / f"{COUNTS}.json").write_bytes((traces / f"{COUNTS}.json").read_bytes().replace(b"540", b"541"))
    (traces / "load-sweep.json").unlink()
    (traces / "load-more.json").write_text("{}")
    says = (
        "traces/load-more.json is not in the manifest",
        f"traces/{COUNTS}.json does not have the SHA-256 of the manifest",
        "traces/load-sweep.json is missing",
    )
    assert refused(load) == says
    found = verified(load, tmp_path)
    assert found.answers["intact"].reason == "; ".join(says)
    assert answers(found)["derivable"] == "no"


# --- verified ----------------------------------------------------------------------------------------------


def test_a_load_is_verified_from_its_evidence_alone(load: Path, tmp_path: Path) -> None:
    draft(load).write(tmp_path)
    asks = policy.load(written(tmp_path, "policy.yaml", "load: {rate: 40, seconds: 9, kinds: [wait]}"))
    moved = tmp_path / "elsewhere"
    shutil.copytree(load / "evidence", moved / "evidence")
    found = verified(moved, tmp_path, policy=asks)
    assert answers(found) == {
        "authentic": "not asked",
        **dict.fromkeys(("bound", "intact", "derivable", "acceptable"), "yes"),
    }
    assert found.answers["derivable"].reason == (
        "9 requirements judged again here, the same verdicts, from what 1 worker counted of 540 runs; the "
        "recordings of 4 starts and of the sweep were judged again, no other run is kept"
    )
    document = found.document()
    assert document["kind"] == "load"
    assert isinstance(document["load"], dict)


def altered(acceptance: Acceptance) -> Acceptance:
    assert acceptance.load is not None
    return msgspec.structs.replace(acceptance, load=msgspec.structs.replace(acceptance.load, rate=400.0))


def as_a_check(acceptance: Acceptance) -> Acceptance:
    return msgspec.structs.replace(acceptance, load=None)


@pytest.mark.parametrize("lie", [altered, as_a_check])
def test_what_a_signer_says_of_a_load_is_derived(
    lie: Callable[[Acceptance], Acceptance], load: Path, tmp_path: Path
) -> None:
    signed = draft(load).statement
    own, common = statement.statements(signed.subject, lie(signed.predicate))
    text = lines.written([Line(payload=own), Line(payload=common)])
    written(tmp_path, lines.NAME, text)
    found = verified(load, tmp_path)
    assert found.answers["derivable"].reason == "its load is not what follows from the evidence"


def test_a_statement_of_the_wrong_type_is_unreadable(load: Path, tmp_path: Path) -> None:
    signed = draft(load).statement
    own = statement.encoded(msgspec.structs.replace(signed, predicateType=ACCEPTANCE))
    with pytest.raises(Unreadable, match=f"speaks of a load, and says that it is {ACCEPTANCE}"):
        lines.read(written(tmp_path, lines.NAME, lines.written([Line(payload=own)])))


# --- of another kind ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "least, says",
    [
        ("users: 51", "50 users were planned, the policy demands 51"),
        ("rate: 40.5", "40 starts a second were planned, the policy demands 40.5"),
        ("seconds: 600", "9 s were planned, the policy demands 600"),
        ("kinds: [wait, cancel]", "nothing of cancel was started, and the policy demands it"),
    ],
)
def test_a_load_that_is_less_than_the_policy_demands(
    least: str, says: str, load: Path, tmp_path: Path
) -> None:
    asks = written(tmp_path, "policy.yaml", f"load: {{{least}}}")
    assert refused(load, policy=asks) == (says,)


@pytest.mark.parametrize(
    "text, says",
    [
        ("load: {kinds: [wayt]}", "load.kinds names 'wayt', which there is not; did you mean wait"),
        ("load: {}\nunjudged: {RUN-WAIT-001: never}", "unjudged names 'RUN-WAIT-001', which there is not"),
        ("unjudged: {LOAD-109: short}", "unjudged names 'LOAD-109', which there is not"),
        ("load: {ratio: 2}", "ratio"),
    ],
)
def test_a_policy_that_names_what_is_of_the_other_kind(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(policy.BadPolicy, match=says):
        policy.load(written(tmp_path, "policy.yaml", text))


def test_a_policy_of_checks_takes_no_load(load: Path, tmp_path: Path) -> None:
    asks = written(tmp_path, "policy.yaml", "minimum_share: {MUST: 100}")
    says = "this is a load, and the policy is for checks: it has no `load`"
    assert refused(load, policy=asks) == (says,)
    draft(load).write(tmp_path)
    assert verified(load, tmp_path, policy=policy.load(asks)).answers["acceptable"].reason == says


def test_a_load_is_superseded_by_a_load(load: Path, tmp_path: Path) -> None:
    draft(load).write(tmp_path / "old")
    again = made(tmp_path / "again")
    before = tmp_path / "old" / lines.NAME
    found = draft(again, baseline=before)
    assert found.statement.predicate.supersedes is not None
    found.write(tmp_path / "new")
    told = verified(again, tmp_path / "new", baseline=lines.read(before))
    assert told.answers["acceptable"].answer == "yes"
    worse = made(tmp_path / "worse", broken=[TWICE])
    assert any("was kept by the acceptance of" in each for each in refused(worse, baseline=before))


def test_neither_a_policy_nor_a_baseline_of_loads_serves_a_check(
    case: Case, tmp_path: Path, run: Run
) -> None:
    """In a tiny house, whose contract knows no load: its statement alone is read."""
    statement_of_load = tmp_path / lines.NAME
    signed = lines.read(case.acceptance).acceptance
    said = statement.LoadMade(
        soak=False,
        users=1,
        rate=1.0,
        seconds=1.0,
        mix={"wait": 1},
        workers=1,
        webhooks=False,
        offered=1.0,
        achieved=1.0,
        runs=9,
        recorded=1,
        untested={},
        judged_from="what 1 worker counted of 9 runs",
        digest="0" * 64,
    )
    predicate = msgspec.structs.replace(signed.predicate, load=said)
    own, common = statement.statements(signed.subject, predicate)
    statement_of_load.write_text(lines.written([Line(payload=own), Line(payload=common)]))
    asks = written(tmp_path, "policy.yaml", "load: {}")
    words = ["signoff", str(case.evidence), "--unsigned", "--by", "me", "--yes"]
    waived = ["--waivers", str(case.folder / "waivers.yaml")]
    code, told = run(*words, *waived, "--policy", str(asks))
    assert (code, told) == (1, "refused: this is a check, and the policy is for loads: it has `load`\n")
    code, told = run(*words, *waived, "--baseline", str(statement_of_load))
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith("refused: this is a check, and the baseline ")
    assert told.endswith(" is the acceptance of a load\n")
    verifying = ["verify", str(case.acceptance), "--unsigned-ok"]
    code, told = run(*verifying, "--policy", str(asks))
    assert (code, "this is a check, and the policy is for loads" in told) == (1, True)
    code, told = run(*verifying, "--baseline", str(statement_of_load))
    assert (code, "is the acceptance of a load" in told) == (1, True)


def test_a_baseline_of_a_check_serves_no_load(original: Path, load: Path, tmp_path: Path) -> None:
    of_a_check = original / "new/signoff/acceptance.intoto.jsonl"
    (reason,) = refused(load, baseline=of_a_check)
    assert reason == f"this is a load, and the baseline {of_a_check} is the acceptance of a check"
    draft(load).write(tmp_path)
    found = verified(load, tmp_path, baseline=lines.read(of_a_check))
    assert found.answers["acceptable"].reason == reason
