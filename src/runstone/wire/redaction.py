"""What takes the secrets of a target out of everything that is kept of its exchanges."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import msgspec

from runstone.wire.exchange import Comment, Event
from runstone.wire.identity import Identity

# A shorter header value is a word that bodies hold anyway; it is hidden in requests only.
_SHORTEST_SECRET = 6


class Redactor:
    """Replaces the values of secret headers, exactly as they were sent, by `[redacted:NAME]`.

    `others`: the headers of further identities, shown as `[redacted:IDENTITY NAME]`.
    """

    def __init__(
        self, secrets: Mapping[str, str], others: Mapping[Identity, Mapping[str, str]] | None = None
    ) -> None:
        everybody = [("", secrets), *((f"{who} ", theirs) for who, theirs in (others or {}).items())]
        self._names = {name.lower() for _, theirs in everybody for name in theirs}
        pairs: dict[str, str] = {}
        for who, theirs in everybody:
            for name, value in theirs.items():
                pairs.setdefault(value, who + name.lower())
        self._whole = dict(pairs)
        # `Bearer TOKEN`: a server that echoes only the token has leaked it too.
        pairs |= {value.split(" ", 1)[1]: name for value, name in list(pairs.items()) if " " in value}
        self._pairs = sorted(
            ((value, name) for value, name in pairs.items() if len(value) >= _SHORTEST_SECRET),
            key=lambda pair: -len(pair[0]),
        )

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for value, name in self._pairs:
            if value in text:
                text = text.replace(value, f"[redacted:{name}]")
        return text

    def headers(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Headers with lower-case names; those that carry a secret are hidden whatever their length."""
        return tuple(
            (
                name.lower(),
                self._hidden(name.lower(), value) if name.lower() in self._names else self.text(value),
            )
            for name, value in headers
        )

    def _hidden(self, name: str, value: str) -> str:
        return f"[redacted:{self._whole.get(value, name)}]"

    def response_headers(self, headers: httpx.Headers) -> tuple[tuple[str, str], ...]:
        """Every response header, names in lower case, without the secrets."""
        return tuple((name.lower(), self.text(value)) for name, value in headers.multi_items())

    def event(self, event: Event) -> Event:
        """The event without the secrets."""
        name, data = self.text(event.event), self.text(event.data)
        own_id = None if event.id is None else self.text(event.id)
        if (name, data, own_id) == (event.event, event.data, event.id):
            return event
        return msgspec.structs.replace(event, event=name, data=data, id=own_id)

    def comment(self, comment: Comment) -> Comment:
        """The comment without the secrets."""
        hidden = self.text(comment.text)
        return comment if hidden == comment.text else msgspec.structs.replace(comment, text=hidden)
