"""What others make of an acceptance: independent implementations of in-toto, DSSE and Sigstore read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from sigstore import dsse as sigstore_dsse

from runstone.signoff import keyless, lines, verification
from runstone.signoff.keyless import NoKeyless
from runstone.signoff.lines import AcceptanceFile
from runstone.signoff.policy import Identity, Policy
from runstone.signoff.statement import TEST_RESULT
from runstone.signoff.verification import Questions
from tests.signoff.case import NOW, Case

DATA = Path(__file__).parent / "data"
BEACON = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon"
WORKFLOW = f"{BEACON}/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
SIGNED_BY = Identity(identity=WORKFLOW, issuer="https://token.actions.githubusercontent.com")


def test_an_in_toto_library_accepts_both_statements(case: Case) -> None:
    file = lines.read(case.acceptance)
    for line in (*file.own, *file.common):
        parsed = json_format.Parse(line.payload, statement_pb2.Statement())
        Statement.copy_from_pb(parsed).validate()


def test_an_in_toto_library_accepts_the_test_result_without_an_unknown_member(case: Case) -> None:
    (line,) = lines.read(case.acceptance).common
    document = json.loads(line.payload)
    assert document["predicateType"] == TEST_RESULT
    result = json_format.ParseDict(document["predicate"], test_result_pb2.TestResult())
    assert result.result == "WARNED"
    assert list(result.warned_tests) == ["META-002"]
    assert not result.failed_tests
    assert all(each.digest or each.uri for each in result.configuration)


def test_securesystemslib_verifies_the_envelopes_by_itself(case: Case) -> None:
    public = {
        name: SSlibKey.from_crypto(load_pem_public_key((case.folder / f"{name}.pub").read_bytes()))
        for name in ("ada", "grace", "mallory")
    }
    for envelope in case.lines():
        found = Envelope.from_dict(envelope)
        assert len(found.verify([public["ada"], public["grace"]], 2)) == 2
        with pytest.raises(VerificationError):
            found.verify([public["ada"], public["mallory"]], 2)


def test_sigstore_reads_the_envelopes_and_the_statements(case: Case) -> None:
    file = lines.read(case.acceptance)
    for line in (*file.own, *file.common):
        sigstore_dsse.Statement(line.payload)
        with_one = json.loads(line.text())
        with_one["signatures"] = with_one["signatures"][:1]  # a bundle of Sigstore has exactly one
        sigstore_dsse.Envelope._from_json(json.dumps(with_one))


# --- keyless -----------------------------------------------------------------------------------------------


@pytest.fixture
def public(case: Case) -> AcceptanceFile:
    """Sigstore's public bundle in place of both lines: it signs no acceptance, but who signed it is known."""
    path = case.folder / "keyless.jsonl"
    path.write_text((DATA / "keyless.sigstore.json").read_text())
    (line,) = lines.lines_of(path)
    file = lines.read(case.acceptance)
    return AcceptanceFile(
        path=path, acceptance=file.acceptance, suite_result=file.suite_result, own=(line,), common=(line,)
    )


def authentic(
    file: AcceptanceFile, *identities: Identity, root: Path | None = DATA / "trusted_root.json"
) -> str:
    asked = Questions(
        root=None if root is None else keyless.load_root(root), policy=Policy(identities=identities)
    )
    found = verification.verify(file, asked, NOW).answers["authentic"]
    return f"{found.answer}: {found.reason}"


def test_a_public_keyless_bundle_is_authentic_with_a_trusted_root(public: AcceptanceFile) -> None:
    said = authentic(public, SIGNED_BY)
    assert said.startswith(f"yes: signed by {WORKFLOW} (by https://token.actions.githubusercontent.com)")
    assert said.endswith("by a trusted root whose newest key is of 2026-01-14")


def test_a_keyless_bundle_of_somebody_else_is_not(public: AcceptanceFile) -> None:
    other = Identity(identity=f"{BEACON}/another.yml", issuer=SIGNED_BY.issuer)
    assert "Certificate's SANs do not match" in authentic(public, other)
    elsewhere = Identity(identity=WORKFLOW, issuer="https://accounts.example.org")
    assert authentic(public, elsewhere).startswith("no: 0 of 1 signatures")


def test_a_keyless_bundle_needs_a_root_and_identities(public: AcceptanceFile) -> None:
    assert "need --trusted-root" in authentic(public, SIGNED_BY, root=None)
    assert "need a policy that names identities" in authentic(public)


def test_a_changed_keyless_bundle_is_not_authentic(public: AcceptanceFile) -> None:
    (line,) = public.own
    document = json.loads(line.bundle)
    document["dsseEnvelope"]["payload"] = document["dsseEnvelope"]["payload"].replace("ey", "eZ", 1)
    changed = lines.Line(payload=line.payload, bundle=json.dumps(document))
    assert keyless.signed_by(changed, keyless.load_root(DATA / "trusted_root.json"), [SIGNED_BY])[0] is None
    elsewhere = lines.Line(payload=b"{}", bundle=line.bundle)
    found = keyless.signed_by(elsewhere, keyless.load_root(DATA / "trusted_root.json"), [SIGNED_BY])
    assert found == (None, "what was signed is not what the line holds")


@pytest.mark.parametrize(
    "content, says",
    [
        ("{}", "is not a trusted root"),
        ("no JSON", "is not a trusted root"),
        (None, "cannot read the trusted root"),
    ],
)
def test_what_is_no_trusted_root_is_one_line(content: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NoKeyless, match=says) as caught:
        keyless.load_root(path)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_keyless_signing_without_an_identity_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigstore.oidc.detect_credential", lambda: None)
    with pytest.raises(NoKeyless, match="found no identity: run it in a CI job"):
        keyless.sign([b"{}"])
