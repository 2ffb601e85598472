"""Ports of loopback, on which known servers and their services listen."""

from __future__ import annotations

import socket
from typing import Final

from runstone.target.recipes.recipe import PortTaken

HOST: Final = "127.0.0.1"


def free_port(wanted: int | None = None) -> int:
    """The wanted port if nobody listens there, or any free one. Raises PortTaken."""
    with socket.socket() as probe:
        # As servers do: a port on which only closed connections linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except (OSError, OverflowError):
            raise PortTaken(f"port {wanted} on {HOST} is taken or not allowed; choose another") from None
        return int(probe.getsockname()[1])
