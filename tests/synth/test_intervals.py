"""Intervals hold the truth about 95 times in a hundred, and grow with the noise and with what the model misses."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from casesynth.aggregates import ABSENT, aggregate
from casesynth.contrasts import combine
from casesynth.domain import Attribute, Domain
from casesynth.intervals import NORMAL, ErrorScale, draw_population, judge, simulate
from casesynth.marginals import Marginal, signed_shape
from casesynth.model import FitSettings, LatentClassModel, fit, refit
from casesynth.plan import ReleasePlan
from casesynth.sample import draw_people
from casesynth.threads import one_blas_thread

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, Exact, People


def _marginals(plan: ReleasePlan, people: People, brute_signed: Brute) -> list[Marginal]:
    return [Marginal(clique=t.clique, counts=brute_signed(people, t.clique, plan.domain.sizes)) for t in plan.tables]


def _population(domain: Domain, seed: int, people: int = 2000) -> People:
    """Return people of three groups whose habits are fixed; only who is there varies with the seed."""
    habits = np.random.default_rng(99)
    random = np.random.default_rng(seed)
    group = random.choice(3, size=people, p=[0.5, 0.3, 0.2])
    columns = []
    for size in domain.sizes:
        shares = habits.dirichlet(np.full(size, 0.7), size=3)
        columns.append((random.random(people)[:, None] > shares.cumsum(axis=1)[group]).sum(axis=1).clip(max=size - 1))
    return tuple(column.astype(np.uint16) for column in columns)


def test_half_widths_are_read_by_length_and_size_and_widened_by_misfit() -> None:
    scale = ErrorScale(
        centres=np.log([10.0, 1000.0]),
        half_widths=np.array([[2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]),
        misfit=np.array([0.0, 0.5, 2.0]),
    )
    lengths = np.array([1, 1, 1, 1, 2, 3])
    estimates = np.array([10.0, 100.0, 1000.0, 1e6, 10.0, 1000.0])
    expected = [
        2.0,
        np.sqrt(2.0 * 20.0),  # halfway between both sizes on the logarithm
        20.0,
        20.0,  # beyond the largest size judged
        np.sqrt(3.0**2 + NORMAL**2 * 0.5 * np.sqrt(10.0)),
        np.sqrt(40.0**2 + NORMAL**2 * 2.0 * np.sqrt(1000.0)),
    ]
    np.testing.assert_allclose(scale.half_width(lengths, estimates), expected)


def test_simulated_tables_have_the_noise_of_the_plan(shelter: Domain, residents: People, brute_signed: Brute) -> None:
    plan = ReleasePlan.make(shelter, epsilon=0.3, people_cap=10_000)
    marginals = _marginals(plan, residents, brute_signed)
    measured = simulate(plan, marginals, np.random.default_rng(5))
    scaled = [
        ((m.values - e.counts) / t.scale).ravel() for m, e, t in zip(measured, marginals, plan.tables, strict=True)
    ]
    noise = np.concatenate(scaled)
    assert [(m.clique, m.nano_rho) for m in measured] == [(t.clique, t.nano_rho) for t in plan.tables]
    # seeded, so no false alarm; 5 standard errors of a mean and of a variance
    assert abs(noise.mean()) < 5 / np.sqrt(noise.size)
    assert abs(noise.var() - 1) < 5 * np.sqrt(2 / noise.size)


def test_intervals_hold_the_truth_95_times_in_a_hundred_and_are_no_wider_than_they_need(
    shelter: Domain, brute: Brute, brute_signed: Brute, quick: FitSettings
) -> None:
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    held: dict[int, list[bool]] = {1: [], 2: [], 3: []}
    widths: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for run in range(16):
        people = _population(shelter, seed=run)
        measured = simulate(plan, _marginals(plan, people, brute_signed), np.random.default_rng(run))
        seed = bytes([run])
        with one_blas_thread():
            model = fit(combine(measured, shelter.sizes), seed, settings=quick)
            table = aggregate(model, shelter, judge(model, measured, plan, seed, settings=quick))
        truth = {
            clique: brute(people, clique, shelter.sizes)
            for length in (1, 2, 3)
            for clique in itertools.combinations(range(len(shelter.sizes)), length)
        }
        for columns, values, low, high in zip(table.columns, table.values, table.low, table.high, strict=True):
            used = columns != ABSENT
            held[int(used.sum())].append(low <= truth[tuple(columns[used].tolist())][tuple(values[used])] <= high)
            widths[int(used.sum())].append(float(high - low) / 2)
    # seeded, so no false alarm. Single values of one run share one error in the number of people: 16 runs are few for them.
    shares = {length: float(np.mean(found)) for length, found in held.items()}
    assert all(len(found) > 300 for found in held.values())
    assert all(share >= 0.95 for share in shares.values())
    assert [float(np.median(widths[length])) < most for length, most in ((1, 50), (2, 43), (3, 26))] == [True] * 3


def test_where_noise_drowns_everyone_next_to_nothing_is_shown(
    shelter: Domain, brute_signed: Brute, quick: FitSettings
) -> None:
    plan = ReleasePlan.make(shelter, epsilon=0.01, people_cap=10_000)
    shown, large = 0, 0
    for run in range(12):
        people = _population(shelter, seed=run, people=40)
        measured = simulate(plan, _marginals(plan, people, brute_signed), np.random.default_rng(run))
        seed = bytes([run])
        model = fit(combine(measured, shelter.sizes), seed, settings=quick)
        shown += aggregate(model, shelter, judge(model, measured, plan, seed, settings=quick)).combinations
        large += model.people > 100
    assert large >= 3  # by chance the noisy number of people is in the hundreds: only intervals can tell
    assert shown <= 2


def test_less_epsilon_gives_wider_intervals(
    shelter: Domain, residents: People, brute_signed: Brute, quick: FitSettings
) -> None:
    widths = []
    for epsilon in (0.3, 1, 4):
        plan = ReleasePlan.make(shelter, epsilon=epsilon, people_cap=10_000)
        measured = simulate(plan, _marginals(plan, residents, brute_signed), np.random.default_rng(1))
        model = fit(combine(measured, shelter.sizes), b"s", settings=quick)
        errors = judge(model, measured, plan, b"s", settings=quick)
        widths.append(errors.half_width(np.array([1, 2, 3]), np.full(3, 200.0)))
    for more, less in itertools.pairwise(widths):
        assert (less < more).all()


def test_structure_that_the_model_misses_widens_intervals(shelter: Domain, brute_signed: Brute) -> None:
    plan = ReleasePlan.make(shelter, epsilon=8, people_cap=100_000)
    people = list(_population(shelter, seed=3, people=20_000))
    people[4] = (people[0] == 1).astype(np.uint16)  # one flag is a function of the first column
    measured = simulate(plan, _marginals(plan, tuple(people), brute_signed), np.random.default_rng(1))
    misfit = []
    for classes in (1, 40):  # one class cannot say that two columns belong together
        settings = FitSettings(classes=classes, steps=150, starts=1, pilot_classes=classes, pilot_steps=30)
        model = fit(combine(measured, shelter.sizes), b"s", settings=settings)
        misfit.append(judge(model, measured, plan, b"s", settings=settings).misfit)
    assert misfit[0][1] > 10 * misfit[1][1]
    assert misfit[0][2] > 10 * misfit[1][2]


def _list_of_five(name: str, missing: int) -> Attribute:
    return Attribute(
        name=name,
        values=tuple("abcde"),
        missing=frozenset({missing}),
        blank=missing,
        outside=missing,
        read=lambda _: None,
    )


def test_what_the_model_misses_of_missing_values_does_not_widen_intervals_of_known_ones(exact: Exact) -> None:
    settings = FitSettings(classes=20, steps=200, starts=1, pilot_classes=10, pilot_steps=30)
    random = np.random.default_rng(7)
    told = tuple(np.append(random.integers(0, 4, 1700), np.full(300, 4)).astype(np.uint16) for _ in range(4))
    apart = np.repeat([[0.25], [0.0]], [4, 1], axis=0), np.repeat([[0.0], [1.0]], [4, 1], axis=0)
    model = LatentClassModel(
        people=2000.0,
        people_sigma=5.0,
        weights=np.repeat([0.085, 0.015], 10),  # ten equal classes of each kind: refits have as many
        shares=(np.repeat(np.concatenate(apart, axis=1), 10, axis=1),) * 4,
        stiffness=0.03,
        residual=(1.0, 1.0, 1.0),
    )
    widths = {}
    for more in (0, 800):  # so many more people have the last value of every column than the model says
        people = tuple(np.append(column, np.full(more, 4, dtype=np.uint16)) for column in told)
        for missing in (0, 4):
            domain = Domain(attributes=tuple(_list_of_five(name, missing) for name in "abcd"))
            plan = ReleasePlan.make(domain, epsilon=4, people_cap=10_000)
            tables = exact(people, [table.clique for table in plan.tables], domain.sizes, plan.tables[0].nano_rho)
            marginals = [Marginal(clique=m.clique, counts=m.values) for m in tables]
            measured = simulate(plan, marginals, np.random.default_rng(1))
            with one_blas_thread():
                errors = judge(model, measured, plan, b"s", settings=settings)
            widths[more, missing] = errors.half_width(np.array([1, 2, 3]), np.full(3, 300.0))
    np.testing.assert_allclose(widths[800, 4], widths[0, 4], rtol=1e-6)
    assert (widths[800, 0] > 5 * widths[0, 0]).all()  # where that value is a known one, it counts


def test_refits_are_as_hard_as_the_model_was_fitted(
    shelter: Domain, residents: People, brute_signed: Brute, quick: FitSettings
) -> None:
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    measured = simulate(plan, _marginals(plan, residents, brute_signed), np.random.default_rng(1))
    two = replace(quick, starts=2)
    hard = two.harder(1.5)
    with one_blas_thread():
        model = refit(combine(measured, shelter.sizes), b"s", stiffness=0.03, settings=hard)
        assert len(model.weights) == 2 * hard.classes == 3 * quick.classes
        found, expected, easy = (
            judge(model, measured, plan, b"s", settings=settings).half_widths
            for settings in (two, hard, replace(hard, steps=quick.steps))
        )
    assert found.tobytes() == expected.tobytes() != easy.tobytes()


def test_the_same_measurements_give_the_same_intervals(
    shelter: Domain, residents: People, brute_signed: Brute, quick: FitSettings
) -> None:
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    measured = simulate(plan, _marginals(plan, residents, brute_signed), np.random.default_rng(1))
    with one_blas_thread():
        model = fit(combine(measured, shelter.sizes), b"s", settings=quick)
        one, two = (judge(model, measured, plan, b"s", settings=quick) for _ in range(2))
    assert one.half_widths.tobytes() == two.half_widths.tobytes()
    assert one.misfit.tobytes() == two.misfit.tobytes()


def test_half_widths_exist_for_every_length_and_size_even_of_nobody(shelter: Domain, quick: FitSettings) -> None:
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    empty = [
        Marginal(clique=t.clique, counts=np.zeros(signed_shape(t.clique, shelter.sizes), dtype=np.int64))
        for t in plan.tables
    ]
    measured = simulate(plan, empty, np.random.default_rng(1))
    model = fit(combine(measured, shelter.sizes), b"s", settings=quick)
    assert len(draw_people(model, np.random.default_rng(1))[0]) < 50
    errors = judge(model, measured, plan, b"s", settings=quick)
    assert errors.half_widths.shape == (3, len(errors.centres))
    assert np.isfinite(errors.half_widths).all() and (errors.half_widths > 0).all()
    assert np.isfinite(errors.misfit).all() and (errors.misfit >= 0).all()


def test_cancelling_stops_the_judging(
    shelter: Domain, residents: People, brute_signed: Brute, quick: FitSettings
) -> None:
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    measured = simulate(plan, _marginals(plan, residents, brute_signed), np.random.default_rng(1))
    model = fit(combine(measured, shelter.sizes), b"s", settings=quick)

    def cancel(phase: str, share: float | None) -> None:
        assert phase == "aggregate"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(model, measured, plan, b"s", settings=quick, progress=cancel)


def _mixture(sizes: tuple[int, ...], people: float, classes: int = 5) -> LatentClassModel:
    random = np.random.default_rng(5)
    return LatentClassModel(
        people=people,
        people_sigma=3.0,
        weights=random.dirichlet(np.full(classes, 3.0)),
        shares=tuple(random.dirichlet(np.ones(size), size=classes).T for size in sizes),
        stiffness=0.03,
        residual=(1.0, 1.0, 1.0),
    )


def test_a_part_of_a_large_population_scatters_as_the_whole_would(shelter: Domain) -> None:
    model = _mixture(shelter.sizes, people=20_000.0)
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=100_000)
    judged = [(0,), (1, 7), (0, 1, 7), (2, 3)]
    drawn = {
        most: [
            draw_population(model, plan, judged, np.random.default_rng(run), most=most) for run in range(most // 1000, 90 + most // 1000)
        ]
        for most in (1000, 20_000)
    }  # fmt: skip
    for population in drawn[1000]:
        assert population.people == 20_000
        for clique in judged:
            assert population.truth[clique].sum() == pytest.approx(20_000)
        np.testing.assert_allclose(population.truth[0, 1, 7].sum(axis=0), population.truth[1, 7])
        np.testing.assert_allclose(population.truth[0, 1, 7].sum(axis=(1, 2)), population.truth[0,])
    # seeded, so no false alarm; a ratio of two variances from 90 draws is known to 21 %, and means to 11 % of a deviation
    for clique in judged:
        whole, part = (
            np.array([population.truth[clique].ravel() for population in drawn[most]]) for most in (20_000, 1000)
        )
        expected = model.marginal(clique).ravel()
        large = expected > 200
        assert large.sum() >= 2
        ratio = part.var(axis=0)[large] / whole.var(axis=0)[large]
        assert 0.6 < np.exp(np.log(ratio).mean()) < 1.6  # unscaled, it would be a twentieth, or twenty
        assert (np.abs(part.mean(axis=0) - expected) < 5 * np.sqrt(expected / 90) + 0.5).all()
    for place, table in enumerate(plan.tables[:40]):
        parts, wholes = (np.array([p.marginals[place].counts.ravel() for p in drawn[most]]) for most in (1000, 20_000))
        assert np.abs(parts.mean(axis=0) - wholes.mean(axis=0)).max() < 6 * np.sqrt(20_000 / 45)
        assert parts.shape == wholes.shape and table.clique == drawn[1000][0].marginals[place].clique


def test_a_population_below_the_limit_is_drawn_whole(shelter: Domain) -> None:
    model = _mixture(shelter.sizes, people=700.4)
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=100_000)
    population = draw_population(model, plan, [(0, 1)], np.random.default_rng(1))
    people = draw_people(model, np.random.default_rng(1))
    assert population.people == len(people[0]) == 700
    table = np.zeros((shelter.sizes[0], shelter.sizes[1]))
    np.add.at(table, (people[0], people[1]), 1)
    np.testing.assert_array_equal(population.truth[0, 1], table)
