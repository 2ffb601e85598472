"""The embedded runtime, all of it: checked with patience, signed, and verified without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runstone.signoff import keys

pytestmark = [pytest.mark.slow, pytest.mark.patient, pytest.mark.timeout(900)]
FAULT, BROKEN = "a-second-put-merges", "STORE-004"  # no other promise, and no monitor, is about that


def runstone(*words: str, before: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*before, sys.executable, "-m", "runstone", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def somebody_else_offline() -> tuple[str, ...]:
    """What runs a command as another user without a network; as far as this user may do that."""
    offline = ("unshare", "--net", "--")
    somebody_else = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))):
        return ()
    # This interpreter may lie where nobody else can reach it.
    reached = subprocess.run([*somebody_else, sys.executable, "-c", ""], capture_output=True)
    return (*offline, *somebody_else) if reached.returncode == 0 else offline


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole catalogue, observed once of the runtime as it is, and once with a fault planted."""
    root = tmp_path_factory.mktemp("whole")

    def checked(name: str, fault: str) -> None:
        code, said = runstone(
            "check", "embedded", "--patient", "--out", str(root / name), RUNSTONE_FAULT=fault
        )
        assert code == (1 if fault else 0), said

    # Both at once, as they mostly wait: the longest run that is asked for takes three minutes. But `next` is
    # observed after `release`, or it could not supersede it: its manifest is there once it is known when.
    with ThreadPoolExecutor() as both:
        first = both.submit(checked, "release", "")
        while not (root / "release/evidence/manifest.json").exists():
            assert not first.done(), first.exception()
            time.sleep(0.1)
        second = both.submit(checked, "next", FAULT)
    first.result()
    second.result()
    keys.make(root / "ada", "ed25519", None)
    return root


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that other users can read, as those that pytest makes are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def signing(root: Path, name: str, *more: str) -> tuple[int, str]:
    by = ["--by", "Ada", "--key", str(root / "ada"), "--yes"]
    return runstone("signoff", str(root / name / "evidence"), *by, *more)


def test_everything_is_signed_and_verified_offline_by_somebody_else(release: Path, everybodys: Path) -> None:
    code, said = signing(release, "release")
    assert code == 0, said
    assert "PASSED" in said
    handed = everybodys / "handed"
    shutil.copytree(
        release / "release", handed, ignore=shutil.ignore_patterns("report*", "junit*", "summary*")
    )
    shutil.copy(release / "ada.pub", handed)
    files = [str(handed / "signoff/acceptance.intoto.jsonl"), "--evidence", str(handed / "evidence")]
    code, said = runstone(
        "verify",
        *files,
        "--signers",
        str(handed / "ada.pub"),
        before=somebody_else_offline(),
        HOME=str(everybodys),
    )
    assert code == 0, said
    assert re.findall(r"^(\w+) +(yes|not asked)", said, re.MULTILINE) == [
        ("authentic", "yes"),
        ("bound", "yes"),
        ("intact", "yes"),
        ("derivable", "yes"),
        ("acceptable", "not asked"),
    ]


def test_a_fault_is_refused_by_name_and_a_waiver_lets_it_through_as_a_warning(release: Path) -> None:
    before = release / "release/signoff/acceptance.intoto.jsonl"
    if not before.exists():
        assert signing(release, "release")[0] == 0
    code, said = signing(release, "next", "--baseline", str(before))
    assert code == 1
    assert f"refused: {BROKEN} (MUST) is broken" in said
    assert f"refused: {BROKEN} was kept by the acceptance of" in said
    assert {*re.findall(r"^refused: (\S+)", said, re.MULTILINE)} == {BROKEN}
    waivers = release / "waivers.yaml"
    terms = f"requirement: {BROKEN}, reason: known, owner: us, expires: 2999-12-31, link: docs#x"
    waivers.write_text(f"waivers:\n- {{{terms}}}\n")
    code, said = signing(release, "next", "--baseline", str(before), "--waivers", str(waivers))
    assert code == 0, said
    assert "WARNED" in said
    assert f"kept before, and not now: {BROKEN} (waived)" in said
