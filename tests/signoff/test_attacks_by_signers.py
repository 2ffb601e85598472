"""What signers could sign whose Runstone lies, and what is no longer true or not enough for a verifier."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import yaml
from starlette.responses import JSONResponse

from runstone.signoff import acceptance as acceptances
from runstone.signoff import baseline, lines, policy
from runstone.signoff.statement import Acceptance, Server, sha256
from tests.signoff import tiny
from tests.signoff.case import IMAGE, NOW, Attack, Attacks, Case, accept, assert_refused, started

ATTACKS = Attacks()
refused_by = ATTACKS.refused_by


@refused_by("derivable", ".*META-002 was signed as pass and is warn here")
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


@refused_by("derivable", "META-001 is judged here, and was not signed", also={"acceptable"})
def leave_a_requirement_out(case: Case) -> None:
    case.sign_again(lambda signed: msgspec.structs.replace(signed, requirements=signed.requirements[1:]))


@refused_by("derivable", "its server is not what follows")
def claim_another_version(case: Case) -> None:
    def newer(signed: Acceptance) -> Acceptance:
        server = Server(name="tiny", url=signed.server.url, version="honest 9.0", version_from="digest")
        return msgspec.structs.replace(signed, server=server)

    case.sign_again(newer)


@refused_by("derivable", "it was observed with --quick", also={"acceptable"})
def sign_for_a_quick_look(case: Case) -> None:
    """A Runstone that lets quick evidence through signs it; everything but the look itself is right."""
    shutil.rmtree(case.evidence)
    _sign_whatever_it_is(case, tiny.Server(), quick=True, patient=False)


@refused_by("derivable", "only a part was asked for", also={"acceptable"})
def sign_for_a_part(case: Case) -> None:
    shutil.rmtree(case.evidence)
    _sign_whatever_it_is(case, tiny.Server(), areas=("meta", "run-wait", "cron"), select=("META-*",))


def _sign_whatever_it_is(case: Case, observed: tiny.Server, **settings: Any) -> None:
    tiny.observe(case.folder / "new", observed, **settings)
    lenient = pytest.MonkeyPatch()
    with lenient.context() as patched:
        patched.setattr(acceptances, "unfit", lambda *_: [])
        patched.setattr(acceptances, "unkept", lambda *_: [])
        patched.setattr(baseline, "refusals", lambda *_: [])
        patched.setattr(policy, "refusals", lambda *_: [])
        root = case.folder
        (root / "waivers.yaml").write_text("waivers: []")
        started(root / "new", NOW - dt.timedelta(seconds=10))
        accept(root / "new", IMAGE, NOW, case.old, root)


@refused_by("derivable", "it was judged by a catalogue", also={"acceptable"})
def leave_a_requirement_out_of_the_catalogue(case: Case) -> None:
    """The signer's contract knows nothing of META-003, which the server breaks."""
    broken = tiny.Server()
    broken.answers["/slow"] = JSONResponse({}, 500)

    def without(house: tiny.House) -> None:
        house.promise("meta", tiny.REQUIREMENTS["meta"].rsplit("- {id: META-003", 1)[0])
        house.judge_by(re.sub(r'@requirement\("META-003"\)\n(.+\n)+', "", tiny.SUITE))

    _sign_elsewhere(case, broken, without)


@refused_by("derivable", "it was judged by suites")
def weaken_a_judge(case: Case) -> None:
    """The signer's suites call everything kept; the server answers META-001 wrongly."""
    broken = tiny.Server()
    broken.answers["/ok"] = JSONResponse({"ok": False})
    weak = tiny.SUITE.replace('assert raw(about.ok.object["ok"]) is True', "assert about.ok")
    _sign_elsewhere(case, broken, lambda house: house.judge_by(weak))


def _sign_elsewhere(case: Case, observed: tiny.Server, change: Callable[[tiny.House], None]) -> None:
    """Observe and sign with another house than the verifier's."""
    elsewhere = tiny.House(case.folder / "elsewhere")
    change(elsewhere)
    shutil.rmtree(case.evidence)
    with elsewhere.installed():
        _sign_whatever_it_is(case, observed)


@refused_by("derivable", "it was judged by suites")
def weaken_the_verifiers_judges(case: Case) -> None:
    weak = tiny.SUITE.replace('assert raw(about.ok.object["ok"]) is True', "assert about.ok")
    case.house.judge_by(weak)
    tiny.forget()


@refused_by("acceptable", r"it was valid until .*; the waiver of META-002 \(runtime team\) expired")
def let_a_waiver_expire(case: Case) -> None:
    case.now = NOW + dt.timedelta(days=2)


@refused_by("acceptable", "it was observed at .* in the future")
def observe_in_the_future(case: Case) -> None:
    case.now = NOW - dt.timedelta(days=1)


@refused_by("acceptable", "it was signed at .* before it was observed")
def sign_before_observing(case: Case) -> None:
    case.sign_again(lambda signed: msgspec.structs.replace(signed, signed_at=NOW - dt.timedelta(hours=1)))


@refused_by("acceptable", ".* before the acceptance that it supersedes")
def supersede_something_newer(case: Case) -> None:
    def backwards(signed: Acceptance) -> Acceptance:
        assert signed.supersedes is not None
        later = msgspec.structs.replace(signed.supersedes, started_at=NOW - dt.timedelta(seconds=1))
        return msgspec.structs.replace(signed, supersedes=later)

    case.sign_again(backwards)


@refused_by("acceptable", "it supersedes the acceptance .* not the one given")
def supersede_something_else(case: Case) -> None:
    shutil.copy(case.folder / "older/signoff/acceptance.intoto.jsonl", case.old)


@refused_by("acceptable", "what it says has changed since is not what has")
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

    def nothing_new(signed: Acceptance) -> Acceptance:
        assert signed.supersedes is not None
        since = msgspec.structs.replace(signed.supersedes, sha256=before)
        return msgspec.structs.replace(signed, supersedes=since)

    case.sign_again(nothing_new)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_right_answer_refuses(name: str, case: Case) -> None:
    assert_refused(ATTACKS[name], case)


@pytest.mark.parametrize(
    "demanded, says",
    [
        ({"minimum_share": {"SHOULD": 90}}, "1 of 2 SHOULD are kept, the policy demands 90 %"),
        ({"minimum_share": {"MAY": 1}}, "no MAY applies, the policy demands that 1 % of them are kept"),
        ({"profile": "wait-state"}, "profile langgraph was judged, the policy demands wait-state"),
        ({"judged": {"areas": ["explore"]}}, "area explore must be judged, and nothing of it was"),
        ({"judged": {"areas": ["cron"]}}, "area cron must be judged, and nothing of it was"),
        ({"judged": {"capabilities": ["crons"]}}, "capability crons must be judged"),
        ({"waivers": {"owners": ["another"]}}, "the policy does not allow runtime team to waive META-002"),
        ({"waivers": {"owners": []}}, "the policy does not allow runtime team to waive META-002"),
        ({"waivers": {"until": str(NOW.date())}}, "the waiver of META-002 expires on"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_policy_that_demands_more_refuses(demanded: dict[str, Any], says: str, case: Case) -> None:
    def demand(case: Case) -> None:
        path = case.folder / "acceptance-policy.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **demanded}))

    assert_refused(Attack(demand, frozenset({"acceptable"}), f"acceptable: {says}"), case)
