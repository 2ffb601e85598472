"""What holds for the form of every answer: its parts suit each other, and it arrives to its end."""

from __future__ import annotations

from collections.abc import Iterator

from runstone.suite import (
    UUID,
    Exchange,
    Finding,
    Trace,
    answers,
    begins_run,
    is_delivery,
    is_json,
    lasts_as_its_run,
    none_broken,
    operation_for,
    requirement,
    run_shown,
    some,
    streams_a_run,
    violations,
)

SILENCE_S = 60.0  # what proxies and clients cut by default; keep-alive bytes come far more often
_KILL_S = 1.0  # between the moment that a scenario notes for a kill and the end of the last connection


@requirement("MON-008")
def test_status_and_headers_suit_the_body(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        some(run_shown(traces), "run that was created and shown")
        for exchange in (each for each in answers(traces) if each.complete):
            reason = _unsuited(exchange)
            if reason:
                yield exchange, reason

    none_broken(findings())


@requirement("MON-009")
def test_every_answer_arrives_to_its_end(traces: list[Trace]) -> None:
    def findings() -> Iterator[Finding]:
        some(run_shown(traces), "run that was created and shown")
        for trace in traces:
            for exchange in trace.exchanges:
                if is_delivery(exchange) or _was_cut_by_us(exchange, trace):
                    continue
                if exchange.failure is not None:
                    yield exchange, f"did not end: {exchange.failure}"
                elif exchange.longest_silence > SILENCE_S:
                    yield exchange, f"was silent for {exchange.longest_silence:.0f} s"

    none_broken(findings())


def _was_cut_by_us(exchange: Exchange, trace: Trace) -> bool:
    """Whether the server was stopped on purpose meanwhile, or its part of the scenario was given up."""
    stops = trace.notes.get("restarted_at", [])
    stopped = any(exchange.sent_at - _KILL_S <= at <= exchange.ended_at + _KILL_S for at in stops)
    return stopped or not {"", exchange.part}.isdisjoint(trace.blocked)


def _unsuited(exchange: Exchange) -> str:
    """What of status, headers and body contradicts the rest; '' for nothing."""
    refused = exchange.status >= 400
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if exchange.method == "HEAD" or exchange.status in {202, 204, 304}:
        return ""
    if kind == "application/json" and not is_json(exchange):
        return f"answers {exchange.status} as application/json, and the body is none"
    if refused:
        return _unsuited_refusal(exchange, kind)
    operation = operation_for(exchange.method, exchange.path)
    if streams_a_run(exchange):
        if kind != "text/event-stream":
            return f"answers a stream as {kind or 'nothing'}"
    elif lasts_as_its_run(exchange):
        if kind not in {"application/json", "text/plain"} or not is_json(exchange):
            return f"answers no JSON, but {kind or 'nothing'}"
    elif operation is not None and operation.schema and kind != "application/json":
        return f"answers as {kind or 'nothing'} what the contract describes as application/json"
    counted = exchange.headers.get("x-pagination-total", "")
    if exchange.method == "POST" and exchange.path == "/threads/search" and not counted.isdecimal():
        return "does not say in X-Pagination-Total how many threads there are"
    return _unlocated(exchange)


def _unsuited_refusal(exchange: Exchange, kind: str) -> str:
    if not exchange.content or exchange.content.isspace():
        return f"answers {exchange.status} and does not say why"
    body = exchange.json if kind == "application/json" else None
    broken = violations("error-body", body) if body is not None else []
    if broken:
        return f"answers {exchange.status} with a body that is not an error: {broken[0].message}"
    if not kind and is_json(exchange) and isinstance(exchange.json, dict):
        return f"answers {exchange.status} with JSON, and does not call it so"
    known = {"application/json", "text/plain", ""}
    return "" if kind in known else f"answers {exchange.status} as {kind}"


def _unlocated(exchange: Exchange) -> str:
    """Whether an answer that creates a run fails to name it in its headers."""
    if not begins_run(exchange):
        return ""
    named = UUID.findall(exchange.headers.get("content-location", ""))
    if not named:
        return "names no run in Content-Location"
    followed = UUID.findall(exchange.headers.get("location", ""))
    if followed and followed[-1].lower() != named[-1].lower():
        return f"names in Location another run than in Content-Location: {followed[-1]}"
    return ""
