"""Signing without a key of one's own: by an identity that CI or a login vouches for, through Sigstore.

Needs the extra `signoff-keyless`. Verifying asks no network: what is trusted comes from a file that the
verifier names, as a cache that anybody can write to is nothing to trust.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runstone.errors import ExitCode, RunstoneError, UsageError
from runstone.signoff.lines import PAYLOAD_TYPE, Line
from runstone.signoff.policy import Identity

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

_EXTRA: Final = "pip install 'runstone[signoff-keyless]'"
_START: Final = re.compile(rb'"start"\s*:\s*"(\d{4}-\d\d-\d\d)T')
_LARGEST: Final = 4 * 1024 * 1024  # a trusted root has 7 kB


class NoKeyless(UsageError):  # noqa: N818 - named as what it reports
    """Sigstore cannot be used here; the message says what is missing."""


class KeylessRefused(RunstoneError):  # noqa: N818
    """Sigstore signed nothing; the message says why."""

    exit_code = ExitCode.NOT_CONFORMING


class Root(NamedTuple):
    """What is trusted, and since when its newest key counts, as nothing else tells that it is out of date."""

    root: TrustedRoot
    newest: str


def load_root(path: Path) -> Root:
    """The trusted root of a file (`trusted_root.json`). Raises NoKeyless."""
    try:
        from sigstore.models import TrustedRoot
    except ModuleNotFoundError as error:
        raise NoKeyless(f"keyless signatures need {error.name}; install it with: {_EXTRA}") from None
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise NoKeyless(f"cannot read the trusted root {path}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise NoKeyless(f"{path} is not a trusted root: it has more than {_LARGEST} bytes")
    try:
        root = TrustedRoot.from_file(str(path))
    except Exception as error:  # pydantic's and sigstore's own kinds
        reason = " ".join(str(error).split())[:200]
        raise NoKeyless(f"{path} is not a trusted root of Sigstore: {reason}") from None
    return Root(root, _newest(content))


def _newest(content: bytes) -> str:
    """The day on which the newest of its keys began to count, the only time that such a file tells."""
    return max((found.decode() for found in _START.findall(content)), default="an unknown day")


def signed_by(line: Line, root: Root, identities: Sequence[Identity]) -> tuple[Identity | None, str]:
    """Which of the identities signed this line, or why none did."""
    from sigstore.errors import Error
    from sigstore.models import Bundle
    from sigstore.verify import Verifier, policy

    reason = "no identity is allowed"
    try:
        bundle, verifier = Bundle.from_json(line.bundle), Verifier(trusted_root=root.root)
    except Exception as error:  # pydantic's and sigstore's own kinds
        return None, f"it is not a bundle of Sigstore: {' '.join(str(error).split())[:200]}"
    for each in identities:
        wanted = policy.Identity(identity=each.identity, issuer=each.issuer)
        try:
            kind, payload = verifier.verify_dsse(bundle, wanted)
        except Error as error:
            reason = " ".join(str(error).split())[:200]
            continue
        # Sigstore checks neither the type nor what is inside (its docstring); both are ours.
        if kind == PAYLOAD_TYPE and payload == line.payload:
            return each, ""
        reason = "what was signed is not what the line holds"
    return None, reason


def sign(payloads: Sequence[bytes]) -> list[Line]:
    """The payloads, each in a bundle signed by the identity that this machine has; CI's, as a rule.

    Publishes who signed and when, for ever, in Sigstore's log. Raises NoKeyless and KeylessRefused.
    """
    try:
        from sigstore.dsse import Statement
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityToken, detect_credential
        from sigstore.sign import SigningContext
    except ModuleNotFoundError as error:
        raise NoKeyless(f"--keyless needs {error.name}; install it with: {_EXTRA}") from None
    try:
        token = detect_credential()
        if token is None:
            raise NoKeyless("--keyless found no identity: run it in a CI job that may ask for an id token")
        context = SigningContext.from_trust_config(ClientTrustConfig.production())
        with context.signer(IdentityToken(token)) as signer:
            bundles = [signer.sign_dsse(Statement(each)) for each in payloads]
    except Error as error:
        raise KeylessRefused(f"Sigstore did not sign: {' '.join(str(error).split())[:300]}") from None
    return [
        Line(payload=payload, bundle=bundle.to_json().replace("\n", " "))
        for payload, bundle in zip(payloads, bundles, strict=True)
    ]
