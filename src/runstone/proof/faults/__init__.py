"""What the reference runtime can be made to do wrong, and what it may do otherwise.

    fault       a promise broken, and the registry    seams    where a change is planted
    variants    what a correct server may do          the other modules: the faults, by theme

The runtime knows nothing of it: a change replaces one of its methods from outside, before it starts.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from runstone.proof.faults.fault import Change, UnknownFault, fault, planted, variant

__all__ = ["Change", "UnknownFault", "load_faults", "load_variants", "planted", "selected"]


def load_faults() -> Mapping[str, Change]:
    """Every fault by its name. Raises ModuleNotFoundError without the extra `embedded`."""
    _load()
    return fault.changes


def load_variants() -> Mapping[str, Change]:
    """Every variant by its name. Raises ModuleNotFoundError without the extra `embedded`."""
    _load()
    return variant.changes


def selected(faults: tuple[str, ...], variants: tuple[str, ...]) -> list[Change]:
    """The changes of these names. Raises UnknownFault."""
    if not (faults or variants):
        return []  # importing them all would be a tenth of the start of a server
    _load()
    return [*map(fault.named, faults), *map(variant.named, variants)]


def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
