"""What somebody could do to the evidence of an acceptance, or to nothing that matters."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable

import pytest

from runstone.session.evidence import read_manifest
from runstone.signoff import verification
from runstone.signoff.lines import Line
from runstone.signoff.statement import Statement, encoded, sha256
from tests.signoff import tiny
from tests.signoff.case import OTHER_IMAGE, Attacks, Case, assert_refused, rewrite

ATTACKS = Attacks()
refused_by = ATTACKS.refused_by


def test_untouched_all_five_are_yes(case: Case) -> None:
    found = case.verified()
    assert {name: each.answer for name, each in found.answers.items()} == dict.fromkeys(
        verification.NAMES, "yes"
    )
    assert found.accepted
    assert found.sealed


def edit_the_report(case: Case) -> None:
    rewrite(case.folder / "new/report.json", conforming=False, exit_code=1, verdicts=[])


def reorder_the_lines(case: Case) -> None:
    case.write(*reversed(case.lines()))


def add_lines_of_other_kinds(case: Case) -> None:
    slsa = encoded(
        Statement(subject=(), predicateType="https://slsa.dev/provenance/v1", predicate=dict[str, str]())
    )
    case.write({"of": "another tool"}, *case.lines(), json.loads(Line(payload=slsa).text()))


def leave_the_key_ids_out(case: Case) -> None:
    """They are optional in DSSE, and a hint only."""
    envelopes = case.lines()
    for each in envelopes:
        each["signatures"] = [{"sig": signature["sig"]} for signature in each["signatures"]]
    case.write(*envelopes)


def write_base64_in_the_other_alphabet(case: Case) -> None:
    envelopes = case.lines()
    for each in envelopes:
        each["payload"] = each["payload"].replace("+", "-").replace("/", "_")
    case.write(*envelopes)


@pytest.mark.parametrize(
    "change",
    [
        edit_the_report,
        reorder_the_lines,
        add_lines_of_other_kinds,
        leave_the_key_ids_out,
        write_base64_in_the_other_alphabet,
    ],
    ids=lambda change: change.__name__,
)
def test_what_does_no_harm_changes_no_answer(change: Callable[[Case], None], case: Case) -> None:
    change(case)
    assert case.verified().accepted


@refused_by("intact", "traces/about.json does not have the SHA-256", also={"derivable"})
def change_a_byte_of_a_trace(case: Case) -> None:
    path = case.evidence / "traces/about.json"
    path.write_bytes(path.read_bytes().replace(b"200", b"201", 1))


@refused_by("bound", "it is of evidence", also={"derivable"})
def change_a_byte_of_the_manifest(case: Case) -> None:
    path = case.evidence / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")


@refused_by("intact", "traces/zero.json is not in the manifest", also={"derivable"})
def add_a_trace(case: Case) -> None:
    shutil.copy(case.evidence / "traces/about.json", case.evidence / "traces/zero.json")


@refused_by("intact", "traces/about.json is missing", also={"derivable"})
def remove_a_trace(case: Case) -> None:
    (case.evidence / "traces/about.json").unlink()


@refused_by("intact", ".*SHA-256.*SHA-256", also={"derivable"})
def swap_two_traces(case: Case) -> None:
    one, two = case.evidence / "traces/about.json", case.evidence / "traces/turn.json"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


@refused_by("bound", "it is of evidence", also={"derivable"})
def vouch_for_a_changed_trace(case: Case) -> None:
    change_a_byte_of_a_trace(case)
    digest = sha256((case.evidence / "traces/about.json").read_bytes())
    files = {**read_manifest(case.evidence).files, "traces/about.json": digest}
    rewrite(case.evidence / "manifest.json", files=files)


@refused_by("intact", "traces/about.json cannot be read", also={"derivable"})
def link_a_trace(case: Case) -> None:
    path = case.evidence / "traces/about.json"
    path.rename(case.folder / "elsewhere.json")
    path.symlink_to(case.folder / "elsewhere.json")


@refused_by("intact", "traces is a link", also={"derivable"})
def link_all_traces(case: Case) -> None:
    (case.evidence / "traces").rename(case.folder / "elsewhere")
    (case.evidence / "traces").symlink_to(case.folder / "elsewhere")


@refused_by("intact", "'traces/../../../outside.json' is not a file", also={"bound", "derivable"})
def leave_the_folder(case: Case) -> None:
    shutil.copy(case.evidence / "traces/about.json", case.folder / "outside.json")
    _name_instead(case, "traces/../../../outside.json")


@refused_by("intact", ".*outside.json' is not a file", also={"bound", "derivable"})
def leave_the_folder_by_an_absolute_path(case: Case) -> None:
    shutil.copy(case.evidence / "traces/about.json", case.folder / "outside.json")
    _name_instead(case, str(case.folder / "outside.json"))


def _name_instead(case: Case, name: str) -> None:
    files = read_manifest(case.evidence).files
    digest = files.pop("traces/about.json")
    (case.evidence / "traces/about.json").unlink()
    rewrite(case.evidence / "manifest.json", files={**files, name: digest})


@refused_by("intact", ".*it is not a plain file", also={"derivable"})
def put_a_pipe_for_a_trace(case: Case) -> None:
    remove_a_trace(case)
    os.mkfifo(case.evidence / "traces/about.json")


@refused_by("intact", ".*about.json cannot be read", also={"derivable"})
def put_a_folder_for_a_trace(case: Case) -> None:
    remove_a_trace(case)
    (case.evidence / "traces/about.json").mkdir()


@refused_by("intact", ".*it is larger than", also={"derivable"})
def put_a_giant_for_a_trace(case: Case) -> None:
    os.truncate(case.evidence / "traces/about.json", 1 << 40)  # a hole: it takes no room


@refused_by("bound", "it is of evidence", also={"derivable"})
def give_evidence_of_an_older_release(case: Case) -> None:
    shutil.rmtree(case.evidence)
    shutil.copytree(case.folder / "old/evidence", case.evidence)


@refused_by("bound", "it is of evidence", also={"derivable"})
def give_evidence_of_another_server(case: Case) -> None:
    shutil.rmtree(case.evidence)
    tiny.observe(case.folder / "new", tiny.Server())


@refused_by("bound", "it is of server abab.* and this is cdcd", also={"derivable"})
def ask_for_another_server(case: Case) -> None:
    case.server_digest = OTHER_IMAGE


@pytest.mark.parametrize("name", ATTACKS)
def test_the_right_answer_refuses(name: str, case: Case) -> None:
    assert_refused(ATTACKS[name], case)
