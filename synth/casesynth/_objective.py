"""The objective of the latent class model and its gradient: misfit to the contrasts, weighted by precision, plus the prior.

With classes k, weights w = softmax(a), shares p = softmax(L) of the values and features z (`casesynth._features`), the model's contrast of a set S is
n sum_k w_k prod_{i in S} z_ki. The objective is

    1/2 sum_S v_S q_S |model_S - c_S|^2 + stiffness sum_k w_k sum_i s_i KL(p_ki || b_i) + |L - log b|^2 / (2 tau^2) - 1/K sum_k log w_k.

s_i = ((C_i - 1) / 8)^0.3 for a column of C_i values: a long list has more ways to follow the noise than a flag. v_S is 2 for a pair of two long
lists and 1 for others: a class that says which two countries go together pays the stiffness of both, and large cells of such a pair were left
several standard errors from their noisy counts. tau grows with the noisy number of people, from 4 to 8.
Arrays are laid out (features or values) x classes, float32: the work is matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth._features import F32, Features
from casesynth.contrasts import Contrasts
from casesynth.folds import FOLD_SIZE

TAU, TAU_MOST = 4.0, 8.0
"""Standard deviation of the log shares around the log of the prior shares: of few people, and of many."""

TAU_PEOPLE = 12_500.0
"""Beyond so many people it grows with the root of their number."""

LONG_PAIR = 2.0
"""A pair of two lists long enough to fold counts so many times in the fit."""

STIFFER_POWER = 0.3
"""How fast the stiffness of a column grows with its freedom, the number of its values less one."""

USUAL_FREEDOM = 8.0
"""A column with so many values, and one more, is as stiff as is said."""

RAISED_SAFELY = 60.0
"""Scores up to this far from zero are raised as they are: single precision reaches e to the 88."""

BAND_FEATURES = 48
"""Short columns go together until they have so many features: small matrix products waste time."""


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Derivative of the objective."""

    logits: F32
    """By the class logits a, shape (K,)."""
    scores: F32
    """By the scores L, shape (scores, K)."""


class Objective:
    """Misfit of a latent class model to one set of contrasts.

    Args:
        features: where values and features stand.
        contrasts: what the model is fitted to.
        long_pair: how many times a pair of two lists that are long enough to fold counts; a pilot, which chooses the stiffness, counts it once.
    """

    def __init__(self, features: Features, contrasts: Contrasts, *, long_pair: float = LONG_PAIR) -> None:
        self.people = np.float32(max(contrasts.people, 1.0))
        spread = float(np.clip(TAU * np.sqrt(self.people / TAU_PEOPLE), TAU, TAU_MOST))
        self._hold = np.float32(1 / spread**2)
        self.starts, self.column_of = features.starts, features.column_of
        self._to_features = features.blocks
        self._within = np.equal.outer(np.arange(len(self.starts)), self.column_of).astype(np.float32)
        self.log_shares = np.log(features.prior).astype(np.float32)
        values = np.bincount(self.column_of)[self.column_of]
        self._stiffer = (((values - 1) / USUAL_FREEDOM) ** STIFFER_POWER).astype(np.float32)[:, None]
        self.c1, self.q1 = contrasts.c1.astype(np.float32), contrasts.q1.astype(np.float32)
        self._pairs = _pair_bands(contrasts, long_pair)
        self._third = np.flatnonzero((contrasts.q3 > 0).any(axis=0))
        self._bands = _third_bands(
            contrasts.c3[:, self._third].astype(np.float32), contrasts.q3[:, self._third].astype(np.float32), features
        )

    def probabilities(self, scores: F32) -> F32:
        """Return the value shares of each class: softmax within each column."""
        return self._shares(scores)[0]

    def _shares(self, scores: F32) -> tuple[F32, F32]:
        """Return the value shares of each class and their logarithms."""
        if scores.size and float(np.abs(scores).max()) > RAISED_SAFELY:
            top: F32 = np.maximum.reduceat(scores, self.starts, axis=0)
            scores = np.maximum(scores - top[self.column_of], np.float32(-RAISED_SAFELY))
        raised = np.exp(scores)
        total: F32 = self._within @ raised
        raised *= (1 / total)[self.column_of]
        return raised, scores - np.log(total)[self.column_of]

    def features(self, shares: F32) -> F32:
        """Return the features of value shares: the same linear map as a matrix of blocks, without its zeros."""
        z = np.empty((len(self.c1), shares.shape[1]), dtype=np.float32)
        for rows, columns, block in self._to_features:
            np.matmul(block, shares[columns], out=z[rows])
        return z

    @property
    def measured(self) -> tuple[int, int, int]:
        """Number of contrasts that carry weight, per order."""
        second = sum(int((band.q2 > 0).sum()) for band in self._pairs)
        third = sum(int((band.q3 > 0).sum()) for band in self._bands)
        return int((self.q1 > 0).sum()), second, third

    def chi_square(self, logits: F32, scores: F32) -> tuple[float, float, float]:
        """Return the weighted squared residual of each order."""
        wn = softmax(logits) * self.people
        z = self.features(self.probabilities(scores))
        near = z[self._third]
        second = sum(_weighted(band.q2, (z[band.rows] * wn) @ z[band.columns].T - band.c2) for band in self._pairs)
        third = sum(
            _weighted(band.q3, (z[band.first] * z[band.second] * wn) @ near[band.columns].T - band.c3)
            for band in self._bands
        )
        return _weighted(self.q1, z @ wn - self.c1), second, third

    def gradient(self, logits: F32, scores: F32, stiffness: float) -> Gradient:
        """Return the derivative of the whole objective at one point."""
        n = self.people
        w = softmax(logits)
        p, log_p = self._shares(scores)
        z = self.features(p)
        wn = w * n
        by_feature = np.zeros_like(z)
        for pair in self._pairs:
            one, two = z[pair.rows], z[pair.columns]
            g2 = (one * wn) @ two.T
            g2 -= pair.c2
            g2 *= pair.weight
            by_feature[pair.rows] += g2 @ two
            by_feature[pair.columns] += g2.T @ one
        by_weight = np.float32(0.5) * np.einsum("fk,fk->k", z, by_feature)
        g1 = self.q1 * (z @ wn - self.c1)
        by_weight += g1 @ z
        by_feature += g1[:, None]
        if self._bands:
            near = z[self._third]
            by_near = np.zeros_like(near)
            for band in self._bands:
                za, zb = z[band.first], z[band.second]
                y = za * zb
                g3 = (y * wn) @ near[band.columns].T
                g3 -= band.c3
                g3 *= band.q3
                by_near[band.columns] += g3.T @ y
                u = g3 @ near[band.columns]
                zb *= u
                za *= u
                inside = band.sum_first @ zb
                by_weight += np.einsum("fk,fk->k", inside, z[band.firsts])
                by_feature[band.firsts] += inside
                by_feature[band.seconds] += band.sum_second @ za
            by_feature[self._third] += by_near
        by_feature *= wn
        pull = np.empty_like(p)
        for rows, columns, block in self._to_features:
            np.matmul(block.T, by_feature[rows], out=pull[columns])
        log_p -= self.log_shares[:, None]
        log_p *= self._stiffer * (np.float32(stiffness) * w)
        pull += log_p
        # a softmax: what all values of a column have in common moves nothing
        pull -= (self._within @ (p * pull))[self.column_of]
        pull *= p
        log_p = scores - self.log_shares[:, None]
        log_p *= self._hold
        pull += log_p
        by_weight *= n
        by_logits = w * (by_weight - w @ by_weight) + (w - np.float32(1 / len(w)))
        return Gradient(logits=by_logits.astype(np.float32, copy=False), scores=pull)


@dataclass(frozen=True, kw_only=True)
class _PairBand:
    """Some features against others of later columns: the second-order contrasts that carry weight, without most of the rest."""

    rows: slice
    columns: slice
    c2: F32
    q2: F32
    weight: F32
    """Precision times how often the pair counts."""


def _pair_bands(contrasts: Contrasts, long_pair: float) -> tuple[_PairBand, ...]:
    """Return the second-order contrasts in bands: short columns together against themselves and all later ones, long ones by themselves."""
    layout = contrasts.layout
    ends = [*layout.offsets[1:], layout.features]
    long = np.repeat([contrasts.folds[column].values >= FOLD_SIZE for column in layout.order], np.diff([0, *ends]))
    bands, start, first = [], 0, 0
    for place, end in enumerate(ends):
        if end - start < BAND_FEATURES and place + 1 < len(ends):
            continue
        rows = slice(start, end)
        columns = slice(end if place == first else start, layout.features)
        c2, q2 = (np.ascontiguousarray(part[rows, columns], dtype=np.float32) for part in (contrasts.c2, contrasts.q2))
        if q2.any():
            counts = np.where(np.outer(long[rows], long[columns]), long_pair, 1.0)
            weight = (q2 * counts).astype(np.float32)
            bands.append(_PairBand(rows=rows, columns=columns, c2=c2, q2=q2, weight=weight))
        start, first = end, place + 1
    return tuple(bands)


@dataclass(frozen=True, kw_only=True)
class _Band:
    """Third-order rows whose weights all lie in a range of the features; what lies beyond costs no work."""

    first: NDArray[np.int64]
    """Feature of the first column of each row."""
    second: NDArray[np.int64]
    columns: slice
    """Among the features that carry third-order weight at all."""
    c3: F32
    q3: F32
    firsts: slice
    """Features that occur as first ones."""
    seconds: slice
    sum_first: F32
    """Adds up rows by their first feature: a matrix of zeros and ones, which is faster than sums over sorted rows."""
    sum_second: F32

    @classmethod
    def of(cls, c3: F32, q3: F32, first: NDArray[np.int64], second: NDArray[np.int64], columns: slice) -> _Band:
        """Cut some rows out of the third-order contrasts."""
        firsts, seconds = (slice(int(part.min()), int(part.max()) + 1) for part in (first, second))
        return cls(
            first=first,
            second=second,
            columns=columns,
            c3=np.ascontiguousarray(c3[:, columns]),
            q3=np.ascontiguousarray(q3[:, columns]),
            firsts=firsts,
            seconds=seconds,
            sum_first=np.equal.outer(np.arange(firsts.start, firsts.stop), first).astype(np.float32),
            sum_second=np.equal.outer(np.arange(seconds.start, seconds.stop), second).astype(np.float32),
        )


def _third_bands(c3: F32, q3: F32, features: Features) -> tuple[_Band, ...]:
    """Return the third-order rows in the two bands, or one, in which they take least work; rows without weight are in none."""
    width = q3.shape[1]
    carries = q3 > 0
    told = np.flatnonzero(carries.any(axis=1))
    if not len(told):
        return ()
    begins = np.argmax(carries, axis=1)
    extents = width - np.argmax(carries[:, ::-1], axis=1)

    def parts(choice: int) -> list[NDArray[np.int64]]:
        return [part for part in (told[extents[told] <= choice], told[extents[told] > choice]) if len(part)]

    def work(choice: int) -> int:
        return sum(len(part) * int(extents[part].max() - begins[part].min()) for part in parts(choice))

    best = min(np.unique(extents[told]).tolist(), key=work)
    return tuple(
        _Band.of(
            c3[part],
            q3[part],
            features.first[part],
            features.second[part],
            slice(int(begins[part].min()), int(extents[part].max())),
        )
        for part in parts(best)
    )


def _weighted(precision: F32, residual: F32) -> float:
    return float(np.sum(precision * residual * residual, dtype=np.float64))


def softmax(logits: F32) -> F32:
    """Return the class weights of class logits."""
    raised = np.exp(logits - logits.max())
    result: F32 = (raised / raised.sum()).astype(np.float32)
    return result
