"""The made-up world of the ``ctdc-global`` schema: how one person comes to be, in order.

It follows the shares of field guide section 4 (published totals; no row of any published file was used) and adds what totals do
not show. A person is drawn step by step, each step from a distribution that depends on earlier steps:

1. contributor and year together (strong source effect; the mix of contributors drifts; the peak is 2019);
2. citizenship from the contributor; kind of exploitation from contributor, year and origin;
3. gender from kind of exploitation, contributor and origin; age from contributor, kind of exploitation, gender and year;
4. country of exploitation from citizenship, gender and kind of exploitation, or from where the contributor works (Ukraine to Russia:
   men; Philippines to the Gulf: women);
5. labour sectors from gender, origin and destination (men in Russia: construction), only with forced labour; sexual types only with
   sexual exploitation;
6. severity, a continuous hidden trait; the eight means of control one after another from kind of exploitation, gender, age, destination,
   sector, the contributor's form, severity and the means already drawn; recruiter relations likewise; duration from severity;
7. care, a second continuous hidden trait (how carefully the record was written); then every group of cells is left empty or not,
   from contributor, year, care and from what the cell holds: people known twice have fuller records, minors' ages are better known,
   citizens of the USA are not asked for citizenship, severe cases have their means written down (missing not at random).

Inside one contributor the columns still depend on each other through origins, chains and two continuous traits, so this is no latent
class model: a mixture of independent classes has to approximate it.

Targets, reached within 1.5 points (``tests/service/test_generate_targets.py``): shares of empty cells in the pooled file; countries as
shares of the known ones; kind of exploitation, women, age and flags by kind of exploitation for hotline people exploited in the USA
with sexual or labour exploitation known; women, minors, origins and kind of exploitation for assistance programmes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casehaven.generate import _ctdc_effects as effects
from casehaven.generate._ctdc_sources import (
    CONTRIBUTORS,
    GAPS,
    YEARS,
    arrival_weights,
    citizenship_weights,
    pull_weights,
)
from casehaven.generate.countries import ALPHA3, FLOWS, destination_group, destination_weights, index_of, origin_group
from casehaven.generate.levels import Levels, solved_levels
from casehaven.generate.profiles import NOWHERE, Birth, Profiles
from casehaven.generate.sampling import CategoryTable, Draws, logit_steps

__all__ = ["AGE_BANDS", "KNOWN_TWICE", "MEANS_COLUMNS", "RECRUITER_COLUMNS", "CtdcGlobalModel"]

KNOWN_TWICE = 0.075
"""Share of people known to two contributors."""

_KNOWN_TWICE_CARE = 40
_SEXUAL, _LABOUR, _BOTH, _OTHER = range(4)
# states: sexual, labour, both, other, labour and other, sexual and other
_STATE_TYPE = np.array([_SEXUAL, _LABOUR, _BOTH, _OTHER, _LABOUR, _SEXUAL], np.uint8)
_STATE_LABOUR = np.array([0, 1, 1, 0, 1, 0], np.bool_)
_STATE_SEXUAL = np.array([1, 0, 1, 0, 0, 1], np.bool_)
_STATE_OTHER = np.array([0, 0, 0, 1, 1, 1], np.bool_)
_AGE_CLASS = np.array([0, 0, 1, 1, 1, 2, 2, 2, 2], np.uint8)
_AGES = 9
_MAN, _WOMAN = 0, 1
_RUSSIA_GROUP = 1
_MIDDLE_YEAR = 2015
_RECRUITER_ORDER = (3, 2, 0, 1)

AGE_BANDS = ("0-8", "9-17", "18-20", "21-23", "24-26", "27-29", "30-38", "39-47", "48+")
MEANS_COLUMNS = tuple(f"means{name}" for name in effects.MEANS)
RECRUITER_COLUMNS = tuple(f"recruiterRelation{name}" for name in effects.RECRUITERS)
_FLAG = ("", "1")
_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "yearOfRegistration": ("", *(str(year) for year in YEARS)),
        "gender": ("", "Man", "Woman", "Trans/Transgender/NonConforming"),
        "ageBroad": ("", *AGE_BANDS),
        "citizenship": ("", *ALPHA3),
        "CountryOfExploitation": ("", *ALPHA3),
        "traffickMonths": ("", "0-12", "13-24", "25+"),
        **dict.fromkeys(MEANS_COLUMNS, _FLAG),
        **dict.fromkeys(("isForcedLabour", "isSexualExploit", "isOtherExploit"), _FLAG),
        **{f"typeOfLabour{name}": _FLAG for name in effects.SECTORS},
        **dict.fromkeys(("typeOfSexProstitution", "typeOfSexPornography"), _FLAG),
        **dict.fromkeys(RECRUITER_COLUMNS, _FLAG),
    }
)

Codes = NDArray[Any]
Steps = NDArray[np.int16]


def _type_weights(levels: Levels) -> NDArray[np.float64]:
    """Return weights of the six states, shape (contributor, year code, origin group, state)."""
    years = np.array((_MIDDLE_YEAR, *YEARS), np.float64)
    table = np.empty((len(CONTRIBUTORS), len(years), effects.TYPE_ORIGIN.shape[1], 6))
    for row, one in enumerate(CONTRIBUTORS):
        sexual, labour, both, other = np.array(one.types) * np.exp(levels.type[one.kind])
        base = np.array([sexual, labour, both, other * 0.7, labour * 0.01 + other * 0.2, sexual * 0.004 + other * 0.1])
        slope = one.drift[0] * (years - one.drift[1])[:, None] + effects.TYPE_ORIGIN[one.kind][None, :]
        pull = np.array([0.0, 1.0, 0.5, 0.3, 1.0, 0.0])
        table[row] = base * np.exp(slope[:, :, None] * pull)
    return table


def _gender_weights(levels: Levels) -> NDArray[np.float64]:
    """Return weights of man, woman, trans, shape (contributor, state, origin group, gender)."""
    origins = len(effects.MAN_ORIGIN)
    table = np.ones((len(CONTRIBUTORS), 6, origins, 3))
    for row, one in enumerate(CONTRIBUTORS):
        for state, kind in enumerate(_STATE_TYPE):
            man = levels.man[one.kind, kind] + one.man + effects.MAN_ORIGIN * (kind == _LABOUR)
            table[row, state, :, 0] = np.exp(man)
            table[row, state, :, 2] = np.exp(effects.TRANS_LEVEL[kind])
    return table


def _age_weights(levels: Levels) -> NDArray[np.float64]:
    """Return weights of the nine age bands, shape (contributor, kind of exploitation, gender, year code, band)."""
    bands = np.arange(_AGES) - 4.0
    years = np.array((_MIDDLE_YEAR, *YEARS), np.float64) - _MIDDLE_YEAR
    gender = np.array([effects.AGE_MAN, 0.0, -0.03])
    table = np.empty((len(CONTRIBUTORS), 4, 3, len(years), _AGES))
    for row, one in enumerate(CONTRIBUTORS):
        slope = (
            effects.AGE_TYPE[:, None, None]
            + gender[None, :, None]
            + effects.AGE_YEAR * years[None, None, :]
            - one.young
        )
        table[row] = np.exp(levels.age[one.kind] + slope[..., None] * bands)
    return table


def _sector_weights() -> NDArray[np.float64]:
    """Return weights of the primary sector, shape (kind of source, man or not, destination group, origin group, sector)."""
    destinations = len(effects.SECTOR_DESTINATION)
    logits = (
        effects.SECTOR_LEVEL[:, None, None, None, :]
        + np.stack([effects.SECTOR_MAN, 0 * effects.SECTOR_MAN])[None, :, None, None, :]
        + effects.SECTOR_DESTINATION[None, None, :, None, :]
        + effects.SECTOR_ORIGIN[None, None, None, :, :]
    )
    logits = np.broadcast_to(logits, (2, 2, destinations, len(effects.SECTOR_ORIGIN), 5)).copy()
    logits[:, 0, _RUSSIA_GROUP] += effects.SECTOR_RUSSIA_MAN
    return np.asarray(np.exp(logits))


def _second_contributor_weights() -> NDArray[np.float64]:
    """Return weights of the second contributor given the first: assistance programmes follow hotlines more than the reverse."""
    weights = np.array([one.weight * (1.0 if one.kind else 0.5) for one in CONTRIBUTORS])
    return np.where(np.eye(len(CONTRIBUTORS), dtype=bool), 0.0, weights)


def _duration_weights() -> NDArray[np.float64]:
    """Return weights of the three durations, shape (kind of exploitation, severity class, duration)."""
    severity = np.array([-1.2, 0.0, 1.2])
    return np.asarray(np.exp(effects.DURATION_LEVEL[:, None, :] + severity[None, :, None] * effects.DURATION_SEVERITY))


def _scaled(effect: int, trait: Steps) -> Steps:
    """Return effect x trait, both in steps; at most 4 x 4 units, so 16 bits hold the sum but not the product."""
    return (trait.astype(np.int32) * effect >> 5).astype(np.int16)


class CtdcGlobalModel:
    """Profiles of the ``ctdc-global`` schema; code 0 is a missing value in every column."""

    def __init__(self, levels: Levels | None = None) -> None:
        """Build the tables (a tenth of a second) from the shipped levels, or from others while they are being solved."""
        levels = levels or solved_levels()
        self.contributors = len(CONTRIBUTORS)
        self.values = _VALUES
        self.ageing: Mapping[str, tuple[int, ...]] = {"ageBroad": (0, 9, 18, 21, 24, 27, 30, 39, 48)}
        self.births: Mapping[str, Birth] = {}
        self.made_up: Mapping[str, tuple[str, str]] = {}
        self._kind = np.array([one.kind for one in CONTRIBUTORS], np.uint8)
        self._pull_share = np.array([one.pull_share for one in CONTRIBUTORS], np.float32)
        self._origin_group = origin_group()
        self._destination_group = destination_group()
        self._usa = index_of("USA")
        self._arrival = CategoryTable(arrival_weights()[None, :])
        self._citizenship = CategoryTable(citizenship_weights())
        self._pull = CategoryTable(pull_weights())
        self._destination = CategoryTable(destination_weights())
        self._type = CategoryTable(_type_weights(levels))
        self._gender = CategoryTable(_gender_weights(levels))
        self._age = CategoryTable(_age_weights(levels))
        self._sector = CategoryTable(_sector_weights())
        self._duration = CategoryTable(_duration_weights())
        self._second = CategoryTable(_second_contributor_weights())
        self._second_sector = effects.SECOND_SECTOR.astype(np.float32)
        gaps = levels.gap[self._kind] + np.array([one.gaps for one in CONTRIBUTORS])
        self._gap_level = logit_steps(gaps)
        self._gap_year = logit_steps(effects.GAP_YEAR * (np.array((_MIDDLE_YEAR, *YEARS))[:, None] - _MIDDLE_YEAR))
        self._gap_minor = logit_steps(effects.GAP_MINOR)
        self._means_level = logit_steps(
            levels.means[self._kind][:, :, None, None, :]
            + effects.MEANS_GENDER[None, None, :, None, :]
            + effects.MEANS_AGE[None, None, None, :, :]
            + effects.MEANS_STYLE[:, None, None, None, :]
        ).reshape(-1, len(effects.MEANS))
        self._means_place = logit_steps(
            effects.MEANS_DESTINATION[:, None, :] + effects.MEANS_SECTOR[None, :, :]
        ).reshape(-1, len(effects.MEANS))
        self._means_year = logit_steps(effects.MEANS_YEAR * (np.array((_MIDDLE_YEAR, *YEARS))[:, None] - _MIDDLE_YEAR))
        self._recruiter_level = logit_steps(
            levels.recruiter[:, :, None, None, :]
            + effects.RECRUITER_GENDER[None, None, :, None, :]
            + effects.RECRUITER_AGE[None, None, None, :, :]
        ).reshape(-1, len(effects.RECRUITERS))

    def profiles(self, *, seed: int, chunk: int, people: int) -> Profiles:
        """Return the first ``people`` people of a chunk; the same for the same seed and chunk."""
        draws = Draws(seed, chunk, 0, people=people)
        return self._draw(draws, people)

    def _draw(self, draws: Draws, people: int) -> Profiles:
        arrival = self._arrival.pick(np.zeros(people, np.intp), draws.fine())
        home = (arrival // (len(YEARS) + 1)).astype(np.intp)
        year = (arrival % (len(YEARS) + 1)).astype(np.intp)
        kind = self._kind[home]
        citizenship = self._citizenship.pick(home, draws.fine())
        origin = self._origin_group[citizenship]
        state = self._type.pick((home * (len(YEARS) + 1) + year) * 7 + origin, draws.uniform())
        exploitation = _STATE_TYPE[state]
        gender = self._gender.pick((home * 6 + state) * 7 + origin, draws.uniform())
        age = self._age.pick(((home * 4 + exploitation) * 3 + gender) * (len(YEARS) + 1) + year, draws.uniform())
        age_class = _AGE_CLASS[age]
        country = self._country(draws, home, citizenship, gender, exploitation)
        destination = self._destination_group[country]
        severity, care = draws.normal(), draws.normal()
        elsewhere = np.where(draws.uniform() < KNOWN_TWICE, self._second.pick(home, draws.uniform()), NOWHERE).astype(
            np.uint8
        )
        care = care + np.where(elsewhere != NOWHERE, np.int16(_KNOWN_TWICE_CARE), np.int16(0))

        labour, sexual, other = _STATE_LABOUR[state], _STATE_SEXUAL[state], _STATE_OTHER[state]
        man = (gender != _MAN).astype(np.intp)
        sector = self._sector.pick(((kind * 2 + man) * 6 + destination) * 7 + origin, draws.uniform())
        sector = np.where(labour, sector, np.uint8(4))
        means = self._means(draws, home, exploitation, gender, age_class, destination, sector, year, severity)
        recruiters = self._recruiters(draws, kind, exploitation, gender, age_class, citizenship == country, severity)
        severity_class = (severity > -16).astype(np.intp) + (severity > 16)
        duration = self._duration.pick(exploitation * np.intp(3) + severity_class, draws.uniform())

        gaps = self._gaps(draws, home, kind, year, care, severity, exploitation, age, citizenship)
        known = {name: ~gap for name, gap in gaps.items()}
        labour, sexual, other = labour & known["type"], sexual & known["type"], other & known["type"]
        codes: dict[str, Codes] = {
            "yearOfRegistration": year.astype(np.uint8),
            "gender": (gender + np.uint8(1)) * known["gender"],
            "ageBroad": (age + np.uint8(1)) * known["age"],
            "citizenship": (citizenship.astype(np.int16) + np.int16(1)) * known["citizenship"],
            "CountryOfExploitation": (country.astype(np.int16) + np.int16(1)) * known["exploitation"],
            "traffickMonths": (duration + np.uint8(1)) * known["duration"],
        }
        for name, flag in zip(effects.MEANS, means, strict=True):
            codes[f"means{name}"] = flag & known["means"]
        codes["isForcedLabour"], codes["isSexualExploit"], codes["isOtherExploit"] = labour, sexual, other
        told = labour & known["sector"]
        for position, name in enumerate(effects.SECTORS):
            also = draws.uniform() < self._second_sector[:, position][sector]
            codes[f"typeOfLabour{name}"] = ((sector == position) | also) & told
        told = sexual & known["sex_type"]
        source = kind * np.intp(3) + age_class
        prostitution = draws.yes(logit_steps(effects.PROSTITUTION_LEVEL).ravel()[source])
        pornography = draws.yes(
            logit_steps(effects.PORNOGRAPHY_LEVEL).ravel()[source] + np.where(prostitution, 0, 48).astype(np.int16)
        )
        codes["typeOfSexProstitution"], codes["typeOfSexPornography"] = prostitution & told, pornography & told
        for name, flag in zip(effects.RECRUITERS, recruiters, strict=True):
            codes[f"recruiterRelation{name}"] = flag & known["recruiter"]
        return Profiles(
            codes={
                name: column.astype(np.uint8) if column.dtype == np.bool_ else column for name, column in codes.items()
            },
            home=home.astype(np.uint8),
            elsewhere=elsewhere,
        )

    def _country(self, draws: Draws, home: Codes, citizenship: Codes, gender: Codes, exploitation: Codes) -> Codes:
        flow = np.where(exploitation == _SEXUAL, 2, np.where(gender == _MAN, 0, 1))
        way = self._destination.pick(citizenship.astype(np.intp) * len(FLOWS) + flow, draws.fine())
        pulled = draws.uniform() < self._pull_share[home]
        return np.where(pulled, self._pull.pick(home, draws.fine()), way)

    def _means(
        self, draws: Draws, home: Codes, exploitation: Codes, gender: Codes, age_class: Codes, destination: Codes, sector: Codes,
        year: Codes, severity: Steps,
    ) -> list[Codes]:  # fmt: skip
        person = ((home * 4 + exploitation) * 3 + gender) * 3 + age_class
        place = destination * np.intp(5) + sector
        weight, chain = logit_steps(effects.MEANS_SEVERITY), logit_steps(effects.MEANS_CHAIN)
        flags: list[Codes] = []
        for position in range(len(effects.MEANS)):
            steps = self._means_level[:, position][person] + self._means_place[:, position][place]
            steps += self._means_year[:, position][year] + _scaled(int(weight[position]), severity)
            for earlier, flag in enumerate(flags):
                if chain[earlier, position]:
                    steps += flag * chain[earlier, position]
            flags.append(draws.yes(steps))
        return flags

    def _recruiters(
        self,
        draws: Draws,
        kind: Codes,
        exploitation: Codes,
        gender: Codes,
        age_class: Codes,
        internal: Codes,
        severity: Steps,
    ) -> list[Codes]:
        person = ((kind * np.intp(4) + exploitation) * 3 + gender) * 3 + age_class
        weight, chain, inside = (
            logit_steps(effects.RECRUITER_SEVERITY), logit_steps(effects.RECRUITER_CHAIN), logit_steps(effects.RECRUITER_INTERNAL)
        )  # fmt: skip
        flags: dict[int, Codes] = {}
        for position in _RECRUITER_ORDER:
            steps = self._recruiter_level[:, position][person] + internal * inside[position]
            steps += _scaled(int(weight[position]), severity)
            for earlier, flag in flags.items():
                if chain[earlier, position]:
                    steps += flag * chain[earlier, position]
            flags[position] = draws.yes(steps)
        return [flags[position] for position in range(len(effects.RECRUITERS))]

    def _gaps(
        self, draws: Draws, home: Codes, kind: Codes, year: Codes, care: Steps, severity: Steps, exploitation: Codes, age: Codes,
        citizenship: Codes,
    ) -> dict[str, Codes]:  # fmt: skip
        loading, no_type = logit_steps(effects.GAP_CARE), logit_steps(effects.GAP_NO_TYPE)
        minor = age <= 1
        more: dict[str, Steps] = {
            "means": logit_steps(effects.GAP_MEANS_TYPE)[exploitation]
            + _scaled(int(logit_steps(effects.GAP_MEANS_SEVERITY)), severity),
            "duration": _scaled(int(logit_steps(effects.GAP_DURATION_SEVERITY)), severity),
            "citizenship": ((citizenship == self._usa) & (kind == 0)) * logit_steps(effects.GAP_USA_CITIZEN),
        }
        gaps: dict[str, Codes] = {}
        for name in ("type", *(gap for gap in GAPS if gap != "type")):
            position = GAPS.index(name)
            steps = (
                self._gap_level[:, position][home]
                + self._gap_year[:, position][year]
                + _scaled(int(loading[position]), care)
            )
            steps += minor * self._gap_minor[position]
            if name in more:
                steps += more[name]
            if no_type[position]:
                steps += gaps["type"] * no_type[position]
            gaps[name] = draws.yes(steps)
        return gaps
