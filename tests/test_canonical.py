"""Comparison: ids and times are set aside, everything else counts, and the first difference is named."""

from __future__ import annotations

from typing import Any

import pytest

from runstone.wire.canonical import (
    ABSENT,
    Difference,
    anonymous,
    canonical,
    differences,
    first_difference,
    kind,
    shown,
)

A = "018f0000-0000-7000-8000-00000000000a"
B = "018f0000-0000-7000-8000-00000000000b"
HEX = "0123456789abcdef0123456789abcdef"


# --- renaming ----------------------------------------------------------------------------------------------


def test_ids_are_renamed_by_their_first_appearance() -> None:
    assert canonical([A, B, A]) == ["<id 1>", "<id 2>", "<id 1>"]
    assert canonical({"x": A}) == canonical({"x": B})
    assert canonical([A, B]) != canonical([A, A])


def test_letter_case_of_an_id_does_not_count() -> None:
    assert canonical([A, A.upper()]) == ["<id 1>", "<id 1>"]


def test_order_of_members_does_not_count_but_that_of_items_does() -> None:
    assert canonical({"x": A, "y": B}) == canonical({"y": A, "x": B})
    assert canonical([1, 2]) != canonical([2, 1])


@pytest.mark.parametrize("text", [f"run-{A}", f"lc_run--{A}", f"lc_{A}", A, HEX, HEX.upper()])
def test_every_form_of_an_id_is_renamed_whole(text: str) -> None:
    assert canonical(text) == "<id 1>"
    assert anonymous(text) == "<id>"


def test_ids_may_be_set_aside_without_telling_them_apart() -> None:
    assert anonymous(f"{A} since 2026-11-21T07:44:00Z, {B}") == "<id> since <time>, <id>"


def test_ids_inside_texts_and_keys_are_renamed() -> None:
    assert canonical({f"child:{A}": f"see {A} and {B}"}) == {"child:<id 1>": "see <id 1> and <id 2>"}


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-21T07:44:00Z",
        "2026-11-21T07:44:00.123456+00:00",
        "2026-11-21 07:44:00.1+0000",
        "2026-11-21T07:44:00",
        "2026-11-21t07:44:00z".upper(),
    ],
)
def test_times_are_all_one(time: str) -> None:
    assert canonical(time) == "<time>"


@pytest.mark.parametrize("value", ["2026-11-21", "s1", HEX[:-1], HEX + "0", 7, 7.5, True, None, "x" * 40])
def test_all_else_is_left_as_it_is(value: Any) -> None:
    assert canonical(value) == value


def test_the_document_itself_is_not_touched() -> None:
    document = {"b": [A], "a": 1}
    canonical(document)
    assert document == {"b": [A], "a": 1}


# --- the first difference ----------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [1, 1.0, "x", None, True, [], {}, [1, {"a": [None]}], {"a": 1, "b": [2]}])
def test_equal_documents_do_not_differ(same: Any) -> None:
    assert first_difference(same, same) is None


def test_numbers_are_compared_by_value_and_members_in_any_order() -> None:
    assert first_difference({"a": 1, "b": 2}, {"b": 2.0, "a": 1}) is None


@pytest.mark.parametrize(
    "left, right, path",
    [
        (1, True, ""),
        (0, False, ""),
        ([1, 2], [1, 3], "/1"),
        ([1], [1, 2], "/1"),
        ({"a": {"b": [0]}}, {"a": {"b": [1]}}, "/a/b/0"),
        ({"a/b": 1, "c~d": 1}, {"a/b": 1, "c~d": 2}, "/c~0d"),
        ({"a/b": 1}, {"a/b": 2}, "/a~1b"),
        ({"a": None}, {}, "/a"),
        ({}, {"a": None}, "/a"),
        ([], {}, ""),
        ("1", 1, ""),
        ({"x": 1, "a": 1}, {"x": 2, "a": 2}, "/x"),
    ],
)
def test_the_first_difference_is_found_from_both_sides(left: Any, right: Any, path: str) -> None:
    for found in (first_difference(left, right), first_difference(right, left)):
        assert found is not None
        assert found.path == path


def test_a_difference_reads_as_a_sentence() -> None:
    assert str(Difference("/a", 1, "x")) == '/a is 1, wanted "x"'
    assert str(Difference("", [], {})) == "it is [], wanted {}"
    assert str(first_difference({"a": None}, {})) == "/a is null, wanted none"
    assert str(first_difference([1], [1, "b"])) == 'item 2 of the list is missing, wanted "b"'
    assert str(first_difference({"log": ["a"]}, {"log": []})) == 'item 1 of /log is "a", wanted none'


def test_values_are_shown_short() -> None:
    assert shown({"a": "ä" * 300}) == '{"a": "' + "ä" * 112 + "…"
    assert shown(ABSENT) == "nothing"
    assert shown({1, 2} - {2}) == "{1}"
    assert shown("a\nb") == '"a\\nb"'


def test_every_difference_is_found_and_items_may_be_paired_in_another_way() -> None:
    left, right = {"a": [1, 2, 3], "b": 1}, {"a": [2, 3], "c": 1}
    assert [each.path for each in differences(left, right)] == ["/a/0", "/a/1", "/a/2", "/b", "/c"]
    turned = differences(left, right, paired=lambda one, other: zip(range(2), one[1:], other, strict=True))
    assert list(turned) == [Difference("/b", 1, ABSENT), Difference("/c", ABSENT, 1)]


@pytest.mark.parametrize(
    "value, name",
    [({}, "object"), ([], "array"), ("", "text"), (1.5, "number"), (True, "boolean"), (None, "null")],
)
def test_kinds_of_values(value: Any, name: str) -> None:
    assert kind(value) == name
