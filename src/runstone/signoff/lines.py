"""acceptance.intoto.jsonl: one signed statement a line, as a DSSE envelope or inside a Sigstore bundle.

Nothing vouches for the file as a whole: a line may have been dropped, or be of an older release. What belongs
together is found here by the statements themselves; lines of other kinds are ignored, as in-toto wants.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from runstone.errors import ExitCode, RunstoneError
from runstone.signoff.statement import (
    ACCEPTANCE,
    LOAD_ACCEPTANCE,
    STATEMENT,
    TEST_RESULT,
    Acceptance,
    Statement,
    SuiteResult,
)

NAME: Final = "acceptance.intoto.jsonl"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
# The largest acceptance seen is 140 kB; a file past this is not an acceptance, and is not read into memory.
LARGEST: Final = 16 * 1024 * 1024

T = TypeVar("T")


class Unreadable(RunstoneError):  # noqa: N818 - named as what it reports
    """A file that should be an acceptance is none; the message says where."""

    exit_code = ExitCode.UNREACHABLE


class Signature(msgspec.Struct, frozen=True):
    """Raw bytes of a signature. `keyid` is a hint of the signer, and no decision rests on it."""

    signature: bytes
    keyid: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the bytes that were signed, and by what. `bundle`: the text of a Sigstore bundle, else ''."""

    payload: bytes
    signatures: tuple[Signature, ...] = ()
    bundle: str = ""

    def text(self) -> str:
        """The line as it is written, without its line feed."""
        if self.bundle:
            return self.bundle
        envelope = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": each.keyid, "sig": base64.b64encode(each.signature).decode()}
                for each in self.signatures
            ],
        }
        return json.dumps(envelope)


class AcceptanceFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds. `suite_result`: None where the line of the test-result is missing.

    `own`, `common`: the lines of either statement; several signers without a key of their own make several.
    """

    path: Path
    acceptance: Statement[Acceptance]
    suite_result: Statement[SuiteResult] | None
    own: tuple[Line, ...]
    common: tuple[Line, ...]

    @property
    def payload(self) -> bytes:
        """The bytes of the acceptance, by whose digest a later one names it."""
        return self.own[0].payload


class _Signature(msgspec.Struct):
    sig: str
    keyid: str | None = None  # null and '' are the same: none


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


class _Headed(msgspec.Struct, rename={"type": "_type"}):
    type: str
    predicateType: str  # noqa: N815 - in-toto's own name


def read(path: Path) -> AcceptanceFile:
    """The acceptance of a file. Raises Unreadable where there is none, or more than one."""
    lines = lines_of(path)
    own, acceptance = _only(lines, {ACCEPTANCE, LOAD_ACCEPTANCE}, Statement[Acceptance], path)
    common, suite_result = _only(lines, {TEST_RESULT}, Statement[SuiteResult], path)
    if acceptance is None:
        raise Unreadable(f"{path} holds no acceptance of Runstone; `runstone signoff` writes one")
    if acceptance.predicateType != acceptance.predicate.type:
        what = "a check" if acceptance.predicate.load is None else "a load"
        raise Unreadable(f"{path} speaks of {what}, and says that it is {acceptance.predicateType}")
    return AcceptanceFile(path=path, acceptance=acceptance, suite_result=suite_result, own=own, common=common)


def lines_of(path: Path) -> list[Line]:
    """The lines of signed in-toto in a file, whatever they state. Raises Unreadable."""
    return [line for number, text in _texts(path) if (line := _line(text, f"{path}, line {number}"))]


def statement_of(payload: bytes) -> Statement[Acceptance]:
    """The acceptance that these bytes are. Raises Unreadable."""
    return _decoded(payload, Statement[Acceptance], NAME)


def written(lines: Iterable[Line]) -> str:
    """The text of a file of these lines."""
    return "".join(f"{each.text()}\n" for each in lines)


def _texts(path: Path) -> list[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(f"cannot read the acceptance {path}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Unreadable(f"{path} is larger than {LARGEST >> 20} MiB: it is not an acceptance")
    return [(number, text) for number, text in enumerate(content.split(b"\n"), 1) if text.strip()]


def _line(text: bytes, where: str) -> Line | None:
    """The line, if it is signed in-toto of either form; None for anything else that is JSON."""
    document = _decoded(text, dict[str, Any], where)
    bundled = document.get("dsseEnvelope")
    if bundled is None and "payload" not in document:
        return None
    envelope = _converted(document if bundled is None else bundled, _Envelope, where)
    if envelope.payload_type != PAYLOAD_TYPE:
        return None
    signatures = tuple(Signature(_bytes(each.sig, where), each.keyid or "") for each in envelope.signatures)
    return Line(
        payload=_bytes(envelope.payload, where),
        signatures=signatures,
        bundle="" if bundled is None else text.decode(),
    )


def _only(
    lines: Sequence[Line], kinds: Collection[str], shape: type[T], path: Path
) -> tuple[tuple[Line, ...], T | None]:
    """The lines with a predicate of these kinds, and their one statement."""
    found = tuple(line for line in lines if _kind(line, path) in kinds)
    if len({line.payload for line in found}) > 1:
        of = " or ".join(sorted(kinds))
        raise Unreadable(f"{path} holds more than one statement of {of}: which of them counts is not told")
    return found, _decoded(found[0].payload, shape, str(path)) if found else None


def _kind(line: Line, path: Path) -> str:
    header = _decoded(line.payload, _Headed, str(path))
    return header.predicateType if header.type == STATEMENT else ""


def _decoded(content: bytes, shape: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"{where} cannot be read as an acceptance: {error}") from None


def _converted(document: object, shape: type[T], where: str) -> T:
    try:
        return msgspec.convert(document, shape, strict=True)
    except msgspec.ValidationError as error:
        raise Unreadable(f"{where} cannot be read as an acceptance: {error}") from None


def _bytes(text: str, where: str) -> bytes:
    """The bytes of base64 of either alphabet, as DSSE demands of who reads."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable(f"{where} cannot be read as an acceptance: its base64 is broken: {error}") from None
