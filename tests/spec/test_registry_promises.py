"""What the registry promises: nothing is drawn that was not approved by everybody who has to, what is published can be cited and checked, and nothing disappears."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.front_door import Person
from tests.publishing import Pooled, PressRoom, drawn_room, published_room, shared_room

from casehaven.agreements.errors import AgreementSignatureError
from casehaven.cli import main
from casehaven.core.request_errors import BodyError
from casehaven.drafts.document import DRAFT_SECONDS, Part
from casehaven.drafts.errors import (
    ApprovalError,
    ApprovalsMissingError,
    DraftChangedError,
    DraftOverError,
    DrawnAlreadyError,
    SamePersonError,
)
from casehaven.drafts.service import StoredDraft
from casehaven.ledger import DecisionError
from casehaven.ledger.public import in_words, public_statement
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.roles import Role
from casehaven.registry import rows
from casehaven.registry.errors import DecisionExpiredError, PublishedAlreadyError, RegistryLogError
from casehaven.registry.identifiers import concept_name
from casehaven.registry.log import verify_log
from casehaven.worker import drafts, releases
from casesynth.manifest import verify_bundle
from casesynth.signing import SigningKey, TrustStore


@pytest.fixture
def room(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PressRoom:
    """A room in which nothing was drawn."""
    return shared_room(tmp_path_factory.getbasetemp()).again(tmp_path / "room")


@pytest.fixture
def drawn(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Pooled:
    """A copy of a room in which a release under an agreement was drawn."""
    return drawn_room(tmp_path_factory.getbasetemp()).again(tmp_path / "drawn")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[PressRoom, str]:
    """A room in which it was published, and its record; nobody changes it."""
    found = published_room(tmp_path_factory.getbasetemp())
    return found.room, str(found.record)


@pytest.fixture
def published(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PressRoom, str, str]:
    """A copy of that room, the agreement and the record."""
    found = published_room(tmp_path_factory.getbasetemp()).again(tmp_path / "published")
    return found.room, found.agreement, str(found.record)


def refused_and_free(
    room: PressRoom, found: StoredDraft, expected: type[Exception] | tuple[type[Exception], ...]
) -> None:
    """Show that a draft is not drawn, and that nobody's balance changed."""
    before = [room.spent(f"{name}/cases") for name in ("east", "north", "south")]
    with pytest.raises(expected):
        releases.run(room.running(found))
    assert [room.spent(f"{name}/cases") for name in ("east", "north", "south")] == before


# --- nothing is charged before everybody approved ---


def test_a_draft_says_what_is_drawn_what_it_costs_and_how_far_off_it_may_be(room: PressRoom) -> None:
    said = room.draft(room.agree(), title="Who is threatened").document.fields
    assert (said["datasets"], said["epsilon"], said["title"]) == (
        ["north/cases", "south/cases"],
        4.0,
        "Who is threatened",
    )
    assert said["nano_rho"] > 0 and said["max_tokens_per_person"] == 2 and said["epsilon_per_person"] > 4.0
    assert [each["length"] for each in said["expected"]["lengths"]] == [1, 2, 3]
    assert all(each["errors"] for each in said["expected"]["lengths"])
    assert said["attributes"] == ["year", "gender", "age", "means"]
    assert said["expires_at"] - said["drafted_at"] == 14 * 86_400
    assert room.spent() == 0


def test_nothing_is_charged_until_a_steward_of_each_contributor_and_an_officer_approved(room: PressRoom) -> None:
    draft = room.draft(room.agree())
    steps: list[tuple[Person, Part]] = [
        (room.table.stewards["north"], "steward"),
        (room.officer, "privacy_officer"),
        (room.table.stewards["south"], "steward"),
    ]
    for person, part in steps:
        refused_and_free(room, draft, ApprovalsMissingError)
        room.approve(draft, person, part)
    assert room.stored(draft.document.digest).state(room.now) == "approved"


def test_then_every_dataset_of_the_draft_is_charged_its_price_and_no_other(drawn: Pooled) -> None:
    room = drawn.room
    assert room.spent("north/cases") == room.spent("south/cases") == drawn.draft.document.fields["nano_rho"] > 0
    assert room.spent("east/cases") == 0


def test_one_person_is_never_enough(room: PressRoom) -> None:
    nora = room.table.stewards["north"]  # steward and privacy officer
    draft = room.draft()
    room.approve(draft, nora)
    with pytest.raises(SamePersonError):
        room.approve(draft, nora, "privacy_officer")
    refused_and_free(room, draft, ApprovalsMissingError)


def test_nobody_else_approves(room: PressRoom) -> None:
    draft = room.draft(room.agree())
    lab, east, south = room.table.asker, room.table.stewards["east"], room.table.stewards["south"]
    for stranger in (lab, east):
        with pytest.raises(NotFoundError):
            room.approve(draft, stranger)
    with pytest.raises(ApprovalError):  # the officer is the drafting organisation's, or the deployment's
        room.approve(draft, south, "privacy_officer")
    with pytest.raises(ApprovalError):
        room.approve(draft, room.officer, "steward")


def test_whoever_has_a_passkey_approves_with_it_and_for_this_draft_alone(room: PressRoom) -> None:
    nora = room.table.stewards["north"]
    draft, other = room.draft(), room.draft()
    with pytest.raises(ApprovalError):
        room.approve(draft, nora, assertion=None)
    elsewhere = room.approval(other, nora).request["assertion"]
    with pytest.raises(AgreementSignatureError):
        room.approve(draft, nora, assertion=elsewhere)
    as_officer = room.approval(draft, nora, "privacy_officer").request["assertion"]
    with pytest.raises(AgreementSignatureError):
        room.approve(draft, nora, assertion=as_officer)


def test_a_change_of_the_draft_voids_every_approval(room: PressRoom) -> None:
    first = room.approve_all(room.draft())
    second = room.draft(draft=first.document.draft, title="Another title")
    assert (second.document.draft, second.document.number) == (first.document.draft, 2)
    assert room.stored(first.document.digest).state(room.now) == "replaced"
    refused_and_free(room, first, DraftOverError)
    refused_and_free(room, second, ApprovalsMissingError)
    with pytest.raises(DraftOverError):
        room.approve(second, room.table.stewards["north"], digest=first.document.digest)


def test_what_is_drawn_is_what_was_approved_or_nothing(room: PressRoom) -> None:
    agreement = room.agree()
    draft = room.approve_all(room.draft(agreement))
    again = room.agree(agreement=agreement, budget_nano_rho=10**9 - 1)  # another document of the agreement
    assert again == agreement
    refused_and_free(room, draft, DraftChangedError)


def test_a_draft_is_over_after_fourteen_days(room: PressRoom) -> None:
    draft = room.approve_all(room.draft())
    room.table.door.clock.now += DRAFT_SECONDS
    assert room.stored(draft.document.digest).state(room.now) == "expired"
    refused_and_free(room, draft, DraftOverError)


def test_whoever_has_to_approve_may_withdraw_it_before_it_is_drawn(room: PressRoom) -> None:
    draft = room.approve_all(room.draft(room.agree()))
    with pytest.raises(NotFoundError):
        room.withdraw_draft(draft, room.table.stewards["east"])
    room.withdraw_draft(draft, room.table.stewards["south"])
    refused_and_free(room, draft, DraftOverError)
    with pytest.raises(DraftOverError):
        room.draft(draft.document.agreement, draft=draft.document.draft)


def test_withdrawn_after_the_charge_and_before_it_is_seen_it_is_hidden_for_good(drawn: Pooled, room: PressRoom) -> None:
    draft = room.approve_all(room.draft())
    done = releases.run(room.running(draft))
    assert done.visible_at is not None and room.stored(draft.document.digest).state(room.now) == "approved"
    room.withdraw_draft(draft, room.table.stewards["north"])
    room.table.door.clock.now = done.visible_at
    with pytest.raises(NotFoundError):
        room.decide(str(done.result["release"]))
    seen = drawn.room  # where nobody withdrew it, it is too late once it is seen
    with pytest.raises(DrawnAlreadyError):
        seen.withdraw_draft(drawn.draft, seen.table.stewards["north"])


def test_an_approval_ends_with_the_role_that_gave_it_and_a_colleague_takes_its_place(room: PressRoom) -> None:
    draft = room.approve_all(room.draft())
    otto = room.table.door.member("otto")
    room.table.execute("DELETE FROM member_role WHERE member = :member", member=otto.id)
    refused_and_free(room, draft, ApprovalsMissingError)
    room.table.step_up(room.table.stewards["north"])
    room.approve(
        draft, room.table.door.join(room.table.stewards["north"], "olga", Role.PRIVACY_OFFICER), "privacy_officer"
    )
    assert {each.handle for each in room.stored(draft.document.digest).approvals} == {"nora", "olga"}
    work = room.running(draft)
    with room.table.door.store.reading() as connection:
        assert drafts.approved_draft(connection, work, draft.document.draft, draft.document.digest)


def test_one_draft_is_one_release_however_often_it_is_asked_for(drawn: Pooled) -> None:
    room, draft, spent = drawn.room, drawn.draft, drawn.room.spent()
    assert room.draw(draft) == drawn.release == draft.document.release
    assert room.spent() == spent == draft.document.fields["nano_rho"]


# --- the decision about what was drawn is another one ---


def test_a_drawn_release_is_public_only_after_an_officer_published_it(drawn: Pooled) -> None:
    room, release = drawn.room, drawn.release
    assert room.get("/v1/registry").json()["items"] == []
    record = room.decide(release).result["record"]
    (listed,) = room.get("/v1/registry").json()["items"]
    assert (listed["id"], listed["state"]) == (record, "published")
    assert room.decide(release).result["record"] == record  # done twice, it is done
    with pytest.raises(PublishedAlreadyError):
        room.decide(release, "withhold")


def test_a_release_that_was_withheld_never_comes_into_the_registry(drawn: Pooled) -> None:
    room, release = drawn.room, drawn.release
    room.decide(release, "withhold")
    with pytest.raises(DecisionError):
        room.decide(release)
    assert room.get("/v1/registry").json()["items"] == []


def test_fourteen_days_without_a_decision_hide_it(drawn: Pooled) -> None:
    room, release, nora = drawn.room, drawn.release, drawn.room.table.stewards["north"]
    room.table.door.clock.now += DRAFT_SECONDS
    room.table.door.sign_in(nora)
    seen = room.get(f"/v1/releases/{release}", person=nora).json()
    assert (seen["state"], seen["files"]) == ("expired", [])
    assert room.get(f"/v1/releases/{release}/files/manifest.json", person=nora).status_code == 404
    with pytest.raises(DecisionExpiredError):
        room.decide(release)
    room.decide(release, "withhold")


# --- what is published can be cited, read and checked ---


def test_everybody_reads_the_registry_unless_it_was_started_for_members(shown: tuple[PressRoom, str]) -> None:
    room, record = shown
    for path in ("", "/feed.json", "/log", "/log.jsonl", f"/{record}", f"/{record}/metadata.json"):
        assert room.get(f"/v1/registry{path}").status_code == 200, path
        refused = room.get(f"/v1/registry{path}", public=False)
        assert (refused.status_code, refused.json()["code"]) == (401, "not-signed-in")
    inside = room.get(f"/v1/registry/{record}", public=False, person=room.table.stewards["north"])
    assert inside.status_code == 200 and inside.headers["cache-control"] == "private, no-cache"
    assert room.get(f"/v1/registry/{record}").headers["cache-control"] == "public, max-age=60"


def test_its_name_follows_from_the_measurements_and_stays(shown: tuple[PressRoom, str]) -> None:
    room, record = shown
    found = room.get(f"/v1/registry/{record}").json()
    assert record == f"{concept_name(found['measurements_sha256'])}.v1"
    assert room.get(f"/v1/registry/{found['concept']}").json()["id"] == record
    assert record in found["citation"] and found["manifest_sha256"] in found["citation"]


def test_every_file_of_the_signed_bundle_is_there_and_verifies(shown: tuple[PressRoom, str], tmp_path: Path) -> None:
    room, record = shown
    found = room.get(f"/v1/registry/{record}").json()
    (tmp_path / "bundle").mkdir()
    for each in found["files"]:
        (tmp_path / "bundle" / each["name"]).write_bytes(
            room.get(f"/v1/registry/{record}/files/{each['name']}").content
        )
    key = SigningKey.load(room.table.bench.signing_key).public_key
    verified = verify_bundle(tmp_path / "bundle", TrustStore().add("us", key))
    assert verified.trusted and key.fingerprint == found["fingerprint"]


def test_no_contributor_is_named_anywhere_in_public(shown: tuple[PressRoom, str]) -> None:
    room, record = shown
    downloads = [each["name"].replace(".hxl", "") for each in room.get(f"/v1/registry/{record}").json()["downloads"]]
    paths = ["", "/feed.json", "/log", "/log.jsonl"]
    paths += [f"/{record}{part}" for part in ("", "/metadata.json", "/deployment.json")]
    paths += [f"/{record}/downloads/{name}" for name in downloads]
    for path in paths:
        answer = room.get(f"/v1/registry{path}")
        assert not re.search(rb"north|south", unpacked(answer.content), re.IGNORECASE), path
        if "downloads" not in path:
            assert not re.search(rb"\b(nora|sami|otto)\b", answer.content), path


def test_a_single_organisation_is_named_only_in_words_that_everybody_approved(room: PressRoom) -> None:
    with pytest.raises(BodyError):
        room.draft(room.agree(), credit="Shelters of the North")
    record = room.published(credit="Shelters of the North")
    found = room.get(f"/v1/registry/{record}").json()
    esra, nora = room.table.stewards["east"], room.table.stewards["north"]
    for person in (esra, nora):
        room.table.step_up(person)
    others = room.get(f"/v1/releases/{found['release']}", person=esra)
    assert others.status_code == 200 and "north" not in others.text
    assert room.get(f"/v1/releases/{found['release']}", person=nora).json()["datasets"] == ["north/cases"]
    assert found["creator"] == "Shelters of the North" and found["citation"].startswith("Shelters of the North (")
    meta = room.get(f"/v1/registry/{record}/metadata.json").json()
    assert meta["creators"] == [{"name": "Shelters of the North", "nameType": "Organizational"}]


def unpacked(content: bytes) -> bytes:
    """Return the bytes of a file, and of what is packed in it."""
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return b"".join(packed.read(name) for name in packed.namelist())


FORMS = [
    (table, form, hxl)
    for table in ("records", "aggregates")
    for form in ("csv", "json", "parquet", "xlsx")
    for hxl in (False, True)
]


@pytest.mark.parametrize(("table", "form", "hxl"), FORMS)
def test_records_and_aggregates_come_in_four_forms_each_with_tags_where_they_are_asked_for(
    shown: tuple[PressRoom, str], table: str, form: str, hxl: bool
) -> None:
    room, record = shown
    answer = room.get(f"/v1/registry/{record}/downloads/{table}.{form}{'?hxl=1' if hxl else ''}")
    assert answer.status_code == 200, answer.text
    listed = room.get(f"/v1/registry/{record}").json()["downloads"]
    name = f"{table}.hxl.{form}" if hxl else f"{table}.{form}"
    (said,) = [each for each in listed if each["name"] == name]
    assert len(answer.content) == said["size"]
    column, tag = ("gender", b"#indicator+code+gender") if table == "records" else ("estimate", b"#affected+estimate")
    if form == "parquet":
        read = pq.read_table(io.BytesIO(answer.content))
        assert read.num_rows == said["rows"]
        assert (read.schema.field(column).metadata or {}).get(b"hxl") == (tag if hxl else None)
    else:
        assert (tag in unpacked(answer.content)) == hxl
    if form == "json":
        rows_ = json.loads(answer.content)
        assert len(rows_) == said["rows"] + 2 * hxl
    if form == "csv":
        lines = answer.text.split("\r\n")
        assert len(lines) - 2 == said["rows"] + hxl and lines[1].startswith("#") == hxl


def test_metadata_is_what_catalogues_take_and_the_entry_what_deployment_registries_take(
    shown: tuple[PressRoom, str],
) -> None:
    room, record = shown
    found = room.get(f"/v1/registry/{record}").json()
    meta = room.get(f"/v1/registry/{record}/metadata.json").json()
    assert meta["types"]["resourceTypeGeneral"] == "Dataset" and meta["publicationYear"] == 2027
    assert {"identifiers", "creators", "titles", "publisher", "publicationYear", "types"} <= set(meta)
    entry = room.get(f"/v1/registry/{record}/deployment.json").json()["deployment"]
    parameters = entry["privacy_loss"]["privacy_parameters"]
    assert (parameters["epsilon"], parameters["delta"]) == (
        found["guarantee"]["epsilon"],
        found["guarantee"]["delta"],
    )
    assert entry["deployment_model"]["model_name"] == "Central" and entry["administrative"]["tier"] == 3


def test_a_later_version_has_the_same_name_the_next_number_and_its_changes(
    published: tuple[PressRoom, str, str],
) -> None:
    room, agreement, first = published
    second = room.published(agreement, succeeds=first, changelog="one more year", title="Who is threatened")
    assert second == first.removesuffix(".v1") + ".v2"
    found = room.get(f"/v1/registry/{first.removesuffix('.v1')}").json()
    assert (found["id"], found["latest"], found["changelog"]) == (second, second, "one more year")
    assert [each["id"] for each in found["versions"]] == [second, first]
    related = room.get(f"/v1/registry/{first}/metadata.json").json()["relatedIdentifiers"]
    expected = {
        "relatedIdentifier": f"{room.table.door.site.origin}/registry/{second}",
        "relatedIdentifierType": "URL",
        "relationType": "IsPreviousVersionOf",
    }
    assert expected in related
    with pytest.raises(NotFoundError):
        room.draft(organisation="south", succeeds=first)


# --- nothing disappears ---


def test_a_withdrawal_is_a_notice_and_the_bundle_stays(published: tuple[PressRoom, str, str]) -> None:
    room, _, record = published
    before = room.get(f"/v1/registry/{record}").json()
    room.withdraw(record, "a column was mapped wrongly")
    found = room.get(f"/v1/registry/{record}").json()
    assert found["state"] == "withdrawn" and found["withdrawal"]["reason"] == "a column was mapped wrongly"
    assert "Withdrawn on" in found["citation"]
    assert (found["files"], found["manifest_sha256"]) == (before["files"], before["manifest_sha256"])
    assert room.get(f"/v1/registry/{record}/files/manifest.json").status_code == 200
    gone = room.get(f"/v1/registry/{record}/downloads/records.csv")
    assert (gone.status_code, gone.json()["code"]) == (410, "release-withdrawn")
    (listed,) = room.get("/v1/registry").json()["items"]
    assert listed["state"] == "withdrawn"
    dates = {each["dateType"] for each in room.get(f"/v1/registry/{record}/metadata.json").json()["dates"]}
    assert "Withdrawn" in dates
    room.withdraw(record, "another reason")
    assert room.get(f"/v1/registry/{record}").json()["withdrawal"]["reason"] == "a column was mapped wrongly"


def test_the_feed_and_the_log_tell_both(published: tuple[PressRoom, str, str]) -> None:
    room, _, record = published
    room.withdraw(record)
    feed = room.get("/v1/registry/feed.json")
    assert feed.headers["content-type"] == "application/feed+json"
    made = feed.json()
    assert made["version"] == "https://jsonfeed.org/version/1.1"
    assert [each["tags"] for each in made["items"]] == [["withdrawn"], ["published"]]
    assert len({each["id"] for each in made["items"]}) == 2
    log = room.get("/v1/registry/log").json()
    assert [each["entry"]["kind"] for each in log["items"]] == ["published", "withdrawn"]


@pytest.fixture
def held(published: tuple[PressRoom, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder: the log as it was given out, the bundle, and a trust store."""
    room, _, record = published
    room.withdraw(record, "a column was mapped wrongly")
    folder = tmp_path / "reader"
    (folder / "bundle").mkdir(parents=True)
    (folder / "log.jsonl").write_bytes(room.get("/v1/registry/log.jsonl").content)
    for each in room.get(f"/v1/registry/{record}").json()["files"]:
        content = room.get(f"/v1/registry/{record}/files/{each['name']}").content
        (folder / "bundle" / each["name"]).write_bytes(content)
    key = SigningKey.load(room.table.bench.signing_key).public_key
    TrustStore().add("Aid Office", key).save(folder / "casehaven-trust.json")
    monkeypatch.chdir(folder)
    yield folder


def test_the_log_is_verified_offline_and_says_that_a_bundle_was_withdrawn(held: Path) -> None:
    found = CliRunner().invoke(main, ["registry", "verify", "log.jsonl", "bundle"])
    assert found.exit_code == 0, found.output
    assert "2 entries" in found.output and "Aid Office" in found.output
    assert "withdrawn" in found.output and "a column was mapped wrongly" in found.output


def test_a_log_with_any_byte_changed_or_any_line_missing_is_refused(held: Path) -> None:
    whole = (held / "log.jsonl").read_bytes()
    first, second = whole.splitlines(keepends=True)
    for damaged in (
        whole.replace(b"mapped wrongly", b"mapped rightly"),
        second,
        second + first,
        first + first,
        whole[:-1],
        whole.replace(b'"position":1', b'"position":2'),
    ):
        (held / "log.jsonl").write_bytes(damaged)
        found = CliRunner().invoke(main, ["registry", "verify", "log.jsonl"])
        assert found.exit_code == 1, damaged


def test_a_log_that_was_cut_is_added_to_no_more(published: tuple[PressRoom, str, str]) -> None:
    room, _, record = published
    room.table.execute("DELETE FROM registry_log")
    with pytest.raises(RegistryLogError, match="position 0 of the log is not what was signed"):
        room.withdraw(record)
    with room.table.door.store.reading() as connection:
        assert verify_log(rows.log_entries(connection)) == ()
    assert room.get(f"/v1/registry/{record}").json()["state"] == "published"


def test_the_public_statement_of_loss_does_not_say_who_contributed_to_a_release(drawn: Pooled) -> None:
    room = drawn.room
    room.decide(drawn.release)
    statement: dict[str, Any] = public_statement(room.table.bench.ledger)
    (release,) = statement["releases"]
    assert (release["datasets"], release["organisations"]) == ([], 2)
    assert "of datasets of 2 organisations: published" in in_words(statement)
    whole: dict[str, Any] = public_statement(room.table.bench.ledger, name_contributors=True)
    assert "north/cases, south/cases: published" in in_words(whole)
