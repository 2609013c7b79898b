"""The engine for a data scientist: what is refused before the caller's charge, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import casesynth
from casesynth.domain import Domain
from casesynth.encode import ColumnTypeError, RepeatedColumnError, UnknownColumnError
from casesynth.errors import CasesynthError
from casesynth.persons import PeopleCapError, PersonKeyError
from casesynth.privacy import PrivacyLoss, Receipt

DOMAIN = Domain.declare({"sex": ["f", "m"], "age": ["young", "old"]})
CELLS = {"id": ["1", "2", "3"], "sex": ["f", "m", "f"], "age": ["young", "old", ""]}


class ChargedError(Exception):
    """The charge was asked for."""


def _charge(loss: PrivacyLoss) -> Receipt:
    raise ChargedError


def _with(**columns: object) -> Callable[[], pa.Table]:
    return lambda: pa.table({**CELLS, **columns})


FAULTS: dict[str, tuple[Callable[[], pd.DataFrame | pa.Table], type[CasesynthError]]] = {
    "a column is missing": (lambda: pd.DataFrame({"id": ["1"], "sex": ["f"]}), UnknownColumnError),
    "a column is there twice": (
        lambda: pa.table([*CELLS.values(), CELLS["sex"]], names=[*CELLS, "sex"]),
        RepeatedColumnError,
    ),
    "a column of lists": (_with(sex=[["f"], ["m"], ["f"]]), ColumnTypeError),
    "a column of bytes": (_with(age=[b"old", b"old", b"old"]), ColumnTypeError),
    "a key that is not there": (_with(id=["1", None, "3"]), PersonKeyError),
    "a key of spaces": (_with(id=["1", "  ", "3"]), PersonKeyError),
    "a key that is NaN": (_with(id=np.array([1.0, np.nan, 3.0])), PersonKeyError),
    "more people than the cap": (
        lambda: pa.table({"id": [*map(str, range(11))], "sex": ["f"] * 11, "age": [""] * 11}),
        PeopleCapError,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_frame_that_does_not_fit_costs_nothing(fault: str) -> None:
    frame, error = FAULTS[fault]
    with pytest.raises(error):
        casesynth.release(frame(), DOMAIN, person="id", epsilon=1, people_cap=10, charge=_charge)


def test_more_rows_than_the_cap_cost_nothing_where_each_row_is_a_person() -> None:
    frame = pa.table({name: cells * 4 for name, cells in CELLS.items()})
    with pytest.raises(PeopleCapError, match="more than 10 people"):
        casesynth.release(frame, DOMAIN, person=casesynth.EACH_ROW, epsilon=1, people_cap=10, charge=_charge)


def test_records_of_the_same_people_do_not_count_against_the_cap() -> None:
    frame = pa.table({name: cells * 4 for name, cells in CELLS.items()})
    with pytest.raises(ChargedError):
        casesynth.release(frame, DOMAIN, person="id", epsilon=1, people_cap=10, charge=_charge)


def test_a_frame_that_fits_is_charged_once_and_released() -> None:
    charged: list[PrivacyLoss] = []

    def charge(loss: PrivacyLoss) -> Receipt:
        charged.append(loss)
        return Receipt(charge_id="c1", loss=loss)

    frame = pd.DataFrame({name: cells * 100 for name, cells in CELLS.items()} | {"id": range(300)})
    release = casesynth.release(frame, DOMAIN, person="id", epsilon=3, people_cap=1000, charge=charge)
    assert charged == [release.plan.loss]
    assert abs(release.people[0] - 300) < 100
