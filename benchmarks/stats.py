"""The statistics of the bench: paired ratios, their median, a bootstrap interval, and the verdict on a bound.

Two proxies are compared only within a round, because the machine drifts between rounds. The gate is lenient on purpose:
a bound counts as missed only when the whole 90 % interval lies past it. Plain Python: a run has tens of figures.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEVEL = 0.9
RESAMPLES = 10_000
SEED = 20_251

MET, OPEN, MISSED = "met", "open", "missed"


@dataclass(frozen=True)
class Estimate:
    """A median with its bootstrap interval, `n` the number of figures behind it."""

    median: float
    low: float
    high: float
    n: int


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """The ratios ours / theirs, pairwise. Raises ValueError when they are not paired or a divisor is not above 0."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} figures cannot be paired with {len(theirs)}")
    if any(t <= 0 for t in theirs):
        raise ValueError("a divisor is not above 0")
    return [o / t for o, t in zip(ours, theirs, strict=True)]


def quantile(ordered: Sequence[float], q: float) -> float:
    """The q-quantile (0..1) of sorted figures, between neighbours by straight line. Raises ValueError for none."""
    if not ordered:
        raise ValueError("no figures")
    at = q * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def bootstrap(
    figures: Sequence[float], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """The percentile interval of the median: the same figures always give the same one. Raises ValueError for none."""
    if not figures:
        raise ValueError("no figures")
    chance = random.Random(seed)
    medians = sorted(median(chance.choices(figures, k=len(figures))) for _ in range(resamples))
    tail = (1 - level) / 2
    return quantile(medians, tail), quantile(medians, 1 - tail)


def estimate(figures: Sequence[float], level: float = LEVEL) -> Estimate:
    """Median and interval of `figures`. Raises ValueError for none."""
    low, high = bootstrap(figures, level)
    return Estimate(median(figures), low, high, len(figures))


def verdict(ratio: Estimate, bound: float) -> str:
    """`met`: the median is within the bound; `missed`: the whole interval is past it; `open`: in between."""
    if ratio.median <= bound:
        return MET
    return MISSED if ratio.low > bound else OPEN
