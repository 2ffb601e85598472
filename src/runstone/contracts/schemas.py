"""The JSON Schemas of contracts/schemas, and what breaks them in few words.

Nearly every document conforms: jsonschema-rs says so in a thirtieth of the time that jsonschema takes. What
does not conform is told by jsonschema, whose errors name their place and their cause; it is imported then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import msgspec

from runstone.contracts.reading import MalformedContract, shown_path
from runstone.errors import UsageError, suggestion
from runstone.locations import locate
from runstone.wire.documents import raw

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator
    from referencing import Registry

BASE: Final = "https://runstone.dev/schemas/"  # an identifier; nothing is ever fetched from there
_MESSAGE = 200  # characters of a message
_QUOTED = 60  # characters of a value within it


class UnknownSchema(UsageError):  # noqa: N818 - named as what it reports
    """No schema has this name."""


class Violation(msgspec.Struct, frozen=True):
    """One place where a document breaks a schema: a JSON pointer ('' for the whole) and why."""

    path: str
    message: str


@cache
def schema_names() -> tuple[str, ...]:
    """The names of the schemas: their files, without `.json`."""
    return tuple(sorted(path.stem for path in (locate("contracts") / "schemas").glob("*.json")))


@cache
def validator(name: str) -> Validator:
    """What tells of a document how it breaks a schema. Raises UnknownSchema, which names the nearest one."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema_document(name), registry=_registry())


def violations(name: str, document: Any) -> list[Violation]:
    """Where the document breaks the schema, sorted by place; empty when it conforms.

    Raises UnknownSchema. A document nested too deep to be walked is one violation, not an error.
    """
    try:
        document = raw(document)
        if _conforms(name, document):
            return []
        found = sorted(validator(name).iter_errors(document), key=lambda error: list(map(str, error.path)))
    except RecursionError:
        return [Violation("", "is nested deeper than can be judged")]
    return list(dict.fromkeys(_violation(error) for error in found))


def schema_document(name: str) -> dict[str, Any]:
    """The schema itself, as its file has it. Raises UnknownSchema and MalformedContract."""
    if name not in _documents():
        raise UnknownSchema(f"there is no schema {name!r}{suggestion(name, schema_names())}")
    return _documents()[name]


def schema_of(name: str, title: str, description: str, shape: type) -> dict[str, Any]:
    """The schema of a document that this struct reads and writes; its own structs are `$defs`."""
    (top,), shapes = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    whole = shapes.pop(top["$ref"].rpartition("/")[2])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{BASE}{name}.json"}
    return {**head, **whole, "title": title, "description": description, "$defs": shapes}


def schema_text(document: Mapping[str, Any]) -> str:
    """A schema as its file has it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


@cache
def _documents() -> Mapping[str, dict[str, Any]]:
    folder = locate("contracts") / "schemas"
    documents: dict[str, dict[str, Any]] = {}
    for name in schema_names():
        path = folder / f"{name}.json"
        try:
            documents[name] = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise MalformedContract(f"{shown_path(path)} is not JSON: {error}") from None
    return documents


def _conforms(name: str, document: Any) -> bool:
    """Whether the document is known to conform."""
    try:
        return _quick(name).is_valid(document)
    except ValueError:  # a text that cannot be encoded, such as half of a pair
        return False


@cache
def _quick(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema_document(name), registry=_quick_registry())


@cache
def _quick_registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(f"{BASE}{name}.json", each) for name, each in _documents().items()])


@cache
def _registry() -> Registry[Any]:
    from referencing import Registry, Resource

    resources = (Resource.from_contents(document) for document in _documents().values())
    return resources @ Registry()


def _violation(error: ValidationError) -> Violation:
    from jsonschema.exceptions import best_match

    deepest = best_match([error]) or error
    pointer = "".join(f"/{_escaped(step)}" for step in deepest.absolute_path)
    return Violation(pointer, _shortened(_message(deepest), _MESSAGE))


def _message(error: ValidationError) -> str:
    """What is wrong, without quoting more of the document than a reader needs."""
    got: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            return f"wanted {_either(names)}, got {_shown(got)}"
        case "required":
            missing = [key for key in wanted if key not in got]
            return f"lacks {_listed(missing)}"
        case "enum":
            return f"wanted {_either(map(_shown, wanted))}, got {_shown(got)}"
        case "const":
            return f"wanted {_shown(wanted)}, got {_shown(got)}"
        case "pattern":
            return f"wanted {_described(schema) or f'text like {wanted}'}, got {_shown(got)}"
        case "minLength" | "minItems" | "minProperties" if not got:
            return "is empty"
        case "minimum" | "maximum":
            return (
                f"wanted at {'least' if error.validator == 'minimum' else 'most'} {wanted}, got {_shown(got)}"
            )
        case "anyOf":
            return f"is none of the forms it may have: {_shown(got)}"
        case "not":
            return f"is {_described(wanted) or 'what it must not be'}: {_shown(got)}"
        case "additionalProperties" if isinstance(got, Mapping) and wanted is False:
            return f"has the unknown {_listed(key for key in got if key not in schema.get('properties', ()))}"
        case keyword:
            return f"breaks {keyword} {_shown(wanted)}: got {_shown(got)}"


def _described(schema: Any) -> str:
    """What a schema calls its instances: its title, or the description where it is a few words."""
    known = schema if isinstance(schema, Mapping) else {}
    title, description = known.get("title"), known.get("description", "")
    return f"a {title}" if title else description if len(description) <= _QUOTED else ""


def _shown(value: Any) -> str:
    match value:
        case dict():
            return f"an object of {_listed(list(value)[:4])}" if value else "an empty object"
        case list():
            return f"an array of {len(value)}"
        case _:
            return _shortened(json.dumps(value, ensure_ascii=False), _QUOTED)


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def _listed(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _escaped(step: object) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


def _shortened(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
