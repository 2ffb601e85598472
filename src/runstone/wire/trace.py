"""What one scenario saw: its exchanges in one trace, which is all that judges read.

A label that the scenario could have given and did not is `Missing`; one that it can never give is mistyped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from runstone.wire.documents import Missing, Several, told
from runstone.wire.exchange import Exchange


class Inapplicable(Exception):  # noqa: N818 - a finding, not an error
    """The case does not apply to this target: it lacks what the scenario needs, and need not have it."""


class AmbiguousLabel(LookupError):  # noqa: N818 - a diagnosis, named for what it says
    """A judge asked for *the* exchange of a label that the scenario gave to several."""


class UnknownName(LookupError):  # noqa: N818
    """A judge asked for what the scenario can never have: the name is mistyped."""


class Names(Protocol):
    """The labels, parts and notes that a scenario can give a name to."""

    def knows(self, name: str) -> bool:
        """Whether it could give this name."""

    def hint(self, name: str) -> str:
        """`; did you mean …?` with the nearest name, or nothing."""


_names: ContextVar[Callable[[str], Names | None]] = ContextVar("names", default=lambda _scenario: None)


@contextmanager
def knowing(names: Callable[[str], Names | None]) -> Iterator[None]:
    """Tell names that a scenario never gives from those that are missing; `names`: of a scenario, by its own.

    Outside of such a block, and for a scenario that is not known, every name could have been given.
    """
    token = _names.set(names)
    try:
        yield
    finally:
        _names.reset(token)


class Trace(msgspec.Struct, frozen=True, dict=True, kw_only=True, omit_defaults=True):
    """Everything one scenario saw. `blocked` says why it could not go on, by part ('' for the whole).

    `inapplicable`, alike, says why what is missing does not apply to this target: reading it raises
    `Inapplicable` instead of `Missing`.
    """

    scenario: str
    exchanges: tuple[Exchange, ...] = ()
    blocked: dict[str, str] = {}
    inapplicable: dict[str, str] = {}
    notes: dict[str, Any] = {}  # what the scenario knew: its own ids, inputs and choices
    started_at: float = 0.0
    finished_at: float = 0.0
    busy: bool = False  # target or machine were, meanwhile, as canaries and the harness's own lag told
    cut_short: bool = False  # the session ended before the scenario did: kept, but nothing is judged on it

    def __getattr__(self, label: str) -> Exchange:
        if label.startswith("__"):
            raise AttributeError(label)
        return self.only(label)

    def find(self, label: str) -> Several[Exchange]:
        """The exchanges with this label, in the order of sending; perhaps none. Raises UnknownName."""
        found = [exchange for exchange in self.exchanges if exchange.label == label]
        if not found:
            self._demand_a_known_name(label)
        return Several(found, f"exchanges labelled {label!r} in {self.scenario}")

    def all(self, label: str) -> Several[Exchange]:
        """The exchanges with this label, at least one. Raises Missing when there is none."""
        found = self.find(label)
        if not found:
            raise self._absence(label)
        return found

    def only(self, label: str) -> Exchange:
        """The one exchange with this label. Raises Missing for none and AmbiguousLabel for several.

        What the network lost and was sent again is not another one.
        """
        found = self.all(label)
        heard = [each for each in found if not each.lost] if len(found) > 1 else []
        if len(heard) > 1:
            raise AmbiguousLabel(f"{self.scenario} has {len(found)} exchanges labelled {label!r}")
        return heard[0] if heard else found[-1]

    def first(self, label: str) -> Exchange:
        """The first exchange with this label. Raises Missing when there is none."""
        return self.all(label)[0]

    def last(self, label: str) -> Exchange:
        """The last exchange with this label. Raises Missing when there is none."""
        return self.all(label)[-1]

    def note(self, key: str) -> Any:
        """What the scenario noted under this key. Raises Missing when it did not get that far."""
        if key not in self.notes:
            self._demand_a_known_name(key)
            raise self._absence(key)
        return told(self.notes[key], f"the note {key!r} of {self.scenario}")

    def part(self, name: str) -> Trace:
        """What one part of the scenario saw (`Api.each`). Raises Missing when that part never began."""
        own = tuple(exchange for exchange in self.exchanges if exchange.part == name)
        blocked = _of_part(self.blocked, name)
        inapplicable = _of_part(self.inapplicable, name)
        if not own:
            self._demand_a_known_name(name)
        if not own and inapplicable and not blocked:
            raise Inapplicable(next(iter(inapplicable.values())))
        if not own:
            raise Missing(f"{self.scenario} has no exchange of part {name!r}" + _because(blocked))
        notes = {key.removeprefix(f"{name}."): value for key, value in self.notes.items()}
        return msgspec.structs.replace(
            self, exchanges=own, blocked=blocked, inapplicable=inapplicable, notes=notes
        )

    @property
    def disturbed(self) -> tuple[str, ...]:
        """Why this observation may show network or load rather than the target; empty where nothing does."""
        found = tuple(f"{each.where}: {each.disturbed}" for each in self.exchanges if each.disturbed)
        return (*found, *(["the target or this machine was busy meanwhile"] if self.busy else []))

    def _demand_a_known_name(self, name: str) -> None:
        names = _names.get()(self.scenario)
        if names is not None and not names.knows(name):
            raise UnknownName(f"{self.scenario} never gives anything the name {name!r}{names.hint(name)}")

    def _absence(self, label: str) -> Missing | Inapplicable:
        # Where the target broke as well, that is what must be told.
        if self.inapplicable and not self.blocked:
            return Inapplicable(next(iter(self.inapplicable.values())))
        return Missing(f"{self.scenario} has no {label!r}" + _because(self.blocked))


def _of_part(reasons: Mapping[str, str], name: str) -> dict[str, str]:
    return {part: reason for part, reason in reasons.items() if part in {"", name}}


def _because(blocked: Mapping[str, str]) -> str:
    reasons = "; ".join(dict.fromkeys(blocked.values()))
    return f": {reasons}" if reasons else ""
