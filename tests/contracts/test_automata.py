"""The automata of statuses, and the grammar of streams."""

from __future__ import annotations

from itertools import product

import pytest

from runstone.contracts import (
    Automaton,
    lifecycle,
    schema_names,
    stream_grammar,
)
from tests.contracts.reading import SCHEMAS, by_automaton, read


@by_automaton
def test_automaton_is_closed(automaton: Automaton) -> None:
    assert automaton.initial in automaton.statuses
    assert automaton.terminal <= automaton.statuses
    for after in [*automaton.transitions.values(), *automaton.retry.values()]:
        assert after <= automaton.statuses


@by_automaton
def test_terminal_statuses_have_no_way_out(automaton: Automaton) -> None:
    for status in automaton.statuses:
        assert (status in automaton.terminal) == (not automaton.transitions[status])
        assert not (status in automaton.terminal and automaton.retry.get(status))
    for before, after in product(automaton.terminal, automaton.statuses - automaton.terminal):
        assert not automaton.may_show(before, after, retried=True)


@by_automaton
def test_every_status_can_be_reached(automaton: Automaton) -> None:
    assert all(automaton.may_show(automaton.initial, status) for status in automaton.statuses)


@pytest.mark.parametrize(
    "seen, illegal",
    [
        (["pending", "running", "success"], None),
        (["pending", "pending", "success"], None),
        (["error"], None),
        ([], None),
        (["running", "pending"], ("running", "pending")),
        (["success", "error"], ("success", "error")),
        (["pending", "interrupted", "running"], ("interrupted", "running")),
        (["pending", "done"], ("pending", "done")),
        (["done"], ("pending", "done")),
    ],
)
def test_polled_statuses(seen: list[str], illegal: tuple[str, str] | None) -> None:
    assert lifecycle().runs.first_illegal(seen) == illegal


def test_way_back_is_legal_after_a_retry_only() -> None:
    runs = lifecycle().runs
    assert runs.may_show("running", "pending", retried=True)
    assert not runs.may_show("running", "pending")
    assert not runs.may_show("success", "pending", retried=True)


@pytest.mark.parametrize("resource, automaton", [("run", lifecycle().runs), ("thread", lifecycle().threads)])
def test_automaton_and_schema_know_the_same_statuses(resource: str, automaton: Automaton) -> None:
    assert set(read(SCHEMAS / f"{resource}.json")["properties"]["status"]["enum"]) == automaton.statuses


def test_grammar_speaks_of_schemas_that_exist() -> None:
    grammar = stream_grammar()
    named = {*grammar.schemas.values(), *grammar.unrequested.values()} - {None}
    assert named <= set(schema_names())
    assert set(grammar.unrequested) <= {name for mode in grammar.modes.values() for name in mode.events}
    for closing in grammar.closing.values():
        assert set(closing.then) <= set(grammar.closing)


@pytest.mark.parametrize(
    "name, modes, subgraphs, allowed",
    [
        ("metadata", ["values"], False, True),
        ("error", ["custom"], False, True),
        ("end", [], False, True),
        ("values", ["values", "updates"], False, True),
        ("values", ["updates"], False, False),
        ("messages", ["messages-tuple"], False, True),
        ("messages", ["messages"], False, False),
        ("messages/partial", ["messages"], False, True),
        ("values|child:8d8f3b7e-33d5-0c4e-0d5e-6f0c2f1d6a52", ["values"], True, True),
        ("values|child:8d8f3b7e-33d5-0c4e-0d5e-6f0c2f1d6a52|inner:1", ["values"], True, True),
        ("values|child:8d8f3b7e-33d5-0c4e-0d5e-6f0c2f1d6a52", ["values"], False, False),
        ("values|", ["values"], True, False),
        ("metadata|child", ["values"], True, False),
        ("events|child", ["events"], True, False),
        ("tools", ["values"], True, False),
    ],
)
def test_allowed_events(name: str, modes: list[str], *, subgraphs: bool, allowed: bool) -> None:
    assert stream_grammar().is_allowed(name, modes, subgraphs=subgraphs) is allowed


@pytest.mark.parametrize(
    "before, after, legal",
    [
        ("metadata", "values", True),
        ("values", "values", True),
        ("values", "metadata", False),
        ("values", "error", True),
        ("error", "end", True),
        ("error", "values", False),
        ("error", "error", False),
        ("end", "end", False),
        ("end", "error", False),
    ],
)
def test_order_of_events(before: str, after: str, *, legal: bool) -> None:
    assert stream_grammar().may_follow(before, after) is legal


@pytest.mark.parametrize(
    "name, schema",
    [
        ("values", "stream-values"),
        ("updates|child:1|inner:2", "stream-updates"),
        ("messages", "stream-message-tuple"),
        ("error", "stream-error"),
        ("custom", None),
        ("tools", None),
    ],
)
def test_schema_of_an_event(name: str, schema: str | None) -> None:
    assert stream_grammar().schema_of(name) == schema
