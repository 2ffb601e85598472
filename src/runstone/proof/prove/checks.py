"""One check of one server, in a process of its own: what `runstone check` does, but forked."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.judge.suites import judge
from runstone.proof.faults import Change
from runstone.proof.prove.null_servers import BOASTFUL, NullServer
from runstone.proof.prove.processes import reference_server, write_to
from runstone.report import from_json
from runstone.session import configuration
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.target import recipes
from runstone.target.target import Target
from runstone.verdict.model import Report

LOG: Final = "check.log"
_VARIABLES: Final = {"fault": "RUNSTONE_FAULT", "variant": "RUNSTONE_VARIANT"}


@dataclass(frozen=True, slots=True)
class Check:
    """What is checked: a recipe of the reference runtime, changed or not, or a null server.

    `areas`, `select`: empty for all. `budget_s`: when the check ends itself. `weight`: how many checks of one
    area it counts for while it runs. `confirm`: whether what would be broken is observed again, as of
    a user's server; a fault that is caught once is caught.
    """

    name: str
    out: Path
    recipe: str = "embedded"
    changes: tuple[Change, ...] = ()
    null_server: NullServer | None = None
    areas: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    quick: bool = False
    patient: bool = False
    insist_on_fitness: bool = True
    confirm: bool = False
    concurrency: int | None = None
    budget_s: float = 60.0
    weight: float = 1

    def run(self) -> None:
        """Check it in this process, which is to be a forked one; report and evidence are in `out`."""
        self.out.mkdir(parents=True, exist_ok=True)
        os.chdir(self.out)  # where no runstone.toml lies but the one that follows
        if self.null_server is not None:
            (self.out / configuration.FILE).write_text(BOASTFUL, "utf-8")
        write_to(self.out / LOG)
        for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
            del os.environ[name]
        for kind, variable in _VARIABLES.items():  # for the servers too that a scenario starts for itself
            os.environ[variable] = " ".join(each.name for each in self.changes if each.kind == kind)
        if self.null_server is not None:
            with self.null_server.up(self.out) as url:
                self._judge(url, None)
        else:
            recipe = recipes.load(self.recipe)
            with reference_server(recipe) as url:
                self._judge(self.recipe, lambda target: nullcontext(msgspec.structs.replace(target, url=url)))

    def _judge(self, target: str, reach: Callable[[Target], AbstractContextManager[Target]] | None) -> None:
        asked = given(
            target_name=target,
            areas=self.areas,
            select=self.select,
            quick=self.quick,
            patient=self.patient,
            insist_on_fitness=self.insist_on_fitness,
            concurrency=self.concurrency,
            budget_s=self.budget_s,
            out=self.out,
            confirm=int(self.confirm),
            bare_report=True,  # of hundreds; `runstone judge` makes the others of the evidence beside it
            one_process=True,
        )
        judge(open_session(asked, _quiet, reach=reach))

    def report(self) -> Report | None:
        """What it found; None when it did not come so far."""
        path = self.out / "report.json"
        return from_json(path.read_bytes()) if path.exists() else None

    def last_words(self) -> str:
        """The end of what it printed, on one line."""
        path = self.out / LOG
        said = path.read_text("utf-8", "replace").split("\n") if path.exists() else []
        return " ".join([line.strip() for line in said if line.strip()][-1:])[:300]


def _quiet(*_: Any) -> None:
    """Many checks run at once; how far each is tells nobody anything."""
