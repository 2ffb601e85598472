"""The scan for credentials finds what looks like one, and nothing of what Runstone's own scenarios send."""

from __future__ import annotations

from typing import Any

import pytest

from runstone.locations import locate
from runstone.session.evidence import FORMAT, Manifest
from runstone.signoff.credentials import KINDS, Finding, scan
from runstone.wire.exchange import Event, Exchange
from runstone.wire.trace import Trace

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# One of each kind, put together here so that nobody's scan of this file finds them.
CREDENTIALS = {
    "private-key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiJhZGEifQ." + LETTERS,
    "bearer-token": "Authorization: Bearer " + LETTERS,
    "basic-credentials": "basic " + "YWRhOmxvdmVsYWNl",
    "url-password": "postgres://ada:" + "lovelace@db/x",
    "aws-key": "AKIA" + "ABCDEFGHIJKLMNOP",
    "github-token": "ghp_" + LETTERS + "AB",
    "gitlab-token": "glpat-" + LETTERS,
    "slack-token": "xoxb-" + "1234567890-" + "abc",
    "google-key": "AIza" + LETTERS[:35],
    "langsmith-key": "lsv2_pt_" + "0123456789abcdef" * 2 + "_0123456789",
    "model-key": "sk-proj-" + LETTERS,
    "secret-member": '{"db_' + 'password": "lovelace"}',
}
HARMLESS = [
    "6f1d1c9e-3c55-4f0e-9a52-6a1a4b7f3c10",
    "Bearer [redacted:authorization]",
    '{"password": "[redacted:x]"}',
    '{"token": "hello"}',
    '{"max_tokens": "100000"}',
    "the bearer of this letter",
    "http://127.0.0.1:2024/threads/a@b",
    "sk-short",
    LETTERS,
]


def manifest(url: str = "http://127.0.0.1:1") -> Manifest:
    return Manifest(format=FORMAT, runstone="0", profile="p", target="t", url=url, started_at="now")


def found(trace: Trace, *allowed: str) -> list[Finding]:
    return scan(manifest(), [trace], allowed)


def trace(**fields: Any) -> Trace:
    about: dict[str, Any] = {
        "scenario": "here",
        "number": 3,
        "label": "x",
        "method": "GET",
        "url": "http://h/",
    }
    return Trace(scenario="here", exchanges=(Exchange(**{**about, "sent_at": 0.0, **fields}),))


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_each_kind_is_found_wherever_it_stands(kind: str) -> None:
    text = CREDENTIALS[kind]
    places: dict[str, dict[str, Any]] = {
        "content": {"content": f"x {text} y"},
        "request body": {"request_body": text},
        "url": {"url": f"http://h/?q={text}"},
        "response headers": {"response_headers": (("x-debug", text),)},
        "events": {"events": (Event(event="values", data=text, at=0.0),)},
        "failure": {"failure": f"said {text}"},
    }
    for place, fields in places.items():
        told = found(trace(**fields))
        assert Finding(kind, "here", f"here#3, {place}") in told, place
        assert all(text not in str(each) for each in told)
    assert found(Trace(scenario="here", notes={"a": [text]}))[0].place == "what here noted"


def test_every_kind_has_an_example() -> None:
    headers = KINDS - CREDENTIALS.keys()
    assert headers == {"authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie"}
    for name in headers:
        assert found(trace(response_headers=((name, "a=b"),))) == [
            Finding(name, "here", "here#3, response header")
        ]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_credential_is_not_found(text: str) -> None:
    assert found(trace(content=text, request_headers=(("x-note", text),))) == []


def test_redacted_headers_are_not_found() -> None:
    assert found(trace(request_headers=(("authorization", "[redacted:authorization]"), ("cookie", "")))) == []


def test_what_a_scenario_makes_up_is_not_found() -> None:
    """suites/test_monitors.py sends such a key to see whether an answer repeats it."""
    made_up = "runstone-canary-"
    assert f'"{made_up}"' in (locate("suites") / "test_monitors.py").read_text("utf-8")
    assert found(trace(request_headers=(("x-api-key", f"{made_up}6f1d1c9e"),))) == []


def test_what_is_allowed_is_allowed_there_only() -> None:
    token = trace(content=CREDENTIALS["aws-key"])
    assert found(token, "aws-key") == found(token, "aws-key:here") == []
    assert len(found(token, "aws-key:there", "jwt")) == 1


def test_the_manifest_is_read_too() -> None:
    (told,) = scan(manifest(url="https://ada:" + "lovelace@h"), [])
    assert str(told) == "url-password in the manifest"
