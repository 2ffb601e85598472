"""history.jsonl and its two commands: lines are added, merged, read in any order, or refused in one line."""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
from pathlib import Path

import msgspec
import pytest

from runstone import report as reports
from runstone.contracts import load_catalogue, violations
from runstone.errors import RunstoneError
from runstone.locations import CHECKOUT
from runstone.trend import MalformedHistory, Night, TwoTargets, WrongClock, add, course_of, read, texts_of
from runstone.verdict.model import Cause
from tests.command_line import one_line_of_error, runstone
from tests.nights import closed, night, on, published, report, single_faults
from tests.test_trend import LAST, sixty

(BROKEN, BROKEN_ID), (_, OTHER_ID) = single_faults()[:2]
LATE = dt.timedelta(hours=36)


def written(path: Path, nights: list[Night]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in nights))
    return path


# --- lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["embedded", "langgraph-py", "langgraph-js", "pure-graph"])
def test_a_line_fits_its_schema_and_is_read_as_it_was_written(target: str, tmp_path: Path) -> None:
    line = night(0, target=target)
    path = tmp_path / "new" / "history.jsonl"
    assert add(line, path, now=on(1))
    assert violations("history", json.loads(path.read_text("utf-8"))) == []
    assert read(path, now=on(1)) == {target: [line]}
    assert {id_ for id_, _, _ in line.outcomes()} == {each.id for each in published(target).verdicts}
    assert path.stat().st_size < 100_000  # pure-graph, which breaks some 300 promises


def test_a_line_keeps_the_causes_of_the_report() -> None:
    cause = Cause(
        id="C-1",
        requirement=BROKEN_ID,
        operation="GET /ok",
        answer="500",
        reason="x" * 999,
        expected="200",
        requirements=(BROKEN_ID,),
        must=1,
        should=0,
        curl="curl",
    )
    (kept,) = night(0, BROKEN, causes=(cause,)).causes
    assert (kept.id, kept.operation, kept.answer, kept.must) == ("C-1", "GET /ok", "500", 1)
    assert len(kept.reason) == 160


def test_the_same_report_is_added_once(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert add(night(0), path, now=on(1))
    before = path.read_bytes()
    assert not add(night(0), path, now=on(1))
    assert path.read_bytes() == before


def test_a_line_is_added_below_one_that_lost_its_end(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(msgspec.json.encode(night(0)))
    add(night(1), path, now=on(2))
    assert len(path.read_text("utf-8").splitlines()) == 2
    assert read(path, now=on(2)) == {"embedded": [night(0), night(1)]}


def test_lines_mean_the_same_in_any_order_and_twice(tmp_path: Path) -> None:
    nights = [night(index, server=f"server {index}") for index in range(6)]
    shuffled = [*nights, *nights[2:4]]
    random.Random(7).shuffle(shuffled)  # noqa: S311 - an order, no secret
    assert shuffled != [*nights, *nights[2:4]]
    path = written(tmp_path / "history.jsonl", shuffled)
    assert read(path, now=on(9)) == {"embedded": nights}


def test_branches_merge_without_a_conflict(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *identity, *words]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    (tmp_path / ".gitattributes").write_text((CHECKOUT / ".gitattributes").read_text("utf-8"), "utf-8")
    path = tmp_path / "history.jsonl"
    add(night(0), path, now=on(9))
    git("add", "--all")
    git("commit", "-m", "begin")
    for branch, indices in (("nightly", (1, 3)), ("release", (2, 4))):
        git("checkout", "-b", branch, "main")
        for index in indices:
            add(night(index), path, now=on(9))
        git("commit", "-am", branch)
    git("merge", "nightly", "-m", "both")
    assert b"<<<<" not in path.read_bytes()
    assert read(path, now=on(9)) == {"embedded": [night(index) for index in range(5)]}


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, said",
    [
        (b"{", "line 2 is not valid"),
        (b"\xff\xfe", "line 2 is not valid"),
        (b'{"target": "embedded"}', "missing required field"),
        (b"<<<<<<< HEAD", "keep the lines of both sides"),
        (msgspec.json.encode(night(1)).replace(b'"history":1', b'"history":2'), "line 2 is not valid"),
        (msgspec.json.encode(night(1)).replace(b"02:17:00Z", b"02:17:00"), "line 2 is not valid"),
        (msgspec.json.encode(night(1)).replace(b'"exit_code":0', b'"exit":0'), "line 2 is not valid"),
        (msgspec.json.encode(night(1)).replace(BROKEN_ID.encode(), OTHER_ID.encode()), "twice"),
    ],
    ids=[
        "cut off",
        "not text",
        "lacks fields",
        "mark of a merge",
        "newer",
        "no offset",
        "unknown field",
        "id twice",
    ],
)
def test_a_line_that_is_not_valid_is_named(line: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(msgspec.json.encode(night(0)) + b"\n" + line + b"\n")
    with pytest.raises(MalformedHistory, match=said) as caught:
        read(path, now=on(9))
    assert "line 2" in str(caught.value)
    before = path.read_bytes()
    with pytest.raises(MalformedHistory):
        add(night(3), path, now=on(9))
    assert path.read_bytes() == before


@pytest.mark.parametrize("later_s", [0, 1])
def test_two_targets_of_one_name(later_s: int, tmp_path: Path) -> None:
    other = msgspec.structs.replace(night(0, server="another"), night=on(0) + dt.timedelta(seconds=later_s))
    path = written(tmp_path / "history.jsonl", [night(0)])
    with pytest.raises(TwoTargets, match="history add --target NAME"):
        add(other, path, now=on(1))
    assert add(msgspec.structs.replace(other, target="another"), path, now=on(1))
    with pytest.raises(TwoTargets, match="line 2"):
        read(written(path, [night(0), other]), now=on(1))


def test_clocks_that_go_wrong(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with pytest.raises(WrongClock, match="the clock of one of two machines is wrong"):
        add(night(2), path, now=on(1))
    assert not path.exists()
    add(night(2), path, now=on(2))
    with pytest.raises(WrongClock, match="did a clock go backwards"):
        add(night(1), path, now=on(2))
    assert add(night(1), path, now=on(2), backfill=True)
    assert read(path, now=on(2)) == {"embedded": [night(1), night(2)]}
    with pytest.raises(WrongClock, match="line 1"):
        read(path, now=on(1))


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(RunstoneError, match="cannot read"):
        read(tmp_path / "none.jsonl", now=on(1))
    (tmp_path / "file").write_text("")
    with pytest.raises(RunstoneError, match="cannot write"):
        add(night(0), tmp_path / "file" / "history.jsonl", now=on(1))


# --- sixty nights -----------------------------------------------------------------------------------------


def test_the_pages_of_sixty_nights_of_four_targets_are_small(tmp_path: Path) -> None:
    nights = [
        msgspec.structs.replace(each, target=target)
        for target in ("one", "two", "three", "four")
        for each in sixty()
    ]
    path = written(tmp_path / "history.jsonl", nights)
    courses = [course_of(name, of, load_catalogue()) for name, of in read(path, now=on(90)).items()]
    texts = texts_of(courses, now=on(LAST), late_after=LATE, nights=90)
    assert max(len(text) for text in texts.values()) < 500_000
    assert sum(map(len, texts.values())) < 2_000_000


# --- the commands -----------------------------------------------------------------------------------------


def nightly(folder: Path, path: Path, *nights: tuple[int, tuple[str, ...]]) -> None:
    """Reports of some days ago, added as a user does."""
    today = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for ago, planted in nights:
        made = report(0, *planted, server=f"server 1.{9 - ago}")
        made = msgspec.structs.replace(made, started_at=(today - dt.timedelta(days=ago, hours=1)).isoformat())
        reports.write_all(made, [], folder, bare=True)
        done = runstone("history", "add", str(folder), "--to", str(path))
        assert done.stdout == f"embedded: added to {path}\n", done.stderr


def test_only_what_is_new_wakes_somebody(tmp_path: Path) -> None:
    path, out = tmp_path / "history.jsonl", tmp_path / "pages"
    trend = ("trend", str(path), "--out", str(out), "--fail-on", "new")
    nightly(tmp_path / "report", path, (3, ()), (2, (BROKEN,)))
    late = runstone(*trend)
    assert (late.returncode, "nothing was checked since" in late.stdout) == (0, True)
    nightly(tmp_path / "report", path, (1, ()))
    assert runstone(*trend).returncode == 0
    nightly(tmp_path / "report", path, (0, (BROKEN,)))
    done = runstone(*trend)
    assert (done.returncode, done.stderr) == (1, "")
    (new,) = [line for line in done.stdout.splitlines() if "new:" in line]
    assert BROKEN_ID in new
    assert "by server 1.8" in new
    assert runstone(*trend[:-2]).returncode == 0
    assert sorted(each.name for each in out.iterdir()) == ["badges", "embedded.html", "index.html"]


def test_what_fails_still_wakes_nobody(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    nightly(tmp_path / "report", path, (2, ()), (1, (BROKEN,)), (0, (BROKEN,)))
    done = runstone("trend", str(path), "--out", str(tmp_path / "pages"), "--fail-on", "new")
    assert (done.returncode, "new:" in done.stdout) == (0, False)
    assert "embedded breaks 1 MUST" in done.stdout


def test_a_target_that_no_longer_answers_wakes_somebody(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    nights = [
        msgspec.structs.replace(each, night=now - dt.timedelta(hours=hours))
        for each, hours in ((night(0, server="server 1.1"), 25), (closed(1), 1))
    ]
    path = written(tmp_path / "history.jsonl", nights)
    done = runstone("trend", str(path), "--out", str(tmp_path / "pages"), "--fail-on", "new")
    assert done.returncode == 1
    assert "does not answer" in done.stdout
    assert "server 1.1" in done.stdout


@pytest.mark.parametrize(
    "text, said",
    [
        (None, "cannot read"),
        ("", "has no line yet"),
        ("{}\n", "line 1 is not valid"),
    ],
)
def test_a_history_that_is_no_use_is_one_line(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    if text is not None:
        path.write_text(text, "utf-8")
    done = runstone("trend", str(path), "--out", str(tmp_path / "pages"))
    assert (done.returncode, said in one_line_of_error(done)) == (2, True)


@pytest.mark.parametrize("text", [None, "{}", "["])
def test_a_report_that_is_no_use_is_one_line(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    if text is not None:
        file.write_text(text, "utf-8")
    done = runstone("history", "add", str(file), "--to", str(tmp_path / "history.jsonl"))
    assert done.returncode == 2
    assert one_line_of_error(done)
    assert not (tmp_path / "history.jsonl").exists()
