"""The reference runtime's crons and metrics: what is refused, what survives, and what a due cron does."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.reference.server import SECRET, Server, bearer, launched

YEARLY = "0 0 1 1 *"
PAST = "2020-01-01T00:00:00.000000+00:00"
STEPS: dict[str, Any] = {"assistant_id": "steps", "input": {"note": "by a cron"}, "schedule": YEARLY}


def moved_to_the_past(folder: Path) -> None:
    """Let every cron of a server that is down have been due long ago."""
    with closing(sqlite3.connect(folder / "runstone.sqlite")) as rows:
        assert rows.execute("UPDATE crons SET next_run_date = ?", (PAST,)).rowcount == 2
        rows.commit()


def runs_of(server: Server, thread: str) -> list[Any]:
    """The runs of a thread, once there is one."""
    for _ in range(600):
        found: list[Any] = server.get(f"/threads/{thread}/runs")
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("the cron made no run")


def test_crons_outlive_the_server_and_a_missed_moment_is_made_up_for_once(tmp_path: Path) -> None:
    with launched("--db", str(tmp_path)) as server:
        thread, quiet = server.thread(), server.thread()
        due = server.post(f"/threads/{thread}/runs/crons", STEPS | {"metadata": {"floor": 1}})
        server.post(f"/threads/{quiet}/runs/crons", STEPS | {"enabled": False})
        server.process.terminate()
        assert server.process.wait(30) == 0
    moved_to_the_past(tmp_path)
    with launched("--db", str(tmp_path)) as server:
        (run,) = runs_of(server, thread)
        assert server.settled(thread, run["run_id"]) == "success"
        assert run["metadata"].items() >= {"floor": 1, "cron_id": due["cron_id"]}.items()
        assert server.get(f"/threads/{thread}/state")["values"]["note"] == "by a cron"
        assert server.get(f"/runs/crons/{due['cron_id']}") == due
        server.process.kill()
    with launched("--db", str(tmp_path)) as server:
        assert [each["run_id"] for each in server.get(f"/threads/{thread}/runs")] == [run["run_id"]]
        assert server.get(f"/threads/{quiet}/runs") == []


def test_a_cron_of_each_kind_runs_on_a_thread_of_its_own(tmp_path: Path) -> None:
    with launched("--db", str(tmp_path)) as server:
        server.post("/runs/crons", STEPS | {"on_run_completed": "keep"})
        server.post("/runs/crons", STEPS | {"assistant_id": "slow", "input": {"sleep": 1.5}})
        server.process.kill()
    moved_to_the_past(tmp_path)

    def until(graph: str, wanted: list[str]) -> None:
        for _ in range(600):
            found = server.post("/threads/search", {"metadata": {"graph_id": graph}})
            if [each["status"] for each in found] == wanted:
                return
            time.sleep(0.02)
        raise AssertionError(f"the threads of {graph} are still {found}")

    with launched("--db", str(tmp_path)) as server:
        until("steps", ["idle"])
        until("slow", ["busy"])
        until("slow", [])


@pytest.mark.parametrize(
    "fields, status, said",
    [
        ({"schedule": "every morning"}, 422, "5 fields"),
        ({"schedule": "* * * * * *"}, 422, "5 fields"),
        ({"schedule": "61 * * * *"}, 422, "not a cron expression"),
        ({"schedule": "0 0 30 2 *"}, 422, "not a cron expression"),
        ({"timezone": "Mars/Olympus_Mons"}, 422, "no timezone 'Mars/Olympus_Mons'"),
        ({"timezone": "America"}, 422, "no timezone 'America'"),
        ({"timezone": "../etc/passwd"}, 422, "no timezone"),
        ({"end_time": "tomorrow"}, 422, "end_time"),
        ({"end_time": "0001-01-01T00:00:00+05:00"}, 422, "out of range"),
        ({"assistant_id": "nobody"}, 404, "nobody"),
        ({"on_run_completed": "frame"}, 422, "on_run_completed"),
    ],
)
def test_what_is_no_cron_is_refused_and_leaves_none(
    server: Server, fields: dict[str, Any], status: int, said: str
) -> None:
    before = server.post("/runs/crons/count", {})
    answer = server.client.post("/runs/crons", json=STEPS | fields)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert server.post("/runs/crons/count", {}) == before


def test_unknown_threads_and_crons_are_not_found(server: Server) -> None:
    assert server.client.post(f"/threads/{uuid4()}/runs/crons", json=STEPS).status_code == 404
    for method in ("GET", "PATCH", "DELETE"):
        answer = server.client.request(method, f"/runs/crons/{uuid4()}", json={})
        assert answer.status_code == 404, method
    assert server.client.get("/runs/crons/no-id").status_code == 422


def test_a_patch_changes_what_it_names_and_reckons_anew(server: Server) -> None:
    made = server.post("/runs/crons", STEPS | {"timezone": "Asia/Kolkata", "metadata": {"a": 1}})
    path = f"/runs/crons/{made['cron_id']}"
    assert datetime.fromisoformat(made["next_run_date"]).astimezone(
        timezone(timedelta(hours=5, minutes=30))
    ).strftime("%d.%m. %H:%M") == ("01.01. 00:00")
    assert made["on_run_completed"] == "delete"

    def patched(**change: Any) -> Any:
        answer = server.client.patch(path, json=change)
        assert answer.status_code == 200, answer.text
        assert answer.json() == server.get(path)
        return answer.json()

    moved = patched(timezone=None, input={"note": "new"}, metadata={"b": 2})
    assert moved["next_run_date"].endswith("-01-01T00:00:00.000000+00:00")
    assert moved["payload"]["input"] == {"note": "new"}
    assert (moved["metadata"], moved["payload"]["assistant_id"]) == ({"a": 1, "b": 2}, "steps")
    assert moved["created_at"] == made["created_at"] < moved["updated_at"]
    ended = patched(end_time="2020-01-01T02:00:00+02:00")
    assert (ended["end_time"], ended["next_run_date"]) == (PAST, None)
    assert patched(end_time=None)["next_run_date"] == moved["next_run_date"]
    assert server.client.patch(path, json={"schedule": "never"}).status_code == 422
    assert server.get(path)["schedule"] == YEARLY
    assert server.client.delete(path).status_code == 204
    assert server.client.get(path).status_code == 404


def test_crons_are_found_in_pages_by_what_they_are(server: Server) -> None:
    thread, label = server.thread(), str(uuid4())
    made = [
        server.post(f"/threads/{thread}/runs/crons", STEPS | {"metadata": {"label": label}, "enabled": each})
        for each in (True, False, True)
    ]
    ids = [each["cron_id"] for each in made]

    def found(**query: Any) -> list[Any]:
        return [each["cron_id"] for each in server.post("/runs/crons/search", {"thread_id": thread} | query)]

    assert found() == ids[::-1]
    assert found(enabled=False) == [ids[1]]
    assert found(metadata={"label": label}, sort_order="asc", limit=2) == ids[:2]
    assert found(metadata={"label": "another"}) == []
    page = server.client.post(
        "/runs/crons/search", json={"thread_id": thread, "limit": 1, "select": ["cron_id"]}
    )
    assert page.json() == [{"cron_id": ids[2]}]
    assert (page.headers["x-pagination-total"], page.headers["x-pagination-next"]) == ("3", "1")
    assert server.post("/runs/crons/count", {"thread_id": thread.upper(), "enabled": True}) == 2
    assert server.client.post("/runs/crons/search", json={"assistant_id": "steps"}).status_code == 422


def test_crons_belong_to_who_made_them() -> None:
    with launched("--auth-secret", SECRET) as server:
        alice, bob = bearer("alice"), bearer("bob")
        made = server.client.post("/runs/crons", json=STEPS, headers=alice).json()
        path = f"/runs/crons/{made['cron_id']}"
        for method in ("GET", "PATCH", "DELETE"):
            assert server.client.request(method, path, json={}, headers=bob).status_code == 404, method
        assert server.client.post("/runs/crons/search", json={}, headers=bob).json() == []
        assert server.client.post("/runs/crons/count", json={}, headers=bob).json() == 0
        assert server.client.get(path, headers=alice).json() == made
        thread = server.client.post("/threads", json={}, headers=alice).json()["thread_id"]
        answer = server.client.post(f"/threads/{thread}/runs/crons", json=STEPS, headers=bob)
        assert answer.status_code == 404
        assert server.client.get("/metrics").status_code == 401


def test_metrics_count_runs_by_status() -> None:
    with launched() as server:
        thread = server.thread()
        server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "input": {}})
        server.post(f"/threads/{thread}/runs/wait", {"assistant_id": "fail", "input": {}})
        told = server.client.get("/metrics")
        assert told.headers["content-type"].startswith("text/plain")
        samples = {line for line in told.text.splitlines() if not line.startswith("#")}
        assert samples >= {"runstone_threads 1", 'runstone_runs{status="success"} 1'}
        asked = server.get("/metrics?format=json")
        assert asked["threads"] == 1
        assert {name: number for name, number in asked["runs"].items() if number} == {
            "success": 1,
            "error": 1,
        }
        assert server.client.get("/metrics?format=xml").status_code == 422
        assert server.get("/info")["flags"]["crons"] is True


def test_a_cron_is_due_at_the_next_time_that_matches(server: Server) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    made = server.post("/runs/crons", STEPS | {"schedule": f"{soon.minute} {soon.hour} * * *"})
    due = datetime.fromisoformat(made["next_run_date"])
    assert due == soon.replace(second=0, microsecond=0)
