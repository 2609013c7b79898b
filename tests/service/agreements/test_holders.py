"""Who holds an agreement: nobody ends or changes it who is only named in what others have not signed, or was dropped."""

from __future__ import annotations

import pytest
from tests.round_table import RoundTable, laid_table

from casehaven.agreements import service
from casehaven.agreements.document import AgreementDocument
from casehaven.agreements.errors import AgreementChangedError
from casehaven.organisations.errors import NotFoundError
from casehaven.routes.agreements import _shown


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("holders") / "table")


def with_east(table: RoundTable, by: str, agreement: str | None) -> AgreementDocument:
    """Propose a document that names east too."""
    fields = table.terms()["contributions"][0]["fields"]
    names = ("east", "north", "south")
    contributions = [{"dataset": f"{name}/cases", "fields": fields} for name in names]
    return table.propose(by, agreement, contributions=contributions, max_tokens_per_person=3)


def seen(table: RoundTable, agreement: str, organisation: str) -> dict[str, object]:
    """What an organisation is shown."""
    with table.door.store.reading() as connection:
        found = service.agreement_for(connection, agreement, organisation)
    return _shown(found, table.door.clock(), organisation)


def numbers(shown: dict[str, object]) -> list[str]:
    documents = shown["documents"]
    assert isinstance(documents, list)
    return [each["digest"] for each in documents]


def in_force(table: RoundTable, agreement: str) -> AgreementDocument | None:
    with table.door.store.reading() as connection:
        return service.agreement_of(connection, agreement).in_force(table.door.clock())


def test_whoever_was_dropped_before_signing_ends_and_changes_nothing(table: RoundTable) -> None:
    first = with_east(table, "north", None)
    second = table.agree(first.agreement)
    assert in_force(table, first.agreement) == second
    with pytest.raises(NotFoundError):
        table.revoke(first.agreement, "east")
    with pytest.raises(NotFoundError):
        with_east(table, "east", first.agreement)
    with pytest.raises(AgreementChangedError):
        table.sign(first, "east")
    assert in_force(table, first.agreement) == second
    shown = seen(table, first.agreement, "east")
    assert numbers(shown) == [first.digest] and shown["in_force"] is None
    assert numbers(seen(table, first.agreement, "south")) == [first.digest, second.digest]


def test_whoever_is_named_in_a_proposal_sees_and_signs_it_and_does_nothing_else(table: RoundTable) -> None:
    first = table.agree()
    second = with_east(table, "north", first.agreement)
    shown = seen(table, first.agreement, "east")
    assert numbers(shown) == [second.digest] and shown["in_force"] is None
    with pytest.raises(NotFoundError):
        table.revoke(first.agreement, "east")
    with pytest.raises(NotFoundError):
        with_east(table, "east", first.agreement)
    assert in_force(table, first.agreement) == first
    for name in ("east", "north", "south"):
        table.step_up(table.stewards[name])
        table.sign(second, name)
    assert in_force(table, first.agreement) == second
    table.revoke(first.agreement, "east")  # now it is theirs too
    assert in_force(table, first.agreement) is None
