"""The workers of pytest -n, and Allure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.plugin.bench import CRASHING, VERDICTS, Bench

# --- pytest -n ---------------------------------------------------------------------------------------------


def test_two_workers_give_the_same_verdicts_and_observe_once(bench: Bench) -> None:
    bench.run()
    alone, requests = bench.report(), bench.server.requests.copy()
    bench.server.requests.clear()
    shutil.rmtree(bench.out)
    done = bench.run("-n", "2")
    assert done.returncode == 1, done.stdout
    assert bench.verdicts() == VERDICTS
    assert bench.report()["totals"] == alone["totals"]
    assert bench.report()["grid"] == alone["grid"]
    assert bench.server.requests == requests
    assert requests["GET /counted"] == 1


def test_the_judging_is_spread_over_the_workers(bench: Bench) -> None:
    bench.run()
    alone = bench.report()["verdicts"]
    done = bench.run("-n", "2", "-v")
    assert [name for name in ("[gw0]", "[gw1]") if name not in done.stdout] == []
    verdicts = [[(each["id"], case["case"], case["verdict"]) for case in each["cases"]] for each in alone]
    spread = bench.report()["verdicts"]
    assert verdicts == [
        [(each["id"], case["case"], case["verdict"]) for case in each["cases"]] for each in spread
    ]


def test_two_workers_end_as_one_does_where_nothing_answers(bench: Bench) -> None:
    done = bench.run("-n", "2", "--target", "http://127.0.0.1:9", target=False)  # the port "discard"
    assert done.returncode == 3, done.stdout
    assert set(bench.verdicts().values()) == {"not-run"}


def test_two_workers_and_an_earlier_report_in_the_same_folder(bench: Bench) -> None:
    bench.run("-n", "2")
    bench.server.requests.clear()
    bench.run("-n", "2")
    assert bench.server.requests["GET /counted"] == 1  # observed anew, not taken from the earlier session
    assert bench.verdicts() == VERDICTS


def test_two_workers_need_no_target_for_tests_without_a_requirement(bench: Bench) -> None:
    bench.write("test_small.py", "def test_of_somebody_else() -> None:\n    assert True\n")
    done = bench.run("-n", "2", target=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert not bench.out.exists()


def test_two_workers_tell_what_was_left_out(bench: Bench) -> None:
    bench.run("-n", "2", "--quick")
    assert bench.verdicts() == VERDICTS | {"RUN-WAIT-004": "not-run"}
    assert "patient must wait 6 s" in bench.cases("RUN-WAIT-004")[0]["reason"]


# --- Allure ------------------------------------------------------------------------------------------------


def allure_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Result by requirement, its labels by name."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob("*-result.json")]
    for each in found:
        each["label"] = {label["name"]: label["value"] for label in each["labels"]}
    return {each["label"]["requirement"]: each for each in found if each["name"] != "META-006[stream]"}


def test_allure_results_carry_the_requirement_and_its_exchanges(bench: Bench) -> None:
    bench.write("test_crash.py", CRASHING)
    folder = bench.folder / "allure"
    done = bench.run("--alluredir", str(folder))
    assert done.returncode == 4, done.stdout
    results = allure_results(folder)
    assert set(results) == {*VERDICTS, "THR-GET-001"}
    broken = results["RUN-WAIT-001"]
    assert (
        broken["label"] | {"requirement": "RUN-WAIT-001", "level": "MUST", "story": "run-wait"}
        == broken["label"]
    )
    assert (broken["label"]["severity"], broken["label"]["verdict"]) == ("critical", "fail")
    assert broken["description"].startswith("POST ")
    assert broken["statusDetails"]["trace"].startswith("promised  RUN-WAIT-001 (MUST): ")
    assert results["META-006"]["name"] == "META-006[wait]"
    statuses = {name: each["status"] for name, each in results.items()}
    assert statuses["META-001"] == "passed"
    assert statuses["RUN-WAIT-001"] == "failed"
    assert statuses["META-002"] == statuses["META-004"] == "skipped"
    assert statuses["THR-GET-001"] in {"failed", "broken"}
    (proof,) = broken["attachments"]
    assert proof["name"] == "turn#2"
    text = (folder / proof["source"]).read_text("utf-8")
    assert text.startswith(f"curl -sS -i -X POST {bench.url}/threads/")
    assert "HTTP 200" in text
    assert "content-type: application/json" in text
    assert '"content":"hi"' in text


def test_without_allure_nothing_is_written_for_it(bench: Bench) -> None:
    bench.run("--select", "META-001")
    assert not list(bench.folder.rglob("*-result.json"))
