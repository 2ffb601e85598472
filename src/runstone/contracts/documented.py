"""What a server's own OpenAPI document says that it serves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\{[^/]*\}")
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


def documented_routes(document: Any) -> frozenset[str]:
    """The operations of an OpenAPI document, as `POST /threads/{}/copy`; none of anything else."""
    paths = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(paths, Mapping):
        return frozenset()
    return frozenset(
        f"{method.upper()} {_PLACEHOLDER.sub('{}', path)}"
        for path, operations in paths.items()
        if isinstance(operations, Mapping)
        for method in operations
        if method in _METHODS
    )
