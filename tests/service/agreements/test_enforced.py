"""Each sentence of an agreement holds by itself: who is named, at which level, at what count, until which day, at whose cost, and who only reads.

Noise: answers within 5 people of the truth in 95 of 100 cases; where a test looks at a number, it allows 15 people, which is 5.9 standard deviations (false alarms below 1e-8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import insert, select
from tests.front_door import b64
from tests.publishing import PressRoom, shared_room
from tests.round_table import CAP, EVERYTHING, ORGANISATIONS, RoundTable, laid_table, made_up, table_schema

from casehaven.agreements import service, uses
from casehaven.agreements.document import signing_challenge
from casehaven.agreements.errors import AgreementNeededError, AgreementSignatureError, NotAgreedError
from casehaven.blocks import schema_blocks
from casehaven.core.audit_models import audit
from casehaven.drafts.errors import DraftChangedError
from casehaven.intake.prepared_history import remember_prepared
from casehaven.intake.sealed_upload import PreparedFile
from casehaven.ledger import AnalystId, IdempotencyKey
from casehaven.ledger.errors import BudgetExhaustedError
from casehaven.organisations.errors import NotFoundError
from casehaven.worker import questions, releases
from casehaven.worker.drafts import approved_release
from casehaven.worker.pooling import SIGNED, signed_in_log
from casesynth.privacy import PrivacyLoss

KEY = "SHA256:" + "A" * 43
"""Fingerprint of a linkage key."""


@pytest.fixture
def table(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table at which nothing was agreed."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path / "table")


@pytest.fixture
def room(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PressRoom:
    """A room in which nothing was drawn."""
    return shared_room(tmp_path_factory.getbasetemp()).again(tmp_path / "room")


def women(found: Mapping[str, Any]) -> float:
    """How many an answer says."""
    return next(float(row["estimate"]) for row in found["answer"]["rows"] if row["cell"][0][1] == "woman")


def shown(found: Mapping[str, Any]) -> set[str]:
    """Parts that an answer does not hide."""
    return {row["cell"][0][1] for row in found["answer"]["rows"] if row.get("estimate") is not None}


def fields_of(**levels: str) -> dict[str, Any]:
    """Contributions of north and south in which one attribute has another level for each."""
    return {
        "contributions": [
            {"dataset": f"{name}/cases", "fields": {**EVERYTHING, "age": level}} for name, level in levels.items()
        ]
    }


# --- parties, and who may ask ---


def test_a_member_who_is_named_asks_only_while_their_organisation_is_a_party(table: RoundTable) -> None:
    document = table.agree(askers={"organisations": [], "members": ["esra", "nora"]})
    assert table.ask(document, by=table.stewards["north"], handler=questions.quote)["nano_rho"] > 0
    with pytest.raises(AgreementNeededError):
        table.ask(document, by=table.stewards["east"], handler=questions.quote)
    with table.door.store.reading() as connection:
        assert service.open_to(connection, table.door.clock(), "esra", "east") == []


def test_an_organisation_that_only_reads_sees_no_document_and_signs_changes_and_ends_nothing(table: RoundTable) -> None:
    document = table.agree(readers=["east", "lab"], askers={"organisations": ["east", "lab"], "members": []})
    assert table.ask(document, by=table.stewards["east"], handler=questions.quote)["nano_rho"] > 0
    change: dict[str, Any] = {"agreement": document.agreement, "readers": ["lab"]}
    change["contributions"] = [{"dataset": f"{name}/cases", "fields": {}} for name in ("east", "north")]
    for refused in (
        lambda: table.sign(document, "east"),
        lambda: table.propose("east", **change),
        lambda: table.revoke(document.agreement, "east"),
    ):
        with pytest.raises(NotFoundError):
            refused()
    with table.door.store.reading() as connection:
        assert service.agreements_of(connection, "east") == []
        with pytest.raises(NotFoundError):
            service.agreement_for(connection, document.agreement, "east")
        (seen,) = service.open_to(connection, table.door.clock(), "esra", "east")
    assert not {"contributions", "readers", "askers", "nonce"} & set(service.reader_view(seen))


# --- fields, counts and tokens ---


def test_where_contributors_agreed_on_different_levels_the_coarser_one_counts_for_all(table: RoundTable) -> None:
    document = table.agree(**fields_of(north="as_is", south="ageBroad"))
    with pytest.raises(NotAgreedError, match="age"):
        table.ask(document, {"by": ["age"], "accuracy": {"within_people": 9}})
    coarse = {"by": ["ageBroad"], "accuracy": {"within_people": 9}}
    assert table.ask(document, coarse, handler=questions.quote)["nano_rho"] > 0


def test_a_change_to_a_larger_minimum_count_shows_no_stored_answer_of_before(table: RoundTable) -> None:
    first = table.agree()
    assert shown(table.ask(first)) >= {"woman", "man"}
    table.door.clock.now += 600  # its tick has come
    for steward in table.stewards.values():
        table.step_up(steward)
    second = table.agree(agreement=first.agreement, minimum_count=100)
    found = table.ask(second)
    assert found["answer"]["hidden_below"]["count"] == 100
    assert shown(found) & {"woman", "man"} == {"woman"}  # 120 and 60 people


def test_a_release_is_not_drawn_where_more_is_to_be_hidden_than_a_release_hides(room: PressRoom) -> None:
    with pytest.raises(NotAgreedError, match="counts below"):
        room.draft(room.agree(minimum_count=11))


@pytest.mark.parametrize(("linkage", "expected"), [(KEY, "shared"), (None, "separate")])
def test_a_person_of_two_organisations_is_one_where_all_tokens_were_made_under_the_agreed_key(
    table: RoundTable, linkage: str | None, expected: str
) -> None:
    """Sixty people of north are known to south too."""
    table.house.take_in(made_up(60, "n"), organisation="south")
    vault = table.bench.vault
    for name in ("north", "south"):
        file = PreparedFile(
            path=Path("made.up"), columns=(), token_rule="names-birth/1", linkage_key=KEY, sha256="", table=pa.table({})
        )
        with vault.writing() as connection:
            remember_prepared(vault, vault.dataset(name, "cases"), file, connection)
    found = table.ask(table.agree(linkage=linkage))
    assert found["answer"]["snapshot"]["person_tokens"] == expected
    assert abs(women(found) - (120 if expected == "shared" else 160)) < 15


# --- what it costs, and whom ---


def test_a_dataset_that_cannot_pay_refuses_the_question_and_no_other_is_charged(table: RoundTable) -> None:
    """North's own questions spent nearly all since the public statement of the month, so it is not left out."""
    document, ledger = table.agree(budget_nano_rho=10**13), table.bench.ledger
    price = table.ask(document, handler=questions.quote)["nano_rho"]
    cap = min(row.cap_nano_rho for row in ledger.statement().rows if row.dataset == "north/cases")
    ledger.charge(
        key=IdempotencyKey(text="norths-own"),
        body={},
        datasets=["north/cases"],
        blocks=schema_blocks(table_schema()),
        loss=PrivacyLoss(nano_rho=cap - price // 2),
        purpose="own",
        analyst=AnalystId(text="nora"),
        vault_id=table.bench.vault.vault_id,
    )
    with pytest.raises(BudgetExhaustedError):
        table.ask(document)
    assert (table.spent("north/cases"), table.spent("south/cases")) == (cap - price // 2, 0)
    with table.door.store.reading() as connection:
        assert uses.uses_of(connection, "south") == uses.uses_of(connection, "north") == []


def test_a_quote_is_no_use_and_costs_nothing(table: RoundTable) -> None:
    assert table.ask(table.agree(), handler=questions.quote)["nano_rho"] > 0
    with table.door.store.reading() as connection:
        assert uses.uses_of(connection, "north") == []
    assert table.spent("north/cases") == 0


def three(room: PressRoom) -> str:
    """Let three organisations agree on a release."""
    for steward in room.table.stewards.values():
        room.table.step_up(steward)
    contributions = [
        {"dataset": f"{name}/cases", "fields": dict.fromkeys(EVERYTHING, "as_is")} for name in ORGANISATIONS
    ]
    return room.agree(contributions=contributions, people_cap=3 * CAP, max_tokens_per_person=3)


def mark(room: PressRoom, dataset: str) -> None:
    """Let the public statement show a dataset as one that can pay no more."""
    vault = room.table.bench.vault
    room.table.bench.ledger.mark_unbounded(dataset, dataset[0].encode().hex() * 32, vault_id=vault.vault_id)


def test_a_release_leaves_out_whoever_cannot_pay_says_so_without_a_name_and_charges_the_others(room: PressRoom) -> None:
    agreement = three(room)
    mark(room, "east/cases")
    draft = room.draft(agreement)
    assert (draft.document.datasets, draft.document.fields["left_out"]) == (("north/cases", "south/cases"), 1)
    assert draft.document.fields["max_tokens_per_person"] == 3  # as agreed, whoever is left out
    release = room.draw(room.approve_all(draft))
    assert room.spent("north/cases") == room.spent("south/cases") == draft.document.fields["nano_rho"]
    assert room.spent("east/cases") == 0
    nora = room.table.stewards["north"]
    room.table.door.sign_in(nora)
    seen = room.get(f"/v1/releases/{release}", person=nora)
    assert seen.json()["left_out"] == 1 and not re.search(r"\beast\b|esra", seen.text)


def test_whoever_cannot_pay_since_the_approval_leaves_nothing_drawn_and_nobody_charged(room: PressRoom) -> None:
    draft = room.approve_all(room.draft(three(room)))
    mark(room, "east/cases")
    with pytest.raises(DraftChangedError):
        releases.run(room.running(draft))
    assert [room.spent(f"{name}/cases") for name in ("north", "south")] == [0, 0]


# --- until when ---


def test_an_approved_draft_is_not_drawn_after_the_agreements_last_day(room: PressRoom) -> None:
    last = datetime.fromtimestamp(room.now, UTC).date().isoformat()
    draft = room.approve_all(room.draft(room.agree(expires=last)))
    approved_release(room.running(draft))
    room.table.door.clock.now += 86_400
    with pytest.raises(AgreementNeededError):
        approved_release(room.running(draft))
    assert room.spent() == 0


# --- signatures ---


def test_a_document_that_is_signed_twice_has_one_signature_in_log_and_store(table: RoundTable) -> None:
    document = table.propose()
    for _ in range(2):
        table.sign(document, "north")
    with table.bench.vault.database.transaction(writes=False) as connection:
        logged = connection.execute(select(audit.c.organisation).where(audit.c.action == SIGNED)).all()
    assert [tuple(row) for row in logged] == [("north",)]
    assert table.events().count("agreement.signed") == 1


def test_a_signature_that_was_copied_in_the_audit_log_is_none(table: RoundTable) -> None:
    """Somebody writes the vault's database and has no key: an entry about one document becomes an entry about another."""
    signed, other = table.agree(), table.propose()
    with table.bench.vault.writing() as connection:
        found = connection.execute(select(audit).order_by(audit.c.position)).mappings().all()
        copied = [dict(row) for row in found if row["object_id"] == signed.digest]
        for place, row in enumerate(copied, start=1):
            row.update(position=found[-1]["position"] + place, object_id=other.digest)
            connection.execute(insert(audit).values(**row))
    assert len(copied) == 2
    assert signed_in_log(table.bench.vault, signed) and not signed_in_log(table.bench.vault, other)


def test_a_second_factor_that_is_given_again_while_the_signature_waits_takes_nothing_from_it(table: RoundTable) -> None:
    table.execute("DELETE FROM passkey")
    document = table.propose()
    session = table.door.session(table.stewards["north"].session).id
    table.execute("UPDATE session SET stepped_up_at = stepped_up_at + 60 WHERE id = :id", id=session)
    table.sign(document, "north", assertion=None, session=session)
    assert table.events().count("agreement.signed") == 1


def test_another_members_passkey_signs_nothing_even_over_what_the_signer_has_to_sign(table: RoundTable) -> None:
    document = table.propose()
    challenge = {"challenge": b64(signing_challenge(document.digest, "south", "sami"))}
    with pytest.raises(AgreementSignatureError):
        table.sign(document, "south", assertion=table.stewards["north"].passkey.sign(challenge))
    table.sign(document, "south", assertion=table.stewards["south"].passkey.sign(challenge))
    assert table.events().count("agreement.signed") == 1
