"""Local keys: ed25519 and ECDSA P-256, in PKCS#8 with a password or as OpenSSH writes them.

securesystemslib signs and verifies; it is imported where it is needed, as `runstone check` never needs it. A
password comes from a prompt, a file or the environment, never from an argument, and no message repeats it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from runstone.errors import UsageError
from runstone.signoff.lines import PAYLOAD_TYPE, Line, Signature

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

PASSWORD_VARIABLE: Final = "RUNSTONE_KEY_PASSWORD"  # noqa: S105 - the name of a variable
Kind = Literal["ed25519", "ecdsa"]
AskPassword = Callable[[str], str]  # the name of the key → what was typed
_LARGEST: Final = 64 * 1024  # a key file has some hundred bytes
_KINDS: Final = "ed25519 and ECDSA P-256 keys can be used"


class BadKey(UsageError):  # noqa: N818 - named as what it reports
    """A key cannot be used; the message names its file, and nothing of what is in it."""


class PublicKey(msgspec.Struct, frozen=True):
    """A public key: its id in envelopes (the digest that securesystemslib gives it), and its PEM."""

    keyid: str
    pem: str

    @property
    def short(self) -> str:
        """The beginning of the id, as people compare it."""
        return self.keyid[:12]


class PrivateKey:
    """A key that signs."""

    def __init__(self, signer: CryptoSigner) -> None:
        self._signer = signer
        self.public = _public(signer.public_key)

    def sign(self, line: Line) -> Line:
        """The line with this key's signature in place of an earlier one of it."""
        made = self._signer.sign(_pae(line.payload))
        others = tuple(each for each in line.signatures if each.keyid != made.keyid)
        signature = Signature(bytes.fromhex(made.signature), made.keyid)
        return msgspec.structs.replace(line, signatures=(*others, signature))


def verified_by(line: Line, key: PublicKey) -> bool:
    """Whether one of the line's signatures was made with this key, whatever key ids they carry."""
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature as Made

    verifier, signed = _verifier(key), _pae(line.payload)
    for each in line.signatures:
        try:
            verifier.verify_signature(Made(key.keyid, each.signature.hex()), signed)
        except UnverifiedSignatureError:
            continue
        return True
    return False


def load_private(path: Path, password: bytes | None, ask: AskPassword) -> PrivateKey:
    """The private key of a file; `ask` is called only where it has a password and none was given.

    Raises BadKey for a file that is none, a wrong password, and a key of another kind.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import CryptoSigner

    content = _content(path)
    load = serialization.load_ssh_private_key if b"OPENSSH" in content else serialization.load_pem_private_key
    try:
        key = _opened(load, content, password, lambda: ask(path.name))
    except UnsupportedAlgorithm as error:  # a password of OpenSSH's needs bcrypt, which not everybody has
        hint = "install it with: pip install 'cryptography[ssh]'" if "bcrypt" in str(error) else _KINDS
        raise BadKey(f"{path} cannot be opened: {str(error).lower()}; {hint}") from None
    except (ValueError, TypeError):
        wrong = "its password is wrong, or it" if password is not None else "it"
        raise BadKey(
            f"{path} cannot be opened: {wrong} is not a private key in PKCS#8 or OpenSSH form"
        ) from None
    if not _usable(key.public_key()):
        raise BadKey(f"{path} holds a key of another kind; {_KINDS}")
    return PrivateKey(CryptoSigner(key))


def _opened(load: Any, content: bytes, password: bytes | None, ask: Callable[[], str]) -> Any:
    """The key; cryptography raises TypeError where a password lacks, and where one is given for nothing."""
    try:
        return load(content, password)
    except TypeError:
        if password is not None:
            return load(content, None)  # a key without a password, though the environment holds one
    except ValueError:  # of OpenSSH keys it says so in this way
        if password is not None or b"PRIVATE KEY" not in content:
            raise
    return load(content, ask().encode())


def load_public(path: Path) -> PublicKey:
    """The public key of a PEM or OpenSSH file. Raises BadKey, for a private key too."""
    return parsed_public(_content(path), str(path))


def load_either(path: Path, password: bytes | None, ask: AskPassword) -> PublicKey:
    """The public half of whichever key a file holds. Raises BadKey."""
    if b"PRIVATE KEY" in _content(path):
        return load_private(path, password, ask).public
    return load_public(path)


def parsed_public(content: bytes, where: str) -> PublicKey:
    """The public key of these bytes. Raises BadKey."""
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import SSlibKey

    if b"PRIVATE KEY" in content:
        raise BadKey(f"{where} holds a private key; give the public one (`runstone keys show` prints it)")
    pem = b"-----BEGIN" in content
    try:
        load = serialization.load_pem_public_key if pem else serialization.load_ssh_public_key
        key = load(content.strip())
    except Exception as error:  # cryptography's Rust part raises its own kinds for odd keys
        raise BadKey(f"{where} is not a public key in PEM or OpenSSH form ({type(error).__name__})") from None
    if not _usable(key):
        raise BadKey(f"{where} holds a key of another kind; {_KINDS}")
    return _public(SSlibKey.from_crypto(key))


def make(path: Path, kind: Kind, password: bytes | None) -> PublicKey:
    """Write a new private key, which only its owner can read, and its public half beside it (`.pub`).

    Raises BadKey rather than write over a file that is there.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from securesystemslib.signer import SSlibKey

    key = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    hidden = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, hidden)
    public = _public(SSlibKey.from_crypto(key.public_key()))
    _write_new(path, secret, 0o600)
    _write_new(path.with_name(path.name + ".pub"), public.pem.encode(), 0o644)
    return public


def openssh(key: PublicKey) -> str:
    """The public key as OpenSSH writes it, in one line."""
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_public_key(key.pem.encode())
    form = serialization.PublicFormat.OpenSSH
    return loaded.public_bytes(serialization.Encoding.OpenSSH, form).decode()


def password_of(file: Path | None) -> bytes | None:
    """The password of a file's first line, else of the environment; None where neither gives one.

    Raises BadKey for an empty one, which would leave a key open to everybody.
    """
    told = os.environ.get(PASSWORD_VARIABLE)
    if file is None and told is None:
        return None
    password = (told or "").encode() if file is None else _content(file).split(b"\n", 1)[0].rstrip(b"\r")
    if not password:
        raise BadKey(f"the password is empty in {file or PASSWORD_VARIABLE}; write one, or name none")
    return password


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadKey(f"cannot read {path}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise BadKey(f"{path} is not a key: it has more than {_LARGEST} bytes")
    return content


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, at no moment readable by more than `mode` says."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        hint = "; it is never written over, give another --out" if path.exists() else ""
        raise BadKey(f"cannot write the key {path}: {error.strerror}{hint}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _usable(key: object) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1)
    return isinstance(key, ed25519.Ed25519PublicKey)


def _public(key: SSlibKey) -> PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if key.keytype == "ed25519":  # securesystemslib keeps its raw bytes
        raw = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return PublicKey(key.keyid, raw.public_bytes(serialization.Encoding.PEM, form).decode())
    return PublicKey(key.keyid, key.keyval["public"])


def _verifier(key: PublicKey) -> SSlibKey:
    from cryptography.hazmat.primitives import serialization
    from securesystemslib.signer import SSlibKey

    loaded = serialization.load_pem_public_key(key.pem.encode())
    return SSlibKey.from_crypto(loaded, keyid=key.keyid)


def _pae(payload: bytes) -> bytes:
    """What DSSE signs: the payload with its type."""
    from securesystemslib.dsse import Envelope

    return Envelope(payload, PAYLOAD_TYPE, {}).pae()
