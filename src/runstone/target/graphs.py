"""The conformance graphs as files of the user's own, for servers that shall serve them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, Literal

from runstone.errors import UsageError
from runstone.locations import locate

Language = Literal["python", "typescript"]

_SERVE: Final[dict[Language, str]] = {
    "python": 'pip install "langgraph-cli[inmem]"\n    langgraph dev --no-browser --n-jobs-per-worker 10',
    "typescript": "npm ci --legacy-peer-deps\n    npx langgraphjs dev --no-browser --n-jobs-per-worker 10",
}
_BESIDE: Final[dict[Language, str]] = {
    "python": "conformance/ (a package without any other dependency than langgraph)",
    "typescript": "conformance/ (its packages are those of package.json)",
}
_NOTE: Final = """\
# Serving the conformance graphs

Runstone runs these graphs on the server that it checks: what they do is known to the last value. They are
deterministic, call no language model and write nothing but their own state. README.md says what each does.

**By themselves**, in this folder:

    {serve}

and from anywhere else:

    runstone check http://127.0.0.1:2024 --quick   # the first verdict, in a minute or two
    runstone check http://127.0.0.1:2024           # all of it: --quick leaves out what must wait

`--n-jobs-per-worker` says how many runs the server executes at a time. Its default is 1, with which a check
takes ten times as long: give it where you serve the graphs beside your own, too.

**Beside your own**: copy {beside} next to your own
graphs, and the entries under `graphs` of this langgraph.json into yours, with their names. Leave them out of
what goes into production. If your server needs other names, map them in runstone.toml:

    [assistants]
    echo = "conformance-echo"

The `webhooks` of langgraph.json lets a server of the official kind call back to this machine.
"""


def export(folder: Path, language: Language) -> list[Path]:
    """Write the graphs, their langgraph.json and a note on serving them; what was written, by its place.

    Raises UsageError where there is something already, or where it cannot be written to.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; name a new folder for the graphs")
    graphs = locate("fixtures") / "graphs"
    try:
        shutil.copytree(
            graphs / language,
            folder,
            ignore=shutil.ignore_patterns("__pycache__", ".*", "node_modules"),
            dirs_exist_ok=True,
        )
        shutil.copy(graphs / "README.md", folder / "README.md")
        (folder / "SERVING.md").write_text(
            _NOTE.format(serve=_SERVE[language], beside=_BESIDE[language]), "utf-8"
        )
    except OSError as error:
        raise UsageError(
            f"cannot write the graphs to {folder}: {error.strerror or error}; name another folder"
        ) from None
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def how_to_serve(language: Language) -> str:
    """The commands that serve the exported graphs, in their folder."""
    return _SERVE[language].replace("\n    ", "\n")
