"""A fresh ledger is no fresh budget: a dataset of a vault is charged in one ledger, for good (privacy rules 12, 19 and 20)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from casehaven.core.audit_models import audit
from casehaven.ledger import BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.service import release_vault_datasets
from casehaven.vault.anchor import Anchor
from casehaven.vault.anchor_state import LEDGER
from casehaven.vault.backup import write_backup
from casehaven.vault.errors import AnchorMissingError, OtherLedgerError
from casehaven.vault.ledger_binding import bind_ledger
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import file_key
from casesynth.model import FitSettings
from casesynth.privacy import PrivacyLoss
from casesynth.signing import SigningKey

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

    from casehaven.vault.store import Vault

AMAL = SigningKey.create()
SHORT = FitSettings(classes=10, steps=40, starts=1, pilot_classes=8, pilot_steps=20)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit less hard: what is released is not looked at here."""
    monkeypatch.setattr("casesynth.synthesis.FitSettings", lambda: SHORT)


def _ledger(house: SafeHouse, name: str) -> Ledger:
    path = house.folder / f"{name}.sqlite"
    if path.exists():
        return Ledger.open(path)
    return Ledger.create(path, LedgerPolicy(account=BudgetPolicy.of("8", "1e-6")))


def _release(house: SafeHouse, ledger: Ledger, out: str, vault: Vault | None = None) -> None:
    vault = house.open() if vault is None else vault
    draft = ReleaseDraft(
        vault_datasets=("north/cases",),
        schema=vault.dataset("north", "cases").schema,
        epsilon=1,
        people_cap=10_000,
        out=house.folder / out,
        open_accounts=True,
    )
    release_vault_datasets(draft, vault, ledger, AMAL, IdempotencyKey.create())


def _spent(ledger: Ledger) -> int:
    return sum(row.spent_nano_rho for row in ledger.statement().rows)


def _bound(vault: Vault) -> dict[str, str]:
    return dict(vault.anchor.read().ledgers)


@pytest.fixture
def released(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """A vault whose dataset was released once, under the ledger `first`."""
    house.take_in(people(60))
    _release(house, _ledger(house, "first"), "one")
    return house


def test_a_second_ledger_is_refused_and_not_charged(released: SafeHouse) -> None:
    first, fresh = _ledger(released, "first"), _ledger(released, "fresh")
    assert _bound(released.open()) == {"north/cases": first.id}
    with pytest.raises(OtherLedgerError, match="one ledger for good"):
        _release(released, fresh, "two")
    assert _spent(fresh) == 0
    assert not (released.folder / "two").exists()
    before = _spent(first)
    _release(released, first, "three")
    assert _spent(first) == 2 * before


def test_a_ledger_that_was_deleted_and_made_anew_is_another_one(released: SafeHouse) -> None:
    for name in ("first.sqlite", "first.anchor", "first.sqlite.anchor"):
        (released.folder / name).unlink(missing_ok=True)
    with pytest.raises(OtherLedgerError):
        _release(released, _ledger(released, "first"), "two")


def test_an_older_copy_of_the_vault_does_not_forget_its_ledger(house: SafeHouse, people: MakePeople) -> None:
    house.take_in(people(60))
    write_backup(house.open(), house.folder / "backup")
    _release(house, _ledger(house, "first"), "one")
    folder = house.open().folder
    restored = restore(
        house.folder / "backup",
        house.folder / "restored",
        file_key(house.folder / "root.key"),
        keystore=folder.keystore_path,
        anchor=folder.anchor_path,
        reason="a test",
    )
    with pytest.raises(OtherLedgerError):
        _release(house, _ledger(house, "fresh"), "two", restored)


def test_an_anchor_that_is_made_anew_knows_the_ledger_from_the_log(released: SafeHouse) -> None:
    vault = released.open()
    vault.anchor.path.unlink()
    with pytest.raises(AnchorMissingError):
        _release(released, _ledger(released, "fresh"), "two", vault)
    with vault.database.transaction(writes=False) as connection:
        Anchor.create(vault.anchor.path, vault.keystore, vault.vault_id, connection)
    assert _bound(vault) == {"north/cases": _ledger(released, "first").id}
    with pytest.raises(OtherLedgerError):
        _release(released, _ledger(released, "fresh"), "two")


def test_what_is_killed_between_log_and_anchor_is_bound_all_the_same(house: SafeHouse, people: MakePeople) -> None:
    """The log has the note, the anchor does not yet: another ledger is refused, the same one goes on."""
    house.take_in(people(60))
    vault, first = house.open(), _ledger(house, "first")
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action=LEDGER,
            object_kind="account",
            object_id=f"north/cases {first.id}",
            organisation="north",
        )
    assert _bound(vault) == {}
    with pytest.raises(OtherLedgerError):
        _release(house, _ledger(house, "fresh"), "one")
    _release(house, first, "one")
    assert _bound(house.open()) == {"north/cases": first.id}
    with house.open().database.transaction(writes=False) as connection:
        assert len(connection.execute(select(audit).where(audit.c.action == LEDGER)).all()) == 1


def test_a_dataset_that_was_opened_before_is_bound_only_to_the_ledger_that_charged_for_it(
    house: SafeHouse, people: MakePeople
) -> None:
    """What vaults from before this was noted bring: openings in the log, and no note."""
    house.take_in(people(60))
    vault = house.open()
    dataset = vault.dataset("north", "cases")
    first, fresh = _ledger(house, "first"), _ledger(house, "fresh")
    first.open_dataset("north/cases", [""])
    charge = first.charge(
        key=IdempotencyKey.create(),
        body={},
        datasets=["north/cases"],
        blocks=[""],
        loss=PrivacyLoss(nano_rho=1),
        purpose="question",
    )
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action="snapshot.open",
            object_kind="dataset",
            object_id="north/cases",
            organisation="north",
            reason=f"pooled_statistics, charge {charge.charge_id}",
        )
    with pytest.raises(OtherLedgerError, match="opened before"):
        bind_ledger(vault, [dataset], fresh.id, fresh.unknown)
    assert _bound(vault) == {}
    bind_ledger(vault, [dataset], first.id, first.unknown)
    assert _bound(vault) == {"north/cases": first.id}


def test_one_dataset_of_another_ledger_refuses_all_of_them_and_binds_none(
    released: SafeHouse, people: MakePeople
) -> None:
    released.add_dataset("later")
    vault, fresh = released.open(), _ledger(released, "fresh")
    both = [vault.dataset("north", "later"), vault.dataset("north", "cases")]
    with pytest.raises(OtherLedgerError):
        bind_ledger(vault, both, fresh.id, fresh.unknown)
    assert set(_bound(vault)) == {"north/cases"}
    bind_ledger(vault, both[:1], fresh.id, fresh.unknown)  # a dataset of its own may have its own
    assert set(_bound(vault)) == {"north/cases", "north/later"}


LEDGER_FILES = ("first.sqlite", "first.sqlite.anchor")


def test_an_earlier_copy_with_its_own_anchor_is_refused_and_not_charged(released: SafeHouse) -> None:
    """A restore of the folder that holds ledger and anchor: the ledger cannot notice it, the vault does, in this process and in a new one."""
    for name in LEDGER_FILES:
        shutil.copy(released.folder / name, released.folder / f"old-{name}")
    vault = released.open()
    _release(released, _ledger(released, "first"), "two", vault)
    later = {name: (released.folder / name).read_bytes() for name in LEDGER_FILES}
    for name in LEDGER_FILES:
        shutil.copy(released.folder / f"old-{name}", released.folder / name)
    copy = _ledger(released, "first")
    spent = _spent(copy)
    for opened in (vault, vault, released.open()):
        with pytest.raises(OtherLedgerError, match="newer than this copy"):
            _release(released, copy, "three", opened)
    assert _spent(copy) == spent
    assert not (released.folder / "three").exists()
    for name, content in later.items():
        (released.folder / name).write_bytes(content)
    _release(released, _ledger(released, "first"), "three", vault)


def test_a_copy_that_was_resumed_from_the_later_anchor_goes_on(
    released: SafeHouse,
) -> None:
    shutil.copy(released.folder / "first.sqlite", released.folder / "old.sqlite")
    vault, first = released.open(), _ledger(released, "first")
    _release(released, first, "two", vault)
    spent = _spent(first)
    shutil.copy(released.folder / "old.sqlite", released.folder / "first.sqlite")
    resumed = _ledger(released, "first")
    assert resumed.resume()
    assert _spent(resumed) >= spent
    _release(released, resumed, "three", vault)
    assert _spent(resumed) > spent


def test_only_what_was_opened_before_a_resumption_may_be_forgotten(released: SafeHouse) -> None:
    shutil.copy(released.folder / "first.sqlite", released.folder / "old.sqlite")
    _release(released, _ledger(released, "first"), "two")
    shutil.copy(released.folder / "old.sqlite", released.folder / "first.sqlite")
    ledger = _ledger(released, "first")
    assert ledger.unknown({"0" * 32: "2020-01-01T00:00:00Z"}) == {"0" * 32}
    ledger.resume()
    assert ledger.unknown({"0" * 32: "2020-01-01T00:00:00Z"}) == frozenset()
    assert ledger.unknown({"0" * 32: "2999-01-01T00:00:00Z"}) == {"0" * 32}
