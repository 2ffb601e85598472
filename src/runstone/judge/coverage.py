"""Which suites judge what of the catalogue, and what of it nothing judges."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from runstone.errors import RunstoneError
from runstone.locations import locate
from runstone.session.session import Session

_MARK: Final = re.compile(r'^@requirement\("([^"]+)"\)', re.MULTILINE)


class SuitesBroken(RunstoneError):  # noqa: N818 - a diagnosis, named for what it says
    """The suites could not be collected or run: Runstone itself is at fault."""


def reads_all(session: Session) -> bool:
    """Whether monitors read the traces of all suites: no area is selected, or none but their own."""
    return session.catalogue.selected(session.settings.areas) <= session.catalogue.of_kind("monitor")


def reads_a_part(session: Session, collected: Collection[str]) -> bool:
    """Whether monitors read the traces of some suites or of a shard only, as no others were asked for.

    `collected`: the requirements that have a judge in the suites that were given.
    """
    if session.settings.shard is not None:
        return True
    catalogue = session.catalogue
    areas, whole = catalogue.selected(session.settings.areas), reads_all(session)
    asked_for = {name for name in collected if whole or catalogue[name].area in areas}
    left_out = {each.area for each in catalogue.values() if each.id not in asked_for}
    return not left_out <= catalogue.of_kind("exploring")


def without_judge(session: Session, collected: Collection[str], *, demanding: bool) -> list[str]:
    """The requirements that were asked for and of which no judge was found.

    `demanding`: all suites that could have one were given. Where users name some of the files themselves,
    what the others judge is not missing.
    """
    catalogue = session.catalogue
    missing = [
        each for each in catalogue.values() if each.id not in collected and not session.not_asked_for(each)
    ]
    if not demanding:
        judged_in_part = {catalogue[each].area for each in collected if each in catalogue}
        elsewhere = {each for ids in _marked_requirements(locate("suites")).values() for each in ids}
        missing = [each for each in missing if each.area in judged_in_part and each.id not in elsewhere]
    return [each.id for each in missing]


def suite_files(session: Session) -> list[Path]:
    """The suites that judge something of the selected areas, as collecting all of them takes half a second.

    All of them where no area is selected, and for monitors by themselves, which read the traces of all.
    Never none, as pytest would then run whatever tests lie in the user's own folder: raises SuitesBroken.
    """
    folder = locate("suites")
    if reads_all(session):
        return [folder]
    marked, catalogue = _marked_requirements(folder), session.catalogue
    areas = catalogue.selected(session.settings.areas)
    judged = {
        path: {catalogue[each].area for each in ids if each in catalogue} for path, ids in marked.items()
    }
    for area in sorted(areas):
        if not any(area in of for of in judged.values()):
            raise SuitesBroken(f"no suite in {folder} judges the area {area}: the installation is incomplete")
    return [path for path, of in judged.items() if of & areas]


def _marked_requirements(folder: Path) -> dict[Path, set[str]]:
    """The ids that each suite of a folder has a judge of, read without importing it."""
    suites = sorted(folder.glob("test_*.py"))
    return {path: set(_MARK.findall(path.read_text("utf-8"))) for path in suites}
