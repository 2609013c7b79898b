"""The guarantee of a release, in numbers and in plain words (privacy rules 2 and 26)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version

from casesynth.notes import ReleaseNotes, registered_words
from casesynth.plan import ReleasePlan
from casesynth.privacy.accounting import epsilon_for
from casesynth.privacy.loss import NANO
from casesynth.report.words import ceiling, counted, short, whole

MECHANISM = "discrete Gaussian noise on 64-bit integers"


def software() -> str:
    """Return the software that made the release, with versions."""
    return f"casehaven {version('casehaven')}, with opendp {version('opendp')} for the noise"


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is promised to one person, from public facts only."""

    unit: str
    epsilon: float
    """For one person token."""
    delta: float
    nano_rho: int
    """zCDP rho for one person token, times 1e9."""
    tokens: int
    """Person tokens that one person may have."""
    epsilon_person: float
    """For a person with that many tokens."""
    nano_rho_person: int
    tables: int
    cells: int
    """Most noisy cells; fewer where values of long lists are counted together."""
    scale_min: float
    """Smallest noise scale, in people."""
    scale_max: float
    people_cap: int
    registered: tuple[str, ...] = ()
    """Years of first registration whose people were counted and charged; none: everybody."""

    @classmethod
    def of(cls, plan: ReleasePlan, notes: ReleaseNotes) -> Guarantee:
        """Return the guarantee of a plan."""
        scales = [table.scale for table in plan.tables]
        person = plan.loss.scaled(plan.max_tokens_per_person).nano_rho
        return cls(
            unit=notes.unit,
            epsilon=plan.epsilon,
            delta=plan.delta,
            nano_rho=plan.loss.nano_rho,
            tokens=plan.max_tokens_per_person,
            epsilon_person=plan.epsilon_per_person,
            nano_rho_person=person,
            tables=len(plan.tables),
            cells=plan.cells,
            scale_min=min(scales),
            scale_max=max(scales),
            people_cap=plan.people_cap,
            registered=notes.registered,
        )

    @property
    def odds(self) -> str:
        """How many times as likely one token's records may make a conclusion: e to the epsilon, rounded up."""
        return _factor(self.epsilon)

    @property
    def odds_person(self) -> str:
        """The same for a person with `tokens` tokens."""
        return _factor(self.epsilon_person)

    @property
    def delta_words(self) -> str:
        """Delta as a chance."""
        return f"1 in {whole(1 / self.delta)}"

    @property
    def promise(self) -> str:
        """The definition of differential privacy, in plain words."""
        records = "one person's records" if self.unit != "record" else "one record"
        return (
            f"Any conclusion that anybody draws from this release is at most {self.odds} times as likely with "
            f"{records} in the data as without them, plus a chance of {self.delta_words}. This holds whatever else "
            "they know, and however much they compute."
        )

    @property
    def promise_per_person(self) -> str:
        """What follows for a person whom several organisations know, or for a person behind several records."""
        if self.tokens == 1:
            return f"It is stated for one {self.unit} per person. A person with more than one is protected less."
        return (
            f"One person may be counted under up to {counted(self.tokens, self.unit)}, for example when organisations "
            f"know the person under different identities. For such a person the factor is at most {self.odds_person} "
            f"(epsilon {ceiling(self.epsilon_person)})."
        )

    @property
    def whose(self) -> tuple[str, ...]:
        """Who was counted and charged, where that is not everybody: one sentence, or none (privacy rule 12)."""
        if not self.registered:
            return ()
        sentence = (
            f"Only people who were first registered in {registered_words(self.registered)} were counted, and only their "
            "budget was charged. In each dataset a person is in exactly one such year, which was fixed when the person "
            "came in and is never changed: what is released about one year takes nothing from the budget of people of "
            "another."
        )
        return (sentence,)

    def group_epsilon(self, people: int) -> int:
        """Epsilon at the same delta for people who are counted or left out together, one token each; rounded up."""
        return math.ceil(epsilon_for(self.nano_rho * people * people, self.delta))

    def rows(self) -> tuple[tuple[str, float | int | str, str], ...]:
        """Return what a statistician checks: name, exact value, value as shown."""
        return (
            ("Privacy unit", self.unit, self.unit),
            ("Epsilon for one " + self.unit, self.epsilon, short(self.epsilon, 6)),
            ("Delta", self.delta, f"{short(self.delta)} ({self.delta_words})"),
            ("Rho (zCDP) for one " + self.unit, self.nano_rho / NANO, rho(self.nano_rho)),
            (f"Most {self.unit}s of one person", self.tokens, str(self.tokens)),
            ("Epsilon for such a person, at the same delta", self.epsilon_person, ceiling(self.epsilon_person, 3)),
            ("Rho (zCDP) for such a person", self.nano_rho_person / NANO, rho(self.nano_rho_person)),
            ("Mechanism", MECHANISM, MECHANISM),
            ("Tables measured", self.tables, whole(self.tables)),
            ("Cells with noise, at most", self.cells, whole(self.cells)),
            ("Smallest noise scale, in people", self.scale_min, short(self.scale_min)),
            ("Largest noise scale, in people", self.scale_max, short(self.scale_max)),
            ("Public cap on the number of people", self.people_cap, whole(self.people_cap)),
        )


def rho(nano_rho: int) -> str:
    """Return rho exactly.

    >>> rho(88_145_931)
    '0.088145931'
    """
    return f"{nano_rho // NANO}.{nano_rho % NANO:09d}".rstrip("0").rstrip(".")


def _factor(epsilon: float) -> str:
    odds = math.exp(min(epsilon, 700.0))
    if odds >= 1e6:
        return "more than a million"
    return ceiling(odds, 1 if odds < 100 else 0)
