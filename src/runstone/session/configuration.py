"""runstone.toml: where the server is and what it can do, written down once.

Its keys are those of the table of options. Each is optional and none is ignored: an unknown one is an error
that suggests the nearest known one. What the command line or the environment sets wins (see `opening`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from runstone.contracts import load_capabilities
from runstone.contracts.reading import WrongShape, convert
from runstone.errors import UsageError, suggestion
from runstone.session.options import Given, Options
from runstone.session.sources import TABLE, Entry
from runstone.target.agents import GRAPHS, OUTCOMES, conformance_graphs
from runstone.target.commands import ServerCommands
from runstone.target.target import parsed_headers

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

_HEADERS: Final = ("headers", "second_headers", "restricted_headers")


class BadConfiguration(UsageError):  # noqa: N818 - named as what it reports
    """The file cannot be read, or says what cannot be meant; the message names the file and the key."""


def find(wanted: Path | None) -> Path | None:
    """The file that is meant: the one asked for, else runstone.toml of the current folder if there is one."""
    if wanted is None and Path(FILE).is_file():
        return Path(FILE)
    return wanted


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Given:
    """What the file sets. Its paths are relative to it; `${NAME}` in a header is an environment variable.

    Raises BadConfiguration.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadConfiguration(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} is not valid TOML: {' '.join(str(error).split())}") from None
    try:
        found = convert(document, _shape())
    except WrongShape as error:
        raise BadConfiguration(f"{path}: {error}") from None
    values = {name: value for name in TABLE if (value := _value(found, TABLE[name].option.key)) is not None}
    problem = next(_problems(Options(**values)), None)
    if problem is not None:
        raise BadConfiguration(f"{path}: {problem}")
    return {name: _resolved(TABLE[name], value, path, environment) for name, value in values.items()}


def _shape() -> type[msgspec.Struct]:
    """A whole runstone.toml, of the keys that the table of options names; what is not given is None."""
    shapes: dict[str, Any] = {}
    tables: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for entry in (each for each in TABLE.values() if each.option.key):
        table, _, key = entry.option.key.rpartition(".")
        (tables[table] if table else shapes)[key] = _shape_of(entry)
    for name, keys in tables.items():
        shapes[name] = _struct(name, keys, shapes.get(name, msgspec.Struct))
    return _struct("runstone", shapes, msgspec.Struct)


def _shape_of(entry: Entry) -> Any:
    if isinstance(entry.kind, inspect.StructType):
        return entry.kind.cls
    return str if entry.is_path else entry.hint


def _struct(name: str, keys: Mapping[str, Any], base: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields = [(key, shape, None) for key, shape in keys.items()]
    return msgspec.defstruct(
        name, fields, bases=(base,), frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def _value(found: Any, key: str) -> Any:
    """What stands there; None for nothing, and for what has no key."""
    for step in filter(None, key.split(".")):
        found = getattr(found, step, None)
    return found if key else None


def _problems(found: Options) -> Iterator[str]:
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
        yield f"path_prefix {found.path_prefix!r} is not a path like /api: a slash before it, none behind"
    if found.agent is not None and not found.agent.assistant.strip():
        yield "agent.assistant is empty; name one of the target's own assistants"
    if found.run_time_limit is not None and found.run_time_limit.seconds <= 0:
        yield f"run_time_limit.seconds is {found.run_time_limit.seconds:g}; give more than 0"
    yield from _problems_of_commands(found.server_commands)


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


def _resolved(entry: Entry, value: Any, path: Path, environment: Mapping[str, str]) -> Any:
    """The value with its variables replaced, and relative to the file if it is a path."""
    if entry.is_path:
        return path.parent / value
    if entry.name == "target_name" and "://" not in value and value.endswith(".yaml"):  # a recipe's file
        return str(path.parent / value)
    if entry.name in _HEADERS:
        return _headers(f"{path}: {entry.option.key}", value, environment)
    return value


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
