"""What few samples can say: the Wilson interval of a rate, and the chance that k of them all pass."""

from __future__ import annotations

from math import comb, sqrt
from statistics import NormalDist
from typing import Final

_CONFIDENCE: Final = 0.95


def wilson(passed: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of a rate (Wilson 1927; Brown, Cai and DasGupta 2001 advise it for small n).

    (0, 1) for no sample.
    """
    if not of:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2)
    rate, square = passed / of, z * z
    middle = (rate + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * sqrt(rate * (1 - rate) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def pass_k(passed: int, of: int, k: int) -> float | None:
    """The chance that k repeats, drawn without putting back, all pass: C(passed, k) / C(of, k).

    The unbiased estimate of pass^k of tau-bench (Yao et al. 2024); None for fewer samples than k.
    """
    return comb(passed, k) / comb(of, k) if of >= k else None
