"""Faults of authentication and of what keeps the users of one server apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jwt

from runstone.proof.faults.fault import fault
from runstone.proof.faults.seams import Seams
from runstone.reference import (
    api_store,
    execution,
    planning,
    routing,
)
from runstone.reference.bodies import ConfigBody
from runstone.reference.crons import Crons
from runstone.reference.errors import Conflict
from runstone.reference.routing import Call
from runstone.reference.runs import CALLER
from runstone.reference.threads import Threads
from runstone.reference.wire import decode


@fault("AUTH-001", server="embedded-auth")
def signatures_are_not_checked(seams: Seams) -> None:
    """A token is believed without its signature, so that everybody can write one."""

    @seams.around(jwt, "decode")
    def decode(original: Any, token: str, *given: Any, **rest: Any) -> Any:  # noqa: ARG001 - no secret is used
        return original(token, options={"verify_signature": False, "require": ["sub"]})


@fault("AUTH-001", "AUTH-003", server="embedded-auth")
def a_search_needs_no_credentials(seams: Seams) -> None:
    """One route, the search of threads, asks for no credentials and finds what anybody has."""
    seams.put(routing, "_OPEN_PATHS", (*routing._OPEN_PATHS, "/threads/search"))


@fault("AUTH-002", server="embedded-auth")
def states_are_open_to_every_user(seams: Seams) -> None:
    """The state of a thread is read by any user who knows its id."""
    seams.around_operation("GET", "/threads/{thread_id}/state")(_as_anybody)


@fault("AUTH-002", "AUTH-004", "AUTH-005", server="embedded-auth")
def threads_are_found_by_every_user(seams: Seams) -> None:
    """A thread is found by any user who knows its id, with its runs."""

    @seams.around(Threads, "get")
    def get(original: Any, rows: Threads, owner: Any, thread_id: str) -> Any:
        del owner
        return original(rows, None, thread_id)


@fault("AUTH-006", server="embedded-auth")
def the_scope_of_a_token_is_not_read(seams: Seams) -> None:
    """A token that only allows to read allows everything."""

    @seams.around(routing, "_caller")
    def caller(original: Any, *given: Any) -> tuple[Any, bool]:
        return original(*given)[0], False


@fault("AUTH-007", server="embedded-auth")
def a_taken_id_shows_whose_it_is(seams: Seams) -> None:
    """Creating a thread with the id of another user's, with `if_exists` "do_nothing", answers that thread."""

    @seams.around(Threads, "create")
    def create(
        original: Any, rows: Threads, owner: Any, thread_id: Any = None, *rest: Any, **more: Any
    ) -> Any:
        try:
            return original(rows, owner, thread_id, *rest, **more)
        except Conflict:
            if more.get("if_exists") != "do_nothing":
                raise
            return rows.get(None, thread_id)


@fault("AUTH-008", server="embedded-auth")
def a_caller_chooses_who_it_is(seams: Seams) -> None:
    """A caller who sends the configurable value of the identity is taken for that user by the graph."""

    @seams.around(planning, "_config")
    def config(original: Any, call: Call, given: ConfigBody, assistant: Any) -> ConfigBody:
        whole: ConfigBody = original(call, given, assistant)
        whole.configurable.update({key: value for key, value in given.configurable.items() if key == CALLER})
        return whole


@fault("AUTH-009", server="embedded-auth")
def all_users_share_one_store(seams: Seams) -> None:
    """The store is one for all users."""
    for module in (api_store, execution):

        @seams.around(module, "part_of")
        def part_of(original: Any, whole: Any, owner: Any) -> Any:
            del owner
            return original(whole, None)


@fault("AUTH-010", server="embedded-auth")
def info_asks_for_credentials(seams: Seams) -> None:
    """`/info` is closed to those without credentials."""
    seams.put(routing, "_OPEN_PATHS", ("/ok",))


async def _as_anybody(handler: Any, call: Call) -> Any:
    """Answer without asking whose it is."""
    return await handler(replace(call, owner=None))


@fault("ISO-001", server="embedded-auth")
def another_user_copies_prunes_and_reads_checkpoints(seams: Seams) -> None:
    """A thread is copied and pruned, and its state at a checkpoint read, by whoever knows its id."""
    for method, path in (
        ("POST", "/threads/{thread_id}/copy"),
        ("POST", "/threads/prune"),
        ("POST", "/threads/{thread_id}/state/checkpoint"),
    ):
        seams.around_operation(method, path)(_as_anybody)


@fault("ISO-002", server="embedded-auth")
def another_user_cancels_many(seams: Seams) -> None:
    """The runs of another user are cancelled by their ids, with an answer that denies it."""

    async def cancel_many(handler: Any, call: Call) -> Any:
        await _as_anybody(handler, call)
        return await handler(call)

    seams.around_operation("POST", "/runs/cancel")(_cached(cancel_many))


@fault("ISO-003", server="embedded-auth")
def the_versions_of_assistants_are_open(seams: Seams) -> None:
    """The versions of an assistant are listed to every user."""
    seams.around_operation("POST", "/assistants/{assistant_id}/versions")(_as_anybody)


@fault("ISO-004", server="embedded-auth")
def crons_are_those_of_all_users(seams: Seams) -> None:
    """Crons are found, counted, read, changed and deleted by every user."""
    for name in ("get", "search", "count", "delete", "change"):

        @seams.around(Crons, name)
        def reached(original: Any, rows: Any, owner: Any, *given: Any, **rest: Any) -> Any:
            del owner
            return original(rows, None, *given, **rest)


@fault("ISO-005", server="embedded-auth")
def a_count_needs_no_credentials(seams: Seams) -> None:
    """The count of assistants asks for no credentials."""
    seams.put(routing, "_OPEN_PATHS", (*routing._OPEN_PATHS, "/assistants/count"))


@fault("ISO-006", server="embedded-auth")
def a_reader_may_copy(seams: Seams) -> None:
    """A token that only allows to read lets its user copy threads."""
    seams.put(routing, "_QUESTIONS", (*routing._QUESTIONS, "copy"))


def _cached(handler: Any) -> Any:
    """A handler that may read the body of its request twice."""

    async def asked(original: Any, call: Call) -> Any:
        body = await call.request.body()

        class _Again(Call):
            async def body(self, shape: Any) -> Any:
                return decode(body, shape)

        return await handler(original, _Again(call.runtime, call.owner, call.request))

    return asked
