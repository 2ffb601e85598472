"""`runstone verify`: what an acceptance is worth, asked offline."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runstone.cli.signoff import digest_of, evidence_in
from runstone.errors import ExitCode, UsageError
from runstone.report.text import for_terminal

if TYPE_CHECKING:
    from runstone.signoff.verification import Findings

_COLOURS: Final = {"yes": "green", "no": "red", "not asked": "yellow"}


@click.command("verify")
@click.argument("acceptance", type=click.Path(path_type=Path))
@click.option("--evidence", type=click.Path(path_type=Path), help="Judge this again, and compare.")
@click.option("--signers", type=click.Path(path_type=Path), help="A public key, or signers.yaml.")
@click.option("--unsigned-ok", is_flag=True, help="Do not ask who signed: you know it otherwise.")
@click.option("--trusted-root", type=click.Path(path_type=Path), help="For keyless signatures: Sigstore's.")
@click.option("--policy", type=click.Path(path_type=Path), help="What is demanded: acceptance-policy.yaml.")
@click.option("--server-digest", metavar="ALG:HEX", help="Of the server that you are about to use.")
@click.option("--baseline", type=click.Path(path_type=Path), help="The acceptance that it must supersede.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the report here, sealed if all is yes.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def command(
    acceptance: Path,
    evidence: Path | None,
    signers: Path | None,
    unsigned_ok: bool,
    trusted_root: Path | None,
    policy: Path | None,
    server_digest: str | None,
    baseline: Path | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Ask of an ACCEPTANCE: is it authentic, bound, intact, derivable, acceptable? Needs no network.

    Exit code 0 when all that was asked is yes, 1 when something is no, 2 for a wrong call, 3 for what
    cannot be read.
    """
    from runstone.signoff import keyless, lines, sealing, verification
    from runstone.signoff import policy as policies
    from runstone.signoff import signers as known

    if unsigned_ok and (signers or trusted_root):
        raise UsageError("--unsigned-ok asks nobody; leave it out, or --signers and --trusted-root")
    if html is not None and evidence is None:
        raise UsageError("--html shows the evidence; give --evidence DIR too")
    if unsigned_ok and not (evidence or policy or server_digest or baseline):
        raise UsageError("nothing is asked; give --evidence, --policy, --server-digest or --baseline")
    asked = verification.Questions(
        evidence=None if evidence is None else evidence_in(evidence),
        server_digest=digest_of(server_digest),
        signers=() if signers is None else known.load(signers),
        root=None if trusted_root is None else keyless.load_root(trusted_root),
        unsigned_ok=unsigned_ok,
        policy=None if policy is None else policies.load(policy),
        baseline=None if baseline is None else lines.read(baseline),
    )
    now = dt.datetime.now(dt.UTC)
    found = verification.verify(lines.read(acceptance), asked, now)
    _show_as_json(found) if as_json else _show(found)
    if html is not None and not sealing.write_report(found, html, now):
        click.echo(f"no report was written to {html}: the evidence was not judged again", err=True)
    return ExitCode.CONFORMING if found.accepted else ExitCode.NOT_CONFORMING


def _show(found: Findings) -> None:
    from runstone.signoff import page

    click.echo(for_terminal(page.headline(found.file.acceptance.predicate)))
    for name, each in found.answers.items():
        word = click.style(f"{each.answer:<10}", fg=_COLOURS[each.answer])
        click.echo(f"{name:<11}{word}{for_terminal(each.reason)}")
    click.echo("accepted" if found.accepted else "refused")


def _show_as_json(found: Findings) -> None:
    click.echo(json.dumps(found.document(), indent=2))
