"""Threat 24: who plants one person in a hundred moves a release by as much as these people are, and no further.

With the noise held fixed, every measured number moves by at most one for each planted person, however many records each of them has. What is made from the numbers is then followed to the
released counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from caseschemas import load_schema
from casesynth.domain import Domain
from casesynth.privacy.mechanisms import add_gaussian_noise
from casesynth.tables import read_measurements

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, Shelter

PEOPLE = 600
PLANTED = PEOPLE // 100
RECORDS = 200
"""Records of each planted person."""


def planted() -> list[Record]:
    """People who all say the same, each with many records: the worst for one cell."""
    return [
        {"token": f"planted-{who}", "mayRelease": "yes", "year": "2023", "gender": "man", "age": "15", "means": "hours"}
        for who in range(PLANTED)
        for _ in range(RECORDS)
    ]


def test_one_planted_person_in_a_hundred_moves_a_release_by_no_more_than_their_number(
    people: MakePeople, make_shelter: Callable[[str], Shelter], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise: list[NDArray[np.int64]] = []

    def record(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        noisy = add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap)
        noise.append(noisy - counts)
        return noisy

    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", record)
    clean = make_shelter("clean")
    assert clean.release(clean.write("north.csv", people(PEOPLE))).exit_code == 0
    same = iter(noise.copy())
    monkeypatch.setattr(
        "casesynth.measure.add_gaussian_noise", lambda counts, *, nano_rho, people_cap: counts + next(same)
    )
    poisoned = make_shelter("poisoned")
    files = poisoned.write("north.csv", [*people(PEOPLE), *planted()])
    assert poisoned.release(files).exit_code == 0
    domain = Domain.from_schema(load_schema(str(clean.folder / "shelter.json")))
    before, after = (
        read_measurements(each.folder / "bundle" / "measurements.parquet", domain) for each in (clean, poisoned)
    )
    moved = [np.abs(b.values - a.values) for a, b in zip(before, after, strict=True)]
    assert max(int(each.max()) for each in moved) == PLANTED  # reached, and not passed, although each has 200 records
    assert all(int(each.sum()) <= PLANTED for each in moved)
    one, two = (_singles(each) for each in (clean, poisoned))
    gaps = (two["estimate"] - one["estimate"]).abs()
    widest = ((one["high"] - one["low"]) / 2).max()
    assert gaps.max() <= PLANTED + widest  # released counts: by their number, and by what noise makes the model do


def _singles(shelter: Shelter) -> pd.DataFrame:
    frame = pd.read_parquet(shelter.folder / "bundle" / "aggregates.parquet")
    return frame[frame["length"] == 1].set_index(["attribute_1", "value_1", "missing"])
