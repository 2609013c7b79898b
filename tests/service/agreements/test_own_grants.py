"""What lets a member ask about their own organisation's datasets is asked when the job is done: a grant that was ended, and an allowance that no job has set yet."""

from __future__ import annotations

import pytest
from tests.front_door import Person
from tests.round_table import BY_GENDER, RoundTable, laid_table

from casehaven.ledger import AnalystId
from casehaven.ledger.errors import AllowanceExhaustedError
from casehaven.organisations import grants
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.roles import Role
from casehaven.queries.public_facts import PURPOSE
from casehaven.worker import questions
from casehaven.worker.pooling import permission
from casesynth.privacy import PrivacyLoss

NAME = "north/cases"


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("grants") / "table")


def researcher(table: RoundTable) -> Person:
    """A researcher of the organisation."""
    return table.door.join(table.stewards["north"], "rita", Role.RESEARCHER)


def grant(table: RoundTable, nano_rho: int | None) -> None:
    """Let the researcher ask; the job that sets the allowance in the ledger is not done."""
    table.step_up(table.stewards["north"])
    with table.door.store.writing() as connection:
        by = table.door.principal(table.stewards["north"])
        now = table.door.clock()
        grants.grant_dataset(
            connection, now, by, handle="rita", organisation="north", dataset="cases", allowance_nano_rho=nano_rho
        )


def end(table: RoundTable) -> None:
    """End the grant."""
    table.step_up(table.stewards["north"])
    with table.door.store.writing() as connection:
        by = table.door.principal(table.stewards["north"])
        grants.end_grant(connection, table.door.clock(), by, handle="rita", organisation="north", dataset="cases")


def test_a_question_that_was_queued_under_a_grant_is_not_counted_after_its_end(table: RoundTable) -> None:
    rita = researcher(table)
    grant(table, None)
    assert table.ask_datasets([NAME], by=rita)["charged_nano_rho"] > 0
    spent = table.spent(NAME)
    asked = {"by": ["year"], "accuracy": {"within_people": 40}}
    work = table.job("question.ask", rita, {"question": asked}, datasets=[NAME])
    end(table)
    with pytest.raises(NotFoundError):
        questions.ask(work)
    assert table.spent(NAME) == spent


def test_a_grant_is_asked_for_again_just_before_the_charge(table: RoundTable) -> None:
    rita = researcher(table)
    grant(table, None)
    work = table.job("question.ask", rita, {"question": dict(BY_GENDER)}, datasets=[NAME])
    found = permission(work, PURPOSE, Operation.QUESTION_ASK)
    end(table)
    with pytest.raises(NotFoundError), found.permit(PrivacyLoss(nano_rho=1)):
        raise AssertionError("the charge was permitted")


def test_an_allowance_holds_before_the_job_that_sets_it(table: RoundTable) -> None:
    rita = researcher(table)
    grant(table, 1_000)
    with pytest.raises(AllowanceExhaustedError):
        table.ask_datasets([NAME], by=rita)
    assert table.spent(NAME) == 0
    grant(table, 10**9)
    assert table.ask_datasets([NAME], by=rita)["charged_nano_rho"] > 0
    assert table.bench.ledger.allowance(AnalystId(text="rita"), NAME).limit_nano_rho == 10**9


def test_a_steward_needs_no_grant_and_a_caseworker_gets_none(table: RoundTable) -> None:
    assert table.ask_datasets([NAME], by=table.stewards["north"])["charged_nano_rho"] > 0
    rita = researcher(table)
    with pytest.raises(NotFoundError):
        table.ask_datasets([NAME], by=rita)
