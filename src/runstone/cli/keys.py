"""`runstone keys`: make a key for signing acceptances, and show its public half."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from runstone.errors import UsageError


@click.group("keys")
def command() -> None:
    """Keys that sign acceptances."""


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(["ed25519", "ecdsa"]), default="ed25519", show_default=True)
@click.option(
    "--password-file", type=click.Path(path_type=Path), help="Its first line; else it is asked for."
)
@click.option("--no-password", is_flag=True, help="Anybody who reads the file can sign with it.")
def new(path: Path, kind: str, password_file: Path | None, no_password: bool) -> None:
    """Make a private key in FILE, readable by you alone, and its public half in FILE.pub."""
    from runstone.signoff import keys as signing_keys

    if no_password and password_file is not None:
        raise UsageError("give --password-file or --no-password")
    password = None if no_password else (signing_keys.password_of(password_file) or _new_password(path))
    public = signing_keys.make(path, "ecdsa" if kind == "ecdsa" else "ed25519", password)
    click.echo(f"private key: {path} (keep it)\npublic key:  {path}.pub (give it to whoever verifies)")
    click.echo(_entry(path.stem, signing_keys.openssh(public)))


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--password-file", type=click.Path(path_type=Path), help="Of a private key.")
def show(path: Path, password_file: Path | None) -> None:
    """Show the public half of the private or public key in FILE."""
    from runstone.cli.signoff import ask_password
    from runstone.signoff import keys as signing_keys

    public = signing_keys.load_either(path, signing_keys.password_of(password_file), ask_password)
    click.echo(f"key id {public.keyid}\n{public.pem}{_entry(path.stem, signing_keys.openssh(public))}")


def _entry(name: str, openssh: str) -> str:
    """What goes into signers.yaml."""
    return f"\nsigners:\n  - name: {name}\n    key: {openssh}"


def _new_password(path: Path) -> bytes:
    if not sys.stdin.isatty():
        raise UsageError("give the key a password: set RUNSTONE_KEY_PASSWORD, or give --password-file FILE")
    typed: str = click.prompt(
        f"Password for {path.name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return typed.encode()
