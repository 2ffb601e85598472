"""All that a user can say of a run, each thing once: type, default, help, and where it can be said.

The fields of `Options` are the table. From it follow the options of the commands (`runstone.cli.options`) and
of pytest (`runstone.plugin`), the environment variables (`session.sources`), the keys of runstone.toml
(`session.configuration`) and the tables of docs/configuration.md. Whoever adds an option adds a field; what
holds is then read from the session's settings under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, ParamSpec, TypeAlias

import msgspec

from runstone.scenario.observer import PATIENT_S, QUICK_S
from runstone.target.agents import Agent
from runstone.target.control import ServerCommands
from runstone.target.target import RunTimeLimit

# What one source (a command line, the environment, a file, a recipe) says, by the fields of `Options`.
Said: TypeAlias = Mapping[str, Any]
Taker = Literal["check", "explore", "fuzz", "judge", "compare", "result", "pytest"]
_Params = ParamSpec("_Params")

_EXPLORING: Final[tuple[Taker, ...]] = ("check", "explore", "fuzz", "pytest")
_CHECKING: Final[tuple[Taker, ...]] = ("check", "compare", "pytest")
_JUDGING: Final[tuple[Taker, ...]] = ("check", "judge", "pytest")
EXPLORE_S: Final = 60.0  # what the commands explore and fuzz take, where nobody says anything else
_HEADER: Final = "'NAME: VALUE'"

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class LimitsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of `runstone.wire.limits.Limits` that are not to be measured, in seconds and bytes."""

    connect_s: Positive | None = None
    request_s: Positive | None = None
    settle_s: Positive | None = None
    scenario_s: Positive | None = None
    poll_s: Positive | None = None
    body_bytes: Count | None = None
    session_bytes: Count | None = None
    events: Count | None = None

    def given(self) -> dict[str, float]:
        """The fields that are set; a table of runstone.toml has further ones, which are options."""
        members = {name: getattr(self, name) for name in LimitsTable.__struct_fields__}
        return {name: value for name, value in members.items() if value is not None}


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """How a field of `Options` can be said, and what it means.

    `help`: for command lines and docs/configuration.md; the default is added, unless it must be explained.
    `flag`: of command lines, "" for what only runstone.toml or the program says; a flag without a value says
    the opposite of the default. `argument`: commands take it by its position. `takers`: the commands, and
    pytest. `key`: of runstone.toml, with its table. `holds_for`: which targets take it from runstone.toml;
    any at all, any but another recipe than the file's own, or only the one that the file names.
    """

    help: str
    flag: str = ""
    metavar: str = ""
    argument: Literal["optional", "required"] | None = None
    takers: tuple[Taker, ...] = ()
    variable: str = ""
    key: str = ""
    holds_for: Literal["any target", "any address", "its target"] = "any target"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The table: what holds, where everybody who may say something was asked."""

    target_name: Annotated[
        str | None,
        Option(
            help="The server to observe: a URL, the name of a recipe, or the file of one (it ends in .yaml).",
            flag="--target",
            metavar="URL",
            argument="optional",
            takers=_EXPLORING,
            variable="RUNSTONE_TARGET",
            key="target",
        ),
    ] = None
    evidence: Annotated[
        Path | None,
        Option(
            help="Judge this evidence, and observe nothing.",
            flag="--evidence",
            metavar="DIR",
            argument="required",
            takers=("judge", "pytest"),
        ),
    ] = None
    profile_name: Annotated[
        str,
        Option(
            help="The profile of the contract, of contracts/profiles.",
            flag="--profile",
            metavar="NAME",
            takers=(*_EXPLORING, "compare"),
            variable="RUNSTONE_PROFILE",
            key="profile",
        ),
    ] = "langgraph"
    headers: Annotated[
        dict[str, str],
        Option(
            help="Sent with every request, never recorded.",
            flag="--header",
            metavar=_HEADER,
            takers=(*_EXPLORING, "result"),
            variable="RUNSTONE_HEADERS",
            key="headers",
            holds_for="any address",
        ),
    ] = {}
    second_headers: Annotated[
        dict[str, str],
        Option(
            help="The same of a second user, for isolation; declares the capability second_identity.",
            flag="--second-header",
            metavar=_HEADER,
            takers=("check", "pytest"),
            variable="RUNSTONE_SECOND_HEADERS",
            key="second_identity.headers",
            holds_for="any address",
        ),
    ] = {}
    quick: Annotated[
        bool,
        Option(
            help=f"Leave out what must wait for more than {QUICK_S:g} s.",
            flag="--quick",
            takers=_CHECKING,
            key="quick",
        ),
    ] = False
    patient: Annotated[
        bool,
        Option(
            help=f"Judge also what must wait for more than {PATIENT_S:g} s.",
            flag="--patient",
            takers=("check", "pytest"),
            key="patient",
        ),
    ] = False
    concurrency: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=256)] | None,
        Option(
            help="Scenarios at once, beside as many that sleep. Default: 16, quick: 24.",
            flag="--concurrency",
            takers=_CHECKING,
            key="limits.concurrency",
        ),
    ] = None
    budget_s: Annotated[
        Annotated[float, msgspec.Meta(ge=1)] | None,
        Option(
            help="End the observation after so many seconds. "
            f"Default: never, explore and fuzz: {EXPLORE_S:g}.",
            flag="--budget",
            metavar="SECONDS",
            takers=_EXPLORING,
            key="limits.budget_s",
        ),
    ] = None
    seed: Annotated[
        Annotated[int, msgspec.Meta(ge=0)],
        Option(
            help="Which requests areas explore and fuzz make up.",
            flag="--seed",
            takers=_EXPLORING,
            key="seed",
        ),
    ] = 0
    areas: Annotated[
        tuple[str, ...],
        Option(
            help="Only this area; may be repeated.",
            flag="--area",
            metavar="AREA",
            takers=(*_JUDGING, "compare"),
            key="areas",
        ),
    ] = ()
    select: Annotated[
        tuple[str, ...],
        Option(
            help="Only these requirements, like 'RUN-*'; may be repeated.",
            flag="--select",
            metavar="ID-GLOB",
            takers=_JUDGING,
            key="select",
        ),
    ] = ()
    fail_on: Annotated[
        Literal["must", "should"],
        Option(
            help="The weakest promise that a conforming target must keep.",
            flag="--fail-on",
            takers=_JUDGING,
            key="fail_on",
        ),
    ] = "must"
    waivers: Annotated[
        Path | None,
        Option(
            help="The file of known failures, each with its expiry.",
            flag="--waivers",
            metavar="FILE",
            takers=_JUDGING,
            key="waivers",
        ),
    ] = None
    out: Annotated[
        Path | None,
        Option(
            help="Where reports and evidence go. Default: reports/out/TARGET, judge: beside the evidence.",
            flag="--out",
            metavar="DIR",
            takers=(*_EXPLORING, "judge"),
            key="out",
        ),
    ] = None
    config: Annotated[
        Path | None,
        Option(
            help="Default: runstone.toml in the current folder, if there is one.",
            flag="--config",
            metavar="FILE",
            takers=(*_EXPLORING, "judge", "compare"),
        ),
    ] = None
    insist_on_fitness: Annotated[
        bool,
        Option(
            help="Judge even a target without fit conformance graphs.",
            flag="--no-self-check",
            takers=("pytest",),
        ),
    ] = True

    path_prefix: Annotated[
        str,
        Option(
            help="A path in front of every path of the run API, such as `/api`.",
            key="path_prefix",
            holds_for="any address",
        ),
    ] = ""
    restricted_headers: Annotated[
        dict[str, str],
        Option(
            help="The headers of a user who may only read; declares `restricted_identity`.",
            key="restricted_identity.headers",
            holds_for="any address",
        ),
    ] = {}
    assistants: Annotated[
        dict[str, str],
        Option(
            help="Id of a conformance graph = the server's own assistant id.",
            key="assistants",
            holds_for="any address",
        ),
    ] = {}
    agent: Annotated[
        Agent | None,
        Option(
            help="One of the server's own assistants, with an input per outcome: `success.input`, "
            "`error.input`, `interrupt.input` and `interrupt.resume`. It stands in for the conformance "
            "graphs, whatever `[assistants]` says: see [own-agents.md](own-agents.md).",
            key="agent",
            holds_for="any address",
        ),
    ] = None
    capabilities: Annotated[
        dict[str, bool],
        Option(
            help="Name = true or false, the names of `contracts/capabilities.yaml`.",
            key="capabilities",
            holds_for="any address",
        ),
    ] = {}
    run_time_limit: Annotated[
        RunTimeLimit | None,
        Option(
            help="`assistant` and `seconds`: the runs that the server ends by itself.",
            key="run_time_limit",
            holds_for="any address",
        ),
    ] = None
    server_commands: Annotated[
        ServerCommands | None,
        Option(
            help="`restart`, `kill`, `start` (lists of words) and `timeout_s` (default 30).",
            key="server",
            holds_for="its target",
        ),
    ] = None
    own_limits: Annotated[
        LimitsTable,
        Option(
            help=f"{', '.join(f'`{name}`' for name in LimitsTable.__struct_fields__)}. "
            "What is not set follows the server's measured speed.",
            key="limits",
        ),
    ] = LimitsTable()

    idle: Annotated[bool, Option(help="Nothing will be observed, so that no target is needed.")] = False
    bare_report: Annotated[bool, Option(help="Write report.json alone, for a program to read.")] = False


def _as_said(_make: Callable[_Params, Options]) -> Callable[_Params, Said]:
    def given(*_: _Params.args, **fields: _Params.kwargs) -> Said:
        return fields

    return given


# `said(quick=True)` is a source that says no more. The keywords and their types are those of `Options`.
said = _as_said(Options)
NOTHING: Final = said()
