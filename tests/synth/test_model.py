"""The latent class model: it says what the measurements say, the same every time, whatever it is given."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from casesynth.contrasts import Contrasts, combine
from casesynth.domain import Domain
from casesynth.intervals import simulate
from casesynth.marginals import Marginal, signed_shape, signs_of
from casesynth.measure import Measurement, in_two_stages
from casesynth.model import CHI_MARGIN, LADDER, STIFFER, FitSettings, LatentClassModel, _best, _Pilot, fit, refit
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import Receipt
from casesynth.synthesis import recompute

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, Exact, People

SEED = b"seed"


@pytest.fixture(scope="module")
def plan(shelter: Domain) -> ReleasePlan:
    return ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)


@pytest.fixture(scope="module")
def noise_free(plan: ReleasePlan, residents: People, exact: Exact) -> Contrasts:
    cliques = [table.clique for table in plan.tables]
    return combine(exact(residents, cliques, plan.domain.sizes, 10**9), plan.domain.sizes)


@pytest.fixture(scope="module")
def noisy(plan: ReleasePlan, residents: People, brute_signed: Brute) -> tuple[Measurement, ...]:
    return _measured(plan, residents, brute_signed, seed=1)


def _measured(plan: ReleasePlan, people: People, brute_signed: Brute, seed: int) -> tuple[Measurement, ...]:
    exact = [Marginal(clique=t.clique, counts=brute_signed(people, t.clique, plan.domain.sizes)) for t in plan.tables]
    return simulate(plan, exact, np.random.default_rng(seed))


def _distances(
    model: LatentClassModel, people: People, sizes: Sequence[int], length: int, brute: Brute
) -> NDArray[np.float64]:
    """Return the total variation distance of every table of a length."""
    found = []
    for clique in itertools.combinations(range(len(sizes)), length):
        truth = brute(people, clique, sizes) / len(people[0])
        found.append(0.5 * np.abs(model.marginal(clique) / model.people - truth).sum())
    return np.array(found)


def _same(one: LatentClassModel, other: LatentClassModel) -> bool:
    return (
        one.weights.tobytes() == other.weights.tobytes()
        and [part.tobytes() for part in one.shares] == [part.tobytes() for part in other.shares]
        and (one.stiffness, one.residual, one.people) == (other.stiffness, other.residual, other.people)
    )


def test_without_noise_the_model_says_what_the_people_say(
    noise_free: Contrasts, residents: People, shelter: Domain, brute: Brute
) -> None:
    settings = FitSettings(classes=40, steps=300, starts=1, pilot_classes=10, pilot_steps=30)
    model = fit(noise_free, SEED, settings=settings)
    assert model.people == pytest.approx(2000)
    # another sample of 2,000 from the same population would be off by about .01, .03 and .06
    for length, largest in ((1, 0.002), (2, 0.004), (3, 0.03)):
        assert _distances(model, residents, shelter.sizes, length, brute).max() < largest


def test_with_noise_the_model_beats_independent_columns(
    noisy: tuple[Measurement, ...], residents: People, shelter: Domain, brute: Brute, quick: FitSettings
) -> None:
    contrasts = combine(noisy, shelter.sizes)
    model = fit(contrasts, SEED, settings=quick)
    alone = replace(
        model,
        weights=np.ones(1),
        shares=tuple(model.marginal([i])[:, None] / model.people for i in range(len(shelter.sizes))),
    )
    for length in (2, 3):
        ours, independent = (_distances(m, residents, shelter.sizes, length, brute).mean() for m in (model, alone))
        assert ours < 0.6 * independent
    assert all(0.1 < residual < 1.5 for residual in model.residual)


def test_weights_and_shares_are_probabilities(
    noisy: tuple[Measurement, ...], shelter: Domain, quick: FitSettings
) -> None:
    model = fit(combine(noisy, shelter.sizes), SEED, settings=quick)
    assert [part.shape for part in model.shares] == [(size, quick.classes) for size in shelter.sizes]
    assert model.weights.min() > 0 and model.weights.sum() == pytest.approx(1, abs=1e-12)
    for part in model.shares:
        assert part.min() >= 0
        np.testing.assert_allclose(part.sum(axis=0), 1, atol=1e-12)
    assert model.stiffness in {STIFFER * rung for rung in LADDER}


def test_the_prior_is_stiffest_where_noise_drowns_the_people(
    shelter: Domain, residents: People, brute_signed: Brute
) -> None:
    plan = ReleasePlan.make(shelter, epsilon=0.05, people_cap=10_000)
    settings = FitSettings(classes=10, steps=10, starts=1, pilot_classes=40, pilot_steps=200)
    chosen = [
        fit(combine(_measured(plan, residents, brute_signed, seed), shelter.sizes), SEED, settings=settings).stiffness
        for seed in range(5)
    ]
    assert set(chosen) <= {STIFFER * each for each in LADDER}
    assert np.median(chosen) == STIFFER * LADDER[0]


@pytest.mark.parametrize(
    ("chis", "rung", "tried"),
    [
        ((9, 8, 7, 6, 5, 4), 0.01, 3),  # looser is better, by too little: and so is the next stiffer one
        ((9, 6, 7, 6, 5, 4), 0.02, 4),
        ((5, 6, 7, 6, 5, 4), 0.04, 4),
        ((90, 80, 70, 49, 28, 7), 0.0005, 4),  # each looser one is better by more than twenty
        ((90, 80, 70, 49, 28, 8), 0.002, 4),
        ((90, 80, 70, 49, 30, 0), 0.005, 3),
        ((90, 80, 70, 50, 0, 0), 0.01, 3),  # not by more than twenty
    ],
)
def test_a_looser_prior_has_to_be_clearly_better(chis: Sequence[float], rung: float, tried: int) -> None:
    asked: list[float] = []

    def pilots(rungs: Sequence[float]) -> list[_Pilot]:
        asked.extend(rungs)
        return [_Pilot(stiffness=each, chi=float(chis[LADDER.index(each)]), left=1.0) for each in rungs]

    assert CHI_MARGIN == 20
    assert _best(pilots).stiffness == rung and len(asked) == len(set(asked)) == tried


def test_a_marginal_is_the_sum_over_classes(
    noisy: tuple[Measurement, ...], shelter: Domain, quick: FitSettings
) -> None:
    model = fit(combine(noisy, shelter.sizes), SEED, settings=quick)
    for columns in ([4], [7, 0], [1, 7, 3], [6, 0, 1]):
        found = model.marginal(columns)
        for cell in itertools.product(*(range(shelter.sizes[i]) for i in columns)):
            expected = math.fsum(
                model.people * w * math.prod(model.shares[i][value, k] for i, value in zip(columns, cell, strict=True))
                for k, w in enumerate(model.weights)
            )
            assert found[cell] == pytest.approx(expected, abs=1e-8)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(noise_free: Contrasts, quick: FitSettings) -> None:
    one = fit(noise_free, SEED, settings=quick)
    assert _same(one, fit(noise_free, SEED, settings=quick))
    assert not _same(one, fit(noise_free, b"other", settings=quick))


def _effort(model: LatentClassModel, settings: FitSettings) -> float:
    """Return how many times its classes a model was fitted with."""
    return len(model.weights) / (settings.classes * settings.starts)


def test_what_pilots_cannot_say_is_fitted_harder(
    noise_free: Contrasts, noisy: tuple[Measurement, ...], shelter: Domain, quick: FitSettings
) -> None:
    efforts = [
        _effort(fit(contrasts, SEED, settings=quick), quick)
        for contrasts in (noise_free, combine(noisy, shelter.sizes))
    ]
    assert efforts[0] > efforts[1]


def test_refitting_repeats_itself_and_says_what_the_fit_says(
    noisy: tuple[Measurement, ...], shelter: Domain, quick: FitSettings
) -> None:
    contrasts = combine(noisy, shelter.sizes)
    one = fit(contrasts, SEED, settings=quick)
    again = [
        refit(contrasts, SEED, stiffness=one.stiffness, settings=quick.harder(_effort(one, quick))) for _ in range(2)
    ]
    assert _same(*again) and len(again[0].weights) == len(one.weights)
    np.testing.assert_allclose(again[0].residual, one.residual, atol=0.1)


@pytest.mark.parametrize(("effort", "classes", "steps"), [(1.0, 75, 340), (1.5, 112, 510), (2.0, 150, 510)])
def test_harder_settings_have_more_classes_and_at_most_half_as_many_steps_again(
    effort: float, classes: int, steps: int
) -> None:
    harder = FitSettings().harder(effort)
    assert (harder.classes, harder.steps) == (classes, steps)
    assert replace(harder, classes=75, steps=340) == FitSettings()


PILOTS = FitSettings(classes=10, steps=10, starts=1, pilot_classes=40, pilot_steps=200)
"""Pilots that say all there is to say about the residents; the fit itself is not looked at."""


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_is_not_worth_more_classes(
    plan: ReleasePlan, shelter: Domain, brute_signed: Brute, seed: int
) -> None:
    random = np.random.default_rng(seed)
    alike = tuple(random.integers(0, size, 2000).astype(np.uint16) for size in shelter.sizes)  # columns tell nothing
    model = fit(combine(_measured(plan, alike, brute_signed, seed), shelter.sizes), SEED, settings=PILOTS)
    assert _effort(model, PILOTS) == 1


@pytest.mark.parametrize(("told", "epsilon", "effort"), [(False, 20.0, 1), (True, 20.0, 2), (True, 1.0, 2)])
def test_pairs_that_the_pilots_leave_unsaid_are_worth_more_classes(
    brute_signed: Brute, told: bool, epsilon: float, effort: float
) -> None:
    domain = Domain.declare({"one": list("abcdefghijk"), "two": list("abcdefghijk"), "three": ["a", "b"]})
    first, second, third = (column.ravel() for column in np.indices((12, 12, 3 * 14)))  # every combination 14 times
    second = first * 5 % 12 if told else second  # or: the second column follows from the first
    people = tuple(column.astype(np.uint16) for column in (first, second, third % 3))
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=10_000)
    settings = replace(PILOTS, pilot_classes=6)  # six classes cannot tell twelve pairs of values apart
    contrasts = combine(_measured(plan, people, brute_signed, seed=3), domain.sizes)
    assert _effort(fit(contrasts, SEED, settings=settings), settings) == effort


def test_the_released_model_is_the_union_of_its_starts(noise_free: Contrasts, quick: FitSettings) -> None:
    single = refit(noise_free, SEED, stiffness=0.03, settings=quick)
    double = refit(noise_free, SEED, stiffness=0.03, settings=replace(quick, starts=2))
    half = quick.classes
    assert len(double.weights) == 2 * half
    np.testing.assert_allclose(double.weights[:half], single.weights / 2, rtol=1e-5)
    for one, two in zip(single.shares, double.shares, strict=True):
        np.testing.assert_allclose(two[:, :half], one, atol=1e-6)
        assert not np.allclose(two[:, half:], one, atol=1e-3)


def test_a_release_does_not_depend_on_the_number_of_blas_threads() -> None:
    # wide enough that a threaded matrix product sums in another order
    domain = Domain.declare(
        {f"flag{i}": ["1"] for i in range(12)} | {f"place{i}": [f"{v}" for v in range(29)] for i in (1, 2)}
    )
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=10_000)
    random = np.random.default_rng(4)
    counts = [np.array(random.integers(-30, 60, signed_shape(t.clique, domain.sizes))) for t in plan.tables]
    marginals = [Marginal(clique=t.clique, counts=c) for t, c in zip(plan.tables, counts, strict=True)]
    measured = in_two_stages(plan, marginals, lambda flat, nano_rho: flat)
    settings = FitSettings(classes=150, steps=12, starts=1, pilot_classes=20, pilot_steps=4)
    receipt = Receipt(charge_id="c", loss=plan.loss)
    made = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            made.append(recompute(plan, receipt, measured, settings=settings))
    one, two = made
    assert _same(one.model, two.model)
    assert [c.tobytes() for c in one.records] == [c.tobytes() for c in two.records]
    assert one.aggregates.estimate.tobytes() == two.aggregates.estimate.tobytes()
    assert one.errors.half_widths.tobytes() == two.errors.half_widths.tobytes()


@pytest.mark.parametrize("people", [-500, 0])
def test_fewer_than_no_people_still_give_a_model(
    shelter: Domain, plan: ReleasePlan, quick: FitSettings, people: int
) -> None:
    measured = [
        Measurement(
            clique=t.clique,
            values=np.full(  # spread evenly: the signs of every flag add up to zero
                signed_shape(t.clique, shelter.sizes),
                0 if signs_of(t.clique, shelter.sizes) else people // t.cells,
                dtype=np.int64,
            ),
            nano_rho=t.nano_rho,
        )
        for t in plan.tables
    ]
    model = fit(combine(measured, shelter.sizes), SEED, settings=quick)
    assert model.people <= 0
    assert np.isfinite(model.weights).all() and all(np.isfinite(part).all() for part in model.shares)
    assert model.weights.sum() == pytest.approx(1)


class _CancelledError(Exception):
    pass


def test_progress_is_told_and_may_cancel(noise_free: Contrasts, quick: FitSettings) -> None:
    phases: list[str] = []
    fit(noise_free, SEED, settings=quick, progress=lambda phase, share: phases.append(phase))
    assert set(phases) == {"fit"}

    def cancel(phase: str, share: float | None) -> None:
        raise _CancelledError

    with pytest.raises(_CancelledError):
        fit(noise_free, SEED, settings=quick, progress=cancel)
