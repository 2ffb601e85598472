"""Batches over HTTP: started, heard of, cancelled; nothing is missed or repeated, and nobody else gets in."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runstone.contracts.schemas import violations
from runstone.conversations.live.guard import Guard, NotGuarded
from tests.command_line import command, one_line_of_error, runstone, started
from tests.conversations.desk import Desk, serving_desk
from tests.conversations.live import Leisurely, begin, files, heard, live, state
from tests.conversations.test_commands import BROKEN
from tests.conversations.test_interface import SHORT
from tests.conversations.test_playing import REFUND
from tests.servers import Heard

SCENARIOS = ({**SHORT, "tags": ["quick"]}, {**REFUND, "tags": ["money"]}, {**BROKEN, "tags": ["quick"]})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("live")
    files(folder / "scenarios", *SCENARIOS)
    with serving_desk(Leisurely(0.02)) as target, live(folder, target, silence_s=0.05) as served:
        yield served


# a batch from its start to its report


def test_a_batch_is_played_told_and_reported(url: str) -> None:
    batch = begin(url)
    events = heard(url, batch)
    assert [number for number, _ in events] == [*range(1, len(events) + 1)]
    kinds = [event["kind"] for _, event in events]
    assert {"started", "user_input", "token", "tool_call", "interrupt", "agent_response"} < set(kinds)
    last = events[-1][1]
    assert (kinds[-1], last["data"]["result"], last["data"]["exit_code"]) == ("completed", "fail", 1)
    assert "report" not in last
    told = state(url, batch)
    assert (told["state"], told["accepted"], told["done"]) == ("done", False, 3)
    assert told["results"] == {"pass": 2, "fail": 1}
    assert told["events"] == {"first": 1, "last": len(events)}
    reasons = {each["scenario"]: each.get("reason", "") for each in told["conversations"]}
    assert reasons["short"] == ""
    assert '"Evil" is not in the answer' in reasons["broken"]
    assert violations("scenarios-report", httpx.get(f"{url}/batches/{batch}/report.json").json()) == []
    page = httpx.get(f"{url}/batches/{batch}/report.html")
    assert "Not accepted: 3 scenarios" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<testsuite" in httpx.get(f"{url}/batches/{batch}/junit.xml").text
    assert (Path(told["folder"]) / "evidence/manifest.json").is_file()
    assert batch in [each["id"] for each in httpx.get(f"{url}/batches").json()["batches"]]


def test_what_is_wanted_is_what_is_played(url: str) -> None:
    def played(**wanted: Any) -> list[str]:
        batch = begin(url, **wanted)
        heard(url, batch)
        return [each["conversation"] for each in state(url, batch)["conversations"]]

    assert played(scenarios=["short"]) == ["conversation.short.1.stream.1"]
    assert played(files=["refund.yaml"], set={"entry_point": "wait"}) == ["conversation.refund.1.wait.1"]
    assert played(tags=["quick"], repeat=2) == [
        f"conversation.{name}.1.stream.{repeat}" for name in ("broken", "short") for repeat in (1, 2)
    ]
    offered = httpx.get(f"{url}/scenarios").json()["scenarios"]
    assert [(each["name"], each["file"], each["tags"], each["turns"]) for each in offered] == [
        ("broken", "broken.yaml", ["quick"], 1),
        ("refund", "refund.yaml", ["money"], 2),
        ("short", "short.yaml", ["quick"], 1),
    ]


def test_who_comes_back_misses_and_repeats_nothing(url: str) -> None:
    batch = begin(url, scenarios=["refund"], repeat=2)
    found: list[tuple[int, dict[str, Any]]] = []
    while more := heard(url, batch, after=len(found), most=7):  # hangs up after each seven
        found += more
    whole = heard(url, batch)
    assert found == whole
    assert [number for number, _ in whole] == [*range(1, len(whole) + 1)]
    assert whole[-1][1]["kind"] == "completed"
    after = httpx.get(f"{url}/batches/{batch}/events", params={"after": len(whole)})
    assert after.status_code == 204  # what tells a browser not to come back


def test_silence_is_broken_by_comments(tmp_path: Path) -> None:
    files(tmp_path / "scenarios", SHORT)
    with (
        serving_desk(Leisurely(0.3)) as target,
        live(tmp_path, target, silence_s=0.02) as served,
        httpx.stream("GET", f"{served}/batches/{begin(served)}/events", timeout=60) as answer,
    ):
        assert ": alive" in list(answer.iter_lines())


def test_a_cancelled_batch_ends_in_the_middle_of_a_turn_and_keeps_what_was_played(tmp_path: Path) -> None:
    files(tmp_path / "scenarios", {**SHORT, "repeat": {"times": 200}})
    desk = Leisurely(0.05)
    with serving_desk(desk) as target, live(tmp_path, target) as served:
        first, second = begin(served), begin(served)
        heard(served, first, most=40)
        assert state(served, second)["state"] == "queued"
        for each in (second, first):
            assert httpx.post(f"{served}/batches/{each}/cancel").status_code == 202
        assert heard(served, first)[-1][1]["text"].startswith("it was stopped before its end; ")
        last = heard(served, second)[-1][1]
        assert (last["text"], last["data"]["state"]) == ("it was cancelled before it began", "cancelled")
        told = state(served, first)
        assert [told["state"], state(served, second)["state"]] == ["cancelled", "cancelled"]
        assert 0 < told["results"]["pass"] == told["done"] < 200
        assert told["results"]["not-judged"] == 200 - told["done"]
        assert desk.turns < 200
        report = httpx.get(f"{served}/batches/{first}/report.json").json()
        assert report["complete"] is False
        assert report["results"]["scenarios"][0]["rate"]["passed"] == told["results"]["pass"]
        assert httpx.post(f"{served}/batches/{first}/cancel").json()["state"] == "cancelled"
        assert httpx.get(f"{served}/batches/{second}/report.html").status_code == 404
    assert not [each for each in threading.enumerate() if each.name == "runstone-scenarios"]


def test_a_target_that_does_not_answer_is_told(tmp_path: Path) -> None:
    files(tmp_path / "scenarios", SHORT)
    with live(tmp_path, "http://127.0.0.1:9") as served:
        batch = begin(served)
        last = heard(served, batch)[-1][1]
        assert "does not answer" in last["text"]
        assert last["data"]["exit_code"] == 3
        assert state(served, batch)["accepted"] is False


def test_secrets_go_to_the_target_of_the_command_line_alone(tmp_path: Path) -> None:
    files(tmp_path / "scenarios", SHORT)

    class Asked(Desk):
        def __init__(self) -> None:
            super().__init__()
            self.keys: set[str] = set()

        def answer(self, heard: Heard) -> bytes:
            self.keys.add(heard.headers.get("x-key", ""))
            return super().answer(heard)

    own, other = Asked(), Asked()
    with (
        serving_desk(own) as target,
        serving_desk(other) as elsewhere,
        live(tmp_path, target, headers={"X-Key": "secret"}) as served,
    ):
        for wanted in ({}, {"target": target}, {"target": elsewhere}):
            assert heard(served, begin(served, **wanted))[-1][1]["data"]["accepted"] is True
    assert (own.keys, other.keys) == ({"secret"}, {""})


# what cannot be carried out


@pytest.mark.parametrize(
    "body, status, detail",
    [
        (b"{", 400, "the body is not valid JSON"),
        (b"[]", 422, "the body: "),
        (b'{"scenario": ["short"]}', 422, "unknown key 'scenario'; did you mean scenarios?"),
        (b'{"scenarios": ["shrt"]}', 422, "there is no scenario 'shrt'; did you mean short?"),
        (b'{"tags": ["quik"]}', 422, "no scenario has the tag 'quik'; did you mean quick?"),
        (b'{"files": ["no.yaml"]}', 422, "there is no file 'no.yaml' here"),
        (b'{"target": "langgraph-py"}', 422, "is not a URL; name a recipe with --target"),
        (b'{"repeat": 0}', 422, "the body: "),
        (b'{"repeat": 1000, "set": {"vars.x": [1, 2, 3, 4, 5, 6]}}', 422, "too many for a batch"),
        (b'{"set": {"entry_point": "weit"}}', 422, "entry_point"),
        (b'{"set": {"turns": []}}', 422, "set: 'turns' cannot be replaced here, only assistant, config,"),
        (
            b'{"set": {"setup.files": {"x": "/etc/passwd"}}}',
            422,
            "'setup.files' cannot be replaced here",
        ),
        (b'{"files": ["' + b"x" * 300_000 + b'"]}', 413, "larger than"),
    ],
)
def test_what_cannot_be_played_is_a_problem_in_one_line(
    url: str, body: bytes, status: int, detail: str
) -> None:
    answer = httpx.post(f"{url}/batches", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    told = answer.json()
    assert told["status"] == status
    assert detail in told["detail"]
    assert "\n" not in told["detail"]


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/batches/none", 404),
        ("GET", "/batches/none/events", 404),
        ("POST", "/batches/none/cancel", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/batches", 405),
        ("POST", "/batches", 415),  # as a form of another site would send it
    ],
)
def test_what_is_not_there_is_a_problem(url: str, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, url + path, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert status != 405 or {*answer.headers["allow"].split(", ")} == {"GET", "HEAD", "POST"}


def test_an_event_that_never_was_is_no_place_to_go_on_from(url: str) -> None:
    batch = begin(url, scenarios=["short"])
    for wrong in ("99999", "x", "-1", "1.5"):
        answer = httpx.get(f"{url}/batches/{batch}/events", headers={"Last-Event-ID": wrong})
        assert answer.status_code == 400, wrong


# who gets in


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:2030"}, 200),
        ({"Host": "evil.example"}, 421),  # a name that was pointed at this address
        ({"Host": "localhost:99x"}, 421),
        ({"Host": "me@localhost"}, 421),
        ({"Host": "localhost.evil.example:2030"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_others_start_nothing(url: str, headers: dict[str, str], status: int) -> None:
    answer = httpx.post(f"{url}/batches", json={"scenarios": ["none"]}, headers=headers)
    assert answer.status_code == (422 if status == 200 else status)  # it gets as far as the scenarios
    assert "access-control-allow-origin" not in answer.headers


def test_its_own_origin_may_ask(url: str) -> None:
    answer = httpx.post(f"{url}/batches", json={"scenarios": ["none"]}, headers={"Origin": url})
    assert answer.status_code == 422


def test_with_a_token_nobody_comes_in_without_it(tmp_path: Path) -> None:
    files(tmp_path / "scenarios", SHORT)
    guard = Guard.of("0.0.0.0", token=None, open_to_all=False)  # noqa: S104 - nothing listens there
    assert guard.token is not None
    with serving_desk(Desk()) as target, live(tmp_path, target, guard=guard) as served:
        right = {"Authorization": f"Bearer {guard.token}"}
        for path in ("/", "/scenarios", "/batches", "/batches/x/events", "/?token=wrong"):
            answer = httpx.get(served + path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert guard.token not in answer.text
        assert httpx.get(f"{served}/batches", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert httpx.get(f"{served}/batches", headers=right).json() == {"batches": []}
        with httpx.Client(base_url=served) as browser:
            entered = browser.get("/", params={"token": guard.token})
            assert (entered.status_code, entered.headers["location"]) == (303, "/")
            cookie = entered.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=lax" in cookie
            page = browser.get("/")
            assert page.status_code == 200
            assert guard.token not in page.text


def test_beyond_this_machine_a_token_is_the_default() -> None:
    def token(host: str, given: str | None = None, *, open_to_all: bool = False) -> str | None:
        return Guard.of(host, token=given, open_to_all=open_to_all).token

    assert [token(each) for each in ("127.0.0.1", "localhost", "::1", "127.0.0.2")] == [None] * 4
    made = token("0.0.0.0")  # noqa: S104 - nothing listens there
    assert made is not None
    assert len(made) >= 32
    assert made != token("::")
    assert token("192.0.2.1", open_to_all=True) is None
    assert token("127.0.0.1", "a" * 16) == "a" * 16
    with pytest.raises(NotGuarded, match="not 16 to 200 letters"):
        token("127.0.0.1", "short")
    with pytest.raises(NotGuarded, match="not 16 to 200 letters"):
        token("127.0.0.1", "a" * 16 + ";")
    with pytest.raises(NotGuarded, match="contradict"):
        token("127.0.0.1", "a" * 16, open_to_all=True)


def test_no_answer_may_be_kept_framed_or_sniffed(url: str) -> None:
    for path in ("/", "/scenarios", "/batches/none", f"/batches/{begin(url, scenarios=['short'])}/events"):
        with httpx.stream("GET", url + path) as answer:
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


# the events that are kept


# the command


def test_ctrl_c_cancels_what_is_played_and_keeps_it(tmp_path: Path) -> None:
    paths, out = files(tmp_path / "s", {**SHORT, "repeat": {"times": 200}}), tmp_path / "out"
    with serving_desk(Leisurely(0.05)) as target:
        words = ["scenarios", "serve", str(paths), "--target", target, "--out", str(out), "--port", "0"]
        with started(command, *words) as running:
            served = running.first_line().rpartition(" on ")[2].partition(",")[0]
            batch = begin(served)
            heard(served, batch, most=60)
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == 0, running.complained
            said = running.said.splitlines()
    assert said == [
        f"1 scenario on {served}, end with Ctrl-C",
        "ending: what is played is cancelled, and what it made on the target deleted",
        f"1 batch kept in {out / 'batches'}",
    ]
    report = json.loads((out / "batches" / batch / "report.json").read_text())
    assert report["complete"] is False
    assert 0 < report["results"]["scenarios"][0]["rate"]["passed"] < 200


@pytest.mark.parametrize(
    "words, code, line",
    [
        (["empty"], 2, "there is no scenario in empty"),
        (["missing"], 2, "cannot read missing"),
        (["s", "--target", "no-such-recipe"], 2, "no-such-recipe"),
        (["s", "--token", "short"], 2, "not 16 to 200 letters"),
        (["s", "--port", "{taken}"], 3, "is taken; name another with --port"),
        (["s", "--host", "192.0.2.1"], 3, "cannot listen on 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: list[str], code: int, line: str
) -> None:
    files(tmp_path / "s", SHORT)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    taken = url.rpartition(":")[2]
    done = runstone("scenarios", "serve", *(each.replace("{taken}", taken) for each in words))
    assert done.returncode == code
    assert line in one_line_of_error(done)


def test_its_help_tells_how_it_is_guarded() -> None:
    done = runstone("scenarios", "serve", "--help")
    assert done.returncode == 0
    for word in ("--host", "--token", "--no-token", "--allow-host", "--max-calls", "--capacity"):
        assert word in done.stdout
