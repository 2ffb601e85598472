"""Whether a target has a capability (contracts/capabilities.yaml), as far as anything is known of it."""

from __future__ import annotations

import msgspec


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """What the target says it can do, and what the probe found; None where nothing is known.

    `reason`: why it is absent, where that is not the target's doing.
    """

    declared: bool | None = None
    probed: bool | None = None
    reason: str = ""

    @property
    def known(self) -> bool:
        """Whether anybody has said or found anything of it."""
        return self.declared is not None or self.probed is not None

    @property
    def present(self) -> bool:
        """Judged unless undeclared and not found: a declared one that is absent shall fail, not vanish."""
        return bool(self.declared) or bool(self.probed)
