"""What cannot be run."""

from __future__ import annotations

import pytest

from tests.plugin.bench import HANGING, SUITE, Bench


@pytest.mark.parametrize(
    "options, said",
    [
        (["--target", "ftp://host"], "is not a URL"),
        (["--header", "no colon"], "header number 1 has no 'Name: value' form"),
        (["--profile", "nonsense"], "there is no profile 'nonsense'"),
        (["--area", "nonsense"], "nonsense"),
        (["--select", "NOTHING-*"], "NOTHING-*"),
        (["--waivers", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--concurrency", "0"], "--concurrency '0': expected `int` >= 1"),
        (["--fail-on", "may"], "--fail-on 'may': expected must or should"),
        (["--evidence", "nowhere"], "is not an evidence folder"),
    ],
)
def test_a_call_that_makes_no_sense_is_2_and_one_line(options: list[str], said: str, bench: Bench) -> None:
    done = bench.run(*options)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if said in line]
    assert len(lines) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not bench.server.requests


def test_no_target_at_all_is_2(bench: Bench) -> None:
    for workers in ([], ["-n", "2"]):
        done = bench.run(*workers, target=False)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "no target: give --target URL" in done.stdout + done.stderr


def test_collecting_needs_no_target(bench: Bench) -> None:
    done = bench.run("--collect-only", "-q", target=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_parity[success-wait]" in done.stdout


def test_an_unknown_requirement_in_a_suite_is_named(bench: Bench) -> None:
    bench.write("test_odd.py", SUITE.replace("META-001", "META-999"))
    done = bench.run()
    assert done.returncode == 4, done.stdout
    assert "test_odd.py::test_ok: there is no requirement 'META-999'; did you mean META-" in done.stdout
    assert not bench.server.requests


def test_a_judge_that_cannot_be_called_is_named(bench: Bench) -> None:
    bench.write("test_odd.py", SUITE.replace("(life: Trace)", "(live: Trace)"))
    done = bench.run()
    assert done.returncode == 4, done.stdout
    assert "asks for 'live', which is not a scenario" in done.stdout
    assert not bench.server.requests


def test_a_suite_that_cannot_be_imported_is_4_and_nothing_is_observed(bench: Bench) -> None:
    bench.write("test_odd.py", "import no_such_module")
    done = bench.run()
    assert done.returncode == 4, done.stdout
    assert "no_such_module" in done.stdout
    assert not bench.server.requests


def test_a_target_that_cannot_be_judged_is_3_and_nothing_passes(bench: Bench) -> None:
    done = bench.run("--target", "http://127.0.0.1:9")
    assert done.returncode == 3, done.stdout
    assert set(bench.verdicts().values()) == {"not-run"}
    assert "does not answer" in bench.report()["stopped"]


def test_a_budget_that_is_used_up_is_not_conforming(bench: Bench) -> None:
    for path in bench.suites.iterdir():
        path.unlink()
    bench.write("test_hanging.py", HANGING)
    done = bench.run("--budget", "5")
    assert done.returncode == 1, done.stdout
    found = bench.report()
    assert "the budget of 5 s was used up" in found["stopped"]
    assert not found["complete"]
    assert {name: bench.verdicts()[name] for name in ("META-001", "META-002", "MON-001")} == {
        "META-001": "pass",
        "META-002": "not-run",
        "MON-001": "not-run",
    }
