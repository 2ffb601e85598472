"""What is to be compared: targets, checked one after the other, and folders, judged offline.

A folder is one that `runstone check` wrote, or the evidence in it. Its report.json is taken as it is when
this version of Runstone judged this very evidence by the same catalogue, and the suites have not changed
since. A folder that holds nothing but a report.json can be compared by its verdicts, though not by what was
answered.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path

import msgspec

import runstone
from runstone import report
from runstone.compare.comparison import NotComparable, Side, catalogue_of
from runstone.contracts import load_catalogue
from runstone.errors import ExitCode, TargetError
from runstone.judge.suites import judge
from runstone.locations import locate
from runstone.scenario.progress import Progress
from runstone.session import evidence
from runstone.session.opening import open_session
from runstone.session.options import Given, given
from runstone.session.session import Session
from runstone.session.sources import merged
from runstone.target import recipes
from runstone.verdict.model import Report
from runstone.wire.trace import Trace

_AT_ONCE = 2  # folders judged at the same time: two cores are what CI gives


class UnusableTarget(TargetError):  # noqa: N818
    """One of the targets could not be judged at all."""


class _Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that was given: its evidence, unless it holds only a report, and the report if it is good."""

    path: Path
    target: str
    profile: str
    version: str
    traces: dict[str, Trace] | None = None
    report: Report | None = None


def open_sides(names: Sequence[str], asked: Given, progress_of: Callable[[str], Progress]) -> list[Side]:
    """All sides, in the order in which they were named.

    `asked`: how targets are checked; its `out` takes a folder for each. `progress_of` a target tells how its
    check goes. Raises NotComparable, EvidenceError and MalformedReport for a folder, before any target is
    checked; for a target whatever `check` raises, and UnusableTarget where there is nothing to judge.
    """
    if len(names) < 2:
        raise NotComparable("one target alone cannot be compared; name two or more targets or folders")
    folders = [_read(Path(name)) if _is_folder(name) else None for name in names]
    _demand_alike([each for each in folders if each is not None], asked.get("profile_name"))
    titles = _unique(each.target if each else _plain(name) for each, name in zip(folders, names, strict=True))
    outs = [asked.get("out", Path()) / safe_name(each) for each in titles]
    wanted = {
        out: merged(given(target_name=name, out=out), asked)
        for name, out, folder in zip(names, outs, folders, strict=True)
        if folder is None
    }
    for each in wanted.values():
        open_session(each, lambda *_: None)  # what is not known is told before anything takes time
    for name, folder in zip(names, folders, strict=True):
        if folder is None and recipes.is_recipe(name) and (lacks := recipes.lacks(recipes.load(name))):
            raise UnusableTarget(f"{name} cannot run here: {lacks[0]}, or leave it out")
    reports = _judged({out: each for out, each in zip(outs, folders, strict=True) if each is not None})
    return [
        _checked(title, open_session(wanted[out], progress_of(title)))
        if folder is None
        else Side(title, reports[out], folder.traces)
        for title, out, folder in zip(titles, outs, folders, strict=True)
    ]


def _checked(name: str, session: Session) -> Side:
    found = judge(session)
    if found.exit_code == ExitCode.UNREACHABLE:
        raise UnusableTarget(f"{name}: {found.stopped}")
    return Side(name, found, session.traces)


def _is_folder(name: str) -> bool:
    if name in recipes.names() or "://" in name:
        return False
    if Path(name).is_dir():
        return True
    if not recipes.is_recipe(name) and ("/" in name or name.startswith((".", "~"))):
        raise NotComparable(
            f"{name} is neither a folder nor a recipe; a server's address begins with http://"
        )
    return False  # it is looked up among the recipes, which says what there is


def _plain(name: str) -> str:
    return name.split("://", 1)[-1].rstrip("/") if "://" in name else Path(name).name.replace(".yaml", "")


def safe_name(name: str) -> str:
    """The folder of a target: its name without what divides a path or an address."""
    return name.replace("/", "-").replace(":", "-")


def _unique(names: Iterable[str]) -> list[str]:
    """The second `embedded` becomes `embedded-2`."""
    seen: list[str] = []
    for name in names:
        candidates = (f"{name}-{number}" if number > 1 else name for number in count(1))
        seen.append(next(each for each in candidates if each not in seen))
    return seen


def _read(path: Path) -> _Folder:
    recorded = path / "evidence" if (path / "evidence").is_dir() else path
    reported = any((path / name).is_file() for name in ("report.json", "report.json.gz"))
    if recorded == path and reported and not (path / "manifest.json").exists():
        found = report.read(path)
        return _Folder(
            path=path,
            target=found.target.name,
            profile=found.profile,
            version=found.runstone,
            report=found,
        )
    manifest, traces = evidence.read_whole(recorded)
    if manifest.unusable:
        raise UnusableTarget(f"{path} holds nothing to compare: {manifest.stopped}; check the target again")
    return _Folder(
        path=recorded,
        target=manifest.target,
        profile=manifest.profile,
        version=manifest.runstone,
        traces=traces,
        report=_still_good(recorded.parent / "report.json", manifest),
    )


def _still_good(path: Path, manifest: evidence.Manifest) -> Report | None:
    """The report beside the evidence if judging again would say the same, else None."""
    try:
        written = path.stat().st_mtime
        found = report.from_json(path.read_bytes())
    except (OSError, report.MalformedReport):
        return None
    of_it = (found.runstone, found.started_at, found.target.url, found.profile) == (
        manifest.runstone,
        manifest.started_at,
        manifest.url,
        manifest.profile,
    )
    of_today = catalogue_of(found.verdicts) == catalogue_of(load_catalogue().of_checks.values())
    partly = any(case.reason.endswith("not selected") for each in found.verdicts for case in each.cases)
    return found if of_it and of_today and not partly and written > _last_change() else None


def _last_change() -> float:
    """When suites, contracts or recipes were last changed on this machine, in seconds since the epoch."""
    parts = (locate(part) for part in ("suites", "contracts", "fixtures/targets"))
    files = (path for part in parts for path in part.rglob("*") if path.suffix in {".py", ".yaml", ".json"})
    return max(path.stat().st_mtime for path in files)


def _demand_alike(folders: Sequence[_Folder], profile: str | None) -> None:
    """Different folders of one profile and of this version of Runstone, before anything is checked."""
    for number, each in enumerate(folders):
        wanted = profile or folders[0].profile
        if any(each.path.samefile(other.path) for other in folders[:number]):
            raise NotComparable(f"{each.path} was given twice; name two different folders or targets")
        if each.version != runstone.__version__:
            raise NotComparable(
                f"{each.path} is by Runstone {each.version}, this is {runstone.__version__}: their suites "
                "differ; check it again"
            )
        if each.profile != wanted:
            raise NotComparable(
                f"{each.path} is of profile {each.profile}, not {wanted}; check all with the same --profile"
            )


def _judged(folders: Mapping[Path, _Folder]) -> dict[Path, Report]:
    """The report of each folder by where reports go; where there is none that is good it is judged again."""
    found = {out: each.report for out, each in folders.items() if each.report is not None}
    stale = [(each.path, out) for out, each in folders.items() if each.report is None]
    if stale:  # pytest judges, which two threads of one process cannot do
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(_AT_ONCE, len(stale)), mp_context=context) as pool:
            outs = [out for _, out in stale]
            found |= zip(outs, pool.map(judged_again, *zip(*stale, strict=True)), strict=True)
    return found


def judged_again(folder: Path, out: Path) -> Report:
    """Judge an evidence folder offline; its reports go to `out`."""
    asked = given(evidence=folder, out=out, areas=(), select=())
    return judge(open_session(asked, lambda *_: None))
