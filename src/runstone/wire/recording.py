"""What is being recorded of one scenario, while it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runstone.wire.documents import encoded
from runstone.wire.exchange import Exchange


class Recording:
    """What the parts of one scenario share: exchanges, their numbers, notes, and why a part ended early."""

    def __init__(self, scenario: str) -> None:
        self.scenario = scenario
        self.exchanges: list[Exchange] = []
        self.notes: dict[str, Any] = {}
        self.blocked: dict[str, str] = {}
        self.inapplicable: dict[str, str] = {}
        self.sent = 0

    def note(self, facts: Mapping[str, Any]) -> None:
        """Keep what the wire does not say. Raises TypeError for what is not JSON."""
        # As evidence will hold them: plain JSON, copied, and well-formed whatever a target put into an id.
        text = encoded(dict(facts)).encode("utf-8", "replace")
        self.notes.update(json.loads(text))

    def next_number(self) -> int:
        """The number of the exchange that begins now: 1 for the scenario's first."""
        self.sent += 1
        return self.sent
