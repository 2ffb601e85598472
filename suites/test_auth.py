"""Authentication and isolation: what is unauthenticated is refused, and nobody sees what is another's."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    THREADED_ENTRY_POINTS,
    Api,
    Blocked,
    Exchange,
    Missing,
    Profile,
    Schedule,
    Trace,
    by_threaded_entry_point,
    cases,
    first_difference,
    new_id,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
)

SLEEP_S = 1.0
ALGORITHM_NONE = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."  # a JWT that nobody has signed
CREDENTIALS = {"none": None, "unknown": "no-such-token-of-runstone", "unsigned": ALGORITHM_NONE}
OPEN_PATHS = ("/ok", "/info")
READS = ("thread", "state", "history", "runs", "run")
WRITES = ("patch", "update_state", "delete")
IDENTITY = "langgraph_auth_user_id"


@scenario(needs=["auth"])
async def strangers(api: Api) -> None:
    """Without credentials, and with such as nobody gave, a thread is asked for, changed and run on."""

    async def knock(part: Api, credentials: str) -> None:
        thread, unborn = await part.create_thread(), new_id()
        await part.wait(thread, "steps", {"note": "first"}, label="first_run")
        await _read(part, thread, "before")
        await _knock(part.anonymous, thread, unborn, _headers(part, CREDENTIALS[credentials]))
        await _read(part, thread, "after")
        await part.thread(unborn, label="unborn")

    await api.each(CREDENTIALS, knock)


async def _knock(stranger: Api, thread: str, unborn: str, headers: dict[str, str]) -> None:
    run = {"assistant_id": "steps", "input": {"note": "stranger"}, "multitask_strategy": "enqueue"}
    requests: list[tuple[str, str, Any]] = [
        ("GET", f"/threads/{thread}", None),
        ("PATCH", f"/threads/{thread}", {"metadata": {"by": "stranger"}}),
        ("POST", f"/threads/{thread}/state", {"values": {"note": "stranger"}}),
        ("POST", "/threads", {"thread_id": unborn}),
        ("POST", "/threads/search", {"limit": 1}),
        ("POST", "/assistants/search", {"limit": 1}),
        ("POST", f"/threads/{thread}/runs", run),
        ("POST", f"/threads/{thread}/runs/wait", run),
        ("POST", f"/threads/{thread}/runs/stream", run),
        ("POST", "/runs/wait", run),
        ("DELETE", f"/threads/{thread}", None),
    ]
    for method, path, body in requests:
        json = {} if body is None else {"json": body}
        await stranger.request(method, path, **json, headers=headers, label="knock")


def _headers(api: Api, token: str | None) -> dict[str, str]:
    """The configured headers with this token in each; a scheme such as Bearer stays."""
    if token is None:
        return {}
    return {
        name: f"{value.split(' ', 1)[0]} {token}" if " " in value else token
        for name, value in api.target.headers.items()
    }


async def _read(part: Api, thread: str, when: str) -> None:
    await part.settle(thread, label=f"thread_{when}")
    await part.state(thread, label=f"state_{when}")
    await part.runs(thread, limit=100, label=f"runs_{when}")


@scenario(needs=["auth"])
async def open_paths(api: Api) -> None:
    """What monitors read, without credentials; a search by the same, and by a user, for comparison."""
    await api.search_threads(limit=1, label="known")
    await api.anonymous.search_threads(limit=1, label="unknown")
    for path in OPEN_PATHS:
        await api.anonymous.request("GET", path, label=path)


@scenario(needs=["second_identity"])
async def thread_of_another(api: Api) -> None:
    """A second user asks for all that a thread of the first has, changes and deletes it and takes its id.

    And does the same to a thread of its own, so that the requests are known to be good.
    """
    tag, other = new_id(), api.second
    thread = await api.create_thread(metadata={"tag": tag}, label="first_thread")
    run = (await api.wait(thread, "steps", {"note": "first"}, label="first_run")).run_id
    await _read(api, thread, "before")
    own = await other.create_thread(metadata={"tag": tag}, label="second_thread")
    own_run = (await other.wait(own, "steps", {"note": "second"}, label="second_run")).run_id
    api.note(tag=tag, first=thread, second=own)
    await _search(api, tag, [thread, own], "first")
    await _search(other, tag, [thread, own], "second")
    await _ask_for_all(other, own, own_run, "own")
    await _ask_for_all(other, thread, run, "foreign")
    await _change(other, own, "own")
    await _change(other, thread, "foreign")
    for choice in ("raise", "do_nothing"):
        body = {"thread_id": thread, "if_exists": choice}
        await other.request("POST", "/threads", json=body, label=f"same_id_{choice}")
    await _read(api, thread, "after")


async def _ask_for_all(who: Api, thread: str, run: str, whose: str) -> None:
    await who.thread(thread, label=f"{whose}_thread")
    await who.state(thread, label=f"{whose}_state")
    await who.history(thread, label=f"{whose}_history")
    await who.runs(thread, limit=100, label=f"{whose}_runs")
    await who.run(thread, run, label=f"{whose}_run")


async def _change(who: Api, thread: str, whose: str) -> None:
    path = f"/threads/{thread}"
    await who.request("PATCH", path, json={"metadata": {"by": "second"}}, label=f"{whose}_patch")
    await who.update_state(thread, label=f"{whose}_update_state", values={"note": "second"}, as_node="s3")
    await who.delete_thread(thread, label=f"{whose}_delete")


async def _search(who: Api, tag: str, ids: list[str], whose: str) -> None:
    await who.search_threads(metadata={"tag": tag}, limit=10, label=f"{whose}_by_metadata")
    await who.search_threads(ids=ids, limit=10, label=f"{whose}_by_id")
    await who.search_threads(limit=20, label=f"{whose}_without_filter")
    await who.request("POST", "/threads/count", json={"metadata": {"tag": tag}}, label=f"{whose}_count")


@scenario(needs=["second_identity"])
async def runs_on_the_thread_of_another(api: Api) -> None:
    """A second user starts runs on a thread of the first, by every entry point, after some on its own."""

    async def start(part: Api, entry_point: str) -> None:
        thread = await part.create_thread()
        await part.turn(entry_point, thread, "steps", {"note": "first"})
        await _read(part, thread, "before")
        own = await part.second.create_thread(label="second_thread")
        await _start(part.second, entry_point, own, "accepted")
        await _start(part.second, entry_point, thread, "refused")
        await _read(part, thread, "after")

    await api.each(THREADED_ENTRY_POINTS, start)


async def _start(who: Api, entry_point: str, thread: str, label: str) -> None:
    send = {"wait": who.wait, "stream": who.stream, "background": who.send_run}[entry_point]
    await send(thread, "steps", {"note": "second"}, label=label)


@scenario(Schedule(steady=True), needs=["second_identity"])
async def run_of_another(api: Api) -> None:
    """A second user joins, streams and cancels a run of the first while it sleeps, and when it has ended."""
    secret = new_id()
    api.note(secret=secret)
    thread = await api.create_thread()
    run = await api.create_run(thread, "slow", {"sleep": SLEEP_S, "note": secret}, stream_resumable=True)
    await api.until_logged(thread, "a")
    other = api.second
    await asyncio.gather(
        other.join(thread, run, label="join"),
        other.join_stream(thread, run, label="join_stream"),
        other.cancel(thread, run, action="interrupt", wait=False, label="cancel"),
    )
    await api.join(thread, run, label="own_join")
    await api.poll_run(thread, run)
    await other.join(thread, run, label="join_ended")
    await other.join_stream(thread, run, last_event_id="-1", label="join_stream_ended")


@scenario(needs=["restricted_identity"])
async def user_who_may_only_read(api: Api) -> None:
    """A user who may only read searches threads, and then tries to create one."""
    unborn, born = new_id(), new_id()
    await api.restricted.search_threads(limit=1)
    await api.restricted.request("POST", "/threads", json={"thread_id": unborn}, label="forbidden")
    await api.thread(unborn, label="unborn")
    await api.create_thread(thread_id=born)
    await api.thread(born, label="born")


@scenario(needs=["auth"])
async def identity_in_the_graph(api: Api) -> None:
    """`config` shows who is calling: as the server says, and when the caller claims to be another."""
    claim = {IDENTITY: "somebody-else", "colour": "blue"}

    async def look(part: Api, how: str) -> None:
        who = part.second if how == "second" else part
        fields: dict[str, Any] = {
            "configurable": {"config": {"configurable": claim}},
            "context": {"context": claim},
        }
        await who.wait(None, "config", {}, label="look", **fields.get(how, {}))

    await api.each(["plain", "configurable", "context"], look)
    if api.target.second_headers:
        await api.each(["second"], look)


@scenario(needs=["second_identity", "store"])
async def store_of_another(api: Api) -> None:
    """Each user keeps an item in a namespace of its own; the second one goes for that of the first."""
    tag, other = new_id(), api.second
    api.note(tag=tag)
    first = await _keep(api, tag, "first")
    await _keep(other, tag, "second")
    await other.request("GET", "/store/items", params=_at(first), label="get")
    await _search_store(other, first, "search")
    item = {"namespace": first, "key": "k"}
    await other.request("PUT", "/store/items", json={**item, "value": {"of": "second"}}, label="put")
    await other.request("DELETE", "/store/items", json=item, label="delete")
    await api.request("GET", "/store/items", params=_at(first), label="get_afterwards")
    await _search_store(api, first, "search_afterwards")


async def _keep(who: Api, tag: str, whose: str) -> list[str]:
    """Put an item below the user's own name, as the graphs see it; where that is refused, below none."""
    seen = await who.stream(None, "config", {}, label=f"{whose}_name")
    values = [event.json for event in seen.events if event.event == "values"]
    name = resolve(values, f"/{len(values) - 1}/seen/configurable/langgraph_auth_user_id")
    # A namespace is written with dots in a query, so that a label cannot hold one.
    namespaces = [[name, tag], [tag]] if isinstance(name, str) and "." not in name else [[tag]]
    for namespace in namespaces:
        item = {"namespace": namespace, "key": "k", "value": {"of": f"{whose} {tag}"}}
        put = await who.request("PUT", "/store/items", json=item, label=f"{whose}_put")
        if put.code is not None and put.code < 300:
            await who.request("GET", "/store/items", params=_at(namespace), label=f"{whose}_get")
            return namespace
    raise Blocked(f"the {whose} user can keep no item: {put.where} answered {put.code}")


def _at(namespace: list[str]) -> dict[str, str]:
    return {"namespace": ".".join(namespace), "key": "k"}


async def _search_store(who: Api, namespace: list[str], label: str) -> None:
    body = {"namespace_prefix": namespace, "limit": 10}
    await who.request("POST", "/store/items/search", json=body, label=label)


@requirement("AUTH-001")
@cases("credentials", CREDENTIALS)
def test_stranger_is_refused_and_does_nothing(credentials: str, strangers: Trace) -> None:
    part = strangers.part(credentials)
    assert part.first_run.ok.complete
    for exchange in part.all("knock"):
        assert exchange.status in {401, 403}
    assert part.unborn.status == 404
    _assert_untouched(part)


@requirement("AUTH-002")
@cases("request_", [*READS, *WRITES])
def test_thread_of_another_is_not_found(request_: str, thread_of_another: Trace) -> None:
    assert thread_of_another.only(f"own_{request_}").ok.complete
    assert thread_of_another.only(f"foreign_{request_}").status == 404
    _assert_untouched(thread_of_another)


@requirement("AUTH-003")
@cases("search", ["by_metadata", "by_id", "without_filter", "count"])
def test_search_finds_nothing_of_another(search: str, thread_of_another: Trace) -> None:
    for who, other in (("first", "second"), ("second", "first")):
        exchange = thread_of_another.only(f"{who}_{search}")
        if search == "count":
            assert exchange.ok.json == 1
            continue
        found = some((resolve(thread, "/thread_id") for thread in exchange.array), "thread of one's own")
        foreign = thread_of_another.note(other)
        assert foreign not in found, f"wanted nothing of the {other} user, got thread {foreign}"
        if search != "without_filter":
            assert found == [thread_of_another.note(who)]


@requirement("AUTH-004")
@by_threaded_entry_point
def test_run_on_the_thread_of_another_is_refused(
    entry_point: str, runs_on_the_thread_of_another: Trace
) -> None:
    part = runs_on_the_thread_of_another.part(entry_point)
    assert part.accepted.ok.complete
    assert part.refused.status == 404
    _assert_untouched(part)


@requirement("AUTH-005")
@cases("request_", ["join", "join_stream", "cancel", "join_ended", "join_stream_ended"])
def test_run_of_another_is_shut(request_: str, run_of_another: Trace, profile: Profile) -> None:
    exchange, secret = run_of_another.only(request_), run_of_another.note("secret")
    assert secret not in exchange.text, f"wanted nothing of the run's values, got {shown(exchange.text)}"
    if exchange.status == 200 and request_.startswith("join_stream"):
        assert [event.event for event in exchange.stream if event.event != "metadata"] == ["error"]
    elif exchange.status == 200 and request_.startswith("join"):
        error = profile.wait.error_in(exchange.json)
        assert isinstance(error, dict), f"wanted 404 or an `__error__` object, got {shown(exchange.text)}"
    else:
        assert exchange.status == 404
    values = profile.wait.values_in(run_of_another.own_join.object)
    assert (resolve(values, "/log"), resolve(values, "/note")) == (["a", "b", "c"], secret)
    assert run_of_another.last("poll").object.get("status") == "success"


@requirement("AUTH-006")
def test_what_a_user_may_not_do_is_forbidden(user_who_may_only_read: Trace) -> None:
    assert user_who_may_only_read.search_threads.ok.complete
    assert user_who_may_only_read.born.ok.complete
    assert user_who_may_only_read.forbidden.status == 403
    assert user_who_may_only_read.unborn.status == 404


@requirement("AUTH-007")
@cases("choice", ["raise", "do_nothing"])
def test_id_of_another_is_taken(choice: str, thread_of_another: Trace) -> None:
    assert thread_of_another.second_thread.ok.complete
    exchange = thread_of_another.only(f"same_id_{choice}")
    assert exchange.status == 409
    told = thread_of_another.note("tag") in exchange.text
    assert not told, f"wanted nothing of the other user's thread, got {shown(exchange.text)}"
    _assert_untouched(thread_of_another)


@requirement("AUTH-008")
@cases("how", ["configurable", "context", row("second", needs=["second_identity"])])
def test_graph_sees_who_is_calling(how: str, identity_in_the_graph: Trace, profile: Profile) -> None:
    name = _seen(identity_in_the_graph.part("plain").look, profile, "configurable", IDENTITY)
    named = isinstance(name, str) and bool(name)
    assert named, f"wanted the caller's identity in {IDENTITY}, got {shown(name)}"
    look = identity_in_the_graph.part(how).look
    seen = _seen(look, profile, "configurable", IDENTITY)
    if how == "second":
        differs = isinstance(seen, str) and bool(seen) and seen != name
        assert differs, f"wanted another name than the first user's {shown(name)}, got {shown(seen)}"
        return
    if _seen(look, profile, how, "colour") != "blue":
        raise Missing(f"{look.where}: what the caller sent in {how} did not reach the graph")
    assert seen == name


@requirement("AUTH-009")
@cases("request_", ["get", "search", "put", "delete"])
def test_item_of_another_is_out_of_reach(request_: str, store_of_another: Trace) -> None:
    own = _insist_on_items(store_of_another)
    exchange = store_of_another.only(request_)
    assert exchange.status in {200, 204, 403, 404}
    told = own in exchange.text
    assert not told, f"wanted nothing of the first user's item, got {shown(exchange.text)}"
    assert resolve(store_of_another.get_afterwards.json, "/value/of") == own
    found = resolve(store_of_another.search_afterwards.object, "/items")
    assert [resolve(item, "/value/of") for item in found or []] == [own]


@requirement("AUTH-010")
@cases("path", OPEN_PATHS)
def test_path_is_open(path: str, open_paths: Trace) -> None:
    if not open_paths.known.ok.complete or open_paths.unknown.status not in {401, 403}:
        raise Missing(f"{open_paths.unknown.where} is open too, so that no credentials are needed here")
    assert open_paths.only(path).status == 200
    assert open_paths.only(path).object, "wanted what the server tells of itself, got an empty object"


def _assert_untouched(trace: Trace) -> None:
    """What the first user reads after the second one's requests is what it read before them."""
    for what in ("thread", "state", "runs"):
        before = trace.last(f"{what}_before").ok.json
        if not before:
            raise Missing(f"{trace.last(f'{what}_before').where} shows nothing that could be touched")
        difference = first_difference(before, trace.last(f"{what}_after").ok.json)
        assert difference is None, f"wanted the thread as it was, got another {what}: {difference}"


def _insist_on_items(trace: Trace) -> str:
    """The first user's mark, once both users have read what they had put. Raises Missing."""
    marks = [resolve(trace.only(f"{who}_get").object, "/value/of") for who in ("first", "second")]
    wanted = [f"{who} {trace.note('tag')}" for who in ("first", "second")]
    if marks != wanted:
        raise Missing(f"a user's own item cannot be read back: wanted {shown(wanted)}, got {shown(marks)}")
    return wanted[0]


def _seen(answer: Exchange, profile: Profile, kind: str, key: str) -> Any:
    """What `config` shows of the configurable values or of the context. Raises Missing when it shows none."""
    seen = resolve(profile.wait.values_in(answer.object), f"/seen/{kind}")
    if not isinstance(seen, dict):
        raise Missing(f"{answer.where} shows no {kind} that the graph saw")
    return seen.get(key)
