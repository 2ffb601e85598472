"""Browsers: what a page of another origin may ask, of every operation of the API."""

from __future__ import annotations

import asyncio

from runstone.suite import (
    Api,
    Exchange,
    Missing,
    Schedule,
    Trace,
    browser_table,
    cases,
    new_id,
    requirement,
    scenario,
    shown,
)

TABLE = browser_table()
OPERATIONS = {each.name: each for each in TABLE.asked}
ANSWERS = ("found", "missing", "refused")


@scenario(Schedule(thorough=True), agent=True)
async def preflights(api: Api) -> None:
    """A preflight of each operation, on ids that nobody has."""

    async def preflight(name: str) -> None:
        operation = OPERATIONS[name]
        path = operation.path
        for placeholder in operation.placeholders:
            path = path.replace("{" + placeholder + "}", new_id())
        headers = {
            "origin": TABLE.origin,
            "access-control-request-method": operation.method,
            "access-control-request-headers": ",".join(TABLE.headers),
        }
        await api.request("OPTIONS", path, headers=headers, label=name)

    async with asyncio.TaskGroup() as asking:
        for name in OPERATIONS:
            asking.create_task(preflight(name))


@scenario(agent=True)
async def answers_to_another_origin(api: Api) -> None:
    """A request that is answered, one for what is not there, and one that is not understood."""
    headers = {"origin": TABLE.origin}
    nobodys = {"limit": 1, "metadata": {"mark": new_id()}}  # of the threads of others it is to show none
    await api.request("POST", "/threads/search", json=nobodys, headers=headers, label="found")
    await api.request("GET", f"/threads/{new_id()}", headers=headers, label="missing")
    await api.request("POST", "/threads/search", json={"limit": "x"}, headers=headers, label="refused")


def _listed(answer: Exchange, header: str) -> set[str]:
    return {each.strip().lower() for each in answer.headers.get(header, "").split(",")}


def _demand_allowed(answer: Exchange) -> None:
    allowed = _listed(answer, "access-control-allow-origin")
    assert not allowed.isdisjoint({"*", TABLE.origin}), (
        f"wanted the origin allowed, got {shown(sorted(allowed))}"
    )


def _demand_served(trace: Trace) -> None:
    """Demand that the server tells what is there from what is not: else silence would keep the promise."""
    assert isinstance(trace.only("found").ok.json, list), "wanted a list of what is there"
    if trace.only("missing").status != 404:
        raise Missing(f"{trace.only('missing').where} answered {trace.only('missing').status}, not 404")


@requirement("CORS-001")
@cases("name", OPERATIONS)
def test_preflight_allows_the_operation(
    name: str, preflights: Trace, answers_to_another_origin: Trace
) -> None:
    _demand_served(answers_to_another_origin)
    answer, method = preflights.only(name).whole, OPERATIONS[name].method
    assert 200 <= answer.status < 300, f"wanted a 2xx, got {answer.status}"
    _demand_allowed(answer)
    methods = _listed(answer, "access-control-allow-methods")
    assert methods & {"*", method.lower()}, f"wanted {method} allowed, got {sorted(methods)}"
    allowed = _listed(answer, "access-control-allow-headers")
    # `*` does not stand for authorization (Fetch, section 3.3.3).
    lacking = [
        each
        for each in TABLE.headers
        if each not in allowed and (each == "authorization" or "*" not in allowed)
    ]
    assert not lacking, f"wanted the headers {lacking} allowed, got {sorted(allowed)}"


@requirement("CORS-002")
@cases("label", ANSWERS)
def test_answer_allows_the_origin(label: str, answers_to_another_origin: Trace) -> None:
    _demand_served(answers_to_another_origin)
    answer = answers_to_another_origin.only(label)
    if answer.status >= 500:
        raise Missing(f"{answer.where} answered {answer.status}")
    _demand_allowed(answer)


@requirement("CORS-003")
@cases("label", ANSWERS)
def test_credentials_are_for_no_origin(label: str, answers_to_another_origin: Trace) -> None:
    _demand_served(answers_to_another_origin)
    answer = answers_to_another_origin.only(label)
    with_credentials = "true" in _listed(answer, "access-control-allow-credentials")
    assert not with_credentials, f"credentials are allowed to the unknown origin {TABLE.origin}"
