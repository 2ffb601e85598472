"""One acceptance that supersedes another, made once; each test gets a copy of everything."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone.cli import main
from runstone.signoff import keys
from tests.load.made import made
from tests.signoff import tiny
from tests.signoff.case import (
    IMAGE,
    NOW,
    OTHER_IMAGE,
    POLICY,
    SIGNERS,
    WAIVERS,
    Case,
    accept,
    server,
    started,
)
from tests.signoff.terminal import Run, Terminal


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of everything, which each test copies."""
    root = tmp_path_factory.mktemp("signoff")
    (root / "waivers.yaml").write_text(WAIVERS)
    (root / "acceptance-policy.yaml").write_text(POLICY)
    (root / "signers.yaml").write_text(SIGNERS)
    for name in ("ada", "grace", "mallory"):
        keys.make(root / name, "ecdsa" if name == "grace" else "ed25519", None)
    with tiny.House(root / "house").installed():
        for name in ("older", "old", "new"):
            tiny.observe(root / name, server())
        for place, name in enumerate(("older", "old", "new")):  # a second apart, as a clock would have it
            started(root / name, NOW - dt.timedelta(seconds=30 - place))
        accept(root / "older", OTHER_IMAGE, NOW, None, root)
        accept(root / "old", OTHER_IMAGE, NOW, root / "older/signoff/acceptance.intoto.jsonl", root)
        accept(root / "new", IMAGE, NOW, root / "old/signoff/acceptance.intoto.jsonl", root)
    return root


@pytest.fixture
def case(original: Path, tmp_path: Path) -> Iterator[Case]:
    folder = tmp_path / "case"
    shutil.copytree(original, folder)
    house = tiny.House(folder / "house")
    with house.installed():
        yield Case(folder=folder, house=house)


@pytest.fixture(scope="module")
def kept_load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("loads") / "load")


@pytest.fixture
def load(kept_load: Path, tmp_path: Path) -> Path:
    """The folder of a load that kept everything, which a test may change."""
    folder = tmp_path / "load"
    shutil.copytree(kept_load, folder)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: its exit code, and all that it printed."""

    def run(*words: str, typed: str = "y\n") -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["runstone", *words])
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code or 0), said.out + said.err

    return run
