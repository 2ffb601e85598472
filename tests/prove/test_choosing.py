"""What a proof checks, and what the command refuses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from runstone.cli import cli
from runstone.contracts import (
    load_capabilities,
    load_catalogue,
    violations,
)
from runstone.errors import UsageError
from runstone.proof.faults import load_faults, load_variants
from runstone.proof.prove import proving
from runstone.proof.prove.matrix import Matrix
from runstone.proof.prove.null_servers import BOASTFUL, LIARS, NULL_SERVERS
from runstone.proof.prove.planning import together
from tests.command_line import runstone


def test_null_servers_are_complete_and_claim_every_capability() -> None:
    names = {each.name for each in NULL_SERVERS}
    assert {"closed", "silent", "empty object", "empty array", "500", "html", "echo", "heartbeats"} <= names
    assert {"truncating", *LIARS} <= names
    of_observer = {"python_sdk", "node_sdk"}
    by_graphs = {"conformance_graphs", "error_outcome", "interrupt_outcome"}
    by_commands = {"restart", "kill"}
    unsaid = [name for name in load_capabilities() if name not in BOASTFUL]
    assert set(unsaid) == of_observer | by_graphs | by_commands


def test_a_partial_proof_chooses_by_globs() -> None:
    partial = proving.Selection(out=Path("x"), faults=("wait-only-*",))
    assert [each.name for each in partial.chosen(partial.faults, load_faults())] == [
        "wait-only-stores-the-input"
    ]
    assert partial.chosen(partial.variants, load_variants()) == []
    everything = proving.Selection(out=Path("x"))
    assert len(everything.chosen((), load_faults())) == len(load_faults())


def test_few_servers_have_all_variants_and_none_two_of_one_part() -> None:
    servers = together(load_variants().values())
    shared = Counter(each.name for server in servers for each in server)
    assert shared == Counter(load_variants().keys())
    parts = [[each.part for each in server] for server in servers]
    assert all(len(set(each)) == len(each) and all(each) for each in parts)
    assert len(servers) == max(Counter(each.part for each in load_variants().values()).values())


def test_what_only_a_load_shows_is_no_part_of_a_proof() -> None:
    with pytest.raises(UsageError, match="shown by no check: `runstone serve --fault one-run-in-500-is-"):
        proving.of_checks(("one-run-in-500-*",), load_faults())
    shown = proving.of_checks((), load_faults())
    assert 0 < len(shown) < len(load_faults())
    breaking = {id for each in load_faults().values() for id in each.breaks}  # noqa: A001 - the catalogue's name
    assert load_catalogue().of_loads.keys() <= breaking


@pytest.mark.parametrize(
    "words, said",
    [
        (["--fault", "no-such-*"], "no fault matches 'no-such-*'"),
        (["--variant", "no-such-*"], "no variant matches 'no-such-*'"),
        (["--fault", "wait-*", "--publish", "published"], "--publish takes a whole proof"),
        (["--narrow", "--publish", "published"], "--publish takes a whole proof"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_runs(words: list[str], said: str, tmp_path: Path) -> None:
    called = CliRunner().invoke(cli, ["prove", *words, "--out", str(tmp_path / "out")])
    assert said in str(called.exception)
    assert not (tmp_path / "out").exists()


def test_a_fault_is_proved_to_be_caught(tmp_path: Path) -> None:
    done = runstone("prove", "--fault", "health-is-a-status-text", "--out", str(tmp_path))
    text = (tmp_path / "kill-matrix.json").read_text("utf-8")
    found = msgspec.json.decode(text, type=Matrix)
    assert violations("kill-matrix", json.loads(text)) == []
    assert (done.returncode, found.uncaught, found.complete) == (0, [], False), done.stdout + done.stderr
    assert {"META-001"} <= {hit.id for hit in found.faults[0].hits}
    assert "proved" in done.stdout
    kept = tmp_path / "faults" / "health-is-a-status-text"
    assert {"report.json", "evidence"} <= {each.name for each in kept.iterdir()}
    assert not (kept / "report.html").exists()
