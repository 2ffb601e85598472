"""report.json: a Report to JSON text and back. Schema: contracts/schemas/report.json."""

from __future__ import annotations

import msgspec

from runstone.errors import UsageError
from runstone.report.text import well_formed_tree
from runstone.verdict.model import Report


class MalformedReport(UsageError):  # noqa: N818 - named as what it reports
    """A report.json that is not JSON, or lacks what a report must have; the message says where."""


def to_json(report: msgspec.Struct, *, indent: int = 2) -> str:
    """The report, or another that is a struct, as indented JSON with a line feed at its end."""
    try:
        encoded = msgspec.json.encode(report)
    except UnicodeEncodeError:  # a reason quotes half of a surrogate pair, as a target may send it
        encoded = msgspec.json.encode(well_formed_tree(msgspec.to_builtins(report)))
    return msgspec.json.format(encoded, indent=indent).decode() + "\n"


def from_json(text: str | bytes) -> Report:
    """The report of a report.json. Raises MalformedReport."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.ValidationError as error:
        raise MalformedReport(f"report.json does not fit this version of Runstone: {error}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedReport(f"report.json is not JSON: {error}; was its writing interrupted?") from None
