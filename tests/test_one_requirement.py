"""The command that looks whether a requirement is whole: what it says where something is missing."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from runstone.contracts import load_catalogue
from tests import one_requirement
from tests.one_requirement import Incomplete

PROMISE = load_catalogue()["RUN-LIST-001"]


@pytest.mark.slow
def test_a_whole_one_is_found_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_requirement, "_CONTRACT_TESTS", ("test_suites.py",))  # the others run beside it
    code = one_requirement.main("RUN-LIST-001")
    said = capsys.readouterr().out
    assert code == 0, said
    assert "TO DO" not in said
    assert "test_list_holds_the_runs_of_its_thread, 2 cases" in said
    assert "by the-runs-of-every-thread-are-listed" in said


def test_one_that_nobody_promised(capsys: pytest.CaptureFixture[str]) -> None:
    assert one_requirement.main("RUN-LIST-999") == 1
    said = capsys.readouterr().out
    assert "TO DO  promise    there is no requirement 'RUN-LIST-999'" in said
    assert "contracts/requirements/" in said


def test_without_a_judge_its_place_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = subprocess.CompletedProcess[str]([], 5, "444 deselected", "")
    monkeypatch.setattr(one_requirement, "_run", lambda *_: nothing)
    with pytest.raises(Incomplete, match=r'@requirement\("RUN-LIST-001"\) into suites/test_run_list.py'):
        one_requirement._judge(PROMISE)


def test_without_a_fault_its_place_is_named() -> None:
    with pytest.raises(Incomplete, match=r'@fault\("RUN-LIST-001"\) into a file of src/runstone'):
        one_requirement._broken(PROMISE, [])
    optional = msgspec.structs.replace(PROMISE, level="MAY")
    assert one_requirement._broken(optional, []) == "a MAY needs no fault"


def test_what_a_command_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess[str]([], 1, "first\n\nlast\n", "and an error\n")
    monkeypatch.setattr(one_requirement, "_run", lambda *_: failed)
    with pytest.raises(Incomplete) as raised:
        one_requirement._contracts()
    lines = [line.strip() for line in str(raised.value).splitlines()]
    assert lines == ["the tests of the contracts fail", "first", "last", "and an error"]
