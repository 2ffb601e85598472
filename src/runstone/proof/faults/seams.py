"""The seams of the reference runtime: where its behaviour can be changed from outside, and changed back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar
from unittest.mock import patch

_Replacement = TypeVar("_Replacement", bound=Callable[..., Any])


class Seams:
    """What a fault or a variant changes; the runtime itself knows nothing of it.

    Each method is a decorator: the function below it takes the place of what is named, and is called with
    the original first, then with the original's own arguments. Everything is put back by `close`.
    """

    def __init__(self) -> None:
        self._changes = ExitStack()

    def around(self, owner: object, name: str) -> Callable[[_Replacement], _Replacement]:
        """A method of a class, or a function of the module that calls it."""
        original = getattr(owner, name)

        def plant(function: _Replacement) -> _Replacement:
            @functools.wraps(original)
            def planted(*args: Any, **kwargs: Any) -> Any:  # a function, not a partial: classes bind it
                return function(original, *args, **kwargs)

            self.put(owner, name, planted)
            return function

        return plant

    def put(self, owner: object, name: str, value: Any) -> None:
        """A constant of a module or a class."""
        self._changes.enter_context(patch.object(owner, name, value))

    def around_operation(self, method: str, path: str) -> Callable[[_Replacement], _Replacement]:
        """The handler of one operation, like ("POST", "/runs/wait"). Raises LookupError."""
        from runstone.reference import app

        places = [
            place
            for place, operation in enumerate(app.OPERATIONS)
            if (operation.method, operation.path) == (method, path)
        ]
        if not places:
            raise LookupError(f"the reference runtime has no {method} {path}")

        def plant(function: _Replacement) -> _Replacement:
            changed = list(app.OPERATIONS)
            for place in places:
                operation = changed[place]
                changed[place] = replace(operation, handler=functools.partial(function, operation.handler))
            self.put(app, "OPERATIONS", changed)
            return function

        return plant

    def close(self) -> None:
        """Put everything back."""
        self._changes.close()
