"""What somebody without a key could do to the payload of an acceptance, its signatures and its lines."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
from typing import Any

import msgspec
import pytest

from runstone.signoff import lines
from tests.signoff.case import NOW, TOMORROW, Attacks, Case, assert_refused

ATTACKS = Attacks()
refused_by = ATTACKS.refused_by


def _with_predicate(case: Case, place: int, **changes: Any) -> None:
    """Change the payload of a line, and leave its signatures."""
    envelopes = case.lines()
    statement = json.loads(base64.b64decode(envelopes[place]["payload"]))
    statement["predicate"] |= changes
    envelopes[place]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    case.write(*envelopes)


@refused_by("authentic", "0 of 2 signatures")
def change_a_byte_of_the_payload(case: Case) -> None:
    _with_predicate(case, 0, by="Eve")


@refused_by("authentic", "0 of 2 signatures", also={"bound", "derivable", "acceptable"})
def add_a_waiver_after_signing(case: Case) -> None:
    agreed = {"requirement": "META-003", "reason": "why not", "owner": "runtime team", "link": "x"}
    (signed,) = lines.read(case.acceptance).acceptance.predicate.waivers
    both = [
        msgspec.to_builtins(signed),
        {**agreed, "expires": str(TOMORROW), "scenarios": [], "flaky": False},
    ]
    _with_predicate(case, 0, waivers=both)


@refused_by("authentic", "0 of 2 signatures", also={"derivable"})
def extend_it(case: Case) -> None:
    _with_predicate(case, 0, validUntil="2999-12-31T00:00:00Z")


@refused_by("authentic", "0 of 2 signatures", also={"bound", "derivable"})
def turn_a_warning_into_a_pass(case: Case) -> None:
    found = lines.read(case.acceptance).suite_result
    assert found is not None
    tests = sorted([*found.predicate.passed_tests, *found.predicate.warned_tests])
    _with_predicate(case, 1, result="PASSED", passedTests=tests, warnedTests=[])


@refused_by("authentic", "0 of 2 signatures")
def swap_the_signatures_of_the_lines(case: Case) -> None:
    one, two = case.lines()
    one["signatures"], two["signatures"] = two["signatures"], one["signatures"]
    case.write(one, two)


@refused_by("authentic", "0 of 2 signatures")
def sign_with_another_key(case: Case) -> None:
    case.sign_again(lambda signed: signed, "mallory")


@refused_by("authentic", "0 of 2 signatures")
def sign_with_another_key_in_ones_name(case: Case) -> None:
    case.sign_again(lambda signed: signed, "mallory")
    envelopes = case.lines()
    for each in envelopes:
        each["signatures"][0]["keyid"] = case.key("ada").public.keyid
    case.write(*envelopes)


@refused_by("authentic", r"1 of 2 signatures, by Ada \(release manager")
def leave_one_of_two_signatures(case: Case) -> None:
    envelopes = case.lines()
    for each in envelopes:
        del each["signatures"][1]
    case.write(*envelopes)


@refused_by("authentic", "1 of 2 signatures, by Ada")
def sign_twice_with_one_key(case: Case) -> None:
    envelopes = case.lines()
    for each in envelopes:
        first = each["signatures"][0]
        each["signatures"] = [first, {**first, "keyid": case.key("grace").public.keyid}]
    case.write(*envelopes)


@refused_by("authentic", "1 of 2 signatures, by Ada")
def sign_one_statement_of_two(case: Case) -> None:
    one, two = case.lines()
    del two["signatures"][1]
    case.write(one, two)


@refused_by("authentic", ".*no signature at all")
def strip_all_signatures(case: Case) -> None:
    case.write(*({**each, "signatures": []} for each in case.lines()))


@refused_by("authentic", ".*Grace .* may not sign on 20")
def sign_after_ones_time(case: Case) -> None:
    """Grace's key stopped counting the day before the signature was made."""
    yesterday = (NOW - dt.timedelta(days=1)).date()
    path = case.folder / "signers.yaml"
    path.write_text(path.read_text().replace("2999-12-31", str(yesterday)))


@refused_by("authentic", "1 of 2 signatures, by Ada")
def sign_without_being_asked(case: Case) -> None:
    """Grace's signature is good, and the policy counts others only."""
    path = case.folder / "acceptance-policy.yaml"
    path.write_text(path.read_text() + "signers: [Ada, Mallory]\n")


@refused_by("bound", "the test-result that belongs to it is missing", also={"derivable"})
def drop_the_test_result(case: Case) -> None:
    case.write(case.lines()[0])


def _old_lines(case: Case) -> list[Any]:
    return [json.loads(line) for line in case.old.read_text().splitlines()]


@refused_by("bound", "its test-result speaks of another recording", also={"derivable"})
def replay_the_test_result(case: Case) -> None:
    case.write(case.lines()[0], _old_lines(case)[1])


@refused_by("bound", "its test-result speaks of another", also={"derivable", "acceptable"})
def replay_the_acceptance(case: Case) -> None:
    case.write(_old_lines(case)[0], case.lines()[1])


@refused_by("bound", "it is of evidence .*; it is of server", also={"derivable", "acceptable"})
def replay_all(case: Case) -> None:
    shutil.copy(case.old, case.acceptance)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_right_answer_refuses(name: str, case: Case) -> None:
    assert_refused(ATTACKS[name], case)
