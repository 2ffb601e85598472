"""What several processes judged is told in one order, whichever of them was faster."""

from __future__ import annotations

from runstone.judge.tally import Tally, packed_case, unpack_case
from runstone.verdict.model import Case

CASES = {"ONE-001": ["wait", "stream", "background"], "ONE-002": [""], "ONE-003": [str(n) for n in range(20)]}
CELL = ("success", "wait")


def told_by_workers(late: int, *, lost: bool = False) -> Tally:
    """What the controller of pytest-xdist has at the end; the first ones are told late, and backwards.

    `lost`: no worker lived to tell what it collected.
    """
    worker, controller = Tally(), Tally()
    judged = [(name, case) for name, several in CASES.items() for case in several]
    for name, case in judged:
        worker.collect(name, case)
    for name, case in judged[late:] + judged[:late][::-1]:
        packed = packed_case(name, Case(case=case, verdict="pass"), CELL, unseen=False)
        unpack_case(packed, controller)
    if not lost:
        controller.unpack(worker.packed())
        controller.unpack(worker.packed())  # each of them collects all
    return controller


def test_cases_come_in_the_order_in_which_they_were_collected() -> None:
    for late in (0, 2, 5, 24):
        found = told_by_workers(late).judged(())
        assert {name: [each.case for each in several] for name, several in found.cases.items()} == CASES
        in_the_grid = [(name, each.case) for name, each in found.cells[CELL]]
        assert in_the_grid == [(name, case) for name, several in CASES.items() for case in several]


def test_what_was_judged_by_a_worker_that_died_is_not_lost() -> None:
    found = told_by_workers(5, lost=True).judged(())
    assert {name: sorted(each.case for each in several) for name, several in found.cases.items()} == {
        name: sorted(several) for name, several in CASES.items()
    }
