"""What a conversation with a fault in it results in."""

from __future__ import annotations

from typing import Literal

import msgspec

from runstone.proof.conversations.fault import Who
from runstone.verdict.scenarios import Result


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of an agent, a server or a judge, and the verdict on the scenario that was played with it.

    `wanted`: the verdict that it must result in; `pass` where there is no fault. `kept`: how many assertions
    were. `trouble`: why the verdict cannot be trusted. `first_try`: why it was played once more.
    """

    name: str
    statement: str
    who: Who
    wanted: Literal["pass", "fail", "flaky", "judge-error"]
    verdict: Result
    reason: str
    kept: int
    trouble: str = ""
    first_try: str = ""

    @property
    def caught(self) -> bool:
        """Whether it results in the verdict that it must, with a reason."""
        return not self.shortcoming

    @property
    def shortcoming(self) -> str:
        """What is wrong with the verdict; empty where nothing is."""
        if self.trouble:
            return self.trouble
        if self.verdict != self.wanted:
            return f"it is {self.verdict}, not {self.wanted}" + (f": {self.reason}" if self.reason else "")
        return "" if self.reason or self.wanted == "pass" else "no reason is given"
