"""The JSON Schemas of scenarios and of their report, made from the structs that read and write them.

`python -m runstone.conversations.schema` writes them to contracts/schemas, where editors find them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runstone.contracts.schemas import schema_of, schema_text
from runstone.conversations.format import KINDS, WAYS, Scenario
from runstone.files import replace_file
from runstone.locations import CHECKOUT
from runstone.verdict.scenarios import ScenariosReport

_VARIABLE: Final = {"type": "string", "pattern": r"\{\{\s*[A-Za-z_][A-Za-z0-9_-]*\s*\}\}"}
_TYPED: Final = frozenset({"integer", "number", "boolean", "array", "object"})


def of_scenarios() -> dict[str, Any]:
    """The schema of a file of scenarios, as people write it: a variable may stand wherever a value does."""
    document = schema_of(
        "scenario",
        "Acceptance scenario",
        "A conversation with an assistant, and what is expected of it: one scenario a file, each key known.",
        Scenario,
    )
    shapes: dict[str, Any] = document["$defs"]
    shapes["Assertion"]["oneOf"] = [{"required": [kind]} for kind in KINDS]
    shapes["Turn"]["oneOf"] = [{"required": [way]} for way in WAYS]
    document["oneOf"] = [{"required": ["turns"]}, {"required": ["user"]}]
    for shape in (document, *shapes.values()):
        for name, member in shape.get("properties", {}).items():
            shape["properties"][name] = _or_variable(member)
    return document


def of_report() -> dict[str, Any]:
    """The schema of report.json of `runstone scenarios`."""
    return schema_of(
        "scenarios-report",
        "Report of acceptance scenarios",
        "What `runstone scenarios run` and `judge` found.",
        ScenariosReport,
    )


SCHEMAS: Final = {"scenario": of_scenarios, "scenarios-report": of_report}


def _or_variable(member: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, or a variable in its place where it is not a text anyway."""
    if member.get("type") in _TYPED or "enum" in member:
        described = {key: member[key] for key in ("default", "description") if key in member}
        return {
            "anyOf": [{key: each for key, each in member.items() if key != "default"}, _VARIABLE],
            **described,
        }
    return member


def main() -> None:
    """Write the schemas again."""
    for name, made in SCHEMAS.items():
        replace_file(CHECKOUT / "contracts" / "schemas" / f"{name}.json", schema_text(made()))


if __name__ == "__main__":
    main()
