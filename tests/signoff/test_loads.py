"""A load under an acceptance: what is signed of it, and what nobody can sign for."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from runstone.contracts import violations
from runstone.errors import ExitCode
from runstone.load.reading import COUNTS
from runstone.session.evidence import read
from runstone.signoff import lines, page
from runstone.signoff.statement import LOAD_ACCEPTANCE
from tests.command_line import runstone
from tests.load.made import KEPT, TWICE, made, named
from tests.load.starts import STEPS, waited
from tests.signoff.case import rewrite
from tests.signoff.drafting import written
from tests.signoff.loads import (
    NOW,
    YESTERDAY,
    answers,
    changed,
    draft,
    refused,
    rerecorded,
    verified,
    waiver,
)

pytestmark = pytest.mark.slow

# --- what it says ------------------------------------------------------------------------------------------


def test_what_is_signed_says_that_it_is_a_load_and_what_it_rests_on(load: Path, tmp_path: Path) -> None:
    found = draft(load)
    own, common = (json.loads(some[0].payload) for some in found.lines)
    assert own["predicateType"] == LOAD_ACCEPTANCE
    signed = own["predicate"]
    assert violations("acceptance", signed) == []
    said = signed["load"]
    assert (said["users"], said["rate"], said["seconds"], said["workers"]) == (50, 40.0, 9.0, 1)
    assert (said["mix"]["enqueue"], said["offered"], said["achieved"]) == (1, 40.0, 40.0)
    assert (said["soak"], said["runs"], said["recorded"], said["untested"]) == (False, 540, 4, {})
    assert said["judgedFrom"] == (
        "what 1 worker counted of 540 runs; the recordings of 4 starts and of the sweep were judged again, "
        "no other run is kept"
    )
    assert [each["id"] for each in signed["requirements"]] == [f"LOAD-10{number}" for number in range(1, 10)]
    assert (signed["result"], common["predicate"]["result"]) == ("PASSED", "PASSED")
    assert common["predicate"]["passedTests"] == [each["id"] for each in signed["requirements"]]
    assert "plan of the load" in {each["name"] for each in common["predicate"]["configuration"]}
    assert page.headline(found.statement.predicate).startswith("a load on made-up, profile langgraph: PASSED")
    found.write(tmp_path)
    text = (tmp_path / "acceptance.md").read_text()
    assert text.startswith("# Acceptance of a load on made-up: PASSED\n")
    assert "It is of a load alone, and says nothing of what a check judges." in text
    assert "| Judged from | what 1 worker counted of 540 runs; " in text


def test_neither_load_json_nor_report_json_is_read(load: Path) -> None:
    (load / "load.json").write_text("{}")
    (load / "report.json").write_text("{}")
    assert draft(load).statement.predicate.result == "PASSED"


def test_what_no_kind_of_the_mix_asks_for_does_not_apply(tmp_path: Path) -> None:
    folder = made(tmp_path / "load", starts=KEPT[:1], plan={"mix": {"wait": 1, "enqueue": 0}})
    signed = draft(folder).statement.predicate
    excluded = {each.id: each.reason for each in signed.having("not-applicable")}
    assert excluded == {
        "LOAD-104": "the mix of this load has none of enqueue",
        "LOAD-108": "the mix of this load has none of background",
    }
    assert signed.result == "PASSED"


def test_what_applies_and_was_not_judged_is_refused_unless_the_policy_names_it(tmp_path: Path) -> None:
    starts = [*KEPT[:2], named(waited()), KEPT[3]]
    folder = made(tmp_path / "load", starts=starts, plan={"webhooks": False})
    (reason,) = refused(folder)
    assert reason.startswith("LOAD-108 was not run (no webhook was asked for: ")
    asks = written(tmp_path, "policy.yaml", "load: {}\nunjudged: {LOAD-108: nobody uses webhooks}\n")
    signed = draft(folder, policy=asks).statement.predicate
    assert (signed.result, signed.unjudged) == ("WARNED", {"LOAD-108": "nobody uses webhooks"})


def test_what_was_kept_where_it_could_be_looked_at_is_told(tmp_path: Path) -> None:
    unread = named(waited(code=500, answer={}))
    folder = made(tmp_path / "load", starts=KEPT, broken=[unread])
    signed = draft(folder).statement.predicate
    assert signed.load is not None
    assert signed.load.untested == {"LOAD-103": 1}
    assert "untested LOAD-103 of 1" in page.to_text(draft(folder).statement)


def test_a_broken_promise_that_is_waived_is_a_warning(tmp_path: Path) -> None:
    folder = made(tmp_path / "load", broken=[TWICE])
    for accepted in ("LOAD-102", "LOAD-102:wait"):
        found = draft(folder, waivers=waiver(tmp_path, accepted))
        assert found.statement.predicate.result == "WARNED"
        assert [each.id for each in found.statement.predicate.having("waived")] == ["LOAD-102"]
        found.write(tmp_path)
        assert answers(verified(folder, tmp_path))["derivable"] == "yes"


# --- what nobody can sign for ------------------------------------------------------------------------------


def test_a_load_that_broke_a_promise(tmp_path: Path) -> None:
    folder = made(tmp_path / "load", broken=[TWICE])
    (reason,) = refused(folder)
    assert reason.startswith(
        "LOAD-102 (MUST) is broken: log is [s1, s2, s3, s1, s2, s3], wanted [s1, s2, s3]"
    )
    expired = refused(folder, waivers=waiver(tmp_path, "LOAD-102", YESTERDAY))
    assert any(each.startswith("the waiver of LOAD-102 (us) expired on") for each in expired)
    unneeded = refused(folder, waivers=waiver(tmp_path, "LOAD-105"))
    assert "the waiver of LOAD-105 is not needed: the target keeps it now; remove it" in unneeded


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"plan": {"workers": 2}}, "incomplete: 1 of 2 workers did not report: 1 that never came"),
        ({"stopped": "interrupted after 3 s of 9 s"}, "incomplete: interrupted after 3 s of 9 s"),
        (
            {"stopped": "the target stopped answering: no answer"},
            "incomplete: the target stopped answering: no answer",
        ),
        ({"totals": {"cpu": 0.99}}, "generator-bound: 1 of its processes took 99% of a core"),
    ],
    ids=["a-worker-is-missing", "ctrl-c", "a-killed-target", "generator-bound"],
)
def test_a_load_that_is_not_the_one_that_was_planned(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "load", **changes)
    (reason,) = refused(folder)
    assert reason.startswith(f"the load is not whole: {says}")
    rewrite(folder / "evidence/manifest.json", complete=True, stopped=None)
    assert refused(folder) == (f"the manifest and {COUNTS} tell of two loads",)


def test_a_load_that_was_killed(load: Path) -> None:
    """Nothing is written after the manifest that says so."""
    (load / "evidence/traces" / f"{COUNTS}.json").unlink()
    rewrite(load / "evidence/manifest.json", complete=False, stopped="the load was broken off", files={})
    reasons = refused(load)
    assert reasons[-1] == "the load is not whole: the load was broken off"


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"insecure": True}, "it was observed with --insecure: nobody knows which server answered"),
        ({"started_at": "yesterday"}, "when it was observed is not told"),
        ({"basis": None}, "it was observed by a Runstone that named no contract"),
        ({"kind": "check"}, "it was observed without --patient"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_evidence_that_nobody_can_sign_for(changes: dict[str, Any], says: str, load: Path) -> None:
    rewrite(load / "evidence/manifest.json", **changes)
    (reason,) = refused(load)
    assert reason.startswith(says)


def test_a_load_by_another_contract_or_by_other_files(load: Path) -> None:
    rerecorded(load, COUNTS, lambda trace: changed(trace, plan={"digest": "0" * 64}))
    (reason,) = refused(load)
    assert reason.startswith("the load was made and judged by other files than those here: install Runstone")
    basis = json.loads((load / "evidence/manifest.json").read_text())["basis"]
    rewrite(load / "evidence/manifest.json", basis={**basis, "revision": "2020.01"})
    (reason,) = refused(load)
    assert reason.startswith("it was observed by contract revision 2020.01")


def test_a_load_older_than_the_policy_allows(load: Path, tmp_path: Path) -> None:
    asks = written(tmp_path, "policy.yaml", "load: {}\nmaximum_age_days: 1\n")
    assert draft(load, policy=asks).statement.predicate.valid_until is not None
    (reason,) = refused(load, NOW + dt.timedelta(days=3, hours=1), policy=asks)
    assert reason == "it was observed 3 days ago, the policy allows 1"
    rewrite(load / "evidence/manifest.json", started_at=(NOW - dt.timedelta(seconds=1)).isoformat())
    assert refused(load, policy=asks) == (f"the manifest and {COUNTS} tell of two loads",)


def test_a_credential_in_a_recorded_body(tmp_path: Path) -> None:
    token = "ghp_" + "x" * 36
    values = {**STEPS, "secret_word": token}
    told = named(waited(state=values, answer=values))
    (reason, *_) = refused(made(tmp_path / "load", broken=[told]))
    assert reason == f"a credential was recorded: github-token in {told.scenario}#2, content"


# --- a real one --------------------------------------------------------------------------------------------


def test_a_load_of_the_embedded_runtime_is_signed_and_verified_offline(tmp_path: Path) -> None:
    folder = tmp_path / "load"
    words = ("--users", "8", "--rate", "6/s", "--for", "5s", "--out", str(folder))
    done = runstone("load", "embedded", *words)
    assert done.returncode == ExitCode.CONFORMING, done.stdout + done.stderr
    assert read(folder / "evidence")[0].kind == "load"
    too_short = runstone("signoff", str(folder), "--unsigned", "--by", "me", "--yes")
    assert too_short.returncode == ExitCode.NOT_CONFORMING
    assert "LOAD-109 was not run (too short to compare thirds" in too_short.stderr
    asks = written(
        tmp_path,
        "policy.yaml",
        "load: {rate: 6}\nunjudged: {LOAD-109: short, LOAD-104: few, LOAD-108: few}\n",
    )
    keyed = runstone("keys", "new", str(tmp_path / "ada"), "--no-password")
    assert keyed.returncode == 0, keyed.stderr
    by = ("--key", str(tmp_path / "ada"), "--by", "Ada", "--policy", str(asks))
    signed = runstone("signoff", str(folder), *by, "--yes")
    assert signed.returncode == ExitCode.CONFORMING, signed.stdout + signed.stderr
    (folder / "load.json").unlink()
    (folder / "report.json").unlink()
    asked = ("--evidence", str(folder / "evidence"), "--signers", str(tmp_path / "ada.pub"))
    told = runstone("verify", str(folder / "signoff" / lines.NAME), *asked, "--policy", str(asks))
    assert told.returncode == ExitCode.CONFORMING, told.stdout + told.stderr
    assert told.stdout.startswith("a load on embedded, profile langgraph: WARNED")
    assert "judged again, no other run is kept" in told.stdout
