"""How far an estimate may be off: 95 % intervals from refits on people drawn from the model.

All of it is post-processing; nothing real is read.

1. Judged are combinations of known values, the ones that are published: those of missing values are large, many and easy. People are drawn independently from the fitted model and measured with simulated noise of the plan's scales; the model is fitted
   again to those numbers, and again with other people until enough combinations were judged. There the truth is known, so the errors of the refit show what noise, fitting and the roughness of whole
   people do to an estimate of a given length and size. Of more than `DRAWN_MAX` people only so many are drawn: how far their tables are from the model's
   is scaled up with the root of the number of people, as whole people would scatter.
2. The half width for a length and size is a quantile of those errors, a little above 95 %, among estimates of about that size. One refit has one
   error in the number of people, shared by all its cells: it is taken out, and all errors of its known distribution are put in.
3. It is widened by structure that the model lacks: estimates are compared with the direct noisy tables, in the release and in the refit.
   Noise and fitting contribute the same to both mean squares, so their difference is the squared misfit. It grows with the
   root of the estimate; the factor is fitted per length, and its own uncertainty is added. For large
   estimates, which the prior pulls towards independence, it is judged for each size class.
4. Pairs of columns that stand apart are widened by what they lack themselves (`casesynth.apart`). Named tables have their own noisy numbers beside
   (`casesynth.sharper`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from casesynth.apart import Apart, beyond, found_apart
from casesynth.contrasts import Floats, combine
from casesynth.counting import count, count_signed
from casesynth.domain import known_values
from casesynth.links import unfolded
from casesynth.marginals import Clique, Marginal
from casesynth.measure import Measurement, in_two_stages
from casesynth.model import FitSettings, LatentClassModel, refit
from casesynth.near import followed
from casesynth.plan import ReleasePlan, named_cliques
from casesynth.progress import Progress, silent
from casesynth.sample import draw_people
from casesynth.seeded import generator
from casesynth.sharper import Sharper, of_table, sharper

QUANTILE = 0.965
"""Of the judged errors. One refit on people who follow the model is a little kinder than the world: with .95, intervals of the harder files held in 94 of
100 cases (ADR 0003)."""
MISFIT_ERRORS = 1.25
"""Standard errors added to the misfit of all sizes."""
LARGE_ERRORS = 3.0
"""Standard errors added to the misfit of a size class of large estimates."""
NORMAL = 1.96
"""Standard errors on each side of a 95 % interval."""
TRIPLES_JUDGED = 400
"""Triples of columns on which errors of length three are judged."""
_EDGES = np.log(np.array([10, 14, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 1e9]))
_PEOPLE_ERRORS = np.array([NormalDist().inv_cdf((i + 0.5) / 20) for i in range(20)])
"""Equally likely errors in the number of people, in standard errors."""
SMALLEST = 10.0
"""Smallest estimate whose error is judged."""
LARGE = 99.0
"""From about 100 people on, misfit is judged for each size class."""
CELLS_ENOUGH = 1500
"""Refits go on until so many combinations of two values were judged; small domains need several, and are fast."""
ROUNDS_MAX = 12
DRAWN_MAX = 400_000
"""Most people drawn; with more, drawing and counting them would take longer than the fit."""
_FEWEST = 30
"""A size class with fewer judged cells borrows from its neighbour."""


@dataclass(frozen=True, kw_only=True)
class ErrorScale:
    """Half width of the 95 % interval by length of the combination and size of the estimate."""

    centres: Floats
    """Logarithm of the estimate at which each half width was judged."""
    half_widths: Floats
    """Half width in people without misfit, shape (lengths, centres)."""
    misfit: Floats
    """Squared misfit over the root of the estimate, shape (lengths,)."""
    apart: tuple[Apart, ...] = ()
    """Pairs of columns that are further off."""
    sharper: tuple[Sharper, ...] = ()
    """Named tables, whose cells may be known better."""

    def half_width(self, lengths: NDArray[np.int64], estimates: Floats) -> Floats:
        """Return half of the interval of each estimate, in people; arrays of shape (cells,)."""
        logs = np.log(np.maximum(estimates, 1.0))
        result = np.zeros(len(estimates))
        for row, widths in enumerate(self.half_widths):
            chosen = lengths == row + 1
            drawn = np.exp(np.interp(logs[chosen], self.centres, np.log(widths)))
            result[chosen] = np.sqrt(drawn**2 + NORMAL**2 * self.misfit[row] * np.sqrt(estimates[chosen]))
        return result

    def of(self, columns: Clique, estimates: Floats) -> Floats:
        """Return half of the interval of each estimate of a combination of these columns, in people."""
        half = self.half_width(np.full(len(estimates), len(columns)), estimates)
        more = beyond(self.apart, columns)
        return np.sqrt(half**2 + NORMAL**2 * more * np.sqrt(np.maximum(estimates, 0.0))) if more else half

    def part(self, columns: Clique, estimates: Floats) -> Floats:
        """Return half of each interval as a part of a union: below `SMALLEST` people it counts in proportion to its size."""
        half = self.of(columns, np.maximum(estimates, SMALLEST))
        result: Floats = half * np.minimum(estimates / SMALLEST, 1.0)
        return result


def half_widths(model: LatentClassModel, errors: ErrorScale, columns: Clique) -> Floats:
    """Return half of the interval of every cell of a table over one to three columns, in people; one axis per column.

    A combination with declared columns is a union of combinations of their sources: its half width is the sum of theirs, as for errors that go
    together, and never less than that of one combination of its size. A part below `SMALLEST` people counts in proportion to its size. Nor is it
    less than the part of the estimate that is in doubt for the derived value itself (`casesynth.derived`). A named table has at most what its own noisy numbers say.

    Args:
        model: the fitted model.
        errors: its error scale.
        columns: of the table, each once.
    """
    estimates = np.maximum(model.marginal(columns), 0.0)
    plain = errors.of(tuple(columns), estimates.ravel()).reshape(estimates.shape)
    own = of_table(errors.sharper, tuple(columns))
    if own is not None:
        plain = np.minimum(plain, own)
    base, declared = unfolded(columns, model.links)
    if not declared:
        return plain
    parts = np.maximum(model.marginal(base), 0.0)
    halves = errors.part(base, parts.ravel()).reshape(parts.shape)
    letters = {column: "abc"[place] for place, column in enumerate(base)}
    operands: list[Floats] = [halves]
    terms = ["".join(letters[column] for column in base)]
    wanted = ""
    for place, column in enumerate(columns):
        source = declared[column].source if column in declared else column
        table = declared[column].table if column in declared else np.eye(parts.shape[base.index(column)])
        operands.append(table)
        terms.append(letters[source] + "xyz"[place])
        wanted += "xyz"[place]
    together: Floats = np.einsum(f"{','.join(terms)}->{wanted}", *operands, optimize=True)
    doubts = [
        np.expand_dims(link.doubt, [axis for axis in range(len(columns)) if columns[axis] != column])
        for column, link in declared.items()
        if link.doubt is not None and link.source not in columns
    ]
    widest: Floats = np.maximum.reduce([plain, together, *(estimates * doubt for doubt in doubts)])
    return widest


def simulate(plan: ReleasePlan, marginals: Sequence[Marginal], random: np.random.Generator) -> tuple[Measurement, ...]:
    """Return tables of made-up people with simulated noise of the plan's scales. Never for real people: post-processing, not a mechanism (privacy rule 7)."""
    scales = {table.nano_rho: table.scale for table in plan.tables}

    def noisy(counts: NDArray[np.int64], nano_rho: int) -> NDArray[np.int64]:
        noise: NDArray[np.int64] = np.rint(random.standard_normal(counts.shape) * scales[nano_rho]).astype(np.int64)
        return counts + noise

    return in_two_stages(plan, marginals, noisy)


@dataclass(frozen=True, kw_only=True)
class MadeUpPopulation:
    """People drawn from a model, as far as judging needs them."""

    people: int
    marginals: list[Marginal]
    """The plan's tables, signed."""
    truth: dict[Clique, Floats]
    """The judged tables, plain."""


def draw_population(
    model: LatentClassModel,
    plan: ReleasePlan,
    judged: Sequence[Clique],
    random: np.random.Generator,
    *,
    most: int = DRAWN_MAX,
    check: Callable[[], None] = lambda: None,
) -> MadeUpPopulation:
    """Draw as many people as the model has and count them; of a large population a part stands for all.

    The tables of N independent people scatter around the model's N p with covariance N (diag p - p p'). Those of M people scatter by M times the same
    matrix: their distance to M p, times the root of N / M, has the covariance wanted. Post-processing.

    Args:
        model: the fitted model.
        plan: names the tables that will be measured.
        judged: tables whose truth is wanted.
        random: a seeded generator.
        most: most people drawn.
        check: called between tables; raises to cancel.
    """
    sizes, cliques = plan.measured.sizes, [table.clique for table in plan.tables]
    whole = max(round(model.people), 0)
    part = model if whole <= most else replace(model, people=float(most))
    people = draw_people(part, random)
    marginals = count_signed([people], cliques, sizes, check=check)
    truth = {m.clique: m.counts.astype(np.float64) for m in count([people], judged, sizes, check=check)}
    if whole > most:
        stretch, rise = math.sqrt(whole / most), math.sqrt(whole / most) - whole / most
        # N p + stretch (T - M p) = stretch T - (stretch - N / M) M p
        for clique, table in truth.items():
            check()
            truth[clique] = stretch * table - rise * part.marginal(clique)
        marginals = [
            replace(m, counts=np.rint(stretch * m.counts - rise * _signed(part, m.clique, sizes)).astype(np.int64))
            for m in marginals
        ]
    return MadeUpPopulation(people=whole, marginals=marginals, truth=truth)


def _signed(model: LatentClassModel, clique: Clique, sizes: Sequence[int]) -> Floats:
    """Return the expected signed marginal of a clique."""
    if not clique:
        return np.array(model.people)
    table = model.marginal(clique)
    for axis in reversed(range(len(clique))):
        if sizes[clique[axis]] == 2:
            table = np.asarray(table.take(0, axis) - table.take(1, axis))
    return table


def judge(
    model: LatentClassModel,
    measurements: Sequence[Measurement],
    plan: ReleasePlan,
    seed: bytes,
    *,
    settings: FitSettings | None = None,
    progress: Progress = silent,
) -> ErrorScale:
    """Return how far the model's estimates may be off.

    Args:
        model: the fitted model.
        measurements: the noisy tables that it was fitted to.
        plan: the plan whose noise is simulated.
        seed: digest of the measurements.
        settings: what the model was fitted with.
        progress: called often; raising from it cancels.
    """
    sizes = plan.measured.sizes
    settings = settings or FitSettings()
    settings = settings.harder(
        len(model.weights) / (settings.classes * settings.starts)
    )  # as hard as the model was fitted
    judged = _judged_cliques(len(sizes), generator(seed, "judged"))
    known = _judged_values(model, known_values(plan.measured))
    contrasts = combine(measurements, sizes)
    real = _gaps(model, judged, known, contrasts.table)
    errors: list[tuple[_Gaps, _Gaps, _Gaps]] = []
    drawn: list[tuple[_Gaps, _Gaps, _Gaps]] = []
    enough = 0
    while len(errors) < ROUNDS_MAX and enough < CELLS_ENOUGH:
        random = generator(seed, f"intervals {len(errors)}")
        error, gap = _round(model, plan, judged, known, seed + b"again %d" % len(errors), random, settings, progress)
        errors.append(error)
        drawn.append(gap)
        enough += len(error[min(len(sizes), 2) - 1].gaps) or CELLS_ENOUGH  # nothing to judge: more rounds show no more
    every = [_Gaps.joined(parts) for parts in zip(*errors, strict=True)]
    gaps = [_Gaps.joined(parts) for parts in zip(*drawn, strict=True)]
    misfit = np.array([_misfit(r, d) for r, d in zip(real, gaps, strict=True)])
    extra = np.array([_large_misfit(r, d, m) for r, d, m in zip(real, gaps, misfit, strict=True)])
    scale = ErrorScale(
        centres=(_EDGES[:-1] + _EDGES[1:]) / 2,
        half_widths=np.sqrt(_half_widths(every, model.people_sigma) ** 2 + NORMAL**2 * extra),
        misfit=misfit,
    )

    def of_two(estimates: Floats) -> Floats:
        return scale.half_width(np.full(len(estimates), 2), estimates)

    own = sharper(model, contrasts, named_cliques(plan.measured, plan.named))
    return replace(scale, apart=found_apart(model, contrasts, known_values(plan.measured), of_two), sharper=own)


def _round(
    model: LatentClassModel,
    plan: ReleasePlan,
    judged: Sequence[Clique],
    known: Sequence[Sequence[NDArray[np.int64]]],
    seed: bytes,
    random: np.random.Generator,
    settings: FitSettings,
    progress: Progress,
) -> tuple[tuple[_Gaps, _Gaps, _Gaps], tuple[_Gaps, _Gaps, _Gaps]]:
    """Draw people, measure them, fit again; return how far the refit is from the truth, and from the direct tables."""
    sizes = plan.measured.sizes
    population = draw_population(model, plan, judged, random, check=lambda: progress("aggregate", None))
    contrasts = combine(simulate(plan, population.marginals, random), sizes)
    again = refit(
        contrasts,
        seed,
        stiffness=model.stiffness,
        settings=replace(
            settings, starts=1
        ),  # a little worse than the union of starts: the safe side, and half the work
        progress=lambda _, share: progress("aggregate", share),
    )
    again = followed(again, contrasts, model.links)
    off = population.people - again.people

    def with_that_many_people(clique: Clique) -> Floats:
        truth = population.truth[clique]
        return np.asarray(truth - off / truth.size, dtype=np.float64)

    return _gaps(again, judged, known, with_that_many_people), _gaps(again, judged, known, contrasts.table)


def _judged_values(
    model: LatentClassModel, known: Sequence[NDArray[np.int64]]
) -> tuple[tuple[NDArray[np.int64], ...], ...]:
    """Return, per length, the values of each column whose combinations are judged: the known ones; singly all, where hardly anything is known."""
    weight = model.weights * model.people
    large = math.exp(_EDGES[0])
    said = any((model.shares[column][places] @ weight >= large).any() for column, places in enumerate(known))
    every = tuple(np.arange(len(shares)) for shares in model.shares)
    return (tuple(known) if said else every), tuple(known), tuple(known)


def _judged_cliques(columns: int, random: np.random.Generator) -> list[Clique]:
    cliques: list[Clique] = [(i,) for i in range(columns)]
    cliques += list(itertools.combinations(range(columns), 2))
    triples = list(itertools.combinations(range(columns), 3))
    chosen = random.permutation(len(triples))[:TRIPLES_JUDGED]
    return cliques + [triples[place] for place in sorted(chosen)]


@dataclass(frozen=True, kw_only=True)
class _Gaps:
    """Reference minus estimate for the judged cells of one length."""

    estimates: Floats
    gaps: Floats
    portions: Floats
    """What one more person in all adds to the estimate of the cell: one over the number of cells of its table."""

    @staticmethod
    def joined(parts: Sequence[_Gaps]) -> _Gaps:
        """Return the cells of several rounds together."""
        return _Gaps(
            estimates=np.concatenate([part.estimates for part in parts]),
            gaps=np.concatenate([part.gaps for part in parts]),
            portions=np.concatenate([part.portions for part in parts]),
        )


def _gaps(
    model: LatentClassModel,
    judged: Sequence[Clique],
    known: Sequence[Sequence[NDArray[np.int64]]],
    reference: Callable[[Clique], NDArray[np.int64] | Floats | None],
) -> tuple[_Gaps, _Gaps, _Gaps]:
    """Compare estimates of the values that are judged at each length, of at least the smallest judged size, with a reference; one result per length."""
    estimates: tuple[list[Floats], ...] = ([], [], [])
    gaps: tuple[list[Floats], ...] = ([], [], [])
    portions: tuple[list[Floats], ...] = ([], [], [])
    smallest = math.exp(_EDGES[0])
    known = [  # a combination is never larger than its parts
        [places[model.marginal([column], values) >= smallest] for column, places in enumerate(values)]
        for values in known
    ]
    for clique in judged:
        expected = reference(clique)
        if expected is None:
            continue
        values = known[len(clique) - 1]
        published = np.ix_(*(values[column] for column in clique))
        guess = model.marginal(clique, values).ravel()
        direct = expected[published].ravel()
        large = (guess >= smallest) & np.isfinite(direct)  # folded values have no direct estimate
        estimates[len(clique) - 1].append(guess[large])
        gaps[len(clique) - 1].append(direct[large] - guess[large])
        portions[len(clique) - 1].append(np.full(int(large.sum()), 1 / expected.size))
    none = [np.zeros(0)]
    one, two, three = (
        _Gaps(estimates=np.concatenate(e or none), gaps=np.concatenate(g or none), portions=np.concatenate(p or none))
        for e, g, p in zip(estimates, gaps, portions, strict=True)
    )
    return one, two, three


def _half_widths(errors: Sequence[_Gaps], people_sigma: float) -> Floats:
    """Return the quantile of the errors by length and size of the estimate; shape (lengths, size classes)."""
    rows: list[list[float]] = []
    for found in errors:
        size = np.log(found.estimates)
        gap = np.abs(found.gaps[:, None] + people_sigma * found.portions[:, None] * _PEOPLE_ERRORS)
        row = []
        for place, (low, high) in enumerate(itertools.pairwise(_EDGES)):
            inside = (size >= low) & (size < high)
            reach = 0.0
            while inside.sum() < min(_FEWEST, len(size)):
                reach += 0.5
                inside = (size >= low - reach) & (size < high + reach)
            if inside.any():
                row.append(max(float(np.quantile(gap[inside], QUANTILE)), 0.5))
            else:  # no cell of this length is large enough to judge: as for the shorter length, or wider than any estimate
                row.append(rows[-1][place] if rows else math.exp(high))
        if rows and len(size) < _FEWEST:  # too few to know better than what shorter combinations say
            row = [max(pair) for pair in zip(row, rows[-1], strict=True)]
        rows.append(row)
    return np.array(rows)


def _misfit(real: _Gaps, drawn: _Gaps) -> float:
    """Return the squared misfit over the root of the estimate: weighted least squares over size classes, plus its uncertainty."""
    top = bottom = 0.0
    for low, high in itertools.pairwise(np.exp(_EDGES)):
        inside = [(part.estimates >= low) & (part.estimates < high) for part in (real, drawn)]
        if min(int(chosen.sum()) for chosen in inside) < 2:
            continue
        squares = [part.gaps[chosen] ** 2 for part, chosen in zip((real, drawn), inside, strict=True)]
        centre = math.sqrt(float(real.estimates[inside[0]].mean()))
        variance = max(sum(float(square.var()) / len(square) for square in squares), 1e-9)
        top += centre * (float(squares[0].mean()) - float(squares[1].mean())) / variance
        bottom += centre**2 / variance
    return max(top / bottom, 0.0) + MISFIT_ERRORS / math.sqrt(bottom) if bottom else 0.0


def _large_misfit(real: _Gaps, drawn: _Gaps, misfit: float) -> Floats:
    """Return, per size class, the squared misfit of large estimates beyond `misfit`, with its uncertainty; zero below LARGE.

    The prior pulls large combinations towards independence, and direct tables are precise enough to see by how much.
    """
    extra: list[float] = []
    for low, high in itertools.pairwise(np.exp(_EDGES)):
        inside = [(part.estimates >= low) & (part.estimates < high) for part in (real, drawn)]
        if low < LARGE or min(int(chosen.sum()) for chosen in inside) < 2:
            extra.append(extra[-1] if low >= LARGE and extra else 0.0)
            continue
        squares = [part.gaps[chosen] ** 2 for part, chosen in zip((real, drawn), inside, strict=True)]
        error = math.sqrt(sum(float(square.var()) / len(square) for square in squares))
        found = float(squares[0].mean()) - float(squares[1].mean()) + LARGE_ERRORS * error
        extra.append(max(found - misfit * math.sqrt(float(real.estimates[inside[0]].mean())), 0.0))
    return np.array(extra)
