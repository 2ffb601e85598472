"""`runstone explore`: make up stories, and print the shortest that breaks a promise as a script."""

from __future__ import annotations

from pathlib import Path

import click

from runstone.cli.checking import progress_bar, show
from runstone.explore import broken_stories, script, stories_of
from runstone.judging import judge
from runstone.opening import Asked, open_session
from runstone.session import Session


@click.command()
@click.argument("target", required=False)
@click.option("--budget", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which stories.")
@click.option("--profile", default=None, help="Default: langgraph.")
@click.option("--header", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the reports go.")
@click.option("--config", type=click.Path(path_type=Path), help="Default: runstone.toml, if there is one.")
def explore(
    target: str | None,
    budget: float,
    seed: int,
    profile: str | None,
    header: tuple[str, ...],
    out: Path | None,
    config: Path | None,
) -> int:
    """Make up stories of requests for TARGET, and tell the shortest that breaks a promise as a script.

    The same as `check --area explore`, and the script: it goes to story.sh beside the report.
    """
    asked = Asked(
        target=target,
        default_target="embedded",
        config=config,
        profile=profile,
        headers=header,
        budget_s=budget,
        seed=seed,
        areas=("explore",),
        out=out,
    )
    with progress_bar() as progress:
        session = open_session(asked, progress)
        found = judge(session)
    code = show(found, session.settings.out)
    _tell(session, seed)
    return code


def _tell(session: Session, seed: int) -> None:
    trace = session.traces.get("explore")
    if trace is None:
        return
    told = stories_of(trace)
    click.echo(f"\ntold {len(told)} stories in {len(trace.exchanges)} requests, seed {seed}")
    broken = broken_stories(told, session.settings.profile, trace.notes.get("settle_s", 0.0))
    if broken:
        path = session.settings.out / "story.sh"
        path.write_text(script(broken[0]))
        click.echo(f"the shortest that breaks a promise, in {path}:\n\n{path.read_text()}")
