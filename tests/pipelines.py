"""The shell of actions and workflows, run as their runners would: expressions filled in, files faked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from runstone.locations import CHECKOUT

_EXPRESSION: Final = re.compile(r"\$\{\{ (.+?) \}\}")
_BASH: Final = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")  # what `shell: bash` is


class Place:
    """A folder in which steps run, with the files by which they talk to their runner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "runner"
        self._output, self._summary = self.temporary / "output", self.temporary / "summary"
        self.programs = self.temporary / "runstone/bin"
        self.programs.mkdir(parents=True)
        self.program("runstone", f'exec "{sys.executable}" -m runstone "$@"')

    def program(self, name: str, script: str) -> None:
        """Let a name on PATH mean this."""
        path = self.programs / name
        path.write_text(f"#!/usr/bin/env bash\n{script}\n", "utf-8")
        path.chmod(0o755)

    def run(
        self, step: Mapping[str, Any], context: Mapping[str, str], **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a step. `context`: what each of its expressions is; `more`: variables of its surroundings."""
        self._output.write_text("")
        self._summary.write_text("")
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.temporary),
            "PYTHONPATH": str(CHECKOUT / "src"),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_ACTION_PATH": str(CHECKOUT),
            "GITHUB_OUTPUT": str(self._output),
            "GITHUB_STEP_SUMMARY": str(self._summary),
            **{name: filled(str(value), context) for name, value in step.get("env", {}).items()},
            **more,
        }
        assert not _EXPRESSION.search(step["run"]), "an expression in a shell is an injection"
        return subprocess.run(
            [*_BASH, step["run"]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    @property
    def outputs(self) -> dict[str, str]:
        """What the last step put out."""
        lines = self._output.read_text("utf-8").splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    @property
    def summary(self) -> str:
        """The summary of the last step."""
        return self._summary.read_text("utf-8")


def filled(text: str, context: Mapping[str, str]) -> str:
    """A value with its expressions filled in. Raises KeyError for one that the context does not know."""
    return _EXPRESSION.sub(lambda found: context[found[1]], text)


def document(path: str) -> dict[Any, Any]:
    """A YAML file of the checkout."""
    found: dict[Any, Any] = yaml.safe_load((CHECKOUT / path).read_text("utf-8"))
    return found


def step(steps: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The step of that name."""
    return next(each for each in steps if each.get("name") == name)
