"""Drawing from made-up distributions: a stream of numbers per chunk, tables, and logits in whole steps.

1. People are generated in chunks of a fixed size (``CHUNK_PEOPLE``). Chunk number c of a seed has a generator of its own, and every
   draw takes one number per person of a *full* chunk, whether they are wanted or not. A file is therefore the same however it
   was streamed, and the first people of a long file are the people of a short one.
2. Effects add up on the logit scale as integers in steps of 1/32 (``LOGIT_STEPS``), and the probability is looked up. Sums of integers
   are the same on every machine; sums of floats and exponentials are not.
3. Nothing here protects anyone: these numbers make people up. Noise for real people is drawn in ``casesynth.privacy`` and nowhere else.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["CHUNK_PEOPLE", "LOGIT_STEPS", "CategoryTable", "Draws", "chance", "logit_steps"]

CHUNK_PEOPLE = 32_768
"""People per chunk; part of what a seed means, so it never changes."""

LOGIT_STEPS = 32
"""Steps per unit of the logit scale."""

_REACH = 12 * LOGIT_STEPS
_CHANCE = (1.0 / (1.0 + np.exp(-np.arange(-_REACH, _REACH + 1) / LOGIT_STEPS))).astype(np.float32)
_NORMAL_LEVELS = 4_096
_NORMAL = np.array(
    [round(NormalDist().inv_cdf((level + 0.5) / _NORMAL_LEVELS) * LOGIT_STEPS) for level in range(_NORMAL_LEVELS)],
    np.int16,
)
_WIDE = 12


def logit_steps(values: ArrayLike) -> NDArray[np.int16]:
    """Return effects on the logit scale as whole steps.

    >>> logit_steps([0.5, -1.0]).tolist()
    [16, -32]
    """
    return np.rint(np.asarray(values, np.float64) * LOGIT_STEPS).astype(np.int16)


def chance(steps: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the probability of each logit given in steps, held to +-12 units.

    >>> chance(np.array([0], np.int16)).tolist()
    [0.5]
    """
    return _CHANCE[np.clip(steps, -_REACH, _REACH).astype(np.intp) + _REACH]


class Draws:
    """The numbers of one chunk of one seed, one per person and call, in a fixed order."""

    def __init__(self, seed: int, *key: int, people: int) -> None:
        """Start the stream of a chunk.

        Args:
            seed: what the user gave; any whole number from 0.
            key: the chunk's number and, where one chunk needs several streams, the stream's number.
            people: how many of the chunk's people are wanted, at most ``CHUNK_PEOPLE``.
        """
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key)))
        self._people = people

    def uniform(self) -> NDArray[np.float32]:
        """Return one number in [0, 1) per person."""
        return self._random.random(CHUNK_PEOPLE, dtype=np.float32)[: self._people]

    def fine(self) -> NDArray[np.float64]:
        """Return one number in [0, 1) per person, fine enough for values that one in a million people has."""
        whole = self._random.integers(0, 2**32, CHUNK_PEOPLE, dtype=np.uint32)[: self._people]
        return (
            whole.astype(np.float64) * 2.0**-32
        )  # 32 bits, so that adding a row number to it never rounds up to the next row

    def normal(self) -> NDArray[np.int16]:
        """Return one normal number per person, in logit steps (standard deviation ``LOGIT_STEPS``)."""
        level = self._random.integers(0, _NORMAL_LEVELS, CHUNK_PEOPLE, dtype=np.uint16)[: self._people]
        return np.asarray(_NORMAL[level])

    def yes(self, steps: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Return True with the probability whose logit is given in steps."""
        return np.asarray(self.uniform() < chance(steps))


class CategoryTable:
    """A distribution over categories for each row of a table of weights.

    >>> table = CategoryTable([[1.0, 0.0], [1.0, 3.0]])
    >>> table.pick(np.array([0, 1, 1]), np.array([0.9, 0.2, 0.3])).tolist()
    [0, 0, 1]
    """

    def __init__(self, weights: ArrayLike) -> None:
        """Keep the cumulative distribution of each row (last axis: categories; all axes before it: rows)."""
        table = np.asarray(weights, np.float64)
        self.shape = table.shape[:-1]
        table = table.reshape(-1, table.shape[-1])
        below = np.cumsum(table, axis=1)
        below /= below[:, -1:]
        self._categories = table.shape[1]
        self._type: Any = np.uint8 if self._categories <= 256 else np.int32
        self._columns = np.ascontiguousarray(below[:, :-1].T)
        below[:, -1] = 1.0
        self._flat = (below + np.arange(len(below))[:, None]).ravel()

    def pick(self, row: NDArray[Any], uniform: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """Return the category of each person from the person's row and uniform number."""
        row = row.astype(np.intp, copy=False)
        if self._categories <= _WIDE:
            picked = np.zeros(len(row), np.uint8)
            for column in self._columns:
                picked += uniform >= column[row]
            return picked
        place: NDArray[Any] = np.searchsorted(self._flat, row + uniform, side="right") - row * self._categories
        return place.astype(self._type)
