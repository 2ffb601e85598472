"""`runstone signoff`: put a name under evidence."""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstone.errors import ExitCode, UsageError
from runstone.report.text import for_terminal

if TYPE_CHECKING:
    from runstone.signoff.signing import Signer


@click.command("signoff")
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--by", metavar="NAME", help="Who signs, as it shall stand in the acceptance.")
@click.option("--key", type=click.Path(path_type=Path), help="Sign with this key: PKCS#8 or OpenSSH.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="The key's password, in its first line; else RUNSTONE_KEY_PASSWORD, else it is asked for.",
)
@click.option("--keyless", is_flag=True, help="Sign with the identity of this CI job, by Sigstore.")
@click.option("--unsigned", is_flag=True, help="Write it without a signature, to sign the file otherwise.")
@click.option("--server-digest", metavar="ALG:HEX", help="Of the server's image or wheel: sha256:….")
@click.option("--waivers", type=click.Path(path_type=Path), help="Accepted failures, each with its expiry.")
@click.option("--policy", type=click.Path(path_type=Path), help="What is demanded: acceptance-policy.yaml.")
@click.option("--baseline", type=click.Path(path_type=Path), help="The acceptance that this one supersedes.")
@click.option("--add-signature", is_flag=True, help="Sign the acceptance that is there, as one more signer.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: signoff, beside the evidence.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
def command(
    evidence: Path,
    by: str | None,
    key: Path | None,
    password_file: Path | None,
    keyless: bool,
    unsigned: bool,
    server_digest: str | None,
    waivers: Path | None,
    policy: Path | None,
    baseline: Path | None,
    add_signature: bool,
    out: Path | None,
    yes: bool,
) -> int:
    """Judge recorded EVIDENCE, or a load's folder, again and sign that its server keeps its promises."""
    from runstone.signoff import page, signing  # they bring in what only this needs

    if [key is not None, keyless, unsigned].count(True) != 1:
        raise UsageError("say how to sign: one of --key FILE, --keyless and --unsigned")
    if add_signature and (unsigned or by or server_digest or waivers or policy or baseline):
        raise UsageError(
            "--add-signature signs what is there: of the others only --key or --keyless go with it"
        )
    if not add_signature and not (by and by.strip()):
        raise UsageError("say who signs: --by NAME")
    evidence = evidence_in(evidence)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    folder = out or (evidence if evidence.name else evidence.resolve()).parent / "signoff"
    sign = _signer(key, password_file, keyless)
    try:
        if add_signature:
            found = signing.countersigned(folder, evidence, now)
        else:
            wanted = signing.Wanted(
                evidence=evidence,
                by=by or "",
                server_digest=digest_of(server_digest),
                waivers=waivers,
                policy=policy,
                baseline=baseline,
            )
            found = signing.draft(wanted, now)
    except signing.Refused as error:
        for reason in error.reasons:
            click.echo(for_terminal(f"refused: {reason}"), err=True)
        return error.exit_code
    click.echo(page.to_text(found.statement))
    if not yes and not _agrees(_question(key, keyless)):
        click.echo("nothing was signed or written", err=True)
        return ExitCode.NOT_CONFORMING
    path = (found if sign is None else found.signed(sign)).write(folder)
    click.echo(f"\n{'signed' if sign else 'unsigned'}: {path}")
    return ExitCode.CONFORMING


def _signer(key: Path | None, password_file: Path | None, keyless: bool) -> Signer | None:
    """How to sign; the key is opened now, so that a wrong password costs no judging. None for unsigned."""
    from runstone.signoff import keys, signing

    if keyless:
        return signing.by_identity
    if key is None:
        return None
    return signing.by_key(keys.load_private(key, keys.password_of(password_file), ask_password))


def _question(key: Path | None, keyless: bool) -> str:
    if keyless:
        return "Sign this? Sigstore publishes who signs, from which repository and when, for ever"
    return "Write this, unsigned?" if key is None else "Sign this?"


def _agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask; give --yes to sign without")
    return click.confirm(f"\n{question}")


def ask_password(name: str) -> str:
    """The password of a key, typed unseen."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"the key {name} has a password; set RUNSTONE_KEY_PASSWORD or give --password-file FILE"
        )
    typed: str = click.prompt(f"Password of {name}", hide_input=True, err=True)
    return typed


def evidence_in(given: Path) -> Path:
    """The evidence that is meant: a folder of it, or that in the folder of a load."""
    from runstone.load.reading import EVIDENCE, folder_of

    folder = folder_of(given)
    return given if folder is None else folder / EVIDENCE


def digest_of(text: str | None) -> tuple[str, str] | None:
    """The algorithm and the digits of `sha256:…`. Raises UsageError for anything else."""
    from runstone.signoff.statement import ALGORITHMS

    if text is None:
        return None
    algorithm, _, digits = text.lower().partition(":")
    length = ALGORITHMS.get(algorithm)
    if length is None or not re.fullmatch(f"[0-9a-f]{{{length}}}", digits):
        raise UsageError(
            f"--server-digest {text!r} is not a digest; write sha256: and its 64 hexadecimal digits "
            f"({', '.join(ALGORITHMS)} are known)"
        )
    return algorithm, digits
