"""Attacks on agreements: asking more than was agreed, signing what was not read, and changing rows behind everybody's back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.round_table import BY_GENDER, EVERYTHING, RoundTable, laid_table

from casehaven.agreements import models, service
from casehaven.agreements.document import parse_agreement
from casehaven.agreements.errors import (
    AgreementChangedError,
    AgreementDocumentError,
    AgreementNeededError,
    AgreementSignatureError,
    NotAgreedError,
)
from casehaven.core import jobs
from casehaven.ledger import IdempotencyKey
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.queries import Queries
from casehaven.worker import questions
from casehaven.worker.pooling import nameless, permission, signed_in_log
from casehaven.worker.work import Work
from casesynth.canonical import canonical_json


@pytest.fixture
def table(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table at which nothing was agreed."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path / "table")


# --- asking more than was agreed ---

FINER: tuple[dict[str, Any], ...] = (
    {"by": ["age"]},
    {"by": ["means"]},
    {"by": ["gender"], "where": {"attribute": "age", "equals": "0-17"}, "show": "counts", "totals": True},
    {"by": [{"attribute": "age", "groups": [{"label": "adult", "codes": ["30+"]}]}]},
    {"by": [{"attribute": "age", "groups": [{"label": "minor", "codes": ["0-17", "18-29"]}]}]},
    {"by": ["gender"], "where": {"attribute": "age", "in": ["18-29"]}},
    {"by": ["gender"], "where": {"attribute": "age", "between": ["0-17", "18-29"]}},
    {
        "by": ["gender"],
        "where": {"any": [{"attribute": "gender", "equals": "man"}, {"attribute": "age", "equals": "30+"}]},
    },
    {"by": ["gender"], "where": {"all": [{"attribute": "age", "in": ["0-17", "30+"]}]}},
    {"by": [{"label": "work", "facts": [{"label": "debt", "attribute": "means", "codes": ["debt"]}]}]},
    {"by": ["gender"], "where": {"attribute": "means", "in": ["threats", "debt"]}},
    {"show": {"median": "age"}},
    {"by": ["gender"], "show": {"mean": "age", "bounds": {"0-17": [0, 17], "18-29": [18, 29], "30+": [30, 99]}}},
)
"""Every one tells ages or means apart that the agreement keeps together. The third asks for a whole group, and is the control."""


def test_nothing_finer_than_agreed_is_answered_however_it_is_written(table: RoundTable) -> None:
    document = table.agree()
    for number, question in enumerate(FINER):
        asked = {**question, "accuracy": {"within_people": 9}}
        if number == 2:
            assert table.ask(document, asked, handler=questions.quote)["nano_rho"] > 0
            continue
        with pytest.raises(NotAgreedError, match="age|means"):
            table.ask(document, asked)
    assert table.spent("north/cases") == 0


def test_a_filter_on_an_attribute_that_is_not_agreed_is_refused(table: RoundTable) -> None:
    without = {name: level for name, level in EVERYTHING.items() if name in ("gender",)}
    document = table.agree(
        contributions=[{"dataset": f"{name}/cases", "fields": without} for name in ("north", "south")]
    )
    for question in (
        {"by": ["gender"], "where": {"attribute": "age", "equals": "0-17"}},
        {"by": ["gender"], "where": {"attribute": "year", "equals": "2020"}},
        {"by": ["gender"], "registered": ["2020"]},
        {"where": {"attribute": "means", "in": ["threats", "papers"]}},
    ):
        with pytest.raises(NotAgreedError):
            table.ask(document, {**question, "accuracy": {"within_people": 9}})
    assert table.spent("north/cases") == table.spent("south/cases") == 0


def test_two_agreements_never_add_up(table: RoundTable) -> None:
    """Gender under one, age under the other; north and south in one, south and east in the other."""
    one = table.agree(
        contributions=[{"dataset": f"{name}/cases", "fields": {"gender": "as_is"}} for name in ("north", "south")]
    )
    two = table.propose(
        by="south",
        contributions=[{"dataset": f"{name}/cases", "fields": {"age": "as_is"}} for name in ("east", "south")],
    )
    for name in two.contributors:
        table.sign(two, name)
    both = {"by": ["gender", "age"], "accuracy": {"within_people": 9}}
    for document in (one, two):
        with pytest.raises(NotAgreedError):
            table.ask(document, both)
    with pytest.raises(AgreementNeededError):
        table.ask_datasets(["north/cases", "south/cases", "east/cases"], by=table.asker)
    assert table.spent("south/cases") == 0


# --- signatures ---


def test_one_document_is_signed_and_another_one_is_put_in_its_place(table: RoundTable) -> None:
    document = table.agree()
    wider = canonical_json({**document.written(), "budget_nano_rho": 10**15}).decode()
    assert parse_agreement(wider.encode()).digest != document.digest
    table.execute("UPDATE agreement_document SET document = :text", text=wider)
    with pytest.raises(AgreementNeededError):
        table.ask(document)
    with table.door.store.reading() as connection, pytest.raises(NotFoundError):
        service.agreement_of(connection, document.agreement)  # nobody is shown it as what was signed
    second = canonical_json({**document.written(), "budget_nano_rho": 10**15, "number": 2})
    new = parse_agreement(second).digest
    table.execute(
        "INSERT INTO agreement_document SELECT :new, agreement, 2, :text, proposed_by, organisation, proposed_at FROM agreement_document",
        new=new,
        text=second.decode(),
    )
    table.execute("UPDATE agreement_document SET document = :text WHERE number = 1", text=document.to_bytes().decode())
    for name in ("agreement_party", "agreement_signature"):  # signatures of the first, put under the second
        table.execute(f"INSERT INTO {name} SELECT :new, {columns(name)} FROM {name}", new=new)
    with pytest.raises(AgreementNeededError):
        table.ask(document)
    assert table.spent("north/cases") == 0


def columns(name: str) -> str:
    """The columns of a table but its digest."""
    return ", ".join(f'"{column.name}"' for column in getattr(models, name).columns if column.name != "digest")


def test_rows_of_signatures_that_no_worker_logged_put_nothing_in_force(table: RoundTable) -> None:
    """Whoever can write the store, and not the vault, signs for a contributor."""
    document = table.propose()
    table.sign(document, "north")
    table.execute(
        "INSERT INTO agreement_signature SELECT digest, 'south', 'sami', signed_at, 'passkey', '{}' FROM agreement_signature"
    )
    with pytest.raises(AgreementNeededError):
        table.ask(document)
    table.execute(
        "INSERT INTO event (at, actor, action, organisation, object_kind, object_id) VALUES (1, 'sami', 'agreement.sign', 'south', 'agreement', :digest)",
        digest=document.digest,
    )
    table.move_events()
    with pytest.raises(AgreementNeededError):
        table.ask(document)
    assert not signed_in_log(table.bench.vault, document)


def test_a_revocation_that_is_taken_out_of_the_store_still_stands_in_the_log(table: RoundTable) -> None:
    document = table.agree()
    table.revoke(document.agreement, "south")
    table.move_events()
    table.execute("DELETE FROM agreement_revocation")
    with pytest.raises(AgreementNeededError):
        table.ask(document)


def test_an_old_signature_signs_nothing_again(table: RoundTable) -> None:
    first = table.propose()
    old = table.assertion(first.digest, "south")
    table.sign(first, "south", assertion=old)
    second = table.propose(agreement=first.agreement)  # the same terms: another number, other random bytes
    assert first.written() | {"number": 2, "nonce": second.nonce} == second.written()
    table.sign(second, "north")
    with pytest.raises(AgreementSignatureError):
        table.sign(second, "south", assertion=old)
    with pytest.raises(AgreementChangedError):
        table.sign(second, "south", digest=first.digest, assertion=old)
    with pytest.raises(AgreementNeededError):
        table.ask(second)


def test_a_signature_is_the_members_own_over_this_digest_for_their_organisation(table: RoundTable) -> None:
    document = table.propose()
    other = table.propose()
    for assertion in (
        table.assertion(other.digest, "south"),
        table.assertion(document.digest, "north"),
        {**table.assertion(document.digest, "south"), "rawId": table.assertion(document.digest, "north")["rawId"]},
        {"rawId": "AAAA"},
        None,  # south's steward has a passkey: no second factor stands for it
    ):
        with pytest.raises(AgreementSignatureError):
            table.sign(document, "south", assertion=assertion)
    with pytest.raises(AgreementSignatureError):
        table.sign(document, "south", origin="http://localhost:9999")
    with pytest.raises(NotFoundError):
        table.sign(document, "east")
    assert table.events().count("agreement.signed") == 0


def test_without_a_passkey_a_fresh_second_factor_of_the_members_own_session_signs(table: RoundTable) -> None:
    table.execute("DELETE FROM passkey")
    document = table.propose()
    mine, others = (table.door.session(table.stewards[name].session).id for name in ("north", "south"))
    with pytest.raises(AgreementSignatureError):
        table.sign(document, "north", assertion=None, session=others)
    table.sign(document, "north", assertion=None, session=mine)
    table.door.clock.now += 400
    with pytest.raises(AgreementSignatureError):
        table.sign(document, "south", assertion=None)


def test_a_steward_who_is_one_no_more_signs_nothing(table: RoundTable) -> None:
    document = table.propose()
    table.execute("DELETE FROM member_role WHERE member = :member", member=table.door.member("sami").id)
    with pytest.raises(AgreementSignatureError):
        table.sign(document, "south")


# --- while it goes on ---


def test_revoked_while_the_job_waits_in_the_queue_nothing_is_charged(table: RoundTable) -> None:
    document = table.agree()
    work = table.job("question.ask", table.asker, {"agreement": document.agreement, "question": BY_GENDER})
    table.revoke(document.agreement, "north")
    with pytest.raises(AgreementNeededError):
        questions.ask(work)
    assert table.spent("north/cases") == 0


def test_revoked_between_the_first_look_and_the_charge_nothing_is_charged(table: RoundTable) -> None:
    document = table.agree()
    work = table.job("question.ask", table.asker, {"agreement": document.agreement, "question": BY_GENDER})
    revoking = [True]

    class Revoking(Queries):
        """Somebody revokes when the question is about to be answered."""

        def ask(self, *given: Any, **more: Any) -> Any:
            """Answer."""
            if revoking.pop():
                table.revoke(document.agreement, "south")
            return super().ask(*given, **more)

    found = permission(work, "pooled_statistics", Operation.QUESTION_ASK)
    queries, question = questions._asked(work, found)
    queries = Revoking(**{name: getattr(queries, name) for name in vars(queries) if not name.startswith("_")})
    with pytest.raises(AgreementNeededError):
        queries.ask(question, IdempotencyKey(text=found.key))
    assert table.spent("north/cases") == 0


def test_an_asker_who_ended_or_lost_the_role_asks_nothing_with_a_job_that_waits(table: RoundTable) -> None:
    document = table.agree()
    for change in (
        "DELETE FROM member_role WHERE member = :member",
        "UPDATE member SET state = 'ended' WHERE id = :member",
    ):
        work = table.job("question.ask", table.asker, {"agreement": document.agreement, "question": BY_GENDER})
        table.execute(change, member=table.door.member("rosa").id)
        with pytest.raises(AgreementNeededError):
            questions.ask(work)
    assert table.spent("north/cases") == 0


def test_the_name_in_a_request_does_not_say_who_asks(table: RoundTable) -> None:
    document = table.agree(askers={"organisations": [], "members": ["nora"]})
    work = table.job("question.ask", table.asker, {"agreement": document.agreement, "question": BY_GENDER})
    forged = jobs.TakenJob(**{**vars(work.job), "request": {**work.job.request, "actor": "nora"}})
    with pytest.raises(AgreementNeededError):
        questions.ask(Work(job=forged, bench=table.bench))


def test_no_refusal_under_an_agreement_names_a_contributor(table: RoundTable) -> None:
    document = table.agree(budget_nano_rho=10**13)
    dear = {"by": ["gender"], "accuracy": {"epsilon": 60}}
    with pytest.raises(Exception) as told:
        table.ask(document, dear)
    assert type(told.value).__name__ == "BudgetExhaustedError"
    assert not any(name in f"{told.value!s} {told.value!r}" for name in ("north", "south", "cases"))
    work = table.job("question.ask", table.asker, {"agreement": document.agreement, "question": dear})
    found = permission(work, "pooled_statistics", Operation.QUESTION_ASK)
    with pytest.raises(NotFoundError) as plain, nameless(found):
        raise NotFoundError
    assert str(plain.value) == ""


# --- documents ---


def test_a_document_has_one_form_and_says_nothing_else(table: RoundTable) -> None:
    document = table.propose()
    good = document.written()
    assert parse_agreement(canonical_json(good)) == document
    bad: list[bytes] = [
        json.dumps(good).encode(),
        canonical_json({**good, "also": 1}),
        canonical_json({name: value for name, value in good.items() if name != "expires"}),
        canonical_json({**good, "budget_nano_rho": 1e9}),
        canonical_json({**good, "budget_nano_rho": True}),
        canonical_json({**good, "left_out": "whoever is least"}),
        canonical_json({**good, "minimum_count": 9}),
        canonical_json({**good, "max_tokens_per_person": 3}),
        canonical_json({**good, "purposes": ["care"]}),
        canonical_json({**good, "expires": "2027-02-30"}),
        canonical_json({**good, "readers": ["north"]}),
        canonical_json({**good, "askers": {"organisations": ["office"], "members": []}}),
        canonical_json({**good, "contributions": []}),
        b"[]",
        b"{",
    ]
    for text in bad:
        with pytest.raises(AgreementDocumentError):
            parse_agreement(text)


def test_two_documents_with_the_same_terms_have_different_digests(table: RoundTable) -> None:
    """So nobody who knows the terms can try out contributors against a digest."""
    assert table.propose().digest != table.propose().digest
