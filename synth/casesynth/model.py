"""The latent class model: a mixture of classes in which columns are independent, fitted to the contrasts.

Everything here is post-processing of noisy measurements.

1. Prior shares b come from the noisy one-way contrasts.
2. The prior's stiffness is chosen by Gaussian thinning: fit one part of the noise, validate on an independent part. That reads noisy numbers only and costs no budget (privacy rule 6).
3. The released model is the union of the classes of several starts, their weights divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from casesynth._objective import F32, Objective, softmax
from casesynth.contrasts import Contrasts, Floats, basis
from casesynth.progress import Progress, silent
from casesynth.seeded import generator
from casesynth.threads import WORKERS, Check, side_by_side

BETAS = (0.9, 0.95)
SPREAD = 0.7
"""Standard deviation of the starting scores around the prior."""
RATE_START, RATE_END = 0.2, 0.01
LADDER = (0.04, 0.02, 0.01, 0.005, 0.002, 0.0005)
"""Stiffness per person tried by the pilots, stiffest first."""
CHI_RISE = 10.0
"""The pilots stop when the validation chi-square has risen by this."""
STIFFER = 1.5
"""Counts of rare combinations want a stiffer prior than the chi-square does."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How hard to fit; public constants."""

    classes: int = 150
    steps: int = 400
    starts: int = 2
    pilot_classes: int = 100
    pilot_steps: int = 200


@dataclass(frozen=True, kw_only=True)
class LatentClassModel:
    """A fitted mixture. Made from protected numbers only; may be published."""

    people: float
    """Noisy number of people."""
    people_sigma: float
    """Standard deviation of its noise."""
    weights: Floats
    """Share of each class, shape (K,)."""
    shares: tuple[Floats, ...]
    """Per column of the domain, value shares of each class, shape (C, K)."""
    stiffness: float
    """Chosen stiffness per person."""
    residual: tuple[float, float, float]
    """Root mean square of residual over noise, per order 1 to 3; near 1 when the model says what the measurements say."""

    def marginal(self, columns: Sequence[int]) -> Floats:
        """Return the expected number of people in each cell of a table over one to three columns."""
        w = self.weights * self.people
        parts = [self.shares[column] for column in columns]
        if len(parts) == 1:
            result: Floats = parts[0] @ w
        elif len(parts) == 2:
            result = (parts[0] * w) @ parts[1].T
        else:
            pair = (parts[0][:, None, :] * parts[1][None, :, :]).reshape(-1, len(w))
            result = ((pair * w) @ parts[2].T).reshape(len(parts[0]), len(parts[1]), -1)
        return result


def prior_shares(contrasts: Contrasts) -> F32:
    """Return the prior share of every value from noisy one-way contrasts, concatenated in layout order.

    Shares below half a standard error are raised to it: noise must not make a value impossible.
    """
    shares = []
    people = max(contrasts.people, 1.0)
    for offset, size in zip(contrasts.layout.offsets, contrasts.layout.sizes, strict=True):
        c = contrasts.c1[offset : offset + size - 1]
        sigma = 1 / math.sqrt(contrasts.q1[offset])
        raw = (basis(size)[1:].T @ c) / people + 1 / size
        clipped = np.maximum(raw, sigma / (2 * people))
        shares.append(clipped / clipped.sum())
    return np.concatenate(shares).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Point:
    logits: F32
    scores: F32


def _descend(
    objective: Objective,
    *,
    classes: int,
    steps: int,
    rate: float,
    stiffness: float,
    random: np.random.Generator,
    check: Check,
) -> _Point:
    """Run Adam from a random start and return where it ends."""
    noise = random.standard_normal((len(objective.log_shares), classes)).astype(np.float32)
    logits = np.zeros(classes, dtype=np.float32)
    scores = objective.log_shares[:, None] + np.float32(SPREAD) * noise
    moments = [(np.zeros_like(x), np.zeros_like(x)) for x in (logits, scores)]
    fall = [1.0, 1.0]
    for step in range(steps):
        if step % 20 == 0:
            check()
        gradient = objective.gradient(logits, scores, stiffness)
        now = np.float32(rate + (RATE_END - rate) * step / max(steps - 1, 1))
        fall = [fall[0] * BETAS[0], fall[1] * BETAS[1]]
        for x, g, (m, v) in zip((logits, scores), (gradient.logits, gradient.scores), moments, strict=True):
            m *= np.float32(BETAS[0])
            m += np.float32(1 - BETAS[0]) * g
            v *= np.float32(BETAS[1])
            v += np.float32(1 - BETAS[1]) * g * g
            x -= now * (m / np.float32(1 - fall[0])) / (np.sqrt(v / np.float32(1 - fall[1])) + np.float32(1e-12))
    return _Point(logits=logits, scores=scores)


def fit(
    contrasts: Contrasts, seed: bytes, *, settings: FitSettings | None = None, progress: Progress = silent
) -> LatentClassModel:
    """Fit the model to contrasts.

    Args:
        contrasts: combined noisy measurements.
        seed: digest of the measurements; the same seed repeats the fit.
        settings: how hard to fit.
        progress: called often; raising from it cancels.
    """
    settings = settings or FitSettings()
    shares = prior_shares(contrasts)
    stiffness = _choose(contrasts, shares, seed, settings, progress)
    return _released(contrasts, shares, seed, stiffness, settings, progress)


def refit(
    contrasts: Contrasts,
    seed: bytes,
    *,
    stiffness: float,
    settings: FitSettings | None = None,
    progress: Progress = silent,
) -> LatentClassModel:
    """Fit with a stiffness that is already chosen."""
    return _released(contrasts, prior_shares(contrasts), seed, stiffness, settings or FitSettings(), progress)


def _released(
    contrasts: Contrasts, shares: F32, seed: bytes, stiffness: float, settings: FitSettings, progress: Progress
) -> LatentClassModel:
    objective = Objective(contrasts, shares)

    def start(place: int) -> Callable[[Check], _Point]:
        return lambda check: _descend(
            objective,
            classes=settings.classes,
            steps=settings.steps,
            rate=RATE_START,
            stiffness=stiffness * float(objective.people),
            random=generator(seed, f"start {place}"),
            check=check,
        )

    points = side_by_side([start(place) for place in range(settings.starts)], lambda: progress("fit", None))
    return _union(contrasts, objective, points, stiffness)


def _choose(contrasts: Contrasts, shares: F32, seed: bytes, settings: FitSettings, progress: Progress) -> float:
    """Choose the stiffness per person by Gaussian thinning."""
    part, rest = contrasts.thinned(generator(seed, "thinning"))
    objective, judge = Objective(part, shares), Objective(rest, shares)

    def pilot(stiffness: float) -> Callable[[Check], float]:
        def run(check: Check) -> float:
            point = _descend(
                objective,
                classes=settings.pilot_classes,
                steps=settings.pilot_steps,
                rate=RATE_START,
                stiffness=stiffness * float(objective.people),
                random=generator(seed, "pilot"),
                check=check,
            )
            return sum(judge.chi_square(point.logits, point.scores))

        return run

    best, best_chi = LADDER[0], math.inf
    for first in range(0, len(LADDER), WORKERS):
        rungs = LADDER[first : first + WORKERS]
        found = side_by_side([pilot(rung) for rung in rungs], lambda: progress("fit", None))
        for stiffness, chi in zip(rungs, found, strict=True):
            if chi > best_chi + CHI_RISE:
                return STIFFER * best
            if chi < best_chi:
                best, best_chi = stiffness, chi
    return STIFFER * best


def _union(contrasts: Contrasts, objective: Objective, points: Sequence[_Point], stiffness: float) -> LatentClassModel:
    """Return the released model: the classes of all starts together."""
    logits = np.concatenate([np.log(softmax(point.logits)) for point in points]).astype(np.float32)
    scores = np.concatenate([point.scores for point in points], axis=1)
    weights = softmax(logits).astype(np.float64)
    weights /= weights.sum()
    values = objective.probabilities(scores).astype(np.float64)
    layout = contrasts.layout
    by_column: dict[int, Floats] = {}
    for column, start, size in zip(layout.order, objective.starts, layout.sizes, strict=True):
        part = values[start : start + size]
        by_column[column] = part / part.sum(axis=0)
    chi = objective.chi_square(logits, scores)
    counts = [int((q > 0).sum()) for q in (contrasts.q1, contrasts.q2, contrasts.q3)]
    residual = tuple(math.sqrt(c / max(m, 1)) for c, m in zip(chi, counts, strict=True))
    return LatentClassModel(
        people=contrasts.people,
        people_sigma=math.sqrt(contrasts.people_variance),
        weights=weights,
        shares=tuple(by_column[i] for i in range(len(layout.order))),
        stiffness=stiffness,
        residual=(residual[0], residual[1], residual[2]),
    )
