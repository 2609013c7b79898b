"""The objective of the latent class model and its gradient: misfit to the contrasts, weighted by precision, plus the prior.

With classes k, weights w = softmax(a), shares p = softmax(L) of the values and features z (`casesynth._features`), the model's contrast of a set S is
n sum_k w_k prod_{i in S} z_ki. The objective is

    1/2 sum_S q_S |model_S - c_S|^2 + stiffness sum_k w_k sum_i KL(p_ki || b_i) + |L - log b|^2 / (2 tau^2) - 1/K sum_k log w_k.

Arrays are laid out (features or values) x classes, float32: the work is matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth._features import F32, Features
from casesynth.contrasts import Contrasts

TAU = 4.0
"""Standard deviation of the log shares around the log of the prior shares."""


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Derivative of the objective."""

    logits: F32
    """By the class logits a, shape (K,)."""
    scores: F32
    """By the scores L, shape (scores, K)."""


class Objective:
    """Misfit of a latent class model to one set of contrasts."""

    def __init__(self, features: Features, contrasts: Contrasts) -> None:
        self.people = np.float32(max(contrasts.people, 1.0))
        self.starts, self.column_of = features.starts, features.column_of
        self._to_features = features.blocks
        self.log_shares = np.log(features.prior).astype(np.float32)
        self.c1, self.q1 = contrasts.c1.astype(np.float32), contrasts.q1.astype(np.float32)
        self.c2, self.q2 = contrasts.c2.astype(np.float32), contrasts.q2.astype(np.float32)
        order, self._bands = _bands(contrasts.c3.astype(np.float32), contrasts.q3.astype(np.float32))
        self.first, self.second = features.first[order], features.second[order]
        self._first_sum = _SortedSum(self.first, features.count)
        self._second_sum = _SortedSum(self.second, features.count)

    def probabilities(self, scores: F32) -> F32:
        """Return the value shares of each class: softmax within each column."""
        top: F32 = np.maximum.reduceat(scores, self.starts, axis=0)
        raised = np.exp(scores - top[self.column_of]).astype(np.float32, copy=False)
        total: F32 = np.add.reduceat(raised, self.starts, axis=0)
        result: F32 = raised / total[self.column_of]
        return result

    def features(self, shares: F32) -> F32:
        """Return the features of value shares: the same linear map as a matrix of blocks, without its zeros."""
        z = np.empty((len(self.c1), shares.shape[1]), dtype=np.float32)
        for rows, columns, block in self._to_features:
            z[rows] = block @ shares[columns]
        return z

    @property
    def measured(self) -> tuple[int, int, int]:
        """Number of contrasts that carry weight, per order."""
        third = sum(int((band.q3 > 0).sum()) for band in self._bands)
        return int((self.q1 > 0).sum()), int((self.q2 > 0).sum()), third

    def chi_square(self, logits: F32, scores: F32) -> tuple[float, float, float]:
        """Return the weighted squared residual of each order."""
        w = softmax(logits)
        z = self.features(self.probabilities(scores))
        zw = z * (w * self.people)
        y = z[self.first] * z[self.second] * (w * self.people)
        third = sum(_weighted(band.q3, y[band.rows] @ z[: band.width].T - band.c3) for band in self._bands)
        return _weighted(self.q1, zw.sum(axis=1) - self.c1), _weighted(self.q2, zw @ z.T - self.c2), third

    def gradient(self, logits: F32, scores: F32, stiffness: float) -> Gradient:
        """Return the derivative of the whole objective at one point."""
        n = self.people
        w = softmax(logits)
        p = self.probabilities(scores)
        z = self.features(p)
        wn = w * n
        zw = z * wn
        g1 = self.q1 * (zw.sum(axis=1) - self.c1)
        g2 = zw @ z.T
        g2 -= self.c2
        g2 *= self.q2
        both = (g2 + g2.T) @ z
        by_feature = g1[:, None] + both
        by_weight = g1 @ z + 0.5 * np.einsum("fk,fk->k", z, both)
        if len(self.first):
            za, zb = z[self.first], z[self.second]
            y = za * zb
            yw = y * wn
            u = np.empty_like(y)
            for band in self._bands:
                near = z[: band.width]
                g3 = yw[band.rows] @ near.T
                g3 -= band.c3
                g3 *= band.q3
                np.matmul(g3, near, out=u[band.rows])
                by_feature[: band.width] += g3.T @ y[band.rows]
            by_weight += np.einsum("rk,rk->k", y, u)
            zb *= u
            za *= u
            self._first_sum.add_to(by_feature, zb)
            self._second_sum.add_to(by_feature, za)
        by_feature *= wn
        by_p = np.empty_like(p)
        for rows, columns, block in self._to_features:
            by_p[columns] = block.T @ by_feature[rows]
        inside = np.add.reduceat(p * by_p, self.starts, axis=0)
        log_ratio = np.log(np.maximum(p, np.float32(1e-30))) - self.log_shares[:, None]
        divergence = np.add.reduceat(p * log_ratio, self.starts, axis=0)
        pull = by_p - inside[self.column_of]
        pull += (np.float32(stiffness) * w) * (log_ratio - divergence[self.column_of])
        by_scores = p * pull
        by_scores += (scores - self.log_shares[:, None]) * np.float32(1 / TAU**2)
        by_weight = by_weight * n
        by_logits = w * (by_weight - w @ by_weight) + (w - np.float32(1 / len(w)))
        return Gradient(logits=by_logits.astype(np.float32), scores=by_scores)


@dataclass(frozen=True, kw_only=True)
class _Band:
    """Third-order rows whose weights all lie in the first features; what lies beyond costs no work."""

    rows: slice
    width: int
    c3: F32
    q3: F32


def _bands(c3: F32, q3: F32) -> tuple[NDArray[np.int64], tuple[_Band, ...]]:
    """Return an order of the third-order rows and the two bands, or one, in which they take least work."""
    features = q3.shape[1]
    carries = q3 > 0
    extents = np.where(carries.any(axis=1), features - np.argmax(carries[:, ::-1], axis=1), 0)
    choices = np.unique(np.append(extents, features))
    work = [(extents <= choice).sum() * choice + (extents > choice).sum() * features for choice in choices]
    width = int(choices[int(np.argmin(work))]) if len(extents) else features
    order = np.argsort(extents > width, kind="stable")
    narrow = int((extents <= width).sum())
    parts = [(slice(0, narrow), width), (slice(narrow, len(order)), features)]
    bands = [
        _Band(
            rows=rows,
            width=width,
            c3=np.ascontiguousarray(c3[order[rows], :width]),
            q3=np.ascontiguousarray(q3[order[rows], :width]),
        )
        for rows, width in parts
        if rows.stop > rows.start and width
    ]
    return order, tuple(bands)


def _weighted(precision: F32, residual: F32) -> float:
    return float(np.sum(precision * residual * residual, dtype=np.float64))


class _SortedSum:
    """Adds rows into the rows that an index names: one sort at birth, then contiguous sums."""

    def __init__(self, index: NDArray[np.int64], size: int) -> None:
        self._order = np.argsort(index, kind="stable")
        self._sorted = bool(np.all(self._order == np.arange(len(index))))
        ordered = index[self._order]
        self._starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self._targets = ordered[self._starts]

    def add_to(self, total: F32, rows: F32) -> None:
        total[self._targets] += np.add.reduceat(rows if self._sorted else rows[self._order], self._starts, axis=0)


def softmax(logits: F32) -> F32:
    """Return the class weights of class logits."""
    raised = np.exp(logits - logits.max())
    result: F32 = (raised / raised.sum()).astype(np.float32)
    return result
