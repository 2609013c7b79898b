"""The one module that draws noise (privacy rules 7 to 9, 11).

1. Only 64-bit integers enter. They come from exact counting, so no float, NaN or null can reach a mechanism.
2. Only OpenDP's discrete Gaussian draws noise; its only source is the operating system's generator.
3. The scale is checked against OpenDP's own privacy map, in exact fractions: what is charged is never less than what is spent.
4. Every cell gets noise, cells at zero too. Nothing is suppressed by its true count.
5. Counts and noise stay below 2^62: OpenDP saturates silently at the end of the integer range.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray

from casesynth.errors import CasesynthError
from casesynth.privacy.loss import NANO

dp.enable_features("contrib")  # privacy rule 9: contrib only

IntegerCounts = NDArray[np.int64]

_LIMIT = 2**62
_TAIL = 64  # scales; a discrete Gaussian goes this far with probability below 1e-880


class MechanismError(CasesynthError):
    """A mechanism was asked for something it cannot promise."""


def gaussian_scale(nano_rho: int) -> float:
    """Return the scale of the discrete Gaussian that spends at most `nano_rho` on a vector of L2 sensitivity 1.

    Source: Canonne, Kamath, Steinke 2020, theorem 4: scale s gives 1 / (2 s^2)-zCDP. Rounded up.

    >>> gaussian_scale(500_000_000)
    1.0000000000000004
    """
    if isinstance(nano_rho, bool) or not isinstance(nano_rho, int) or nano_rho < 1:
        raise MechanismError(f"nano_rho must be a positive integer, got {nano_rho!r}")
    scale = math.sqrt(NANO / (2 * nano_rho)) * (1 + 2**-51)
    return scale


def _measurement(nano_rho: int) -> dp.Measurement:
    scale = gaussian_scale(nano_rho)
    measurement = dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float), scale=scale)
    spent = measurement.map(1.0)  # type: ignore[no-untyped-call]  # opendp leaves this method untyped
    if Fraction(spent) > Fraction(nano_rho, NANO):
        raise MechanismError(f"a scale of {scale} would spend more than {nano_rho} nano-rho")
    return measurement


def add_gaussian_noise(counts: IntegerCounts, *, nano_rho: int, people_cap: int) -> IntegerCounts:
    """Return `counts` with discrete Gaussian noise on every cell.

    Args:
        counts: exact counts, plain or signed, int64, any shape. Adding or removing one person changes each table in it by at most 1 in L2:
            the caller counts each person in exactly one cell per table, as plus or minus one, and passes tables whose own shares are
            `nano_rho` each.
        nano_rho: zCDP share of one table.
        people_cap: public bound on the number of people.

    Raises:
        MechanismError: counts are not int64, lie further than people_cap from zero, or could saturate (privacy rule 8).
    """
    if counts.dtype != np.int64:
        raise MechanismError(f"counts must be int64, got {counts.dtype}")
    if people_cap + _TAIL * gaussian_scale(nano_rho) >= _LIMIT:
        raise MechanismError("people_cap and noise together pass 2^62: lower people_cap or raise epsilon")
    if counts.size and (int(counts.min()) < -people_cap or int(counts.max()) > people_cap):
        raise MechanismError("a count lies further than people_cap from zero")
    measurement = _measurement(nano_rho)
    # in this thread: two side by side took a quarter more CPU time
    return (
        np.asarray(measurement(counts.ravel().tolist()), dtype=np.int64).reshape(counts.shape)
        if counts.size
        else counts.copy()
    )
