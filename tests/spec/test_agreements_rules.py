"""Agreements: no agreement, no pooling. Each test states one promise, shown with real members, a real vault, a real ledger and the worker's own code.

Noise: answers within 5 people of the truth in 95 of 100 cases; where a test looks at a number, it allows 40 people, which is 15 standard deviations (false alarms below 1e-40).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.round_table import BY_GENDER, CAP, EVERYTHING, RoundTable, laid_table

from casehaven.agreements import service, uses
from casehaven.agreements.errors import (
    AgreementBudgetError,
    AgreementChangedError,
    AgreementDocumentError,
    AgreementNeededError,
    NotAgreedError,
    TooFewContributorsError,
)
from casehaven.ledger import IdempotencyKey
from casehaven.organisations import grants
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError, StepUpNeededError
from casehaven.worker import questions, releases
from casehaven.worker.pooling import dry_datasets, payer, permission
from casesynth.privacy import PrivacyLoss

ASK = 10**6
"""Nano-rho."""


@pytest.fixture
def table(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table at which nothing was agreed."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path / "table")


def cells(found: Mapping[str, Any]) -> dict[str, float | None]:
    """The one axis of an answer: part to estimate, None where hidden."""
    return {row["cell"][0][1]: row.get("estimate") for row in found["answer"]["rows"]}


# --- no agreement, no pooling ---


def test_without_an_agreement_nobody_asks_about_two_organisations_together(table: RoundTable) -> None:
    with pytest.raises(AgreementNeededError):
        table.ask_datasets(["north/cases", "south/cases"], by=table.stewards["north"])
    assert table.spent("north/cases") == table.spent("south/cases") == 0


def test_without_an_agreement_or_a_grant_nobody_asks_about_another_organisation(table: RoundTable) -> None:
    with pytest.raises(AgreementNeededError):
        table.ask_datasets(["south/cases"], by=table.stewards["north"])
    with pytest.raises(AgreementNeededError):
        table.ask_datasets(["south/cases"], by=table.asker)
    assert table.ask_datasets(["north/cases"], by=table.stewards["north"])["charged_nano_rho"] > 0
    assert table.spent("south/cases") == 0


def test_under_an_agreement_that_all_signed_every_dataset_is_asked_and_charged(table: RoundTable) -> None:
    found = table.ask(table.agree())
    women = cells(found)["woman"]
    assert women is not None and abs(women - 120) < 40
    assert table.spent("north/cases") == table.spent("south/cases") == found["charged_nano_rho"] > 0
    assert table.spent("east/cases") == 0


def test_it_is_in_force_only_when_every_contributor_has_signed(table: RoundTable) -> None:
    document = table.propose()
    for name in document.contributors:
        with pytest.raises(AgreementNeededError):
            table.ask(document)
        table.sign(document, name)
    assert table.ask(document)["charged_nano_rho"] > 0


def test_a_grant_to_a_member_of_another_organisation_is_no_agreement(table: RoundTable) -> None:
    nora = table.door.principal(table.stewards["north"])
    with table.door.store.writing() as connection:
        grants.grant_dataset(
            connection,
            table.door.clock(),
            nora,
            handle="rosa",
            organisation="north",
            dataset="cases",
            allowance_nano_rho=None,
        )
    with pytest.raises(AgreementNeededError):
        table.ask_datasets(["north/cases"], by=table.asker)
    contributions = [{"dataset": "north/cases", "fields": {"gender": "as_is"}}]
    alone = table.agree(contributions=contributions, max_tokens_per_person=1)
    assert table.ask(alone)["charged_nano_rho"] == table.spent("north/cases") > 0


# --- what is agreed ---


COARSE: tuple[dict[str, Any], ...] = (
    {"by": ["ageBroad"]},
    {"by": ["meansBroad"]},
    {"by": ["gender"], "where": {"attribute": "age", "in": ["18-29", "30+"]}},
    {"by": ["gender"], "where": {"attribute": "means", "in": ["threats", "papers"]}},
    {"by": [{"attribute": "age", "groups": [{"label": "grown", "codes": ["30+", "18-29"]}]}]},
    {"by": ["gender"], "where": {"attribute": "age", "equals": ""}},
    {"by": ["gender"], "registered": ["2019", "2020"]},
)


def test_what_is_as_coarse_as_agreed_may_be_asked(table: RoundTable) -> None:
    document = table.agree()
    for question in COARSE:
        asked = {**question, "accuracy": {"within_people": 9}}
        assert table.ask(document, asked, handler=questions.quote)["nano_rho"] > 0, question


def test_an_attribute_that_one_contributor_keeps_back_is_not_counted_for_anybody(table: RoundTable) -> None:
    document = table.agree(
        contributions=[
            {"dataset": "north/cases", "fields": dict(EVERYTHING)},
            {"dataset": "south/cases", "fields": {"gender": "as_is"}},
        ]
    )
    with pytest.raises(NotAgreedError, match="ageBroad|age is not part"):
        table.ask(document, {"by": ["ageBroad"], "accuracy": {"within_people": 9}})
    assert table.ask(document)["charged_nano_rho"] > 0


def test_only_who_is_named_may_ask(table: RoundTable) -> None:
    document = table.agree(askers={"organisations": [], "members": ["rosa"]})
    assert table.ask(document)["charged_nano_rho"] > 0
    for other in (table.stewards["north"], table.stewards["east"]):
        with pytest.raises(AgreementNeededError):
            table.ask(document, by=other)


def test_another_purpose_is_refused(table: RoundTable) -> None:
    document = table.agree(purposes=["synthetic_release"])
    with pytest.raises(NotAgreedError):
        table.ask(document)
    assert table.spent("north/cases") == 0


def test_the_agreements_own_budget_is_a_cap_beside_the_accounts(table: RoundTable) -> None:
    price = table.ask(table.agree(), handler=questions.quote)["nano_rho"]
    document = table.agree(budget_nano_rho=price + price // 2)
    assert table.ask(document)["charged_nano_rho"] == price
    before = table.spent("north/cases")
    with pytest.raises(AgreementBudgetError):
        table.ask(document, {**BY_GENDER, "where": {"attribute": "age", "in": ["0-17"]}})
    assert table.spent("north/cases") == table.spent("south/cases") == before


def test_a_change_of_an_agreement_opens_no_fresh_budget(table: RoundTable) -> None:
    price = table.ask(table.agree(), handler=questions.quote)["nano_rho"]
    document = table.agree(budget_nano_rho=price + price // 2)
    table.ask(document)
    changed = table.agree(
        agreement=document.agreement, budget_nano_rho=price + price // 2, title="The same, said better"
    )
    with pytest.raises(AgreementBudgetError):
        table.ask(changed, {**BY_GENDER, "where": {"attribute": "age", "in": ["0-17"]}})


def test_the_guarantee_is_stated_for_the_agreed_number_of_tokens_and_small_counts_are_hidden_as_agreed(
    table: RoundTable,
) -> None:
    found = table.ask(table.agree(minimum_count=100))
    guarantee = found["answer"]["guarantee"]
    assert guarantee["max_tokens_per_person"] == 2
    assert guarantee["epsilon_per_person"] > 1.9 * guarantee["epsilon"]
    assert found["answer"]["hidden_below"]["count"] == 100
    shown = cells(found)
    assert shown["woman"] is not None and shown["man"] is None  # 120 and 60 people


def test_fewer_tokens_for_one_person_need_a_reason(table: RoundTable) -> None:
    with pytest.raises(AgreementDocumentError, match="tokens_reason"):
        table.propose(max_tokens_per_person=1)
    with pytest.raises(AgreementDocumentError, match="tokens_reason"):
        table.propose(tokens_reason="we feel like it")
    document = table.agree(max_tokens_per_person=1, tokens_reason="the shelters take in people of different countries")
    assert table.ask(document)["answer"]["guarantee"]["max_tokens_per_person"] == 1


def test_the_people_cap_covers_the_datasets_own_and_is_the_one_that_delta_follows_from(table: RoundTable) -> None:
    with pytest.raises(AgreementDocumentError, match="people_cap"):
        table.propose(people_cap=2 * CAP - 1)
    found = table.ask(table.agree(people_cap=2_000_000))
    assert found["answer"]["guarantee"]["delta"] == pytest.approx(1 / 20_000_000)


def test_tokens_are_shared_only_where_every_dataset_was_made_under_the_agreed_key(table: RoundTable) -> None:
    document = table.agree(linkage="SHA256:" + "A" * 43)
    assert table.ask(document)["answer"]["snapshot"]["person_tokens"] == "separate"  # no file was prepared with it


# --- the life of an agreement ---


def test_a_change_needs_every_signature_anew_and_until_then_the_document_before_it_counts(table: RoundTable) -> None:
    first = table.agree()
    second = table.propose(agreement=first.agreement, contributions=first_without(first, "year"))
    table.sign(second, "north")
    by_year = {"by": ["year"], "accuracy": {"within_people": 9}}
    assert table.ask(first, by_year)["charged_nano_rho"] > 0
    table.sign(second, "south")
    with pytest.raises(NotAgreedError):
        table.ask(first, by_year)
    with pytest.raises(AgreementChangedError):
        table.sign(first, "north")  # what was replaced is never signed again


def first_without(document: Any, attribute: str) -> list[dict[str, Any]]:
    """Contributions of a document without one attribute."""
    return [
        {"dataset": each.dataset, "fields": {name: at for name, at in each.fields.items() if name != attribute}}
        for each in document.contributions
    ]


@pytest.mark.parametrize("contributor", ["north", "south"])
def test_any_contributor_revokes_at_once_and_for_good(table: RoundTable, contributor: str) -> None:
    document = table.agree()
    before = table.ask(document)
    table.revoke(document.agreement, contributor)
    spent = table.spent("north/cases")
    for again in (BY_GENDER, {"by": ["year"], "accuracy": {"within_people": 9}}):
        with pytest.raises(AgreementNeededError):
            table.ask(document, again)
    with pytest.raises(AgreementChangedError):
        table.sign(document, "north")
    with pytest.raises(NotFoundError):
        table.propose(agreement=document.agreement)
    assert table.spent("north/cases") == spent == before["charged_nano_rho"]  # what was answered stays charged


def test_nobody_else_revokes_and_nobody_without_a_fresh_second_factor(table: RoundTable) -> None:
    document = table.agree()
    with pytest.raises(NotFoundError):
        table.revoke(document.agreement, "east")
    table.door.clock.now += 400
    nora = table.door.principal(table.stewards["north"])
    with table.door.store.writing() as connection, pytest.raises(StepUpNeededError):
        service.revoke(connection, table.door.clock(), nora, document.agreement)
    assert table.ask(document)["charged_nano_rho"] > 0


def test_who_left_an_agreement_by_a_change_revokes_it_no_more(table: RoundTable) -> None:
    three = [{"dataset": f"{name}/cases", "fields": {"gender": "as_is"}} for name in ("east", "north", "south")]
    first = table.agree(contributions=three, max_tokens_per_person=3)
    table.agree(agreement=first.agreement, contributions=three[1:])
    with pytest.raises(NotFoundError):
        table.revoke(first.agreement, "east")
    assert table.ask(first)["answer"]["guarantee"]["max_tokens_per_person"] == 2
    assert table.spent("east/cases") == 0


def test_after_its_last_day_it_is_over(table: RoundTable) -> None:
    last = datetime.fromtimestamp(table.door.clock(), UTC).date()
    document = table.agree(expires=last.isoformat())
    assert table.ask(document)["charged_nano_rho"] > 0
    table.door.clock.now += 86_400
    with pytest.raises(AgreementNeededError):
        table.ask(document, {"by": ["year"], "accuracy": {"within_people": 9}})


def test_a_drawn_release_is_hidden_when_its_agreement_is_revoked_and_a_published_one_stands(table: RoundTable) -> None:
    from casehaven.core.release_rows import add_release, release_of, releases_for, set_state

    document = table.agree()
    with table.door.store.writing() as connection:
        for name in ("a" * 32, "b" * 32):
            add_release(connection, name, "north", {"agreement": document.agreement}, now=1)
        set_state(connection, "b" * 32, "published")
    table.revoke(document.agreement, "south")
    with table.door.store.reading() as connection:
        assert [
            found["id"] for _, found in releases_for(connection, reader="north", before=None, limit=9, now=2**40)
        ] == ["b" * 32]
        with pytest.raises(NotFoundError):
            release_of(connection, "a" * 32, reader="north", now=2**40)


# --- releases ---


def test_a_release_needs_every_attribute_as_it_is(table: RoundTable) -> None:
    document = table.agree(purposes=["synthetic_release"], askers={"organisations": ["north"], "members": []})
    work = table.job("release.plan", table.stewards["north"], {"agreement": document.agreement, "epsilon": 1.0})
    with pytest.raises(NotAgreedError):
        releases.plan(work)
    more = table.agree(
        purposes=["synthetic_release"],
        askers={"organisations": ["north"], "members": []},
        contributions=[
            {"dataset": f"{name}/cases", "fields": dict.fromkeys(EVERYTHING, "as_is")} for name in ("north", "south")
        ],
    )
    work = table.job("release.plan", table.stewards["north"], {"agreement": more.agreement, "epsilon": 1.0})
    assert "north" not in json.dumps(releases.plan(work).result)


def test_a_release_without_an_agreement_is_of_the_own_organisation_alone(table: RoundTable) -> None:
    asked = {"epsilon": 1.0}
    for names in (["north/cases", "south/cases"], ["south/cases"]):
        with pytest.raises(AgreementNeededError):
            releases.plan(table.job("release.plan", table.stewards["north"], asked, datasets=names))


# --- who is left out ---


def test_a_dataset_that_the_public_statement_shows_as_spent_is_left_out_and_not_charged(table: RoundTable) -> None:
    document = table.agree(
        contributions=[{"dataset": f"{name}/cases", "fields": dict(EVERYTHING)} for name in ("east", "north", "south")],
        people_cap=3 * CAP,
        max_tokens_per_person=3,
    )
    mark(table, "east/cases")
    found = table.ask(document)
    snapshot = found["answer"]["snapshot"]
    assert snapshot["left_out"] == 1 and snapshot["left_out_rule"].startswith("A dataset is left out")
    women = cells(found)["woman"]
    assert women is not None and abs(women - 120) < 40
    assert table.spent("east/cases") == 0 < table.spent("north/cases")
    assert found["answer"]["guarantee"]["max_tokens_per_person"] == 3  # as agreed, whoever is left out
    mark(table, "south/cases")
    with pytest.raises(TooFewContributorsError):
        table.ask(document, {"by": ["year"], "accuracy": {"within_people": 9}})


def mark(table: RoundTable, dataset: str) -> None:
    """Let the public statement show a dataset as one that can pay no more."""
    table.bench.ledger.mark_unbounded(dataset, dataset[0].encode().hex() * 32, vault_id=table.bench.vault.vault_id)


def test_who_is_left_out_follows_from_the_public_statement_alone() -> None:
    def account(dataset: str, block: str, parts: int | None) -> dict[str, Any]:
        return {"dataset": dataset, "block": block, "spent_parts": parts}

    statement = {
        "steps": 16,
        "accounts": [account("a/x", "2019", 15), account("a/x", "2020", 16), account("b/x", "2019", None)],
    }
    assert dry_datasets(statement, ["2019"]) == {"b/x"}
    assert dry_datasets(statement, ["2020"]) == {"a/x"}
    assert dry_datasets(statement, ["2019", "2020"]) == {"a/x", "b/x"}


# --- what is seen ---


def test_contributors_names_are_in_nothing_that_an_asker_is_shown(table: RoundTable) -> None:
    document = table.agree()
    shown = [table.ask(document), table.ask(document, handler=questions.quote)]
    with table.door.store.reading() as connection:
        shown.append(service.reader_view(document))
        found = service.open_to(connection, table.door.clock(), "rosa", "lab")
    assert [each.agreement for each in found] == [document.agreement]
    for text in map(json.dumps, shown):
        for name in ("north", "south", "east", "nora", "sami", document.nonce, document.digest):
            assert name not in text


def test_each_contributor_sees_what_its_data_was_used_for_and_no_other_dataset(table: RoundTable) -> None:
    document = table.agree()
    found = table.ask(document)
    table.door.clock.now += 600  # its tick has come
    assert table.ask(document)["free"] == "stored"
    with pytest.raises(NotAgreedError):
        table.ask(document, {"by": ["age"], "accuracy": {"within_people": 9}})
    for name, other in (("north", "south"), ("south", "north")):
        with table.door.store.reading() as connection:
            listed = [use for _, use in uses.uses_of(connection, name)]
        assert [use["nano_rho"] for use in listed] == [0, found["charged_nano_rho"]]
        assert [use["state"] for use in listed] == ["free", "charged"]
        assert {use["dataset"] for use in listed} == {f"{name}/cases"}
        assert json.loads(listed[0]["what"]) == found["answer"]["question"]
        assert other not in json.dumps(listed) and "rosa" not in json.dumps(listed)
    with table.door.store.reading() as connection:
        assert uses.uses_of(connection, "east") == uses.uses_of(connection, "lab") == []


def test_a_charge_is_a_use_even_where_the_attempt_was_cut_short_before_it_was_written_down(table: RoundTable) -> None:
    document = table.agree()
    work = table.job("question.ask", table.asker, {"agreement": document.agreement, "question": BY_GENDER})
    found = permission(work, "pooled_statistics", Operation.QUESTION_ASK)
    found.pool([""])
    with pytest.raises(NotAgreedError), found.using("{}"):
        table.bench.ledger.charge(
            key=IdempotencyKey(text=found.key),
            body={},
            datasets=[dataset.id for dataset in found.counted],
            blocks=[""],
            loss=PrivacyLoss(nano_rho=ASK),
            purpose="question",
            analyst=payer(document),
        )
        with table.door.store.reading() as connection:
            assert [use["state"] for _, use in uses.uses_of(connection, "north")] == ["begun"]
        raise NotAgreedError("after the charge")
    with table.door.store.reading() as connection:
        assert [use["nano_rho"] for _, use in uses.uses_of(connection, "north")] == [ASK]
