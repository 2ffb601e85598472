"""What a session made is deleted at its end, by id: nothing else, and what a killed session left as well."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import httpx
import msgspec
import platformdirs
import pytest
from starlette.responses import JSONResponse

from runstone.report.remarks import left
from runstone.scenario import mark
from runstone.scenario.api import Api
from runstone.scenario.clean_up import Made, Thing
from runstone.scenario.mark import MADE, MARK, SESSION
from runstone.scenario.observer import Observer
from runstone.scenario.requests import new_id
from runstone.scenario.scenario import Scenario
from runstone.session.left_over import journal_of
from runstone.target import recipes
from runstone.target.target import Target
from runstone.wire.exchange import Exchange
from tests.command_line import runstone
from tests.honest import Honest, uvicorn_serving

KINDS = ("threads", "assistants", "crons", "items")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with recipes.running(recipes.load("embedded")) as server:
        yield server.url


def counts(url: str) -> dict[str, int]:
    """How many things of each kind are on the server."""
    paths = {
        "threads": ("/threads/search", {"limit": 1000}),
        "assistants": ("/assistants/search", {"limit": 1000}),
        "crons": ("/runs/crons/search", {"limit": 1000}),
        "items": ("/store/items/search", {"namespace_prefix": [], "limit": 1000}),
    }
    found = {}
    with httpx.Client(base_url=url, trust_env=False) as client:
        for kind, (path, body) in paths.items():
            answer = client.post(path, json=body).json()
            found[kind] = len(answer["items"] if kind == "items" else answer)
    return found


async def make_one_of_each(api: Api) -> None:
    """Threads, one of a stateless run, an assistant, a cron and a store item; one thread is deleted again."""
    thread = await api.create_thread()
    await api.delete_thread(await api.create_thread())
    await api.wait(thread, "steps", {"note": "x"})
    await api.wait(None, "steps", {"note": "x"}, on_completion="keep")
    await api.wait(new_id(), "echo", {}, if_not_exists="create")
    await api.request("POST", "/assistants", json={"graph_id": "echo", "name": "mine"})
    await api.request("POST", "/runs/crons", json={"assistant_id": "echo", "schedule": "0 0 1 1 *"})
    item = {"namespace": ["clean", "up"], "key": new_id(), "value": {"a": 1}}
    await api.request("PUT", "/store/items", json=item)


def observed(
    url: str,
    made: Made | None,
    left_over: Sequence[Thing] = (),
    *,
    chosen: Sequence[Scenario] = (),
) -> Observer:
    observer = Observer(
        Target(name="t", url=url),
        concurrency=4,
        budget_s=None,
        on_trace=lambda _: None,
        on_progress=lambda *_: None,
        capacity=8,
        made=made,
        left_over=left_over,
    )
    asyncio.run(observer.observe(lambda _: chosen or [Scenario("make", make_one_of_each)]))
    return observer


def test_counts_are_those_of_before(url: str) -> None:
    before = counts(url)
    observer = observed(url, Made())
    assert counts(url) == before
    assert observer.left == ()


def test_what_one_session_keeps_no_other_deletes(url: str) -> None:
    before = counts(url)
    observed(url, None)
    after = counts(url)
    assert [after[kind] > before[kind] for kind in KINDS] == [True] * 4
    told: list[Thing] = []
    observed(url, Made(told.append))
    assert {each.kind for each in told} == {"thread", "assistant", "cron", "item"}
    assert counts(url) == after


def test_what_a_killed_session_left_is_deleted_by_the_next(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: tmp_path)
    before = counts(url)
    with httpx.Client(base_url=url, trust_env=False) as client:
        left = client.post("/threads", json={}).json()["thread_id"]
        other = client.post("/threads", json={}).json()["thread_id"]
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "dead.jsonl").write_text(
        json.dumps({"url": url}) + "\n" + json.dumps({"kind": "thread", "id": left}) + '\n{"kind": "thr',
        "utf-8",
    )
    (folder / "elsewhere.jsonl").write_text(
        json.dumps({"url": "http://127.0.0.1:9"}) + "\n" + json.dumps({"kind": "thread", "id": other}) + "\n",
        "utf-8",
    )
    with journal_of(url) as journal:
        assert [each.id for each in journal.left_over] == [left]
        observed(url, Made(journal.add), journal.left_over)
    assert counts(url) == {**before, "threads": before["threads"] + 1}
    assert httpx.get(f"{url}/threads/{other}", trust_env=False).status_code == 200
    assert sorted(path.name for path in folder.glob("*.jsonl")) == ["elsewhere.jsonl"]
    httpx.delete(f"{url}/threads/{other}", trust_env=False)


def test_a_session_that_lives_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: tmp_path)
    with journal_of("http://t") as living:
        living.add(Thing(kind="thread", id="a"))
        with journal_of("http://t") as second:
            assert second.left_over == ()
    assert list((tmp_path / "sessions").glob("*.jsonl")) == []


def test_a_journal_of_a_dead_session_survives_until_its_things_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: tmp_path)
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "dead.jsonl").write_text('{"url": "http://t"}\n{"kind": "cron", "id": "c"}\n', "utf-8")
    with journal_of("http://t") as journal:
        own = next(path for path in folder.glob("*.jsonl") if path.name != "dead.jsonl")
        assert '"c"' in own.read_text("utf-8"), "should this session die too, the next one knows"
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(own.with_suffix(".lock"), timeout=0).acquire()
        assert journal.left_over == (Thing(kind="cron", id="c"),)


def exchange(method: str, path: str, code: int | None, *, body: Any = None, answer: Any = None) -> Exchange:
    return Exchange(
        scenario="s",
        number=1,
        label="x",
        method=method,
        url=f"http://t{path}",
        sent_at=0.0,
        request_body=None if body is None else json.dumps(body),
        code=code,
        content="" if answer is None else json.dumps(answer),
    )


@pytest.mark.parametrize(
    "found",
    [
        exchange("POST", "/threads/search", 200, answer=[{"thread_id": "other's"}]),
        exchange("GET", "/threads/other", 200, answer={"thread_id": "other"}),
        exchange("POST", "/threads", 409, body={"thread_id": "other"}),
        exchange("POST", "/assistants/search", 200, answer=[{"assistant_id": "other's"}]),
        exchange("POST", "/runs/crons/search", 200, answer=[{"cron_id": "other's"}]),
        exchange("POST", "/store/items/search", 200, answer={"items": [{"namespace": ["o"], "key": "k"}]}),
        exchange("GET", "/store/items?namespace=o&key=k", 200, answer={"namespace": ["o"], "key": "k"}),
    ],
    ids=lambda each: f"{each.method} {each.path} {each.code}",
)
def test_nothing_that_was_only_found_counts_as_made(found: Exchange) -> None:
    made = Made()
    made.note("first", found)
    assert made.things() == []


def test_what_the_session_deleted_itself_is_gone() -> None:
    made = Made()
    made.note("second", exchange("POST", "/threads", 200, body={}, answer={"thread_id": "a"}))
    made.note("first", exchange("POST", "/threads", 200, body={}, answer={"thread_id": "b"}))
    made.note("second", exchange("DELETE", "/threads/b", 404))
    assert [(each.id, each.identity) for each in made.things()] == [("a", "second"), ("b", "first")]
    made.note("second", exchange("DELETE", "/threads/a", 204))
    assert [each.id for each in made.things()] == ["b"]


def theirs(url: str, path: str, **body: Any) -> Any:
    """What somebody else makes on the server."""
    return httpx.post(f"{url}{path}", json=body, trust_env=False).raise_for_status().json()


def is_there(url: str, path: str) -> bool:
    return httpx.get(f"{url}{path}", trust_env=False).status_code == 200


# --- threads that crons make by themselves -----------------------------------------------------------------


def test_threads_that_crons_made_are_deleted_and_those_of_others_are_not(url: str) -> None:
    other = theirs(url, "/threads")["thread_id"]
    theirs(url, f"/threads/{other}/runs/wait", assistant_id="echo", input={})
    before = counts(url)

    async def make_a_cron_that_fires(api: Api) -> None:
        made = await api.request("POST", "/assistants", json={"graph_id": "echo", "name": "mine"})
        assistant = made.object["assistant_id"]
        cron = {"assistant_id": assistant, "schedule": "0 0 1 1 *"}
        created = await api.request("POST", "/runs/crons", json=cron)
        # As the cron would: nothing of the session tells of the thread.
        fired = theirs(url, "/threads")["thread_id"]
        theirs(url, f"/threads/{fired}/runs/wait", assistant_id=assistant, input={})
        await api.request("DELETE", f"/runs/crons/{created.object['cron_id']}")
        await api.request("DELETE", f"/assistants/{assistant}")

    observed(url, Made(), chosen=[Scenario("fires", make_a_cron_that_fires)])
    assert counts(url) == before
    assert is_there(url, f"/threads/{other}")
    httpx.delete(f"{url}/threads/{other}", trust_env=False)


# --- marks: what a session on another machine has left -----------------------------------------------------


def marked(url: str, things: Sequence[Thing]) -> str:
    """The mark of a session on another machine that made these."""
    listed = msgspec.json.encode(things).decode()
    found: str = theirs(url, "/threads", metadata={MARK: SESSION, MADE: listed})["thread_id"]
    return found


def test_what_a_dead_session_of_another_machine_left_is_deleted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counts(url)
    thread, assistant = theirs(url, "/threads"), theirs(url, "/assistants", graph_id="echo", name="left")
    left = [
        Thing(kind="thread", id=thread["thread_id"]),
        Thing(kind="assistant", id=assistant["assistant_id"]),
        Thing(kind="thread", id=new_id()),
    ]
    marked(url, left)
    alive = counts(url)
    observed(url, Made())
    assert counts(url) == alive, "a mark that was renewed a moment ago is that of a session that lives"
    monkeypatch.setattr(mark, "_DEAD_S", -60.0)
    observed(url, Made())
    assert counts(url) == before


def test_what_was_there_before_a_dead_session_is_not_its_own_whatever_its_mark_says(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark, "_DEAD_S", -60.0)
    monkeypatch.setattr(mark, "_SLACK", dt.timedelta(0))
    other = theirs(url, "/threads")["thread_id"]
    lying = marked(url, [Thing(kind="thread", id=other)])
    observed(url, Made())
    assert is_there(url, f"/threads/{other}")
    assert not is_there(url, f"/threads/{lying}")
    httpx.delete(f"{url}/threads/{other}", trust_env=False)


def test_a_mark_may_say_anything(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark, "_DEAD_S", -60.0)
    before = counts(url)
    listed = ["", "{", '[{"kind": "mark", "id": "a"}]', '[{"kind": "thread", "id": "../assistants/a"}]']
    listed += [f'[{{"kind": "item", "id": "{each}"}}]' for each in ("x", "[]", "{}")]
    lying = [theirs(url, "/threads", metadata={MARK: SESSION, MADE: each})["thread_id"] for each in listed]
    observed(url, Made())
    for each in lying:
        httpx.delete(f"{url}/threads/{each}", trust_env=False)
    assert counts(url) == before


def test_a_session_keeps_a_mark_that_lists_what_it_made(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark, "_RENEWED_S", 0.1)
    seen: list[list[Thing]] = []

    async def look(api: Api) -> None:
        own = await api.create_thread()
        for _ in range(100):
            found = theirs(url, "/threads/search", metadata={MARK: SESSION})
            seen.append(msgspec.json.decode(found[0]["metadata"][MADE], type=list[Thing]))
            if own in [each.id for each in seen[-1]]:
                return
            await asyncio.sleep(0.1)

    observed(url, Made(), chosen=[Scenario("look", look)])
    assert "look" in [each.scenario for each in seen[-1]]
    assert theirs(url, "/threads/search", metadata={MARK: SESSION}) == []


# --- what is kept ------------------------------------------------------------------------------------------


def test_what_broken_scenarios_made_can_be_kept(tmp_path: Path) -> None:
    config = tmp_path / "runstone.toml"
    config.write_text("[capabilities]\nstore = true\n", "utf-8")
    words = [
        "--area",
        "store",
        "--area",
        "thr-create",
        "--config",
        str(config),
        "--out",
        str(tmp_path / "out"),
    ]
    with recipes.running(recipes.load("embedded"), options=["--fault", "a-second-put-merges"]) as server:
        before = counts(server.url)
        done = runstone("check", server.url, "--keep", "failed", *words)
        assert done.returncode == 1, done.stdout + done.stderr
        after = counts(server.url)
    assert "STORE-004" in done.stdout
    assert {kind: after[kind] - before[kind] for kind in ("threads", "assistants", "crons")} == {
        "threads": 0,
        "assistants": 0,
        "crons": 0,
    }
    assert after["items"] > before["items"]


class Forbidding(Honest):
    """An honest server that lets nobody delete anything."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "DELETE":
            await super().__call__(scope, receive, send)
            return
        self.requests["DELETE"] += 1
        await JSONResponse({"detail": "no"}, status_code=403)(scope, receive, send)


def test_a_clean_up_that_is_forbidden_is_told_by_thing_and_asked_once() -> None:
    app, told = Forbidding(), []

    async def make_three(api: Api) -> None:
        told.extend([await api.create_thread() for _ in range(3)])

    with uvicorn_serving(app) as url:
        observer = observed(url, Made(), chosen=[Scenario("make", make_three)])
    assert app.requests["DELETE"] == app.requests["POST /threads"] == len(observer.left)
    assert {f"thread {each}: DELETE answered 403" for each in told} <= set(observer.left)
    assert next(left(observer.left)).startswith(f"{len(observer.left)} threads are left on the target: ")
