"""Published shares that the ``ctdc-global`` world follows, and how far a sample of it is from them.

The numbers are totals from field guide section 4. How they are read here:

- empty cells: shares of all people;
- countries: shares of the people whose country is known;
- hotline table: people exploited in the USA with sexual or labour exploitation known; flags as shares of all of them, gender and
  age as shares of those where it is known;
- assistance: people exploited elsewhere; each share among those where the column is known (minors: the bands up to 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from casehaven.generate.countries import continent
from casehaven.generate.ctdc_global import AGE_BANDS, MEANS_COLUMNS, RECRUITER_COLUMNS

__all__ = [
    "AGE",
    "ASSISTANCE",
    "COUNTRIES",
    "EMPTY",
    "HOTLINE_FLAGS",
    "HOTLINE_TYPES",
    "TOLERANCE",
    "Target",
    "compare",
]

TOLERANCE = 0.015
"""How far a share may be from its target: 1.5 points."""

EMPTY: Mapping[str, float] = MappingProxyType(
    {
        "gender": 0.202, "ageBroad": 0.475, "traffickMonths": 0.907, "both countries": 0.063, "means of control": 0.619,
        "kind of exploitation": 0.317, "recruiter relation": 0.741,
    }
)  # fmt: skip
COUNTRIES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("CountryOfExploitation", "UKR"): 0.059,
        ("CountryOfExploitation", "RUS"): 0.047,
        ("citizenship", "UKR"): 0.164,
        ("citizenship", "PHL"): 0.114,
        ("citizenship", "USA"): 0.100,
    }
)
HOTLINE_TYPES: Mapping[str, float] = MappingProxyType({"sexual only": 0.739, "labour only": 0.203, "both": 0.057})
# per column: share among sexual only, labour only, both
HOTLINE_FLAGS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "woman": (0.887, 0.361, 0.785),
        "meansDebtBondageEarnings": (0.068, 0.465, 0.262),
        "meansThreats": (0.163, 0.508, 0.368),
        "meansAbusePsyPhySex": (0.268, 0.359, 0.453),
        "meansFalsePromises": (0.014, 0.189, 0.102),
        "meansDrugsAlcohol": (0.131, 0.019, 0.164),
        "meansDenyBasicNeeds": (0.143, 0.429, 0.314),
        "meansExcessiveWorkHours": (0.004, 0.276, 0.048),
        "meansWithholdDocs": (0.016, 0.148, 0.062),
        "recruiterRelationIntimatePartner": (0.091, 0.027, 0.093),
        "recruiterRelationFriend": (0.027, 0.028, 0.034),
        "recruiterRelationFamily": (0.078, 0.067, 0.089),
        "recruiterRelationOther": (0.055, 0.346, 0.173),
    }
)
AGE: Mapping[str, float] = MappingProxyType(
    dict(zip(AGE_BANDS, (0.036, 0.333, 0.132, 0.105, 0.083, 0.065, 0.137, 0.067, 0.042), strict=True))
)
ASSISTANCE: Mapping[str, float] = MappingProxyType(
    {
        "woman": 0.545, "minor": 0.069, "from Asia": 0.349, "from Europe": 0.335, "from Africa": 0.300, "labour": 0.835,
        "sexual": 0.189,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """One published share beside the share in a sample."""

    area: str
    """Which table it comes from."""
    name: str
    """What it is a share of."""
    published: float
    """The share to reach."""
    found: float
    """The share in the sample."""

    @property
    def error(self) -> float:
        """Difference, in shares."""
        return self.found - self.published


Mask = NDArray[np.bool_]


def _is(people: pd.DataFrame, column: str, value: str = "1") -> Mask:
    return np.asarray(people[column] == value)


def _none(people: pd.DataFrame, columns: tuple[str, ...]) -> Mask:
    return np.asarray(np.logical_and.reduce([_is(people, column, "") for column in columns]))


def _share(part: Mask, whole: Mask) -> float:
    return float((part & whole).sum() / max(1, whole.sum()))


def compare(people: pd.DataFrame) -> list[Target]:
    """Return every target beside its share among people as ``generate_population`` returns them."""
    everyone = np.ones(len(people), np.bool_)
    found: list[Target] = []

    def add(area: str, name: str, published: float, part: Mask, whole: Mask) -> None:
        found.append(Target(area=area, name=name, published=published, found=_share(part, whole)))

    groups = {
        "both countries": ("citizenship", "CountryOfExploitation"),
        "means of control": MEANS_COLUMNS,
        "kind of exploitation": ("isForcedLabour", "isSexualExploit", "isOtherExploit"),
        "recruiter relation": RECRUITER_COLUMNS,
    }
    for name, share in EMPTY.items():
        add("empty", name, share, _none(people, groups.get(name, (name,))), everyone)
    for (column, code), share in COUNTRIES.items():
        add("country", f"{column} {code}", share, _is(people, column, code), ~_is(people, column, ""))

    usa = _is(people, "CountryOfExploitation", "USA")
    labour, sexual = _is(people, "isForcedLabour"), _is(people, "isSexualExploit")
    kinds = {"sexual only": sexual & ~labour, "labour only": labour & ~sexual, "both": labour & sexual}
    hotline = usa & (labour | sexual)
    for kind, share in HOTLINE_TYPES.items():
        add("hotline", kind, share, kinds[kind], hotline)
    gender_known, woman = ~_is(people, "gender", ""), _is(people, "gender", "Woman")
    for column, shares in HOTLINE_FLAGS.items():
        flag, whole = (woman, hotline & gender_known) if column == "woman" else (_is(people, column), hotline)
        for kind, share in zip(kinds, shares, strict=True):
            add("hotline", f"{column}, {kind}", share, flag, whole & kinds[kind])
    add("hotline", "trans", 0.003, _is(people, "gender", "Trans/Transgender/NonConforming"), hotline & gender_known)
    age_known = ~_is(people, "ageBroad", "")
    add("hotline", "age known", 0.479, age_known, hotline)
    for band, share in AGE.items():
        add("hotline", f"age {band}", share, _is(people, "ageBroad", band), hotline & age_known)

    elsewhere = ~usa & ~_is(people, "CountryOfExploitation", "")
    origin = continent(people["citizenship"])
    typed = elsewhere & ~_none(people, groups["kind of exploitation"])
    parts = {
        "woman": (woman, elsewhere & gender_known),
        "minor": (_is(people, "ageBroad", "0-8") | _is(people, "ageBroad", "9-17"), elsewhere & age_known),
        "from Asia": (origin == "asia", elsewhere & ~_is(people, "citizenship", "")),
        "from Europe": (origin == "europe", elsewhere & ~_is(people, "citizenship", "")),
        "from Africa": (origin == "africa", elsewhere & ~_is(people, "citizenship", "")),
        "labour": (labour, typed),
        "sexual": (sexual, typed),
    }
    for name, share in ASSISTANCE.items():
        part, whole = parts[name]
        add("assistance", name, share, part, whole)
    return found
