"""docs/sign-off.md, run as it stands: a release manager, a tester, a reviewer, and the release after."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.honest import uvicorn_serving
from tests.signoff import tiny
from tests.signoff.terminal import Run

PAGE = Path(__file__).parents[2] / "docs/sign-off.md"
URL = "http://127.0.0.1:2024"
_BLOCK = re.compile(
    r"^```(?P<kind>console|yaml)\n(?P<text>.*?)^```$|^<!-- (?P<mark>.*) -->$", re.MULTILINE | re.DOTALL
)
# What differs between this server and the page's: ports, times, counts and digests.
_VARIES = re.compile(r"(?:AAAA)?…|\b[0-9a-f]{12,64}\b|\d+")


class Step(NamedTuple):
    """A command of the page, and the lines that it shows of what is printed."""

    command: str
    shown: list[str]


def steps() -> Iterator[Step | tuple[str, str] | str]:
    """The page in its order: commands, files by name and text, and marks."""
    for found in _BLOCK.finditer(PAGE.read_text("utf-8")):
        if found["mark"]:
            yield found["mark"]
        elif found["kind"] == "yaml":
            name, _, text = found["text"].partition("\n")
            yield name.removeprefix("# "), text
        else:
            for each in re.split(r"^\$ ", found["text"], flags=re.MULTILINE)[1:]:
                command, *shown = each.splitlines()
                yield Step(command, [line for line in shown if line])


def pattern(line: str) -> str:
    """A shown line as a pattern, in which numbers and digests stand for any."""
    ends = [found.span() for found in _VARIES.finditer(line)]
    parts, last = [], 0
    for start, end in ends:
        parts.append(re.escape(line[last:start]) + (".*" if "…" in line[start:end] else "[0-9a-f]+"))
        last = end
    return "".join(parts) + re.escape(line[last:])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Path]:
    with tiny.House(tmp_path / "house").installed():
        yield tmp_path


def test_the_page_is_true(house: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(house)
    monkeypatch.setenv("RUNSTONE_KEY_PASSWORD", "correct horse")
    server, commands = tiny.Server(), []
    with uvicorn_serving(server) as url:
        for step in steps():
            if step == "the next release":
                server.wait_is_wrong = True
            elif isinstance(step, Step):
                _, *words = shlex.split(step.command.replace(URL, url))
                code, said = run(*words)
                commands.append((words[0], code))
                for line in step.shown:
                    wanted = pattern(line.replace(URL.split("//")[1], url.split("//")[1]))
                    assert re.search(rf"^\s*{wanted}", said, re.MULTILINE), f"{step.command}\n{line}\n{said}"
            elif isinstance(step, tuple):
                (house / step[0]).write_text(step[1])
    assert commands == [
        ("keys", 0),
        ("keys", 0),
        ("check", 0),
        ("signoff", 0),
        ("signoff", 0),
        ("verify", 0),
        ("check", 1),
        ("signoff", 1),
        ("signoff", 0),
        ("verify", 0),
    ]
    told = "".join(
        path.read_text() for path in house.rglob("*") if path.is_file() and "house" not in path.parts
    )
    assert "correct horse" not in told
