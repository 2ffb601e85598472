"""A check by URL leaves alone what is not its own, whatever the searches of the server show it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runstone.session import evidence
from runstone.target import recipes
from tests.command_line import runstone

pytestmark = pytest.mark.slow
IGNORING = [
    "a-search-ignores-metadata",
    "a-search-ignores-status",
    "a-search-ignores-ids-and-values",
    "a-search-of-assistants-ignores-its-filter",
    "a-search-of-items-answers-all",
    "cron-search-ignores-its-filter",
]
AREAS = ["asst", "cancel", "cron", "store", "stateless", "thr-del", "thr-search"]
LATER = {"schedule": "0 0 1 1 *"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that answers each search with all that it has."""
    words = [word for name in IGNORING for word in ("--fault", name)]
    with recipes.running(recipes.load("embedded"), options=words) as server:
        yield server.url


def made_by_others(client: httpx.Client) -> list[str]:
    """One thing of each kind, two of them with something on it; the paths at which they are read."""

    def made(path: str, key: str, **body: Any) -> str:
        return str(client.post(path, json=body).raise_for_status().json()[key])

    assistant = made("/assistants", "assistant_id", graph_id="echo", name="theirs")
    thread, ran = (made("/threads", "thread_id", metadata={"theirs": True}) for _ in range(2))
    client.post(f"/threads/{ran}/runs/wait", json={"assistant_id": assistant, "input": {}}).raise_for_status()
    pending = made(f"/threads/{ran}/runs", "run_id", assistant_id="echo", input={}, after_seconds=3600)
    of_assistant = made("/runs/crons", "cron_id", assistant_id=assistant, **LATER)
    of_thread = made(f"/threads/{thread}/runs/crons", "cron_id", assistant_id=assistant, **LATER)
    item = {"namespace": ["theirs"], "key": "k", "value": {"a": 1}}
    client.put("/store/items", json=item).raise_for_status()
    return [
        f"/assistants/{assistant}",
        f"/threads/{thread}",
        f"/threads/{ran}",
        f"/threads/{ran}/state",
        f"/threads/{ran}/runs/{pending}",
        f"/runs/crons/{of_assistant}",
        f"/runs/crons/{of_thread}",
        "/store/items?namespace=theirs&key=k",
    ]


def all_there_is(client: httpx.Client) -> list[str]:
    """The ids of everything on the server, as its searches show them."""
    found = []
    for path, key in (("/threads", "thread_id"), ("/assistants", "assistant_id"), ("/runs/crons", "cron_id")):
        shown = client.post(f"{path}/search", json={"limit": 1000}).raise_for_status().json()
        found += [str(each[key]) for each in shown]
    items = client.post("/store/items/search", json={"namespace_prefix": [], "limit": 1000}).json()["items"]
    return sorted(found + [f"{each['namespace']} {each['key']}" for each in items])


def test_nothing_of_others_is_touched_though_each_search_shows_it(url: str, tmp_path: Path) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        paths = made_by_others(client)
        there = all_there_is(client)
        before = [client.get(path).raise_for_status().json() for path in paths]
        words = [word for area in AREAS for word in ("--area", area)]
        config = tmp_path / "runstone.toml"
        config.write_text("[capabilities]\nstore = true\n", "utf-8")
        done = runstone(
            "check", url, "--quick", *words, "--config", str(config), "--out", str(tmp_path / "out")
        )
        assert done.returncode == 1, done.stdout + done.stderr
        after = [client.get(path).json() for path in paths]
        assert all_there_is(client) == there
    assert after == before
    _, traces = evidence.read(tmp_path / "out" / "evidence")
    sent = [each for trace in traces.values() for each in trace.exchanges]
    assert any(each.label == "by_assistant" for each in sent), "the crons of others were never shown"
    assert not [each.where for each in sent if each.path.startswith("/threads/prune")]
    by_status = [each for each in sent if each.path.startswith("/runs/cancel")]
    assert not [each.where for each in by_status if "status" in each.request_json]
