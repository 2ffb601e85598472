"""What somebody could do to an acceptance or its evidence, and which of the five answers refuses it.

One acceptance is signed by two people and supersedes an older one; untouched, all five answers are yes. Every
attack changes one thing of it. The tests name all the answers that are no afterwards, and whose reason says why.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from starlette.responses import JSONResponse

from runstone.session.evidence import read_manifest
from runstone.signoff import acceptance as acceptances
from runstone.signoff import keys, lines, policy, signers, signing, verification
from runstone.signoff.lines import Line, Unreadable
from runstone.signoff.statement import (
    Acceptance,
    Server,
    Statement,
    Supersedes,
    encoded,
    sha256,
    statements,
)
from tests import tiny

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(minutes=1)
TOMORROW = (NOW + dt.timedelta(days=1)).date()
IMAGE = ("sha256", "ab" * 32)
OTHER_IMAGE = ("sha256", "cd" * 32)

WAIVERS = f"""
waivers:
- {{requirement: META-002, reason: it says two, owner: runtime team, expires: {TOMORROW}, link: docs#x}}
"""
POLICY = """
profile: langgraph
minimum_share: {MUST: 100, SHOULD: 50}
judged: {areas: [run-wait]}
waivers: {owners: [runtime team]}
maximum_age_days: 30
threshold: 2
"""
SIGNERS = """
signers:
- {name: Ada, role: release manager, key: ada.pub}
- {name: Grace, role: tester, key: grace.pub, until: 2999-12-31}
"""


@dataclass
class Case:
    """An acceptance with all that a verifier has, as files that an attack may change."""

    folder: Path
    house: tiny.House
    now: dt.datetime = NOW
    server_digest: tuple[str, str] = IMAGE
    weaken: Callable[[tiny.House], None] | None = None  # what is done to the verifier's own installation
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> Path:
        return self.folder / "new/evidence"

    @property
    def acceptance(self) -> Path:
        return self.folder / "new/signoff/acceptance.intoto.jsonl"

    @property
    def old(self) -> Path:
        return self.folder / "old/signoff/acceptance.intoto.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        """The envelopes: the acceptance's and the test-result's."""
        return [json.loads(line) for line in self.acceptance.read_text().splitlines()]

    def write(self, *envelopes: Any) -> None:
        self.acceptance.write_text("".join(json.dumps(each) + "\n" for each in envelopes))

    def key(self, name: str) -> keys.PrivateKey:
        return keys.load_private(self.folder / name, None, lambda _: pytest.fail("a password was asked for"))

    def sign_again(self, change: Callable[[Acceptance], Acceptance], *names: str) -> None:
        """What a signer can make of it whose Runstone lies: another acceptance with good signatures."""
        statement = lines.read(self.acceptance).acceptance
        both = statements(statement.subject, change(statement.predicate))
        signed = [tuple([Line(payload=each)]) for each in both]
        for name in names or ("ada", "grace"):
            signed = signing.by_key(self.key(name))(signed)
        self.acceptance.write_text(lines.written([line for some in signed for line in some]))

    def verified(self) -> verification.Findings:
        questions = verification.Questions(
            evidence=self.evidence,
            server_digest=self.server_digest,
            signers=signers.load(self.folder / "signers.yaml"),
            policy=policy.load(self.folder / "acceptance-policy.yaml"),
            baseline=lines.read(self.old),
        )
        return verification.verify(lines.read(self.acceptance), questions, self.now)


def accept(folder: Path, image: tuple[str, str], at: dt.datetime, baseline: Path | None, root: Path) -> None:
    wanted = signing.Wanted(
        evidence=folder / "evidence",
        by="Ada",
        server_digest=image,
        waivers=root / "waivers.yaml",
        policy=root / "acceptance-policy.yaml",
        baseline=baseline,
    )
    draft = signing.draft(wanted, at)
    for name in ("ada", "grace"):
        key = keys.load_private(root / name, None, lambda _: "")
        draft = draft.signed(signing.by_key(key))
    draft.write(folder / "signoff")


def server() -> tiny.Server:
    """A server that breaks META-002, which is waived."""
    made = tiny.Server()
    made.answers["/info"] = JSONResponse({"version": "2.0", "flags": {}})
    return made


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of everything, which each test copies."""
    root = tmp_path_factory.mktemp("signoff")
    (root / "waivers.yaml").write_text(WAIVERS)
    (root / "acceptance-policy.yaml").write_text(POLICY)
    (root / "signers.yaml").write_text(SIGNERS)
    for name in ("ada", "grace", "mallory"):
        keys.make(root / name, "ecdsa" if name == "grace" else "ed25519", None)
    with tiny.House(root / "house").installed():
        for name in ("older", "old", "new"):
            tiny.observe(root / name, server())
        for place, name in enumerate(("older", "old", "new")):  # a second apart, as a clock would have it
            started(root / name, NOW - dt.timedelta(seconds=30 - place))
        accept(root / "older", OTHER_IMAGE, NOW, None, root)
        accept(root / "old", OTHER_IMAGE, NOW, root / "older/signoff/acceptance.intoto.jsonl", root)
        accept(root / "new", IMAGE, NOW, root / "old/signoff/acceptance.intoto.jsonl", root)
    return root


def started(folder: Path, at: dt.datetime) -> None:
    rewrite(folder / "evidence/manifest.json", started_at=at.isoformat())


@pytest.fixture
def case(original: Path, tmp_path: Path) -> Iterator[Case]:
    folder = tmp_path / "case"
    shutil.copytree(original, folder)
    house = tiny.House.__new__(tiny.House)
    house.root = folder / "house"
    with ExitStack() as stack:
        stack.enter_context(house.installed())
        yield Case(folder=folder, house=house)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}, indent=2), "utf-8")


# --- what does no harm ---------------------------------------------------------------------------------------


def test_untouched_all_five_are_yes(case: Case) -> None:
    found = case.verified()
    assert {name: each.answer for name, each in found.answers.items()} == dict.fromkeys(
        verification.NAMES, "yes"
    )
    assert found.accepted
    assert found.sealed


def edit_the_report(case: Case) -> None:
    rewrite(case.folder / "new/report.json", conforming=False, exit_code=1, verdicts=[])


def reorder_the_lines(case: Case) -> None:
    case.write(*reversed(case.lines()))


def add_lines_of_other_kinds(case: Case) -> None:
    slsa = encoded(
        Statement(subject=(), predicateType="https://slsa.dev/provenance/v1", predicate=dict[str, str]())
    )
    case.write({"of": "another tool"}, *case.lines(), json.loads(Line(payload=slsa).text()))


def leave_the_key_ids_out(case: Case) -> None:
    """They are optional in DSSE, and a hint only."""
    envelopes = case.lines()
    for each in envelopes:
        each["signatures"] = [{"sig": signature["sig"]} for signature in each["signatures"]]
    case.write(*envelopes)


def write_base64_in_the_other_alphabet(case: Case) -> None:
    envelopes = case.lines()
    for each in envelopes:
        each["payload"] = each["payload"].replace("+", "-").replace("/", "_")
    case.write(*envelopes)


@pytest.mark.parametrize(
    "change",
    [
        edit_the_report,
        reorder_the_lines,
        add_lines_of_other_kinds,
        leave_the_key_ids_out,
        write_base64_in_the_other_alphabet,
    ],
    ids=lambda change: change.__name__,
)
def test_what_does_no_harm_changes_no_answer(change: Callable[[Case], None], case: Case) -> None:
    change(case)
    assert case.verified().accepted


# --- the evidence --------------------------------------------------------------------------------------------


def change_a_byte_of_a_trace(case: Case) -> None:
    path = case.evidence / "traces/about.json"
    path.write_bytes(path.read_bytes().replace(b"200", b"201", 1))


def change_a_byte_of_the_manifest(case: Case) -> None:
    path = case.evidence / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")


def add_a_trace(case: Case) -> None:
    shutil.copy(case.evidence / "traces/about.json", case.evidence / "traces/zero.json")


def remove_a_trace(case: Case) -> None:
    (case.evidence / "traces/about.json").unlink()


def swap_two_traces(case: Case) -> None:
    one, two = case.evidence / "traces/about.json", case.evidence / "traces/turn.json"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def vouch_for_a_changed_trace(case: Case) -> None:
    change_a_byte_of_a_trace(case)
    digest = sha256((case.evidence / "traces/about.json").read_bytes())
    files = {**read_manifest(case.evidence).files, "traces/about.json": digest}
    rewrite(case.evidence / "manifest.json", files=files)


def link_a_trace(case: Case) -> None:
    path = case.evidence / "traces/about.json"
    path.rename(case.folder / "elsewhere.json")
    path.symlink_to(case.folder / "elsewhere.json")


def link_all_traces(case: Case) -> None:
    (case.evidence / "traces").rename(case.folder / "elsewhere")
    (case.evidence / "traces").symlink_to(case.folder / "elsewhere")


def leave_the_folder(case: Case) -> None:
    shutil.copy(case.evidence / "traces/about.json", case.folder / "outside.json")
    _name_instead(case, "traces/../../../outside.json")


def leave_the_folder_by_an_absolute_path(case: Case) -> None:
    shutil.copy(case.evidence / "traces/about.json", case.folder / "outside.json")
    _name_instead(case, str(case.folder / "outside.json"))


def _name_instead(case: Case, name: str) -> None:
    files = read_manifest(case.evidence).files
    digest = files.pop("traces/about.json")
    (case.evidence / "traces/about.json").unlink()
    rewrite(case.evidence / "manifest.json", files={**files, name: digest})


def put_a_pipe_for_a_trace(case: Case) -> None:
    remove_a_trace(case)
    os.mkfifo(case.evidence / "traces/about.json")


def put_a_folder_for_a_trace(case: Case) -> None:
    remove_a_trace(case)
    (case.evidence / "traces/about.json").mkdir()


def put_a_giant_for_a_trace(case: Case) -> None:
    os.truncate(case.evidence / "traces/about.json", 1 << 40)  # a hole: it takes no room


def give_evidence_of_an_older_release(case: Case) -> None:
    shutil.rmtree(case.evidence)
    shutil.copytree(case.folder / "old/evidence", case.evidence)


def give_evidence_of_another_server(case: Case) -> None:
    shutil.rmtree(case.evidence)
    tiny.observe(case.folder / "new", tiny.Server())


def ask_for_another_server(case: Case) -> None:
    case.server_digest = OTHER_IMAGE


# --- the payload and its signatures --------------------------------------------------------------------------


def _with_predicate(case: Case, place: int, **changes: Any) -> None:
    """Change the payload of a line, and leave its signatures."""
    envelopes = case.lines()
    statement = json.loads(base64.b64decode(envelopes[place]["payload"]))
    statement["predicate"] |= changes
    envelopes[place]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    case.write(*envelopes)


def change_a_byte_of_the_payload(case: Case) -> None:
    _with_predicate(case, 0, by="Eve")


def add_a_waiver_after_signing(case: Case) -> None:
    agreed = {"requirement": "META-003", "reason": "why not", "owner": "runtime team", "link": "x"}
    (signed,) = lines.read(case.acceptance).acceptance.predicate.waivers
    both = [
        msgspec.to_builtins(signed),
        {**agreed, "expires": str(TOMORROW), "scenarios": [], "flaky": False},
    ]
    _with_predicate(case, 0, waivers=both)


def extend_it(case: Case) -> None:
    _with_predicate(case, 0, validUntil="2999-12-31T00:00:00Z")


def turn_a_warning_into_a_pass(case: Case) -> None:
    found = lines.read(case.acceptance).suite_result
    assert found is not None
    tests = sorted([*found.predicate.passed_tests, *found.predicate.warned_tests])
    _with_predicate(case, 1, result="PASSED", passedTests=tests, warnedTests=[])


def swap_the_signatures_of_the_lines(case: Case) -> None:
    one, two = case.lines()
    one["signatures"], two["signatures"] = two["signatures"], one["signatures"]
    case.write(one, two)


def sign_with_another_key(case: Case) -> None:
    case.sign_again(lambda signed: signed, "mallory")


def sign_with_another_key_in_ones_name(case: Case) -> None:
    case.sign_again(lambda signed: signed, "mallory")
    envelopes = case.lines()
    for each in envelopes:
        each["signatures"][0]["keyid"] = case.key("ada").public.keyid
    case.write(*envelopes)


def leave_one_of_two_signatures(case: Case) -> None:
    envelopes = case.lines()
    for each in envelopes:
        del each["signatures"][1]
    case.write(*envelopes)


def sign_twice_with_one_key(case: Case) -> None:
    envelopes = case.lines()
    for each in envelopes:
        first = each["signatures"][0]
        each["signatures"] = [first, {**first, "keyid": case.key("grace").public.keyid}]
    case.write(*envelopes)


def sign_one_statement_of_two(case: Case) -> None:
    one, two = case.lines()
    del two["signatures"][1]
    case.write(one, two)


def strip_all_signatures(case: Case) -> None:
    case.write(*({**each, "signatures": []} for each in case.lines()))


def sign_after_ones_time(case: Case) -> None:
    """Grace's key stopped counting the day before the signature was made."""
    yesterday = (NOW - dt.timedelta(days=1)).date()
    path = case.folder / "signers.yaml"
    path.write_text(path.read_text().replace("2999-12-31", str(yesterday)))


def sign_without_being_asked(case: Case) -> None:
    """Grace's signature is good, and the policy counts others only."""
    path = case.folder / "acceptance-policy.yaml"
    path.write_text(path.read_text() + "signers: [Ada, Mallory]\n")


# --- the lines -----------------------------------------------------------------------------------------------


def drop_the_test_result(case: Case) -> None:
    case.write(case.lines()[0])


def _old_lines(case: Case) -> list[Any]:
    return [json.loads(line) for line in case.old.read_text().splitlines()]


def replay_the_test_result(case: Case) -> None:
    case.write(case.lines()[0], _old_lines(case)[1])


def replay_the_acceptance(case: Case) -> None:
    case.write(_old_lines(case)[0], case.lines()[1])


def replay_all(case: Case) -> None:
    shutil.copy(case.old, case.acceptance)


# --- signed by those who may, and false nevertheless ----------------------------------------------------------


def lie_about_a_verdict(case: Case) -> None:
    def kept(signed: Acceptance) -> Acceptance:
        found = tuple(msgspec.structs.replace(each, verdict="pass") for each in signed.requirements)
        counts = {
            level: {"pass": sum(some.values())} if some else {} for level, some in signed.counts.items()
        }
        return msgspec.structs.replace(
            signed, result="PASSED", requirements=found, waivers=(), valid_until=None, counts=counts
        )

    case.sign_again(kept)


def leave_a_requirement_out(case: Case) -> None:
    case.sign_again(lambda signed: msgspec.structs.replace(signed, requirements=signed.requirements[1:]))


def claim_another_version(case: Case) -> None:
    def newer(signed: Acceptance) -> Acceptance:
        server = Server(name="tiny", url=signed.server.url, version="honest 9.0", version_from="digest")
        return msgspec.structs.replace(signed, server=server)

    case.sign_again(newer)


def sign_for_a_quick_look(case: Case) -> None:
    """A Runstone that lets quick evidence through signs it; everything but the look itself is right."""
    shutil.rmtree(case.evidence)
    _sign_whatever_it_is(case, tiny.Server(), quick=True, patient=False)


def sign_for_a_part(case: Case) -> None:
    shutil.rmtree(case.evidence)
    _sign_whatever_it_is(case, tiny.Server(), areas=("meta", "run-wait", "cron"), select=("META-*",))


def _sign_whatever_it_is(case: Case, observed: tiny.Server, **settings: Any) -> None:
    tiny.observe(case.folder / "new", observed, **settings)
    lenient = pytest.MonkeyPatch()
    with lenient.context() as patched:
        patched.setattr(acceptances, "unfit", lambda *_: [])
        patched.setattr(acceptances, "unkept", lambda *_: [])
        patched.setattr(policy, "refusals", lambda *_: [])
        root = case.folder
        (root / "waivers.yaml").write_text("waivers: []")
        started(root / "new", NOW - dt.timedelta(seconds=10))
        accept(root / "new", IMAGE, NOW, case.old, root)


def leave_a_requirement_out_of_the_catalogue(case: Case) -> None:
    """The signer's contract knows nothing of META-003, which the server breaks."""
    broken = tiny.Server()
    broken.answers["/slow"] = JSONResponse({}, 500)
    without = tiny.REQUIREMENTS["meta"].rsplit("- {id: META-003", 1)[0]
    _sign_elsewhere(case, broken, lambda house: house.promise("meta", without))


def weaken_a_judge(case: Case) -> None:
    """The signer's suites call everything kept; the server answers META-001 wrongly."""
    broken = tiny.Server()
    broken.answers["/ok"] = JSONResponse({"ok": False})
    weak = tiny.SUITE.replace('assert about.ok.object["ok"] is True', "assert about.ok")
    _sign_elsewhere(case, broken, lambda house: house.judge_by(weak))


def _sign_elsewhere(case: Case, observed: tiny.Server, change: Callable[[tiny.House], None]) -> None:
    """Observe and sign with another house than the verifier's."""
    elsewhere = tiny.House(case.folder / "elsewhere")
    change(elsewhere)
    shutil.rmtree(case.evidence)
    with elsewhere.installed():
        _sign_whatever_it_is(case, observed)


def weaken_the_verifiers_judges(case: Case) -> None:
    weak = tiny.SUITE.replace('assert about.ok.object["ok"] is True', "assert about.ok")
    case.house.judge_by(weak)
    tiny.forget()


# --- time and policy -----------------------------------------------------------------------------------------


def let_a_waiver_expire(case: Case) -> None:
    case.now = NOW + dt.timedelta(days=2)


def observe_in_the_future(case: Case) -> None:
    case.now = NOW - dt.timedelta(days=1)


def sign_before_observing(case: Case) -> None:
    case.sign_again(lambda signed: msgspec.structs.replace(signed, signed_at=NOW - dt.timedelta(hours=1)))


def supersede_something_newer(case: Case) -> None:
    def backwards(signed: Acceptance) -> Acceptance:
        assert isinstance(signed.supersedes, Supersedes)
        later = msgspec.structs.replace(signed.supersedes, started_at=NOW - dt.timedelta(seconds=1))
        return msgspec.structs.replace(signed, supersedes=later)

    case.sign_again(backwards)


def supersede_something_else(case: Case) -> None:
    shutil.copy(case.folder / "older/signoff/acceptance.intoto.jsonl", case.old)


def hide_a_regression(case: Case) -> None:
    """The acceptance before had META-002 kept; this one says that nothing has changed."""

    def kept(signed: Acceptance) -> Acceptance:
        found = tuple(msgspec.structs.replace(each, verdict="pass") for each in signed.requirements)
        return msgspec.structs.replace(signed, requirements=found)

    new = case.acceptance.read_bytes()
    shutil.copy(case.old, case.acceptance)
    case.sign_again(kept)
    shutil.copy(case.acceptance, case.old)
    case.acceptance.write_bytes(new)
    before = sha256(lines.read(case.old).payload)
    case.sign_again(
        lambda signed: msgspec.structs.replace(
            signed, supersedes=msgspec.structs.replace(signed.supersedes, sha256=before)
        )
    )


def _demand(key: str, value: Any) -> Callable[[Case], None]:
    def demand(case: Case) -> None:
        path = case.folder / "acceptance-policy.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), key: value}))

    return demand


demand_more = _demand("minimum_share", {"SHOULD": 90})
demand_another_profile = _demand("profile", "wait-state")
demand_an_area_that_was_not_judged = _demand("judged", {"areas": ["explore"]})
demand_an_area_that_does_not_apply = _demand("judged", {"areas": ["cron"]})
demand_a_capability = _demand("judged", {"capabilities": ["crons"]})
allow_waivers_of_others_only = _demand("waivers", {"owners": ["somebody else"]})
allow_waivers_of_nobody = _demand("waivers", {"owners": []})
allow_shorter_waivers_only = _demand("waivers", {"until": str(NOW.date())})
DERIVE = {"derivable"}

ATTACKS: dict[str, tuple[Callable[[Case], None], set[str], str]] = {
    # what is done to the evidence
    "a byte of a trace": (
        change_a_byte_of_a_trace,
        {"intact"} | DERIVE,
        "intact: traces/about.json does not have the SHA-256",
    ),
    "a byte of the manifest": (change_a_byte_of_the_manifest, {"bound"} | DERIVE, "bound: it is of evidence"),
    "a trace added": (add_a_trace, {"intact"} | DERIVE, "intact: traces/zero.json is not in the manifest"),
    "a trace removed": (remove_a_trace, {"intact"} | DERIVE, "intact: traces/about.json is missing"),
    "traces swapped": (swap_two_traces, {"intact"} | DERIVE, "intact: .*SHA-256.*SHA-256"),
    "the manifest recomputed": (vouch_for_a_changed_trace, {"bound"} | DERIVE, "bound: it is of evidence"),
    "a trace is a link": (link_a_trace, {"intact"} | DERIVE, "intact: traces/about.json cannot be read"),
    "all traces behind a link": (link_all_traces, {"intact"} | DERIVE, "intact: traces is a link"),
    "a path that leaves": (
        leave_the_folder,
        {"bound", "intact"} | DERIVE,
        "intact: 'traces/../../../outside.json' is no file",
    ),
    "an absolute path": (
        leave_the_folder_by_an_absolute_path,
        {"bound", "intact"} | DERIVE,
        "intact: .*outside.json' is no file",
    ),
    "a trace is a pipe": (put_a_pipe_for_a_trace, {"intact"} | DERIVE, "intact: .*it is no plain file"),
    "a trace is a folder": (put_a_folder_for_a_trace, {"intact"} | DERIVE, "intact: .*it is no plain file"),
    "a trace is a giant": (put_a_giant_for_a_trace, {"intact"} | DERIVE, "intact: .*it is larger than"),
    "evidence of an older release": (
        give_evidence_of_an_older_release,
        {"bound"} | DERIVE,
        "bound: it is of evidence",
    ),
    "evidence of another server": (
        give_evidence_of_another_server,
        {"bound"} | DERIVE,
        "bound: it is of evidence",
    ),
    "another server": (
        ask_for_another_server,
        {"bound"} | DERIVE,
        "bound: it is of server abab.* and this is cdcd",
    ),
    # to the payload and its signatures
    "a byte of the payload": (change_a_byte_of_the_payload, {"authentic"}, "authentic: 0 of 2 signatures"),
    "a waiver added": (
        add_a_waiver_after_signing,
        {"authentic", "bound"} | DERIVE,
        "authentic: 0 of 2 signatures",
    ),
    "made valid for longer": (extend_it, {"authentic"} | DERIVE, "authentic: 0 of 2 signatures"),
    "a warning made a pass": (
        turn_a_warning_into_a_pass,
        {"authentic", "bound"} | DERIVE,
        "authentic: 0 of 2 signatures",
    ),
    "signatures swapped": (swap_the_signatures_of_the_lines, {"authentic"}, "authentic: 0 of 2 signatures"),
    "another key": (sign_with_another_key, {"authentic"}, "authentic: 0 of 2 signatures"),
    "another key under a known id": (
        sign_with_another_key_in_ones_name,
        {"authentic"},
        "authentic: 0 of 2 signatures",
    ),
    "one signature of two": (
        leave_one_of_two_signatures,
        {"authentic"},
        r"authentic: 1 of 2 signatures, by Ada \(release manager",
    ),
    "one key twice": (sign_twice_with_one_key, {"authentic"}, "authentic: 1 of 2 signatures, by Ada"),
    "one statement of two signed": (
        sign_one_statement_of_two,
        {"authentic"},
        "authentic: 1 of 2 signatures, by Ada",
    ),
    "no signature": (strip_all_signatures, {"authentic"}, "authentic: .*no signature at all"),
    "a signer whose time is over": (
        sign_after_ones_time,
        {"authentic"},
        r"authentic: .*Grace .* may not sign on 20",
    ),
    "a signer who does not count": (
        sign_without_being_asked,
        {"authentic"},
        "authentic: 1 of 2 signatures, by Ada",
    ),
    # to the lines
    "the test-result dropped": (
        drop_the_test_result,
        {"bound"} | DERIVE,
        "bound: the test-result that belongs to it is missing",
    ),
    "the test-result of an older release": (
        replay_the_test_result,
        {"bound"} | DERIVE,
        "bound: its test-result speaks of another recording",
    ),
    "the acceptance of an older release": (
        replay_the_acceptance,
        {"bound", "acceptable"} | DERIVE,
        "bound: its test-result speaks of another",
    ),
    "all of an older release": (
        replay_all,
        {"bound", "acceptable"} | DERIVE,
        "bound: it is of evidence .*; it is of server",
    ),
    # by a signer
    "a verdict that is a lie": (
        lie_about_a_verdict,
        DERIVE,
        "derivable: .*META-002 was signed as pass and is warn here",
    ),
    "a requirement left out": (
        leave_a_requirement_out,
        DERIVE,
        "derivable: META-001 is judged here, and was not signed",
    ),
    "a version that is a lie": (claim_another_version, DERIVE, "derivable: its server is not what follows"),
    "a quick look": (
        sign_for_a_quick_look,
        DERIVE | {"acceptable"},
        "derivable: it was observed with --quick",
    ),
    "a part": (sign_for_a_part, DERIVE | {"acceptable"}, "derivable: only a part was asked for"),
    "a catalogue with a requirement less": (
        leave_a_requirement_out_of_the_catalogue,
        DERIVE,
        "derivable: it was judged by contract revision",
    ),
    "a weakened judge": (weaken_a_judge, DERIVE, "derivable: it was judged by suites"),
    "the verifier's judge weakened": (
        weaken_the_verifiers_judges,
        DERIVE,
        "derivable: it was judged by suites",
    ),
    # time and policy
    "an expired waiver": (
        let_a_waiver_expire,
        {"acceptable"},
        r"acceptable: it was valid until .*; the waiver of META-002 \(runtime team\) expired",
    ),
    "of the future": (
        observe_in_the_future,
        {"acceptable"},
        "acceptable: it was observed at .* in the future",
    ),
    "signed before it was observed": (
        sign_before_observing,
        {"acceptable"},
        "acceptable: it was signed at .* before it was observed",
    ),
    "older than what it supersedes": (
        supersede_something_newer,
        {"acceptable"},
        "acceptable: .* before the acceptance that it supersedes",
    ),
    "supersedes something else": (
        supersede_something_else,
        {"acceptable"},
        "acceptable: it supersedes the acceptance .* not the one given",
    ),
    "a regression hidden": (
        hide_a_regression,
        {"acceptable"},
        "acceptable: what it says has changed since is not what has",
    ),
    "less than is demanded": (
        demand_more,
        {"acceptable"},
        "acceptable: 1 of 2 SHOULD are kept, the policy demands 90 %",
    ),
    "another profile": (demand_another_profile, {"acceptable"}, "acceptable: profile langgraph was judged"),
    "an area not judged": (
        demand_an_area_that_was_not_judged,
        {"acceptable"},
        "acceptable: area explore must be judged",
    ),
    "an area that does not apply": (
        demand_an_area_that_does_not_apply,
        {"acceptable"},
        "acceptable: area cron must be judged",
    ),
    "a capability that is not there": (
        demand_a_capability,
        {"acceptable"},
        "acceptable: capability crons must be judged",
    ),
    "a waiver of the wrong owner": (
        allow_waivers_of_others_only,
        {"acceptable"},
        "acceptable: the policy does not allow runtime team to waive META-002",
    ),
    "a waiver where none is allowed": (
        allow_waivers_of_nobody,
        {"acceptable"},
        "acceptable: the policy does not allow runtime team",
    ),
    "a waiver that lasts too long": (
        allow_shorter_waivers_only,
        {"acceptable"},
        "acceptable: the waiver of META-002 expires on",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_the_right_answer(name: str, case: Case) -> None:
    attack, refused, said = ATTACKS[name]
    attack(case)
    found = case.verified()
    assert {name for name, each in found.answers.items() if each.answer == "no"} == refused
    told = [f"{name}: {each.reason}" for name, each in found.answers.items() if each.answer == "no"]
    assert any(re.match(said, line) for line in told), told
    assert all("\n" not in line for line in told)
    assert not found.accepted
    assert not found.sealed


# --- what cannot be read at all ------------------------------------------------------------------------------


def _payload(content: bytes) -> bytes:
    return (Line(payload=content).text() + "\n").encode()


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "holds no acceptance"),
    "no JSON": (b"{'payload'", "cannot be read as an acceptance"),
    "not UTF-8": (b'{"payload": "\xff"}', "cannot be read as an acceptance"),
    "an array": (b"[1, 2]", "cannot be read as an acceptance"),
    "nested deeply": (b'{"payload":' * 100_000, "cannot be read as an acceptance"),
    "no base64": (
        b'{"payload": "*", "payloadType": "application/vnd.in-toto+json", "signatures": []}',
        "base64",
    ),
    "no signatures": (b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json"}', "signatures"),
    "another payload": (
        b'{"payload": "e30=", "payloadType": "text/plain", "signatures": []}',
        "holds no acceptance",
    ),
    "no statement": (_payload(b"{}"), "cannot be read as an acceptance"),
    "no predicate": (
        _payload(
            b'{"_type": "https://in-toto.io/Statement/v1", "subject": [], '
            b'"predicateType": "https://runstone.dev/acceptance/v1"}'
        ),
        "predicate",
    ),
    "a giant": (b" " * (lines.LARGEST + 1), "larger than"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_acceptance_is_unreadable(name: str, tmp_path: Path) -> None:
    content, said = UNREADABLE[name]
    path = tmp_path / "acceptance.intoto.jsonl"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=said) as caught:
        lines.read(path)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_lines_of_two_acceptances_in_one_file_are_unreadable(case: Case) -> None:
    with case.acceptance.open("a") as file:
        file.write(case.old.read_text())
    with pytest.raises(
        Unreadable, match="holds more than one statement of https://runstone.dev/acceptance/v1"
    ):
        lines.read(case.acceptance)


def test_an_acceptance_without_its_own_statement_is_unreadable(case: Case) -> None:
    case.write(case.lines()[1])
    with pytest.raises(Unreadable, match="holds no acceptance of Runstone"):
        lines.read(case.acceptance)


def test_evidence_without_a_manifest_is_unreadable(case: Case) -> None:
    (case.evidence / "manifest.json").unlink()
    with pytest.raises(Unreadable, match="holds no evidence that can be read"):
        case.verified()


def test_a_manifest_that_is_a_link_is_unreadable(case: Case) -> None:
    (case.evidence / "manifest.json").rename(case.folder / "manifest.json")
    (case.evidence / "manifest.json").symlink_to(case.folder / "manifest.json")
    with pytest.raises(Unreadable, match="symbolic link"):
        case.verified()


@pytest.mark.parametrize(
    "text, said",
    [
        ("treshold: 2", "unknown key 'treshold'; did you mean threshold"),
        ("waivers: {untill: 2027-01-01}", "unknown key 'untill' at waivers; did you mean until"),
        ("threshold: 1\nthreshold: 2", "the key 'threshold' is given twice"),
        ("threshold: 0", "threshold"),
        ("minimum_share: {MOST: 1}", "MOST"),
        ("minimum_share: {MUST: 101}", "101|100"),
        ("judged: {areas: [run-wiat]}", "'run-wiat', which there is not; did you mean run-wait"),
        ("judged: {capabilities: [cron]}", "'cron', which there is not; did you mean crons"),
        ("unjudged: {META-01: why}", "'META-01', which there is not; did you mean META-001"),
        ("profile: langraph", "'langraph', which there is not; did you mean langgraph"),
        ("allowed_secrets: [jwtt]", "'jwtt', which there is not; did you mean jwt"),
        ("signers: [Ada]\nthreshold: 2", "threshold 2 is more than the 1 signers"),
        ("waivers: {until: 2027-02-31}", "not a date"),
        ("{", "not valid YAML"),
    ],
)
def test_a_policy_that_cannot_be_used_is_one_line(text: str, said: str, case: Case) -> None:
    path = case.folder / "acceptance-policy.yaml"
    path.write_text(text)
    with pytest.raises(policy.BadPolicy, match=said) as caught:
        policy.load(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
