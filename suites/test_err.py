"""Errors: the right status for a wrong request, a body that a person can read, and nothing left behind."""

from __future__ import annotations

import re
from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    THREADED_ENTRY_POINTS,
    Api,
    Exchange,
    Schedule,
    Trace,
    by_entry_point,
    by_threaded_entry_point,
    cases,
    conforms,
    new_id,
    refusal_of,
    requirement,
    scenario,
    shown,
    some,
)

NO_JSON = b'{"assistant_id": "steps", '
NO_UUID = "not-a-uuid"
INPUT = {"note": "errors"}
RUN_PATHS = {
    "wait": "/threads/{thread}/runs/wait",
    "stream": "/threads/{thread}/runs/stream",
    "background": "/threads/{thread}/runs",
    "stateless_wait": "/runs/wait",
    "stateless_stream": "/runs/stream",
}
BODY_PATHS = {
    **RUN_PATHS,
    "thread": "/threads",
    "search": "/threads/search",
    "state": "/threads/{thread}/state",
}
MISFORMED_IDS = {
    "thread": ("GET", f"/threads/{NO_UUID}"),
    "state": ("GET", f"/threads/{NO_UUID}/state"),
    "runs": ("GET", f"/threads/{NO_UUID}/runs"),
    "background": ("POST", f"/threads/{NO_UUID}/runs"),
    "wait": ("POST", f"/threads/{NO_UUID}/runs/wait"),
    "stream": ("POST", f"/threads/{NO_UUID}/runs/stream"),
    "run": ("GET", f"/threads/{{thread}}/runs/{NO_UUID}"),
    "join": ("GET", f"/threads/{{thread}}/runs/{NO_UUID}/join"),
    "join_stream": ("GET", f"/threads/{{thread}}/runs/{NO_UUID}/stream"),
    "cancel": ("POST", f"/threads/{{thread}}/runs/{NO_UUID}/cancel"),
}
# Whether a background run stays when nobody is connected is unasked: on_disconnect is not sent to it.
CHOICES = [
    (entry_point, field)
    for entry_point in THREADED_ENTRY_POINTS
    for field in ("multitask_strategy", "stream_mode", "if_not_exists", "on_disconnect")
    if (entry_point, field) != ("background", "on_disconnect")
]
TRACE_OF_A_SERVER = re.compile(
    r"Traceback \(most recent call last\)"
    r'|File "[^"]+", line \d+'  # Python
    r"|\bat [^\n]*\.[cm]?[jt]s:\d+:\d+"  # JavaScript
    r"|(?<![\w/.:])(?:/[\w.@+-]+)+\.(?:py|[cm]?[jt]s)\b"  # a path, but not the one of a URL
    r"|\b[A-Za-z]:\\\\\w+\\\\"  # a path of Windows, its backslashes as JSON writes them
)


@scenario(agent=True)
async def odd_requests(api: Api) -> None:
    """Reading what is not there, creating what is, unknown routes, and types that are not JSON."""
    thread = await api.create_thread()
    await api.thread(thread, label="known_thread")
    await api.thread(new_id(), label="unknown_thread")
    await api.request("POST", "/threads", json={"thread_id": thread, "if_exists": "raise"}, label="conflict")
    await api.request("GET", "/no/such/route", label="unknown_route")
    await api.request("PUT", "/threads", json={}, label="wrong_method")
    await api.request("PUT", f"/threads/{thread}/runs", json={}, label="wrong_method")
    content = b'{"metadata": {"sent": "as text"}}'
    headers = {"content-type": "text/plain"}
    await api.request("POST", "/threads", content=content, headers=headers, label="as_text_plain")
    await api.request("POST", "/threads", content=content, label="without_content_type")


@scenario(agent=True)
async def misformed_ids(api: Api) -> None:
    """Paths with an id that is not a UUID, after the same with ids that exist."""
    thread = await api.create_thread()
    accepted = await api.wait(thread, "steps", INPUT, label="accepted")
    await api.thread(thread, label="known_thread")
    await api.run(thread, accepted.run_id, label="known_run")
    for label, (method, path) in MISFORMED_IDS.items():
        json: dict[str, Any] = {"json": _run_body()} if method == "POST" else {}
        await api.request(method, path.format(thread=thread), **json, label=label)


@scenario(agent=True)
async def misformed_bodies(api: Api) -> None:
    """Bodies that break off in the middle, after one that does not."""
    thread = await api.create_thread()
    await api.wait(thread, "steps", INPUT, label="accepted")
    for label, path in BODY_PATHS.items():
        headers = {"content-type": "application/json"}
        await api.request("POST", path.format(thread=thread), content=NO_JSON, headers=headers, label=label)


@scenario(Schedule(thorough=True), agent=True)
async def runs_without_form(api: Api) -> None:
    """A good run by every entry point, then runs without an assistant and with choices that are none."""

    async def refuse(part: Api, entry_point: str) -> None:
        stateless = entry_point.startswith("stateless")
        thread = "" if stateless else await part.create_thread()
        path = RUN_PATHS[entry_point].format(thread=thread)
        await part.turn(entry_point, thread or None, "steps", INPUT)
        without = _run_body()
        del without["assistant_id"]
        if stateless:
            await part.request("POST", path, json=without, label="without_assistant")
            return
        await part.settle(thread)
        await part.runs(thread, limit=100, label="runs_before")
        await part.request("POST", path, json=without, label="without_assistant")
        await part.runs(thread, limit=100, label="runs_after")
        await part.thread(thread, label="thread_after")
        for field in [field for by, field in CHOICES if by == entry_point]:
            await part.request("POST", path, json=_run_body(**{field: "no-such-choice"}), label=field)

    await api.each(ENTRY_POINTS, refuse)


def _run_body(**fields: Any) -> dict[str, Any]:
    return {"assistant_id": "steps", "input": INPUT, "multitask_strategy": "enqueue", **fields}


def _assert_refused(exchange: Exchange) -> None:
    refused = 400 <= exchange.status < 500
    assert refused, f"wanted a 4xx, got {exchange.status}: {shown(exchange.content)}"


def _kinds(odd: Trace, ids: Trace, bodies: Trace, form: Trace) -> dict[str, list[Exchange]]:
    """The 4xx answers by kind of mistake; each kind after a good request that was accepted."""
    return {
        "not_found": [odd.known_thread.ok, odd.unknown_thread],
        "conflict": [odd.known_thread.ok, odd.conflict],
        "route": [odd.known_thread.ok, odd.unknown_route],
        "misformed_id": [ids.known_thread.ok, ids.thread],
        "misformed_body": [bodies.accepted.ok, bodies.background],
        "validation": [form.part("background").create_run.ok, form.part("background").without_assistant],
    }


by_kind = cases("kind", ["not_found", "conflict", "route", "misformed_id", "misformed_body", "validation"])


@requirement("ERR-001")
@by_kind
def test_error_can_be_read(
    kind: str, odd_requests: Trace, misformed_ids: Trace, misformed_bodies: Trace, runs_without_form: Trace
) -> None:
    kinds = _kinds(odd_requests, misformed_ids, misformed_bodies, runs_without_form)
    answer = refusal_of(kinds[kind][-1])
    content_type = answer.headers.get("content-type", "")
    if "json" in content_type:
        conforms(answer.json, "error-body", answer)
    else:
        readable = bool(answer.text.strip()) and "html" not in content_type
        assert readable, f"wanted JSON or plain text, got {content_type or 'no type'}: {shown(answer.text)}"


@requirement("ERR-002")
@by_kind
def test_error_is_json_with_a_detail(
    kind: str, odd_requests: Trace, misformed_ids: Trace, misformed_bodies: Trace, runs_without_form: Trace
) -> None:
    kinds = _kinds(odd_requests, misformed_ids, misformed_bodies, runs_without_form)
    answer = refusal_of(kinds[kind][-1])
    assert answer.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    detail = answer.json.get("detail") if isinstance(answer.json, dict) else None
    told = isinstance(detail, str) and bool(detail.strip())
    assert told, f"wanted a text under `detail`, got {shown(answer.json)}"


@requirement("ERR-003")
def test_unknown_thread_is_not_found(odd_requests: Trace) -> None:
    assert odd_requests.known_thread.ok.complete
    assert odd_requests.unknown_thread.status == 404


@requirement("ERR-004")
@cases("operation", MISFORMED_IDS)
def test_misformed_id_is_refused(operation: str, misformed_ids: Trace) -> None:
    assert misformed_ids.known_run.ok.complete
    _assert_refused(misformed_ids.only(operation))


@requirement("ERR-005")
@cases("operation", MISFORMED_IDS)
def test_misformed_id_answers_422(operation: str, misformed_ids: Trace) -> None:
    assert misformed_ids.known_run.ok.complete
    assert misformed_ids.only(operation).status == 422


@requirement("ERR-006")
@cases("operation", BODY_PATHS)
def test_body_that_is_no_json_is_refused(operation: str, misformed_bodies: Trace) -> None:
    assert misformed_bodies.accepted.ok.complete
    _assert_refused(misformed_bodies.only(operation))


@requirement("ERR-007")
@by_entry_point
def test_run_without_an_assistant_is_refused(entry_point: str, runs_without_form: Trace) -> None:
    part = runs_without_form.part(entry_point)
    assert part.result.ok.complete
    _assert_refused(part.without_assistant)


@requirement("ERR-008")
@cases("entry_point, field", CHOICES)
def test_choice_that_is_none_is_refused(entry_point: str, field: str, runs_without_form: Trace) -> None:
    part = runs_without_form.part(entry_point)
    assert part.result.ok.complete
    _assert_refused(part.only(field))


@requirement("ERR-009")
@by_threaded_entry_point
def test_refused_run_leaves_nothing_behind(entry_point: str, runs_without_form: Trace) -> None:
    part = runs_without_form.part(entry_point)
    refusal_of(part.without_assistant)
    before = some((run.get("run_id") for run in part.runs_before.array), "run of the thread")
    assert [run.get("run_id") for run in part.runs_after.array] == before
    assert part.thread_after.object.get("status") == part.last("settle").object.get("status")


@requirement("ERR-010")
@cases("sent", ["as_text_plain", "without_content_type"])
def test_json_of_another_type_is_accepted(sent: str, odd_requests: Trace) -> None:
    assert odd_requests.create_thread.ok.complete
    exchange = odd_requests.only(sent)
    accepted = 200 <= exchange.status < 300
    assert accepted, f"wanted a 2xx, got {exchange.status}: {shown(exchange.content)}"
    metadata = exchange.object.get("metadata")
    assert isinstance(metadata, dict), f"wanted a thread with metadata, got {shown(exchange.object)}"
    assert metadata.get("sent") == "as text"


@requirement("ERR-011")
def test_unknown_route_is_not_found(odd_requests: Trace) -> None:
    assert odd_requests.create_thread.ok.complete
    assert odd_requests.unknown_route.status == 404
    for exchange in odd_requests.all("wrong_method"):
        assert exchange.status in {404, 405}


@requirement("ERR-012")
def test_error_shows_nothing_of_the_inside(
    odd_requests: Trace, misformed_ids: Trace, misformed_bodies: Trace, runs_without_form: Trace
) -> None:
    traces = (odd_requests, misformed_ids, misformed_bodies, runs_without_form)
    refused = [each for trace in traces for each in trace.exchanges if each.answered and each.status >= 400]
    assert runs_without_form.part("wait").result.ok.complete
    for exchange in some(refused, "error answer"):
        leak = TRACE_OF_A_SERVER.search(exchange.text)
        assert leak is None, f"wanted no stack trace and no path, got {shown(leak and leak.group())}"
