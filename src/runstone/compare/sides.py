"""What is to be compared: targets, checked one after the other, and folders, judged offline.

A folder is one that `runstone check` wrote, or the evidence in it. Its report.json is taken as it is when
this version of Runstone judged this very evidence by the same catalogue, and the suites have not changed
since. A folder that holds nothing but a report.json can be compared by its verdicts, though not by its
traces.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

import runstone
from runstone import report
from runstone.compare.comparison import NotComparable, Side, catalogue_of
from runstone.contracts import load_catalogue
from runstone.errors import TargetError
from runstone.judge.suites import judge
from runstone.locations import locate
from runstone.report.model import Report
from runstone.session import evidence
from runstone.session.opening import open_session
from runstone.session.options import NOTHING, Said, said
from runstone.session.session import UNREACHABLE, Progress
from runstone.session.sources import merged
from runstone.target import recipes
from runstone.wire.trace import Trace

_AT_ONCE = 2  # folders judged at the same time: two cores are what CI gives


class UnusableTarget(TargetError):  # noqa: N818
    """One of the targets could not be judged at all."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Targets or folders, and what is asked of checks of targets; `out` takes a folder for each."""

    names: tuple[str, ...]
    out: Path
    asked: Said = NOTHING


class _Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that was given: where its report is and, unless it holds nothing else, its evidence."""

    path: Path
    target: str
    profile: str
    version: str
    manifest: evidence.Manifest | None
    traces: dict[str, Trace] | None
    report: Report | None


@contextmanager
def open_sides(wanted: Wanted, progress_of: Callable[[str], Progress]) -> Iterator[list[Side]]:
    """All sides, in the order in which they were named; folders are judged while the block is under way.

    `progress_of` a target tells how its check goes. Raises NotComparable, EvidenceError and MalformedReport
    for a folder, before any target is checked; for a target whatever `check` raises, and UnusableTarget where
    there is nothing to judge.
    """
    if len(wanted.names) < 2:
        raise NotComparable("one target alone cannot be compared; name two or more targets or folders")
    folders = {place: _read(name) for place, name in enumerate(wanted.names) if _is_folder(name)}
    _demand_different(list(folders.values()))
    _demand_alike(wanted, list(folders.values()))
    plain = [
        folders[place].target if place in folders else _named(name) for place, name in enumerate(wanted.names)
    ]
    names = _unique(plain)
    given = [(each, wanted.out / safe_name(names[place])) for place, each in folders.items()]
    with _judged(given) as reports:
        judged = dict(zip(folders, reports, strict=True))
        yield [
            _side(names[place], folders[place], judged[place])
            if place in folders
            else _checked(name, names[place], wanted, progress_of(names[place]))
            for place, name in enumerate(wanted.names)
        ]


def _side(name: str, folder: _Folder, judged: Callable[[], Report]) -> Side:
    manifest = folder.manifest
    return Side(
        name=name,
        judged=judged,
        traces=folder.traces,
        agent="" if manifest is None else manifest.agent,
        explored=manifest is not None and manifest.explored,
    )


def _is_folder(name: str) -> bool:
    if name in recipes.names() or "://" in name:
        return False
    if Path(name).is_dir():
        return True
    if name.endswith(".yaml") or (":" in name and "/" not in name):
        return False
    if "/" in name or name.startswith((".", "~")):
        raise NotComparable(
            f"{name} is neither a folder nor a recipe; a server's address begins with http://"
        )
    return False  # it is looked up among the recipes, which says what there is


def _named(name: str) -> str:
    return name.split("://", 1)[-1].rstrip("/") if "://" in name else Path(name).stem


def safe_name(name: str) -> str:
    """The folder of a target: its name without what divides a path or an address."""
    return name.replace("/", "-").replace(":", "-")


def _unique(names: Sequence[str]) -> list[str]:
    """The second `embedded` becomes `embedded-2`."""
    seen: list[str] = []
    for name in names:
        number = 1
        while (candidate := name if number == 1 else f"{name}-{number}") in seen:
            number += 1
        seen.append(candidate)
    return seen


def _read(name: str) -> _Folder:
    path = Path(name)
    recorded = path / "evidence" if (path / "evidence").is_dir() else path
    reported = path / "report.json" if (path / "report.json").is_file() else recorded.parent / "report.json"
    if recorded == path and not (path / "manifest.json").exists() and reported.parent == path:
        found = report.from_json(reported.read_bytes())
        return _Folder(
            path=path,
            target=found.target.name,
            profile=found.profile,
            version=found.runstone,
            manifest=None,
            traces=None,
            report=found,
        )
    manifest, traces = evidence.read(recorded)
    if manifest.unusable:
        raise UnusableTarget(f"{name} holds nothing to compare: {manifest.stopped}; check the target again")
    return _Folder(
        path=recorded,
        target=manifest.target,
        profile=manifest.profile,
        version=manifest.runstone,
        manifest=manifest,
        traces=traces,
        report=_still_good(reported, manifest),
    )


def _still_good(path: Path, manifest: evidence.Manifest) -> Report | None:
    """The report beside the evidence if judging again would say the same, else None."""
    try:
        written = path.stat().st_mtime
        found = report.from_json(path.read_bytes())
    except (OSError, report.MalformedReport):
        return None
    same = (
        found.runstone == manifest.runstone == runstone.__version__
        and found.started_at == manifest.started_at
        and found.target.url == manifest.url
        and found.profile == manifest.profile
        and catalogue_of(found) == [(each.id, each.level) for each in load_catalogue().values()]
        and written > _last_change()
    )
    partly = any(case.reason.endswith("not selected") for each in found.verdicts for case in each.cases)
    return found if same and not partly else None


def _last_change() -> float:
    """When suites, contracts or recipes were last changed on this machine, in seconds since the epoch."""
    parts = (locate(part) for part in ("suites", "contracts", "fixtures/targets"))
    files = (path for part in parts for path in part.rglob("*") if path.suffix in {".py", ".yaml", ".json"})
    return max(path.stat().st_mtime for path in files)


def _demand_different(folders: Sequence[_Folder]) -> None:
    seen: dict[Path, _Folder] = {}
    for each in folders:
        if seen.setdefault(each.path.resolve(), each) is not each:
            raise NotComparable(f"{each.path} was given twice; name two different folders or targets")


def _demand_alike(wanted: Wanted, folders: Sequence[_Folder]) -> None:
    """One profile and one version, before anything is checked."""
    for first, each in ((folders[0], each) for each in folders[1:]):
        if each.profile != first.profile:
            raise NotComparable(
                f"{first.path} is of profile {first.profile}, {each.path} of profile {each.profile}; "
                "check both with the same --profile"
            )
        if each.version != first.version:
            raise NotComparable(
                f"{first.path} is by Runstone {first.version}, {each.path} by {each.version}: their suites "
                "differ; check both with the same version"
            )
    profile = wanted.asked.get("profile_name")
    for each in folders:
        if each.version != runstone.__version__:
            raise NotComparable(
                f"{each.path} is by Runstone {each.version}, this is {runstone.__version__}: their suites "
                "differ; check it again"
            )
        if profile is not None and each.profile != profile:
            raise NotComparable(
                f"{each.path} is of profile {each.profile}, not {profile}; "
                f"leave --profile out or check it with --profile {profile}"
            )


def _checked(name: str, side: str, wanted: Wanted, progress: Progress) -> Side:
    asked = merged(said(target_name=name, out=wanted.out / safe_name(side)), wanted.asked)
    session = open_session(asked, progress)
    found = judge(session)
    if found.exit_code == UNREACHABLE:
        raise UnusableTarget(f"{side}: {found.stopped}")
    manifest = session.manifest
    return Side(
        name=side,
        judged=lambda: found,
        traces=session.traces,
        agent="" if manifest is None else manifest.agent,
        explored=manifest is not None and manifest.explored,
    )


@contextmanager
def _judged(folders: Sequence[tuple[_Folder, Path]]) -> Iterator[list[Callable[[], Report]]]:
    """The report of each folder, once asked for; where there is none a process judges the folder."""
    known = [each.report for each, _ in folders]
    if all(each is not None for each in known):
        yield [lambda found=each: found for each in known]  # type: ignore[misc]
        return
    context = multiprocessing.get_context(
        "spawn"
    )  # pytest judges, which two threads of one process cannot do
    with ProcessPoolExecutor(min(_AT_ONCE, known.count(None)), mp_context=context) as pool:
        futures: list[Future[Report] | None] = [
            pool.submit(judged_again, each.path, out) if each.report is None else None
            for each, out in folders
        ]
        yield [
            (lambda found=found: found) if future is None else future.result  # type: ignore[misc]
            for found, future in zip(known, futures, strict=True)
        ]


def judged_again(folder: Path, out: Path) -> Report:
    """Judge an evidence folder offline, all of it whatever runstone.toml selects; reports go to `out`."""
    asked = said(evidence=folder, out=out, areas=(), select=())
    return judge(open_session(asked, lambda *_: None))
