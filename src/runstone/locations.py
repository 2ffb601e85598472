"""Where the data files are: contracts, suites, fixtures, reports."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runstone.errors import RunstoneError

_PACKAGE: Final = Path(__file__).resolve().parent
INSTALLED: Final = _PACKAGE / "house"  # where the wheel puts them (pyproject.toml, force-include)
CHECKOUT: Final = _PACKAGE.parents[1]  # the root of a source checkout: src/runstone/../..


class MissingPart(RunstoneError):  # noqa: N818 - named as what it reports
    """A folder or file that belongs to Runstone is not where it should be."""


def locate(part: str) -> Path:
    """The folder or file `part` of the data files, such as "contracts" or "fixtures/targets".

    Looks beside the installed package first, then in the source checkout. Raises MissingPart.
    """
    for root in (INSTALLED, CHECKOUT):
        if (root / part).exists():
            return root / part
    raise MissingPart(
        f"Runstone's own {part!r} is neither in {INSTALLED} nor in {CHECKOUT}: "
        "the installation is incomplete; install runstone again"
    )
