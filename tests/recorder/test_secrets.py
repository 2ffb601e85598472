"""Secrets are redacted wherever they stand."""

from __future__ import annotations

import msgspec
import pytest

from runstone.wire.exchange import Exchange
from runstone.wire.redaction import Redactor
from tests.recorder.talking import HEADERS, SECRET, sent
from tests.servers import (
    Heard,
    heard_by,
    reply,
)


def assert_clean(found: Exchange) -> None:
    """Nothing of the secret is anywhere in what would be written."""
    assert SECRET.encode() not in msgspec.json.encode(found)
    assert SECRET not in found.curl()


def test_secrets_of_a_request_are_redacted_everywhere() -> None:
    with heard_by() as (url, heard):
        found = sent(
            url,
            HEADERS,
            method="POST",
            path=f"/threads/{SECRET}",
            params=(("token", SECRET),),
            headers=(("x-copy", SECRET),),
            content=f'{{"note": "Bearer {SECRET}"}}'.encode(),
        )
    assert_clean(found)
    assert heard[0].headers["authorization"] == f"Bearer {SECRET}"
    assert heard[0].headers["x-short"] == "abc"
    assert ("authorization", "[redacted:authorization]") in found.request_headers
    assert ("x-short", "[redacted:x-short]") in found.request_headers
    assert "authorization: [redacted:authorization]" in found.curl()
    assert found.request_body == '{"note": "[redacted:authorization]"}'
    assert found.url.endswith("/threads/[redacted:authorization]?token=[redacted:authorization]")


@pytest.mark.parametrize("value", [SECRET, f"Bearer {SECRET}"])
def test_secrets_that_a_server_echoes_are_redacted_everywhere(value: str) -> None:
    body = f"event: values\ndata: {value}\nid: {value}\n\n: {value}\n\n{value}\n\n".encode()

    def answer(_heard: Heard) -> bytes:
        return reply("200 OK", "text/event-stream", body, f"X-Echo: {value}")

    with heard_by(answer) as (url, _):
        found = sent(url, HEADERS)
    assert_clean(found)
    assert [each.data for each in found.events] == ["[redacted:authorization]"]
    assert [each.text for each in found.comments] == ["[redacted:authorization]"]
    assert found.malformed_lines == ("[redacted:authorization]",)
    assert found.headers["x-echo"] == "[redacted:authorization]"


def test_secrets_in_a_body_of_no_utf_8_and_in_an_error_are_redacted() -> None:
    def answer(_heard: Heard) -> bytes:
        return reply("200 OK", "text/plain", b"\xff" + SECRET.encode())

    with heard_by(answer) as (url, _):
        found = sent(url, HEADERS)
        assert_clean(found)
        assert not found.utf8
        refused = sent(url, HEADERS, headers=(("x-bad", f"a\x00 {SECRET}"),))
    assert_clean(refused)
    assert "Illegal header value" in (refused.failure or "")


def test_a_short_value_is_hidden_in_its_header_only() -> None:
    redactor = Redactor({"X-Short": "abc"})
    assert redactor.text("the abc of it") == "the abc of it"
    assert redactor.headers((("X-SHORT", "abc"), ("X-Other", "abc"))) == (
        ("x-short", "[redacted:x-short]"),
        ("x-other", "abc"),
    )


def test_the_longer_of_two_secrets_goes_first() -> None:
    redactor = Redactor({"A": "secret-one", "B": "secret-one-and-more"})
    assert redactor.text("secret-one-and-more secret-one") == "[redacted:b] [redacted:a]"
