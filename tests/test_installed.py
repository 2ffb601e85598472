"""Runstone as others install it: the wheel alone, and the steps of the Containerfile in a root folder.

What a builder of images does by itself is not tried here: the base images, `COPY --from` (one root folder
stands for all stages), users, and the health check's schedule.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from runstone.locations import CHECKOUT
from runstone.target import recipes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # packages are installed thrice

# The words of the Containerfile by stage: (what, words).
Stages = dict[str, list[tuple[str, str]]]
# The folders of an image that its steps speak of.
_ROOTS: Final = ("/source", "/wheels", "/opt/runstone", "/var/cache/runstone", "/reports")


def stages() -> Stages:
    found: Stages = {}
    for line in (CHECKOUT / "Containerfile").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        what, _, words = line.partition(" ")
        if what == "FROM":
            found[words.rpartition(" AS ")[2]] = []
        found[list(found)[-1]].append((what, words))
    return found


def context() -> Iterator[Path]:
    """The files that a builder gets: those of the checkout that .containerignore lets through."""
    rules = (CHECKOUT / ".containerignore").read_text("utf-8").split()
    wanted = [rule[1:] for rule in rules if rule.startswith("!")]
    left_out = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    command = ["git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        ignored = any(fnmatch.fnmatch(part, rule) for part in Path(name).parts for rule in left_out)
        if not ignored and any(name == each or name.startswith(f"{each}/") for each in wanted):
            yield CHECKOUT / name


class Root:
    """The root folder of an image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, words: str, cwd: str, env: Mapping[str, str]) -> None:
        """A RUN of the Containerfile, by `sh` as there. Raises AssertionError where it fails."""
        done = subprocess.run(
            ["/bin/sh", "-ec", self.inside(words)],
            cwd=self.inside(cwd),
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def inside(self, text: str) -> str:
        """Paths of the image as paths here."""
        for path in _ROOTS:
            text = text.replace(path, f"{self.folder}{path}")
        return text

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The image's own variables; of this machine only where programs and packages are found."""
        # What is set here says where packages are found; what is of this checkout must not reach the image.
        own = ("PYTHON", "RUNSTONE", "VIRTUAL_ENV", "XDG_")
        here = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return here | {name: self.inside(value) for name, value in env.items()}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, dict[str, str]]:
    """The root folder after the steps of stage `build`, and the variables of stage `runstone`."""
    root = Root(tmp_path_factory.mktemp("root"))
    for place in _ROOTS:
        (root.folder / place[1:]).mkdir(parents=True)
    for path in context():
        to = root.folder / "source" / path.relative_to(CHECKOUT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    (root.folder / "opt/runstone").rmdir()
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for what, words in stages()["build"]:
        if what == "RUN":
            root.run(words, "/source", {"PATH": python})
    variables = dict(
        word.split("=", 1) for what, words in stages()["runstone"] if what == "ENV" for word in words.split()
    )
    variables["PATH"] = variables["PATH"].replace("$PATH", os.environ["PATH"])
    return root, variables


def without_a_network(
    root: Root, variables: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    """A command in the image that has nothing but its own loopback, in the image's folder for reports."""
    loopback = 'ip link set lo up 2>/dev/null; exec "$@"'
    inside = ["/usr/bin/unshare", "--map-root-user", "--net", "/bin/sh", "-c", loopback, "sh"]
    return subprocess.run(
        [*inside, *words],
        cwd=root.inside("/reports"),
        env=root.environment(variables),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_the_image_is_healthy_without_a_network(image: tuple[Root, dict[str, str]]) -> None:
    (health,) = (words for what, words in stages()["runstone"] if what == "HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    done = without_a_network(*image, *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "RUN-WAIT-001" in done.stdout


def test_the_image_checks_without_a_network(image: tuple[Root, dict[str, str]]) -> None:
    (entry,) = (json.loads(words) for what, words in stages()["runstone"] if what == "ENTRYPOINT")
    done = without_a_network(*image, *entry, "check", "embedded", "--area", "meta")
    assert done.returncode == 0, done.stdout + done.stderr
    report = image[0].folder / "reports/reports/out/embedded/report.json"
    assert json.loads(report.read_bytes())["conforming"]


def test_the_image_is_not_run_by_root() -> None:
    for stage in ("runstone", "sdk"):
        users = [words for what, words in stages()[stage] if what == "USER"]
        assert users[-1] == "10001"
    assert stages()["sdk"][0] == ("FROM", "runstone AS sdk")


def test_the_stage_with_node_needs_no_registry_afterwards(image: tuple[Root, dict[str, str]]) -> None:
    root, variables = image
    (install,) = (words for what, words in stages()["sdk"] if what == "RUN" and words.startswith("python -c"))
    root.run(install, "/reports", variables)
    done = without_a_network(root, variables, *install.split(maxsplit=2)[:2], install.split('"')[1])
    assert done.returncode == 0, done.stderr


def test_the_wheel_alone_checks_a_url(image: tuple[Root, dict[str, str]], tmp_path: Path) -> None:
    """As `uvx runstone check URL` does: no extras, an empty environment, an empty folder."""
    (wheel,) = (image[0].folder / "wheels").glob("*.whl")
    alone, empty = tmp_path / "alone", tmp_path / "empty"
    empty.mkdir()
    for command in (
        ("venv", "--without-pip", str(alone)),
        ("pip", "--python", str(alone / "bin/python"), "install", "--quiet", str(wheel)),
    ):
        words = [sys.executable, "-m", *command]
        subprocess.run(words, check=True, capture_output=True, timeout=170)
    plain = {"PATH": f"{alone / 'bin'}:/usr/bin:/bin", "HOME": str(empty)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(alone / "bin/runstone"), *words],
            cwd=empty,
            env=plain,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    with recipes.running(recipes.load("embedded")) as server:
        done = run("check", server.url, "--area", "meta", "--out", "first")
    assert done.returncode == 0, done.stdout + done.stderr
    commands: list[tuple[str, ...]] = [
        ("judge", "first/evidence", "--area", "meta", "--out", "again"),
        ("history", "add", "again", "--to", "history.jsonl"),
        ("trend", "history.jsonl", "--out", "pages"),
        ("compare", "first", "again", "--out", "both"),
    ]
    for asked in commands:
        done = run(*asked)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (empty / "pages/index.html").exists()
    done = run("check")
    assert (done.returncode, "runstone[embedded]" in done.stderr) == (3, True), done.stderr
    assert "Traceback" not in done.stderr
