"""A yes from before the last no does not count: an old form that is sent again gives nothing back that was withdrawn."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.round_table import RoundTable, laid_table

from casehaven.people import People
from casehaven.people.errors import ConsentFactError

WHY = "a visit"


def days_ago(days: int) -> date:
    """Return a day of the past as it is now: tests may begin before midnight and go on after it."""
    return datetime.now(UTC).date() - timedelta(days=days)


@pytest.fixture
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """The people of north/cases, of this test's own."""
    table: RoundTable = laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("consent") / "table")
    return People(table.bench.vault, table.bench.vault.dataset("north", "cases"))


def test_a_yes_from_before_the_last_no_is_refused_and_changes_nothing(people: People) -> None:
    people.record_consent("n0001", "pooled_statistics", given=False, reason=WHY, dated=days_ago(2))
    with pytest.raises(ConsentFactError, match="later day"):
        people.record_consent("n0001", "pooled_statistics", given=True, reason=WHY, language="en", dated=days_ago(3))
    latest = people.read("n0001", reason=WHY).consent.latest("pooled_statistics")
    assert latest is not None and not latest.given
    for purpose in ("own_statistics", "pooled_statistics"):  # another purpose, or a later yes
        day = days_ago(3 if purpose == "own_statistics" else 1)
        made = people.record_consent("n0001", purpose, given=True, reason=WHY, language="en", dated=day)
        assert made.given


def test_an_older_no_is_taken_at_any_time(people: People) -> None:
    people.record_consent("n0002", "care", given=True, reason=WHY, language="en", dated=days_ago(0))
    assert not people.record_consent("n0002", "care", given=False, reason=WHY, dated=days_ago(9)).given
