"""`runstone load` and `soak` from the command line: what they write, and what they refuse in one line."""

from __future__ import annotations

import json
import queue
import signal
import socket
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from runstone.cli import loading
from runstone.cli.loading import Words
from runstone.contracts import violations
from runstone.errors import ExitCode, UsageError
from runstone.load import processes
from runstone.load.messages import Acknowledged, Message
from tests.command_line import command, one_line_of_error, runstone, started


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
        (("load", "--proxy", "https://127.0.0.1:3128"), "by plain HTTP proxies only"),
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


class Worked:
    """Workers of another machine's load that have ended, and what they told before."""

    any_alive = False

    def __init__(self, *told: Message) -> None:
        self.told: queue.Queue[Message] = queue.Queue()
        self.started = 0
        for each in told:
            self.told.put(each)

    def start_worker(self, *_: object) -> None:
        self.started += 1

    def sealed(self) -> None:
        pass

    def wait(self, _: float) -> None:
        pass


def work_of(worked: Worked, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(processes, "processes", lambda _: nullcontext(worked))
    monkeypatch.setattr(processes, "await_master", lambda *_: None)
    monkeypatch.setattr(loading, "_LOOK_S", 0.01)
    plan = {
        "users": 1,
        "rate": "1/s",
        "for_words": "1s",
        "mix_words": None,
        "expect_workers": None,
        "seed": 0,
    }
    rest = {"drain_words": "1s", "window_words": None, "soak": False, "keep_going": False, "port": None}
    return loading.work(Words(worker=True, master="there", processes=2, **plan, **rest))  # type: ignore[arg-type]


def test_a_machine_has_worked_when_the_master_has_what_each_of_its_processes_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked = Worked(Acknowledged(id="a"), Acknowledged(id="b"))
    assert work_of(worked, monkeypatch) == ExitCode.CONFORMING
    assert worked.started == 2


def test_a_machine_whose_master_goes_away_has_not_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(processes.GeneratorFailed, match="master on there:5557 went away") as caught:
        work_of(Worked(Acknowledged(id="a")), monkeypatch)
    assert caught.value.exit_code == ExitCode.HARNESS_ERROR


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


@pytest.mark.slow
def test_a_soak_that_is_interrupted_is_drained_judged_and_cleaned_up(tmp_path: Path) -> None:
    words = ("--users", "4", "--rate", "3/s", "--for", "1h", "--window", "1s", "--out", str(tmp_path))
    windows = tmp_path / "load.jsonl"
    with started(command, "soak", "embedded", *words) as soak:
        until = time.monotonic() + 90
        while time.monotonic() < until and (not windows.exists() or windows.read_bytes().count(b"\n") < 2):
            time.sleep(0.1)
        soak.send_signal(signal.SIGINT)
        assert soak.wait(90) == ExitCode.INTERRUPTED, soak.complained
    load = json.loads((tmp_path / "load.json").read_bytes())
    assert violations("load", load) == []
    assert load["stopped"].startswith("interrupted after")
    assert load["outcome"]["kept"]
    assert load["outcome"]["broken"] == []
    assert sum(each["starts"] for each in load["counts"].values()) > 0
    assert load["issued"] == load["settled"]
    assert load["left"] == []
    told = [json.loads(line) for line in windows.read_text("utf-8").splitlines()]
    assert told == load["windows"]
