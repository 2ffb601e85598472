"""Shards: every scenario in exactly one of them, and merged they say what one observation of all says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runstone.compare.sides import open_sides
from runstone.contracts import load_profile
from runstone.errors import ExitCode
from runstone.judge.suites import judge, observe_shard
from runstone.report import from_json
from runstone.scenario.shard import Shard
from runstone.session import evidence
from runstone.session.merging import UnfitShards, merge
from runstone.session.opening import open_session
from runstone.session.options import given
from runstone.session.session import Session
from runstone.session.settings import Settings
from runstone.signoff.acceptance import unfit
from runstone.signoff.measure import installed
from runstone.target.target import Target
from tests.command_line import one_line_of_error, runstone
from tests.honest import uvicorn_serving
from tests.signoff import tiny

# --- the division -------------------------------------------------------------------------------------------


def test_shards_of_one_target_do_not_overwrite_each_other() -> None:
    session = open_session(given(target_name="http://127.0.0.1:1", shard=Shard("2/4")), lambda *_: None)
    assert session.settings.out == Path("reports/out/127.0.0.1-1/shard-2-of-4")


# --- shards of a tiny observation --------------------------------------------------------------------------


def observe(out: Path, url: str, shard: str, **settings: Any) -> None:
    wanted = {"patient": True, "confirm": 0, **settings}
    target = Target(name=wanted.pop("name", "tiny"), url=url)
    profile = load_profile("langgraph")
    session = Session(Settings(profile=profile, target=target, out=out, shard=Shard(shard), **wanted), quiet)
    observe_shard(session)


def quiet(*_: object) -> None:
    """Say nothing of how it goes."""


class Shards:
    """Two shards of the tiny house in folders that a test may change, and the whole in a third."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.both = [root / "s1", root / "s2"]

    def change(self, number: int, **fields: Any) -> None:
        """Change what the manifest of a shard says."""
        path = self.both[number - 1] / "evidence/manifest.json"
        manifest = json.loads(path.read_bytes())
        path.write_text(json.dumps(manifest | fields), "utf-8")

    def manifest(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.both[number - 1] / "evidence/manifest.json").read_bytes())
        return found

    def unfit(self, *folders: Path, **options: bool) -> list[str]:
        """Why these cannot be merged."""
        with pytest.raises(UnfitShards) as refused:
            merge(folders or self.both, self.root / "merged", **options)
        assert not (self.root / "merged").exists()
        return list(refused.value.reasons)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("shards")
    server = tiny.Server()
    server.wait_is_wrong = True
    with tiny.House(root / "house").installed(), uvicorn_serving(server) as url:
        observe(root / "s1", url, "1/2", confirm=1)
        observe(root / "s2", url, "2/2", confirm=1)
        tiny.observe(root / "whole", server, confirm=1)
        yield root


@pytest.fixture
def shards(recorded: Path, tmp_path: Path) -> Shards:
    for name in ("s1", "s2", "whole"):
        shutil.copytree(recorded / name, tmp_path / name)
    return Shards(tmp_path)


def cases(report: Path) -> dict[tuple[str, str], str]:
    found = from_json(report.read_bytes())
    return {(each.id, case.case): case.verdict for each in found.verdicts for case in each.cases}


def test_merged_shards_say_what_one_observation_says(shards: Shards) -> None:
    written = merge(shards.both, shards.root / "merged")
    found = judge(open_session(given(evidence=written, out=shards.root / "merged"), quiet))
    assert cases(shards.root / "merged/report.json") == cases(shards.root / "whole/report.json")
    assert found.exit_code == ExitCode.NOT_CONFORMING
    assert found.complete
    broken = next(each for each in found.verdicts if each.id == "RUN-WAIT-001")
    assert (broken.verdict, broken.cases[0].exchanges[0]) == ("fail", "turn#2")
    assert "unconfirmed" not in broken.cases[0].reason  # its shard saw it twice


def test_a_shard_reports_nothing_and_says_which_one_it_is(shards: Shards) -> None:
    assert [path.name for path in shards.both[0].iterdir()] == ["evidence"]
    one, other = shards.manifest(1)["shard"], shards.manifest(2)["shard"]
    assert (one["number"], one["of"], other["number"], other["of"]) == (1, 2, 2, 2)
    assert one["division"] == other["division"]


def test_merged_evidence_names_its_shards_and_keeps_what_each_recorded_for_itself(shards: Shards) -> None:
    manifest, traces = evidence.read(merge(shards.both, shards.root / "merged"))
    assert [(each.number, each.url) for each in manifest.merged] == [
        (number, shards.manifest(number)["url"]) for number in (1, 2)
    ]
    assert manifest.merged[0].manifest == evidence.digest_of_manifest(shards.both[0] / "evidence")
    assert (manifest.shard, manifest.complete, manifest.stopped) == (None, True, None)
    own = {name for name in traces if name.endswith("@shard-2")}
    assert {"self_check@shard-2", "capacity@shard-2"} <= own
    assert {name.removesuffix("@shard-2") for name in own} <= traces.keys()  # those of the first shard
    assert {"about", "turn", "slow"} <= traces.keys()
    assert all(each.scenario == name for name, trace in traces.items() for each in trace.exchanges)
    assert manifest.again == {"turn@2": "RUN-WAIT-001"}
    assert manifest.confirmations == 1


def test_the_order_of_the_folders_and_which_of_both_is_named_does_not_matter(shards: Shards) -> None:
    one = merge(shards.both, shards.root / "one")
    other = merge([shards.both[1] / "evidence", shards.both[0]], shards.root / "other")
    assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()


@pytest.mark.parametrize("number", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_one_shard_and_more_shards_than_scenarios(number: int, recorded: Path, tmp_path: Path) -> None:
    server = tiny.Server()
    server.wait_is_wrong = True
    folders = [tmp_path / str(each) for each in range(1, number + 1)]
    with uvicorn_serving(server) as url:
        for place, folder in enumerate(folders, 1):
            observe(folder, url, f"{place}/{number}")
    written = merge(folders, tmp_path / "merged")
    judge(open_session(given(evidence=written, out=tmp_path / "merged"), quiet))
    known = cases(recorded / "whole/report.json")
    assert cases(tmp_path / "merged/report.json") == known


def test_a_shard_is_not_judged_compared_or_signed_by_itself(shards: Shards) -> None:
    folder = shards.both[0] / "evidence"
    told = "is shard 1 of 2, which is not judged by itself; put all 2 together with `runstone merge"
    with pytest.raises(evidence.EvidenceError, match=told):
        open_session(given(evidence=folder), quiet)
    with pytest.raises(evidence.EvidenceError, match=told):
        open_sides([str(folder), str(shards.root / "whole")], given(out=shards.root), lambda _: quiet)
    [reason] = unfit(evidence.read_manifest(folder), installed("langgraph"))
    assert reason.startswith("the evidence is shard 1 of 2")


# --- shards that do not fit --------------------------------------------------------------------------------


def test_a_shard_that_is_missing(shards: Shards) -> None:
    told = "shard 1 of 2 is missing; observe it with --shard 1/2 and give its folder too"
    assert shards.unfit(shards.both[1]) == [told]


def test_a_shard_that_is_given_twice(shards: Shards) -> None:
    copy = shutil.copytree(shards.both[0], shards.root / "copy")
    [told] = shards.unfit(*shards.both, copy)
    assert told.startswith("shard 1 of 2 was given 2 times")
    assert told.endswith("; give one")


@pytest.mark.parametrize(
    "field, value, told",
    [
        ("server", "other 2.0", "is of another server version than {one} (other 2.0, not {server})"),
        ("profile", "wait-state", "is of another profile than {one} (wait-state, not langgraph)"),
        ("runstone", "9.0", "is of another Runstone than {one} (9.0,"),
        ("target", "other", "is of another target than {one} (other, not tiny)"),
        ("agent", "concierge", "is of another agent than {one} (concierge, not none)"),
        ("basis", None, "is of another contract, suites or graphs than {one}; observe that shard again"),
        ("quick", True, "was observed with other --area, --select, --quick or --patient than {one}"),
        ("areas", ["meta"], "was observed with other --area, --select, --quick or --patient than {one}"),
        (
            "shard",
            {"number": 2, "of": 2, "division": "0"},
            "and {one} share scenarios out otherwise: by other rec",
        ),
        (
            "shard",
            {"number": 2, "of": 3, "division": "0"},
            "is not of 2 as {one} is; give shards of one division",
        ),
        ("capabilities", {"crons": {"declared": True}}, "found the capability crons otherwise than {one}"),
    ],
)
def test_a_shard_of_something_else(field: str, value: Any, told: str, shards: Shards) -> None:
    first = shards.manifest(1)
    shards.change(2, **{field: value})
    reasons = shards.unfit()
    wanted = told.format(one=shards.both[0] / "evidence", server=first["server"])
    assert len(reasons) == 1, reasons
    assert wanted in reasons[0]
    assert ";" in reasons[0] or "?" in reasons[0]  # how to fix it


def test_a_scenario_that_two_shards_hold(shards: Shards) -> None:
    other = shards.manifest(2)["shard"]
    shards.change(
        2, shard=other | {"scenarios": [*other["scenarios"], *shards.manifest(1)["shard"]["scenarios"]]}
    )
    [told] = shards.unfit()
    assert "both hold" in told
    assert told.endswith("; observe both shards again")


def test_what_is_no_shard(shards: Shards) -> None:
    whole, nowhere = shards.root / "whole", shards.root / "nowhere"
    no_shard, nothing_there = shards.unfit(*shards.both, whole, nowhere)
    assert "is not a shard; observe it with `runstone check … --shard I/N`" in no_shard
    assert "is not an evidence folder" in nothing_there
    shards.change(2, unusable="unreachable", stopped="it does not answer")
    [unusable] = shards.unfit()
    assert "holds nothing to judge (it does not answer); run this shard again" in unusable


def test_a_shard_that_was_altered(shards: Shards) -> None:
    trace = next((shards.both[0] / "evidence/traces").glob("*.json"))
    trace.write_bytes(trace.read_bytes() + b" ")
    [told] = shards.unfit()
    assert "the evidence was altered; observe again" in told


def test_shards_are_not_overwritten_by_what_they_are_merged_into(shards: Shards) -> None:
    with pytest.raises(
        UnfitShards, match="is one of the shards and would be overwritten; choose another --out"
    ):
        merge(shards.both, shards.both[0])
    assert evidence.read(shards.both[0] / "evidence")


def test_shards_of_one_start_of_one_server(shards: Shards) -> None:
    for number in (1, 2):
        shards.change(number, start_mark="2026-11-28T20:00:00Z")
    assert merge(shards.both, shards.root / "alike", same_server=True)
    shards.change(2, start_mark="2026-11-28T21:00:00Z")
    [told] = shards.unfit(same_server=True)
    assert "observed another start of the server than" in told
    assert "(2026-11-28T21:00:00Z, not 2026-11-28T20:00:00Z)" in told
    shards.change(2, start_mark="")
    [told] = shards.unfit(same_server=True)
    assert told.endswith("leave out --same-server")
    assert merge(shards.both, shards.root / "unlike")


def test_a_shard_that_was_broken_off_leaves_the_whole_incomplete(shards: Shards) -> None:
    shards.change(2, complete=False, stopped="the budget of 1 s was used up")
    written = merge(shards.both, shards.root / "merged")
    found = judge(open_session(given(evidence=written, out=shards.root / "merged"), quiet))
    assert found.stopped == "shard 2: the budget of 1 s was used up"
    assert (found.complete, found.exit_code) == (False, ExitCode.NOT_CONFORMING)


@pytest.mark.parametrize("name", ["tiny", None], ids=["one name", "their addresses"])
@pytest.mark.usefixtures("recorded")  # the tiny house
def test_each_shard_may_have_a_server_for_itself(name: str | None, tmp_path: Path) -> None:
    folders = [tmp_path / "1", tmp_path / "2"]
    for place, folder in enumerate(folders, 1):
        with uvicorn_serving(tiny.Server()) as url:
            observe(folder, url, f"{place}/2", name=name or url.removeprefix("http://"))
    manifest, _ = evidence.read(merge(folders, tmp_path / "merged"))
    assert len({each.url for each in manifest.merged}) == 2
    assert manifest.target == evidence.read_manifest(folders[0] / "evidence").target


# --- from the command line ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two areas of the embedded runtime: in two shards, each with a server of its own."""
    root = tmp_path_factory.mktemp("embedded")
    for number in (1, 2):
        words = ("--area", "run-list", "--area", "meta", "--shard", f"{number}/2")
        done = runstone("check", *words, "--out", str(root / str(number)))
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith(f"shard {number} of 2: ")
        assert "no verdict yet: runstone merge DIR… judges all 2 shards together" in done.stdout
    return {"1": root / "1", "2": root / "2", "merged": root / "merged"}


def test_merge_judges_what_was_asked_for_and_ends_as_judge_does(embedded: Mapping[str, Path]) -> None:
    done = runstone("merge", str(embedded["1"]), str(embedded["2"]), "--out", str(embedded["merged"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conforming" in done.stdout
    assert from_json((embedded["merged"] / "report.json").read_bytes()).complete
    again = runstone("judge", str(embedded["merged"] / "evidence"), "--area", "run-list", "--area", "meta")
    assert again.returncode == 0, again.stdout + again.stderr


def test_merge_says_in_one_line_each_what_does_not_fit(embedded: Mapping[str, Path]) -> None:
    done = runstone("merge", str(embedded["2"]))
    assert done.returncode == 2
    assert one_line_of_error(done) == (
        "runstone: shard 1 of 2 is missing; observe it with --shard 1/2 and give its folder too"
    )
    done = runstone("merge", str(embedded["1"]), str(embedded["2"]), "--same-server")
    assert done.returncode == 2
    assert "observed another start of the server than" in one_line_of_error(done)


def test_a_closed_target_ends_a_shard_as_it_ends_a_check(tmp_path: Path) -> None:
    done = runstone("check", "http://127.0.0.1:1", "--shard", "1/2", "--out", str(tmp_path))
    assert done.returncode == 3
    assert "does not answer" in one_line_of_error(done)
