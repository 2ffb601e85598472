"""The way to the target: certificates, proxies, and what a user is told when it does not lead there."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from runstone.session import evidence
from runstone.target import recipes
from runstone.wire.causes import cause, fix, was_cut
from runstone.wire.exchange import Exchange
from runstone.wire.limits import Limits
from runstone.wire.network import BadNetwork, Network
from runstone.wire.recorder import Recorder
from tests.command_line import judged, one_line_of_error, runstone
from tests.recorder.talking import asked
from tests.relay import Conditions, relaying
from tests.servers import heard_by, reply


def sent(
    url: str, network: Network | None = None, *, method: str = "GET", connect_s: float = 1.0
) -> Exchange:
    """One exchange by this way."""
    kept: list[Exchange] = []

    async def talk() -> None:
        limits = Limits(connect_s=connect_s)
        async with Recorder(url, {}, limits, network=network) as recorder:
            await recorder.send(asked(method=method, content=b"{}" if method == "POST" else None), kept)

    asyncio.run(talk())
    (found,) = kept
    return found


@contextmanager
def refused() -> Iterator[str]:
    """A port that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unused.getsockname()[1]}"


# certificates


def test_a_private_authority_is_trusted_where_it_is_named(tmp_path: Path) -> None:
    with heard_by() as (to, heard), relaying(to, Conditions(tls=str(tmp_path))) as relay:
        assert relay.url.startswith("https://")
        assert sent(relay.url, Network(ca_file=str(tmp_path / "ca.pem"))).json == {}
        assert sent(relay.url, Network(insecure=True)).json == {}
        stranger = sent(relay.url)
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        wrong = sent(relay.url, Network(ca_file=str(other)))
    assert len(heard) == 2
    for found in (stranger, wrong):
        assert (found.code, found.retried, found.disturbed) == (None, False, None)
        assert (found.failure or "").startswith("certificate not trusted: ")


def test_a_server_that_asks_for_a_certificate_is_shown_one(tmp_path: Path) -> None:
    ca, shown, key = (str(tmp_path / name) for name in ("ca.pem", "client.pem", "client.key"))
    conditions = Conditions(tls=str(tmp_path), client_certificates=True)
    with heard_by() as (to, _), relaying(to, conditions) as relay:
        assert sent(relay.url, Network(ca_file=ca, client_cert=shown, client_key=key)).code == 200
        without = sent(relay.url, Network(ca_file=ca))
    assert without.code is None
    assert "--client-cert" in fix(without.failure or "", relay.url)


def test_a_certificate_for_another_name_is_told_as_such(tmp_path: Path) -> None:
    with heard_by() as (to, _), relaying(to, Conditions(tls=str(tmp_path))) as relay:
        found = sent(relay.url.replace("127.0.0.1", "127.0.0.2"), Network(ca_file=str(tmp_path / "ca.pem")))
    if found.failure == "connection refused":  # this machine has but one loopback address
        return
    assert "is not valid for '127.0.0.2'" in (found.failure or "")


def test_a_post_whose_handshake_is_cut_is_sent_again_as_nobody_can_have_got_it(tmp_path: Path) -> None:
    tls, cut = Conditions(tls=str(tmp_path)), Conditions(reset_every=2, reset_after=0)
    network = Network(ca_file=str(tmp_path / "ca.pem"))

    async def talk(url: str) -> list[Exchange]:
        kept: list[Exchange] = []
        async with Recorder(url, {}, Limits(), network=network) as recorder:
            for number, scenario in enumerate("ab"):  # by connections of their own
                request = asked(scenario=scenario, number=number, method="POST", content=b"{}")
                await recorder.send(request, kept)
        return kept

    with heard_by() as (to, heard), relaying(to, tls) as inner, relaying(inner.url, cut) as outer:
        kept = asyncio.run(talk(outer.url.replace("http:", "https:")))
    assert [(each.code, each.retried) for each in kept] == [(200, False), (200, True)]
    assert len(heard) == 2


# proxies


def test_a_request_goes_by_the_proxy_that_is_named() -> None:
    with heard_by() as (proxy, heard):
        assert sent("http://nowhere.invalid:2024", Network(proxy=proxy)).code == 200
        assert sent("http://nowhere.invalid:2024", Network(proxy=proxy.removeprefix("http://"))).code == 200
    assert {each.target for each in heard} == {"http://nowhere.invalid:2024/threads"}


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_the_environment_is_read_on_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.upper(), raising=False)
    with heard_by() as (proxy, by_proxy), heard_by() as (to, direct):
        monkeypatch.setenv(name, proxy)
        sent(to, Network(proxy="env"))
        sent(to)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        sent(to, Network(proxy="env"))
    assert (len(by_proxy), len(direct)) == (1, 2)


def test_a_proxy_that_refuses_is_told_from_a_target_that_does() -> None:
    answer = reply("403 Forbidden", "text/plain", b"no")
    with heard_by(lambda _: answer) as (proxy, heard):
        found = sent("https://nowhere.invalid", Network(proxy=proxy))
    assert (found.code, found.failure) == (None, "proxy refused: 403 Forbidden")
    assert heard[0].method == "CONNECT"
    with refused() as address:
        assert sent("http://nowhere.invalid", Network(proxy=address)).failure == "proxy: connection refused"


# what was in the way


@pytest.mark.parametrize(
    "url, failure, hint",
    [
        ("http://nowhere.invalid", "name not found: ", "is the host spelt"),
        ("http://127.0.0.1:1", "connection refused", "is the server up"),
    ],
)
def test_why_nothing_answers(url: str, failure: str, hint: str) -> None:
    found = sent(url)
    assert (found.failure or "").startswith(failure)
    assert fix(found.failure or "", url).startswith(hint)
    assert found.disturbed is None


def test_a_server_that_never_shakes_hands_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = sent(f"https://127.0.0.1:{listener.getsockname()[1]}", connect_s=0.5)
    assert found.failure == "no connection in time"
    assert found.disturbed == "the network cut it off (no connection in time)"


@pytest.mark.parametrize("after", [5, 60])
def test_a_reset_disturbs_a_post_and_is_no_excuse_for_a_second_one(after: int) -> None:
    conditions = Conditions(reset_every=1, reset_after=after)
    with heard_by() as (to, heard), relaying(to, conditions) as relay:
        found = sent(relay.url, method="POST")
    assert (found.retried, found.failure) == (False, "connection reset")
    assert found.disturbed == "the network cut it off (connection reset)"
    assert len(heard) == 1


def test_a_read_is_tried_once_more() -> None:
    with heard_by() as (to, _), relaying(to, Conditions(reset_every=2, reset_after=0)) as relay:
        assert sent(relay.url).retried is False
        found = sent(relay.url)
    assert (found.code, found.retried) == (200, True)


def test_causes_that_no_server_of_the_tests_brings_about() -> None:
    wrong = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    wrong.reason = "WRONG_VERSION_NUMBER"
    assert cause(wrong) == "no TLS is spoken there"
    alert = ssl.SSLError(1, "alert")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert cause(alert) == "TLS failed: tlsv13 alert certificate required"
    assert cause(ExceptionGroup("all attempts failed", [OSError(113, "No route to host")])) == (
        "no connection: No route to host"
    )
    assert cause(ValueError("")) == "ValueError"
    assert not was_cut(wrong)


# what the user says


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an authority, a certificate, its key, another key, and what is none of these."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("one", "other"):
        issued = authority.issue_cert(f"{name}@example.org")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    (tmp_path / "junk.pem").write_text("no certificate", "utf-8")
    (tmp_path / "locked.key").write_text(LOCKED, "utf-8")
    return tmp_path


LOCKED = """-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF

AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
-----END RSA PRIVATE KEY-----
"""

BAD = [
    (["--ca-file", "junk.pem"], "junk.pem (--ca-file) holds no certificate"),
    (["--ca-file", "none.pem"], "cannot read none.pem (--ca-file): No such file"),
    (["--ca-file", "one.key"], "one.key (--ca-file) holds no certificate"),
    (["--client-cert", "none.pem"], "none.pem (--client-cert): there is no such file"),
    (
        ["--client-cert", "one.pem", "--client-key", "none.key"],
        "none.key (--client-key): there is no such file",
    ),
    (["--client-cert", "one.pem", "--client-key", "other.key"], "do not belong together: one.pem"),
    (["--client-cert", "one.pem", "--client-key", "junk.pem"], "no certificate with its key in PEM form"),
    (
        ["--client-cert", "one.pem", "--client-key", "locked.key"],
        "locked.key (--client-key) has a passphrase",
    ),
    (["--client-cert", "one.pem"], "no certificate with its key in PEM form"),
    (["--client-key", "one.key"], "--client-key lacks its certificate"),
    (["--ca-file", "ca.pem", "--insecure"], "give one of them"),
    (["--proxy", "socks5://127.0.0.1:1"], "--proxy is not a proxy like http://127.0.0.1:3128"),
    (["--proxy", "http://"], "--proxy is not a proxy like"),
]


@pytest.mark.parametrize("words, said", BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_cannot_be_used_is_refused(
    files: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    given: dict[str, Any] = {"insecure": "--insecure" in words}
    options = iter(word for word in words if word != "--insecure")
    given |= {option[2:].replace("-", "_"): next(options) for option in options}
    with pytest.raises(BadNetwork) as raised:
        Network(**given).check("https://127.0.0.1:1")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_key_may_be_in_the_file_of_its_certificate(files: Path) -> None:
    Network(client_cert=str(files / "both.pem")).check("https://127.0.0.1:1")


def test_a_password_of_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:s3cr3t@127.0.0.1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(BadNetwork, match=r"^HTTPS_PROXY is not a proxy") as raised:
        Network(proxy="env").check("https://example.org")
    assert "s3cr3t" not in str(raised.value)


# as a user meets it


def test_the_command_line_tells_the_cause_in_one_line(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out"), "--area", "meta"]
    with heard_by() as (to, _), relaying(to, Conditions(tls=str(tmp_path))) as relay:
        done = runstone("check", relay.url, *out)
        junk = runstone("check", relay.url, *out, "--ca-file", __file__)
    assert (done.returncode, junk.returncode) == (3, 2)
    said = one_line_of_error(done)
    assert f"{relay.url} does not answer (certificate not trusted: " in said
    assert "name who signed it by --ca-file FILE" in said
    assert "holds no certificate" in one_line_of_error(junk)


def test_what_nobody_vouched_for_is_marked_in_every_report(tmp_path: Path) -> None:
    (tmp_path / "runstone.toml").write_text("[network]\ninsecure = true\n", "utf-8")
    config = ["--area", "meta", "--config", str(tmp_path / "runstone.toml")]
    mark = "no certificate was checked"
    tls, recipe = Conditions(tls=str(tmp_path)), recipes.load("embedded")
    with recipes.running(recipe) as server, relaying(server.url, tls) as relay:
        blind = runstone("check", relay.url, *config, "--out", str(tmp_path / "blind"))
        plain = runstone("check", server.url, *config, "--out", str(tmp_path / "plain"))
        trust = ["--ca-file", str(tmp_path / "ca.pem")]
        sure = runstone("check", relay.url, *config, *trust, "--out", str(tmp_path / "sure"))
    for done, insecure in ((blind, True), (plain, False), (sure, False)):
        assert done.returncode == 0, done.stdout + done.stderr
        assert (mark in done.stdout) is insecure
    for name, insecure in (("blind", True), ("plain", False), ("sure", False)):
        assert evidence.read_manifest(tmp_path / name / "evidence").insecure is insecure
        for report in ("report.json", "report.html", "summary.md", "junit.xml"):
            text = (tmp_path / name / report).read_text("utf-8")
            assert (mark in text or '"insecure": true' in text) is insecure, f"{name}/{report}"
    again = runstone("judge", str(tmp_path / "blind" / "evidence"), "--out", str(tmp_path / "again"))
    assert mark in again.stdout
    assert judged(tmp_path / "blind" / "report.json") == judged(tmp_path / "plain" / "report.json")
