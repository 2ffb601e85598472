"""Where the server is and what is sent to it: addresses, headers, declared and probed capabilities."""

from __future__ import annotations

import pytest

from runstone.errors import UsageError
from runstone.target.capabilities import Capability
from runstone.target.target import RunTimeLimit, Target, checked_url, parsed_headers


@pytest.mark.parametrize(
    "text, url",
    [
        ("http://127.0.0.1:2024", "http://127.0.0.1:2024"),
        ("https://example.org/", "https://example.org"),
        ("http://[::1]:8000/api/v1/", "http://[::1]:8000/api/v1"),
        ("HTTP://localhost", "HTTP://localhost"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert checked_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:2024",
        "ftp://host",
        "http://",
        "http:///threads",
        "127.0.0.1",
        "http://h:port",
        "http://h:99999999",
        "file:///etc/passwd",
        "http://h/\x00",
        "embedde",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="is not a URL") as caught:
        checked_url(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["http://h/?a=1", "http://h/#x", "http://h?a"])
def test_an_address_has_neither_query_nor_fragment(text: str) -> None:
    with pytest.raises(UsageError, match="query or a fragment"):
        checked_url(text)


def test_headers() -> None:
    lines = ["Authorization: Bearer a:b ", "x-empty:", "X-Tab:\ta\tb", "x-empty: later"]
    assert parsed_headers(lines) == {"Authorization": "Bearer a:b", "x-empty": "later", "X-Tab": "a\tb"}
    assert parsed_headers([]) == {}


@pytest.mark.parametrize(
    "line", ["", "no-colon secret", ": secret", "two words: secret", "ümlaut: secret", "a(b): secret"]
)
def test_a_line_that_is_no_header_is_counted_and_not_repeated(line: str) -> None:
    with pytest.raises(UsageError, match="header number 2 has no 'Name: value' form") as caught:
        parsed_headers(["a: b", line])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["sécret", "a\x00secret", "a\nsecret", "secret\x7f", "a\rsecret"])
def test_a_value_that_no_header_carries_is_not_repeated(value: str) -> None:
    with pytest.raises(UsageError, match="the value of header x-a holds a character") as caught:
        parsed_headers([f"x-a: {value}"])
    assert "secret" not in str(caught.value)


def test_capabilities_are_declared_probed_or_neither() -> None:
    target = Target(
        name="t",
        url="http://h",
        declared={"crons": True, "own": False},
        run_time_limit=RunTimeLimit(assistant="slow", seconds=1.0),
    )
    assert target.capabilities({"crons": False, "metrics": True}, ["crons", "metrics", "store"]) == {
        "crons": Capability(declared=True, probed=False),
        "metrics": Capability(declared=None, probed=True),
        "own": Capability(declared=False, probed=None),
        "run_time_limit": Capability(declared=True, probed=None),
        "store": Capability(declared=None, probed=None),
    }
