"""Contributors to the made-up ``ctdc-global`` world: who reports whom, when, and how much they write down.

Two kinds of source: hotlines (0, 1, 2), which hear about many people and learn little, and assistance programmes (3 to 11), which
know the people they help. Each contributor has its years, its citizenships, its kinds of exploitation and its own habits of leaving cells
empty. The names exist only here; they describe no real organisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casehaven.generate.countries import ALPHA3, index_of, origin_weights

__all__ = ["CONTRIBUTORS", "GAPS", "YEARS", "Contributor", "arrival_weights", "citizenship_weights", "pull_weights"]

YEARS = tuple(range(2002, 2024))
"""Years of registration."""

GAPS = ("gender", "age", "citizenship", "exploitation", "duration", "type", "means", "recruiter", "sector", "sex_type")
"""What a source may leave empty, in the order of ``Contributor.gaps``."""


@dataclass(frozen=True, kw_only=True)
class Contributor:
    """One made-up contributor."""

    name: str
    """What it does."""
    kind: int
    """0 hotline, 1 assistance programme."""
    weight: float
    """Share of all people, in percent."""
    peak: tuple[float, float]
    """Middle and spread, in years, of its activity."""
    first: int
    """Its first year."""
    origins: str
    """Citizenships with weights."""
    origin_tail: float
    """Share of citizenships spread over all countries."""
    types: tuple[float, float, float, float]
    """Weights of: sexual only, labour only, both, other."""
    drift: tuple[float, float]
    """Change of the logit of labour per year, and the year it is counted from."""
    pull: str
    """Countries of exploitation where it works."""
    pull_share: float
    """Share of people whose country of exploitation is one of those, whatever their citizenship."""
    man: float
    """Effect on the logit of being a man."""
    young: float
    """Effect per age band towards the young."""
    gaps: tuple[float, ...]
    """Effect on the logit of leaving empty, per entry of ``GAPS``, around the level of its kind."""


_HOTLINE_ORIGINS = "USA:66 MEX:7.5 PHL:3 HND:2.2 GTM:2.4 CHN:2.4 IND:1.4 SLV:1.4 COL:.7 VEN:.5 BRA:.5 THA:.7 NGA:.5 UKR:.3 RUS:.4 HTI:.4 JAM:.5 KOR:.5 VNM:.5"

CONTRIBUTORS = (
    Contributor(
        name="national hotline", kind=0, weight=51.5, peak=(2018.7, 2.6), first=2008,
        origins=_HOTLINE_ORIGINS, origin_tail=0.06, types=(74, 19, 5.6, 0.8), drift=(0.04, 2018),
        pull="USA:98.8 MEX:.3 CAN:.2 PHL:.1 CHN:.1 IND:.1 GBR:.1", pull_share=0.99, man=0.0, young=0.0,
        gaps=(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ),
    Contributor(
        name="text and web line", kind=0, weight=11.0, peak=(2020.2, 1.7), first=2015,
        origins=_HOTLINE_ORIGINS, origin_tail=0.05, types=(78, 15, 6, 0.8), drift=(0.06, 2020),
        pull="USA:99 MEX:.4 CAN:.2", pull_share=0.99, man=-0.1, young=0.06,
        gaps=(0.3, -0.3, 0.6, 0.2, 0.6, 0.2, 0.25, -0.2, 0.5, -0.2),
    ),
    Contributor(
        name="regional hotline", kind=0, weight=1.6, peak=(2017.5, 3.0), first=2012,
        origins="USA:35 CAN:12 MEX:22 PHL:4 GTM:4 HND:4 COL:3 VEN:2 HUN:1 CHN:2", origin_tail=0.12, types=(62, 28, 6, 3), drift=(0.05, 2017),
        pull="USA:72 CAN:12 MEX:12 GTM:1 COL:2", pull_share=0.9, man=0.15, young=-0.02,
        gaps=(-0.4, 0.4, -1.2, -0.3, -0.5, -0.2, -0.3, 0.2, -0.3, 0.3),
    ),
    Contributor(
        name="eastern Europe assistance", kind=1, weight=16.4, peak=(2014.0, 5.5), first=2002,
        origins="UKR:64 MDA:11 BLR:9 KGZ:5 UZB:4.5 TJK:3 ROU:1 BGR:1 GEO:.5 KAZ:.8", origin_tail=0.02, types=(13, 83, 2.5, 3), drift=(0.13, 2013),
        pull="UKR:62 RUS:18 KAZ:6 MDA:8 BLR:6", pull_share=0.34, man=0.35, young=-0.05,
        gaps=(-2.2, 0.1, -1.6, -0.5, 0.1, -0.6, 0.1, 0.2, -0.5, 0.2),
    ),
    Contributor(
        name="South-East Asia assistance", kind=1, weight=9.0, peak=(2015.0, 3.2), first=2005,
        origins="PHL:67 IDN:10 MMR:9 KHM:8 VNM:3 LAO:1.5 THA:1", origin_tail=0.02, types=(9, 85, 3, 3), drift=(0.03, 2014),
        pull="MYS:30 THA:30 PHL:20 IDN:20", pull_share=0.08, man=-0.2, young=0.0,
        gaps=(0.2, 0.5, -0.3, 0.3, -0.3, 0.2, 0.0, -0.3, -0.2, 0.0),
    ),
    Contributor(
        name="South Asia assistance", kind=1, weight=3.8, peak=(2017.0, 3.0), first=2006,
        origins="BGD:32 NPL:27 IND:14 LKA:13 PAK:8 AFG:6", origin_tail=0.02, types=(15, 76, 5, 6), drift=(0.02, 2016),
        pull="IND:30 NPL:20 BGD:20 ARE:15 SAU:15", pull_share=0.08, man=0.35, young=0.04,
        gaps=(0.4, -0.3, 0.2, 0.1, -0.2, 0.1, -0.2, 0.1, 0.1, 0.1),
    ),
    Contributor(
        name="West Africa assistance", kind=1, weight=6.0, peak=(2018.3, 2.4), first=2004,
        origins="NGA:38 GHA:12 CIV:9 SEN:6 GIN:6 BFA:5 MLI:5 SLE:5 CMR:5 NER:3 GMB:3 TGO:2 BEN:2", origin_tail=0.03, types=(24, 62, 8, 8), drift=(0.0, 2017),
        pull="LBY:35 NGA:20 GHA:15 ITA:10 MLI:10 NER:10", pull_share=0.2, man=0.0, young=0.12,
        gaps=(0.8, -0.5, 0.5, 0.4, 0.4, 0.5, 0.3, 0.3, 0.3, -0.1),
    ),
    Contributor(
        name="Horn of Africa assistance", kind=1, weight=5.8, peak=(2017.0, 3.0), first=2007,
        origins="ETH:46 KEN:16 UGA:16 SOM:7 SDN:5 ERI:4 TZA:4", origin_tail=0.03, types=(9, 82, 4, 6), drift=(0.02, 2016),
        pull="SAU:40 ETH:20 YEM:15 KEN:15 LBN:10", pull_share=0.12, man=-0.1, young=0.06,
        gaps=(0.6, 0.1, 0.3, 0.2, 0.3, 0.2, 0.2, 0.6, 0.4, 0.4),
    ),
    Contributor(
        name="western Europe shelters", kind=1, weight=3.0, peak=(2013.0, 5.0), first=2003,
        origins="NGA:18 ROU:16 BGR:9 ALB:8 VNM:8 CHN:6 UKR:5 MAR:5 BRA:4 POL:5 HUN:4 IND:3 PHL:3 ERI:2 GHA:2", origin_tail=0.08,
        types=(52, 38, 5, 8), drift=(0.06, 2013),
        pull="GBR:22 ITA:18 DEU:16 NLD:10 ESP:10 BEL:8 FRA:8 AUT:5 CHE:5 IRL:3 SWE:3 PRT:3 DNK:2 NOR:2 FIN:1", pull_share=0.75,
        man=-0.1, young=0.02,
        gaps=(-0.8, -0.8, 0.3, -1.0, -0.7, -0.8, -0.5, -0.6, -0.4, -0.4),
    ),
    Contributor(
        name="Latin America assistance", kind=1, weight=0.9, peak=(2015.0, 4.0), first=2004,
        origins="COL:20 VEN:16 GTM:10 HND:9 MEX:9 BOL:8 PER:7 DOM:7 HTI:5 PRY:5 BRA:4", origin_tail=0.05, types=(46, 44, 5, 6), drift=(0.05, 2014),
        pull="COL:20 MEX:20 ARG:20 PER:15 ECU:15 TTO:10", pull_share=0.25, man=-0.2, young=0.1,
        gaps=(0.0, -0.3, 0.1, 0.2, -0.4, -0.3, 0.0, -0.5, 0.0, -0.2),
    ),
    Contributor(
        name="child protection, southern and central Africa", kind=1, weight=2.2, peak=(2018.0, 3.0), first=2010,
        origins="COD:24 AGO:12 MOZ:14 ZMB:10 ZWE:14 MWI:14 BDI:8 MDG:4", origin_tail=0.06, types=(18, 62, 4, 18), drift=(0.0, 2017),
        pull="ZAF:40 AGO:20 ZMB:20 TZA:20", pull_share=0.25, man=0.1, young=0.45,
        gaps=(0.2, -1.2, 0.2, 0.0, 0.2, 0.0, 0.2, -0.2, 0.2, 0.0),
    ),
    Contributor(
        name="Gulf and Levant assistance", kind=1, weight=2.2, peak=(2016.0, 4.0), first=2006,
        origins="PHL:18 ETH:18 BGD:15 KEN:9 IND:9 LKA:9 NPL:7 IDN:6 UGA:5 SYR:4", origin_tail=0.03, types=(7, 86, 4, 2), drift=(0.01, 2015),
        pull="LBN:22 KWT:18 SAU:18 ARE:14 JOR:12 OMN:8 BHR:6 QAT:4", pull_share=0.85, man=-0.9, young=0.0,
        gaps=(-0.2, 0.2, -0.6, -0.8, -0.6, -0.5, -0.6, -0.2, -0.8, 0.3),
    ),
)  # fmt: skip
"""All contributors; the position of one in this tuple is its number."""

_YEAR_MISSING = (0.002, 0.004)


def arrival_weights() -> NDArray[np.float64]:
    """Return shares of (contributor, year), flat: position = contributor * 23 + code of the year, where code 0 is a missing year.

    Activity is a bell around the contributor's peak with a fixed ripple; hotlines fall off slower than they rise.
    """
    table = np.zeros((len(CONTRIBUTORS), len(YEARS) + 1))
    for row, contributor in enumerate(CONTRIBUTORS):
        years = np.array(YEARS, np.float64)
        middle, spread = contributor.peak
        bell = np.exp(-0.5 * ((years - middle) / spread) ** 2) * (years >= contributor.first)
        bell *= 1 + 0.12 * np.sin(1.7 * (years - 2019) + row + 1.5)
        missing = _YEAR_MISSING[contributor.kind]
        table[row, 1:] = (1 - missing) * bell / bell.sum()
        table[row, 0] = missing
        table[row] *= contributor.weight
    return np.asarray(table.ravel() / table.sum())


def citizenship_weights() -> NDArray[np.float64]:
    """Return shares of the true citizenship, shape (contributor, country)."""
    return np.stack([origin_weights(one.origins, tail=one.origin_tail) for one in CONTRIBUTORS])


def pull_weights() -> NDArray[np.float64]:
    """Return shares of the countries where a contributor works, shape (contributor, country)."""
    table = np.zeros((len(CONTRIBUTORS), len(ALPHA3)))
    for row, contributor in enumerate(CONTRIBUTORS):
        for item in contributor.pull.split():
            code, weight = item.split(":")
            table[row, index_of(code)] = float(weight)
    return np.asarray(table / table.sum(axis=1, keepdims=True))
