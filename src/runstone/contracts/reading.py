"""Read a YAML file into a frozen struct, or say in one line what is wrong in it and where.

One strict reader for all that people write: contracts, waivers and recipes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import msgspec
import yaml
from msgspec import inspect

from runstone.errors import RunstoneError, suggestion

T = TypeVar("T")

# The C parser reads the catalogue in a tenth of the time of the Python one (20 ms against 200 ms).
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNKNOWN: Final = re.compile(r"unknown field `(?P<key>[^`]*)`")
_STEP: Final = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_NO_DATE: Final = "Invalid RFC3339 encoded date"


class MalformedContract(RunstoneError):  # noqa: N818 - named as what it reports
    """A file under contracts/ cannot be used as it is; the message names the file, the place and the key."""


class WrongShape(ValueError):  # noqa: N818 - named as what it reports
    """A document lacks the shape that was asked for; the message names the place and the key."""


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """YAML in which a key given twice is an error; the standard loader keeps the last one silently.

    A date is text here, quoted or not, so that one that does not exist (2027-02-31) is an error of its field.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in known if tag != _TIMESTAMP]
        for first, known in _Base.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_yaml(path: Path, shape: type[T], error: Callable[[str], RunstoneError] = MalformedContract) -> T:
    """The file's content as `shape`.

    Raises `error` when the file cannot be read, is not valid YAML, gives a key twice, or does not have that
    shape; for an unknown key the message names the nearest known one.
    """
    document = read_document(path, error)
    try:
        return convert(document, shape)
    except WrongShape as problem:
        raise error(f"{shown_path(path)}: {problem}") from None


def read_document(path: Path, error: Callable[[str], RunstoneError] = MalformedContract) -> Any:
    """The file's content as it stands. Raises `error` as `read_yaml` does, but for the shape."""
    try:
        return parsed(path.read_text("utf-8"))
    except OSError as problem:
        raise error(f"cannot read {shown_path(path)}: {problem.strerror}") from None
    except ValueError as problem:
        raise error(f"{shown_path(path)} is not valid YAML: {_yaml_problem(problem)}") from None


def parsed(text: str) -> Any:
    """The YAML of a text. Raises ValueError, for a key given twice too."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - derived from a safe loader
    except yaml.YAMLError as problem:
        raise ValueError(_yaml_problem(problem)) from None


def convert(document: Any, shape: type[T]) -> T:
    """The document as `shape`. Raises WrongShape; for an unknown key it names the nearest known one."""
    try:
        return msgspec.convert(document, shape, strict=True)
    except msgspec.ValidationError as error:
        raise WrongShape(_diagnosis(str(error), document, shape)) from None


def shown_path(path: Path) -> str:
    """The path from `contracts` on, as everybody knows it; the whole path outside of such a folder."""
    parts = path.parts
    return "/".join(parts[parts.index("contracts") :]) if "contracts" in parts else str(path)


def _yaml_problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        mark = error.problem_mark
        return f"{error.problem}, line {mark.line + 1}" if mark else error.problem
    return " ".join(str(error).split())


def _diagnosis(message: str, document: Any, shape: type) -> str:
    """msgspec's message, with the entry's id instead of its number, and the nearest known key.

    A waiver is named by its requirement.
    """
    problem, _, place = message.partition(" - at ")
    steps = list(_steps(place.strip("`").removeprefix("$")))
    problem = problem.replace(_NO_DATE, "not a date like 2027-03-31")
    unknown = _UNKNOWN.search(problem)
    if not unknown:
        return f"{problem[:1].lower()}{problem[1:]}{_where(steps, document)}"
    known = _keys_at(steps, inspect.type_info(shape))
    hint = suggestion(unknown["key"], known) or f"; known are {', '.join(known)}"
    return f"unknown key {unknown['key']!r}{_where(steps, document)}{hint}"


def _steps(place: str) -> Iterator[str | int | None]:
    """The steps of a msgspec path: a member's name, an item's number, None for some value of a mapping."""
    for step in _STEP.finditer(place):
        index = step["index"]
        yield step["key"] if index is None else None if index == "..." else int(index)


def _where(steps: list[str | int | None], document: Any) -> str:
    words: list[str] = []
    for step in steps:
        document = _member(document, step)
        named = _name_of(document)
        if named:
            words = [named]
        elif step is not None:
            words.append(str(step))
    return f" at {'.'.join(words)}" if words else ""


def _name_of(document: Any) -> str:
    """What a reader knows an entry by: a requirement (and its waiver) by id, an operation by its path."""
    if not isinstance(document, dict):
        return ""
    given = [document.get(key) for key in ("id", "requirement", "method", "path")]
    return " ".join(word for word in given if isinstance(word, str))


def _member(document: Any, step: str | int | None) -> Any:
    if isinstance(document, dict):
        return document.get(step)
    if isinstance(document, list) and isinstance(step, int) and step < len(document):
        return document[step]
    return None


def _keys_at(steps: list[str | int | None], kind: inspect.Type) -> list[str]:
    """The keys that the shape has at this place."""
    for step in steps:
        kind = _inner(kind, step)
    kind = _container(kind)
    return [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []


def _inner(kind: inspect.Type, step: str | int | None) -> inspect.Type:
    kind = _container(kind, items=isinstance(step, int))
    if isinstance(kind, inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == step), inspect.AnyType())
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return kind.item_type
    return inspect.AnyType()


def _container(kind: inspect.Type, *, items: bool = False) -> inspect.Type:
    """The alternative of a union that has members of its own, or the one that has items."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    lists = (inspect.ListType, inspect.VarTupleType)
    named = (inspect.StructType, inspect.DictType)
    for holders in (lists, named) if items else (named, lists):
        for each in kind.types:
            if isinstance(each, holders):
                return each
    return kind
