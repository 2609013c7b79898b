"""The latent class model: a mixture of classes in which columns are independent, fitted to the contrasts.

Everything here is post-processing of noisy measurements.

1. Prior shares come from the noisy one-way contrasts; values that nobody seems to have are one value to the fit (`casesynth.folds`).
2. The prior's stiffness is chosen by Gaussian thinning: fit one part of the noise, validate on an independent part. How many classes and steps
   are worth their time is chosen by what the best pilot leaves unsaid. Both read noisy numbers only and cost no budget (privacy rule 6).
3. The released model is the union of the classes of several starts, their weights divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from casesynth._features import F32, Features
from casesynth._objective import Objective, softmax
from casesynth.contrasts import Contrasts, Floats
from casesynth.links import Link, checked, joint, related
from casesynth.progress import Progress, silent
from casesynth.seeded import generator
from casesynth.threads import Check, side_by_side

BETAS = (0.9, 0.95)
SPREAD = 0.7
"""Standard deviation of the starting scores around the prior."""
RATE_START, RATE_END = 0.3, 0.01
LADDER = (0.04, 0.02, 0.01, 0.005, 0.002, 0.0005)
"""Stiffness per person that pilots may try, stiffest first."""
MIDDLE = 2
"""The first two pilots try this rung and the next; the others go on from the better one, away from the other, while it gets better."""
CHI_MARGIN = 20.0
"""A looser prior has to lower the validation chi-square by so much: where that says little, the stiffer one is the better one for counts."""
EFFORTS = ((1.05, 1.0), (1.5, 1.5), (math.inf, 2.0))
"""Up to which order-2 residual of the best pilot, in units of the noise, how many times the classes are fitted: what so few classes cannot
say shows in the noisy numbers."""
STEPS_MOST = 1.5
"""Most times the steps."""
STIFFER = 1.5
"""Counts of rare combinations want a stiffer prior than the chi-square does."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How hard to fit; public constants."""

    classes: int = 75
    steps: int = 340
    starts: int = 3
    pilot_classes: int = 100
    pilot_steps: int = 160

    def harder(self, effort: float) -> FitSettings:
        """Return settings with `effort` times the classes, and steps to match."""
        return replace(self, classes=round(self.classes * effort), steps=round(self.steps * min(effort, STEPS_MOST)))


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
    links: tuple[Link, ...] = ()
    """Columns that follow from another one; their shares say so already."""

    def linked(self, links: Sequence[Link]) -> LatentClassModel:
        """Return the model with more links. Shares of a linked column follow from its source; it may be a new one, behind the others.

        Raises:
            LinkError: a linked column has two sources, or is a source.
        """
        if not links:
            return self
        every = (*self.links, *links)
        checked(every)
        shares = dict(enumerate(self.shares))
        for link in every:
            shares[link.column] = link.follow(shares[link.source])
        return replace(self, shares=tuple(shares[column] for column in range(len(shares))), links=every)

    def marginal(self, columns: Sequence[int], values: Sequence[NDArray[np.int64]] | None = None) -> Floats:
        """Return the expected number of people in each cell of a table over one to three columns.

        Args:
            columns: positions in the domain.
            values: for each column of the domain, the values that the table has; by default all.
        """
        w = self.weights * self.people
        if related(columns, self.links):
            wanted = None if values is None else {column: values[column] for column in columns}
            linked: Floats = joint(columns, self.shares, self.links, wanted) @ w
            return linked
        parts = [self.shares[column] if values is None else self.shares[column][values[column]] for column in columns]
        if len(parts) == 1:
            result: Floats = parts[0] @ w
        elif len(parts) == 2:
            result = (parts[0] * w) @ parts[1].T
        else:
            pair = (parts[0][:, None, :] * parts[1][None, :, :]).reshape(len(parts[0]) * len(parts[1]), len(w))
            result = ((pair * w) @ parts[2].T).reshape(len(parts[0]), len(parts[1]), len(parts[2]))
        return result


@dataclass(frozen=True, kw_only=True)
class _Point:
    logits: F32
    scores: F32


class _Path:
    """Adam's memory of one array, which it moves in place."""

    def __init__(self, array: F32) -> None:
        self.array = array
        self.mean, self.square, self._spare = (np.zeros_like(array) for _ in range(3))

    def move(self, gradient: F32, rate: float, step: int) -> None:
        """Take one step; the gradient's memory is used up."""
        mean, square, spare = self.mean, self.square, self._spare
        np.multiply(gradient, gradient, out=spare)
        spare *= np.float32(1 - BETAS[1])
        square *= np.float32(BETAS[1])
        square += spare
        gradient *= np.float32(1 - BETAS[0])
        mean *= np.float32(BETAS[0])
        mean += gradient
        np.sqrt(square, out=spare)
        spare += np.float32(1e-12)
        np.divide(mean, spare, out=spare)
        fall = [1 - beta ** (step + 1) for beta in BETAS]
        spare *= np.float32(rate * math.sqrt(fall[1]) / fall[0])
        self.array -= spare


def _descend(
    objective: Objective,
    *,
    classes: int,
    steps: int,
    stiffness: float,
    random: np.random.Generator,
    check: Check,
) -> _Point:
    """Run Adam from a random start and return where it ends."""
    noise = random.standard_normal((len(objective.log_shares), classes)).astype(np.float32)
    logits = np.zeros(classes, dtype=np.float32)
    scores = objective.log_shares[:, None] + np.float32(SPREAD) * noise
    paths = [_Path(logits), _Path(scores)]
    for step in range(steps):
        if step % 20 == 0:
            check()
        gradient = objective.gradient(logits, scores, stiffness)
        now = RATE_START + (RATE_END - RATE_START) * step / max(steps - 1, 1)
        for path, g in zip(paths, (gradient.logits, gradient.scores), strict=True):
            path.move(g, now, step)
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
    features = Features.of(contrasts)
    stiffness, effort = _choose(contrasts, features, seed, settings, progress)
    return _released(contrasts, features, seed, stiffness, settings.harder(effort), progress)


def refit(
    contrasts: Contrasts, seed: bytes, *, stiffness: float, settings: FitSettings, progress: Progress = silent
) -> LatentClassModel:
    """Fit with a stiffness and an effort that are already chosen."""
    return _released(contrasts, Features.of(contrasts), seed, stiffness, settings, progress)


def _released(
    contrasts: Contrasts,
    features: Features,
    seed: bytes,
    stiffness: float,
    settings: FitSettings,
    progress: Progress,
) -> LatentClassModel:
    objective = Objective(features, contrasts)

    def start(place: int) -> Callable[[Check], _Point]:
        return lambda check: _descend(
            objective,
            classes=settings.classes,
            steps=settings.steps,
            stiffness=stiffness * float(objective.people),
            random=generator(seed, f"start {place}"),
            check=check,
        )

    points = side_by_side([start(place) for place in range(settings.starts)], lambda: progress("fit", None))
    return _union(contrasts, features, objective, points, stiffness)


@dataclass(frozen=True, kw_only=True)
class _Pilot:
    """One fit to a part of the noise, judged on the rest."""

    stiffness: float
    chi: float
    """Validation chi-square."""
    left: float
    """Order-2 residual in units of the noise: what the classes could not say."""


def _choose(
    contrasts: Contrasts, features: Features, seed: bytes, settings: FitSettings, progress: Progress
) -> tuple[float, float]:
    """Choose the stiffness per person by Gaussian thinning, and the effort by what the best pilot could not say."""
    part, rest = contrasts.thinned(generator(seed, "thinning"))
    objective, judge = (Objective(features, half, long_pair=1.0) for half in (part, rest))
    pairs = max(objective.measured[1], 1)

    def pilot(stiffness: float) -> Callable[[Check], _Pilot]:
        def run(check: Check) -> _Pilot:
            point = _descend(
                objective,
                classes=settings.pilot_classes,
                steps=settings.pilot_steps,
                stiffness=stiffness * float(objective.people),
                random=generator(seed, "pilot"),
                check=check,
            )
            left = math.sqrt(objective.chi_square(point.logits, point.scores)[1] / pairs)
            chi = sum(judge.chi_square(point.logits, point.scores))
            return _Pilot(stiffness=stiffness, chi=chi, left=left)

        return run

    def tried(rungs: Sequence[float]) -> list[_Pilot]:
        return side_by_side([pilot(rung) for rung in rungs], lambda: progress("fit", None))

    best = _best(tried)
    return STIFFER * best.stiffness, _effort(best.left)


def _best(tried: Callable[[Sequence[float]], Sequence[_Pilot]]) -> _Pilot:
    """Return the best pilot: from the middle of the ladder on, the way that gets better; a looser prior has to be better by `CHI_MARGIN`."""
    stiffer, looser = tried(LADDER[MIDDLE : MIDDLE + 2])
    if looser.chi < stiffer.chi - CHI_MARGIN:
        best, beyond, margin = looser, LADDER[MIDDLE + 2 :], CHI_MARGIN
    else:
        best, beyond, margin = stiffer, LADDER[:MIDDLE][::-1], 0.0
    for rung in beyond:
        (found,) = tried([rung])
        if found.chi >= best.chi - margin:
            break
        best = found
    return best


def _effort(left: float) -> float:
    return next(effort for most, effort in EFFORTS if left <= most)


def _union(
    contrasts: Contrasts, features: Features, objective: Objective, points: Sequence[_Point], stiffness: float
) -> LatentClassModel:
    """Return the released model: the classes of all starts together."""
    logits = np.concatenate([np.log(softmax(point.logits)) for point in points]).astype(np.float32)
    scores = np.concatenate([point.scores for point in points], axis=1)
    weights = softmax(logits).astype(np.float64)
    weights /= weights.sum()
    values = features.by_column(objective.probabilities(scores).astype(np.float64))
    by_column = dict(zip(contrasts.layout.order, values, strict=True))
    chi = objective.chi_square(logits, scores)
    residual = tuple(math.sqrt(c / max(m, 1)) for c, m in zip(chi, objective.measured, strict=True))
    return LatentClassModel(
        people=contrasts.people,
        people_sigma=math.sqrt(contrasts.people_variance),
        weights=weights,
        shares=tuple(by_column[i] for i in range(len(by_column))),
        stiffness=stiffness,
        residual=(residual[0], residual[1], residual[2]),
    )
