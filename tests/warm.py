"""What the fork server of the tests imports before it forks: all that a command of Runstone may need."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from runstone.cli import cli
from runstone.proof.prove.proving import warmed

for command in cli.list_commands(click.Context(cli)):
    cli.get_command(click.Context(cli), command)  # imports it
with tempfile.TemporaryDirectory() as folder:
    warmed(Path(folder))  # and pytest, the suites, langgraph and its graphs
