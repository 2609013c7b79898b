"""Attacks on releases: by whoever writes the service store, by old approvals, and by cells that a spreadsheet would run."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import insert, select
from tests.publishing import Pooled, PressRoom, draft_document, drawn_room, published_room, shared_room

from casehaven.agreements.errors import AgreementSignatureError
from casehaven.core.audit_models import audit
from casehaven.drafts import models
from casehaven.drafts.document import DraftDocument
from casehaven.drafts.errors import ApprovalsMissingError, DraftChangedError, DraftDocumentError, DraftOverError
from casehaven.drafts.service import add_draft
from casehaven.organisations import events
from casehaven.organisations.errors import NotFoundError
from casehaven.registry.downloads import make_downloads
from casehaven.registry.errors import RegistryLogError
from casehaven.worker import releases
from casesynth.manifest import ChangedFileError
from casesynth.tables import write_frame


@pytest.fixture
def room(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PressRoom:
    """A room in which nothing was drawn."""
    return shared_room(tmp_path_factory.getbasetemp()).again(tmp_path / "room")


@pytest.fixture
def published(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Pooled:
    """A room in which a release was published."""
    return published_room(tmp_path_factory.getbasetemp()).again(tmp_path / "published")


# --- whoever writes the service store ---


def test_approvals_that_stand_in_the_store_alone_approve_nothing(room: PressRoom) -> None:
    draft = room.draft()
    with room.table.door.store.writing() as connection:
        for part, handle in (("steward", "nora"), ("privacy_officer", "otto")):
            connection.execute(
                insert(models.release_approval).values(
                    digest=draft.document.digest,
                    part=part,
                    organisation="north",
                    handle=handle,
                    approved_at=room.now,
                    method="second_factor",
                )
            )
    assert room.stored(draft.document.digest).state(room.now) == "approved"  # so the api would say
    with pytest.raises(ApprovalsMissingError):
        releases.run(room.running(draft))
    assert room.spent() == 0


def test_an_approval_that_was_copied_in_the_audit_log_is_none(room: PressRoom) -> None:
    """Somebody writes the vault's database and has no key: an entry about one draft becomes an entry about another."""
    approved, other = room.approve_all(room.draft()), room.draft()
    with room.table.bench.vault.writing() as connection:
        found = connection.execute(select(audit).order_by(audit.c.position)).mappings().all()
        copied = [dict(row) for row in found if str(row["object_id"]).startswith(approved.document.digest)]
        for place, row in enumerate(copied, start=1):
            row["position"] = found[-1]["position"] + place
            row["object_id"] = row["object_id"].replace(approved.document.digest, other.document.digest)
            connection.execute(insert(audit).values(**row))
    assert len(copied) == 2
    with pytest.raises(ApprovalsMissingError):
        releases.run(room.running(other))
    assert room.spent() == 0


def test_whoever_drafts_without_contributing_is_shown_no_contributor(room: PressRoom) -> None:
    esra = room.table.stewards["east"]
    agreement = room.agree(readers=["east"], askers={"organisations": ["east"], "members": []})
    draft = room.draft(agreement, by=esra, organisation="east")
    room.approve(draft, room.table.stewards["south"])
    seen = room.get(f"/v1/release-drafts/{draft.document.draft}", person=esra)
    assert seen.status_code == 200, seen.text
    for word in ("north", "south", "nora", "sami", str(draft.document.fields["nonce"])):
        assert word not in seen.text, word
    assert seen.json()["complete"] is False and seen.json()["may_approve_as"] == ["privacy_officer"]
    whole = room.get(f"/v1/release-drafts/{draft.document.draft}", person=room.table.stewards["north"]).json()
    assert whole["document"]["datasets"] == ["north/cases", "south/cases"]
    assert [each["organisation"] for each in whole["approvals"]] == ["south"]
    for stranger in (room.table.asker,):
        assert room.get(f"/v1/release-drafts/{draft.document.draft}", person=stranger).status_code == 403


def test_an_approved_document_that_was_rewritten_is_not_there(room: PressRoom) -> None:
    draft = room.approve_all(room.draft())
    fields = {**draft.document.fields, "epsilon": 50.0}
    changed = DraftDocument(fields=fields).to_bytes().decode()
    room.table.execute("UPDATE release_draft SET document = :changed", changed=changed)
    with pytest.raises(NotFoundError):
        releases.run(room.running(draft))
    assert room.spent() == 0


def test_a_document_that_the_worker_never_made_can_be_approved_and_is_drawn_only_where_it_is_true(
    room: PressRoom,
) -> None:
    true = room.draft().document
    forged = DraftDocument(fields={**true.fields, "draft": "f" * 32, "nano_rho": 1, "expected": {}})
    with room.table.door.store.writing() as connection:
        add_draft(connection, forged, room.now)
    found = room.approve_all(room.stored(forged.digest))
    with pytest.raises(DraftChangedError):
        releases.run(room.running(found))
    assert room.spent() == 0


def test_a_withdrawal_that_was_deleted_from_the_store_still_holds(room: PressRoom) -> None:
    draft = room.approve_all(room.draft())
    room.withdraw_draft(draft, room.table.stewards["north"])
    room.table.move_events()
    room.table.execute("DELETE FROM release_draft_end")
    with pytest.raises(DraftOverError):
        releases.run(room.running(draft))


def test_an_approval_is_of_no_use_for_an_agreement_nor_the_other_way_round(room: PressRoom) -> None:
    draft, nora = room.draft(), room.table.stewards["north"]
    document = room.table.propose()
    approval = room.approval(draft, nora).request["assertion"]
    with pytest.raises(AgreementSignatureError):
        room.table.sign(document, "north", assertion=approval)
    signature = room.table.assertion(document.digest, "north")
    with pytest.raises(AgreementSignatureError):
        room.approve(draft, nora, assertion=signature)


def test_another_draft_of_the_request_draws_nothing(room: PressRoom) -> None:
    approved, other = room.approve_all(room.draft()), room.draft()
    for draft, digest in (
        (other.document.draft, approved.document.digest),
        (approved.document.draft, other.document.digest),
        (approved.document.draft, "0" * 64),
    ):
        with pytest.raises((NotFoundError, ApprovalsMissingError)):
            releases.run(room.running(approved, draft=draft, digest=digest))
    assert room.spent() == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"format": "casehaven-release-draft/2"},
        {"draft": "../x"},
        {"nano_rho": 0},
        {"nano_rho": True},
        {"datasets": []},
        {"datasets": ["north"]},
        {"agreement": "a" * 32, "credit": "Shelter North"},
        {"more": 1},
    ],
)
def test_a_document_of_another_form_is_none(fault: dict[str, Any]) -> None:
    with pytest.raises(DraftDocumentError):
        draft_document("north/cases", **fault)


@pytest.mark.parametrize("what", ["entry", "signature", "previous", "one more", "last"])
def test_a_log_that_was_touched_in_the_store_is_added_to_no_more(published: Pooled, what: str) -> None:
    room = published.room
    statement = {
        "entry": "UPDATE registry_log SET entry = replace(entry, 'threatened', 'threatening')",
        "signature": "UPDATE registry_log SET signature = 'AAAA'",
        "previous": "UPDATE registry_log SET entry = replace(entry, :old, :new)",
        "one more": "INSERT INTO registry_log SELECT 1, replace(entry, :old, :new), public_key, signature FROM registry_log",
        "last": "DELETE FROM registry_log",
    }[what]
    old, new = ('"previous":"0', '"previous":"1') if what == "previous" else ('"position":0', '"position":1')
    room.table.execute(statement, **({"old": old, "new": new} if ":old" in statement else {}))
    with pytest.raises(RegistryLogError):
        room.withdraw(str(published.record))
    assert room.get(f"/v1/registry/{published.record}").json()["state"] == "published"


def test_a_bundle_that_was_changed_on_the_disk_is_not_published(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = drawn_room(tmp_path_factory.getbasetemp()).again(tmp_path / "drawn")
    with (drawn.room.table.door.store.releases / drawn.release / "synthetic.csv").open("ab") as file:
        file.write(b"one more row\r\n")
    with pytest.raises(ChangedFileError):
        drawn.room.decide(drawn.release)
    assert drawn.room.get("/v1/registry").json()["items"] == []


def test_the_row_of_a_release_names_no_other_draft_to_publish(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever writes the store puts a draft that nobody approved in the place of the one that the release was drawn from."""
    drawn = drawn_room(tmp_path_factory.getbasetemp()).again(tmp_path / "drawn")
    room, document = drawn.room, drawn.draft.document
    other = DraftDocument(fields={**document.fields, "draft": "f" * 32, "changelog": "what nobody approved"})
    with room.table.door.store.writing() as connection:
        add_draft(connection, other, room.now)
    room.table.execute(
        "UPDATE release SET document = replace(document, :old, :new)", old=document.digest, new=other.digest
    )
    record = room.decide(drawn.release).result["record"]
    assert room.get(f"/v1/registry/{record}").json()["changelog"] == "the first one"


def test_a_bundle_in_the_place_of_another_is_not_published(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = drawn_room(tmp_path_factory.getbasetemp()).again(tmp_path / "drawn")
    room, table = drawn.room, drawn.room.table
    other = room.approve_all(room.draft())  # approved, and never drawn
    folder, place = table.door.store.releases / drawn.release, table.door.store.releases / other.document.release
    shutil.copytree(folder, place)
    table.execute(
        "INSERT INTO release (release_id, organisation, state, document, released_at) SELECT :new, organisation, 'drawn', document, released_at FROM release",
        new=other.document.release,
    )
    with pytest.raises(NotFoundError):
        room.decide(other.document.release)
    assert room.get("/v1/registry").json()["items"] == []
    charge = json.loads((folder / "manifest.json").read_bytes())["facts"]["charge"]
    known = table.bench.ledger.release(charge)
    assert known is not None and known.decision is None


def test_events_that_the_api_makes_up_neither_approve_nor_stop_the_registry(published: Pooled) -> None:
    room, draft = published.room, published.room.draft()
    for action, kind, name in (
        ("release.approve", "release-draft", f"{draft.document.digest}:steward"),
        ("release.approve", "release-draft", f"{draft.document.digest}:privacy_officer"),
        ("registry.append", "registry-log", f"7:{'0' * 64}"),
    ):
        with room.table.door.store.writing() as connection:
            events.record(
                connection,
                room.now,
                actor="nora",
                action=action,
                organisation="north",
                object_kind=kind,
                object_id=name,
            )
    room.table.move_events()
    with pytest.raises(ApprovalsMissingError):
        releases.run(room.running(draft))
    room.withdraw(str(published.record))
    assert room.get(f"/v1/registry/{published.record}").json()["state"] == "withdrawn"


# --- cells ---

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")', "http://example.org", "plain", "", "42"]


def test_no_cell_of_a_download_is_a_formula_or_a_link(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    frame = pd.DataFrame({"year": FORMULAS, "=evil": FORMULAS})
    for stem in ("synthetic", "aggregates"):
        write_frame(frame, bundle, stem)
    made = make_downloads(bundle, tmp_path / "made", [("title", "=1+1")], lambda: None)
    assert {each.name for each in made} == {path.name for path in (tmp_path / "made").iterdir()}
    for each in made:
        path = tmp_path / "made" / each.name
        if each.format == "csv":
            with path.open(newline="", encoding="utf-8") as file:
                cells = [cell for row in csv.reader(file) for cell in row]
            assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))], each.name
        if each.format == "xlsx":
            with zipfile.ZipFile(path) as packed:
                for name in packed.namelist():
                    content = packed.read(name)
                    assert b"<f>" not in content and b"<hyperlink " not in content.lower(), (each.name, name)
        if each.format == "json":
            assert len(json.loads(path.read_text(encoding="utf-8"))) == len(FORMULAS) + 2 * each.hxl


def test_a_table_too_large_for_a_workbook_has_none_and_says_so(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for stem, rows in (("synthetic", 40), ("aggregates", 5)):
        write_frame(pd.DataFrame({"gender": ["woman"] * rows}), bundle, stem)
    made = make_downloads(bundle, tmp_path / "made", [], lambda: None, xlsx_cells=20)
    assert [each.name for each in made if each.format == "xlsx"] == ["aggregates.xlsx", "aggregates.hxl.xlsx"]
    assert not (tmp_path / "made" / "records.xlsx").exists()
