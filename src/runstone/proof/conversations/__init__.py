"""Faults of conversations: agents, servers and judges that go wrong, each to be caught, none ever green.

fault    what goes wrong, and the registry     agents, servers, judges   the faults, by who goes wrong
desk     an agent behind the run API           model_server              a model that answers as it is told
playing  scenarios on a desk, in this process  proving, outcome          each played, and what it results in
"""

from __future__ import annotations

from collections.abc import Mapping

from runstone.proof.conversations import agents, judges, servers  # noqa: F401 - they register their faults
from runstone.proof.conversations.fault import Wrong, registered

__all__ = ["Wrong", "load_faults"]


def load_faults() -> Mapping[str, Wrong]:
    """Every fault of a conversation by its name."""
    return registered
