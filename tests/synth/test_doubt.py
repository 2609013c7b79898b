"""The doubt of a derived value: how far the number of people with it may be off, from the noisy counts of its source."""

from __future__ import annotations

import numpy as np
import pytest

from casesynth.doubt import NORMAL, doubted
from casesynth.intervals import ErrorScale, half_widths
from casesynth.links import Link
from casesynth.measure import Measurement
from casesynth.model import LatentClassModel

NANO_RHO = 5_000_000
TABLE = np.eye(2)[[0, 1, 1, 1]]
LINK = Link(column=2, source=0, table=TABLE, declared=True)
TIGHT = ErrorScale(centres=np.log([10.0, 1e9]), half_widths=np.full((3, 2), 0.5), misfit=np.zeros(3))


def _model() -> LatentClassModel:
    return LatentClassModel(
        people=1_000.0,
        people_sigma=1.0,
        weights=np.ones(1),
        shares=(np.array([[0.9], [0.04], [0.03], [0.03]]), np.array([[0.5], [0.5]])),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )


def _single(*counts: int) -> Measurement:
    return Measurement(clique=(0,), values=np.array(counts, dtype=np.int64), nano_rho=NANO_RHO)


def test_it_is_the_distance_to_the_noisy_sum_and_the_scatter_of_that_sum() -> None:
    single = _single(980, 5, -3, 2)
    (link,) = doubted([LINK], _model(), [single])
    assert link.doubt is not None
    big, rare = link.doubt
    assert big == pytest.approx((80 + NORMAL * single.scale) / 900)
    assert rare == pytest.approx((100 - 4 + NORMAL * single.scale * np.sqrt(3)) / 100)


def test_a_negative_noisy_sum_counts_as_nobody() -> None:
    single = _single(980, -50, -30, -20)
    (link,) = doubted([LINK], _model(), [single])
    assert link.doubt is not None
    assert link.doubt[1] == pytest.approx((100 + NORMAL * single.scale * np.sqrt(3)) / 100)


def test_without_a_count_of_each_value_of_the_source_there_is_no_doubt_to_state() -> None:
    signs = Measurement(clique=(0,), values=np.array(3, dtype=np.int64), nano_rho=NANO_RHO)
    assert doubted([LINK], _model(), [signs])[0].doubt is None
    assert doubted([LINK], _model(), [])[0].doubt is None


def test_intervals_of_the_value_and_of_its_combinations_are_never_less_than_the_doubt() -> None:
    model = _model().linked(doubted([LINK], _model(), [_single(980, 5, -3, 2)]))
    doubt = model.links[0].doubt
    assert doubt is not None
    assert half_widths(model, TIGHT, (2,)) == pytest.approx(model.marginal((2,)) * doubt)
    assert half_widths(model, TIGHT, (1, 2)) == pytest.approx(model.marginal((1, 2)) * doubt)
    assert half_widths(model, TIGHT, (2, 1)) == pytest.approx((model.marginal((1, 2)) * doubt).T)
    both = half_widths(model, TIGHT, (0, 2))
    assert (both <= 0.5 + 1e-9).all()  # where the source is told, the derived value adds nothing
