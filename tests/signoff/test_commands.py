"""`runstone signoff`, `verify` and `keys` as they are called: exit codes, and one line a mistake."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runstone.signoff import keys
from tests.signoff.case import IMAGE, OTHER_IMAGE, Case
from tests.signoff.terminal import Run

DIGEST = ":".join(IMAGE)


def verifying(case: Case, *more: str) -> list[str]:
    return ["verify", str(case.acceptance), "--evidence", str(case.evidence), *more]


def signing(case: Case, *more: str) -> list[str]:
    folder = case.folder
    files = ["--waivers", str(folder / "waivers.yaml"), "--policy", str(folder / "acceptance-policy.yaml")]
    return ["signoff", str(case.evidence), "--out", str(folder / "out"), *files, *more]


# --- verify ------------------------------------------------------------------------------------------------


def test_the_answers_as_json(case: Case, run: Run) -> None:
    signers = ["--signers", str(case.folder / "signers.yaml"), "--server-digest", DIGEST]
    code, said = run(*verifying(case, *signers, "--json"))
    document = json.loads(said)
    assert code == 0
    assert document["accepted"] is True
    answers = {name: each["answer"] for name, each in document["answers"].items()}
    assert answers == {
        **dict.fromkeys(("authentic", "bound", "intact", "derivable"), "yes"),
        "acceptable": "not asked",
    }
    assert (document["result"], document["by"], document["server"]["version"]) == (
        "WARNED",
        "Ada",
        "2.0",
    )


@pytest.mark.parametrize(
    "words, code, says",
    [
        (["--unsigned-ok"], 0, "authentic  not asked --unsigned-ok was given"),
        ([], 1, r"authentic  no        0 of 1 signatures; give --signers FILE"),
        (["--signers", "mallory.pub"], 1, "authentic  no        0 of 1 signatures"),
        (
            ["--unsigned-ok", "--server-digest", ":".join(OTHER_IMAGE)],
            1,
            "bound      no        it is of server abab",
        ),
        (["--unsigned-ok", "--signers", "ada.pub"], 2, "--unsigned-ok asks nobody"),
        (["--signers", "ada"], 2, "holds a private key; give the public one"),
        (["--signers", "nobody.pub"], 2, "cannot read .*nobody.pub: No such file"),
        (["--server-digest", "sha256:12"], 2, "--server-digest 'sha256:12' is not a digest"),
        (["--server-digest", "md5:" + "0" * 32], 2, "sha256, sha384, sha512 are known"),
        (["--policy", "signers.yaml"], 2, "unknown key 'signers'|signers"),
        (["--trusted-root", "ada.pub"], 2, "ada.pub is not a trusted root of Sigstore"),
        (["--baseline", "ada.pub"], 3, "cannot be read as an acceptance"),
        (["--baseline", "nothing"], 3, "cannot read the acceptance nothing: No such file"),
        (["--evidence", "nothing"], 3, "nothing holds no evidence that can be read"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_how_verify_ends(
    words: list[str], code: int, says: str, case: Case, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.folder)
    found, said = run(*verifying(case, *words))
    assert (found, bool(re.search(says, said))) == (code, True), said
    if code > 1:
        assert said.startswith("runstone: ")
        assert said.count("\n") == 1


def test_verify_asks_at_least_something(case: Case, run: Run) -> None:
    code, said = run("verify", str(case.acceptance), "--unsigned-ok")
    assert (code, "nothing is asked" in said) == (2, True)


def test_verify_without_the_evidence_asks_who_signed(case: Case, run: Run) -> None:
    code, said = run("verify", str(case.acceptance), "--signers", str(case.folder / "ada.pub"))
    assert code == 0
    assert "intact     not asked no --evidence was given" in said


def test_the_report_bears_a_seal_only_when_all_of_it_was_verified(case: Case, run: Run) -> None:
    page = case.folder / "pages/report.html"
    signers = ["--signers", str(case.folder / "signers.yaml")]
    assert run(*verifying(case, *signers, "--html", str(page)))[0] == 0
    text = page.read_text()
    assert "Accepted with reservations: 1 waived." in text
    assert "signed by Ada (release manager, key" in text
    assert "5 requirements judged again here, the same verdicts" in text
    assert "2.0, as it says itself; no digest" not in text
    for others in (["--unsigned-ok"], ["--signers", str(case.folder / "mallory.pub")]):
        run(*verifying(case, *others, "--html", str(page)))
        assert "Accepted" not in page.read_text()
    page.unlink()
    (case.evidence / "traces/about.json").unlink()
    code, said = run(*verifying(case, *signers, "--html", str(page)))
    assert (code, page.exists()) == (1, False)
    assert "no report was written" in said


# --- signoff -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, says",
    [
        (["--by", "Ada"], "say how to sign: one of --key FILE, --keyless and --unsigned"),
        (["--by", "Ada", "--key", "ada", "--unsigned"], "say how to sign"),
        (["--unsigned"], "say who signs: --by NAME"),
        (["--unsigned", "--by", " "], "say who signs: --by NAME"),
        (["--key", "ada", "--add-signature"], "--add-signature signs what is there"),
        (["--key", "ada.pub", "--by", "Ada"], "ada.pub cannot be opened: it is not a private key"),
        (["--key", "nobody", "--by", "Ada"], "cannot read nobody: No such file"),
        (
            ["--key", "ada", "--by", "Ada", "--server-digest", "latest"],
            "--server-digest 'latest' is not a digest",
        ),
        (["--key", "ada", "--by", "Ada", "--policy", "nothing"], "cannot read nothing: No such file"),
        (["--key", "locked", "--by", "Ada", "--password-file", "nothing"], "cannot read nothing"),
        (
            ["--key", "locked", "--by", "Ada", "--password-file", "ada.pub"],
            "locked cannot be opened: its password is wrong",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_of_signoff_is_one_line(
    words: list[str], says: str, case: Case, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.folder)
    keys.make(case.folder / "locked", "ed25519", b"correct horse")
    code, said = run(*signing(case, *words))
    assert (code, says in said, said.count("\n")) == (2, True, 1), said
    assert not (case.folder / "out").exists()


def test_whoever_says_no_signs_nothing(case: Case, run: Run) -> None:
    code, said = run(*signing(case, "--by", "Ada", "--key", str(case.folder / "ada")), typed="n\n")
    assert code == 1
    assert "nothing was signed or written" in said
    assert not (case.folder / "out").exists()


def test_nobody_is_asked_where_nobody_is(case: Case, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.signoff.terminal.Terminal.isatty", lambda _: False)
    code, said = run(*signing(case, "--by", "Ada", "--key", str(case.folder / "ada")))
    assert (code, "give --yes to sign without" in said) == (2, True)
    keys.make(case.folder / "locked", "ed25519", b"correct horse")
    code, said = run(*signing(case, "--by", "Ada", "--key", str(case.folder / "locked")))
    assert (code, "set RUNSTONE_KEY_PASSWORD or give --password-file" in said) == (2, True)
    assert run(*signing(case, "--by", "Ada", "--unsigned", "--yes"))[0] == 0


def test_a_folder_that_cannot_be_written_is_one_line(case: Case, run: Run) -> None:
    (case.folder / "out").write_text("in the way")
    code, said = run(*signing(case, "--by", "Ada", "--unsigned", "--yes"))
    assert (code, "cannot write" in said) == (2, True)


# --- keys --------------------------------------------------------------------------------------------------


def test_a_new_key_asks_for_its_password_twice(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unseen(prompt: str) -> str:
        asked.append(prompt)
        return "correct horse"

    monkeypatch.setattr("click.termui.hidden_prompt_func", unseen)
    code, said = run("keys", "new", str(tmp_path / "ada"))
    assert (code, len(asked)) == (0, 2)
    assert "correct horse" not in said
    assert f"private key: {tmp_path / 'ada'} (keep it)" in said
    code, said = run("keys", "show", str(tmp_path / "ada"))
    assert (code, len(asked)) == (0, 3)
    assert said == run("keys", "show", str(tmp_path / "ada.pub"))[1]
    assert "-----BEGIN PUBLIC KEY-----" in said
    assert "PRIVATE" not in said


@pytest.mark.parametrize(
    "words, says",
    [
        (["--no-password", "--password-file", "x"], "give --password-file or --no-password"),
        (["--no-password", "--kind", "rsa"], "rsa"),
        (["--password-file", "empty"], "the password is empty"),
    ],
)
def test_a_wrong_call_of_keys(
    words: list[str], says: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    code, said = run("keys", "new", "ada", *words)
    assert (code, says in said) == (2, True), said
    assert not (tmp_path / "ada").exists()


def test_other_commands_import_nothing_of_it() -> None:
    script = """
import sys, runstone.cli.check, runstone.cli.serve
only = ("securesystemslib", "cryptography", "sigstore", "runstone.signoff")
print([name for name in sys.modules if name.startswith(only)])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
