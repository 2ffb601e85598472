"""The measure installed here: what is promised, how it is judged, and the proof that judges notice."""

from __future__ import annotations

from functools import cache

import msgspec

import runstone
from runstone.contracts.revision import catalogue_digest, revision, suites_digest
from runstone.locations import locate
from runstone.session.evidence import Manifest
from runstone.signoff.statement import Measure as Signed
from runstone.signoff.statement import sha256

_KILL_MATRIX = "reports/published/kill-matrix.json"


class Measure(msgspec.Struct, frozen=True):
    """Digests of what judges here."""

    revision: str
    catalogue: str
    suites: str
    kill_matrix: str

    def of(self, manifest: Manifest) -> Signed:
        """The measure as it is signed, with what the observation used beside it."""
        return Signed(
            runstone=runstone.__version__,
            revision=self.revision,
            catalogue=self.catalogue,
            suites=self.suites,
            graphs=manifest.graphs,
            configuration=manifest.configuration,
            kill_matrix=self.kill_matrix,
        )

    def differences(self, manifest: Manifest) -> list[str]:
        """In what the observation was by another measure, a line each."""
        return _told(
            "it was observed by",
            {"contract": manifest.revision, "catalogue": manifest.catalogue, "suites": manifest.suites},
            {"contract": self.revision, "catalogue": self.catalogue, "suites": self.suites},
        )

    def differences_of(self, signed: Signed) -> list[str]:
        """In what an acceptance was judged by another measure, a line each."""
        found = _told(
            "it was judged by",
            {"contract": signed.revision, "catalogue": signed.catalogue, "suites": signed.suites},
            {"contract": self.revision, "catalogue": self.catalogue, "suites": self.suites},
        )
        version = f"; install Runstone {signed.runstone}" if signed.runstone != runstone.__version__ else ""
        return [f"{each}{version}" for each in found]


def _told(how: str, theirs: dict[str, str], ours: dict[str, str]) -> list[str]:
    words = {"contract": "contract revision", "catalogue": "a catalogue", "suites": "suites"}
    return [
        f"{how} {words[name]} {theirs[name][:12] or 'unknown'}, and {ours[name][:12]} is installed here"
        for name in theirs
        if theirs[name] != ours[name]
    ]


@cache
def installed() -> Measure:
    """The measure of this installation."""
    return Measure(
        revision=revision(),
        catalogue=catalogue_digest(),
        suites=suites_digest(),
        kill_matrix=sha256(locate(_KILL_MATRIX).read_bytes()),
    )
