"""The made-up world of the ``ctdc-victim-perpetrator`` schema: victims with what they tell about their perpetrators.

1. Victims are registered in groups that one set of perpetrators exploited (one boat, one farm, one flat). Members of a group share what their records
   say, but for their own gender, age and region here and there: so many rows repeat another one, as in the published file.
2. What a row tells about perpetrators depends on the form of exploitation, the region and on how much the victim tells at all; perpetrators come
   mostly from the victim's region (a published total), and most are no friends or family.
3. Targets: 54.7 % of rows equal another row in a file of 17,000 people, 9.3 filled cells a row on average, 14 at most
   (``tests/service/test_generate_victim_perpetrator.py``). The other shares were chosen by hand. No row of any published file was used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casehaven.generate.profiles import NOWHERE, Birth, Profiles
from casehaven.generate.sampling import CategoryTable, Draws

__all__ = ["MOST_FILLED", "VictimPerpetratorModel"]

Codes = NDArray[Any]

MOST_FILLED = 14
"""Most filled cells of a person's row."""

_YEARS = tuple(str(year) for year in range(2005, 2023))
_REGIONS = ("Africa", "Americas/Oceania", "Asia", "Europe")
_FLAG = ("", "1")
_ROLES = ("IP_PayMoney", "IP_TransactionProcess", "IP_ControlAbuseKidnap", "IP_Exploiter", "IP_RecruiterBroker")
"""Flags in the order in which they give way where a row would be too full."""


def _subsets(codes: Sequence[str]) -> tuple[str, ...]:
    """Return the empty cell, the single values, the pairs and so on, ``;`` between the values."""
    return ("", *(";".join(chosen) for size in range(1, len(codes) + 1) for chosen in combinations(codes, size)))


_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "yearRegister": ("", *_YEARS),
        "gender": ("", "Female", "Male"),
        "majorityStatus": ("", "Minor", "Adult"),
        "UN_COO_Region": ("", *_REGIONS),
        "UN_COE_Region": ("", *_REGIONS),
        "isForcedLabour": _FLAG,
        "isSexualExploit": _FLAG,
        "IP_Gender": _subsets(("Female", "Male")),
        "IP_ageBroad": _subsets(("0-29", "30-38", "39-47", "48+")),
        "IP_citizen_UNRegion": _subsets(_REGIONS),
        "IP_Relation": _subsets(("StrangerUnknownOther", "FriendAcquaintance", "FamilyIntimatePartner")),
        "IP_PayMoney": _FLAG,
        "IP_Exploiter": _FLAG,
        "IP_RecruiterBroker": _FLAG,
        "IP_TransactionProcess": _FLAG,
        "IP_ControlAbuseKidnap": _FLAG,
    }
)

_CONTRIBUTORS = np.array([0.3, 0.22, 0.18, 0.12, 0.1, 0.08])
_ORIGIN = np.array(
    [
        [0.05, 0.02, 0.08, 0.85],
        [0.1, 0.02, 0.83, 0.05],
        [0.88, 0.01, 0.08, 0.03],
        [0.1, 0.2, 0.6, 0.1],
        [0.04, 0.86, 0.05, 0.05],
        [0.4, 0.05, 0.35, 0.2],
    ]
)
"""Region of origin per contributor."""
_DESTINATION = np.array(
    [[0.6, 0.01, 0.22, 0.17], [0.01, 0.9, 0.02, 0.07], [0.02, 0.02, 0.9, 0.06], [0.01, 0.01, 0.1, 0.88]]
)
"""Region of exploitation per region of origin."""
_SEXUAL = np.array([0.22, 0.2, 0.12, 0.2])
_SAME_GROUP = 0.345
_KNOWN_TWICE = 0.05
_OWN_GENDER, _OWN_AGE, _OWN_YEAR = 0.06, 0.06, 0.1


def _multi(single: Sequence[float], another: float) -> list[float]:
    """Return weights of all subsets in the order of ``_subsets``, empty excluded: every further value costs a factor."""
    return [
        float(np.prod([single[place] for place in chosen])) * another ** (size - 1)
        for size in range(1, len(single) + 1)
        for chosen in combinations(range(len(single)), size)
    ]


class VictimPerpetratorModel:
    """Profiles of the ``ctdc-victim-perpetrator`` schema; code 0 is a missing value in every column."""

    def __init__(self) -> None:
        """Build the tables."""
        self.contributors = len(_CONTRIBUTORS)
        self.ageing: Mapping[str, tuple[int, ...]] = {}
        self.births: Mapping[str, Birth] = {}
        self.made_up: Mapping[str, tuple[str, str]] = {}
        self.values = _VALUES
        years = np.arange(len(_YEARS))
        peaks = np.array([7, 10, 13, 9, 12, 14])
        self._home = CategoryTable([_CONTRIBUTORS])
        self._second = CategoryTable(np.where(np.eye(self.contributors, dtype=bool), 0.0, _CONTRIBUTORS))
        self._year = CategoryTable(np.exp(-0.5 * ((years - peaks[:, None]) / 2.2) ** 2))
        self._origin = CategoryTable(_ORIGIN)
        self._destination = CategoryTable(_DESTINATION)
        # rows: labour, sexual; gender of the perpetrators: female, male, both
        self._gender = CategoryTable([_multi([0.22, 0.9], 0.8), _multi([0.5, 0.7], 1.0)])
        self._age = CategoryTable([_multi([0.25, 0.5, 0.6, 0.4], 0.25), _multi([0.5, 0.6, 0.4, 0.2], 0.25)])
        self._relation = CategoryTable([_multi([0.8, 0.15, 0.06], 0.6), _multi([0.6, 0.25, 0.2], 0.6)])
        near = np.full((4, 4), 0.03) + np.eye(4) * 0.9
        self._citizen = CategoryTable([_multi(list(row), 1.2) for row in near])

    def profiles(self, *, seed: int, chunk: int, people: int) -> Profiles:
        """Return the first ``people`` people of a chunk; the same for the same seed and chunk."""
        draws = Draws(seed, chunk, 0, people=people)
        joins = draws.uniform() < _SAME_GROUP
        leader = np.maximum.accumulate(np.where(joins & (np.arange(people) > 0), 0, np.arange(people)))
        home = self._home.pick(np.zeros(people, np.intp), draws.uniform())[leader]
        codes = {name: column[leader] for name, column in self._group(draws, home).items()}
        self._differ(draws, home, codes)
        self._thin(codes)
        second = self._second.pick(home, draws.uniform())
        elsewhere = np.where(draws.uniform() < _KNOWN_TWICE, second, np.uint8(NOWHERE)).astype(np.uint8)
        return Profiles(
            codes={name: codes[name].astype(np.uint8) for name in _VALUES},
            home=home.astype(np.uint8),
            elsewhere=elsewhere,
        )

    def _group(self, draws: Draws, home: Codes) -> dict[str, Codes]:
        """Return what the records of a group say, drawn for everybody; only the first member's draw is used."""
        origin = self._origin.pick(home, draws.uniform())
        destination = self._destination.pick(origin, draws.uniform())
        sexual = draws.uniform() < _SEXUAL[destination]
        labour = ~sexual | (draws.uniform() < 0.03)
        kind = sexual.astype(np.intp)
        female = draws.uniform() < np.where(sexual, 0.93, 0.38)
        minor = draws.uniform() < np.where(sexual, 0.16, 0.07)
        tells = draws.uniform()  # how much is told about perpetrators at all
        told = {name: (draws.uniform() * 0.5 + tells * 0.5) < share for name, share in _TOLD.items()}

        def known(share: float) -> Codes:
            return np.asarray(draws.uniform() < share)

        return {
            "yearRegister": (self._year.pick(home, draws.uniform()) + 1) * known(0.97),
            "gender": np.where(female, 1, 2) * known(0.99),
            "majorityStatus": np.where(minor, 1, 2) * known(0.95),
            "UN_COO_Region": (origin + 1) * known(0.97),
            "UN_COE_Region": (destination + 1) * known(0.93),
            "isForcedLabour": labour & known(0.97),
            "isSexualExploit": sexual & known(0.97),
            "IP_Gender": (self._gender.pick(kind, draws.uniform()) + 1) * told["IP_Gender"],
            "IP_ageBroad": (self._age.pick(kind, draws.uniform()) + 1) * told["IP_ageBroad"],
            "IP_citizen_UNRegion": (self._citizen.pick(origin, draws.uniform()) + 1) * told["IP_citizen_UNRegion"],
            "IP_Relation": (self._relation.pick(kind, draws.uniform()) + 1) * told["IP_Relation"],
            **{name: told[name] for name in _ROLES},
        }

    @staticmethod
    def _differ(draws: Draws, home: Codes, codes: dict[str, Codes]) -> None:
        """Let some members of a group differ in their own gender, age class and year."""
        other = draws.uniform() < _OWN_GENDER
        codes["gender"] = np.where(other & (codes["gender"] > 0), 3 - codes["gender"], codes["gender"])
        other = draws.uniform() < _OWN_AGE
        codes["majorityStatus"] = np.where(
            other & (codes["majorityStatus"] > 0), 3 - codes["majorityStatus"], codes["majorityStatus"]
        )
        other = (draws.uniform() < _OWN_YEAR) & (codes["yearRegister"] > 0) & (codes["yearRegister"] < len(_YEARS))
        codes["yearRegister"] = codes["yearRegister"] + other

    @staticmethod
    def _thin(codes: dict[str, Codes]) -> None:
        """Empty flags until no row has more than ``MOST_FILLED`` filled cells."""
        filled = np.add.reduce([(codes[name] > 0).astype(np.int8) for name in _VALUES])
        for name in _ROLES:
            over = (filled > MOST_FILLED) & (codes[name] > 0)
            codes[name] = np.where(over, 0, codes[name])
            filled = filled - over


_TOLD: Mapping[str, float] = MappingProxyType(
    {
        "IP_Gender": 0.69, "IP_ageBroad": 0.33, "IP_citizen_UNRegion": 0.57, "IP_Relation": 0.65, "IP_PayMoney": 0.22, "IP_Exploiter": 0.33,
        "IP_RecruiterBroker": 0.46, "IP_TransactionProcess": 0.33, "IP_ControlAbuseKidnap": 0.3,
    }
)  # fmt: skip
"""How far down the two numbers that decide have to be; 0.5 tells half of the time."""
