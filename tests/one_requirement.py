"""Whether a requirement is whole: `make requirement ID=RUN-LIST-001` looks at each place that it needs.

Its promise in the catalogue, its judge in the suites, the reference runtime that keeps it, and the faults
that break it. What is missing is told with where to write it. All is asked of the project's own commands.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from runstone.contracts import Requirement, load_catalogue
from runstone.errors import RunstoneError
from runstone.locations import CHECKOUT
from runstone.proof.faults import Change, load_faults

_CONTRACT_TESTS: Final = ("contracts", "test_suites.py", "test_faults.py", "test_faults_planted.py")
_LAST_LINES: Final = 12
_INDENT: Final = "\n" + " " * 20


class Incomplete(Exception):  # noqa: N818 - a finding about the requirement
    """Something is missing or broken; the message says what to do."""


def main(requirement: str) -> int:
    """Look at each place in turn, and tell; 0 where nothing is missing, else 1."""
    try:
        promise = load_catalogue()[requirement]
    except RunstoneError as error:
        _tell("promise", f"{error}: write it into contracts/requirements/<area>.yaml", ok=False)
        return 1
    print(f"{promise.id} ({promise.level}): {promise.statement}")  # noqa: T201 - it is a command
    _tell("promise", str(_catalogue_file(promise)))
    faults = [each for each in load_faults().values() if promise.id in each.breaks]
    looks: dict[str, Callable[[], str]] = {
        "judge": lambda: _judge(promise),
        "style": lambda: _style(promise, faults),
        "contracts": _contracts,
        "kept": lambda: _kept(promise, faults),
        "broken": lambda: _broken(promise, faults),
    }
    if promise.id in load_catalogue().of_loads:  # no suite judges it, and no check shows it
        looks = {place: looks[place] for place in ("style", "contracts")}
        _tell("judge", "src/runstone/load; tests/load/test_faults.py tries its faults", ok=bool(faults))
    whole = True
    for place, look in looks.items():
        try:
            _tell(place, look())
        except Incomplete as error:
            whole = False
            _tell(place, str(error), ok=False)
    return 0 if whole else 1


def _tell(place: str, text: str, *, ok: bool = True) -> None:
    print(f"  {'ok   ' if ok else 'TO DO'}  {place:<10} {text}", flush=True)  # noqa: T201


def _catalogue_file(promise: Requirement) -> Path:
    return Path("contracts/requirements", f"{promise.area}.yaml")


def _judge(promise: Requirement) -> str:
    """The tests that judge it, as pytest collects them."""
    done = _run("pytest", "suites", "--collect-only", "-q", "--select", promise.id)
    found = re.findall(r"^(\S+?::\w+)(?:\[.*\])?$", done.stdout, re.MULTILINE)
    if not found:
        likely = Path("suites", f"test_{promise.area.replace('-', '_')}.py")
        raise Incomplete(
            f'no test judges it: write one with @requirement("{promise.id}") into {likely}, '
            f"and the scenario that it reads{_said(done) if done.returncode not in {0, 5} else ''}"
        )
    return f"{', '.join(sorted(set(found)))}, {len(found)} case{'s' * (len(found) != 1)}"


def _style(promise: Requirement, faults: Sequence[Change]) -> str:
    """The linters over the files in which the requirement and its faults stand."""
    mark = f'"{promise.id}"'
    suites = [path for path in (CHECKOUT / "suites").glob("*.py") if mark in path.read_text("utf-8")]
    planted = [Path(each.plant.__code__.co_filename) for each in faults]
    files = sorted({str(path.relative_to(CHECKOUT)) for path in (*suites, *planted)})
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["tests.words"]):
        given = [*files, str(_catalogue_file(promise))] if words == ["tests.words"] else files
        done = _run(*words, *given)
        if done.returncode:
            raise Incomplete(f"{' '.join(words)} finds faults; `make fmt` corrects some{_said(done)}")
    return f"{len(files)} files"


def _contracts() -> str:
    """The tests of the catalogue, the suites and the faults."""
    files = [f"tests/{name}" for name in _CONTRACT_TESTS]
    done = _run("pytest", "-q", *files)
    if done.returncode:
        raise Incomplete(f"the tests of the contracts fail{_said(done)}")
    return done.stdout.strip().splitlines()[-1]


def _kept(promise: Requirement, faults: Sequence[Change]) -> str:
    """A check of the reference runtime."""
    server = faults[0].server if faults else "embedded"
    patient = ["--patient"] if any(each.patient for each in faults) else []
    with tempfile.TemporaryDirectory() as folder:
        done = _run("runstone", "check", server, "--select", promise.id, "--out", folder, *patient)
        report = Path(folder, "report.json")
        found = _verdict(json.loads(report.read_text("utf-8")), promise.id) if report.exists() else {}
    if found.get("verdict") != "pass":
        cases = [f"{each['case']}: {each['verdict']}: {each['reason']}" for each in found.get("cases", ())]
        raise Incomplete(
            f"{server} does not keep it{''.join(f'{_INDENT}{case}' for case in cases) or _said(done)}"
        )
    return f"by {server}, {len(found['cases'])} case{'s' * (len(found['cases']) != 1)}"


def _verdict(report: dict[str, Any], requirement: str) -> dict[str, Any]:
    return next((each for each in report["verdicts"] if each["id"] == requirement), {})


def _broken(promise: Requirement, faults: Sequence[Change]) -> str:
    """A proof of the faults that name it: each makes all fail that it names."""
    if not faults and promise.level == "MAY":
        return "a MAY needs no fault"
    if not faults:
        raise Incomplete(
            f'no fault breaks it: write one with @fault("{promise.id}") into a file of '
            f"{Path(load_faults.__code__.co_filename).parent.relative_to(CHECKOUT)}"
        )
    chosen = [word for each in faults for word in ("--fault", each.name)]
    with tempfile.TemporaryDirectory() as folder:
        done = _run("runstone", "prove", *chosen, "--out", folder)
    if done.returncode:
        raise Incomplete(f"`runstone prove {' '.join(chosen)}` does not prove it{_said(done)}")
    return f"by {', '.join(each.name for each in faults)}"


def _run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the project, in the checkout."""
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """The last lines of what a command said, each on a line of its own."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "".join(f"{_INDENT}{line}" for line in lines[-_LAST_LINES:])


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        raise SystemExit("name one requirement: make requirement ID=RUN-LIST-001")
    raise SystemExit(main(sys.argv[1]))
