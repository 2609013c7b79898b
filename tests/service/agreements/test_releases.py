"""A release under an agreement: every contributor is charged, none is named, and a revocation before the decision hides it for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.publishing import PressRoom
from tests.round_table import CAP, RoundTable

from casehaven.agreements import uses
from casehaven.agreements.errors import AgreementNeededError
from casehaven.core.release_rows import release_of, releases_for
from casehaven.core.service_tables import release as release_table
from casehaven.organisations.errors import NotFoundError
from casehaven.worker import releases


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[RoundTable, str, str]:
    """A table at which a release was drafted, approved and drawn: the table, the agreement and the release."""
    room = PressRoom.at(tmp_path_factory.mktemp("drawn") / "table", tmp_path_factory.getbasetemp())
    last_day = datetime.fromtimestamp(room.now + 10 * 86_400, UTC).date().isoformat()
    agreement = room.agree(expires=last_day)
    done = releases.run(room.running(room.approve_all(room.draft(agreement))))
    return room.table, agreement, str(done.result["release"])


def test_every_contributor_is_charged_and_sees_the_use(drawn: tuple[RoundTable, str, str]) -> None:
    table, agreement, release = drawn
    assert table.spent("north/cases") == table.spent("south/cases") > 0
    for name in ("north", "south"):
        with table.door.store.reading() as connection:
            ((_, use),) = uses.uses_of(connection, name)
        assert (use["agreement"], use["what"], use["purpose"]) == (agreement, release, "synthetic_release")
        assert (use["nano_rho"], use["state"]) == (table.spent(f"{name}/cases"), "charged")


def test_a_release_is_seen_at_a_tick_that_follows_from_its_people_cap_alone(drawn: tuple[RoundTable, str, str]) -> None:
    table, _, release = drawn
    period = releases.release_ticks(2 * CAP).period
    with table.door.store.reading() as connection:
        due = connection.scalar(select(release_table.c.released_at).where(release_table.c.release_id == release))
        assert due is not None and due % period == 0
        assert period <= due - table.door.clock() <= 2 * period  # the whole run fits before it
        with pytest.raises(NotFoundError):
            release_of(connection, release, reader="north", now=due - 1)
        assert releases_for(connection, reader="north", before=None, limit=9, now=due - 1) == []
        assert release_of(connection, release, reader="north", now=due)["id"] == release
    folder = table.door.store.releases / release
    assert {int(path.stat().st_mtime) for path in (folder, *folder.iterdir())} == {due}


def test_no_contributor_is_named_in_the_registry_or_in_the_bundle(drawn: tuple[RoundTable, str, str]) -> None:
    table, _, release = drawn
    with table.door.store.reading() as connection:
        found = release_of(connection, release, reader="north", now=table.door.clock() + 7_200)
    assert found["state"] == "drawn" and found["left_out"] == 0
    written = {path.name: path.read_bytes() for path in (table.door.store.releases / release).iterdir()}
    written["registry"] = json.dumps(found).encode()
    for name, content in written.items():
        for word in (b"north", b"south", b"nora", b"sami"):
            assert word not in content.lower(), name
    manifest = json.loads(written["manifest.json"])
    assert "max_tokens_per_person" in json.dumps(manifest)


def test_revoked_before_the_decision_it_is_hidden_and_published_no_more(
    drawn: tuple[RoundTable, str, str], tmp_path: Path
) -> None:
    table, agreement, release = drawn
    again = table.again(tmp_path / "table")
    decide = {"release": release, "decision": "publish"}
    work = again.job("release.decide", again.stewards["north"], decide, organisation="north")
    again.revoke(agreement, "south")
    with pytest.raises((AgreementNeededError, NotFoundError)):
        releases.decide(work)
    with again.door.store.reading() as connection, pytest.raises(NotFoundError):
        release_of(connection, release, reader="north", now=table.door.clock() + 7_200)


def test_after_the_agreements_last_day_a_drawn_release_is_withheld_and_not_published(
    drawn: tuple[RoundTable, str, str], tmp_path: Path
) -> None:
    table, _, release = drawn
    again = table.again(tmp_path / "table")
    again.door.clock.now += 11 * 86_400
    for decision in ("publish", "withhold"):
        asked = {"release": release, "decision": decision}
        work = again.job("release.decide", again.stewards["north"], asked, organisation="north")
        if decision == "publish":
            with pytest.raises(AgreementNeededError):
                releases.decide(work)
        else:
            assert releases.decide(work).result["state"] == "withheld"
