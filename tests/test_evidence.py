"""The evidence folder: what is written is read again, and whatever was changed since is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone.contracts.basis import Basis
from runstone.session.evidence import FORMAT, EvidenceError, EvidenceWriter, Manifest, read, read_manifest
from runstone.target.capabilities import Capability
from runstone.target.target import RunTimeLimit
from runstone.wire.exchange import Exchange
from runstone.wire.trace import Trace

BASIS = Basis(
    revision="2026.11", catalogue="1" * 64, suites="2" * 64, graphs={"python": "3" * 64}, judging="4" * 64
)


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "format": FORMAT,
        "runstone": "0.1.0",
        "profile": "langgraph",
        "target": "here",
        "url": "http://127.0.0.1:1",
        "started_at": "2026-11-21T07:44:00+00:00",
    }
    return Manifest(**{**fields, **changes})


def trace(name: str, content: str = "{}") -> Trace:
    exchange = Exchange(
        scenario=name,
        number=1,
        label="it",
        method="GET",
        url="http://h/x",
        sent_at=0.5,
        code=200,
        content=content,
    )
    return Trace(scenario=name, exchanges=(exchange,), notes={"a": [1, None]}, blocked={"p": "why"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Evidence of two scenarios, whole."""
    writer = EvidenceWriter(tmp_path / "evidence", manifest())
    writer.add(trace("one"))
    writer.add(trace("two", "\x00\u2028 ä"))
    writer.save(complete=True)
    return tmp_path / "evidence"


def test_a_trace_is_answered_as_it_was_written(tmp_path: Path) -> None:
    observed = trace("one", '{"a": "ä"}')
    assert observed.it.json == {"a": "ä"}
    written = EvidenceWriter(tmp_path / "evidence", manifest()).add(observed)
    assert written == observed
    assert written.it is not observed.it


def test_what_is_written_is_read(folder: Path) -> None:
    found, traces = read(folder)
    assert traces == {"one": trace("one"), "two": trace("two", "\x00\u2028 ä")}
    assert found.complete
    assert sorted(found.files) == ["traces/one.json", "traces/two.json"]


def test_every_field_of_the_manifest_survives(tmp_path: Path) -> None:
    whole = manifest(
        session="s",
        server="x 1",
        observe_s=1.5,
        turn_s=0.1,
        quick=True,
        complete=True,
        stopped="early",
        unusable="unfit",
        capabilities={"crons": Capability(declared=True, probed=None)},
        run_time_limit=RunTimeLimit(assistant="slow", seconds=2.0),
        crashed={"one": "Traceback"},
        basis=BASIS,
        areas=("run-wait", "sse"),
        select=("RUN-*",),
    )
    EvidenceWriter(tmp_path, whole)
    assert read_manifest(tmp_path) == whole


def test_an_earlier_observation_is_removed(folder: Path) -> None:
    writer = EvidenceWriter(folder, manifest())
    writer.add(trace("three"))
    writer.save(complete=True)
    assert list(read(folder)[1]) == ["three"]


def test_evidence_of_format_1_is_read_and_names_no_contract(folder: Path) -> None:
    document = json.loads((folder / "manifest.json").read_bytes())
    for name in ("basis", "areas", "select"):
        del document[name]
    (folder / "manifest.json").write_text(json.dumps({**document, "format": 1}), "utf-8")
    found, traces = read(folder)
    assert (found.basis, found.of_a_part, len(traces)) == (None, "", 2)


def test_a_manifest_tells_by_what_it_was_filtered() -> None:
    asked = manifest(areas=("run-wait", "sse"), select=("RUN-*",))
    assert asked.of_a_part == " (only --area run-wait --area sse --select RUN-* was observed)"


# --- what is refused ---------------------------------------------------------------------------------------


def alter(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"200", b"201"))


def add_a_trace(folder: Path) -> None:
    (folder / "traces/three.json").write_bytes((folder / "traces/one.json").read_bytes())


def swap(folder: Path) -> None:
    one, two = folder / "traces/one.json", folder / "traces/two.json"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def claim_of_an_odd_trace(folder: Path) -> None:
    """A file that is not a trace, vouched for by the manifest."""
    import hashlib

    content = b'{"scenario": 7}'
    (folder / "traces/one.json").write_bytes(content)
    files = read_manifest(folder).files | {"traces/one.json": hashlib.sha256(content).hexdigest()}
    rewrite(folder, files=files)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered byte": (lambda folder: alter(folder / "traces/one.json"), "one.json does not have the SHA-256"),
    "truncated trace": (lambda folder: os.truncate(folder / "traces/two.json", 40), "SHA-256"),
    "swapped": (swap, "SHA-256"),
    "missing trace": (lambda folder: (folder / "traces/one.json").unlink(), "one.json is missing"),
    "extra trace": (add_a_trace, "three.json is not in the manifest"),
    "no trace": (claim_of_an_odd_trace, "one.json is not a trace"),
    "other format": (
        lambda folder: rewrite(folder, format=99),
        "of evidence format 99, this Runstone reads up to 2",
    ),
    "format of no number": (lambda folder: rewrite(folder, format="1"), "damaged"),
    "unknown member": (lambda folder: rewrite(folder, extra=1), "damaged"),
    "truncated manifest": (lambda folder: os.truncate(folder / "manifest.json", 100), "damaged"),
    "empty manifest": (lambda folder: os.truncate(folder / "manifest.json", 0), "damaged"),
    "manifest of no UTF-8": (
        lambda folder: (folder / "manifest.json").write_bytes(b'{"format":1,"x":"\xff"}'),
        "damaged",
    ),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "is not an evidence folder"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_evidence_is_refused_with_one_line(name: str, folder: Path) -> None:
    damage, said = DAMAGE[name]
    damage(folder)
    with pytest.raises(EvidenceError, match=said) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_newer_format_is_recognised_before_its_other_members(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 3, "everything": "else"}', "utf-8")
    with pytest.raises(EvidenceError, match="format 3"):
        read(folder)


def test_a_folder_that_is_not_there_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "file"):
        with pytest.raises(EvidenceError, match="is not an evidence folder"):
            read(path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(EvidenceError, match=r"cannot write evidence to .*; use --out DIR"):
        EvidenceWriter(tmp_path / "file" / "evidence", manifest())


# --- a run that is broken off ------------------------------------------------------------------------------


def test_what_was_observed_before_the_end_is_readable(tmp_path: Path) -> None:
    writer = EvidenceWriter(tmp_path, manifest(stopped="broken off"))
    assert read(tmp_path) == (writer.manifest, {})
    writer.add(trace("one"))
    found, traces = read(tmp_path)
    assert list(traces) == ["one"]
    assert (found.complete, found.stopped) == (False, "broken off")


def test_a_trace_that_the_manifest_had_no_time_to_name_is_not_read(tmp_path: Path) -> None:
    writer = EvidenceWriter(tmp_path, manifest())
    writer.add(trace("one"))
    (tmp_path / "traces/two.json").write_text("{half", "utf-8")
    (tmp_path / "traces/three.tmp").write_text("{half", "utf-8")
    assert list(read(tmp_path)[1]) == ["one"]


KILLED_WHILE_WRITING = """
import sys
from pathlib import Path
from runstone.session.evidence import EvidenceWriter, FORMAT, Manifest
from runstone.wire.trace import Trace
about = {"format": FORMAT, "runstone": "0", "profile": "p", "target": "t", "url": "u", "started_at": "now"}
writer = EvidenceWriter(Path(sys.argv[1]), Manifest(**about, stopped="broken off"))
number = 0
while True:
    number += 1
    writer.add(Trace(scenario=f"s{number}", notes={"x": "y" * 100_000}))
    if number == 20:
        print("twenty", flush=True)
"""


def test_a_killed_process_leaves_a_readable_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "twenty\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    found, traces = read(tmp_path)
    assert len(traces) >= 20
    assert not found.complete
    assert found.stopped == "broken off"
