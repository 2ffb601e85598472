"""How many requirements one repair frees: a check through a proxy that makes right what the first cause says.

    python -m tests.first_cause_repaired pure-graph --direct REPORT.json --out DIR

REPORT.json is a direct check's. Of the requirements that hang on its first cause are counted those that hang
on it no more, and those that can be judged now. Exit code 1 where less than 80 % hang on it no more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runstone.judge.suites import judge
from runstone.report import document
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.target import recipes
from runstone.target.target import Target
from runstone.verdict.model import Cause, Report
from tests.repairing import Repair, in_a_list, repairing

REPAIRS: Final[dict[str, Repair]] = {"pure-graph": in_a_list}  # what the first cause of each is
_LEAST: Final = 0.8


def checked(recipe: recipes.Recipe, repair: Repair, only: tuple[str, ...], out: Path) -> Report:
    """The report of a check of these requirements through the proxy."""

    @contextmanager
    def reach(target: Target) -> Iterator[Target]:
        with recipes.running(recipe) as server, repairing(server.url, repair) as url:
            yield msgspec.structs.replace(target, url=url)

    asked = given(target_name=recipe.name, out=out, select=only, confirm=0)
    return judge(open_session(asked, lambda *_: None, reach=reach))


def hanging(report: Report, cause: Cause) -> set[str]:
    """The requirements of which a case hangs on this cause."""
    return {each.id for each in report.verdicts if any(case.cause == cause.id for case in each.cases)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", choices=REPAIRS)
    parser.add_argument("--direct", type=Path, required=True, help="the report.json of a direct check")
    parser.add_argument("--out", type=Path, default=Path("reports/out/repaired"))
    asked = parser.parse_args()
    cause = document.from_json(asked.direct.read_bytes()).causes[0]
    repaired = checked(recipes.load(asked.recipe), REPAIRS[asked.recipe], cause.requirements, asked.out)
    left = hanging(repaired, cause)
    unable = {
        each.id for each in repaired.verdicts if any(case.verdict == "not-testable" for case in each.cases)
    }
    wanted = set(cause.requirements)
    freed = wanted - left
    for line in (
        f"{cause.operation} answered {cause.answer}: {cause.reason}",
        f"{len(freed)} of {len(wanted)} hang on it no more, {len(wanted - unable)} are judged whole",
        f"still: {', '.join(sorted(left)) or 'none'}; not whole: {', '.join(sorted(wanted & unable))}",
    ):
        print(line)  # noqa: T201
    return int(len(freed) < _LEAST * len(wanted))


if __name__ == "__main__":
    sys.exit(main())
