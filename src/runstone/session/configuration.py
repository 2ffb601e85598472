"""runstone.toml: where the server is and what it can do, written down once.

Every key is optional and none is ignored: an unknown one is an error that suggests the nearest known one.
What the command line or the environment says takes precedence (see `opening`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from runstone.contracts import load_capabilities
from runstone.contracts.reading import WrongShape, convert
from runstone.errors import UsageError, suggestion
from runstone.target.agents import GRAPHS, OUTCOMES, Agent, conformance_graphs
from runstone.target.control import ServerCommands
from runstone.target.target import RunTimeLimit, parsed_headers
from runstone.verdict.model import FailOn
from runstone.wire.network import Network

FILE: Final = "runstone.toml"
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")

# A capability that takes more than a word to declare, and the key that declares it.
_DECLARED_BY: Final = {
    "run_time_limit": "run_time_limit = {assistant = ID, seconds = N}",
    "second_identity": "[second_identity] headers",
    "restricted_identity": "[restricted_identity] headers",
    "restart": "[server] restart",
    "kill": "[server] kill and start",
}
_BY_GRAPHS: Final = (GRAPHS, *OUTCOMES.values())

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class BadConfiguration(UsageError):  # noqa: N818 - named as what it reports
    """The file cannot be read, or says what cannot be meant; the message names the file and the key."""


class IdentityTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further user of the server."""

    headers: dict[str, str]


class LimitsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the observation may take; what is not given is measured or has its default.

    `concurrency`: scenarios at once. `budget_s`: the whole observation. The others are fields of
    `runstone.wire.limits.Limits`, in seconds and bytes.
    """

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = None
    budget_s: Positive | None = None
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
        """The fields of Limits that are set."""
        members = msgspec.structs.asdict(self)
        own = ("concurrency", "budget_s")
        return {name: value for name, value in members.items() if value is not None and name not in own}


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A runstone.toml. `folder` is where it lies: its paths are relative to it, its commands run in it.

    `target`: a URL, a recipe's name or a recipe's file. `assistants`: the target's own ids by those of the
    conformance graphs. `${NAME}` in the value of a header stands for an environment variable.
    """

    target: str | None = None
    profile: str | None = None
    headers: dict[str, str] = {}
    second_identity: IdentityTable | None = None
    restricted_identity: IdentityTable | None = None
    path_prefix: str = ""
    assistants: dict[str, str] = {}
    agent: Agent | None = None
    capabilities: dict[str, bool] = {}
    run_time_limit: RunTimeLimit | None = None
    server: ServerCommands | None = None
    limits: LimitsTable = LimitsTable()
    network: Network = Network()
    waivers: str | None = None
    fail_on: FailOn | None = None
    out: str | None = None

    def identity(self, name: str) -> dict[str, str]:
        """The headers of `second_identity` or `restricted_identity`."""
        table: IdentityTable | None = getattr(self, name)
        return {} if table is None else table.headers


def find(wanted: Path | None) -> Path | None:
    """The file that is meant: the one asked for, else runstone.toml of the current folder if there is one."""
    if wanted is None and Path(FILE).is_file():
        return Path(FILE)
    return wanted


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read and check the file. Raises BadConfiguration."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadConfiguration(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} is no TOML: {' '.join(str(error).split())}") from None
    try:
        found = convert(document, Configuration)
    except WrongShape as error:
        raise BadConfiguration(f"{path}: {error}") from None
    problem = next(_problems(found), None)
    if problem is not None:
        raise BadConfiguration(f"{path}: {problem}")
    return _resolved(found, path, environment)


def _problems(found: Configuration) -> Iterator[str]:
    """What is wrong with it beyond its shape."""
    yield from _unknown("assistants", found.assistants, conformance_graphs())
    yield from _unknown("capabilities", found.capabilities, load_capabilities())
    for graph, own in found.assistants.items():
        if not own.strip():
            yield f"assistants.{graph} is mapped to nothing; name the target's own assistant, or leave it out"
    for name, declared in found.capabilities.items():
        if declared and name in _DECLARED_BY:
            yield f"capabilities.{name} says nothing about how; declare it by {_DECLARED_BY[name]}"
    for name in found.capabilities:
        if name in _BY_GRAPHS:
            yield f"capabilities.{name} follows from [agent]: its inputs say which outcomes there are"
    if found.path_prefix and not re.fullmatch(r"/[^?#\s]*[^?#\s/]", found.path_prefix):
        yield f"path_prefix {found.path_prefix!r} is no path like /api, with a slash before and none behind"
    if found.agent is not None and not found.agent.assistant.strip():
        yield "agent.assistant is empty; name one of the target's own assistants"
    if found.run_time_limit is not None and found.run_time_limit.seconds <= 0:
        yield f"run_time_limit.seconds is {found.run_time_limit.seconds:g}; give more than 0"
    yield from _problems_of_commands(found.server)


def _unknown(table: str, given: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    for name in given:
        if name not in known:
            hint = suggestion(name, known) or f"; known are {', '.join(sorted(known))}"
            yield f"unknown key {name!r} at {table}{hint}"


def _problems_of_commands(server: ServerCommands | None) -> Iterator[str]:
    if server is None:
        return
    if server.timeout_s <= 0:
        yield f"server.timeout_s is {server.timeout_s:g}; give more than 0"
    if bool(server.kill) != bool(server.start):
        given, lacking = ("kill", "start") if server.kill else ("start", "kill")
        yield f"server.{given} lacks server.{lacking}; a server that was killed must be started again"
    for name in ("restart", "kill", "start"):
        command = getattr(server, name)
        if command and not command[0].strip():
            yield f"server.{name} names no program"


def _resolved(found: Configuration, path: Path, environment: Mapping[str, str]) -> Configuration:
    """The configuration with its variables replaced and its paths made absolute."""

    def beside(name: str | None) -> str | None:
        return None if name is None else str(path.parent / name)

    def headers(table: str, given: Mapping[str, str]) -> dict[str, str]:
        return _headers(f"{path}: {table}", given, environment)

    def identity(name: str, given: IdentityTable | None) -> IdentityTable | None:
        return None if given is None else IdentityTable(headers=headers(f"{name}.headers", given.headers))

    network = {
        name: beside(getattr(found.network, name)) for name in ("ca_file", "client_cert", "client_key")
    }
    recipe_file = found.target is not None and "://" not in found.target and found.target.endswith(".yaml")
    return msgspec.structs.replace(
        found,
        target=beside(found.target) if recipe_file else found.target,
        headers=headers("headers", found.headers),
        second_identity=identity("second_identity", found.second_identity),
        restricted_identity=identity("restricted_identity", found.restricted_identity),
        network=msgspec.structs.replace(found.network, **network),
        waivers=beside(found.waivers),
        out=beside(found.out),
    )


def _headers(place: str, given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The headers with their variables replaced. Raises BadConfiguration, which repeats no value."""
    checked: dict[str, str] = {}
    for name, text in given.items():
        for variable in _VARIABLE.findall(text):
            if variable not in environment:
                raise BadConfiguration(
                    f"{place}.{name} needs the environment variable {variable}, which is not set"
                )
        value = _VARIABLE.sub(lambda found: environment[found[1]], text)
        try:
            checked |= parsed_headers([f"{name}: {value}"])
        except UsageError as error:
            raise BadConfiguration(f"{place}.{name}: {error}") from None
    return checked
