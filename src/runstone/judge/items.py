"""How pytest finds judges: every function of a suite that declares a requirement is an item for each case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runstone.contracts import load_catalogue
from runstone.contracts.catalogue import UnknownRequirement
from runstone.judge.declaring import BadDeclaration, Declaration, View, declaration_of
from runstone.judge.judges import Judge, judges_of
from runstone.judge.observed import Observed
from runstone.judge.running import Judgement, run
from runstone.scenario.scenario import Scenario


class JudgeItem(pytest.Item):
    """One judge as pytest runs it; `observed` is set when there is something to judge."""

    observed: Observed

    def __init__(self, *, judge: Judge, **rest: Any) -> None:
        super().__init__(**rest)
        self.judge = judge
        self.judgement: Judgement | None = None
        self.add_marker(pytest.mark.requirement(judge.requirement.id))

    def runtest(self) -> None:
        """Judge; raises what the judge raised, for all of pytest's plugins to see."""
        self.judgement = run(self.judge, self.observed)
        if self.judgement.error is not None:
            raise self.judgement.error

    def reportinfo(self) -> tuple[Path, int, str]:
        """File, line and name, as pytest tells them."""
        return self.path, self.judge.function.__code__.co_firstlineno - 1, self.name


class Collecting:
    """The hooks that make items of judges."""

    def __init__(self) -> None:
        self._shared: dict[Path, ModuleType] = {}  # conftest modules by their folder

    def pytest_plugin_registered(self, plugin: object) -> None:
        """Learn of a conftest, whose scenarios all suites beside it and below share."""
        if isinstance(plugin, ModuleType) and Path(plugin.__file__ or "").name == "conftest.py":
            self._shared[Path(str(plugin.__file__)).parent] = plugin

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> list[JudgeItem] | None:
        """The judges of a function; what is not a judge is left to pytest."""
        declared = declaration_of(obj)
        if declared is None:
            return None
        try:
            return list(self._items(collector, name, obj, declared))
        except (BadDeclaration, UnknownRequirement) as error:
            raise collector.CollectError(f"{collector.nodeid}::{name}: {error}") from None

    def _items(
        self, collector: pytest.Module | pytest.Class, name: str, function: Any, declared: Declaration
    ) -> Iterator[JudgeItem]:
        if not declared.requirement:
            raise BadDeclaration("it has cases or needs, but judges no @requirement")
        if getattr(function, "pytestmark", ()):
            raise BadDeclaration("it has marks of pytest; a judge is declared with @cases and @needs alone")
        promise = load_catalogue()[declared.requirement]
        for judge in judges_of(function, declared, promise, lambda word: self._meant(collector, word)):
            title = f"{name}[{judge.case}]" if judge.case else name
            yield JudgeItem.from_parent(collector, name=title, judge=judge)

    def _meant(self, collector: pytest.Module | pytest.Class, word: str) -> Scenario | View | None:
        """The scenario or view that a suite means by a name: its own, or that of the nearest conftest."""
        module = collector.getparent(pytest.Module)
        assert module is not None  # whatever declares a judge stands in one
        for home in (module.obj, *(self._shared.get(folder) for folder in module.path.parents)):
            found = getattr(home, word, None)
            if isinstance(found, Scenario | View):
                return found
        return None
