"""What is promised, read from contracts/: requirements, profiles, automata, stream grammar, schemas."""

from runstone.contracts.catalogue import (
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
from runstone.contracts.openapi import RequestShape, openapi_document, request_shapes
from runstone.contracts.operations import Operation, operation_for
from runstone.contracts.profile import Profile, UnknownProfile, WaitBody, load_profile, profile_names
from runstone.contracts.reading import MalformedContract
from runstone.contracts.schemas import UnknownSchema, Violation, schema_names, validator, violations

__all__ = [
    "LEVELS",
    "Automaton",
    "CapabilityDefinition",
    "Catalogue",
    "Closing",
    "EventRule",
    "FirstEvent",
    "Level",
    "Lifecycle",
    "MalformedContract",
    "Mode",
    "Operation",
    "Probe",
    "Profile",
    "RequestShape",
    "Requirement",
    "Source",
    "StreamGrammar",
    "UnknownArea",
    "UnknownProfile",
    "UnknownRequirement",
    "UnknownSchema",
    "Violation",
    "WaitBody",
    "lifecycle",
    "load_capabilities",
    "load_catalogue",
    "load_profile",
    "load_sources",
    "openapi_document",
    "operation_for",
    "profile_names",
    "request_shapes",
    "schema_names",
    "stream_grammar",
    "validator",
    "violations",
]
