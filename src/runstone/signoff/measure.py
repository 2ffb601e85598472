"""The measure installed here: what is promised, how it is judged, and the proof that judges notice."""

from __future__ import annotations

from functools import cache

import msgspec

import runstone
from runstone.contracts.basis import Basis, basis_of
from runstone.contracts.revision import current_revision
from runstone.locations import locate
from runstone.session.evidence import Manifest
from runstone.signoff.statement import Measure as Signed
from runstone.signoff.statement import sha256

_KILL_MATRIX = "reports/published/kill-matrix.json"
_WORDS = {
    "revision": "contract revision",
    "catalogue": "a catalogue",
    "suites": "suites",
    "judging": "a judging configuration",
}


class Measure(msgspec.Struct, frozen=True):
    """What judges here: the contract and the judges, and the proof that these notice what breaks."""

    basis: Basis
    kill_matrix: str

    def of(self, manifest: Manifest) -> Signed:
        """The measure as it is signed, with the graphs that the target was asked to serve."""
        observed = manifest.basis or self.basis
        return Signed(
            runstone=runstone.__version__,
            revision=self.basis.revision,
            catalogue=self.basis.catalogue,
            suites=self.basis.suites,
            graphs=_of_both(observed.graphs),
            configuration=self.basis.judging,
            kill_matrix=self.kill_matrix,
        )

    def differences(self, manifest: Manifest) -> list[str]:
        """In what the observation was by another measure, a line each."""
        if manifest.basis is None:
            return ["it names no contract revision by which it was observed; observe it again"]
        return _told("it was observed by", _named(manifest.basis), _named(self.basis))

    def differences_of(self, signed: Signed) -> list[str]:
        """In what an acceptance was judged by another measure, a line each."""
        theirs = {
            "revision": signed.revision,
            "catalogue": signed.catalogue,
            "suites": signed.suites,
            "judging": signed.configuration,
        }
        found = _told("it was judged by", theirs, _named(self.basis))
        version = f"; install Runstone {signed.runstone}" if signed.runstone != runstone.__version__ else ""
        return [f"{each}{version}" for each in found]


def _named(basis: Basis) -> dict[str, str]:
    return {name: getattr(basis, name) for name in _WORDS}


def _told(how: str, theirs: dict[str, str], ours: dict[str, str]) -> list[str]:
    return [
        f"{how} {_WORDS[name]} {theirs[name][:12] or 'unknown'}, and {ours[name][:12]} is installed here"
        for name in theirs
        if theirs[name] != ours[name]
    ]


def _of_both(graphs: dict[str, str]) -> str:
    """One digest of the graphs in all languages."""
    return sha256("".join(f"{digest}  {language}\n" for language, digest in sorted(graphs.items())).encode())


@cache
def installed(profile: str) -> Measure:
    """The measure of this installation, for one profile."""
    return Measure(
        basis=basis_of(profile, current_revision()),
        kill_matrix=sha256(locate(_KILL_MATRIX).read_bytes()),
    )
