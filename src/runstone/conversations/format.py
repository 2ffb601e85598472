"""What a file of scenarios may say: one scenario a file, a key each, none ignored.

    scenario: refund-needs-confirmation
    assistant: support
    vars: {order: ["42", "43"]}            # a case for each combination of values
    turns:
      - user: "Refund order {{order}}"
        expect:
          - contains_function_call: {name: look_up_order, arguments: {order: "{{order}}"}}
          - interrupt: {contains: confirm}
      - resume: true
        expect:
          - contains_all: [refunded, "{{order}}"]
    expect:                                # of the whole conversation
      - trajectory: {mode: in_order, calls: [look_up_order, issue_refund]}

The schema that editors read, contracts/schemas/scenario.json, is made from these structs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

Said = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]
Texts = Annotated[tuple[Said, ...], Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]

EntryPoint = Literal["wait", "stream", "background", "stateless"]
ENTRY_POINTS: Final[tuple[EntryPoint, ...]] = ("wait", "stream", "background", "stateless")
Status = Literal["success", "interrupted", "error", "timeout"]
Matching = Literal["equality", "subset", "schema"]
Mode = Literal["in_order", "any_order", "exact", "unordered"]


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all parts of a file have in common: no key that is not known."""


class FunctionCall(Shape, frozen=True, kw_only=True):
    """A call of a tool: its name, and its arguments by equality, as a subset, or by a JSON Schema.

    `times`: exactly how often; at least once where nothing is said.
    """

    name: Said
    arguments: dict[str, Any] | UnsetType = UNSET
    match: Matching = "equality"
    times: Count | UnsetType = UNSET


class Trajectory(Shape, frozen=True, kw_only=True):
    """The calls of a turn, or of the conversation.

    `in_order`, `any_order`: all of these, and perhaps others between them. `exact`, `unordered`: these alone.
    """

    calls: tuple[Said | FunctionCall, ...]
    mode: Mode = "in_order"


class ValueMatch(Shape, frozen=True, kw_only=True):
    """A JSON value: equal to this, holding this text, or of this JSON Schema; by none, that it is there."""

    equals: Any = UNSET
    contains: Said | UnsetType = UNSET
    schema: dict[str, Any] | bool | UnsetType = UNSET


class PlacedMatch(ValueMatch, frozen=True, kw_only=True):
    """A value at a place such as `$.refund.status` or `$.messages[-1].content`; by default the whole."""

    path: str = "$"


class EventMatch(Shape, frozen=True, kw_only=True):
    """Events of the stream: how many of one name, or names in this order with others between them."""

    mode: Said | UnsetType = UNSET
    count: Count | UnsetType = UNSET
    at_least: Count | UnsetType = UNSET
    contains: Said | UnsetType = UNSET
    order: Texts | UnsetType = UNSET


class Rubric(Shape, frozen=True, kw_only=True):
    """What a model judges. `threshold`: the least score, from 0 to 1. `samples`: how often it is asked."""

    criteria: Said
    threshold: Share = 0.5
    samples: Annotated[int, Meta(ge=1, le=25)] = 1


class Assertion(Shape, frozen=True, kw_only=True):
    """One assertion: exactly one of its kinds, and perhaps a weight in the score and a name in reports."""

    contains: Said | UnsetType = UNSET
    icontains: Said | UnsetType = UNSET
    contains_any: Texts | UnsetType = UNSET
    contains_all: Texts | UnsetType = UNSET
    equals: Said | UnsetType = UNSET
    regex: Said | UnsetType = UNSET
    json: PlacedMatch | UnsetType = UNSET
    contains_function_call: Said | FunctionCall | UnsetType = UNSET
    trajectory: tuple[Said | FunctionCall, ...] | Trajectory | UnsetType = UNSET
    interrupt: Literal[True] | ValueMatch | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    latency_s: Positive | UnsetType = UNSET
    event: Said | EventMatch | UnsetType = UNSET
    state: PlacedMatch | UnsetType = UNSET
    llm_rubric: Said | Rubric | UnsetType = UNSET
    python: Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | UnsetType = UNSET
    negated: Assertion | UnsetType = field(default=UNSET, name="not")
    weight: Positive = 1.0
    name: str = ""

    @property
    def kinds(self) -> list[str]:
        """The kinds that are given; a well-formed one has exactly one."""
        return [each for each in KINDS if getattr(self, _FIELDS[each]) is not UNSET]

    @property
    def kind(self) -> str:
        """Its one kind."""
        return self.kinds[0]

    @property
    def wanted(self) -> Any:
        """What its kind asks for."""
        return getattr(self, _FIELDS[self.kind])


_FIELDS: Final = {
    each.encode_name: each.name
    for each in msgspec.structs.fields(Assertion)
    if each.name not in {"weight", "name"}
}
KINDS: Final = tuple(_FIELDS)


class Turn(Shape, frozen=True, kw_only=True):
    """What is said to the agent, in one of four ways, and what is expected of its answer.

    `user`: a message. `input`: any input of the graph. `resume`: the answer to an interrupt. `command`: as
    the run API has it. `thread`: a name; each thread of a conversation has a memory of its own.
    """

    user: Said | UnsetType = UNSET
    input: Any = UNSET
    resume: Any = UNSET
    command: dict[str, Any] | UnsetType = UNSET
    thread: Name = "main"
    expect: tuple[Assertion, ...] = ()

    @property
    def ways(self) -> list[str]:
        """The ways that are given; a well-formed turn has exactly one."""
        return [each for each in WAYS if getattr(self, each) is not UNSET]


WAYS: Final = ("user", "input", "resume", "command")


class Gate(Shape, frozen=True, kw_only=True):
    """When repeats are good enough: the chance that `pass_k` of them all pass is `at_least` this."""

    pass_k: AtLeastOne = 1
    at_least: Annotated[float, Meta(gt=0, le=1)] = 1.0


class Repeat(Shape, frozen=True, kw_only=True):
    """How often a case is played, and how many of these must pass; all of them where nothing is said."""

    times: Annotated[int, Meta(ge=1, le=1000)] = 1
    gate: Gate = Gate()


class Simulate(Shape, frozen=True, kw_only=True):
    """A user whom a model plays: what it wants, who it is, what it knows, and when it stops."""

    goal: Said
    persona: str = ""
    knows: dict[str, Any] = {}
    first: str = ""
    max_turns: Annotated[int, Meta(ge=1, le=50)] = 8
    stop: Said = "###STOP###"


class User(Shape, frozen=True, kw_only=True):
    """Who speaks, where no turns are written."""

    simulate: Simulate


class Item(Shape, frozen=True, kw_only=True):
    """An item that is put into the store before the conversation begins, and deleted after it."""

    namespace: Texts
    key: Said
    value: dict[str, Any]


class Setup(Shape, frozen=True, kw_only=True):
    """What is there before the first turn.

    `state`: values of the thread, as node `as_node` would write them. `store`: items. `files`: by the name of
    a variable, the path of a file, from the scenario's own folder; its text is the variable's value.
    """

    state: dict[str, Any] = {}
    as_node: Said = "__start__"
    store: tuple[Item, ...] = ()
    files: dict[Name, Said] = {}


class Scenario(Shape, frozen=True, kw_only=True):
    """One scenario. Either `turns`, or a simulated `user`."""

    scenario: Name
    assistant: Said
    description: str = ""
    tags: tuple[Said, ...] = ()
    config: dict[str, Any] = {}
    context: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    vars: dict[Name, Any] = {}
    setup: Setup = Setup()
    entry_point: EntryPoint | Literal["all"] = "stream"
    stream_mode: Texts = ("values", "messages-tuple")
    repeat: Repeat = Repeat()
    turns: tuple[Turn, ...] = ()
    user: User | UnsetType = UNSET
    expect: tuple[Assertion, ...] = ()
    on_turn_failure: Literal["stop", "continue"] = "stop"
    turn_timeout_s: Positive = 60.0

    @property
    def simulated(self) -> Simulate | None:
        """The user that a model plays; None where the turns are written."""
        return None if isinstance(self.user, UnsetType) else self.user.simulate

    @property
    def entry_points(self) -> tuple[EntryPoint, ...]:
        """Those that it is played by; `all` leaves out stateless where a conversation needs a thread."""
        if self.entry_point != "all":
            return (self.entry_point,)
        return ENTRY_POINTS if self.fits_stateless else ENTRY_POINTS[:3]

    @property
    def fits_stateless(self) -> bool:
        """Whether all of it happens within one run."""
        one = len(self.turns) == 1 and self.turns[0].ways in (["user"], ["input"])
        return one and self.simulated is None and not self.setup.state and not self.asks_for("state")

    def asks_for(self, *kinds: str) -> bool:
        """Whether some assertion is of one of these kinds."""
        return any(innermost(each)[0].kind in kinds for each in self.assertions())

    def assertions(self) -> Iterator[Assertion]:
        """All of them: those of the turns, then those of the conversation."""
        for turn in self.turns:
            yield from turn.expect
        yield from self.expect


# An assertion without its `not`s, and whether what is left is negated.
Innermost: TypeAlias = tuple[Assertion, bool]


def innermost(assertion: Assertion) -> Innermost:
    """What is asserted or denied in the end."""
    denied = False
    while isinstance(assertion.negated, Assertion):
        assertion, denied = assertion.negated, not denied
    return assertion, denied
