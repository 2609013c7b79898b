"""Files under a mapping into the vault: the same again adds nothing, and a changed record stands for the earlier one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from casehaven.intake.errors import RecordOfAnotherError
from casehaven.intake.intake_mapping import AttributeMapping
from casehaven.intake.proposal import propose
from casehaven.intake.record_keys import held_by_others
from casehaven.intake.remembered import remember, remembered
from casehaven.intake.uploads import take_in
from casehaven.people import People
from casehaven.vault import models
from casehaven.vault.snapshots import snapshot
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.service.intake.conftest import MakeSource, Registry

HEADER = ["_uuid", "personToken", "Gender", "consentSyntheticRelease", "notes"]
ROWS = [["u1", "p1", "Femme", "yes", ""], ["u2", "p1", "Femme", "yes", "x"], ["u3", "p2", "Homme", "yes", ""]]


def people(registry: Registry) -> int:
    """How many people a release would count."""
    found = snapshot(registry.open(), [registry.dataset], "synthetic_release")
    return found.open(Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))).people


def rows(registry: Registry) -> tuple[int, int]:
    """How many records the vault holds, and how many of them were corrected."""
    record = models.record
    with registry.open().database.transaction(writes=False) as connection:
        whole = connection.scalar(select(func.count()).select_from(record)) or 0
        replaced = select(func.count()).select_from(record).where(record.c.superseded_by.is_not(None))
        return whole, connection.scalar(replaced) or 0


@pytest.mark.parametrize("key", ["_uuid", None])
def test_the_same_file_twice_adds_nothing(make_source: MakeSource, registry: Registry, key: str | None) -> None:
    held = make_source(HEADER, ROWS, record_key=key)
    first = registry.take_in(held)
    assert (first.repeated, first.records) == (False, 3)
    again = registry.take_in(held)
    assert (again.repeated, again.upload_id, registry.dataset.version) == (True, first.upload_id, 1)
    assert rows(registry) == (3, 0)


@pytest.mark.parametrize("key", ["_uuid", None])
def test_the_same_rows_in_another_file_add_nothing(
    make_source: MakeSource, registry: Registry, key: str | None
) -> None:
    registry.take_in(make_source(HEADER, ROWS, record_key=key))
    other = registry.take_in(make_source(HEADER, [*reversed(ROWS), ["u4", "p3", "Homme", "yes", ""]], record_key=key))
    assert (other.repeated, other.records, other.unchanged) == (False, 1, 3)
    assert rows(registry) == (4, 0)
    version = registry.dataset.version
    nothing = registry.take_in(make_source(HEADER, [ROWS[1]], record_key=key))
    assert (nothing.records, nothing.unchanged, registry.dataset.version) == (0, 1, version)


def test_a_correction_stands_for_the_earlier_record_and_the_history_is_kept(
    make_source: MakeSource, registry: Registry
) -> None:
    registry.take_in(make_source(HEADER, ROWS, record_key="_uuid"))
    corrected = [ROWS[0], ["u2", "p1", "Homme", "yes", "x"], ROWS[2]]
    upload = registry.take_in(make_source(HEADER, corrected, record_key="_uuid"))
    assert (upload.records, upload.corrected, upload.unchanged) == (1, 1, 2)
    assert rows(registry) == (4, 1)
    assert [cells["prs_Gender"] for cells in registry.cells("p1")] == ["Feminine", "Masculine"]
    assert len(registry.cells("p1", history=True)) == 3
    third = [["u2", "p1", "Femme", "yes", "back again"]]
    assert registry.take_in(make_source(HEADER, third, record_key="_uuid")).corrected == 1
    assert [cells["prs_Gender"] for cells in registry.cells("p1")] == ["Feminine", "Feminine"]
    assert people(registry) == 2


def test_a_correction_of_the_file_stands_for_one_that_was_made_in_the_vault(
    make_source: MakeSource, registry: Registry
) -> None:
    registry.take_in(make_source(HEADER, ROWS[2:], record_key="_uuid"))
    vault = registry.open()
    People(vault, registry.dataset).correct("p2", {"ageAtRegistration": "22"}, reason="told in the interview")
    same = registry.take_in(make_source([*HEADER, "new"], [[*ROWS[2], ""]], record_key="_uuid"))
    assert (same.records, same.unchanged) == (0, 1)
    assert registry.cells("p2")[0]["ageAtRegistration"] == "21-23", "the same row undoes no correction"
    registry.take_in(make_source(HEADER, [["u3", "p2", "Femme", "yes", ""]], record_key="_uuid"))
    (counted,) = registry.cells("p2")
    assert counted["prs_Gender"] == "Feminine" and "ageAtRegistration" not in counted
    assert rows(registry) == (3, 2)


@pytest.mark.parametrize("why", ["not a victim", "no record of theirs", "twice"])
def test_a_refusal_of_a_known_person_counts_although_no_row_of_theirs_is_taken_in(
    make_source: MakeSource, registry: Registry, why: str
) -> None:
    header = ["_uuid", "personToken", "vic_TraffickingStatus", "Gender", "consentSyntheticRelease"]
    victim, none = "VictimOfTrafficking", "Not a victim of trafficking"
    registry.take_in(
        make_source(header, [[f"u{n}", f"p{n}", victim, "Femme", "yes"] for n in (1, 2, 3)], record_key="_uuid")
    )
    assert people(registry) == 3
    second = {
        "not a victim": [["u4", " p1 ", none, "Femme", "no"], ["u5", "p9", none, "Femme", "no"]],
        "no record of theirs": [["u4", "p1", none, "", "withdrawn"], ["u2", "p2", victim, "Femme", "yes"]],
        "twice": [["u7", "p2", victim, "Femme", "yes"], ["u7", "p1", victim, "Femme", "no"]],
    }[why]
    before = registry.dataset.version
    registry.take_in(make_source(header, second, record_key="_uuid"))
    assert (people(registry), registry.dataset.version) == (2, before + 1)
    assert registry.open().person_by_token(registry.dataset, "p9") is None, "nothing is written of who is not known"
    registry.take_in(make_source(header, [["u8", "p1", victim, "Femme", "yes"]], record_key="_uuid"))
    assert people(registry) == 2, "and a later file does not bring the consent back"


def test_a_file_with_a_record_key_that_another_person_holds_is_refused_whole(
    make_source: MakeSource, registry: Registry
) -> None:
    registry.take_in(make_source(HEADER, ROWS, record_key="_uuid"))
    registry.take_in(make_source(HEADER, [["u3", "p2", "Homme", "no", ""]], record_key="_uuid"))
    before = (rows(registry), people(registry), registry.dataset.version)
    others = make_source(
        HEADER,
        [["u8", "p8", "Femme", "yes", ""], ["u1", "p1", "Homme", "yes", ""], ["u3", "p9", "Homme", "yes", ""]],
        record_key="_uuid",
    )
    assert held_by_others(registry.open(), registry.dataset, registry.mapped(others)) == [2]
    with pytest.raises(RecordOfAnotherError, match="held by other people"):
        registry.take_in(others)
    assert (rows(registry), people(registry), registry.dataset.version) == before
    for token in ("p8", "p9"):
        assert registry.open().person_by_token(registry.dataset, token) is None
    assert [cells["prs_Gender"] for cells in registry.cells("p2")] == ["Masculine"], "nothing is superseded"
    own = registry.mapped(others)
    counted = replace(own.mapping, record_key=None)  # --record-key none: the file counts its records for itself
    assert held_by_others(registry.open(), registry.dataset, replace(own, mapping=counted)) == []
    assert registry.take_in(others, mapping=counted).records == 3


def test_a_person_who_is_written_in_another_way_brings_no_withdrawn_consent_back(
    make_source: MakeSource, registry: Registry
) -> None:
    header = ["_uuid", "who", "Gender", "consentSyntheticRelease"]
    person = AttributeMapping(to="personToken", source=("who",), how="copy", status="decided")

    def taken(who: str, consent: str) -> None:
        held = make_source(header, [["u7", who, "Femme", consent]], record_key="_uuid")
        mapping = propose(held, registry.dataset.schema).accepted()
        rest = tuple(entry for entry in mapping.attributes if entry.to != "personToken")
        registry.take_in(held, mapping=replace(mapping, attributes=(person, *rest)))

    taken("Ana, no birth date", "yes")
    taken("Ana, no birth date", "no")
    with pytest.raises(RecordOfAnotherError):
        taken("Ana, born 1990", "yes")
    assert people(registry) == 0


def test_a_corrected_mapping_corrects_the_records_of_a_file_that_is_there(
    make_source: MakeSource, registry: Registry
) -> None:
    held = make_source(HEADER[1:], [["p1", "weiblich", "yes", ""]])
    mapping = propose(held, registry.dataset.schema).accepted()
    registry.take_in(held, mapping=mapping)
    assert "prs_Gender" not in registry.cells("p1")[0]
    entries = [
        replace(entry, codes={"weiblich": "Feminine"}) if entry.to == "prs_Gender" else entry
        for entry in mapping.attributes
    ]
    better = replace(mapping, attributes=tuple(entries))
    assert registry.take_in(held, mapping=better).repeated, "the very file is there"
    upload = registry.take_in(held, mapping=better, again=True)
    assert (upload.corrected, upload.records) == (1, 1)
    assert [cells["prs_Gender"] for cells in registry.cells("p1")] == ["Feminine"]
    assert registry.take_in(held, mapping=better, again=True).repeated


def test_a_file_of_the_same_rows_undoes_no_withdrawal(make_source: MakeSource, registry: Registry) -> None:
    registry.take_in(make_source(HEADER, ROWS, record_key="_uuid"))
    assert people(registry) == 2
    registry.take_in(make_source(HEADER, [["u3", "p2", "Homme", "no", ""]], record_key="_uuid"))
    assert people(registry) == 1
    registry.take_in(make_source(HEADER, [["u3", "p2", "Homme", "yes", ""]], record_key="_uuid"))
    assert people(registry) == 1, "a file never agrees for somebody who had refused"


def test_when_a_person_is_erased_their_record_keys_go_too(make_source: MakeSource, registry: Registry) -> None:
    registry.take_in(make_source(HEADER, ROWS, record_key="_uuid"))
    vault = registry.open()
    person = vault.person_by_token(registry.dataset, "p1")
    assert person is not None
    with vault.locked(registry.dataset) as held:
        vault.destroy_person(held, person)
    with vault.database.transaction(writes=False) as connection:
        left = connection.scalar(select(func.count()).select_from(models.record_key))
    assert left == 1
    again = registry.take_in(make_source(HEADER, [*ROWS, ["u9", "p9", "Homme", "", ""]], record_key="_uuid"))
    assert again.records == 3, (
        "a key that nobody holds is free, and whoever still has the file brings the person back: erase at the source as well"
    )


def test_what_the_database_holds_of_a_record_key_tells_nothing(make_source: MakeSource, registry: Registry) -> None:
    registry.open().add_dataset("south", "cases", registry.dataset.schema, 100)
    held = make_source(HEADER, ROWS, record_key="_uuid")
    registry.take_in(held)
    vault = registry.open()
    take_in(vault, vault.dataset("south", "cases"), registry.mapped(held))
    table = models.record_key.c
    with vault.database.transaction(writes=False) as connection:
        found = connection.execute(select(table.key_index, table.content)).all()
    assert len({bytes(index) for index, _ in found}) == len({bytes(content) for _, content in found}) == 6


# --- mappings that are remembered ----------------------------------------------------------------------------------------------


def test_a_mapping_is_remembered_for_the_same_columns_in_any_order(make_source: MakeSource, registry: Registry) -> None:
    held = make_source(HEADER, ROWS, record_key="_uuid")
    vault, dataset = registry.open(), registry.dataset
    mapping = propose(held, dataset.schema).accepted()
    assert remembered(vault, dataset, HEADER) is None
    remember(vault, dataset, mapping, HEADER)
    assert remembered(registry.open(), dataset, reversed(HEADER)) == mapping
    assert remembered(vault, dataset, HEADER[1:]) is None
    better = replace(mapping, tool="kobo")
    remember(vault, dataset, better, HEADER)
    assert remembered(vault, dataset, HEADER) == better
    with vault.database.transaction(writes=False) as connection:
        (sealed,) = connection.scalars(select(models.intake_mapping.c.sealed)).all()
    assert b"personToken" not in bytes(sealed)


def test_a_guard_against_formulas_is_no_part_of_a_token(
    make_source: MakeSource, registry: Registry, tmp_path: Path
) -> None:
    schema = registry.dataset.schema
    names = ["personToken", *(attribute.name for attribute in schema.analysis)]
    plain = tmp_path / "plain.csv"
    plain.write_text(",".join(names) + "\n" + "'-1" + "," * len(schema.analysis) + "\n", encoding="utf-8")
    take_in(registry.open(), registry.dataset, plain)
    registry.take_in(make_source(["personToken", "Gender"], [["-1", "Femme"]]))
    assert len(registry.cells("-1")) == 2


def test_an_interrupted_intake_leaves_nothing_and_is_simply_run_again(
    make_source: MakeSource, registry: Registry
) -> None:
    file = registry.mapped(make_source(HEADER, ROWS, record_key="_uuid"))

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_in(registry.open(), registry.dataset, file, check=interrupted)
    assert (rows(registry), registry.dataset.version) == ((0, 0), 0)
    assert take_in(registry.open(), registry.dataset, file).records == 3
