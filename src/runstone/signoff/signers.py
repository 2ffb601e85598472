"""Who may sign, and who did: a public key, or signers.yaml with several.

    signers:
      - name: Ada Lovelace
        role: release manager
        key: ada.pub                  # beside this file; or the key itself, in one line of OpenSSH or as PEM
        from: 2026-01-01
        until: 2027-12-31             # of signatures made within these days

A name stands once and a key stands once: a threshold counts people, and nobody is two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from runstone.contracts.reading import read_yaml
from runstone.errors import UsageError
from runstone.signoff import keys
from runstone.signoff.keys import BadKey, PublicKey
from runstone.signoff.lines import Line

Said = Annotated[str, msgspec.Meta(min_length=1)]


class BadSigners(UsageError):  # noqa: N818 - named as what it reports
    """The list of signers cannot be used; the message names the file and the entry."""


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose signature counts, if it was made within these days."""

    name: str
    key: PublicKey
    role: str = ""
    since: dt.date | None = None
    until: dt.date | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.role + ', ' if self.role else ''}key {self.key.short})"

    def may_sign_on(self, day: dt.date) -> bool:
        """Whether the day is within this signer's days, the last one included."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


class _Entry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    name: Said
    key: Said
    role: str = ""
    since: dt.date | None = None
    until: dt.date | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    signers: Annotated[list[_Entry], msgspec.Meta(min_length=1)]


def load(path: Path) -> tuple[Signer, ...]:
    """The signers of a YAML file, or the one of a public key, who is named by the file's name.

    Raises BadSigners and BadKey.
    """
    if path.suffix not in {".yaml", ".yml"}:
        return (Signer(name=path.stem, key=keys.load_public(path)),)
    written: _File = read_yaml(path, _File, BadSigners)
    found = [_signer(each, path) for each in written.signers]
    for place, each in enumerate(found):
        for earlier in found[:place]:
            if each.name == earlier.name:
                raise BadSigners(f"{path} lists {each.name} twice; a threshold counts people, keep one")
            if each.key == earlier.key:
                raise BadSigners(f"{path} lists the key of {earlier.name} for {each.name} too; keep one")
    return tuple(found)


def _signer(entry: _Entry, path: Path) -> Signer:
    inline = entry.key.startswith(("ssh-", "ecdsa-", "-----BEGIN"))
    try:
        key = (
            keys.parsed_public(entry.key.encode(), f"{path}: the key of {entry.name}")
            if inline
            else keys.load_public(path.parent / entry.key)
        )
    except BadKey as error:
        raise BadSigners(f"{error}" if inline else f"{path}: {entry.name}: {error}") from None
    return Signer(name=entry.name, key=key, role=entry.role, since=entry.since, until=entry.until)


def who_signed(lines: Sequence[Line], signers: Sequence[Signer]) -> list[Signer]:
    """The signers with a valid signature on these lines, which all hold the same bytes."""
    return [each for each in signers if any(keys.verified_by(line, each.key) for line in lines)]
