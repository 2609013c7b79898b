"""A contributor declines a document: it is never in force, nobody signs it any more, and the holders see who said no."""

from __future__ import annotations

from typing import Any

import pytest
from tests.round_table import RoundTable, laid_table

from casehaven.agreements import service
from casehaven.agreements.document import AgreementDocument
from casehaven.agreements.errors import AgreementChangedError, AgreementNeededError
from casehaven.agreements.service import Signature, add_signature
from casehaven.organisations.errors import ForbiddenError, NotFoundError, StepUpNeededError
from casehaven.organisations.roles import Role
from casehaven.routes.agreements import _shown


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("declines") / "table")


def decline(table: RoundTable, document: AgreementDocument, by: str, *, step_up: bool = True) -> None:
    """Let a steward decline."""
    if step_up:
        table.step_up(table.stewards[by])
    who = table.door.principal(table.stewards[by])
    with table.door.store.writing() as connection:
        service.decline(connection, table.door.clock(), who, document.agreement, document.digest)


def shown(table: RoundTable, agreement: str, organisation: str) -> dict[str, Any]:
    """The latest document as an organisation sees it."""
    with table.door.store.reading() as connection:
        found = service.agreement_for(connection, agreement, organisation)
    made = _shown(found, table.door.clock(), organisation)
    return {**made["documents"][-1], "in_force": made["in_force"]}


def in_force(table: RoundTable, agreement: str) -> AgreementDocument | None:
    with table.door.store.reading() as connection:
        return service.agreement_of(connection, agreement).in_force(table.door.clock())


def test_one_no_ends_a_proposal_for_everybody_and_all_contributors_see_whose(table: RoundTable) -> None:
    document = table.propose()
    table.sign(document, "north")
    decline(table, document, "south")
    decline(table, document, "south")  # done twice, it is done
    for name in ("north", "south"):
        seen = shown(table, document.agreement, name)
        assert (seen["state"], seen["in_force"]) == ("declined", None)
        (no,) = seen["declines"]
        assert (no["organisation"], no["handle"]) == ("south", "sami")
    for name in ("north", "south"):
        table.step_up(table.stewards[name])
        with pytest.raises(AgreementChangedError):
            table.sign(document, name)
    assert in_force(table, document.agreement) is None
    assert table.events().count("agreement.declined") == 1


def test_a_signature_that_comes_in_after_the_no_puts_nothing_in_force(table: RoundTable) -> None:
    """A job of signing looked before the decline, and writes after it."""
    document = table.propose()
    table.sign(document, "north")
    decline(table, document, "north")  # who signed may still say no while others have not signed
    late = Signature(organisation="south", handle="sami", signed_at=1, method="second_factor")
    with table.door.store.writing() as connection:
        add_signature(connection, document, late)
    assert in_force(table, document.agreement) is None
    assert shown(table, document.agreement, "south")["state"] == "declined"


def test_a_decline_that_is_taken_out_of_the_store_still_stands_in_the_log(table: RoundTable) -> None:
    """Somebody writes the store and not the vault: north signed and then said no, and south is let sign."""
    document = table.propose()
    table.sign(document, "north")
    decline(table, document, "north")
    table.move_events()
    table.execute("DELETE FROM agreement_decline")
    table.step_up(table.stewards["south"])
    table.sign(document, "south")
    assert in_force(table, document.agreement) == document  # so the api would say
    with pytest.raises(AgreementNeededError):
        table.ask(document)
    assert table.spent("north/cases") == 0


def test_a_declined_change_leaves_in_force_what_was_and_the_holders_propose_another(table: RoundTable) -> None:
    first = table.agree()
    change = table.propose("north", first.agreement, minimum_count=20)
    decline(table, change, "south")
    assert in_force(table, first.agreement) == first
    assert shown(table, first.agreement, "north")["state"] == "declined"
    for name in ("north", "south"):
        table.step_up(table.stewards[name])
    second = table.agree(first.agreement, minimum_count=15)
    assert in_force(table, first.agreement) == second


def test_what_is_in_force_is_revoked_and_not_declined(table: RoundTable) -> None:
    document = table.agree()
    with pytest.raises(AgreementChangedError):
        decline(table, document, "south")
    assert in_force(table, document.agreement) == document


def test_only_a_named_contributor_with_a_fresh_second_factor_declines(table: RoundTable) -> None:
    document = table.propose()
    with pytest.raises(NotFoundError):
        decline(table, document, "east")
    table.door.clock.now += 400
    with pytest.raises(StepUpNeededError):
        decline(table, document, "south", step_up=False)
    table.step_up(table.stewards["south"])
    worker = table.door.join(table.stewards["south"], "cora", Role.CASEWORKER)
    who = table.door.principal(worker)
    with table.door.store.writing() as connection, pytest.raises(ForbiddenError):
        service.decline(connection, table.door.clock(), who, document.agreement, document.digest)
    assert shown(table, document.agreement, "south")["declines"] == []
