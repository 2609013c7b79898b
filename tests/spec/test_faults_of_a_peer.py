"""Ten faults of the best-known peer, `pac-synth` 0.0.8, each reproduced in it, and for each a test that this software does not have it.

pac-synth is what the authors of the 2020 paper wrote for the world's largest file of trafficking cases. It opened this field. What is wrong in
its differentially private mode is listed here as facts about ours, one test each, so that nobody repeats it. Where a test is statistical it says how
often it fails by chance.
"""

from __future__ import annotations

import inspect
import itertools
import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from caseschemas import parse_schema
from casesynth.api import EACH_ROW, Release, release
from casesynth.domain import Domain, Multi
from casesynth.encode import encode
from casesynth.evaluation.private import tables, utility
from casesynth.measure import Measurement, measure
from casesynth.model import FitSettings
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy import Receipt
from casesynth.privacy.accounting import rho_for
from casesynth.privacy.loss import NANO

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter

SHORT = FitSettings(classes=20, steps=60, starts=1, pilot_classes=15, pilot_steps=30)
"""A model that is fitted less hard than usual, where a test does not look at how good it is."""

HASTY = FitSettings(classes=8, steps=20, starts=1, pilot_classes=6, pilot_steps=10)

MEANS = ("threats", "debt", "papers", "hours", "violence", "drugs")
DOMAIN = Domain.declare({"gender": ["woman", "man"], "age": ["0-17", "18-29", "30+"], "means": Multi(values=MEANS)})


def _frame(people: int, seed: int = 1) -> pd.DataFrame:
    """Records of made-up people, most with several means of control, a third of the cells empty."""
    random = np.random.Generator(np.random.PCG64(seed))
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(people)],
            "gender": random.choice(["woman", "woman", "man", ""], people),
            "age": random.choice(["0-17", "18-29", "30+", ""], people),
            "means": [";".join(m for m in MEANS if random.random() < 0.3) for _ in range(people)],
        }
    )


def _release(frame: pd.DataFrame, **changes: object) -> Release:
    options: dict[str, object] = {"person": "id", "epsilon": 1.0, "people_cap": 10_000, "settings": SHORT, **changes}
    return release(frame, DOMAIN, **options)  # type: ignore[arg-type]  # each option has its type where it is named


def _measured(frame: pd.DataFrame, plan: ReleasePlan) -> tuple[Measurement, ...]:
    codes = encode(frame, DOMAIN, person=None).columns
    measured, _ = measure(
        plan, charge=lambda loss: Receipt(charge_id="peer", loss=loss), open_people=lambda _: PersonTable(columns=codes)
    )
    return measured


def test_1_nothing_about_the_noise_is_chosen_by_looking_at_the_records() -> None:
    """The peer chooses how many values of a person count by a percentile of the data, paid for as if one record moved it a little; one record more
    changed the choice from 9 to 10 in four of five runs. Here no such choice is made: with or without a person who has every value, the same
    tables are measured with the same noise, and the plan is made by a function that is not given records."""
    plan = ReleasePlan.make(DOMAIN, epsilon=1, people_cap=10_000)
    ordinary = _frame(300)
    most = pd.DataFrame([{"id": "x", "gender": "woman", "age": "30+", "means": ";".join(MEANS)}])
    one, other = (_measured(frame, plan) for frame in (ordinary, pd.concat([ordinary, most])))
    assert [(m.clique, m.nano_rho, m.values.shape) for m in one] == [
        (m.clique, m.nano_rho, m.values.shape) for m in other
    ]
    assert set(inspect.signature(ReleasePlan.make).parameters) == {
        "domain",
        "epsilon",
        "people_cap",
        "delta",
        "max_tokens_per_person",
        "tables",
        "table_share",
    }


def test_2_a_rare_value_of_one_person_is_in_no_column_name_and_nowhere_else(
    shelter: Shelter, people: MakePeople
) -> None:
    """The peer names an output column for every value that it finds in a list of several; a value that one person has stands in the header."""
    rare = {**people(1, start=900)[0], "means": "threats;a ritual that one person named"}
    result = shelter.release(shelter.write("cases.csv", [*people(200), rare]))
    assert result.exit_code == 0, result.output
    bundle = shelter.folder / "bundle"
    header = (bundle / "synthetic.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "year,gender,age,means"
    told = [path.name for path in bundle.iterdir() if b"ritual" in path.read_bytes()]
    assert told == []
    assert "ritual" not in result.output


def test_3_the_exact_number_of_people_is_not_told(shelter: Shelter, people: MakePeople) -> None:
    """The peer prints the exact number of records unless a flag is set. Here 4,871 people are released twice with very much noise. The noisy number or
    an end of its interval is the exact one by chance in fewer than one of 3,000 releases, in both in fewer than one of a million; whoever told the exact one
    would tell it in both."""
    cases = shelter.write("cases.csv", people(4871))
    telling = 0
    for place in range(2):
        result = shelter.release(cases, out=f"bundle-{place}", extra=("--epsilon", "0.005"))
        assert result.exit_code == 0, result.output
        bundle = shelter.folder / f"bundle-{place}"
        facts = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["facts"]
        rows = len((bundle / "synthetic.csv").read_text(encoding="utf-8").splitlines()) - 1
        assert rows == facts["people"]["estimate"]
        texts = [
            result.output,
            *((bundle / name).read_text(encoding="utf-8") for name in ("datasheet.md", "datapackage.json")),
        ]
        telling += rows == 4871 or any(re.search(r"\b4[,. ]?871\b", text) for text in texts)
    assert telling < 2


def test_4_small_data_does_not_crash() -> None:
    """At epsilon 0.5 the peer crashes in 24 of 60 fits of 50 people, 23 of 60 of 200 and 7 of 60 of 500. With such rates this test would pass in one of
    300,000 runs. Nobody, one person and two are tried as well."""
    for number in (0, 1, 2, *[50] * 12, *[200] * 12, *[500] * 6):
        made = _release(_frame(number), epsilon=0.5, settings=HASTY)
        assert set(made.records["gender"]) <= {"", "woman", "man"}
        assert (made.aggregates["estimate"] >= 0).all()


def _smallest_scale(epsilon: float, delta: float) -> float:
    """Return the least Gaussian noise on one count that is (epsilon, delta)-private at all (Balle and Wang 2018, theorem 8)."""

    def spent(scale: float) -> float:
        def phi(x: float) -> float:
            return 0.5 * math.erfc(-x / math.sqrt(2))

        return phi(0.5 / scale - epsilon * scale) - math.exp(epsilon) * phi(-0.5 / scale - epsilon * scale)

    low, high = 1e-3, 1e4
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if spent(middle) > delta else (low, middle)
    return high


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0, 12.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-6, 1e-9])
def test_5_the_accounting_wastes_little_of_what_is_allowed(epsilon: float, delta: float) -> None:
    """For the same epsilon and delta the peer could have added 11 to 28 % less noise. Ours could have added 9 %
    less at most, the price of charges that add up exactly in a ledger, and never adds too little."""
    scale = math.sqrt(NANO / (2 * rho_for(epsilon, delta)))
    assert 0 <= 1 - _smallest_scale(epsilon, delta) / scale < 0.09
    plan = ReleasePlan.make(DOMAIN, epsilon=epsilon, people_cap=10_000, delta=delta)
    assert 0.9999 < plan.loss.nano_rho / rho_for(epsilon, delta) <= 1  # and the tables get all of it


def test_6_delta_is_a_public_number_that_no_record_and_no_chance_moves() -> None:
    """The peer's delta is 1 / (n ln n) of a noisy n: it differs from run to run and is barely below 1 / n, where a mechanism that publishes one whole record
    would pass. Ours follows from the cap that was declared before the upload."""
    few, many = (_release(_frame(number)).plan.delta for number in (40, 4_000))
    assert few == many == 1e-6
    assert ReleasePlan.make(DOMAIN, epsilon=1, people_cap=50_000_000).delta == 1 / (10 * 50_000_000)


def test_7_combinations_that_nobody_has_are_hardly_ever_reported() -> None:
    """The peer reports about half of all combinations that could be and are not. Ours: of 1,560 pairs of a country and a language that nobody has, fewer than
    one in a hundred."""
    places = [f"c{i}" for i in range(40)]
    domain = Domain.declare({"country": places, "language": [f"l{i}" for i in range(40)], "gender": ["woman", "man"]})
    random = np.random.Generator(np.random.PCG64(7))
    where = random.integers(0, 40, 8_000)
    frame = pd.DataFrame(
        {
            "country": [places[i] for i in where],
            "language": [f"l{i}" for i in where],  # one language for each country
            "gender": random.choice(["woman", "man"], 8_000),
        }
    )
    made = release(frame, domain, person=EACH_ROW, epsilon=1, people_cap=100_000).aggregates
    pairs = made[(made["length"] == 2) & (made["attribute_1"] == "country") & (made["attribute_2"] == "language")]
    real = sum(str(row.value_1)[1:] == str(row.value_2)[1:] for row in pairs.itertuples())
    assert real >= 36  # nearly all that are there are reported,
    assert (len(pairs) - real) / 1_560 < 0.01  # and nearly none that are not


def test_8_there_are_as_many_rows_as_people_give_or_take_the_noise() -> None:
    """The peer makes 3,585 rows of 3,000. Here the number of rows is the noisy number of people; false alarm below 1e-8."""
    made = _release(_frame(3_000))
    sigma = made.synthesis.model.people_sigma
    assert len(made.records) == made.people.estimate
    assert abs(len(made.records) - 3_000) <= 6 * sigma + 1 < 0.05 * 3_000


def test_9_unknown_not_asked_and_no_stay_apart_and_nothing_turns_into_false_or_one_point_zero(
    shelter: Shelter, people: MakePeople
) -> None:
    """The peer turns all three into an empty cell, and pandas leaves `1.0`, `0.0` and `False` in its files."""
    kinds = ("", "not_asked", "no")
    document = json.loads((shelter.folder / "shelter.json").read_text(encoding="utf-8"))
    gender = next(attribute for attribute in document["attributes"] if attribute["name"] == "gender")
    gender["missing"] = ["blank", "notAsked", "no"]
    (shelter.folder / "shelter.json").write_text(json.dumps(document), encoding="utf-8")
    parse_schema(document)
    records = [{**record, "gender": (*kinds, "woman")[place % 4]} for place, record in enumerate(people(1200))]
    result = shelter.release(shelter.write("cases.csv", records), extra=("--epsilon", "4"))
    assert result.exit_code == 0, result.output
    made = pd.read_csv(shelter.folder / "bundle" / "synthetic.csv", dtype=str, keep_default_na=False)
    for kind in (*kinds, "woman"):
        assert 240 < (made["gender"] == kind).sum() < 360  # 300 of each were there
    assert not (set(made.to_numpy().ravel()) & {"1.0", "0.0", "True", "False", "nan", "NaN", "None", "<NA>"})


def test_10_hiding_everything_does_not_score_as_perfect() -> None:
    """The peer's error is a mean over the combinations that it kept: a release that keeps none has error 0. Ours is over all that either side has."""
    codes = encode(_frame(500), DOMAIN, person=None).columns
    known = [np.array([place not in column.missing for place in range(column.size)]) for column in DOMAIN.columns]
    for length in (1, 2, 3):
        real = tables(codes, DOMAIN.sizes, length)
        nothing = {clique: np.zeros_like(table) for clique, table in real.items()}
        hidden, perfect = utility(real, nothing, known), utility(real, real, known)
        inside = [table[np.ix_(*(range(1, DOMAIN.sizes[i]) for i in clique))] for clique, table in real.items()]
        there = list(itertools.chain.from_iterable(table[table > 0].tolist() for table in inside))
        assert hidden.mean_error == pytest.approx(np.mean(there))  # all of every count is lost
        assert hidden.suppressed == 1 and hidden.relative_error == 1
        assert perfect.mean_error == perfect.suppressed == perfect.relative_error == 0


def test_all_ten_are_here() -> None:
    here: list[Callable[..., object]] = [value for name, value in globals().items() if re.match(r"test_\d+_", name)]
    assert sorted(int(test.__name__.split("_")[1]) for test in here) == list(range(1, 11))
    assert all(test.__doc__ and "peer" in test.__doc__ for test in here)
