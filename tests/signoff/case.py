"""An acceptance with everything that a verifier has, and attacks on it.

It is signed by two people and supersedes an older one; untouched, all five answers are yes. Every attack
changes one thing; the tests name all answers that are no afterwards, and why the first of them is.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.responses import JSONResponse

from runstone.signoff import keys, lines, policy, signers, signing, verification
from runstone.signoff.lines import Line
from runstone.signoff.statement import Acceptance, statements
from tests.signoff import tiny

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
        signed: list[tuple[Line, ...]] = [(Line(payload=each),) for each in both]
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


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}, indent=2), "utf-8")


def started(folder: Path, at: dt.datetime) -> None:
    rewrite(folder / "evidence/manifest.json", started_at=at.isoformat())


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


class Attack(NamedTuple):
    """Something that is done to a case, and the answers that are no afterwards; `says`: why the first is."""

    do: Callable[[Case], None]
    refused: frozenset[str]
    says: str


class Attacks(dict[str, Attack]):
    """The attacks of one file, by the names of their functions."""

    def refused_by(
        self, answer: str, says: str, also: Collection[str] = ()
    ) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
        """Note the decorated function as an attack that this answer refuses, with a reason like `says`."""

        def note(attack: Callable[[Case], None]) -> Callable[[Case], None]:
            self[attack.__name__] = Attack(attack, frozenset({answer, *also}), f"{answer}: {says}")
            return attack

        return note


def assert_refused(attack: Attack, case: Case) -> None:
    """Carry the attack out, and see it refused by the right answers, with the right reason."""
    attack.do(case)
    found = case.verified()
    refused = {name: each.reason for name, each in found.answers.items() if each.answer == "no"}
    assert refused.keys() == attack.refused
    told = [f"{name}: {reason}" for name, reason in refused.items()]
    assert any(re.match(attack.says, line) for line in told), told
    assert all("\n" not in line for line in told)
    assert not found.accepted
    assert not found.sealed
