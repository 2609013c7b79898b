"""The plan of an answer: which tables are counted, what each costs, and how exact the answer will be. Public facts only.

1. A table has an axis for each of its splits and a sign for each of its facts: who has the fact counts +1, who has not -1. So one person moves one cell by
   one whatever facts they have, and f overlapping facts cost f + 1 tables that halve
   each other's noise, not one table of sensitivity sqrt(f): at 16 facts the same price buys noise .63 times as wide (privacy rule 1). Where records are counted, one person moves a table by as many as `at_most`, and the price grows with its square.
2. Shares follow the square roots of the tables' numbers of cells, times the number of families of counts that rest on the table, which minimises the sum of
   variances. The table without facts serves all facts.
3. Accuracy in people: the price is the smallest at which every count that is shown is that exact. What was paid for before on the same grid helps, and
   lowers the price; both are public facts of the ledger (privacy rule 17).
4. The plan is made before anything is charged or opened, and cannot see data.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from casesynth.answers.by_facts import ByFacts
from casesynth.answers.families import Shown, shown_families
from casesynth.answers.grid import GridError, GridEstimate, GridTable, combine
from casesynth.answers.question import CountTable, Fact, Integers, Question, Split, Where, WithinPeople
from casesynth.answers.reuse import reused
from casesynth.canonical import JsonValue, canonical_json
from casesynth.errors import CasesynthError
from casesynth.privacy.accounting import check_delta, default_delta, epsilon_for, rho_for
from casesynth.privacy.loss import PrivacyLoss
from casesynth.privacy.mechanisms import gaussian_scale

CELLS_MAX: Final = 20_000
"""Most noisy cells of an answer."""

TABLES_MAX: Final = 1_100

NORMAL: Final = 1.959963984540054
"""Standard errors on each side of a 95 % interval."""

PRICE_MAX: Final = 10**13
"""Nano-rho of the dearest answer: beyond it there is no protection to speak of."""

_TOO_LITTLE: Final = "the budget is too small for the {} tables of this question: ask for less, or pay more"

_UNIT_SCALE: Final = gaussian_scale(1)


class AnswerPlanError(CasesynthError):
    """A question that cannot be planned from its public facts; says what to change."""


@dataclass(frozen=True, kw_only=True)
class AnswerPlan:
    """What will be counted, what it costs, and how exact the answer will be."""

    question: Question
    tables: tuple[CountTable, ...]
    """Empty where the answer follows from what is paid for."""
    nano_rho: int
    """The price for one person token, never below what the tables cost; 0 where the answer is free."""
    people_cap: int
    delta: float
    tokens: int
    """How many person tokens one person may have in the datasets (privacy rule 2)."""
    within: float
    """Half width of the widest 95 % interval of a count that is shown, before rounding, in people or records."""

    @property
    def free(self) -> bool:
        """Whether the accuracy asked for follows from what is paid for."""
        return self.nano_rho == 0

    @property
    def loss(self) -> PrivacyLoss:
        """Privacy loss for one person token.

        Raises:
            PrivacyLossError: the answer is free, and nothing is to be charged.
        """
        return PrivacyLoss(nano_rho=self.nano_rho)

    @property
    def epsilon(self) -> float:
        """Of the price, at the plan's delta, for one person token."""
        return 0.0 if self.free else epsilon_for(self.nano_rho, self.delta)

    @property
    def epsilon_per_person(self) -> float:
        """Of the price for a person behind `tokens` tokens."""
        return 0.0 if self.free else epsilon_for(self.loss.scaled(self.tokens).nano_rho, self.delta)

    @property
    def cells(self) -> int:
        """Number of noisy cells."""
        return sum(table.cells for table in self.tables)

    def facts(self) -> JsonValue:
        """Return the plan as JSON: question, tables and shares."""
        return {"question": self.question.canonical, "tables": [table.facts_of_it() for table in self.tables]}


def question_digest(question: Question) -> str:
    """Return the name of a question, whatever its accuracy, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(question.canonical)).hexdigest()


def plan_answer(
    question: Question,
    *,
    people_cap: int,
    delta: float | None = None,
    tokens: int = 1,
    paid: Sequence[CountTable] = (),
    price: int | None = None,
) -> AnswerPlan:
    """Plan an answer.

    Args:
        question: fits the domain of the datasets.
        people_cap: public bound on the number of people.
        delta: default the smaller of 1e-6 and 1 / (10 people_cap).
        tokens: how many person tokens one person may have.
        paid: tables of the same unit that were paid for before on the same snapshot (`helping`).
        price: nano-rho that were charged for this very question; its shares then follow from it, whatever was paid for since.

    Raises:
        AnswerPlanError: too many cells, or no price buys that accuracy.
        PrivacyLossError: delta is out of range.
    """
    used = check_delta(default_delta(people_cap) if delta is None else delta)
    unit = _unit_tables(question)
    cells = sum(table.cells for table in unit)
    if cells > CELLS_MAX or len(unit) > TABLES_MAX:
        raise AnswerPlanError(
            f"the question has {cells} cells in {len(unit)} tables, expected at most {CELLS_MAX} in {TABLES_MAX}"
        )
    families = shown_families(question)
    expected = _Expected.of(families, question.where, unit, paid)
    spread, asked = unit[0].spread, question.accuracy
    weights = _weights(unit, families)
    if price is not None:
        budget = price // spread**2
    elif isinstance(asked, WithinPeople):
        budget = 0 if _follows(expected, asked.people) else _price(unit, weights, expected, asked.people)
    else:
        budget = _rho_for(asked.epsilon, used) // spread**2
        if budget < len(unit):
            raise AnswerPlanError(_TOO_LITTLE.format(len(unit)))
    tables = _priced(unit, weights, budget) if budget else ()
    return AnswerPlan(
        question=question,
        tables=tables,
        nano_rho=budget * spread**2,
        people_cap=people_cap,
        delta=used,
        tokens=tokens,
        within=expected.within(tables),
    )


def helping(question: Question, paid: Sequence[tuple[CountTable, Integers]]) -> list[tuple[CountTable, Integers]]:
    """Return those of some noisy tables of one snapshot that make an answer more exact: of the same unit and the same people alone."""
    at_most = None if question.unit is None else question.unit.at_most
    index = ByFacts.of(
        [
            (table, place)
            for place, (table, _) in enumerate(paid)
            if (table.at_most, table.registered) == (at_most, question.registered)
        ],
    )
    helpful: set[int] = set()
    for shown in shown_families(question):
        axes = _axes(shown)
        helpful |= {
            place
            for table, place in index.about(axes)
            if place not in helpful and reused(table, None, axes, question.where) is not None
        }
    return [paid[place] for place in sorted(helpful)]


def grid_of(shown: Shown, tables: ByFacts[Integers], where: Where) -> GridEstimate:
    """Return the estimate of a family's grid from all tables that say something about it."""
    axes = _axes(shown)
    found = [reused(table, values, axes, where) for table, values in tables.about(axes)]
    return combine(_sizes(shown), [table for table in found if table is not None])


def _axes(shown: Shown) -> tuple[Split | Fact, ...]:
    return (*shown.splits, *shown.facts)


def _sizes(shown: Shown) -> list[int]:
    return [len(split.parts) for split in shown.splits] + [2] * len(shown.facts)


@dataclass(frozen=True, kw_only=True)
class _Family:
    """One family of counts, for all that are measured alike."""

    shown: Shown
    own: tuple[tuple[int, GridTable], ...]
    """Which of the question's tables say something about it, and how."""
    paid: tuple[GridTable, ...]


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """How exact a question's counts are, for any shares of its tables."""

    families: tuple[_Family, ...]

    @classmethod
    def of(
        cls, families: Sequence[Shown], where: Where, unit: Sequence[CountTable], paid: Sequence[CountTable]
    ) -> _Expected:
        """Look once at what each table says about each family."""
        alike: dict[object, _Family] = {}
        of_unit = ByFacts.of([(table, place) for place, table in enumerate(unit)])
        of_paid = ByFacts.of([(table, place) for place, table in enumerate(paid)])
        for shown in families:
            if not shown.counts:
                continue
            axes = _axes(shown)
            own = [(place, reused(table, None, axes, where)) for table, place in of_unit.about(axes)]
            told = [(place, table) for place, table in own if table is not None]
            seen = [reused(table, None, axes, where) for table, _ in of_paid.about(axes)]
            before = [found for found in seen if found is not None]
            kind = (
                shown.total,
                tuple(_sizes(shown)),
                tuple((unit[place].cells, len(unit[place].facts), table.uses) for place, table in told),
                tuple(sorted((table.uses, table.variance) for table in before)),
            )
            alike.setdefault(kind, _Family(shown=shown, own=tuple(told), paid=tuple(before)))
        return cls(families=tuple(alike.values()))

    def within(self, tables: Sequence[CountTable]) -> float:
        """Return the half width of the widest interval of a count, with these tables; none of them, or all, priced.

        Raises:
            GridError: no table tells a part of a count.
        """
        worst = 0.0
        for family in self.families:
            own = [
                replace(table, variance=table.variance * (tables[place].scale / _UNIT_SCALE) ** 2)
                for place, table in (family.own if tables else ())
            ]
            estimate = combine(_sizes(family.shown), [*own, *family.paid])
            worst = max(worst, float(estimate.covariance(family.shown.rows, family.shown.rows).max()))
        return NORMAL * math.sqrt(worst)


@lru_cache(maxsize=256)
def _rho_for(epsilon: float, delta: float) -> int:
    """Look up a conversion that takes some milliseconds."""
    return rho_for(epsilon, delta)


def _unit_tables(question: Question) -> list[CountTable]:
    """Return the tables of a question, not priced yet."""
    splits, at_most = question.splits, None if question.unit is None else question.unit.at_most
    chosen: list[tuple[Split, ...]] = [splits]
    if question.totals:
        chosen = [part for length in range(len(splits) + 1) for part in itertools.combinations(splits, length)]
    facts: dict[tuple[Fact, ...], None] = {}
    for shown in shown_families(question):
        for length in range(len(shown.facts) + 1):
            for some in itertools.combinations(shown.facts, length):
                if not (shown.lonely and length > 1):
                    facts[some] = None
    return [
        CountTable(
            splits=part,
            facts=some,
            nano_rho=1,
            where=question.where,
            at_most=at_most,
            registered=question.registered,
        )
        for part in chosen
        for some in facts
    ]


def _weights(tables: Sequence[CountTable], families: Sequence[Shown]) -> tuple[float, ...]:
    """Return what the shares of some tables are proportional to (rule 2)."""
    resting: dict[frozenset[object], int] = {}
    for shown in families:
        keys = [fact.key for fact in shown.facts]
        for length in range(len(keys) + 1):
            for some in itertools.combinations(keys, length):
                resting[frozenset(some)] = resting.get(frozenset(some), 0) + 1
    return tuple(
        math.sqrt(table.cells * resting[frozenset[object](fact.key for fact in table.facts)]) for table in tables
    )


def _priced(tables: Sequence[CountTable], weights: Sequence[float], budget: int) -> tuple[CountTable, ...]:
    """Share a budget of nano-rho; each table gets one at least (rule 2)."""
    spare = budget - len(tables)
    if spare < 0:
        raise AnswerPlanError(_TOO_LITTLE.format(len(tables)))
    total = sum(weights)
    return tuple(
        replace(table, nano_rho=1 + math.floor(spare * weight / total))
        for table, weight in zip(tables, weights, strict=True)
    )


def _follows(expected: _Expected, people: float) -> bool:
    """Whether every count is that exact from what is paid for alone."""
    try:
        return expected.within(()) <= people
    except GridError:
        return False


def _price(unit: Sequence[CountTable], weights: Sequence[float], expected: _Expected, people: float) -> int:
    """Return the smallest budget at which every count shown is within so many people, to a millionth."""

    def enough(budget: int) -> bool:
        return expected.within(_priced(unit, weights, budget)) <= people

    low, high = len(unit) - 1, PRICE_MAX
    if not enough(high):
        raise AnswerPlanError(f"no price buys an answer within {people:g}")
    alone = math.ceil(PRICE_MAX * (expected.within(_priced(unit, weights, PRICE_MAX)) / people) ** 2)
    guess = (
        alone + alone // 100_000 + 50 * len(unit)
    )  # variances fall as one over the budget: without earlier tables this is it
    if guess < high and enough(guess):
        high = guess
        below = guess - guess // 20_000 - 100 * len(unit)
        if below > low and not enough(below):
            low = below
    while high - low > max(1, high // 1_000_000):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
