"""The reference runtime, which needs the extra `embedded`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runstone.errors import UsageError


@contextmanager
def reference_runtime() -> Iterator[None]:
    """Import what it needs in this block. Raises UsageError, which tells how to install what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the reference runtime needs {error.name}; install it with: pip install 'runstone[embedded]'"
        ) from None
