"""How many requirements one repair frees: a check through a proxy that makes right what the first cause says.

    python -m tests.first_cause_repaired pure-graph --direct REPORT.json --out DIR

REPORT.json is a direct check's. Of the requirements that hang on its first cause are counted those that hang
on it no more, and those that can be judged now: in all the cases that hung on it, or in some. Of the other
cases is told on what they hang instead: a refusal hides whatever is wrong behind it. Exit code 1 where less
than 80 % of the requirements are judged in all those cases.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runstone.judge.suites import judge
from runstone.report import document
from runstone.report.digest import cause_words
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.target import recipes
from runstone.target.target import Target
from runstone.verdict.model import Cause, Report
from tests.repairing import AS_A_RESULT, IN_A_LIST, Repair, repairing

REPAIRS: Final[dict[str, Repair]] = {"pure-graph": IN_A_LIST, "gaussdb": AS_A_RESULT}  # of its first cause
_LEAST: Final = 0.8


def checked(recipe: recipes.Recipe, repair: Repair, only: tuple[str, ...], out: Path) -> Report:
    """The report of a check of these requirements through the proxy."""

    @contextmanager
    def reach(target: Target) -> Iterator[Target]:
        with recipes.running(recipe) as server, repairing(server.url, repair) as url:
            yield msgspec.structs.replace(target, url=url)

    asked = given(target_name=recipe.name, out=out, select=only, confirm=0)
    return judge(open_session(asked, lambda *_: None, reach=reach))


def hanging(report: Report, cause: Cause) -> set[tuple[str, str]]:
    """The cases that hang on this cause, each with its requirement."""
    return {(each.id, case.case) for each in report.verdicts for case in each.cases if case.cause == cause.id}


def unjudged(wanted: set[tuple[str, str]], cause: Cause, repaired: Report) -> set[tuple[str, str]]:
    """Those of the cases that cannot be judged through the proxy either, or hang on the cause still."""
    now = {(each.id, case.case): case.verdict for each in repaired.verdicts for case in each.cases}
    unable = {each for each in wanted if now.get(each, "not-testable") == "not-testable"}
    return unable | (wanted & hanging(repaired, cause))


def told(wanted: set[tuple[str, str]], cause: Cause, repaired: Report) -> Iterator[str]:
    """What became of the cases that hung on the cause, in lines for people."""
    left = {name for name, _ in hanging(repaired, cause)}
    now = {(each.id, case.case): case for each in repaired.verdicts for case in each.cases}
    unable = unjudged(wanted, cause, repaired)
    names, some = {name for name, _ in wanted}, {name for name, _ in wanted - unable}
    whole = names - {name for name, _ in unable}
    yield f"{cause.operation} answered {cause.answer}: {cause.reason}"
    yield f"{len(names - left)} of {len(names)} requirements hang on it no more"
    yield f"{len(whole)} are judged in all cases that hung on it, {len(some)} in some of them"
    yield f"{len(wanted - unable)} of {len(wanted)} cases that hung on it are judged"
    others = Counter(now[each].cause for each in unable if each in now)
    for other in repaired.causes:
        if other.id in others:
            yield f"  {others[other.id]} of the others hang on {cause_words(other)[:120]}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", choices=REPAIRS)
    parser.add_argument("--direct", type=Path, required=True, help="the report.json of a direct check")
    parser.add_argument("--out", type=Path, default=Path("reports/out/repaired"))
    asked = parser.parse_args()
    direct = document.from_json(asked.direct.read_bytes())
    cause = direct.causes[0]
    repaired = checked(recipes.load(asked.recipe), REPAIRS[asked.recipe], cause.requirements, asked.out)
    wanted = hanging(direct, cause)
    for line in told(wanted, cause, repaired):
        print(line)  # noqa: T201
    whole = {name for name, _ in wanted} - {name for name, _ in unjudged(wanted, cause, repaired)}
    return int(len(whole) < _LEAST * len(cause.requirements))


if __name__ == "__main__":
    sys.exit(main())
