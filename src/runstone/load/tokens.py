"""What each start and each run is known by, and bags of them that are compared without being kept."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Final

from runstone.load.model import Tally

METADATA: Final = "runstone_load"  # the key under which everything made carries the session
TOKEN: Final = "runstone_token"  # noqa: S105 - the key under which it carries its own token
_MODULUS: Final = 1 << 128


def start_token(session: str, worker: int, number: int) -> str:
    """The token of a worker's start. All have the same form, so that none is the beginning of another."""
    return f"{session}-{worker}-{number:08x}"


def run_token(start: str, number: int) -> str:
    """The token of one of the runs of a start."""
    return f"{start}.{number}"


@cache
def _tokens_of(session: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(session)}-\d+-[0-9a-f]{{8}}")


def foreign(text: str, session: str, own: str) -> str:
    """The first token of another start of this session that the text holds; '' for none."""
    return next((found for found in _tokens_of(session).findall(text) if found != own), "")


class Bag:
    """Runs by their number and a sum of keyed hashes: a run that is lost and one that is doubled both show.

    An exclusive or would not do: it forgets what comes twice.
    """

    def __init__(self, session: str) -> None:
        self._key = session.encode()[:64]
        self.count = 0
        self.sum = 0

    def add(self, token: str) -> None:
        """One more."""
        self.count += 1
        digest = hashlib.blake2b(token.encode(), key=self._key, digest_size=16).digest()
        self.sum = (self.sum + int.from_bytes(digest)) % _MODULUS

    @property
    def tally(self) -> Tally:
        """What is in it, to be written down."""
        return Tally(count=self.count, sum=f"{self.sum:032x}")


def together(first: Tally, second: Tally) -> Tally:
    """Both bags in one."""
    total = (int(first.sum, 16) + int(second.sum, 16)) % _MODULUS
    return Tally(count=first.count + second.count, sum=f"{total:032x}")


NOTHING: Final = Tally(count=0, sum="0" * 32)
