"""Profiles speak of what exists, and find values and interrupts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runstone.contracts import (
    MalformedContract,
    UnknownProfile,
    load_capabilities,
    load_catalogue,
    load_profile,
    schema_names,
)
from runstone.contracts.profile import read_profile
from runstone.wire.documents import Missing
from tests.contracts.reading import CONTRACTS, EXAMPLES, by_profile, read


@by_profile
def test_profile_speaks_of_what_exists(name: str) -> None:
    profile = load_profile(name)
    assert set(profile.capabilities) <= set(load_capabilities())
    assert {profile.wait.schema, profile.wait.error_schema} <= set(schema_names())
    for glob in [*profile.includes, *profile.excludes]:
        assert load_catalogue().select(glob=glob)
    for pointer in (profile.wait.values, profile.wait.error, profile.wait.interrupts):
        assert pointer == "" or pointer.startswith("/")
    assert any(profile.excludes_requirement(each) is None for each in load_catalogue().values())


@pytest.mark.parametrize(
    "name, body, interrupts",
    [
        ("langgraph", {"log": ["a"], "__interrupt__": [{"value": 1}]}, [{"value": 1}]),
        ("langgraph", {"log": ["a"]}, None),
        ("wait-state", {"values": {"log": ["a"]}, "interrupts": []}, []),
    ],
)
def test_profile_finds_values_and_interrupts(name: str, body: Any, interrupts: Any) -> None:
    wait = load_profile(name).wait
    assert wait.values_in(body) == {"log": ["a"]}
    assert wait.interrupts_in(body) == interrupts
    assert wait.error_in(body) is None


@by_profile
def test_pointers_resolve_in_real_bodies(name: str) -> None:
    wait = load_profile(name).wait
    for path in sorted((EXAMPLES / wait.schema / "conforms").glob("*.json")):
        assert isinstance(wait.values_in(read(path)), dict)
    for path in sorted((EXAMPLES / wait.error_schema / "conforms").glob("*.json")):
        assert wait.error_in(read(path))["error"]


def test_body_without_values_is_missing_them() -> None:
    with pytest.raises(Missing, match="no values at /values"):
        load_profile("wait-state").wait.values_in({"log": ["a"]})


def test_profile_excludes_by_glob_and_by_name(tmp_path: Path) -> None:
    text = (CONTRACTS / "profiles" / "langgraph.yaml").read_text("utf-8")
    path = tmp_path / "langgraph.yaml"
    path.write_text(text.replace("excludes: []", 'excludes: ["SSE-*"]'), "utf-8")
    profile = read_profile(path)
    catalogue = load_catalogue()
    assert profile.excludes_requirement(catalogue["SSE-001"]) == "profile langgraph excludes it"
    assert profile.excludes_requirement(catalogue["META-001"]) is None
    path.write_text(text.replace('includes: ["*"]', 'includes: ["SSE-*"]'), "utf-8")
    assert read_profile(path).excludes_requirement(catalogue["META-001"]) is not None
    path.write_text(text.replace("excludes:", "exclude:"), "utf-8")
    with pytest.raises(MalformedContract, match="unknown key 'exclude'; did you mean excludes"):
        read_profile(path)


def test_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UnknownProfile, match="no profile 'langraph'; did you mean langgraph"):
        load_profile("langraph")
    with pytest.raises(UnknownProfile, match="there are langgraph, wait-state"):
        load_profile("../secrets")
