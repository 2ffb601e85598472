"""Files of scenarios as cases to play: one for each combination of variables and entry point."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator, SchemaError
from msgspec import UNSET

from runstone.contracts.reading import WrongShape, convert, parsed, read_document
from runstone.conversations.format import (
    KINDS,
    WAYS,
    Assertion,
    EntryPoint,
    EventMatch,
    FunctionCall,
    PlacedMatch,
    Scenario,
    Trajectory,
    ValueMatch,
    innermost,
)
from runstone.conversations.places import BadPlace, steps_of
from runstone.conversations.variables import UNIQUE, combinations, names_in, substituted, varying
from runstone.errors import UsageError, suggestion

SUFFIXES: Final = (".yaml", ".yml")
PREFIX: Final = "conversation."  # of the names of traces, so that they are never those of scenarios of suites


class BadScenario(UsageError):  # noqa: N818 - named as what it reports
    """A file of scenarios cannot be used; the message names the file, the place and the key."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was read: the document with what `--set` says, before variables have their values."""

    path: Path
    document: dict[str, Any]
    files: dict[str, str] = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario with the values of its variables in place, by one entry point. It is played `times` times.

    `number`: of the combination of variables, from 1. `values`: those of the variables that vary.
    """

    scenario: Scenario
    values: dict[str, Any] = {}
    number: int = 1
    entry_point: EntryPoint

    @property
    def name(self) -> str:
        """`refund`, or `refund[order=42]`, as reports have it."""
        told = ", ".join(f"{name}={_shown(value)}" for name, value in self.values.items())
        return f"{self.scenario.scenario}[{told}]" if told else self.scenario.scenario

    @property
    def digest(self) -> str:
        """What tells whether a case is still the same as the one that was played."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]

    def trace(self, repeat: int) -> str:
        """The name of the trace of its n-th conversation."""
        return f"{PREFIX}{self.scenario.scenario}.{self.number}.{self.entry_point}.{repeat}"


def read(paths: Iterable[Path], settings: Sequence[str] = (), tags: Iterable[str] = ()) -> list[Case]:
    """The cases of files, and of the folders' files; `settings`: `path=value`; only those with one of `tags`.

    Raises BadScenario; two scenarios of one name are an error.
    """
    return chosen((source(path, settings) for path in files_of(paths)), tags)


def chosen(sources: Iterable[Source], tags: Iterable[str] = ()) -> list[Case]:
    """The cases of what was read, of those with one of these tags if there are any. Raises BadScenario."""
    cases = [case for each in sources for case in cases_of(each)]
    first = [each.scenario.scenario for each in cases if each.number == 1]
    names = Counter((each.scenario.scenario, each.entry_point) for each in cases if each.number == 1)
    twice = next((name for (name, _), times in names.items() if times > 1), None)
    if twice is not None:
        raise BadScenario(f"two files have a scenario {twice!r}; give one of them another name")
    wanted = set(tags)
    known = {tag for each in cases for tag in each.scenario.tags}
    for tag in sorted(wanted - known):
        raise BadScenario(f"no scenario has the tag {tag!r}{suggestion(tag, known)}")
    found = [each for each in cases if not wanted or wanted & set(each.scenario.tags)]
    if not found:
        raise BadScenario(f"there is no scenario to play{'' if first else ': no file holds one'}")
    return found


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files that are meant; a folder stands for its YAML files, at any depth. Raises BadScenario."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES)
            if not inside:
                raise BadScenario(f"there is no scenario in {path}: no file in it ends in .yaml")
            found += inside
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def source(path: Path, settings: Sequence[str] = ()) -> Source:
    """The file as it stands, with what `--set` says in it, and the texts of the files that it names."""
    return source_of(read_document(path, BadScenario), path, settings)


def source_of(document: Any, path: Path, settings: Sequence[str] = ()) -> Source:
    """The same of a document that is read already; `path`: where it stands, and its files beside it."""
    if not isinstance(document, dict):
        raise BadScenario(f"{path}: a scenario is a mapping with the keys scenario, assistant and turns")
    for setting in settings:
        document = _with_setting(document, setting)
    named = document.get("setup", {}).get("files", {}) if isinstance(document.get("setup"), dict) else {}
    texts = {}
    for name, place in named.items() if isinstance(named, dict) else ():
        try:
            texts[name] = (path.parent / str(place)).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadScenario(f"{path}: setup.files.{name}: cannot read {place}: {error}") from None
    return Source(path=path, document=document, files=texts)


def _with_setting(document: dict[str, Any], setting: str) -> dict[str, Any]:
    """The document with one value replaced. Raises BadScenario for what is not PATH=VALUE."""
    place, equals, text = setting.partition("=")
    keys = place.split(".")
    if not equals or not all(keys):
        raise BadScenario(f"--set {setting!r} is not PATH=VALUE, like config.configurable.tier=gold")
    try:
        value = parsed(text)
    except ValueError as error:
        raise BadScenario(f"--set {setting!r}: the value is not valid YAML: {error}") from None
    changed: dict[str, Any] = replaced(document, keys, value)
    return changed


def replaced(document: Any, keys: Sequence[str], value: Any) -> Any:
    """The document with this value at the end of these keys; mappings are made on the way."""
    if not keys:
        return value
    inner = document if isinstance(document, dict) else {}
    return {**inner, keys[0]: replaced(inner.get(keys[0]), keys[1:], value)}


def with_values(found: Source, values: Mapping[str, Any]) -> Source:
    """The file with these values at their places, such as `config.configurable.tier`."""
    document = found.document
    for place, value in values.items():
        document = replaced(document, place.split("."), value)
    return Source(path=found.path, document=document, files=found.files)


def cases_of(found: Source) -> Iterator[Case]:
    """The cases of one file. Raises BadScenario."""
    variables = found.document.get("vars", {})
    if not isinstance(variables, dict):
        _scenario(found.document, found.path)  # it says what is wrong
    empty = next((name for name, value in variables.items() if value == []), None)
    if empty is not None:
        raise BadScenario(f"{found.path}: vars.{empty} has no value, so that there is no case")
    vary = varying(variables)
    for number, values in enumerate(combinations(variables), 1):
        known = values | found.files
        rest = {key: value for key, value in found.document.items() if key != "vars"}
        unknown = sorted(names_in(rest) - known.keys() - {UNIQUE})
        if unknown:
            hint = suggestion(unknown[0], known) or "; name it under vars, or in setup.files"
            raise BadScenario(f"{found.path}: unknown variable {{{{{unknown[0]}}}}}{hint}")
        scenario = _scenario({**substituted(rest, known), "vars": values}, found.path)
        for entry_point in scenario.entry_points:
            own = {name: values[name] for name in vary}
            yield Case(scenario=scenario, values=own, number=number, entry_point=entry_point)


def _scenario(document: dict[str, Any], path: Path) -> Scenario:
    try:
        scenario = convert(document, Scenario)
    except WrongShape as problem:
        raise BadScenario(f"{path}: {problem}") from None
    wrong = next(problems(scenario), None)
    if wrong is not None:
        raise BadScenario(f"{path}: {wrong}")
    return scenario


def problems(scenario: Scenario) -> Iterator[str]:
    """What is wrong with it beyond its shape, so that it cannot be played or judged."""
    if bool(scenario.turns) == (scenario.simulated is not None):
        yield "a scenario has either turns or a user that is simulated"
    for number, turn in enumerate(scenario.turns):
        if len(turn.ways) != 1:
            yield f"turns.{number} needs exactly one of {', '.join(WAYS)}, not {len(turn.ways)} of them"
        for place, each in enumerate(turn.expect):
            yield from _of_assertion(each, f"turns.{number}.expect.{place}")
    for place, each in enumerate(scenario.expect):
        yield from _of_assertion(each, f"expect.{place}")
    if scenario.repeat.gate.pass_k > scenario.repeat.times:
        times, k = scenario.repeat.times, scenario.repeat.gate.pass_k
        yield f"repeat.gate.pass_k {k} needs at least as many repeats, repeat.times is {times}"
    if scenario.entry_point == "stateless" and not scenario.fits_stateless:
        yield "entry_point stateless fits one turn of user or input alone: its run has no thread and no state"


def _of_assertion(assertion: Assertion, place: str) -> Iterator[str]:
    if len(assertion.kinds) != 1:
        given = ", ".join(assertion.kinds) or "none"
        yield f"{place} needs exactly one kind of assertion, and has {given}; known are {', '.join(KINDS)}"
        return
    if isinstance(assertion.negated, Assertion):
        yield from _of_assertion(assertion.negated, f"{place}.not")
        return
    wanted = assertion.wanted
    here = f"{place}.{assertion.kind}"
    if assertion.kind == "regex":
        yield from _of_regex(wanted, here)
    if isinstance(wanted, ValueMatch):
        yield from _of_value(wanted, here)
    if isinstance(wanted, EventMatch) and (wanted.mode is UNSET) == (wanted.order is UNSET):
        yield f"{here} needs either mode or order"
    calls = wanted.calls if isinstance(wanted, Trajectory) else wanted
    for call in calls if isinstance(calls, tuple) else (calls,):
        if isinstance(call, FunctionCall) and call.match == "schema" and call.arguments is not UNSET:
            yield from _of_schema(call.arguments, f"{here}.arguments")
        if isinstance(call, FunctionCall) and call.times is not UNSET and assertion.kind == "trajectory":
            yield f"{here} cannot count; write the call as often as it is wanted"


def _of_regex(pattern: str, place: str) -> Iterator[str]:
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"{place} is not a regular expression: {error}"


def _of_value(wanted: ValueMatch, place: str) -> Iterator[str]:
    if isinstance(wanted, PlacedMatch):
        try:
            steps_of(wanted.path)
        except BadPlace as error:
            yield f"{place}.path: {error}"
    given = [name for name in ("equals", "contains", "schema") if getattr(wanted, name) is not UNSET]
    if len(given) > 1:
        yield f"{place} has {' and '.join(given)}; give one of them"
    if wanted.schema is not UNSET:
        yield from _of_schema(wanted.schema, f"{place}.schema")


def _of_schema(schema: Any, place: str) -> Iterator[str]:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield f"{place} is not a JSON Schema: {error.message}"


def denied(assertion: Assertion) -> bool:
    """Whether it is negated in the end."""
    return innermost(assertion)[1]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:39]}…"


def settled(case: Case, values: Mapping[str, Any]) -> Case:
    """The case with these further values in place: what is known only when it is played."""
    document = substituted(msgspec.to_builtins(case.scenario), values)
    return msgspec.structs.replace(case, scenario=msgspec.convert(document, Scenario))
