"""Faults and variants as changes from outside: they name what exists, fit the runtime, and leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from runstone.contracts import load_catalogue
from runstone.proof.faults import Change, UnknownFault, load_faults, load_variants, planted, selected
from runstone.proof.faults.fault import Registry
from runstone.proof.faults.seams import Seams
from runstone.reference import app, outcome
from runstone.reference.scheduler import Scheduler
from runstone.target import recipes

CHANGES = [*load_faults().values(), *load_variants().values()]


@contextmanager
def watched() -> Iterator[dict[tuple[int, str], tuple[object, str, object]]]:
    """What seams change in the block: owner, name, and what stood there before."""
    found: dict[tuple[int, str], tuple[object, str, object]] = {}
    put = Seams.put

    def watching(seams: Seams, owner: object, name: str, value: object) -> None:
        found.setdefault((id(owner), name), (owner, name, vars(owner).get(name)))
        put(seams, owner, name, value)

    with patch.object(Seams, "put", watching):
        yield found


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_change_fits_the_runtime_and_is_taken_back(change: Change) -> None:
    with watched() as seen:
        with planted([change]):
            assert seen, "it changes nothing"
            assert [name for owner, name, before in seen.values() if vars(owner).get(name) is before] == []
        assert [name for owner, name, before in seen.values() if vars(owner).get(name) is not before] == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_change_says_what_it_does(change: Change) -> None:
    assert change.statement.endswith(".")
    assert change.statement[0].isupper() or change.statement.startswith("`")
    assert change.server in recipes.names()


@pytest.mark.parametrize("change", load_faults().values(), ids=lambda change: change.name)
def test_fault_names_the_promises_that_it_breaks(change: Change) -> None:
    assert change.breaks
    assert len(set(change.breaks)) == len(change.breaks)
    assert [id for id in change.breaks if id not in load_catalogue()] == []  # noqa: A001 - the catalogue's name


def test_variants_break_nothing() -> None:
    assert [each.name for each in load_variants().values() if each.breaks or each.patient] == []


def test_several_changes_hold_together_and_the_last_one_is_asked_first() -> None:
    seams = Seams()
    before = outcome.resting_status

    @seams.around(outcome, "resting_status")
    def inner(original: object, *_: object) -> str:
        return f"inner of {original is before}"

    @seams.around(outcome, "resting_status")
    def outer(original: object, *args: object) -> str:
        assert callable(original)
        return f"outer of {original(*args)}"

    assert outcome.resting_status(outcome.SUCCESS, None) == "outer of inner of True"
    seams.close()
    assert outcome.resting_status is before


def test_a_method_gets_its_object() -> None:
    seams = Seams()
    heard: list[object] = []

    @seams.around(Scheduler, "channel")
    def channel(original: object, scheduler: object, run_id: str) -> None:
        heard.extend([callable(original), scheduler, run_id])

    plain = Scheduler.__new__(Scheduler)
    assert plain.channel("r") is None
    assert heard == [True, plain, "r"]
    seams.close()


def test_an_operation_is_changed_at_every_place_that_serves_it() -> None:
    seams = Seams()
    before = app.OPERATIONS

    @seams.around_operation("GET", "/ok")
    async def ok(handler: object, call: object) -> None: ...

    assert [each.handler is not old.handler for each, old in zip(app.OPERATIONS, before, strict=True)] == [
        each.path == "/ok" for each in before
    ]
    with pytest.raises(LookupError, match="no GET /nowhere"):
        seams.around_operation("GET", "/nowhere")
    seams.close()
    assert app.OPERATIONS is before


def test_a_change_that_fails_to_be_planted_leaves_nothing_behind() -> None:
    registry = Registry("fault")

    @registry("RUN-WAIT-001")
    def half_planted(seams: Seams) -> None:
        """Is planted by half."""
        seams.put(outcome, "SUCCESS", None)
        seams.put(outcome, "NO_SUCH_NAME", None)

    before = outcome.SUCCESS
    with pytest.raises(AttributeError, match="NO_SUCH_NAME"), planted([registry.named("half-planted")]):
        pass
    assert outcome.SUCCESS is before


def test_names_are_given_once_and_misspelt_ones_are_told() -> None:
    registry = Registry("variant")

    @registry()
    def lines_differ(seams: Seams) -> None:
        """Does
        nothing."""

    assert registry.named("lines-differ").statement == "Does nothing."
    with pytest.raises(ValueError, match="two variants are called lines-differ"):
        registry()(lines_differ)
    with pytest.raises(UnknownFault, match="no variant 'line-differs'; did you mean lines-differ"):
        registry.named("line-differs")
    with pytest.raises(UnknownFault, match="no fault 'nothing-like-it' "):
        selected(("nothing-like-it",), ())
