"""What a load leaves on its target when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from runstone.load.invariants import NOT_LOST
from runstone.load.messages import Found
from runstone.load.running import Running, Wanted
from runstone.session.left_over import Journal
from runstone.target.target import Target
from tests.load.starts import THREAD, waited
from tests.load.test_outcome import PLAN
from tests.load.test_sweep import swept, thread

HEALTHY = "7b0e8f2a-0000-4000-8000-000000000001"
BROKEN = "7b0e8f2a-0000-4000-8000-000000000002"
DRAWN = "7b0e8f2a-0000-4000-8000-000000000003"


@pytest.mark.parametrize(
    "keep, deleted", [("none", [HEALTHY, BROKEN, DRAWN, THREAD]), ("failed", [HEALTHY, DRAWN]), ("all", [])]
)
def test_what_is_kept_is_neither_deleted_now_nor_by_the_next_load(
    keep: Literal["none", "failed", "all"], deleted: list[str], tmp_path: Path
) -> None:
    wanted = Wanted(plan=PLAN, out=tmp_path, local=1, host="", port=0, server="here", keep=keep)
    path = tmp_path / "journal"
    journal = Journal(path, [])
    running = Running(Target(name="here", url=PLAN.url), wanted, lambda _: None, journal)
    running._note_made((HEALTHY, BROKEN, DRAWN, THREAD))
    running._note_found(found(BROKEN, {NOT_LOST: "lost"}))
    running._note_found(found(DRAWN, {}))
    assert running._unwanted(swept([thread()])) == deleted
    journal.close()
    noted = path.read_text("utf-8").splitlines()
    assert len(noted) == (0 if keep == "all" else 4)


def found(of: str, broken: dict[str, str]) -> Found:
    return Found(token=of, kind="wait", thread=of, at=0.0, broken=broken, trace=waited())
