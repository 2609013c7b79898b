"""Attacks on synthetic records: does knowing them help to find a person who was in the data more than it helps with somebody who was not?

1. Every attack is made on real people and on *control* people, who were not in the data and come from the same population. What works on both is knowledge about the population, and no
   fault of the release; the risk is what works on real people only. The design is that of the European data protection authorities' three risks, as anonymeter measures them (Giomi
   et al. 2023); the code is ours.
2. *Singling out*: combinations of a few values that exactly one synthetic record has are tried on the people: does exactly one person have it?
3. *Linkability*: an attacker knows half of a person's attributes from one source and the other half from another. Are the nearest synthetic records of both the same?
4. *Inference*: an attacker knows all of a person's attributes but one, and takes the missing one from the nearest synthetic record.
5. Rates carry 95 % intervals. The bound of privacy rule 31 is held against the upper end of the risk, for all attributes together in the case of inference. An attribute that nearly everybody has alike gives a
   wide interval: then it cannot be said, and that is no proof of a risk.
6. The distance to the closest record is never looked at as such: it says more about how common a person is than about what was learnt (privacy rule 31).
7. Uses real people: for the private report after the decision, and for generated people in benchmarks and tests (privacy rules 31 and 33).
8. Which people and which columns are attacked is drawn from `casesynth.seeded`, with the release's own seed in the private report. That is a choice about the evaluation, made after the release was
   drawn: no noise and no record of a release depends on it, and nothing that makes a release can import this module (`tests/test_imports.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.seeded import generator

RISK_LIMIT = 0.05
"""Largest upper end of a risk that a release may have (privacy rule 31)."""

ATTACKS = 5000
"""People attacked on each side; fewer where there are fewer people. Combinations are tried twice as often."""

WIDTHS = (2, 3, 4, 6)
"""Numbers of values in the combinations that single out."""

_SETS = 25
"""Sets of columns of each width."""

_BLOCK = 4_000_000
"""Comparisons held in memory at once."""

_Z = 1.96

Verdict = Literal["within", "beyond", "cannot say"]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often an attack succeeded."""

    value: float
    """Share of successes: the middle of the interval."""
    half: float
    """Half of the 95 % interval."""
    attacks: int

    @staticmethod
    def of(successes: int, attacks: int) -> Rate:
        """Return the rate of independent attacks, with its Wilson interval."""
        n, p = attacks, successes / max(attacks, 1)
        return Rate(
            value=(successes + _Z**2 / 2) / (n + _Z**2),
            half=_Z * math.sqrt(p * (1 - p) * n + _Z**2 / 4) / (n + _Z**2),
            attacks=attacks,
        )

    @staticmethod
    def of_shares(shares: NDArray[np.float64]) -> Rate:
        """Return the rate where several attacks were made on each person: people are independent, their attacks are not."""
        half = _Z * float(shares.std(ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else 1.0
        return Rate(value=float(shares.mean()), half=half, attacks=len(shares))


@dataclass(frozen=True, kw_only=True)
class Risk:
    """One attack on real people and on control people."""

    attack: str
    """Singling out, linkability or inference."""
    about: str
    """The attribute that is inferred; empty for all of them together, and for the other attacks."""
    real: Rate
    control: Rate

    @property
    def value(self) -> float:
        """Part of the control's failures that the attack turns into successes on real people; 0 where it works no better on them."""
        return max(0.0, self._difference)

    @property
    def upper(self) -> float:
        """Upper end of the 95 % interval of the risk."""
        return min(self.value + self._spread, 1.0)

    @property
    def lower(self) -> float:
        """Lower end of the 95 % interval of the risk."""
        return max(self._difference - self._spread, 0.0)

    @property
    def verdict(self) -> Verdict:
        """Whether the risk certainly is within the bound of rule 31, or certainly beyond it; or there are too few people to say."""
        if self.upper <= RISK_LIMIT:
            return "within"
        return "beyond" if self.lower > RISK_LIMIT else "cannot say"

    @property
    def _difference(self) -> float:
        return (self.real.value - self.control.value) / max(1 - self.control.value, 1e-9)

    @property
    def _spread(self) -> float:
        rest = max(1 - self.control.value, 1e-9)
        return math.hypot(self.real.half / rest, (1 - self.real.value) / rest**2 * self.control.half)


def attack_all(
    synthetic: Sequence[Codes],
    real: Sequence[Codes],
    control: Sequence[Codes],
    *,
    sizes: Sequence[int],
    names: Sequence[str],
    seed: bytes,
    attacks: int = ATTACKS,
) -> tuple[Risk, ...]:
    """Make every attack.

    Args:
        synthetic: the synthetic records, one array per column.
        real: people who were in the data.
        control: people who were not, of the same population; about as many.
        sizes: number of values of each column.
        names: of the columns.
        seed: of the random choices.
        attacks: of each kind on each side.
    """
    if not len(synthetic[0]) or not len(real[0]) or not len(control[0]):
        return ()
    same = min(len(real[0]), len(control[0]))
    random = generator(seed, "attacks")
    sides = []
    for side in (real, control):
        chosen = random.permutation(len(side[0]))[:same]
        sides.append(tuple(column[chosen] for column in side))
    found = [_singling_out(synthetic, sides, sizes, random, attacks)]
    targets = [tuple(column[: min(attacks, same)] for column in side) for side in sides]
    if len(sizes) >= 2:
        found.append(_linkability(synthetic, targets, random))
        found += _inference(synthetic, targets, names)
    return tuple(found)


def _singling_out(
    synthetic: Sequence[Codes],
    sides: Sequence[Sequence[Codes]],
    sizes: Sequence[int],
    random: np.random.Generator,
    attacks: int,
) -> Risk:
    """Try combinations that exactly one synthetic record has."""
    successes, made = [0, 0], 0
    for width in WIDTHS:
        if width > len(sizes):
            continue
        for _ in range(_SETS):
            columns = random.permutation(len(sizes))[:width]
            values, counts = np.unique(_packed(synthetic, columns, sizes), return_counts=True)
            alone = values[counts == 1]
            if not len(alone):
                continue
            tried = alone[random.permutation(len(alone))[: max(2 * attacks // (_SETS * len(WIDTHS)), 1)]]
            made += len(tried)
            for place, side in enumerate(sides):
                have, often = np.unique(_packed(side, columns, sizes), return_counts=True)
                successes[place] += int(np.isin(tried, have[often == 1]).sum())
    real, control = (Rate.of(hits, made) for hits in successes)
    return Risk(attack="singling out", about="", real=real, control=control)


def _packed(columns: Sequence[Codes], chosen: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return one number per record for its values in some columns."""
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for column in chosen:
        packed = packed * sizes[column] + columns[column]
    return packed


def _linkability(synthetic: Sequence[Codes], targets: Sequence[Sequence[Codes]], random: np.random.Generator) -> Risk:
    """Look for the same nearest synthetic record from either half of a person's attributes."""
    order = random.permutation(len(synthetic))
    halves = [order[: len(order) // 2], order[len(order) // 2 :]]
    rates = []
    for side in targets:
        chances = np.zeros(len(side[0]))
        for first, stop in _blocks(len(side[0]), len(synthetic[0])):
            parts = (_distance(synthetic, side, half, first, stop) for half in halves)
            one, two = (part == part.min(axis=1, keepdims=True) for part in parts)
            # one of the nearest is taken at random on each side: the chance that both are the same record
            chances[first:stop] = (one & two).sum(axis=1) / (one.sum(axis=1) * two.sum(axis=1))
        rates.append(Rate.of_shares(chances))
    return Risk(attack="linkability", about="", real=rates[0], control=rates[1])


def _inference(synthetic: Sequence[Codes], targets: Sequence[Sequence[Codes]], names: Sequence[str]) -> list[Risk]:
    """Take each attribute from the nearest synthetic record by all the others; first all attributes together, then each."""
    columns = np.arange(len(names))
    hits = [np.zeros((len(side[0]), len(names)), dtype=bool) for side in targets]
    for found, side in zip(hits, targets, strict=True):
        for first, stop in _blocks(len(side[0]), len(synthetic[0])):
            whole = _distance(synthetic, side, columns, first, stop)
            for secret in range(len(names)):
                truth = side[secret][first:stop]
                apart = synthetic[secret][None, :] != truth[:, None]
                nearest = (whole - apart).argmin(axis=1)
                found[first:stop, secret] = synthetic[secret][nearest] == truth
    together = [Rate.of_shares(found.mean(axis=1)) for found in hits]
    risks = [Risk(attack="inference", about="", real=together[0], control=together[1])]
    for secret, name in enumerate(names):
        real, control = (Rate.of(int(found[:, secret].sum()), len(found)) for found in hits)
        risks.append(Risk(attack="inference", about=name, real=real, control=control))
    return risks


def _blocks(people: int, records: int) -> list[tuple[int, int]]:
    step = max(_BLOCK // max(records, 1), 1)
    return [(first, min(first + step, people)) for first in range(0, people, step)]


def _distance(
    synthetic: Sequence[Codes], side: Sequence[Codes], columns: NDArray[np.int64], first: int, stop: int
) -> NDArray[np.int16]:
    """Return in how many of some columns each person differs from each synthetic record."""
    apart = np.zeros((stop - first, len(synthetic[0])), dtype=np.int16)
    for column in columns:
        apart += side[column][first:stop, None] != synthetic[column][None, :]
    return apart
