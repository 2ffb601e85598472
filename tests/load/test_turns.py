"""What each kind of start sends, to a server of a few lines that keeps every promise, or breaks one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runstone.load.invariants import NOT_LOST, judged
from runstone.load.model import KINDS, Kind
from runstone.load.tokens import METADATA, TOKEN
from runstone.load.turns import Turn
from runstone.wire.exchange import Event, Exchange
from tests.load.starts import OWN, SESSION, THREAD, run_id


class Server:
    """Executes everything at once; `slow`: how often a run is looked at until it has ended."""

    def __init__(self, slow: int = 0, refuses: str = "", loses: bool = False) -> None:
        self.clock = 0.0
        self.sent: list[tuple[str, str]] = []
        self._slow = slow
        self._refuses = refuses
        self._loses = loses
        self._rows: list[dict[str, Any]] = []
        self._values: dict[str, Any] = {}

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        label: str,
        number: int,
        scenario: str,
        hang_up: bool = False,
    ) -> Exchange:
        self.sent.append((method, path))
        self.clock += 0.01
        code, told = (500, {}) if label == self._refuses else (200, self._answer(label, body))
        streams = path.endswith("/stream") and code == 200
        return Exchange(
            scenario=scenario,
            number=number,
            label=label,
            method=method,
            url=f"http://127.0.0.1:1{path}",
            sent_at=self.clock,
            code=code,
            response_headers=(
                ("content-type", "text/event-stream" if streams else "application/json"),
                ("content-location", f"/threads/{THREAD}/runs/{run_id(len(self._rows))}"),
            ),
            content="" if streams else json.dumps(told),
            events=(Event(event="values", data=json.dumps(told), at=0.0),) if streams else (),
            closed_by_client=hang_up,
        )

    def _answer(self, label: str, body: Any) -> Any:
        if label == "create_thread":
            assert body["metadata"] == {METADATA: SESSION, TOKEN: OWN}
            return {"thread_id": THREAD}
        if label == "runs":
            self._slow -= 1
            return [] if self._loses else [self._shown(row) for row in reversed(self._rows)]
        if label == "state":
            return {"values": self._values}
        if label == "cancel":
            self._rows[-1]["status"] = "interrupted"
            return {}
        if label != "join":
            self._execute(body)
        return self._values

    def _execute(self, body: Any) -> None:
        row = {"run_id": run_id(len(self._rows) + 1), "status": "success", "metadata": body["metadata"]}
        self._rows.append(row)
        given, graph = body.get("input") or {}, body["assistant_id"]
        if graph == "echo":
            text = given["messages"][0]["content"]
            said = [{"type": kind, "content": text} for kind in ("human", "ai")]
            self._values = {"messages": [*self._values.get("messages", []), *said]}
        elif graph == "steps":
            self._values = {**given, "log": ["s1", "s2", "s3"]}
        elif graph == "slow":
            self._values = {**given, "log": ["a", "b", "c"] if given["sleep"] < 1 else ["a"]}
        elif "command" in body:
            self._values = {
                **self._values,
                "answer": body["command"]["resume"],
                "log": ["before", "ask", "after"],
            }
        else:
            row["status"] = "interrupted"
            self._values = {**given, "log": ["before"]}

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "status": "running"} if self._slow > 0 else row


def played(server: Server, kind: Kind, until: float = 30.0) -> tuple[Turn, bool]:
    turn = Turn(kind, OWN, SESSION, server)
    return turn, turn.play(until)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_on_a_server_that_keeps_its_promises(kind: Kind) -> None:
    server = Server()
    turn, settled = played(server, kind)
    found = judged(turn.trace())
    assert settled
    assert found.broken == {}
    assert set(found.piles.values()) == {"cancelled" if kind == "cancel" else "ended"}
    assert turn.known_at is not None
    assert turn.known_at <= server.clock


@pytest.mark.parametrize("kind, requests", [("wait", 4), ("stream", 4), ("background", 5), ("enqueue", 7)])
def test_a_start_costs_few_requests(kind: Kind, requests: int) -> None:
    server = Server()
    played(server, kind)
    assert len(server.sent) == requests


def test_runs_are_read_until_they_are_over_and_only_the_last_look_is_kept() -> None:
    turn, settled = played(Server(slow=4), "background")
    assert settled
    assert [each.label for each in turn.exchanges] == ["create_thread", "create", "join", "runs", "state"]
    assert judged(turn.trace()).broken == {}


def test_what_is_not_over_in_time_can_be_looked_at_later() -> None:
    server = Server(slow=1_000)
    turn, settled = played(server, "background", until=5.0)
    assert not settled
    server._slow = 0
    assert turn.settle(server.clock)
    assert judged(turn.trace()).broken == {}


def test_a_run_that_no_list_shows_is_lost_after_a_few_looks() -> None:
    server = Server(loses=True)
    turn, settled = played(server, "wait")
    assert settled
    assert NOT_LOST in judged(turn.trace()).broken
    assert server.clock < 5


def test_a_refused_thread_ends_the_start() -> None:
    turn, settled = played(Server(refuses="create_thread"), "wait")
    assert settled
    assert turn.known_at is None
    found = judged(turn.trace())
    assert not found.piles
    assert not found.broken


def test_after_a_refused_run_those_before_it_are_judged() -> None:
    turn, _ = played(Server(refuses="create2"), "enqueue")
    found = judged(turn.trace())
    assert list(found.piles.values()) == ["ended", "failed"]
    assert not found.broken
