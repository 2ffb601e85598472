"""What an acceptance says, and what nobody can sign for: each reason has a line of its own."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from runstone.contracts import violations
from runstone.session.evidence import read_manifest
from runstone.signoff import acceptance, keys, lines, signing
from runstone.signoff.signing import Draft, Refused
from runstone.signoff.statement import MANIFEST, SERVER, sha256
from runstone.verdict.model import Case, Verdict
from runstone.verdict.waivers import WaiverError
from tests.signoff import tiny
from tests.signoff.case import rewrite
from tests.signoff.drafting import drafted, reasons_against, waivers, written

pytestmark = pytest.mark.usefixtures("house")
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(minutes=1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of a server that keeps everything, in a house beside it."""
    root = tmp_path_factory.mktemp("kept")
    with tiny.House(root / "house").installed():
        return observed_at(tiny.observe(root / "out", tiny.Server()))


@pytest.fixture
def house(kept: Path) -> Iterator[tiny.House]:
    house = tiny.House(kept.parent.parent / "house")
    with house.installed():
        yield house


@pytest.fixture
def evidence(kept: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    folder = tmp_path / "evidence"
    (folder / "traces").mkdir(parents=True)
    for path in [kept / "manifest.json", *(kept / "traces").iterdir()]:
        (folder / path.relative_to(kept)).write_bytes(path.read_bytes())
    return folder


def observed(tmp_path: Path, answers: dict[str, Response], **settings: Any) -> Path:
    server = tiny.Server()
    server.answers |= answers
    return observed_at(tiny.observe(tmp_path / "out", server, **settings))


def observed_at(folder: Path) -> Path:
    """The evidence, as if observed ten seconds before NOW, however long the tests before it took."""
    rewrite(folder / "manifest.json", started_at=(NOW - dt.timedelta(seconds=10)).isoformat())
    return folder


def draft(folder: Path, at: dt.datetime = NOW, **asked: Any) -> Draft:
    return drafted(folder, at, **asked)


def refused(folder: Path, at: dt.datetime = NOW, **asked: Any) -> tuple[str, ...]:
    return reasons_against(folder, at, **asked)


TOMORROW = (NOW + dt.timedelta(days=1)).date()
YESTERDAY = (NOW - dt.timedelta(days=1)).date()
NO_VERSION = JSONResponse({"version": "2.0", "flags": {}})


# --- what it says ------------------------------------------------------------------------------------------


def test_what_keeps_everything_is_passed(evidence: Path) -> None:
    found = draft(evidence, server_digest=("sha256", "ab" * 32))
    signed = found.statement.predicate
    assert (signed.result, signed.by, signed.signed_at, signed.valid_until) == ("PASSED", "Ada", NOW, None)
    assert signed.counts == {"MUST": {"not-applicable": 1, "pass": 2}, "SHOULD": {"pass": 2}, "MAY": {}}
    assert [each.id for each in signed.requirements] == [
        "META-001",
        "META-002",
        "META-003",
        "RUN-WAIT-001",
        "CRON-001",
    ]
    assert signed.requirements[-1].reason.startswith("the target has no crons")
    assert signed.server.version_from == "digest"
    assert found.statement.digests_of(SERVER) == {"sha256": "ab" * 32}
    manifest = (evidence / "manifest.json").read_bytes()
    assert found.statement.digests_of(MANIFEST) == {"sha256": sha256(manifest)}


def test_without_a_digest_the_version_is_the_servers_own_word(evidence: Path) -> None:
    found = draft(evidence)
    assert found.statement.predicate.server.version_from == "self-reported"
    assert found.statement.digests_of(SERVER) == {}


def test_the_predicate_conforms_to_its_schema(evidence: Path) -> None:
    own, common = (json.loads(some[0].payload) for some in draft(evidence).lines)
    assert violations("acceptance", own["predicate"]) == []
    assert common["predicate"]["result"] == "PASSED"
    assert common["predicate"]["passedTests"] == ["META-001", "META-002", "META-003", "RUN-WAIT-001"]
    assert common["predicate"]["warnedTests"] == common["predicate"]["failedTests"] == []


def test_what_is_waived_is_a_warning_until_the_waiver_expires(tmp_path: Path) -> None:
    folder = observed(tmp_path, {"/ok": JSONResponse({"ok": False})})
    found = draft(folder, waivers=waivers(tmp_path, "META-001", TOMORROW))
    signed = found.statement.predicate
    own, common = (json.loads(some[0].payload)["predicate"] for some in found.lines)
    assert violations("acceptance", own) == []
    assert (own["result"], common["result"], common["warnedTests"]) == ("WARNED", "WARNED", ["META-001"])
    assert common["failedTests"] == []
    (waiver,) = own["waivers"]
    assert waiver == {
        "requirement": "META-001",
        "reason": "known",
        "owner": "us",
        "expires": str(TOMORROW),
        "link": "docs#x",
        "scenarios": [],
        "flaky": False,
    }
    assert signed.valid_until == dt.datetime.combine(TOMORROW, dt.time(23, 59, 59), dt.UTC)


def test_a_broken_should_is_a_warning(tmp_path: Path) -> None:
    folder = observed(tmp_path, {"/info": NO_VERSION})
    common = json.loads(draft(folder).lines[1][0].payload)["predicate"]
    assert (common["result"], common["warnedTests"]) == ("WARNED", ["META-002"])


def test_areas_that_make_up_requests_belong_to_it_where_the_policy_asks(tmp_path: Path) -> None:
    asks = written(tmp_path, "policy.yaml", "judged: {areas: [explore]}")
    folder = observed(tmp_path, {}, areas=("*",))
    signed = draft(folder, policy=asks).statement.predicate
    assert signed.observation.made_up == ("explore",)
    assert signed.requirements[-1].id == "EXPLORE-001"


def test_what_was_found_by_made_up_requests_is_not_left_out(tmp_path: Path) -> None:
    folder = observed(
        tmp_path, {"/story": JSONResponse({}, 500)}, areas=("meta", "run-wait", "cron", "explore")
    )
    (reason,) = refused(folder)
    assert reason.startswith("EXPLORE-001 (MUST) is broken")


def test_a_policy_that_asks_for_them_is_not_content_without(evidence: Path, tmp_path: Path) -> None:
    asks = "judged: {areas: [explore]}\nunjudged: {EXPLORE-001: no time}\n"
    (reason,) = refused(evidence, policy=written(tmp_path, "policy.yaml", asks))
    assert reason == "area explore must be judged, and nothing of it was"


def test_what_was_not_run_is_refused_unless_the_policy_names_it(tmp_path: Path) -> None:
    """A quick look, told as if it were whole: META-003 is behind a scenario that takes its time."""
    folder = observed(tmp_path, {}, patient=False)
    rewrite(folder / "manifest.json", patient=True)
    (folder / "traces/slow.json").unlink(missing_ok=True)
    (reason,) = refused(folder)
    assert re.match(r"META-003 was not run \(.*slow\), and the policy does not name it", reason)
    names = written(tmp_path, "policy.yaml", "unjudged: {META-003: the staging server is busy}")
    signed = draft(folder, policy=names).statement.predicate
    assert (signed.result, signed.unjudged) == ("WARNED", {"META-003": "the staging server is busy"})
    (judged,) = signed.having("not-run")
    assert judged.reason.endswith("slow")


# --- the observation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"complete": False}, "the observation is incomplete: it has not ended"),
        ({"complete": False, "stopped": "interrupted"}, "the observation is incomplete: interrupted"),
        ({"unusable": "unfit"}, "the target was unfit"),
        ({"crashed": {"about": "Traceback"}}, "Runstone's own scenarios crashed: about"),
        ({"quick": True}, "it was observed with --quick"),
        ({"patient": False}, "it was observed without --patient"),
        ({"areas": ["meta"]}, r"only a part was asked for \(meta\)"),
        ({"select": ["RUN-*"]}, r"only a part was asked for \(RUN-\*\)"),
        ({"areas": ["of-another-contract"]}, "only a part was asked for"),
        ({"started_at": "yesterday"}, "when it was observed is not told"),
        ({"started_at": "2026-11-28T16:30:40"}, "when it was observed is not told"),
        ({"insecure": True}, "it was observed with --insecure"),
        ({"basis": None}, "it was observed by a Runstone that named no contract"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_an_observation_that_nobody_can_sign_for(changes: dict[str, Any], says: str, evidence: Path) -> None:
    rewrite(evidence / "manifest.json", **changes)
    (reason,) = refused(evidence)
    assert re.match(says, reason)


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"revision": "2020.01"}, "it was observed by contract revision 2020.01, and 20"),
        ({"suites": "0" * 64}, "it was observed by suites 000000000000, and "),
        ({"graphs": {"python": "0" * 64}}, "it was observed by graphs 000000000000, and "),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_an_observation_by_another_contract(changed: dict[str, Any], says: str, evidence: Path) -> None:
    basis = json.loads((evidence / "manifest.json").read_text())["basis"]
    rewrite(evidence / "manifest.json", basis={**basis, **changed})
    (reason,) = refused(evidence)
    assert reason.startswith(says)


def test_altered_evidence(evidence: Path) -> None:
    path = evidence / "traces/about.json"
    path.write_bytes(path.read_bytes().replace(b"200", b"201", 1))
    (evidence / "traces/turn.json").unlink()
    assert refused(evidence) == (
        "traces/about.json does not have the SHA-256 of the manifest",
        "traces/turn.json is missing",
    )


def test_evidence_older_than_the_policy_allows(evidence: Path, tmp_path: Path) -> None:
    asks = written(tmp_path, "policy.yaml", "maximum_age_days: 1")
    (reason,) = refused(evidence, NOW + dt.timedelta(days=3), policy=asks)
    assert reason == "it was observed 3 days ago, the policy allows 1"
    until = draft(evidence, policy=asks).statement.predicate.valid_until
    assert until == dt.datetime.fromisoformat(read_manifest(evidence).started_at) + dt.timedelta(days=1)


def test_evidence_of_the_future(evidence: Path) -> None:
    (reason,) = refused(evidence, NOW - dt.timedelta(days=1))
    assert "in the future" in reason


# --- the verdicts ------------------------------------------------------------------------------------------


def test_whatever_is_broken_is_told_with_its_reason(tmp_path: Path) -> None:
    reasons = refused(
        observed(tmp_path, {"/ok": JSONResponse({"ok": False}), "/slow": JSONResponse({}, 500)})
    )
    assert [reason.partition(":")[0] for reason in reasons] == ["META-001 (MUST) is broken"]
    reasons = refused(observed(tmp_path, {"/info": Response("<html>")}))
    assert [reason.partition(":")[0] for reason in reasons] == ["META-002 (SHOULD) could not be tested"]


class BrokenOnce(JSONResponse):
    """Answers 500 the first time, and 200 from then on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        self.status_code = 200


def test_what_is_flaky_needs_a_waiver_that_says_so(tmp_path: Path) -> None:
    folder = observed(tmp_path, {"/slow": BrokenOnce({}, 500)}, confirm=True)
    assert read_manifest(folder).confirmations == 1
    (reason,) = refused(folder)
    assert reason.startswith("META-003 (SHOULD) is flaky, and not waived")
    reasons = refused(folder, waivers=waivers(tmp_path, "META-003", TOMORROW))
    assert "the waiver of META-003 does not say `flaky: true`, and it is flaky here" in reasons
    signed = draft(
        folder, waivers=waivers(tmp_path, "META-003", TOMORROW, ", flaky: true")
    ).statement.predicate
    assert (signed.result, signed.observation.confirmations) == ("WARNED", 1)
    assert [each.id for each in signed.having("waived")] == ["META-003"]
    assert signed.waivers[0].flaky


def test_what_runstone_broke_itself_is_nothing_to_sign() -> None:
    case = Case(case="", verdict="harness-error", reason="seen")
    verdict = Verdict(
        id="A-001",
        level="MUST",
        area="meta",
        statement="s",
        source=(),
        verdict="harness-error",
        cases=(case,),
    )
    reasons = acceptance.unkept([verdict], acceptance.judged_of([verdict]))
    assert reasons == ["A-001 (MUST) could not be judged: seen", "nothing was judged"]


def test_nothing_judged_is_nothing_to_sign() -> None:
    assert acceptance.unkept([], ()) == ["nothing was judged"]


@pytest.mark.parametrize(
    "requirement, expires, says",
    [
        ("META-001", YESTERDAY, r"the waiver of META-001 \(us\) expired on"),
        ("META-002", TOMORROW, "the waiver of META-002 is not needed: the target keeps it now"),
        ("CRON-001", TOMORROW, "the waiver of CRON-001 matches nothing: it is not-applicable here"),
    ],
)
def test_a_waiver_that_is_of_no_use(requirement: str, expires: dt.date, says: str, tmp_path: Path) -> None:
    folder = observed(tmp_path, {"/ok": JSONResponse({"ok": False})})
    reasons = refused(folder, waivers=waivers(tmp_path, requirement, expires))
    assert any(re.match(says, reason) for reason in reasons)
    assert any(reason.startswith("META-001 (MUST) is broken") for reason in reasons)


def test_a_misspelt_waiver_is_a_wrong_call(evidence: Path, tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match="did you mean META-001"):
        draft(evidence, waivers=waivers(tmp_path, "META-01", TOMORROW))


# --- credentials -------------------------------------------------------------------------------------------


def test_a_recorded_credential_is_refused_unless_the_policy_names_it(tmp_path: Path) -> None:
    token = "ghp_" + "x" * 36
    folder = observed(tmp_path, {"/slow": JSONResponse({"token": token})})
    (reason,) = refused(folder)
    assert reason == "a credential was recorded: github-token in slow#1, content"
    assert token not in reason
    for allowed in ("github-token", "'github-token:slow'"):
        draft(folder, policy=written(tmp_path, "policy.yaml", f"allowed_secrets: [{allowed}]"))
    elsewhere = written(tmp_path, "policy.yaml", "allowed_secrets: ['github-token:turn']")
    assert refused(folder, policy=elsewhere) == (reason,)


# --- signatures --------------------------------------------------------------------------------------------


def test_an_unsigned_acceptance_can_be_signed_later(evidence: Path, tmp_path: Path) -> None:
    out = tmp_path / "signoff"
    draft(evidence).write(out)
    keys.make(tmp_path / "ada", "ed25519", None)
    key = keys.load_private(tmp_path / "ada", None, lambda _: "")
    for _ in range(2):  # signing twice with one key makes one signature
        signing.countersigned(out, evidence, NOW).signed(signing.by_key(key)).write(out)
    found = lines.read(out / lines.NAME)
    assert [len(line.signatures) for line in (*found.own, *found.common)] == [1, 1]
    assert keys.verified_by(found.own[0], key.public)
    assert (out / "acceptance.md").read_text().startswith("# Acceptance of tiny: PASSED")


def test_who_signs_second_judges_again(evidence: Path, tmp_path: Path) -> None:
    out = tmp_path / "signoff"
    draft(evidence).write(out)
    (evidence / "traces/about.json").unlink()
    with pytest.raises(Refused, match=r"intact: traces/about\.json is missing"):
        signing.countersigned(out, evidence, NOW)
