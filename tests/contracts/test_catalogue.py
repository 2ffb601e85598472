"""The catalogue of requirements, and how it is searched."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import get_args

import pytest

from runstone.contracts import (
    AreaKind,
    Requirement,
    UnknownArea,
    UnknownRequirement,
    load_capabilities,
    load_catalogue,
    load_sources,
    profile_names,
)
from runstone.contracts.catalogue import SOURCES
from tests.contracts.reading import CONTRACTS, NOT_JUDGED, by_requirement


@by_requirement
def test_requirement_is_well_formed(promise: Requirement) -> None:
    assert re.fullmatch(r"[A-Z]+\d?(-[A-Z]+)*-\d{3}", promise.id)
    assert promise.statement.endswith(".")
    assert promise.statement == " ".join(promise.statement.split())
    assert promise.area in load_catalogue().areas
    assert set(promise.needs) <= set(load_capabilities())
    assert set(promise.profiles) <= set(profile_names())
    assert all(re.fullmatch(r"[A-Z]+: \S.*", text) for text in promise.source)


@by_requirement
def test_must_rests_on_more_than_one_server(promise: Requirement) -> None:
    if promise.level != "MUST":
        return
    sources = [load_sources()[text.partition(":")[0]] for text in promise.source]
    vendors = {each.vendor for each in sources if each.kind == "server"}
    assert len(vendors) >= 2 or any(each.kind != "server" for each in sources)


def test_ids_of_an_area_begin_alike_and_ascend() -> None:
    for area in load_catalogue().areas:
        ids = [each.id for each in load_catalogue().select(area=area)]
        assert ids
        for kind in {each.rpartition("-")[0] for each in ids}:
            own = [each for each in ids if each.rpartition("-")[0] == kind]
            assert own == sorted(own)


def test_every_area_is_there_in_the_order_that_it_declares() -> None:
    areas = load_catalogue().areas
    assert {f"{name}.yaml" for name in areas} == {
        path.name for path in (CONTRACTS / "requirements").glob("*.yaml") if path.name != SOURCES
    }
    assert [each.order for each in areas.values()] == sorted({each.order for each in areas.values()})
    assert next(iter(areas)) == "meta"
    assert [each.area for each in load_catalogue().values()] == [
        name for name in areas for _ in load_catalogue().select(area=name)
    ]


def test_areas_of_a_kind_are_found_by_it() -> None:
    catalogue = load_catalogue()
    kinds = [catalogue.of_kind(kind) for kind in get_args(AreaKind)]
    assert frozenset().union(*kinds) == catalogue.areas.keys()
    assert sum(map(len, kinds)) == len(catalogue.areas)
    assert catalogue.of_kind("monitor") == {"monitor"}
    assert catalogue.of_kind("exploring") == {"explore", "fuzz"}
    assert catalogue.of_kind("under-load") == {"under-load"}


def test_what_checks_and_what_loads_judge_are_the_whole() -> None:
    catalogue = load_catalogue()
    assert catalogue.of_checks.keys() | catalogue.of_loads.keys() == catalogue.keys()
    assert not catalogue.of_checks.keys() & catalogue.of_loads.keys()
    assert "under-load" not in catalogue.of_checks.areas
    assert [*catalogue.of_loads] == [f"LOAD-{number}" for number in range(101, 110)]


def test_areas_that_a_user_names_are_found_by_name_glob_and_ending() -> None:
    catalogue = load_catalogue()
    assert catalogue.selected([]) == frozenset()
    assert catalogue.selected(["f*z", "wait"]) == {"fuzz", "run-wait"}
    with pytest.raises(UnknownArea, match="did you mean fuzz"):
        catalogue.selected(["meta", "fuz"])


def test_catalogue_is_large_enough_to_be_judged_by() -> None:
    catalogue = load_catalogue()
    assert len(catalogue.select(level="MUST")) >= 200
    assert len(catalogue.select(level="SHOULD")) >= 180
    assert len(catalogue.select(level="MAY")) >= 25


def test_no_promise_is_both_judged_and_listed_as_not_judged() -> None:
    rows = re.findall(
        r"^\| ([A-Z]+\d?(?:-[A-Z]+)*-\d{3}) \| (.+?) \| (.+?) \|$",
        NOT_JUDGED.read_text("utf-8"),
        re.MULTILINE,
    )
    listed = [row[0] for row in rows]
    assert listed
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(load_catalogue())
    for _, promise, reason in rows:
        assert promise.endswith(".")
        assert reason.endswith(".")


def test_what_a_promise_refers_to_is_judged() -> None:
    known = set(load_catalogue())
    for promise in load_catalogue().values():
        for text in (*promise.source, promise.note):
            assert set(re.findall(r"\b[A-Z]+\d?(?:-[A-Z]+)*-\d{3}\b", text)) <= known, promise.id


def test_select_by_area_glob_and_level() -> None:
    catalogue = load_catalogue()
    assert {each.area for each in catalogue.select(area="wait")} == {"run-wait"}
    assert {each.area for each in catalogue.select(area="get")} == {"thr-get", "run-get"}
    assert all(fnmatchcase(each.id, "SSE-*") for each in catalogue.select(glob="SSE-*"))
    assert catalogue.select(area="sse", glob="RUN-*") == ()
    assert {each.level for each in catalogue.select(area="run-wait", level="MUST")} == {"MUST"}


@pytest.mark.parametrize("wrong", ["RUN-WIAT-002", "run-wait-002"])
def test_unknown_id_names_the_nearest(wrong: str) -> None:
    assert wrong not in load_catalogue()
    with pytest.raises(UnknownRequirement, match=f"no requirement '{wrong}'; did you mean RUN-WAIT-002"):
        load_catalogue()[wrong]


def test_glob_and_area_that_match_nothing_are_errors() -> None:
    with pytest.raises(UnknownRequirement, match=r"no requirement matches 'RUN-WIAT-\*'"):
        load_catalogue().select(glob="RUN-WIAT-*")
    with pytest.raises(UnknownArea, match="did you mean run-wait"):
        load_catalogue().select(area="run-wiat")
    with pytest.raises(UnknownArea, match="the areas are meta, err"):
        load_catalogue().select(area="qqqq")
