"""A record is known again: by the key that an earlier version took, and when its person is written in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from casehaven.intake.errors import RecordOfAnotherError
from casehaven.intake.known_people import known_otherwise
from casehaven.intake.record_keys import held_by_others
from casehaven.intake.source import SourceColumn, Tool
from casehaven.intake.uploads import take_in
from casehaven.people.consent import consent_history
from casehaven.vault import models
from casehaven.vault.snapshots import snapshot
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.service.intake.conftest import MakeSource, Registry

KOBO = [
    SourceColumn(name="_id", role="tool"), SourceColumn(name="_uuid", role="tool"), "personToken", "Gender",
    "consentSyntheticRelease",
]  # fmt: skip
ROWS = [["1", "u1", "p1", "Femme", "yes"], ["2", "u2", "p2", "Homme", "yes"], ["3", "u3", "p3", "Homme", "yes"]]


def numbers(registry: Registry) -> tuple[int, int, int]:
    """Records that the vault holds, those that are corrected, and record keys."""
    record, key = models.record, models.record_key
    with registry.open().database.transaction(writes=False) as connection:
        whole = connection.scalar(select(func.count()).select_from(record)) or 0
        replaced = select(func.count()).select_from(record).where(record.c.superseded_by.is_not(None))
        keys = connection.scalar(select(func.count()).select_from(key)) or 0
        return whole, connection.scalar(replaced) or 0, keys


def counted(registry: Registry) -> int:
    """How many people a release would count."""
    found = snapshot(registry.open(), [registry.dataset], "synthetic_release")
    return found.open(Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))).people


def test_records_that_an_earlier_version_knew_by_their_uuid_come_in_no_second_time(
    make_source: MakeSource, registry: Registry
) -> None:
    registry.take_in(make_source(KOBO, ROWS, tool=Tool.KOBO, record_key="_uuid"))
    later = make_source(KOBO, [*ROWS, ["4", "u4", "p4", "Femme", "yes"]], tool=Tool.KOBO, record_key="_id")
    upload = registry.take_in(later)
    assert (upload.records, upload.corrected, upload.unchanged) == (1, 0, 3)
    assert numbers(registry) == (4, 0, 7), "the three are known by both keys from now on"
    edited = [["1", "another", "p1", "Homme", "yes"], *ROWS[1:]]  # an edit changes the uuid
    again = registry.take_in(make_source(KOBO, edited, tool=Tool.KOBO, record_key="_id"))
    assert (again.records, again.corrected, again.unchanged) == (1, 1, 2)
    assert [cells["prs_Gender"] for cells in registry.cells("p1")] == ["Masculine"]


def test_a_record_that_changed_since_is_a_correction_of_the_one_known_by_its_uuid(
    make_source: MakeSource, registry: Registry
) -> None:
    registry.take_in(make_source(KOBO, ROWS, tool=Tool.KOBO, record_key="_uuid"))
    changed = [["1", "u1", "p1", "Homme", "yes"], *ROWS[1:]]
    upload = registry.take_in(make_source(KOBO, changed, tool=Tool.KOBO, record_key="_id"))
    assert (upload.records, upload.corrected, upload.unchanged) == (1, 1, 2)
    assert numbers(registry)[:2] == (4, 1)
    same = registry.take_in(make_source(KOBO, changed[::-1], tool=Tool.KOBO, record_key="_id"))
    assert (same.records, same.unchanged) == (0, 3)


def test_the_uuid_of_another_persons_record_is_not_taken_for_theirs(
    make_source: MakeSource, registry: Registry
) -> None:
    registry.take_in(make_source(KOBO, ROWS, tool=Tool.KOBO, record_key="_uuid"))
    other = make_source(KOBO, [["9", "u1", "p9", "Femme", "yes"]], tool=Tool.KOBO, record_key="_id")
    assert held_by_others(registry.open(), registry.dataset, registry.mapped(other)) == [0]
    with pytest.raises(RecordOfAnotherError):
        registry.take_in(other)


def test_whoever_is_said_to_be_the_same_person_keeps_every_refusal(make_source: MakeSource, registry: Registry) -> None:
    header = ["_uuid", "personToken", "Gender", "consentSyntheticRelease", "consentPooledStatistics"]
    registry.take_in(make_source(header, [["u1", "ana", "Femme", "yes", "yes"]], record_key="_uuid"))
    registry.take_in(make_source(header, [["u1", "ana", "Femme", "no", "yes"]], record_key="_uuid"))
    assert counted(registry) == 0
    renamed = make_source(header[:4], [["u1", "ana maria", "Femme", "yes"]], record_key="_uuid")
    with pytest.raises(RecordOfAnotherError):
        registry.take_in(renamed)
    upload = take_in(registry.open(), registry.dataset, registry.mapped(renamed), same_people=True)
    assert (upload.records, upload.corrected) == (1, 1)
    assert counted(registry) == 0, "the yes of the new token does not undo the withdrawal"
    person = registry.open().person_by_token(registry.dataset, "ana maria")
    assert person is not None
    with registry.open().database.transaction(writes=False) as connection:
        latest = {v.purpose: v.given for v in consent_history(connection, person.person_id).versions}
    assert latest == {"synthetic_release": False}, "what was agreed is not taken over, what was refused is"
    assert numbers(registry)[:2] == (3, 2), "the earlier record counts no more"


def test_the_dry_run_can_say_who_may_be_there_under_another_token(make_source: MakeSource, registry: Registry) -> None:
    header = ["personToken", "prs_FirstName", "prs_SecondName", "prs_Birthdate", "Gender"]
    ana = ["Ana", "Silva", "1999-03-04", "Femme"]
    registry.take_in(make_source(header, [["t1", *ana], ["t2", "Rui", "Silva", "1999-03-04", "Homme"]]))
    again = [["t9", "SILVA", "Ana", "1999-03-04", "Femme"], ["t1", *ana], ["t3", "Eva", "Silva", "1999-03-04", "Femme"]]
    file = registry.mapped(make_source(header, again))
    assert known_otherwise(registry.open(), registry.dataset, file) == [0], (
        "not whoever has their own token, not others"
    )
    without = registry.mapped(make_source(["personToken", "Gender"], [["t9", "Femme"]]))
    assert known_otherwise(registry.open(), registry.dataset, without) == []
