"""Everything that a user can set, each option once: its type, default and help, and where it can be set.

The fields of `Options` are the table. From it follow the options of the commands (`runstone.cli.options`) and
of pytest (`runstone.plugin`), the environment variables (`session.sources`), the keys of runstone.toml
(`session.configuration`) and the tables of docs/configuration.md. Whoever adds an option adds a field; what
holds is then read from the session's settings under its name.
"""

# ruff: noqa: RUF009 - each call of `option` makes a field, which the rule cannot see

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

import msgspec

from runstone.scenario.patience import PATIENT_S, QUICK_S
from runstone.scenario.shard import Shard
from runstone.session.option import Command, option
from runstone.target.agents import Agent
from runstone.target.commands import ServerCommands
from runstone.target.target import RunTimeLimit
from runstone.wire.network import Network

# What one source (a command line, the environment, a file, a recipe) sets, by the fields of `Options`.
Given: TypeAlias = Mapping[str, Any]
_Params = ParamSpec("_Params")
_Value = TypeVar("_Value")

_EXPLORING: Final[tuple[Command, ...]] = ("check", "explore", "fuzz", "pytest")
_REACHING: Final[tuple[Command, ...]] = (*_EXPLORING, "result", "init", "load", "scenarios")
_CHECKING: Final[tuple[Command, ...]] = ("check", "compare", "pytest")
_AT_ONCE: Final[tuple[Command, ...]] = (*_CHECKING, "scenarios")
_JUDGING: Final[tuple[Command, ...]] = ("check", "judge", "pytest")
EXPLORE_S: Final = 60.0  # of the commands explore and fuzz, where no other budget is set
_HEADER: Final = "'NAME: VALUE'"
_JSON: Final = "JSON"

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class LimitsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of `runstone.wire.limits.Limits` that are not to be measured, in seconds and bytes."""

    connect_s: Positive | None = None
    request_s: Positive | None = None
    settle_s: Positive | None = None
    scenario_s: Positive | None = None
    poll_s: Positive | None = None
    pause_s: Positive | None = None
    body_bytes: Count | None = None
    session_bytes: Count | None = None
    events: Count | None = None

    def given(self) -> dict[str, float]:
        """The fields that are set; a table of runstone.toml has further ones, which are options."""
        members = {name: getattr(self, name) for name in LimitsTable.__struct_fields__}
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The table: the options with the values that hold, once all sources are merged."""

    target_name: str | None = option(
        None,
        "The server to observe: a URL, the name of a recipe, or the file of one (it ends in .yaml).",
        flag="--target",
        metavar="URL",
        argument="optional",
        commands=(*_EXPLORING, "init", "load", "scenarios"),
        envvar="RUNSTONE_TARGET",
        key="target",
    )
    evidence: Path | None = option(
        None,
        "Judge this evidence, and observe nothing.",
        flag="--evidence",
        metavar="DIR",
        argument="required",
        commands=("judge", "pytest"),
    )
    profile_name: str = option(
        "langgraph",
        "The profile of the contract, of contracts/profiles.",
        flag="--profile",
        metavar="NAME",
        commands=(*_EXPLORING, "compare"),
        envvar="RUNSTONE_PROFILE",
        key="profile",
    )
    headers: dict[str, str] = option(
        {},
        "Sent with every request, never recorded.",
        flag="--header",
        metavar=_HEADER,
        commands=_REACHING,
        envvar="RUNSTONE_HEADERS",
        key="headers",
        holds_for="any address",
    )
    second_headers: dict[str, str] = option(
        {},
        "The same of a second user, for isolation; declares the capability second_identity.",
        flag="--second-header",
        metavar=_HEADER,
        commands=("check", "pytest"),
        envvar="RUNSTONE_SECOND_HEADERS",
        key="second_identity.headers",
        holds_for="any address",
    )
    ca_file: Path | None = option(
        None,
        "Trust who is certified by these authorities (PEM).",
        flag="--ca-file",
        metavar="FILE",
        commands=_REACHING,
        key="network.ca_file",
        holds_for="any address",
    )
    client_cert: Path | None = option(
        None,
        "The certificate that is shown to the target (PEM).",
        flag="--client-cert",
        metavar="FILE",
        commands=_REACHING,
        key="network.client_cert",
        holds_for="any address",
    )
    client_key: Path | None = option(
        None,
        "Its key, if that is in a file of its own.",
        flag="--client-key",
        metavar="FILE",
        commands=_REACHING,
        key="network.client_key",
        holds_for="any address",
    )
    insecure: bool = option(
        False,
        "Check no certificate; every report says so.",
        flag="--insecure",
        commands=_REACHING,
        key="network.insecure",
        holds_for="any address",
    )
    proxy: str | None = option(
        None,
        "Reach the target by this proxy; env: by what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say.",
        flag="--proxy",
        metavar="URL|env",
        commands=_REACHING,
        key="network.proxy",
        holds_for="any address",
    )
    quick: bool = option(
        False,
        f"Leave out what must wait for more than {QUICK_S:g} s, and what asks for much.",
        flag="--quick",
        commands=_CHECKING,
        key="quick",
    )
    patient: bool = option(
        False,
        f"Judge also what must wait for more than {PATIENT_S:g} s.",
        flag="--patient",
        commands=("check", "pytest"),
        key="patient",
    )
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = option(
        None,
        "Scenarios at once, beside as many that sleep. Default: 16, quick: 24; over a long line up "
        "to eight times as many; acceptance scenarios: 8.",
        flag="--concurrency",
        commands=_AT_ONCE,
        key="limits.concurrency",
    )
    budget_s: Annotated[float, msgspec.Meta(ge=1)] | None = option(
        None,
        f"End the observation after so many seconds. Default: never, explore and fuzz: {EXPLORE_S:g}.",
        flag="--budget",
        metavar="SECONDS",
        commands=_EXPLORING,
        key="limits.budget_s",
    )
    seed: Annotated[int, msgspec.Meta(ge=0)] = option(
        0, "Which requests areas explore and fuzz make up.", flag="--seed", commands=_EXPLORING, key="seed"
    )
    areas: tuple[str, ...] = option(
        (),
        "Only this area; may be repeated.",
        flag="--area",
        metavar="AREA",
        commands=(*_JUDGING, "compare"),
        key="areas",
    )
    select: tuple[str, ...] = option(
        (),
        "Only these requirements, like 'RUN-*'; may be repeated.",
        flag="--select",
        metavar="ID-GLOB",
        commands=_JUDGING,
        key="select",
    )
    fail_on: Literal["must", "should"] = option(
        "must",
        "The weakest promise that a conforming target must keep.",
        flag="--fail-on",
        commands=(*_JUDGING, "load", "merge"),
        key="fail_on",
    )
    waivers: Path | None = option(
        None,
        "The file of known failures, each with its expiry.",
        flag="--waivers",
        metavar="FILE",
        commands=(*_JUDGING, "load", "merge"),
        key="waivers",
    )
    out: Path | None = option(
        None,
        "Where reports and evidence go. Default: reports/out/TARGET, judge: beside the evidence, load: "
        "reports/out/TARGET/load.",
        flag="--out",
        metavar="DIR",
        commands=(*_EXPLORING, "judge", "load", "scenarios"),
        key="out",
    )
    keep: Literal["none", "failed", "all"] = option(
        "none",
        "What a check made on the target and leaves there at its end; failed: what broken scenarios made, "
        "and broken starts of a load.",
        flag="--keep",
        commands=("check", "load", "scenarios", "pytest"),
        key="keep",
    )
    confirm: Annotated[int, msgspec.Meta(ge=0, le=1)] = option(
        1,
        "How often what seems broken is observed again, alone and calm; 0: never.",
        flag="--confirm",
        commands=("check", "pytest"),
        key="confirm",
    )
    shard: Shard | None = option(
        None,
        "Observe the I-th of N parts of all, and report nothing: `runstone merge` judges them all.",
        flag="--shard",
        metavar="I/N",
        commands=("check",),
    )
    durations: Path | None = option(
        None,
        "What each scenario costs, which shards go by: a file like contracts/durations.yaml, or EVIDENCE.",
        flag="--durations",
        metavar="FILE",
        commands=("check",),
        key="durations",
    )
    capacity: Count | None = option(
        None,
        "How many runs the target executes at once. Default: what a recipe says, else it is measured.",
        flag="--capacity",
        commands=_AT_ONCE,
        key="limits.capacity",
    )
    config: Path | None = option(
        None,
        "Default: runstone.toml in the current folder, if there is one.",
        flag="--config",
        metavar="FILE",
        commands=(*_EXPLORING, "judge", "load", "merge", "compare", "scenarios"),
    )
    insist_on_fitness: bool = option(
        True,
        "Judge even a target without fit conformance graphs.",
        flag="--no-self-check",
        commands=("pytest",),
    )

    path_prefix: str = option(
        "",
        "A path in front of every path of the run API, such as `/api`.",
        key="path_prefix",
        holds_for="any address",
    )
    restricted_headers: dict[str, str] = option(
        {},
        "The headers of a user who may only read; declares `restricted_identity`.",
        key="restricted_identity.headers",
        holds_for="any address",
    )
    assistants: dict[str, str] = option(
        {},
        "Id of a conformance graph = the server's own assistant id.",
        key="assistants",
        holds_for="any address",
    )
    agent: Agent | None = option(
        None,
        "One of the server's own assistants, with an input per outcome: `success.input`, `error.input`, "
        "`interrupt.input` and `interrupt.resume`. It stands in for the conformance graphs, whatever "
        "`[assistants]` says: see [own-agents.md](own-agents.md).",
        key="agent",
        holds_for="any address",
    )
    capabilities: dict[str, bool] = option(
        {},
        "Name = true or false, the names of `contracts/capabilities.yaml`.",
        key="capabilities",
        holds_for="any address",
    )
    run_time_limit: RunTimeLimit | None = option(
        None,
        "`assistant` and `seconds`: the runs that the server ends by itself.",
        key="run_time_limit",
        holds_for="any address",
    )
    server_commands: ServerCommands | None = option(
        None,
        "`restart`, `kill`, `start` (lists of words) and `timeout_s` (default 30).",
        key="server",
        holds_for="its target",
    )
    own_limits: LimitsTable = option(
        LimitsTable(),
        f"{', '.join(f'`{name}`' for name in LimitsTable.__struct_fields__)}. What is not set follows the "
        "server's measured speed.",
        key="limits",
    )
    agent_id: str | None = option(
        None,
        "Check one of the server's own assistants in place of the conformance graphs.",
        flag="--agent",
        metavar="ID",
        commands=("check",),
    )
    agent_input: str | None = option(
        None, "The input with which its run ends well.", flag="--input", metavar=_JSON, commands=("check",)
    )
    agent_error_input: str | None = option(
        None, "An input with which its run fails.", flag="--error-input", metavar=_JSON, commands=("check",)
    )
    agent_interrupt_input: str | None = option(
        None,
        "An input with which its run pauses; needs --resume.",
        flag="--interrupt-input",
        metavar=_JSON,
        commands=("check",),
    )
    agent_resume: str | None = option(
        None, "The answer that lets it go on.", flag="--resume", metavar=_JSON, commands=("check",)
    )
    no_graphs: bool = option(
        False, "Start no run: judge only what needs none.", flag="--no-graphs", commands=("check",)
    )

    idle: bool = option(False, "Nothing will be observed, so that no target is needed.")
    bare_report: bool = option(False, "Write report.json alone, for a program to read.")
    one_process: bool = option(False, "Judge in one process, as many checks go on at once.")

    @property
    def network(self) -> Network:
        """How the target is reached."""
        files = {name: getattr(self, name) for name in ("ca_file", "client_cert", "client_key")}
        paths = {name: None if path is None else str(path) for name, path in files.items()}
        return Network(**paths, insecure=self.insecure, proxy=self.proxy)


def _sparse(_make: Callable[_Params, Options]) -> Callable[_Params, Given]:
    def given(*_: _Params.args, **fields: _Params.kwargs) -> Given:
        return fields

    return given


# What the program sets: `given(quick=True)`. The keywords and their types are those of `Options`.
given = _sparse(Options)
NOTHING: Final = given()
