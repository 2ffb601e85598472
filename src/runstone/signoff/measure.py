"""The measure installed here: what is promised, how it is judged, and the proof that judges notice."""

from __future__ import annotations

from functools import cache
from typing import Final

import runstone
from runstone.contracts import load_profile
from runstone.contracts.basis import Basis, basis_of
from runstone.contracts.revision import current_revision
from runstone.locations import locate
from runstone.signoff.statement import Measure, sha256

_KILL_MATRIX: Final = "reports/published/kill-matrix.json.gz"
_WORDS: Final = {
    "revision": "contract revision",
    "catalogue": "a catalogue",
    "suites": "suites",
    "graphs": "graphs",
    "judging": "a profile and schemas",
}


@cache
def installed(profile: str) -> Measure:
    """The measure of this installation, for one profile. Raises UnknownProfile."""
    return Measure(
        runstone=runstone.__version__,
        basis=basis_of(load_profile(profile).name, current_revision()),
        kill_matrix=sha256(locate(_KILL_MATRIX).read_bytes()),
    )


def differences(how: str, theirs: Basis | None, here: Basis) -> list[str]:
    """In what something was observed or judged (`how`) by another contract than the one here, a line each."""
    if theirs is None:
        return [f"it was {how} by a Runstone that named no contract"]
    return [
        f"it was {how} by {words} {_shown(theirs, name)}, and {_shown(here, name)} is installed here"
        for name, words in _WORDS.items()
        if getattr(theirs, name) != getattr(here, name)
    ]


def _shown(basis: Basis, name: str) -> str:
    """A revision as it is called, a digest by its beginning, of graphs in each language."""
    value = getattr(basis, name)
    return " and ".join(each[:12] for each in value.values()) if isinstance(value, dict) else str(value)[:12]
