"""`python -m runstone.contracts [NAME]`: tell in the revision in force what the catalogue promises today."""

from __future__ import annotations

import click

from runstone.contracts.catalogue import read_catalogue
from runstone.contracts.reading import shown_path
from runstone.contracts.revision import write
from runstone.errors import RunstoneError
from runstone.locations import CHECKOUT


@click.command()
@click.argument("name", required=False)
def main(name: str | None) -> None:
    """Tell in the revision in force what the catalogue promises now, or begin revision NAME, like 2026.12."""
    contracts = CHECKOUT / "contracts"  # an installation's contracts are never changed
    try:
        written = write(contracts, read_catalogue(contracts), name or None)
    except RunstoneError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"wrote {shown_path(written)}")


main()
