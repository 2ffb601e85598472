"""Functions of the user's own that judge: run only where the user says that they are trusted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from runstone.conversations.assertions import OwnCheck
from runstone.errors import UsageError


class NoFunction(UsageError):  # noqa: N818 - named as what it reports
    """A scenario names a function that cannot be imported."""


def trusted(folders: tuple[Path, ...]) -> Callable[[str], OwnCheck]:
    """What finds a function by `module:function`, in these folders and where Python looks anyway."""
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return _found


def _found(named: str) -> OwnCheck:
    """Raises NoFunction."""
    module, _, name = named.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NoFunction(f"{named} cannot be imported: {error}") from None
    if not callable(function):
        raise NoFunction(f"{named} is not a function")
    found: OwnCheck = function
    return found
