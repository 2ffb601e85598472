"""What tells reasons apart, and what of them is only a value of one case."""

from __future__ import annotations

import json

import pytest

from runstone.report.likeness import without_echo, without_values, without_what_was_sent
from runstone.wire.exchange import Exchange

THREAD = "6f1d1c9e-3c55-4f0e-9a52-6a1a4b7f3c10"


@pytest.mark.parametrize(
    "one, other, alike",
    [
        ('wanted "steps", got null', 'wanted "<id>", got null', True),
        ('wanted "steps", got null', 'wanted "steps", got "slow"', False),
        ('wanted ["a"], got []', 'wanted ["a"], got ["b"]', False),
        ('wanted "interrupted", got "running"', 'wanted "success", got "running"', False),
        ("wanted 404, got 200", "wanted 422, got 200", False),
        ("wanted a reconnect with id 2069, got none", "wanted a reconnect with id 17, got none", True),
        ("/values/branch:to:s2 is null, wanted none", "/values/branch:to:ask is null, wanted none", True),
        ("/values/log is null, wanted none", "/values/log is missing, wanted none", False),
        ('wanted a 4xx, got 200: "{\\"log\\":[\\"s1…', 'wanted a 4xx, got 200: "id: 54\\nevent: end"', True),
        ('wanted an error, got "{\\"kind\\":\\"str\\"}"', 'wanted an error, got "{\\"kind\\":7}"', True),
        ("the value 'large_exponent' is lost", "the value 'lone_surrogate' is lost", False),
        ('wanted one, got [{"values": {"note": "a", "log": ["s1…', "wanted one, got [{}, {}]", True),
    ],
)
def test_values_of_a_case_are_left_open_and_what_names_a_defect_is_not(
    one: str, other: str, alike: bool
) -> None:
    assert (without_values(one) == without_values(other)) is alike


def refused(said: str, **asked: object) -> str:
    return without_what_was_sent(
        Exchange(
            scenario="turns",
            number=1,
            label="wait",
            method="POST",
            url=f"http://127.0.0.1:2024/threads/{THREAD}/runs/wait",
            sent_at=0.0,
            request_body=json.dumps(asked),
            code=500,
            content=said,
        )
    )


@pytest.mark.parametrize(
    "one, other, alike",
    [
        ("the boiler is cold", "the pump is dry", True),
        ("the boiler is cold", "'the pump is dry'", True),
        ("no such thing as the boiler", "no such thing as the boiler room", False),
    ],
)
def test_what_a_refusal_quotes_of_its_request_tells_no_causes_apart(
    one: str, other: str, alike: bool
) -> None:
    told = [
        refused(json.dumps({"message": said}), input={"message": said.strip("'")} if alike else {})
        for said in (one, other)
    ]
    assert (told[0] == told[1]) is alike


def test_what_a_server_got_and_which_id_it_did_not_find_are_left_open() -> None:
    assert refused('{"m":"Expected dict, got 7\\\\nSee"}') == refused(
        '{"m":"Expected dict, got [1]\\\\nSee"}'
    )
    assert refused(f'{{"m":"no thread {THREAD}"}}') == '{"m":"no thread <sent>"}'
    assert (
        refused('{"m":"no graph: nothing-such"}', assistant_id="nothing-such") == '{"m":"no graph: <sent>"}'
    )
    assert refused('{"m":"Integer too large"}') != refused('{"m":"Invalid token"}')


def test_the_input_that_pydantic_quotes_is_left_out() -> None:
    told = "[{'type': 'dict_type', 'loc': ('body', 'input'), 'input': %s}]"
    assert without_echo(told % "['one', {'a': 1}]") == without_echo(told % "7") == told % "…"
    in_json = '{"detail":[{"type":"int_type","input":%s,"ctx":{"error":"x"},"url":"y"}]}'
    assert without_echo(in_json % '"a, b"') == in_json % "…"
