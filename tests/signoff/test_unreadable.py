"""Files that are not an acceptance, evidence or a policy: one line each, and an exit code of their own."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from runstone.contracts import violations
from runstone.signoff import lines, policy
from runstone.signoff.lines import Line, Unreadable
from runstone.signoff.statement import Acceptance, encoded
from tests.signoff import tiny
from tests.signoff.case import Case


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
    with pytest.raises(Unreadable, match="holds more than one statement of"):
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
        ("thresholds: 2", "unknown key 'thresholds'; did you mean threshold"),
        ("waivers: {til: 2027-01-01}", "unknown key 'til' at waivers; did you mean until"),
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


# --- the schemas and the structs say the same --------------------------------------------------------------

EXAMPLES = tiny.CONTRACTS / "schemas/examples"


def examples(schema: str, kind: str) -> list[Path]:
    return sorted((EXAMPLES / schema / kind).glob("*.json"))


@pytest.mark.parametrize("path", examples("acceptance-policy", "conforms"), ids=lambda path: path.stem)
def test_a_policy_that_conforms_is_read(path: Path) -> None:
    assert isinstance(policy.load(path), policy.Policy)  # JSON is YAML too


@pytest.mark.parametrize("path", examples("acceptance-policy", "violates"), ids=lambda path: path.stem)
def test_a_policy_that_violates_is_refused(path: Path) -> None:
    with pytest.raises(policy.BadPolicy):
        policy.load(path)


@pytest.mark.parametrize("path", examples("acceptance", "conforms"), ids=lambda path: path.stem)
def test_an_acceptance_that_conforms_is_read_and_written_alike(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    again = json.loads(encoded(msgspec.convert(document, Acceptance)))
    assert violations("acceptance", again) == []
    assert [name for name in document if name in again and document[name] != again[name]] == _OF_LATER.get(
        path.stem, []
    )


# Whose members of a later version are ignored, as in-toto wants.
_OF_LATER = {"with-members-of-a-later-version": ["server"]}
