"""What equal person tokens of two organisations mean: it must be said, and the release says it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from casehaven.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakePeople, Shelter


def _spent(shelter: Shelter) -> int:
    return sum(row.spent_nano_rho for row in Ledger.open(shelter.folder / "ledger.sqlite").statement().rows)


def _numbered(shelter: Shelter, people: MakePeople, *names: str) -> list[Path]:
    """Two organisations' files; each numbers its own 400 people from 1."""
    records = [{**record, "token": str(1 + place)} for place, record in enumerate(people(400))]
    return [shelter.write(f"{name}.csv", records) for name in names]


def _facts(shelter: Shelter, out: str) -> Any:
    return json.loads((shelter.folder / out / "manifest.json").read_text(encoding="utf-8"))["facts"]


def test_several_organisations_must_say_what_equal_tokens_mean(shelter: Shelter, people: MakePeople) -> None:
    files = _numbered(shelter, people, "north", "south")
    arguments = shelter.release_arguments(*files)
    place = arguments.index("--person-tokens")
    refused = shelter.run(*arguments[:place], *arguments[place + 2 :])
    assert refused.exit_code == 1
    for words in ("shared or separate?", "the same token in two files is the same person", "numbers its own people"):
        assert words in refused.output
    assert "try: add --person-tokens shared or --person-tokens separate" in refused.output
    assert _spent(shelter) == 0


def test_organisations_that_number_their_own_people_merge_nobody(shelter: Shelter, people: MakePeople) -> None:
    files = _numbered(shelter, people, "north", "south")
    for choice, expected in (("shared", 400), ("separate", 800)):
        options = ("--epsilon", "3", "--person-tokens", choice)
        result = shelter.release(*files, out=choice, extra=options)
        assert result.exit_code == 0, result.output
        facts = _facts(shelter, choice)
        assert abs(facts["people"]["estimate"] - expected) < 150
        assert facts["guarantee"]["person_tokens"] == choice
        assert facts["guarantee"]["max_tokens_per_person"] == 2
        assert facts["guarantee"]["nano_rho_per_person"] == 4 * facts["guarantee"]["nano_rho"]
        datasheet = (shelter.folder / choice / "datasheet.md").read_text(encoding="utf-8")
        assert ("counts several times" in datasheet) == (choice == "separate")


def test_one_organisation_is_not_asked_and_states_nothing(shelter: Shelter, people: MakePeople) -> None:
    assert shelter.release(shelter.write("north.csv", people(30))).exit_code == 0
    assert _facts(shelter, "bundle")["guarantee"]["person_tokens"] is None


def test_where_one_row_is_one_person_there_are_no_tokens_to_share(shelter: Shelter, people: MakePeople) -> None:
    files = _numbered(shelter, people, "north", "south")
    rows = ("--epsilon", "1", "--row-is-person")
    refused = shelter.release(*files, extra=(*rows, "--person-tokens", "separate"))
    assert refused.exit_code == 1
    assert "no person token is read" in refused.output
    assert _spent(shelter) == 0
    accepted = shelter.release(*files, extra=rows)
    assert accepted.exit_code == 0, accepted.output
    assert _facts(shelter, "bundle")["guarantee"]["person_tokens"] is None


@pytest.mark.parametrize("first", ["shared", "separate"])
def test_the_other_meaning_is_another_request(shelter: Shelter, people: MakePeople, first: str) -> None:
    files = _numbered(shelter, people, "north", "south")
    other = {"shared": "separate", "separate": "shared"}[first]
    request = ("--epsilon", "1", "--idempotency-key", "request-0001")
    assert shelter.release(*files, extra=(*request, "--person-tokens", first)).exit_code == 0
    spent = _spent(shelter)
    refused = shelter.release(*files, extra=(*request, "--person-tokens", other))
    assert refused.exit_code == 1
    assert _spent(shelter) == spent
