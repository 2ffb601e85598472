"""A judge: a requirement, the function that decides one case of it, and where its arguments come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runstone.contracts import Requirement
from runstone.errors import suggestion
from runstone.judge.declaring import BadDeclaration, Declaration, View
from runstone.scenario.scenario import Scenario

TRACES: Final = "traces"  # the argument that stands for every trace of the session
PROFILE: Final = "profile"  # the argument that stands for the profile in force
_ALWAYS: Final = (TRACES, PROFILE)


@dataclass(frozen=True, slots=True)
class Made:
    """A view with what its own arguments stand for."""

    function: Callable[..., Any]
    arguments: Mapping[str, Source]

    @property
    def of_the_session(self) -> bool:
        """Whether it reads every trace and nothing else, so that all judges are given one and the same."""
        return set(self.arguments) == {TRACES}


# What an argument stands for: the trace of a scenario, the value of a view, or (as its name) what is always
# there: a parameter, all traces, the profile.
Source = Scenario | Made | str


@dataclass(frozen=True, slots=True)
class Judge:
    """One case of one requirement.

    `arguments`: what each argument of the function stands for; `parameters`: the values that make this case;
    `needs`: the capabilities without which it does not apply, those of the requirement among them.
    """

    requirement: Requirement
    function: Callable[..., None]
    arguments: Mapping[str, Source]
    parameters: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    case: str = ""

    @property
    def name(self) -> str:
        """`RUN-WAIT-002[stream]`: the requirement, and the case where there are several."""
        return f"{self.requirement.id}[{self.case}]" if self.case else self.requirement.id

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that it reads by themselves, through views too."""
        return tuple(dict.fromkeys(_scenarios_in(self.arguments)))

    @property
    def reads_all(self) -> bool:
        """Whether it is a monitor, which reads every trace of the session, by itself or through a view."""
        return _reads_all(self.arguments)

    @property
    def cell(self) -> tuple[str, str] | None:
        """The cell of the parity grid that this case fills, as (outcome, entry point); None for most."""
        given = self.parameters
        if not {"outcome", "entry_point"} <= given.keys():
            return None
        return str(given["outcome"]), str(given["entry_point"])


def judges_of(
    function: Callable[..., None],
    declared: Declaration,
    requirement: Requirement,
    found: Callable[[str], object],
) -> Iterator[Judge]:
    """The judges that a function declares, one for each case.

    `found` answers what the suite means by a name: a Scenario, a View, or anything else for none. Raises
    BadDeclaration for an argument that stands for nothing.
    """
    arguments = _arguments(function, declared.parameters, found)
    for variant in declared.variants():
        yield Judge(
            requirement=requirement,
            function=function,
            arguments=arguments,
            parameters=variant.parameters,
            needs=(*requirement.needs, *variant.needs),
            case=variant.name,
        )


def _arguments(
    function: Callable[..., Any], parameters: Collection[str], found: Callable[[str], object]
) -> Mapping[str, Source]:
    return {
        name: _source(name, function, parameters, found) for name in inspect.signature(function).parameters
    }


def _source(
    name: str, function: Callable[..., Any], parameters: Collection[str], found: Callable[[str], object]
) -> Source:
    if name in parameters or name in _ALWAYS:
        return name
    meant = found(name)
    if isinstance(meant, Scenario):
        return meant
    if isinstance(meant, View):
        return Made(meant.function, _arguments(meant.function, parameters, found))
    raise BadDeclaration(
        f"{function.__module__}.{function.__name__} asks for {name!r}, which is not a scenario, a view, "
        f"a parameter of its cases, or one of {', '.join(_ALWAYS)}"
        + suggestion(name, [*parameters, *_ALWAYS])
    )


def _reads_all(arguments: Mapping[str, Source]) -> bool:
    return any(
        _reads_all(source.arguments) if isinstance(source, Made) else source == TRACES
        for source in arguments.values()
    )


def _scenarios_in(arguments: Mapping[str, Source]) -> Iterator[Scenario]:
    for source in arguments.values():
        if isinstance(source, Scenario):
            yield source
        elif isinstance(source, Made):
            yield from _scenarios_in(source.arguments)
