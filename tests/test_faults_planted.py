"""Each fault and each variant can be planted, changes something, and is taken back without a trace."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest

from runstone import reference
from runstone.contracts import load_catalogue
from runstone.proof import faults
from runstone.proof.faults.fault import Change
from runstone.proof.faults.seams import Seams

CHANGES = [*faults.load_faults().values(), *faults.load_variants().values()]
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)


def runtime() -> dict[tuple[str, str], Any]:
    """All that the modules of the reference runtime hold, and their classes, by name."""
    held = {}
    for found in pkgutil.iter_modules(reference.__path__):
        module = importlib.import_module(f"{reference.__name__}.{found.name}")
        for name, value in vars(module).items():
            held[module.__name__, name] = value
            if isinstance(value, type) and value.__module__ == module.__name__:
                held |= {(f"{module.__name__}.{name}", key): member for key, member in vars(value).items()}
    return held


def differing(before: dict[tuple[str, str], Any], after: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    return sorted(key for key in before.keys() | after.keys() if before.get(key) is not after.get(key))


@each_change
def test_change_is_planted_and_taken_back(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    was: dict[tuple[object, str], Any] = {}
    put = Seams.put

    def note(seams: Seams, owner: object, name: str, value: Any) -> None:
        was.setdefault((owner, name), vars(owner).get(name))
        put(seams, owner, name, value)

    monkeypatch.setattr(Seams, "put", note)
    before = runtime()
    with faults.planted([change]):
        assert was, "it changes nothing"
        assert [name for (owner, name), value in was.items() if vars(owner)[name] is value] == []
    assert differing(before, runtime()) == []
    assert [name for (owner, name), value in was.items() if vars(owner).get(name) is not value] == []


@each_change
def test_statement_is_one_sentence(change: Change) -> None:
    assert re.fullmatch(r"[A-Z`].*[^.]\.", change.statement), change.statement
    assert len(change.statement) <= 120


@pytest.mark.parametrize("change", faults.load_faults().values(), ids=lambda change: change.name)
def test_fault_breaks_requirements_of_the_catalogue(change: Change) -> None:
    assert change.breaks
    assert sorted(set(change.breaks)) == sorted(change.breaks)
    assert set(change.breaks) <= set(load_catalogue())
