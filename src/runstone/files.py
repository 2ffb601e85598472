"""Files that appear whole or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes | str) -> None:
    """Write beside the file and rename: no reader ever sees half of it. Text is UTF-8, as it stands.

    Raises OSError, and then leaves the file as it was.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
