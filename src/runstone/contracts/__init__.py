"""What is promised, read from contracts/: requirements, operations, profiles, automata, streams, schemas."""

from runstone.contracts.catalogue import (
    Area,
    AreaKind,
    CapabilityDefinition,
    Catalogue,
    Probe,
    Requirement,
    Source,
    UnknownArea,
    UnknownRequirement,
    load_capabilities,
    load_catalogue,
    load_sources,
)
from runstone.contracts.grammar import (
    Automaton,
    Closing,
    EventRule,
    FirstEvent,
    Lifecycle,
    Mode,
    StreamGrammar,
    lifecycle,
    stream_grammar,
)
from runstone.contracts.levels import LEVELS, Level
from runstone.contracts.openapi import openapi_document
from runstone.contracts.operations import (
    Kind,
    Lasting,
    Operation,
    OperationTable,
    may_last,
    operation_for,
    operation_table,
)
from runstone.contracts.profile import Profile, UnknownProfile, WaitBody, load_profile, profile_names
from runstone.contracts.reading import MalformedContract
from runstone.contracts.schemas import UnknownSchema, Violation, schema_names, validator, violations
from runstone.contracts.tables import ValueTable, value_table

__all__ = [
    "LEVELS",
    "Area",
    "AreaKind",
    "Automaton",
    "CapabilityDefinition",
    "Catalogue",
    "Closing",
    "EventRule",
    "FirstEvent",
    "Kind",
    "Lasting",
    "Level",
    "Lifecycle",
    "MalformedContract",
    "Mode",
    "Operation",
    "OperationTable",
    "Probe",
    "Profile",
    "Requirement",
    "Source",
    "StreamGrammar",
    "UnknownArea",
    "UnknownProfile",
    "UnknownRequirement",
    "UnknownSchema",
    "ValueTable",
    "Violation",
    "WaitBody",
    "lifecycle",
    "load_capabilities",
    "load_catalogue",
    "load_profile",
    "load_sources",
    "may_last",
    "openapi_document",
    "operation_for",
    "operation_table",
    "profile_names",
    "schema_names",
    "stream_grammar",
    "validator",
    "value_table",
    "violations",
]
