"""A question as a value: what is counted, by what, among whom, what is shown of it, and how exact it has to be.

1. Everything in it is public: it is made of attributes and values of the domain, never of data (privacy rules 3 and 22).
2. A *split* puts each person into one of its parts. A *fact* holds of a person or not; facts of one axis may overlap, as several means of control do.
3. A *condition* keeps people. It is in one normal form, so that two ways to write one condition are one question.
4. Accuracy is asked in people or as epsilon. Percentages, means and quantiles get their intervals afterwards, so that no price depends on data
   (privacy rule 17).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.canonical import JsonValue
from casesynth.errors import CasesynthError
from casesynth.privacy.mechanisms import gaussian_scale

QUESTION_FORMAT = "casehaven-question/1"

REST = "(other)"
"""The part of those whose value no group names."""

ALL = "(all)"
"""In a total: every part of a split."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a split: some values of a single-valued attribute."""

    label: str
    positions: frozenset[int]
    """In the attribute's value list."""
    answered: bool
    """Whether every value of it is an answer; unknown and not asked are none (privacy rule 4)."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """A partition of all values of a single-valued attribute: each person is in one part."""

    attribute: str
    parts: tuple[Part, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it apart from other splits; labels do not."""
        return ("split", self.attribute, tuple(tuple(sorted(part.positions)) for part in self.parts))


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that holds of a person or not: any of some values of any of some attributes."""

    label: str
    holds: tuple[tuple[str, frozenset[int]], ...]
    """Attribute, and positions in its value list. Of a multi-value attribute: any of these is among the person's."""

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it apart from other facts; its label does not."""
        return ("fact", tuple((name, tuple(sorted(positions))) for name, positions in self.holds))


@dataclass(frozen=True, kw_only=True)
class FactAxis:
    """Facts that are counted side by side; one person may be in several."""

    label: str
    facts: tuple[Fact, ...]
    answered: Fact | None
    """Who answered: any answer in any attribute of the facts; None where a fact is about missing values."""


Axis: TypeAlias = Split | FactAxis


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Whose values of one attribute are among these; of a multi-value attribute any of them."""

    attribute: str
    positions: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Every:
    """Who meets all of these; the empty one is everybody."""

    parts: tuple[Where, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Some:
    """Who meets any of these."""

    parts: tuple[Where, ...]


Where: TypeAlias = Condition | Every | Some

EVERYBODY = Every()


@dataclass(frozen=True, kw_only=True)
class Records:
    """Case records are counted in place of people, at most so many for one person (privacy rule 1)."""

    at_most: int


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Show how many there are."""


@dataclass(frozen=True, kw_only=True)
class Percentages:
    """Show what percentage of those who answered the last axis is in each of its parts."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Show how many there are in each period, and the change from the period before."""

    attribute: str
    """A split of the question; the order of its parts is the order of time."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Show the mean of an attribute of those who answered it."""

    attribute: str
    bounds: tuple[tuple[float, float] | None, ...]
    """Per value of the attribute its lowest and highest number; None where the value is no number."""
    named: frozenset[int] = frozenset()
    """Values whose numbers are the asker's own, not the schema's."""


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Show in which value of an attribute quantiles of those who answered it lie."""

    attribute: str
    levels: tuple[float, ...]
    """Above 0 and below 1, ascending; the median is .5."""


Show: TypeAlias = Counts | Percentages | Changes | Mean | Quantiles


@dataclass(frozen=True, kw_only=True)
class WithinPeople:
    """Every number of people that is shown is within so many people of the truth, in 95 of 100 cases."""

    people: float


@dataclass(frozen=True, kw_only=True)
class AtEpsilon:
    """The answer may cost so much."""

    epsilon: float


Accuracy: TypeAlias = WithinPeople | AtEpsilon
NOUN: dict[bool, Literal["people", "records"]] = {True: "people", False: "records"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question that fits its domain."""

    unit: Records | None
    """None: people are counted."""
    by: tuple[Axis, ...]
    where: Where
    show: Show
    totals: bool
    """Whether totals over the splits are measured and shown as well."""
    accuracy: Accuracy
    canonical: dict[str, JsonValue]
    """The one way to write it, without its accuracy: equal questions have equal canonical forms."""
    registered: tuple[str, ...] | None = None
    """Years of first registration of the people who are counted, "" for unknown; None for all."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The axes in which each person has one place; of a mean or of quantiles its attribute comes last."""
        return tuple(axis for axis in self.by if isinstance(axis, Split))

    @property
    def fact_axes(self) -> tuple[FactAxis, ...]:
        """The axes in which a person may have several places."""
        return tuple(axis for axis in self.by if isinstance(axis, FactAxis))

    @property
    def counted(self) -> Literal["people", "records"]:
        """What is counted."""
        return NOUN[self.unit is None]


Integers: TypeAlias = NDArray[np.int64]


class CountTableError(CasesynthError):
    """A table whose sensitivity would not be what is charged."""


Key: TypeAlias = tuple[tuple[object, ...], ...]
"""What a table is over: the keys of its splits and facts."""


@dataclass(frozen=True, kw_only=True)
class CountTable:
    """One table that is counted: its cells cross the splits, and each person counts with the product of their signs."""

    splits: tuple[Split, ...]
    facts: tuple[Fact, ...]
    nano_rho: int
    """Share at sensitivity one."""
    where: Where = EVERYBODY
    """Who is counted."""
    at_most: int | None = None
    """Records of one person that count; None where people are counted. Of one record at most is not the same as of people."""
    registered: tuple[str, ...] | None = None
    """Years of first registration of those who are counted; None for all."""

    def __post_init__(self) -> None:
        if len({fact.key for fact in self.facts}) != len(self.facts):
            raise CountTableError("a table has the same fact twice: one person would move it by more than is charged")

    @property
    def spread(self) -> int:
        """How far one person moves it: by so many records at most."""
        return 1 if self.at_most is None else self.at_most

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of parts of each split."""
        return tuple(len(split.parts) for split in self.splits)

    @property
    def cells(self) -> int:
        """Number of noisy cells."""
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """Scale of the noise on each cell."""
        return gaussian_scale(self.nano_rho)

    @property
    def cost(self) -> int:
        """Nano-rho that it costs."""
        return self.nano_rho * self.spread**2

    @property
    def key(self) -> Key:
        """What it is over, whatever its labels."""
        return tuple(split.key for split in self.splits) + tuple(fact.key for fact in self.facts)

    def facts_of_it(self) -> JsonValue:
        """Return it as JSON, for charges and stored answers."""
        return {
            "splits": [[split.attribute, [sorted(part.positions) for part in split.parts]] for split in self.splits],
            "where": _where_facts(self.where),
            "facts": [[[name, sorted(positions)] for name, positions in fact.holds] for fact in self.facts],
            "nano_rho": self.nano_rho,
            "unit": "people" if self.at_most is None else {"records": {"at_most": self.at_most}},
            **({} if self.registered is None else {"registered": list(self.registered)}),
        }


def _where_facts(where: Where) -> JsonValue:
    """Return a condition by positions, as JSON."""
    if isinstance(where, Condition):
        return [where.attribute, sorted(where.positions)]
    return {"all" if isinstance(where, Every) else "any": [_where_facts(part) for part in where.parts]}


def stored_where(facts: Any) -> Where:
    """Return a condition from its JSON by positions."""
    if isinstance(facts, list):
        return Condition(attribute=facts[0], positions=frozenset(facts[1]))
    ((word, parts),) = facts.items()
    return (Every if word == "all" else Some)(parts=tuple(stored_where(part) for part in parts))
