"""Requests made up from an OpenAPI document, well-formed and others; Schemathesis chooses and shrinks."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis
import schemathesis
from hypothesis import strategies
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from runstone.explore.bridge import Bridge, settings
from runstone.explore.findings import problem
from runstone.scenario.api import Api
from runstone.scenario.requests import ask, new_id
from runstone.wire.exchange import Exchange

_AT_ONCE = 4  # operations that are tried at the same time
_LEAST = 10  # requests to each operation, however short the time
_CASES = 100_000  # of one operation; the time ends it before
_HANG_UP_S = 2.0  # from a stream or a wait: what is queued behind another run may take long, and rightly
_METHODS = ("get", "post", "put", "patch", "delete")


class _Refuted(AssertionError):  # noqa: N818 - a finding
    """An answer that no request may get; the fuzzer looks for a smaller request that gets it too."""


async def fuzz_document(api: Api, document: Mapping[str, Any]) -> None:
    """Try every operation of an OpenAPI document for its share of the time that `api.exploration` allows.

    What is sent to an operation is labelled with its method and path.
    """
    may = api.exploration
    operations = _operations(document)
    names = await _real_names(api)
    api.note(seed=may.seed, operations=sorted(operations))
    random.Random(may.seed).shuffle(order := sorted(operations))  # noqa: S311 - fairness, no secret
    share = max(0.0, may.seconds - api.clock) * _AT_ONCE / max(1, len(order))
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(label: str) -> None:
        async with slots:
            bridge = Bridge(lambda: api.clock, min(may.seconds, api.clock + share), _LEAST)
            sender = _Sender(api, bridge, label, names)
            await bridge.run(lambda: _try(operations[label], sender, may.seed))

    async with asyncio.TaskGroup() as group:
        for label in order:
            group.create_task(one(label))


class _Sender:
    """Sends the cases of one operation."""

    def __init__(self, api: Api, bridge: Bridge, label: str, names: Mapping[str, Sequence[str]]) -> None:
        self._api = api
        self._bridge = bridge
        self._label = label
        self._names = names

    def send(self, case: Case[Any], real: int | None) -> None:
        """Send it; with `real`, names in the path are of things that exist. Raises _Refuted, and Over."""
        exchange = self._bridge.do(self._request(case, real))
        if problem(exchange, empty=True) is not None:
            raise _Refuted

    async def _request(self, case: Case[Any], real: int | None) -> Exchange:
        if real is not None:
            for name in case.path_parameters:
                known = next((self._names[kind] for kind in self._names if name.startswith(kind)), ())
                if known:
                    case.path_parameters[name] = known[real % len(known)]
        headers = {str(name): _header(value) for name, value in dict(case.headers or {}).items()}
        content = _content(case.body)
        if content is not None:
            headers.setdefault("content-type", case.media_type or "application/json")
        return await self._api.request(
            case.method,
            case.formatted_path,
            params=_pairs(dict(case.query or {})),
            content=content,
            headers=headers,
            label=self._label,
            close_after=_HANG_UP_S,
        )


def _operations(document: Mapping[str, Any]) -> dict[str, Any]:
    """By method and path: what Schemathesis can read of the document."""
    schema = schemathesis.openapi.from_dict(dict(document))
    found = {}
    for result in schema.get_all_operations():
        if isinstance(result, Ok) and result.ok().method.lower() in _METHODS:
            found[f"{result.ok().method.upper()} {result.ok().path}"] = result.ok()
    return found


def _try(operation: Any, sender: _Sender, seed: int) -> None:
    """Send cases until one is refuted and as small as it gets; raises Over when the time is up before."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    possible = modes if operation.body or operation.query else modes[:1]
    cases = strategies.one_of([operation.as_strategy(generation_mode=mode) for mode in possible])
    real = strategies.one_of(strategies.integers(0, 3), strategies.none())

    @hypothesis.seed(seed)
    @settings(_CASES)
    @hypothesis.given(case=cases, real=real)
    def attempt(case: Case[Any], real: int | None) -> None:
        sender.send(case, real)

    try:
        attempt()
    except (_Refuted, hypothesis.errors.Flaky, hypothesis.errors.Unsatisfiable):
        return  # what was answered is recorded, and the judge decides on that


async def _real_names(api: Api) -> dict[str, list[str]]:
    """By the kind of thing: names of some that exist, of no use to anybody else.

    The threads get ids of ours, so that the recorded requests prepare another server just as well.
    """
    threads = [await api.create_thread(thread_id=new_id(), label="prepare") for _ in range(3)]
    runs = []
    for thread in threads[:2]:
        done = await api.wait(thread, "steps", {"note": "prepared"}, label="prepare")
        runs.append(done.run_id)
    await api.wait(threads[2], "echo", ask("prepared"), label="prepare")
    state = await api.state(threads[0], label="prepare")
    checkpoint = state.object.get("checkpoint")
    made = await api.request("POST", "/assistants", json={"graph_id": "steps"}, label="prepare")
    return {
        "thread": threads,
        "run": runs,
        "checkpoint": [str(checkpoint.get("checkpoint_id"))] if isinstance(checkpoint, dict) else [],
        "assistant": [str(made.object.get("assistant_id"))],
    }


def _content(body: Any) -> bytes | None:
    if isinstance(body, bytes):
        return body
    if isinstance(body, schemathesis.core.NotSet):
        return None
    return json.dumps(body).encode()


def _header(value: Any) -> str:
    """As one line of ASCII: what no header can carry is not what is tried here."""
    return "".join(each for each in str(value) if " " <= each <= "~").strip()


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in query.items():
        found += [(name, each) for each in value] if isinstance(value, list) else [(name, value)]
    return found
