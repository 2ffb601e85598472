"""`runstone load` and `soak` from the command line: what they write, and what they refuse in one line."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from runstone.contracts import violations
from runstone.errors import ExitCode, UsageError
from runstone.load import processes
from tests.command_line import one_line_of_error, runstone


@pytest.mark.parametrize(
    "words, told",
    [
        (("load", "--users", "0"), "--users 0: a load needs at least one"),
        (("load", "--rate", "0/s"), "is not a rate above 0"),
        (("load", "--for", "soon"), "is not a time"),
        (("load", "--mix", "wayt=1"), "did you mean wait?"),
        (("load", "--processes", "0"), "leaves nobody to work"),
        (("load", "--processes", "4", "--users", "2"), "each of the 4 workers needs one"),
        (("load", "--expect-workers", "0"), "say how many come"),
        (("load", "--worker"), "say where it is: --master HOST"),
        (("load", "--master", "there"), "give --worker too"),
        (("load", "embedded", "--worker", "--master", "there"), "has the target from its master"),
        (("load", "--worker", "--master", "there:door"), "'door' is not a port"),
        (("load", "--proxy", "http://127.0.0.1:3128"), "leave out --proxy"),
        (("soak", "--for", "0h"), "is not a time"),
    ],
)
def test_a_wrong_call_is_one_line(words: tuple[str, ...], told: str) -> None:
    done = runstone(*words)
    assert done.returncode == ExitCode.USAGE
    assert told in one_line_of_error(done)


def test_a_closed_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = runstone("load", f"http://127.0.0.1:{port}", "--out", str(tmp_path))
    assert done.returncode == ExitCode.UNREACHABLE
    assert "does not answer" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_master_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(processes.MasterUnreachable, match=f"no master listens on 127.0.0.1:{port}") as caught:
        processes.await_master("127.0.0.1", port, 0.0)
    assert caught.value.exit_code == ExitCode.UNREACHABLE


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"no master can listen on port {port}"):
            processes.insist_on_port("127.0.0.1", port)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "find_spec", lambda _: None)
    with pytest.raises(processes.ExtraMissing, match=r"pip install 'runstone\[load\]'"):
        processes.insist_on_packages()


@pytest.mark.slow
def test_a_short_load_of_two_processes_keeps_everything(tmp_path: Path) -> None:
    done = runstone(
        *("load", "embedded", "--users", "8", "--rate", "6/s", "--for", "6s", "--processes", "2"),
        *("--window", "1s", "--out", str(tmp_path)),
    )
    assert done.returncode == ExitCode.CONFORMING, done.stdout + done.stderr
    load = json.loads((tmp_path / "load.json").read_bytes())
    assert violations("load", load) == []
    assert load["outcome"] == {"kind": "whole", "reason": "", "broken": [], "kept": True}
    counts = load["counts"].values()
    assert sum(each["starts"] for each in counts) == 36
    issued = sum(each["issued"] for each in counts)
    assert issued == load["issued"]["count"] == sum(each["ended"] + each["cancelled"] for each in counts)
    assert load["issued"] == load["settled"]
    assert [each["starts"] for each in load["workers"]] == [18, 18]
    assert load["left"] == []
    kept = {each["id"] for each in load["invariants"] if each["kept"]}
    assert kept >= {f"LOAD-10{number}" for number in (1, 2, 3, 5, 6, 7)}
    assert 0 < len(load["samples"]) <= 20
    again = runstone("judge", str(tmp_path))
    assert again.returncode == ExitCode.CONFORMING, again.stdout + again.stderr
