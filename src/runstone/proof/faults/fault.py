"""A fault is one promise broken on purpose; a variant is something else that a correct server may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from runstone.contracts import load_catalogue
from runstone.errors import UsageError, suggestion
from runstone.proof.faults.seams import Seams

Plant = Callable[[Seams], None]
Kind = Literal["fault", "variant"]
Server = Literal["embedded", "embedded-auth"]


class UnknownFault(UsageError):  # noqa: N818 - named as what it reports
    """There is no fault or variant of that name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the reference runtime.

    `statement`: what the changed server does, in one sentence. `breaks`: the requirements that must fail
    because of it, the promise that it breaks first; empty for a variant, which breaks none. `server`: the
    recipe whose check shows it. `shown_in`: areas whose traces show it to the monitors that it breaks; empty
    where the areas of `breaks` do. `patient`: it shows only where the check waits for more than a minute.
    `part`: of a variant, what of the server's answers it changes; two of one part could hide each other.
    """

    kind: Kind
    name: str
    statement: str
    plant: Plant
    breaks: tuple[str, ...] = ()
    server: Server = "embedded"
    shown_in: tuple[str, ...] = ()
    patient: bool = False
    part: str = ""

    @property
    def shown_by_checks(self) -> bool:
        """Whether a check shows it; some break only what a load of thousands of runs is judged by."""
        return not self.breaks or not load_catalogue().of_loads.keys() >= set(self.breaks)


@dataclass(frozen=True, slots=True)
class Registry:
    """The changes of one kind, by name; modules add to it with its decorators."""

    kind: Kind
    changes: dict[str, Change] = field(default_factory=dict)

    def __call__(
        self,
        *breaks: str,
        server: Server = "embedded",
        shown_in: tuple[str, ...] = (),
        patient: bool = False,
        part: str = "",
    ) -> Callable[[Plant], Plant]:
        """Register a function under its own name (with hyphens); its docstring is the statement."""

        def register(plant: Plant) -> Plant:
            name = plant.__name__.replace("_", "-")
            statement = " ".join((plant.__doc__ or "").split())
            if name in self.changes:
                raise ValueError(f"two {self.kind}s are called {name}")
            self.changes[name] = Change(
                self.kind, name, statement, plant, breaks, server, shown_in, patient, part
            )
            return plant

        return register

    def named(self, name: str) -> Change:
        """One of them. Raises UnknownFault."""
        if name not in self.changes:
            hint = suggestion(name, self.changes)
            raise UnknownFault(f"no {self.kind} {name!r}{hint} (`runstone faults` lists them)")
        return self.changes[name]


fault = Registry("fault")
variant = Registry("variant")


@contextmanager
def planted(changes: Sequence[Change]) -> Iterator[None]:
    """The reference runtime, changed, for the time of the block. Start the server inside of it."""
    with closing(Seams()) as seams:
        for change in changes:
            change.plant(seams)
        yield
