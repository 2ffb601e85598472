"""webhook: what the server tells an address of the caller's choice when a run has ended."""

from __future__ import annotations

import asyncio
from typing import Any

from runstone.suite import (
    ENTRY_POINTS,
    LOOPBACK,
    STEPS,
    THREADED_ENTRY_POINTS,
    Api,
    Blocked,
    Exchange,
    Missing,
    Schedule,
    Trace,
    cases,
    conforms,
    lifecycle,
    on_loopback,
    requirement,
    resolve,
    row,
    scenario,
    shown,
    some,
    status_of,
)

ROUTES = (*ENTRY_POINTS, "stateless_background")
MEMBERS = (
    *("run_id", "thread_id", "assistant_id", "status", "metadata"),
    *("run_started_at", "run_ended_at", "webhook_sent_at", "values"),
)
SECOND_CALL_S = 0.3  # a delivery that is made twice is made twice at once, as nothing went wrong
DEAF_ENDS: dict[str, int | None] = {"answers 500": 500, "does not answer": None}
ENDINGS: dict[str, tuple[str, dict[str, Any]]] = {"error": ("fail", {}), "interrupt": ("interrupt", {})}
LONG_SLEEP_S = 60  # never slept to its end: the run is cancelled, or ended by its time limit
ONCE_A_YEAR = "0 0 1 1 *"


@scenario(needs=["webhooks"])
async def webhooks_of_every_route(api: Api) -> None:
    """A run with a webhook by every route that makes runs, and one that fails."""
    async with api.webhook_sink() as sink:

        async def turn(part: Api, route: str) -> None:
            url = sink.address(route)
            graph, given = ("fail", {"message": "the boiler is cold"}) if route == "failed" else ("steps", {})
            stateless = route.startswith("stateless")
            thread = None if stateless else await part.create_thread()
            if route == "stateless_background":
                result = await part.send_run(None, graph, given, webhook=url, label="result")
            else:
                entry_point = "wait" if route == "failed" else route
                fields: dict[str, Any] = {"webhook": url, "metadata": {"by": route}}
                result = await part.turn(entry_point, thread, graph, given, **fields)
            if result.found_run_id is None:
                raise Blocked(f"{result.where} names no run of which an address could be told")
            await sink.delivered(url)
            if thread is not None:
                await part.run(thread, result.found_run_id)
                await part.state(thread)

        await api.each([*ROUTES, "failed"], turn)
        await asyncio.sleep(SECOND_CALL_S)


@scenario(Schedule(steady=True, thorough=True), needs=["webhooks"])
async def webhooks_of_every_end(api: Api) -> None:
    """A run with a webhook that fails, one that asks, one that is cancelled, and one that takes too long."""
    limit = api.target.run_time_limit
    async with api.webhook_sink() as sink:

        async def turn(part: Api, end: str) -> None:
            url, thread = sink.address(end), await part.create_thread()
            graph, given = ENDINGS.get(end) or ("slow", {"sleep": LONG_SLEEP_S})
            if end == "timeout" and limit is not None:
                graph = limit.assistant
            run = await part.create_run(thread, graph, given, webhook=url)
            if end == "cancelled":
                await part.until_logged(thread, "a")
                await part.cancel(thread, run, wait=True)
            await part.poll_run(thread, run, patience=limit.seconds if limit else 0)
            await sink.delivered(url)

        await api.each([*ENDINGS, "cancelled", *(["timeout"] if limit else [])], turn)


@scenario(Schedule(thorough=True), needs=["webhooks"])
async def webhooks_to_deaf_ends(api: Api) -> None:
    """A run whose webhook answers 500, and one whose webhook does not answer; then another run each."""
    async with api.webhook_sink() as sink:

        async def turn(part: Api, end: str) -> None:
            url = sink.address(end, answer=DEAF_ENDS[end])
            thread = await part.create_thread()
            first = await part.create_run(thread, "steps", {"note": "first"}, webhook=url, label="first")
            await part.poll_run(thread, first, label="first_ended")
            await sink.delivered(url)
            await part.run(thread, first, label="first_after")
            second = await part.create_run(thread, "steps", {"note": "second"}, label="second")
            await part.poll_run(thread, second, label="second_ended")

        await api.each(DEAF_ENDS, turn)


@scenario
async def webhook_on_loopback(api: Api) -> None:
    """A webhook at a loopback address, which a server may refuse, after a run without any."""
    async with api.webhook_sink() as sink:
        url = sink.address(host=LOOPBACK)
        thread = await api.create_thread()
        await api.wait(thread, "steps", {"note": "without"}, label="without")
        answer = await api.send_run(thread, "steps", {"note": "with"}, webhook=url, label="with")
        if answer.code == 200:
            await api.poll_run(thread, answer.run_id)
            if on_loopback(answer.url):
                await sink.delivered(url)
        await api.runs(thread, limit=100)


@scenario(needs=["webhooks", "crons"])
async def webhook_of_a_cron(api: Api) -> None:
    """A cron with a webhook is made, and deleted long before its time."""
    async with api.webhook_sink() as sink:
        body = {"assistant_id": "steps", "schedule": ONCE_A_YEAR, "input": {}, "webhook": sink.address()}
        made = await api.request("POST", "/runs/crons", json=body, label="cron")
        await api.request("DELETE", f"/runs/crons/{made.object.get('cron_id')}", label="delete_cron")


@requirement("WEBHOOK-001")
def test_end_of_a_run_is_told_once(webhooks_of_every_route: Trace) -> None:
    turn = webhooks_of_every_route.part("wait")
    run = turn.run.object
    deliveries = turn.find("delivery")
    assert deliveries, "wanted a delivery, got none"
    for delivery in deliveries:
        body = _body(delivery)
        assert delivery.method == "POST"
        assert body.get("run_id") == run.get("run_id")
        assert _without_times(body) == _without_times(_body(deliveries[0]))  # the same may come twice


def _without_times(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.endswith("_at")}


@requirement("WEBHOOK-009")
@cases("end", [*ENDINGS, "cancelled", row("timeout", needs=["run_time_limit"])])
def test_every_end_is_told(webhooks_of_every_end: Trace, end: str) -> None:
    turn = webhooks_of_every_end.part(end)
    status = status_of(turn.last("poll"))
    told = [_body(each).get("status") for each in turn.find("delivery")]
    assert told, f"wanted a delivery for a run that ended as {status}, got none"
    assert told[0] == status


@requirement("WEBHOOK-002")
def test_body_holds_the_run_and_its_values(webhooks_of_every_route: Trace) -> None:
    turn = webhooks_of_every_route.part("wait")
    run, body = turn.run.object, _body(turn.first("delivery"))
    assert [name for name in MEMBERS if name not in body] == []
    # The two times of a Run that the requirement leaves out are filled in where they are missing.
    times = {name: run.get(name) for name in ("created_at", "updated_at")}
    conforms({**times, **body}, "webhook-payload", turn.first("delivery"))
    for name in ("run_id", "thread_id", "assistant_id"):
        assert body[name] == run.get(name)
    assert resolve(body, "/metadata/by") == "wait"


@requirement("WEBHOOK-003")
@cases("route", ["wait", "failed"])
def test_status_is_the_last_one(webhooks_of_every_route: Trace, route: str) -> None:
    turn = webhooks_of_every_route.part(route)
    told = _body(turn.first("delivery")).get("status")
    assert told in lifecycle().runs.terminal
    assert turn.run.object.get("status") == told
    assert told == ("error" if route == "failed" else "success")


@requirement("WEBHOOK-004")
def test_error_is_told(webhooks_of_every_route: Trace) -> None:
    turn = webhooks_of_every_route.part("failed")
    if turn.run.object.get("status") != "error":
        raise Missing(f"{turn.run.where} does not show that the run failed")
    error = _body(turn.first("delivery")).get("error")
    texts = [error.get("error"), error.get("message")] if isinstance(error, dict) else [error]
    whole = all(isinstance(text, str) and text.strip() for text in texts)
    assert whole, f"wanted a text, or an object with error and message, got {shown(error)}"


@requirement("WEBHOOK-005")
@cases("route", THREADED_ENTRY_POINTS)
def test_values_are_those_of_the_thread(webhooks_of_every_route: Trace, route: str) -> None:
    turn = webhooks_of_every_route.part(route)
    values = turn.state.object.get("values")
    if resolve(values, "/log") != STEPS:
        raise Missing(f"{turn.state.where} does not hold the values of the run")
    assert _body(turn.first("delivery")).get("values") == values


@requirement("WEBHOOK-006")
@cases("end", DEAF_ENDS)
def test_deaf_end_changes_nothing(webhooks_to_deaf_ends: Trace, end: str) -> None:
    turn = webhooks_to_deaf_ends.part(end)
    assert _body(turn.first("delivery")), "wanted a delivery with a body"
    for label in ("first_ended", "first_after", "second_ended"):
        assert turn.last(label).object.get("status") == "success"


@requirement("WEBHOOK-007")
def test_loopback_is_called_or_refused(webhook_on_loopback: Trace) -> None:
    trace = webhook_on_loopback
    answer, without = trace.only("with"), trace.without.ok.run_id
    listed = {resolve(run, "/run_id") for run in some(trace.runs.array, "run of the thread")}
    if 400 <= answer.status < 500:
        assert listed == {without}
        return
    run = answer.object.get("run_id")
    assert listed == {without, run}
    assert trace.last("poll").object.get("status") == "success"
    if not trace.find("delivery") and not on_loopback(answer.url):
        raise Missing(f"the loopback of {answer.url.split('/')[2]} cannot be seen from here")
    assert [_body(delivery).get("run_id") for delivery in trace.find("delivery")][:1] == [run]


@requirement("WEBHOOK-008")
@cases("route", [*ROUTES, row("crons", needs=["crons"])])
def test_every_route_takes_a_webhook(
    webhooks_of_every_route: Trace, webhook_of_a_cron: Trace, route: str
) -> None:
    if route == "crons":
        cron = webhook_of_a_cron.cron
        assert cron.status == 200
        conforms(cron.object, "cron", cron)
        return
    turn = webhooks_of_every_route.part(route)
    run = turn.first("result").run_id
    told = [(_body(each).get("run_id"), _body(each).get("status")) for each in turn.find("delivery")]
    assert told[:1] == [(run, "success")]


def _body(delivery: Exchange) -> dict[str, Any]:
    """What was delivered. Raises Missing when it is not a JSON object."""
    body = delivery.request_json
    if not isinstance(body, dict):
        raise Missing(
            f"what was delivered at {delivery.path} is not a JSON object: {shown(delivery.request_body)}"
        )
    return body
