"""POST /threads/search, /threads/count and /threads/prune: threads found, counted and deleted by a filter."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import groupby
from typing import Any

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    conforms,
    each_of,
    new_id,
    raw,
    requirement,
    scenario,
    shown,
    some,
)

THREADS = 12
PAGE = 4  # divides the number of threads: a last page that is full must not announce another one
OFFSETS = (0, 4, 8, 12)
TOUCHED = 2  # the thread whose updated_at is made newer than those of all others
ORDERS = ("asc", "desc")
SORTED_BY = ("thread_id", "created_at", "updated_at")
STATUSES = ("idle", "interrupted", "error", "busy")
NEVER_S = 60.0  # never slept to its end: the run is cancelled when all is searched

# The threads, by number, that each filter finds.
FOUND: dict[str, list[int]] = {
    "all": list(range(THREADS)),
    "pair": [3],
    "nested": [number for number in range(THREADS) if number % 3 == 1],
    "deep": [number for number in range(THREADS) if number % 2 == 0],
    "stranger": [],
}
by_filter = cases("name", FOUND)


def _metadata(mark: str, number: int) -> dict[str, Any]:
    return {"mark": mark, "number": number, "plan": {"floors": number % 3, "lift": {"doors": number % 2}}}


def _filters(mark: str) -> dict[str, dict[str, Any]]:
    own = {"mark": mark}
    return {
        "all": own,
        "pair": own | {"number": 3},
        "nested": own | {"plan": {"floors": 1}},
        "deep": own | {"plan": {"lift": {"doors": 0}}},
        "stranger": own | {"number": THREADS},
    }


@scenario(agent=True)
async def threads_searched(api: Api) -> None:
    """Twelve threads that nothing ran on, searched and counted by metadata and ids, in pages and sorted."""
    mark = new_id()
    own = [await api.create_thread(metadata=_metadata(mark, number)) for number in range(THREADS)]
    api.note(own=own)
    only_own = {"metadata": {"mark": mark}}
    for name, metadata in _filters(mark).items():
        await api.search_threads(metadata=metadata, limit=100, label=f"by_{name}")
        await _count(api, f"count_{name}", metadata=metadata)
    for offset in OFFSETS:
        await api.search_threads(**only_own, limit=PAGE, offset=offset, label="page")
    await api.search_threads(**only_own, label="without_limit")
    await api.search_threads(**only_own, limit=0, label="limit_0")
    await api.search_threads(**only_own, limit=1001, label="limit_1001")
    await api.search_threads(ids=[*own[3:5], new_id()], limit=100, label="by_ids")
    await api.search_threads(**only_own, limit=100, select=["thread_id", "status"], label="select")
    await api.search_threads(**only_own, limit=100, select=["thread_id", "colour"], label="select_unknown")
    touch = {"metadata": {"touched": True}}
    await api.request("PATCH", f"/threads/{own[TOUCHED]}", json=touch, label="touch")
    for by in SORTED_BY:
        for order in ORDERS:
            sort = {"sort_by": by, "sort_order": order}
            await api.search_threads(**only_own, limit=100, **sort, label=f"{by}_{order}")


@scenario(needs=["exclusive"], agent=True)
async def threads_pruned(api: Api) -> None:
    """Two of three threads are pruned; a server that does not heed which would prune those of others too."""
    own = [await api.create_thread() for _ in range(3)]
    for thread in own:
        await api.thread(thread, label="before")
    await api.request("POST", "/threads/prune", json={"thread_ids": own[:2]}, label="prune")
    for thread in own:
        await api.thread(thread, label="after")


@scenario(Schedule(steady=True))
async def threads_in_each_status(api: Api) -> None:
    """One thread in each status, and one that nothing ran on, searched by status and by values."""
    mark = new_id()
    own = {
        each: await api.create_thread(metadata={"mark": mark, "has_values": each != "busy"})
        for each in STATUSES
    }
    api.note(own=own)
    await api.create_thread(metadata={"mark": mark, "has_values": False})
    await asyncio.gather(
        api.wait(own["idle"], "steps", {"note": "ended"}),
        api.wait(own["interrupted"], "steps", {"note": "paused"}, interrupt_before=["s2"]),
        api.wait(own["error"], "fail", {}),
    )
    for thread in (own["idle"], own["interrupted"], own["error"]):
        await api.settle(thread)
    busy = await api.create_run(own["busy"], "slow", {"sleep": NEVER_S})
    await api.until_running(own["busy"], busy)
    for status, thread in own.items():
        await api.thread(thread, label=f"is_{status}")
    everything = {"metadata": {"mark": mark}, "limit": 100}
    await api.search_threads(**everything, label="by_all")
    for status in STATUSES:
        await api.search_threads(**everything, status=status, label=f"in_{status}")
    await _count(api, "count_interrupted", metadata={"mark": mark}, status="interrupted")
    for order in ORDERS:
        await api.search_threads(**everything, sort_by="status", sort_order=order, label=f"status_{order}")
    values = {"note": "ended"}
    ended = {"mark": mark, "has_values": True}
    await api.search_threads(metadata=ended, values=values, limit=100, label="values_of_those_that_ended")
    await api.search_threads(**everything, values=values, label="values_of_all")
    await api.cancel(own["busy"], busy, action="interrupt", wait=False)


async def _count(api: Api, label: str, **body: Any) -> None:
    await api.request("POST", "/threads/count", json=body, label=label)


@requirement("THR-SEARCH-001")
def test_answers_threads(threads_searched: Trace) -> None:
    found = threads_searched.by_all
    assert found.status == 200
    assert isinstance(found.json, list), f"wanted an array of threads, got {shown(found.json)}"
    for thread in some(found.array, "thread that was found"):
        conforms(thread, "thread", found)
    assert sorted(_thread_ids(found)) == sorted(threads_searched.note("own"))


@requirement("THR-SEARCH-002")
@by_filter
def test_metadata_finds_what_contains_it(name: str, threads_searched: Trace) -> None:
    own = threads_searched.note("own")
    if name != "all":
        _insist_on_all(threads_searched)
    assert sorted(_thread_ids(threads_searched.only(f"by_{name}"))) == sorted(
        own[number] for number in FOUND[name]
    )


@requirement("THR-SEARCH-003")
@cases("status", STATUSES)
def test_status_finds_its_threads(status: str, threads_in_each_status: Trace) -> None:
    own = threads_in_each_status.note("own")
    seen = {own[each]: threads_in_each_status.only(f"is_{each}").object.get("status") for each in STATUSES}
    if len(set(seen.values())) < 2:
        raise Missing(f"all threads are in one status, so that a filter would not show: {shown(seen)}")
    found = threads_in_each_status.only(f"in_{status}")
    assert {each.get("status") for each in _threads(found)} <= {status}
    wanted = sorted(thread for thread, is_in in seen.items() if is_in == status)
    assert sorted(thread for thread in _thread_ids(found) if thread in seen) == wanted


@requirement("THR-SEARCH-004")
def test_pages_hold_each_thread_once(threads_searched: Trace) -> None:
    pages = [_thread_ids(page) for page in threads_searched.all("page")]
    assert [len(page) for page in pages] == [PAGE, PAGE, PAGE, 0]
    assert sorted(thread for page in pages for thread in page) == sorted(threads_searched.note("own"))


@requirement("THR-SEARCH-005")
def test_default_limit_is_ten(threads_searched: Trace) -> None:
    _insist_on_all(threads_searched)
    found = some(_thread_ids(threads_searched.without_limit), "thread found without a limit")
    assert set(found) <= set(threads_searched.note("own"))
    assert len(found) <= 10, f"wanted at most 10 threads, got {len(found)}"


@requirement("THR-SEARCH-006")
@cases("limit", [0, 1001])
def test_limit_out_of_range_is_refused(limit: int, threads_searched: Trace) -> None:
    _insist_on_all(threads_searched)
    status = threads_searched.only(f"limit_{limit}").status
    assert 400 <= status < 500, f"wanted a 4xx, got {status}"


@requirement("THR-SEARCH-007")
def test_newest_comes_first(threads_searched: Trace) -> None:
    found = _insist_on_all(threads_searched)
    stamps = [[_moment(found, thread, key) for thread in _threads(found)] for key in SORTED_BY[1:]]
    if all(len(set(each)) < 2 for each in stamps):
        raise Missing("all threads have the same stamps, so that no order shows")
    newest_first = any(each == sorted(each, reverse=True) and len(set(each)) > 1 for each in stamps)
    assert newest_first, f"wanted the newest first, got {shown([str(each) for each in stamps[0]])}"


@requirement("THR-SEARCH-008")
@cases("order", ORDERS)
@cases("by", [*SORTED_BY, "status"])
def test_sorts(by: str, order: str, threads_searched: Trace, threads_in_each_status: Trace) -> None:
    trace = threads_in_each_status if by == "status" else threads_searched
    found, everything = trace.only(f"{by}_{order}"), trace.only("by_all")
    assert sorted(_thread_ids(found)) == sorted(some(_thread_ids(everything), "thread to sort"))
    keys = _keys(found, by)
    if len(set(keys)) < 2:
        raise Missing(f"all threads have the same {by}, so that no order shows")
    if by == "status":
        # Which status comes first is the server's; threads in the same one stand together, either way round.
        other = _keys(trace.only("status_asc" if order == "desc" else "status_desc"), by)
        groups = [status for status, _ in groupby(keys)]
        assert sorted(groups) == sorted(set(groups))
        assert groups == [status for status, _ in groupby(other)][::-1]
    else:
        wanted = sorted(keys, reverse=order == "desc")
        assert [str(key) for key in keys] == [str(key) for key in wanted]


def _keys(found: Exchange, by: str) -> list[Any]:
    """What the threads are sorted by, in the order in which they were found."""
    if by in ("created_at", "updated_at"):
        return [_moment(found, thread, by) for thread in _threads(found)]
    return [str(thread.get(by)).lower() for thread in _threads(found)]


@requirement("THR-SEARCH-009")
def test_ids_find_their_threads(threads_searched: Trace) -> None:
    _insist_on_all(threads_searched)
    assert sorted(_thread_ids(threads_searched.by_ids)) == sorted(threads_searched.note("own")[3:5])


@requirement("THR-SEARCH-010")
@cases("among", ["those_that_ended", "all"])
def test_values_find_their_threads(among: str, threads_in_each_status: Trace) -> None:
    everything = _thread_ids(threads_in_each_status.by_all)
    if len(everything) != len(STATUSES) + 1:
        raise Missing(f"the search finds {len(everything)} of {len(STATUSES) + 1} threads without `values`")
    found = threads_in_each_status.only(f"values_of_{among}")
    assert found.status == 200
    assert _thread_ids(found) == [threads_in_each_status.note("own")["idle"]]


@requirement("THR-SEARCH-011")
def test_select_limits_the_members(threads_searched: Trace) -> None:
    whole = _threads(_insist_on_all(threads_searched))
    members = [sorted(thread) for thread in _threads(threads_searched.select)]
    assert members == [["status", "thread_id"]] * len(whole)
    assert threads_searched.select_unknown.status == 422


@requirement("THR-SEARCH-012")
def test_headers_tell_of_more(threads_searched: Trace) -> None:
    pages = threads_searched.all("page")
    if [len(page.array) for page in pages] != [PAGE, PAGE, PAGE, 0]:
        raise Missing("the pages do not hold the threads, so that it is unknown whether more follow")
    for page in pages:
        total = page.headers.get("x-pagination-total", "")
        assert total.isdecimal(), f"wanted a number as X-Pagination-Total, got {total!r} ({page.where})"
    following = [page.headers.get("x-pagination-next") for page in pages]
    assert following == [str(PAGE), str(2 * PAGE), None, None]


@requirement("THR-SEARCH-013")
@cases("name", [*FOUND, "interrupted"])
def test_count_is_what_a_search_finds(
    name: str, threads_searched: Trace, threads_in_each_status: Trace
) -> None:
    by_status = name == "interrupted"
    trace = threads_in_each_status if by_status else threads_searched
    some(_thread_ids(trace.by_all), "thread to count")
    wanted = len(_thread_ids(trace.only("in_interrupted" if by_status else f"by_{name}")))
    counted = trace.only(f"count_{name}").ok.json
    assert type(raw(counted)) is int, f"wanted a bare integer, got {shown(counted)}"
    assert counted == wanted


@requirement("THR-SEARCH-014")
def test_prune_deletes_the_named_threads(threads_pruned: Trace) -> None:
    before, after = threads_pruned.all("before"), threads_pruned.all("after")
    created = [each.object.get("thread_id") for each in threads_pruned.all("create_thread")]
    if [each.object.get("thread_id") for each in before] != created:
        raise Missing("the threads cannot be read, so that it does not show whether they are gone")
    assert threads_pruned.prune.object.get("pruned_count") == 2
    assert [each.status for each in after] == [404, 404, 200]


def _insist_on_all(trace: Trace) -> Exchange:
    """The search that finds all threads. Raises Missing when it does not: then no filter shows."""
    found = trace.by_all
    if sorted(_thread_ids(found)) != sorted(trace.note("own")):
        raise Missing(f"{found.where} finds {len(found.array)} threads where there are {THREADS}")
    return found


def _threads(found: Exchange) -> list[dict[str, Any]]:
    return [thread for thread in found.array if isinstance(thread, dict)]


def _moment(found: Exchange, thread: dict[str, Any], key: str) -> datetime:
    conforms(thread.get(key), "timestamp", found)
    return datetime.fromisoformat(str(thread[key]).upper())


def _thread_ids(found: Exchange) -> list[Any]:
    return each_of(found, "/thread_id")
