"""The public domain is written down, never read from data (privacy rules 3 and 4)."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pyarrow as pa
import pytest

from caseschemas import load_schema
from casesynth.domain import Attribute, Domain, DomainError, Multi
from casesynth.encode import encode


def _attribute(**changes: object) -> Attribute:
    given: dict[str, object] = {"name": "sex", "values": ("", "f", "m"), "missing": frozenset({0})}
    return Attribute(**{**given, "read": lambda cell: None, **changes})  # type: ignore[arg-type]  # wrong on purpose


def test_declaring_puts_the_missing_value_in_front() -> None:
    (column,) = Domain.declare({"sex": ["f", "m"]}).columns
    assert (column.values, column.missing, column.size) == (("", "f", "m"), frozenset({0}), 3)


def test_a_missing_value_that_is_declared_is_not_added_again() -> None:
    assert Domain.declare({"sex": ["f", "", "m"]}).sizes == (3,)


def test_values_that_are_no_text_are_declared_by_their_text() -> None:
    assert Domain.declare({"rooms": [1, 2]}).columns[0].values == ("", "1", "2")  # type: ignore[list-item]  # as people write it


def test_a_multi_value_attribute_becomes_one_binary_column_per_value() -> None:
    domain = Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt"])})
    means = [column for column in domain.columns if column.attribute == "means"]
    assert [(c.name, c.values, c.missing, c.value) for c in means] == [
        ("means=threats", ("", "1"), frozenset({0}), "threats"),
        ("means=debt", ("", "1"), frozenset({0}), "debt"),
    ]
    assert domain.sizes == (3, 2, 2)


def test_reading_a_cell_gives_positions_or_none_outside_the_list() -> None:
    domain = Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt"])})
    sex, means = domain.attributes
    assert [sex.read(cell) for cell in ("f", " m ", "x", "F", "f;m")] == [(1,), (2,), None, None, None]
    assert [means.read(cell) for cell in ("debt", "debt; threats", "debt;rare", "debt;")] == [
        (2,),
        (2, 1),
        None,
        (2, 0),
    ]


@pytest.mark.parametrize("values", [["f", "f"], ["f", "m", "f"]])
def test_a_value_listed_twice_is_refused(values: list[str]) -> None:
    with pytest.raises(DomainError, match="sex: a value is listed twice"):
        Domain.declare({"sex": values})


@pytest.mark.parametrize("listed", [[], [""], Multi(values=[]), Multi(values=[""])])
def test_an_attribute_without_a_value_beside_missing_is_refused(listed: list[str] | Multi) -> None:
    with pytest.raises(DomainError, match="empty: needs at least one value beside missing"):
        Domain.declare({"sex": ["f"], "empty": listed})


def test_a_value_with_a_separator_in_it_is_refused_for_multi_values_only() -> None:
    assert Domain.declare({"means": ["a;b"]}).sizes == (2,)
    with pytest.raises(DomainError, match="means: a value of a multi-value attribute cannot contain ';'"):
        Domain.declare({"means": Multi(values=["a;b"])})


def test_names_used_twice_are_refused() -> None:
    with pytest.raises(DomainError, match="two attributes share a name"):
        Domain(attributes=(_attribute(), _attribute()))


def test_columns_that_share_a_name_are_refused() -> None:
    with pytest.raises(DomainError, match="two columns share a name"):
        Domain.declare({"means=debt": ["yes"], "means": Multi(values=["debt"])})


def test_a_domain_without_attributes_is_refused() -> None:
    with pytest.raises(DomainError, match="at least one attribute"):
        Domain.declare({})


def test_a_dating_attribute_that_is_not_there_is_refused() -> None:
    with pytest.raises(DomainError, match="year is not in the domain"):
        Domain(attributes=(_attribute(),), order_attribute="year")


@pytest.mark.parametrize("change", [{"missing": frozenset({3})}, {"blank": 3}, {"outside": -1}])
def test_a_position_beyond_the_list_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DomainError, match="outside its 3 values"):
        _attribute(**change)


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(DomainError, match="no attribute age"):
        Domain.declare({"sex": ["f"]}).attribute("age")


def test_ctdc_global_has_27_columns_of_public_sizes() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    sizes = dict(zip([column.name for column in domain.columns], domain.sizes, strict=True))
    long = {
        "yearOfRegistration": 1 + 22,  # 2002 to 2023
        "gender": 1 + 3,
        "ageBroad": 1 + 9,
        "citizenship": 1 + 249,  # ISO 3166-1
        "CountryOfExploitation": 1 + 249,
        "traffickMonths": 1 + 3,
    }
    assert len(sizes) == 27
    assert {name: size for name, size in sizes.items() if size != 2} == long
    assert domain.order_attribute == "yearOfRegistration"


def test_more_values_than_positions_are_refused() -> None:
    listed = [str(number) for number in range(1 << 16)]
    (column,) = Domain.declare({"village": listed[1:]}).columns
    assert column.size == 1 << 16
    coded = encode(pa.table({"village": [listed[-1]]}), Domain.declare({"village": listed[1:]}), person=None)
    assert coded.columns[0].tolist() == [(1 << 16) - 1]
    with pytest.raises(DomainError, match="village: has 65537 values, more than 65536"):
        Domain.declare({"village": listed})


def test_a_domain_is_the_same_before_and_after_records_with_new_values() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    before = (domain.facts(), domain.digest(), domain.columns)
    strange = pa.table({attribute.name: ["never listed", "999"] for attribute in domain.attributes})
    encode(strange, domain, person=None)
    assert (domain.facts(), domain.digest(), domain.columns) == before


@pytest.mark.parametrize(
    ("make", "accepted"),
    [
        (Domain.declare, {"attributes"}),
        (Domain.from_schema, {"schema"}),
        (Domain, {"attributes", "order_attribute", "source", "rules"}),
    ],
)
def test_nothing_that_makes_a_domain_accepts_records(make: Callable[..., Domain], accepted: set[str]) -> None:
    assert set(inspect.signature(make).parameters) == accepted


def test_the_digest_tells_value_lists_apart_and_nothing_else() -> None:
    domain = Domain.declare({"sex": ["f", "m"]})
    assert domain.digest() == Domain.declare({"sex": ["f", "m"]}).digest()
    others: list[dict[str, list[str] | Multi]] = [
        {"sex": ["m", "f"]},
        {"sex": ["f"]},
        {"gender": ["f", "m"]},
        {"sex": Multi(values=["f", "m"])},
    ]
    assert len({domain.digest(), *(Domain.declare(other).digest() for other in others)}) == 5
