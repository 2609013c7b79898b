"""Countries of the made-up world: where people come from and where they end up.

Regions follow the UN's M49 grouping; inside each, countries stand roughly by size, which gives the long tail its order. Corridors
are made up in the spirit of what published reports say: neighbours first, then a few well-known ways (Ukraine to Russia, South-East
Asia to the Gulf, West Africa to Europe), then anywhere. They are not estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "ALPHA3",
    "FLOWS",
    "continent",
    "destination_group",
    "destination_weights",
    "index_of",
    "origin_group",
    "origin_weights",
]

_REGIONS: Mapping[str, str] = MappingProxyType(
    {
        "africa north": "EGY DZA SDN MAR TUN LBY ESH",
        "africa east": "ETH KEN UGA TZA SOM MOZ MDG MWI ZMB ZWE SSD RWA BDI ERI DJI COM MUS REU MYT SYC IOT ATF",
        "africa middle": "COD CMR AGO TCD COG CAF GAB GNQ STP",
        "africa south": "ZAF LSO NAM BWA SWZ",
        "africa west": "NGA GHA CIV NER BFA MLI SEN GIN BEN TGO SLE LBR MRT GMB GNB CPV SHN",
        "america caribbean": "HTI CUB DOM JAM TTO PRI BHS BRB GLP MTQ LCA CUW ABW VCT GRD ATG DMA KNA VIR CYM TCA SXM MAF "
        "VGB BES AIA BLM MSR",
        "america central": "MEX GTM HND NIC SLV CRI PAN BLZ",
        "america south": "BRA COL ARG PER VEN CHL ECU BOL PRY URY GUY SUR GUF FLK SGS BVT",
        "america north": "USA CAN BMU GRL SPM",
        "asia central": "UZB KAZ TJK KGZ TKM",
        "asia east": "CHN JPN KOR PRK TWN HKG MNG MAC",
        "asia south-east": "IDN PHL VNM THA MMR MYS KHM LAO SGP TLS BRN",
        "asia south": "IND PAK BGD IRN AFG NPL LKA BTN MDV",
        "asia west": "TUR IRQ SAU YEM SYR AZE ARE JOR ISR LBN PSE OMN KWT GEO ARM QAT BHR CYP",
        "europe east": "RUS UKR POL ROU CZE HUN BLR BGR SVK MDA",
        "europe north": "GBR SWE DNK FIN NOR IRL LTU LVA EST ISL IMN JEY GGY FRO ALA SJM",
        "europe south": "ITA ESP GRC PRT SRB HRV BIH ALB MKD SVN MNE MLT AND GIB SMR VAT",
        "europe west": "DEU FRA NLD BEL AUT CHE LUX MCO LIE",
        "oceania": "AUS PNG NZL FJI SLB VUT NCL PYF WSM GUM KIR TON FSM MHL ASM MNP PLW COK TUV NRU WLF NIU TKL NFK CXR CCK "
        "PCN UMI HMD",
        "antarctica": "ATA",
    }
)

ALPHA3 = tuple(sorted(code for codes in _REGIONS.values() for code in codes.split()))
"""All 249 countries and areas of ISO 3166-1, in alphabetical order of their alpha-3 code."""

_INDEX = {code: position for position, code in enumerate(ALPHA3)}
_REGION_OF = {code: region for region, codes in _REGIONS.items() for code in codes.split()}
_RANK = {code: rank for codes in _REGIONS.values() for rank, code in enumerate(codes.split(), start=1)}

FLOWS = ("labour of men", "labour of women", "sexual")
"""The kinds of way that lead to different countries for people of one citizenship."""

_GULF = "SAU ARE KWT QAT OMN BHR LBN JOR"
_MAGNETS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "USA": (1.0, 1.2, 1.0),
        "RUS": (2.0, 0.6, 0.5),
        "DEU": (0.6, 0.6, 1.6),
        "GBR": (1.0, 0.9, 1.2),
        "ITA": (0.6, 0.7, 1.8),
        "ESP": (0.6, 0.5, 1.5),
        "FRA": (0.4, 0.6, 1.0),
        "TUR": (0.6, 0.5, 1.2),
        "SAU": (1.0, 3.0, 0.3),
        "ARE": (1.0, 2.0, 1.5),
        "KWT": (0.3, 1.8, 0.2),
        "MYS": (1.6, 1.4, 0.8),
        "THA": (1.6, 0.8, 0.8),
        "ZAF": (0.6, 0.5, 0.6),
        "LBY": (0.8, 0.2, 0.8),
    }
)
# citizenship: destinations with weights, the same for all three kinds of way unless "code:men:women:sexual"
_CORRIDORS: Mapping[str, str] = MappingProxyType(
    {
        "UKR": "RUS:42:12:12 UKR:36:44:38 POL:12:16:6 TUR:2:6:14 DEU:2:5:9 CZE:4:4:3 ITA:1:3:4 KAZ:2:1:1 ISR:1:2:4",
        "MDA": "RUS:52:22:14 MDA:16:30:20 TUR:2:8:22 UKR:10:8:5 ITA:5:10:8 POL:6:5:3 CYP:1:2:6",
        "BLR": "RUS:72:40:42 BLR:10:24:12 POL:8:10:12 DEU:2:4:10 TUR:1:4:8",
        "KGZ": "RUS:40:28:12 KAZ:40:44:22 KGZ:12:18:20 TUR:3:6:20 ARE:1:2:18",
        "UZB": "RUS:46:30:16 KAZ:36:40:20 UZB:8:14:10 TUR:4:8:20 ARE:1:3:20",
        "TJK": "RUS:70:45:25 TJK:14:30:20 KAZ:10:10:5 ARE:1:3:18",
        "ROU": "ITA:16:14:20 ESP:14:8:16 DEU:14:10:20 GBR:16:10:16 ROU:14:30:18",
        "BGR": "DEU:16:12:22 ITA:12:10:12 GBR:12:8:8 FRA:4:4:14 BGR:14:26:16",
        "PHL": "MYS:14:16:14 SAU:10:24:2 ARE:6:14:4 PHL:34:20:60 KWT:3:8:1 QAT:4:5:1 HKG:1:4:1 USA:4:3:2 TWN:6:2:1",
        "IDN": "MYS:34:34:20 IDN:26:18:60 SAU:4:22:2 TWN:10:6:2 THA:14:2:1 HKG:1:5:1",
        "MMR": "THA:66:52:44 CHN:6:14:30 MYS:16:10:6 MMR:10:18:16",
        "KHM": "THA:62:46:28 KHM:12:24:44 MYS:8:14:8 VNM:4:4:3 CHN:1:8:8",
        "VNM": "CHN:16:20:48 GBR:30:12:10 VNM:14:22:26 MYS:8:12:10 RUS:14:12:3 KHM:3:4:6",
        "BGD": "IND:14:16:46 SAU:20:36:6 ARE:16:8:10 MYS:18:4:2 BGD:16:20:30 JOR:1:10:1 OMN:8:8:2 LBN:1:8:2",
        "NPL": "IND:20:18:52 NPL:18:26:24 QAT:18:4:1 SAU:14:12:2 MYS:20:4:1 KWT:4:22:4 ARE:8:8:8",
        "LKA": "SAU:24:34:8 KWT:8:22:4 LKA:26:20:64 QAT:14:4:2 ARE:8:6:8 JOR:1:6:1",
        "IND": "IND:50:50:70 SAU:14:10:4 ARE:14:12:12 USA:6:6:2 KWT:4:10:2 BHR:3:2:4",
        "ETH": "SAU:44:44:10 ETH:24:18:40 YEM:10:6:4 LBN:1:14:4 KWT:1:8:2 SDN:6:6:20 LBY:8:2:4 ZAF:6:1:1",
        "KEN": "SAU:26:52:12 KEN:40:20:60 ARE:10:8:10 QAT:6:6:2 LBN:1:4:1",
        "UGA": "ARE:12:18:20 OMN:6:24:6 UGA:40:20:36 KEN:20:10:20 SAU:8:20:4",
        "NGA": "LBY:16:12:20 ITA:6:4:28 NGA:44:44:20 MLI:4:6:14 GBR:4:8:6 RUS:2:1:4 BFA:2:3:6 CIV:2:3:5",
        "GHA": "GHA:76:70:70 NGA:8:8:12 KWT:1:8:1 SAU:2:8:1 CIV:4:4:8",
        "MEX": "USA:56:44:50 MEX:38:48:44",
        "GTM": "USA:34:30:20 GTM:40:44:56 MEX:20:20:20",
        "COL": "COL:34:34:30 ESP:10:10:14 CHN:2:2:16 ARG:10:10:8 ECU:12:12:8 MEX:4:4:12 PAN:6:6:8",
        "VEN": "COL:34:34:34 VEN:14:14:12 PER:14:14:12 ECU:12:12:10 TTO:8:8:20 ESP:4:4:8",
        "USA": "USA:98:98:98",
        "CHN": "CHN:60:56:62 USA:14:14:12 JPN:4:4:4 GBR:4:4:6",
    }
)
_HOME_SHARE = 0.30
_NEIGHBOUR_SHARE = 0.30
_MAGNET_SHARE = 0.36


def index_of(code: str) -> int:
    """Return the position of a country in ``ALPHA3``.

    >>> ALPHA3[index_of("UKR")]
    'UKR'
    """
    return _INDEX[code]


def continent(citizenship: pd.Series[str]) -> NDArray[np.str_]:
    """Return the first word of the region of each country, or an empty text where the country is empty."""
    names = {"": "", **{code: region.split()[0] for code, region in _REGION_OF.items()}}
    return np.asarray(citizenship.astype(str).map(names), np.str_)


def _tail(power: float) -> NDArray[np.float64]:
    """Return weights over all countries: small places in every region are rare, none is impossible."""
    return np.array([_RANK[code] ** -power for code in ALPHA3])


def _same_region(code: str) -> NDArray[np.float64]:
    return np.array([_REGION_OF[other] == _REGION_OF[code] and other != code for other in ALPHA3], np.float64)


def origin_weights(listed: str, *, tail: float) -> NDArray[np.float64]:
    """Return shares over ``ALPHA3`` for ``"UKR:66 MDA:12"``, with the share ``tail`` spread over all countries.

    Half of the tail falls on the regions of the listed countries, the other half anywhere.
    """
    weights = np.zeros(len(ALPHA3))
    near = np.zeros(len(ALPHA3))
    for item in listed.split():
        code, weight = item.split(":")
        weights[_INDEX[code]] += float(weight)
        near += _same_region(code) * float(weight)
    near *= _tail(1.3)
    far = _tail(1.8)
    shares: NDArray[np.float64] = 0.5 * near / near.sum() + 0.5 * far / far.sum()
    return np.asarray((1 - tail) * weights / weights.sum() + tail * shares)


def _default_destinations(code: str, flow: int) -> NDArray[np.float64]:
    neighbours = _same_region(code) * _tail(0.8)
    magnets = np.zeros(len(ALPHA3))
    for magnet, weights in _MAGNETS.items():
        magnets[_INDEX[magnet]] = weights[flow]
    far = _tail(1.6)
    total = neighbours.sum()
    shares = (
        _MAGNET_SHARE * magnets / magnets.sum() + (1 - _HOME_SHARE - _NEIGHBOUR_SHARE - _MAGNET_SHARE) * far / far.sum()
    )
    if total:
        shares = shares + _NEIGHBOUR_SHARE * neighbours / total
    shares[_INDEX[code]] += _HOME_SHARE
    return np.asarray(shares / shares.sum())


def destination_weights() -> NDArray[np.float64]:
    """Return shares of the country of exploitation, shape (citizenship, kind of way, country)."""
    table = np.empty((len(ALPHA3), len(FLOWS), len(ALPHA3)))
    for row, code in enumerate(ALPHA3):
        for flow in range(len(FLOWS)):
            shares = _default_destinations(code, flow)
            if code in _CORRIDORS:
                listed = np.zeros(len(ALPHA3))
                for item in _CORRIDORS[code].split():
                    name, *weights = item.split(":")
                    listed[_INDEX[name]] = float(weights[flow])
                shares = 0.93 * listed / listed.sum() + 0.07 * shares
            table[row, flow] = shares
    return table


def _grouped(groups: Mapping[str, int], named: Mapping[str, int], other: int) -> NDArray[np.uint8]:
    found = np.full(len(ALPHA3), other, np.uint8)
    for code in ALPHA3:
        for prefix, group in groups.items():
            if _REGION_OF[code].startswith(prefix):
                found[_INDEX[code]] = group
        if code in named:
            found[_INDEX[code]] = named[code]
    return found


def origin_group() -> NDArray[np.uint8]:
    """Return the group of each citizenship: 0 USA and Canada, 1 Latin America, 2 eastern Europe and central Asia, 3 South-East
    Asia, 4 rest of Asia, 5 Africa, 6 elsewhere."""
    groups = {
        "america": 1,
        "america north": 0,
        "asia": 4,
        "asia central": 2,
        "asia south-east": 3,
        "africa": 5,
        "europe east": 2,
    }
    return _grouped(groups, {}, 6)


def destination_group() -> NDArray[np.uint8]:
    """Return the group of each country of exploitation: 0 USA, 1 Russia and its neighbours, 2 rest of Europe, 3 Gulf and Levant,
    4 South-East and east Asia, 5 elsewhere."""
    groups = {"europe": 2, "europe east": 1, "asia central": 1, "asia south-east": 4, "asia east": 4}
    return _grouped(groups, {"USA": 0, **dict.fromkeys(_GULF.split(), 3)}, 5)
