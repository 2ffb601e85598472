"""Variants: what another correct server may do, as official servers and the standards show it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from runstone.proof.faults.fault import variant
from runstone.proof.faults.seams import Seams
from runstone.reference import answers, api_runs, api_threads, channels, database, outcome, server, webhooks
from runstone.reference.bodies import HistoryBody
from runstone.reference.channels import Channel
from runstone.reference.errors import Conflict, Invalid, NotFound
from runstone.reference.outcome import SUCCESS, Outcome
from runstone.reference.routing import Call
from runstone.reference.runs import Run, StoredEvent
from runstone.reference.scheduler import Scheduler
from runstone.reference.wire import decode, encode

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN_IDS = frozenset({"thread_id", "run_id", "assistant_id"})
_REQUESTS_A_SECOND = 200  # a check sends 100 to 400

Pieces = AsyncIterator[bytes]


# Event streams


@variant(part="streams")
def lines_end_with_crlf(seams: Seams) -> None:
    """The lines of event streams end with CRLF, as those of the official Python server do."""

    @seams.around(channels, "_stream")
    async def stream(original: Any, *args: Any) -> Pieces:
        async for piece in original(*args):
            yield piece.replace(b"\n", b"\r\n")


@variant(part="streams")
def streams_end_with_an_end_event(seams: Seams) -> None:
    """The last event of each stream is `end`, without data."""

    @seams.around(channels, "_stream")
    async def stream(original: Any, *args: Any) -> Pieces:
        async for piece in original(*args):
            yield piece
        yield b"event: end\ndata: null\n\n"


@variant(part="streams")
def all_events_have_ids(seams: Seams) -> None:
    """All events have ids, of resumable runs or not, as on the official JavaScript server."""

    @seams.around(Channel, "publish")
    def publish(original: Any, channel: Any, event: StoredEvent) -> None:
        number = channel.__dict__["published"] = channel.__dict__.get("published", -1) + 1
        original(channel, event if event.number is not None else event._replace(number=number))


@variant(part="streams")
def streams_keep_alive_by_bare_comments(seams: Seams) -> None:
    """A silent stream sends a comment without text each second."""
    seams.put(channels, "SIGN_OF_LIFE_AFTER", 1.0)

    @seams.around(channels, "_stream")
    async def stream(original: Any, *args: Any) -> Pieces:
        async for piece in original(*args):
            yield b":\n\n" if piece == b": heartbeat\n\n" else piece


@variant(part="streams")
def streams_keep_alive_by_newlines(seams: Seams) -> None:
    """A silent stream sends an empty line every two seconds, and a silent wait does so too."""
    seams.put(channels, "SIGN_OF_LIFE_AFTER", 2.0)

    @seams.around(channels, "_stream")
    async def stream(original: Any, *args: Any) -> Pieces:
        async for piece in original(*args):
            yield b"\n" if piece == b": heartbeat\n\n" else piece


# Bodies and headers


@variant(part="bodies")
def keys_come_in_another_order(seams: Seams) -> None:
    """The members of every JSON object come in the reverse order of their names."""
    _rewrite(seams, _reversed)


@variant(part="bodies")
def ids_are_written_in_upper_case(seams: Seams) -> None:
    """The ids of threads, runs and assistants are shown in capital letters, and understood in any."""
    _rewrite(seams, _with_capitals)

    def path(run: Run) -> str:
        return f"/threads/{run.thread_id.upper()}/runs/{run.run_id.upper()}"

    seams.put(Run, "path", property(path))

    @seams.around(database, "contains")
    def contains(original: Any, document: Any, wanted: Any) -> bool:
        return bool(original(_with_capitals(document), _with_capitals(wanted)))


@variant(part="bodies")
def numbers_are_those_of_javascript(seams: Seams) -> None:
    """All numbers are 64-bit floating point: 1.0 is shown as 1, and integers past 2^53 are rounded."""
    _rewrite(seams, _in_javascript)


@variant(part="bodies")
def objects_have_members_of_their_own(seams: Seams) -> None:
    """Threads, runs, assistants and states carry members that the contract does not know."""
    known = {"created_at", "checkpoint"}

    @seams.around(answers, "encode")
    def encoded(original: Any, value: Any) -> bytes:
        document = msgspec.json.decode(original(value))
        for each in document if isinstance(document, list) else [document]:
            if isinstance(each, dict) and known & each.keys():
                each |= {"tenant_id": "t-1", "links": {"self": None}, "x-tags": []}
        return encode(document)


@variant(part="bodies")
def runs_have_no_location(seams: Seams) -> None:
    """Waits and streams name their run in Content-Location only."""

    def without_location(response: Response) -> Response:
        response.headers.raw[:] = [each for each in response.headers.raw if each[0] != b"location"]
        return response

    @seams.around(api_runs, "_wait")
    def wait(original: Any, *args: Any) -> Response:
        return without_location(original(*args))

    @seams.around(api_runs, "_stream")
    async def stream(original: Any, *args: Any) -> Response:
        return without_location(await original(*args))


# Statuses of answers


@variant(part="refusals")
def bad_requests_answer_400(seams: Seams) -> None:
    """What breaks the schema of a request is refused with 400."""
    seams.put(Invalid, "status", 400)


@variant(part="refusals")
def a_busy_thread_answers_422(seams: Seams) -> None:
    """A run that is rejected because its thread is busy is refused with 422."""

    @seams.around(Scheduler, "submit")
    def submit(original: Any, *args: Any) -> Any:
        try:
            return original(*args)
        except Conflict as error:
            raise Invalid(error.detail) from None


@variant(part="answers")
def what_is_done_answers_200(seams: Seams) -> None:
    """Cancelling and deleting answer 200 with an object."""
    for method, path in _WITHOUT_ANSWER:
        _answered(seams, method, path, lambda: answers.answer({"ok": True}))


@variant(part="answers")
def what_is_done_answers_204(seams: Seams) -> None:
    """Cancelling answers 204, waited for or not, and deleting answers 202."""
    for method, path in _WITHOUT_ANSWER:
        status = 202 if method == "DELETE" else 204
        _answered(seams, method, path, partial(Response, status_code=status))


@variant(part="answers")
def a_missing_item_is_null(seams: Seams) -> None:
    """Reading an item that the store does not have answers 200 with null."""

    @seams.around_operation("GET", "/store/items")
    async def get(handler: Any, call: Call) -> Response:
        try:
            response: Response = await handler(call)
        except NotFound:
            return answers.answer(None)
        return response


@variant(part="answers")
def histories_answer_one_state_by_default(seams: Seams) -> None:
    """A history that names no limit answers one state, as on the official Python server."""

    @seams.around_operation("GET", "/threads/{thread_id}/history")
    async def get(handler: Any, call: Call) -> Response:
        if "limit" in call.request.query_params:
            asked: Response = await handler(call)
            return asked
        return await api_threads._history(call, HistoryBody(limit=1, before=call.text("before")))

    @seams.around_operation("POST", "/threads/{thread_id}/history")
    async def post(handler: Any, call: Call) -> Response:  # noqa: ARG001 - reads the body itself
        body = {"limit": 1} | await call.body(dict[str, Any])
        return await api_threads._history(call, decode(encode(body), HistoryBody))


# Runs


@variant(part="runs")
def a_paused_run_is_interrupted(seams: Seams) -> None:
    """A run that pauses at an interrupt ends as `interrupted`, not as `success`."""

    @seams.around(Scheduler, "_write_end")
    def write_end(
        original: Any,
        scheduler: Any,
        run_id: str,
        thread_id: str,
        ended: Outcome,
        output: bytes,
        job: Any = None,
        state: Any = None,
    ) -> None:
        paused = ended is SUCCESS and state is not None and bool(state.next)
        shown = Outcome("interrupted") if paused else ended
        original(scheduler, run_id, thread_id, shown, output, job, state)


@variant(part="runs")
def runs_start_when_the_queue_is_polled(seams: Seams) -> None:
    """A run starts up to a second after it was created, because workers poll for it."""

    @seams.around(Scheduler, "_wake")
    def wake(original: Any, scheduler: Any, thread_id: str) -> None:
        later = random.uniform(0.5, 1.0)  # noqa: S311 - nothing is kept secret by it
        asyncio.get_running_loop().call_later(later, original, scheduler, thread_id)


@variant(part="runs")
def texts_of_errors_are_redacted(seams: Seams) -> None:
    """The error of a failed run names its class and nothing of its text."""

    @seams.around(outcome, "failed")
    def failed(original: Any, error: BaseException) -> Outcome:
        told = original(error)
        return Outcome(told.status, {**told.error, "message": "An internal error occurred"})


@variant(part="runs")
def errors_have_one_class(seams: Seams) -> None:
    """The error of a failed run is always an `Error`; its message holds class and text, as JSON."""

    @seams.around(outcome, "failed")
    def failed(original: Any, error: BaseException) -> Outcome:
        told = original(error)
        return Outcome(told.status, {"error": "Error", "message": json.dumps(told.error)})


_WITHOUT_ANSWER = (
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel"),
    ("DELETE", "/threads/{thread_id}/runs/{run_id}"),
    ("DELETE", "/threads/{thread_id}"),
    ("DELETE", "/assistants/{assistant_id}"),
    ("DELETE", "/store/items"),
    ("PUT", "/store/items"),
)


def _answered(seams: Seams, method: str, path: str, make: Callable[[], Response]) -> None:
    """Let an operation that has nothing to say answer so."""

    @seams.around_operation(method, path)
    async def done(handler: Any, call: Call) -> Response:
        await handler(call)
        return make()


# Gateways


@variant(part="gateway")
def requests_past_a_rate_are_put_off(seams: Seams) -> None:
    """Of the requests within one second the 201st and later are refused with 429 and Retry-After: 1."""

    @seams.around(server, "app_of")
    def app_of(original: Any, *args: Any) -> ASGIApp:
        app, counts = original(*args), Counter[int]()

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            second = int(time.monotonic())
            counts[second] += 1
            if counts[second] <= _REQUESTS_A_SECOND:
                await app(scope, receive, send)
            else:
                refusal = Response("slow down", 429, {"retry-after": "1"}, "text/plain")
                await refusal(scope, receive, send)

        return limited


def _rewrite(seams: Seams, change: Callable[[Any], Any]) -> None:
    """Let every JSON document leave the server changed: answers, webhooks, outputs of runs, and events."""

    def rewritten(text: bytes) -> bytes:
        return json.dumps(change(json.loads(text)), ensure_ascii=False, separators=(",", ":")).encode()

    for module in (answers, webhooks):

        @seams.around(module, "encode")
        def encoded(original: Any, value: Any) -> bytes:
            return rewritten(original(value))

    @seams.around(outcome, "output")
    def output(original: Any, *args: Any) -> bytes:
        return rewritten(original(*args))

    @seams.around(channels, "sse")
    def sse(original: Any, event: StoredEvent) -> bytes:
        text: bytes = original(event._replace(data=rewritten(event.data)))
        return text


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in sorted(value, reverse=True)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _in_javascript(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_javascript(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_in_javascript(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(float(value))
    # As JavaScript writes them: from 10^21 on with an exponent.
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return int(value) if whole else value


def _with_capitals(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: member.upper()
            if key in _OWN_IDS and isinstance(member, str) and _UUID.fullmatch(member)
            else _with_capitals(member)
            for key, member in value.items()
        }
    return [_with_capitals(item) for item in value] if isinstance(value, list) else value
