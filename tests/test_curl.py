"""A request as a line of curl: it repeats what was sent when pasted, and hides what is secret."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from runstone.wire import curl
from tests.exchanges import exchange, streamed
from tests.servers import heard_by


def test_curl_says_what_matters_and_hides_what_is_secret() -> None:
    line = streamed(
        method="POST",
        request_body='{"text": "it\'s $HOME `x` \\"y\\"\n"}',
        request_headers=(
            ("content-type", "application/json"),
            ("x-trace", "7"),
            ("authorization", "[redacted:authorization]"),
        ),
    ).curl()
    words = shlex.split(line)
    assert words[:6] == ["curl", "-sS", "-i", "-N", "-X", "POST"]
    assert words[-1] == '{"text": "it\'s $HOME `x` \\"y\\"\n"}'
    assert "authorization: [redacted:authorization]" in words
    assert "x-trace: 7" not in words
    assert exchange().curl() == f"curl -sS -i '{exchange().url}'"


@pytest.mark.parametrize(
    "body", ['{"text": "it\'s $HOME & `id` \\"q\\" äß漢"}', "NUL \0001, 100 % \\n, it's"]
)
@pytest.mark.parametrize("head", [True, False])
def test_a_curl_line_repeats_its_request_when_pasted(body: str, head: bool) -> None:
    with heard_by() as (url, heard):
        sent = exchange(
            method="POST",
            url=f"{url}/threads?a=%20b&c=1",
            request_body=body,
            request_headers=(("content-type", "application/json"),),
        )
        pasted = ["/bin/sh", "-c", curl.line(sent, head=head)]
        done = subprocess.run(pasted, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"HTTP/1.1 200" if head else b"{}")
    assert (heard[0].method, heard[0].target) == ("POST", "/threads?a=%20b&c=1")
    assert heard[0].body.decode() == body
    assert heard[0].headers["content-type"] == "application/json"


def test_a_body_that_nobody_would_paste_stays_in_the_evidence() -> None:
    short, long = (
        exchange(method="POST", scenario="long", number=4, request_body="x" * length).curl()
        for length in (8_192, 8_193)
    )
    assert short.endswith("x" * 8_192)
    assert long.endswith("--data-binary @body  # body: request_body of long#4 in the evidence")
