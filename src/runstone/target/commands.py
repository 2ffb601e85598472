"""The commands by which the user's own server is restarted and killed, as runstone.toml names them."""

from __future__ import annotations

import msgspec


class ServerCommands(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the user's own server is controlled: commands, which no shell reads.

    Each is ended after `timeout_s` seconds, which is also how long the server may take to answer again.
    """

    restart: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    timeout_s: float = 30.0

    @property
    def capabilities(self) -> dict[str, bool]:
        """What can be done with these commands."""
        found = {"restart": bool(self.restart), "kill": bool(self.kill and self.start)}
        return {name: True for name, given in found.items() if given}
