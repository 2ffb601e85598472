"""A load under an acceptance: what is signed of it, what nobody can sign for, and how it is verified."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstone.contracts import violations
from runstone.errors import ExitCode
from runstone.load.reading import COUNTS
from runstone.session.evidence import read
from runstone.signoff import lines, page, policy, signing, statement, verification
from runstone.signoff.lines import Line, Unreadable
from runstone.signoff.signing import Draft, Refused, Wanted
from runstone.signoff.statement import ACCEPTANCE, LOAD_ACCEPTANCE, Acceptance, sha256
from tests.command_line import runstone
from tests.load.made import KEPT, TWICE, made, named
from tests.load.starts import STEPS, waited
from tests.signoff.case import Case, rewrite
from tests.signoff.terminal import Run

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(minutes=1)
TOMORROW = (NOW + dt.timedelta(days=1)).date()
YESTERDAY = (NOW - dt.timedelta(days=1)).date()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("loads") / "load")


@pytest.fixture
def load(kept: Path, tmp_path: Path) -> Path:
    """The folder of a load that kept everything, which a test may change."""
    folder = tmp_path / "load"
    shutil.copytree(kept, folder)
    return folder


def draft(folder: Path, at: dt.datetime = NOW, **asked: Any) -> Draft:
    return signing.draft(Wanted(evidence=folder / "evidence", by="Ada", **asked), at)


def refused(folder: Path, at: dt.datetime = NOW, **asked: Any) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        draft(folder, at, **asked)
    assert all("\n" not in reason for reason in caught.value.reasons)
    return caught.value.reasons


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def waiver(folder: Path, requirement: str, expires: dt.date = TOMORROW) -> Path:
    text = f"requirement: {requirement}, reason: known, owner: us, expires: {expires}, link: docs#x"
    return written(folder, "waivers.yaml", f"waivers:\n- {{{text}}}\n")


def verified(folder: Path, out: Path, **asked: Any) -> verification.Findings:
    questions = verification.Questions(evidence=folder / "evidence", unsigned_ok=True, **asked)
    return verification.verify(lines.read(out / lines.NAME), questions, NOW)


def answers(found: verification.Findings) -> dict[str, str]:
    return {name: each.answer for name, each in found.answers.items()}


def rerecorded(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """A recording changed by somebody who mends its digest in the manifest, too."""
    path, manifest = folder / f"evidence/traces/{name}.json", folder / "evidence/manifest.json"
    trace = change(json.loads(path.read_bytes()))
    path.write_bytes(json.dumps(trace).encode())
    files = json.loads(manifest.read_bytes())["files"]
    rewrite(manifest, files={**files, f"traces/{name}.json": sha256(path.read_bytes())})


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
    (reason,) = refused(load, NOW + dt.timedelta(days=3), policy=asks)
    assert reason == "it was observed 3 days ago, the policy allows 1"
    rewrite(load / "evidence/manifest.json", started_at=(NOW - dt.timedelta(seconds=1)).isoformat())
    assert refused(load, policy=asks) == (f"the manifest and {COUNTS} tell of two loads",)


def test_a_credential_in_a_recorded_body(tmp_path: Path) -> None:
    token = "ghp_" + "x" * 36
    values = {**STEPS, "secret_word": token}
    told = named(waited(state=values, answer=values))
    (reason, *_) = refused(made(tmp_path / "load", broken=[told]))
    assert reason == f"a credential was recorded: github-token in {told.scenario}#2, content"


# --- altered evidence --------------------------------------------------------------------------------------


def changed(trace: Any, **changes: Any) -> Any:
    """The recording of what was counted, with some of it changed; a mapping changes some of its members."""
    load = trace["notes"]["load"]["load"]
    for name, value in changes.items():
        load[name] = {**load[name], **value} if isinstance(value, dict) else value
    return trace


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


# --- a real one --------------------------------------------------------------------------------------------


@pytest.mark.slow
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
