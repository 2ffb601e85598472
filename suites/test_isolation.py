"""Isolation: every operation, asked by another user, by nobody, and by one who may only read.

What is asked is data (contracts/cases/isolation.yaml). Each request is sent for the asker's own things first,
so that it is known to be a good one.
"""

from __future__ import annotations

import json
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    first_difference,
    isolation_table,
    new_id,
    requirement,
    resolve,
    scenario,
    shown,
)

TABLE = isolation_table()
UNSERVED = (404, 405, 501)
LATER_S = 3000  # the run that is to be cancelled is still pending when all else is done
OF_CRONS = [name for name in TABLE.asks if "crons" in name]
OF_ASSISTANTS = [
    name
    for name in TABLE.asks
    if name not in OF_CRONS and ("/assistants" in name or "{assistant}" in json.dumps(TABLE.asks[name].body))
]
OF_THREADS = [
    name
    for name in TABLE.asks
    if name not in OF_CRONS and name not in OF_ASSISTANTS and not TABLE.asks[name].needs
]
READS = ("/search", "/count", "/history", "/state/checkpoint", "/versions")
CHANGES = [
    name
    for name in TABLE.asks
    if not name.startswith("GET") and not name.endswith(READS) and name not in OF_CRONS
]
READINGS = ("thread", "state", "history", "runs", "waiting_runs")


async def _things(who: Api, whose: str, *, crons: bool) -> dict[str, str]:
    """A thread with a run and its checkpoint, one whose runs wait for their time, an assistant, a cron."""
    tag = new_id()
    metadata = {"tag": tag}
    thread = await who.create_thread(metadata=metadata, label=f"{whose}_thread")
    first = await who.wait(thread, "steps", {"note": tag}, stream_resumable=True, label=f"{whose}_run")
    await who.settle(thread, label=f"{whose}_settle")
    state = await who.state(thread, label=f"{whose}_state")
    waiting = await who.create_thread(metadata=metadata, label=f"{whose}_waiting")
    spare = await who.create_thread(metadata=metadata, label=f"{whose}_spare")
    pending = await who.create_run_later(waiting, "steps", {}, LATER_S)
    queued = await who.create_run_later(waiting, "steps", {}, LATER_S)
    body: Any = {"graph_id": "steps", "name": tag, "metadata": metadata}
    made = await who.request("POST", "/assistants", json=body, label=f"{whose}_assistant")
    ids = {
        "tag": tag,
        "thread": thread,
        "run": first.run_id,
        "checkpoint": str(resolve(state.object, "/checkpoint/checkpoint_id")),
        "waiting": waiting,
        "spare": spare,
        "pending": pending,
        "queued": queued,
        "assistant": str(made.object.get("assistant_id")),
    }
    if crons:
        body = {
            "assistant_id": "steps",
            "schedule": "0 0 1 1 *",
            "input": {"note": tag},
            "metadata": metadata,
        }
        made = await who.request("POST", f"/threads/{thread}/runs/crons", json=body, label=f"{whose}_cron")
        ids["cron"] = str(made.object.get("cron_id"))
    return ids


async def _ask(who: Api, name: str, ids: dict[str, str], label: str) -> Exchange:
    """Send a request of the table, with these ids."""
    ask = TABLE.asks[name]
    method, _, path = name.partition(" ")
    for placeholder in ids:
        path = path.replace("{" + placeholder + "}", ids[ask.path.get(placeholder, placeholder)])
    body: dict[str, Any] = {} if ask.body is None else {"json": _filled(ask.body, ids)}
    return await who.request(method, path, params=ask.query, label=label, **body)


def _filled(value: Any, ids: dict[str, str]) -> Any:
    text = json.dumps(value)
    for placeholder, found in ids.items():
        text = text.replace("{" + placeholder + "}", found)
    return json.loads(text)


async def _read_all(api: Api, ids: dict[str, str], when: str) -> None:
    await api.settle(ids["thread"], label=f"thread {when}")
    await api.state(ids["thread"], label=f"state {when}")
    await api.history(ids["thread"], label=f"history {when}")
    await api.runs(ids["thread"], limit=100, label=f"runs {when}")
    await api.runs(ids["waiting"], limit=100, label=f"waiting_runs {when}")
    await api.request("GET", f"/assistants/{ids['assistant']}", label=f"assistant {when}")


async def _cross(api: Api, names: list[str], *, crons: bool = False) -> None:
    first, second = await _things(api, "first", crons=crons), await _things(api.second, "second", crons=crons)
    api.note(ids=first, tag=first["tag"])
    await _read_all(api, first, "before")
    if crons:
        await api.request("GET", f"/runs/crons/{first['cron']}", label="cron before")
    for name in names:
        await _ask(api.second, name, first, f"{name} foreign")
        await _ask(api.second, name, second, f"{name} own")
    await _read_all(api, first, "after")
    if crons:
        await api.request("GET", f"/runs/crons/{first['cron']}", label="cron after")


@scenario(Schedule(heavy=True), needs=["second_identity"])
async def things_of_another(api: Api) -> None:
    """A second user asks every operation for what the first one has, and for its own."""
    await _cross(api, [*OF_ASSISTANTS, *OF_THREADS])


@scenario(needs=["second_identity", "crons"])
async def crons_of_another(api: Api) -> None:
    """A second user asks every operation for a cron of the first, and for its own."""
    await _cross(api, OF_CRONS, crons=True)


@scenario(needs=["auth"])
async def things_for_nobody(api: Api) -> None:
    """Every operation is asked without credentials for what a user has."""
    ids = await _things(api, "first", crons=False)
    for name in [*OF_ASSISTANTS, *OF_THREADS]:
        await _ask(api.anonymous, name, ids, name)


@scenario(needs=["restricted_identity"])
async def changes_by_a_reader(api: Api) -> None:
    """Every operation that changes something is asked by a user who may only read."""
    ids = await _things(api, "first", crons=False)
    for name in CHANGES:
        await _ask(api.restricted, name, ids, name)


def _assert_hidden(trace: Trace, name: str) -> None:
    """Fail unless the other user's request was refused, or found nothing, and showed nothing."""
    own, foreign = trace.only(f"{name} own"), trace.only(f"{name} foreign")
    if own.status in UNSERVED and foreign.status == own.status:
        return  # the server does not offer it to anybody, so it reaches nothing
    if not 200 <= own.status < 300:
        raise Missing(f"{own.where} answered {own.status}: the request is not known to be a good one")
    said = foreign.whole.content
    ids = trace.note("ids")
    assert trace.note("tag") not in said.replace(foreign.path, ""), f"{name} shows what is another user's"
    if 400 <= foreign.status < 500:
        return
    assert foreign.status < 500, f"wanted a 4xx, got {foreign.status}"
    if foreign.is_stream:
        names = {event.event for event in foreign.events} - {"metadata", "error", "end"}
        assert not names, f"wanted a refusal, got a stream with {shown(sorted(names))}"
        return
    found = foreign.json if said else None
    nothing = found in (None, [], 0, {"pruned_count": 0})
    nothing = nothing or (isinstance(found, dict) and "__error__" in found)
    assert nothing, (
        f"wanted a 4xx or nothing found for {shown(sorted(ids))}, got {foreign.status} {shown(found)}"
    )


def _assert_same(trace: Trace, what: str) -> None:
    before, answer = trace.only(f"{what} before").ok.json, trace.only(f"{what} after")
    assert answer.status == 200, f"another user has changed the {what}: it answers {answer.status}"
    after = answer.json
    difference = first_difference(after, before)
    assert difference is None, f"another user has changed the {what}: {difference}"


@requirement("ISO-001")
@cases("name", OF_THREADS)
def test_thread_is_hidden(name: str, things_of_another: Trace) -> None:
    _assert_hidden(things_of_another, name)


@requirement("ISO-002")
@cases("what", READINGS)
def test_thread_is_as_it_was(what: str, things_of_another: Trace) -> None:
    _assert_same(things_of_another, what)


@requirement("ISO-003")
@cases("name", [*OF_ASSISTANTS, "afterwards"])
def test_assistant_is_hidden(name: str, things_of_another: Trace) -> None:
    if name == "afterwards":
        _assert_same(things_of_another, "assistant")
    else:
        _assert_hidden(things_of_another, name)


@requirement("ISO-004")
@cases("name", [*OF_CRONS, "afterwards"])
def test_cron_is_hidden(name: str, crons_of_another: Trace) -> None:
    if name == "afterwards":
        _assert_same(crons_of_another, "cron")
    else:
        _assert_hidden(crons_of_another, name)


@requirement("ISO-005")
@cases("name", [*OF_ASSISTANTS, *OF_THREADS])
def test_nobody_is_refused(name: str, things_for_nobody: Trace) -> None:
    assert things_for_nobody.only(name).status in (401, 403)


@requirement("ISO-006")
@cases("name", CHANGES)
def test_reader_changes_nothing(name: str, changes_by_a_reader: Trace) -> None:
    assert changes_by_a_reader.only(name).status == 403
