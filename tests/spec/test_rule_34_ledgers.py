"""Privacy rule 34, against a second ledger: a k-synthetic file of a dataset in a vault ends that dataset for good, whichever ledger is brought.

The ledger is a file, and whoever runs the commands can make another one or put an earlier copy back. So the vault has a mark of its own, and the two people
who approve are shown everything that they sign, the ledger among it.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from casehaven.cli._root import main
from casehaven.core.audit_models import audit
from casehaven.ledger import IdempotencyKey, Ledger
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.k_mode import KOutcome, make_k_synthetic_of_vault
from casehaven.releases.k_mode_request import Approval, KRequest, KRequestError
from casehaven.releases.service import release_vault_datasets
from casehaven.vault.anchor import Anchor
from casehaven.vault.anchor_state import UNBOUNDED
from casehaven.vault.backup import write_backup
from casehaven.vault.errors import UnboundedDatasetError
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import file_key
from casehaven.vault.unbounded import mark_dataset, marked_since
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse, Shelter

    from casesynth.progress import Progress

AMAL, BERTA = SigningKey.create(), SigningKey.create()
TRUST = TrustStore().add("Amal", AMAL.public_key).add("Berta", BERTA.public_key)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _silent(phase: str, share: float | None, /) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A vault with sixty people, and as many ledgers as somebody cares to make."""

    house: SafeHouse

    @property
    def folder(self) -> Path:
        return self.house.folder

    def ledger(self, name: str = "ledger") -> Path:
        """The path of a ledger; it is made when it is not there."""
        path = self.folder / f"{name}.sqlite"
        if not path.exists():
            made = _run("ledger", "create", "--ledger", path, "--epsilon", "8")
            assert made.exit_code == 0, made.output
        return path

    def request(self, ledger: Path) -> KRequest:
        return KRequest.draw_up(
            ledger=Ledger.open(ledger).statement().ledger_id,
            dataset="north/cases",
            source=f"vault:{self.house.open().vault_id}",
            schema_sha256=self.house.open().dataset("north", "cases").schema.digest(),
            k=10,
            mode="seeded",
            people_cap=10_000,
            reason="read on paper",
            title="A file",
            person_key="token",
            legal_basis=None,
        )

    def make(self, ledger: Path, out: str = "k", progress: Progress = _silent) -> KOutcome:
        """Two people approve, and the file is made of the vault's dataset."""
        return make_k_synthetic_of_vault(
            self.house.open(),
            approvals(self.request(ledger)),
            TRUST,
            Ledger.open(ledger),
            AMAL,
            self.folder / out,
            open_accounts=True,
            progress=progress,
        )

    def release(self, ledger: Ledger, out: str = "bundle") -> None:
        """A protected release of the vault's dataset."""
        draft = ReleaseDraft(
            vault_datasets=("north/cases",),
            schema=self.house.open().dataset("north", "cases").schema,
            epsilon=2,
            people_cap=10_000,
            out=self.folder / out,
            open_accounts=True,
        )
        release_vault_datasets(draft, self.house.open(), ledger, AMAL, IdempotencyKey.create())

    def marked(self) -> bool:
        vault = self.house.open()
        return marked_since(vault, vault.dataset("north", "cases")) is not None

    def mark(self) -> None:
        vault = self.house.open()
        mark_dataset(vault, vault.dataset("north", "cases"), request_sha256="ab" * 32, ledger="x")


def approvals(request: KRequest) -> tuple[Approval, ...]:
    return Approval.by(request, AMAL), Approval.by(request, BERTA)


def spent(ledger: Path) -> set[int]:
    return {row.spent_nano_rho for row in Ledger.open(ledger).statement().rows}


@pytest.fixture
def desk(house: SafeHouse, people: MakePeople) -> Desk:
    house.take_in([{**one, "mayCare": "yes", "mayCount": "yes", "mayPool": "yes"} for one in people(60)])
    return Desk(house=house)


# --- another ledger --------------------------------------------------------------------------------------------------------


def test_a_file_made_under_another_ledger_ends_the_dataset_under_its_own_too(desk: Desk) -> None:
    """The own ledger never heard of it, and still nothing is released, or charged, from then on."""
    own, other = desk.ledger(), desk.ledger("x")
    desk.make(other)
    assert Ledger.open(own).statement().rows == ()
    shown = desk.house.run(
        *("release", "--from", "north/cases", "--epsilon", "2", "--open-accounts", "--out", desk.folder / "bundle"),
        *("--ledger", own, "--key", _written(desk.folder)),
    )
    assert shown.exit_code == 1 and "whatever this ledger says" in shown.output and "unbounded for good" in shown.output
    assert not (desk.folder / "bundle").exists()
    assert Ledger.open(own).statement().rows == ()


def _written(folder: Path) -> Path:
    path = folder / "key.pem"
    assert _run("keys", "create", "--key", path).exit_code == 0
    return path


def test_an_earlier_copy_of_the_ledger_does_not_bring_the_dataset_back(desk: Desk) -> None:
    own = desk.ledger()
    Ledger.open(own).open_dataset("north/cases", [""])
    copy = shutil.copy(own, desk.folder / "copy.sqlite")
    desk.make(own)
    shutil.copy(copy, own)
    assert all(row.unbounded_since is None for row in Ledger.open(own).statement().rows)  # the ledger forgot
    with pytest.raises(UnboundedDatasetError, match="unbounded for good"):
        desk.release(Ledger.open(own))
    with pytest.raises(KRequestError, match="under a ledger that is not this one"):
        desk.make(own, "second")
    assert spent(own) == {0}
    assert not (desk.folder / "bundle").exists() and not (desk.folder / "second").exists()


def test_a_dataset_that_was_released_before_needs_the_ledger_that_paid(desk: Desk) -> None:
    """Another ledger, and a copy from before the charge, are refused; nothing is marked. The ledger that paid is taken."""
    own = desk.ledger()
    Ledger.open(own).open_dataset("north/cases", [""])
    before = Path(shutil.copy(own, desk.folder / "before.sqlite"))
    desk.release(Ledger.open(own))
    for other in (desk.ledger("x"), before):
        with pytest.raises(KRequestError, match="under a ledger that is not this one"):
            desk.make(other)
        assert all(row.unbounded_since is None for row in Ledger.open(other).statement().rows)
    assert not desk.marked() and not (desk.folder / "k").exists()
    desk.make(own)
    assert desk.marked()
    assert {row.unbounded_since is not None for row in Ledger.open(own).statement().rows} == {True}


def test_a_second_request_under_the_same_ledger_is_no_other_ledger(desk: Desk) -> None:
    own = desk.ledger()
    for name in ("first", "second"):
        assert (desk.make(own, name).folder / "manifest.json").is_file()


# --- the mark --------------------------------------------------------------------------------------------------------------


def test_the_vault_is_marked_before_a_record_is_opened(desk: Desk) -> None:
    seen: list[tuple[str, bool]] = []

    def stop_when_counting(phase: str, share: float | None, /) -> None:
        seen.append((phase, desk.marked()))
        if phase == "count":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.make(desk.ledger(), progress=stop_when_counting)
    assert seen[-1] == ("count", True) and seen[0] == ("check", False)
    with desk.house.open().database.transaction(writes=False) as connection:
        told = [
            row.action
            for row in connection.execute(select(audit).order_by(audit.c.position))
            if row.object_id == "north/cases"
        ]
    assert told.index(UNBOUNDED) < told.index("snapshot.open")
    with pytest.raises(UnboundedDatasetError):
        desk.release(Ledger.open(desk.ledger("x")))


def test_a_mark_made_between_check_and_opening_still_stops_a_release(desk: Desk) -> None:
    def mark_when_charged(step: str) -> None:
        if step == "charge.committed":
            desk.mark()

    with pytest.raises(UnboundedDatasetError):
        desk.release(Ledger.open(desk.ledger(), failpoint=mark_when_charged))
    with desk.house.open().database.transaction(writes=False) as connection:
        opened = connection.execute(select(audit).where(audit.c.action == "snapshot.open")).all()
    assert opened == [] and not (desk.folder / "bundle").exists()


def test_a_restore_from_before_keeps_the_mark(desk: Desk) -> None:
    write_backup(desk.house.open(), desk.folder / "backup")
    desk.make(desk.ledger())
    root, places = file_key(desk.folder / "root.key"), ("vault.keys", "vault.anchor")
    keystore, anchor = (desk.folder / place for place in places)
    again = restore(
        desk.folder / "backup", desk.folder / "again", root, keystore=keystore, anchor=anchor, reason="a fire"
    )
    assert marked_since(again, again.dataset("north", "cases")) is not None


def test_a_new_anchor_learns_the_mark_from_the_log_and_the_day_of_the_first_stays(desk: Desk) -> None:
    desk.mark()
    vault = desk.house.open()
    vault.anchor.add_unbounded("north/cases", "2999-01-01")
    vault.anchor.add_unbounded("north/others", "2999-01-01")
    remembered = vault.anchor.read().unbounded
    assert remembered["north/cases"] < "2999" and remembered["north/others"] == "2999-01-01"
    with vault.database.transaction(writes=False) as connection:
        made = Anchor.create(desk.folder / "new.anchor", vault.keystore, vault.vault_id, connection)
    assert made.read().unbounded == {"north/cases": remembered["north/cases"]}


def test_other_datasets_of_the_vault_are_not_marked(desk: Desk) -> None:
    desk.mark()
    others = desk.house.add_dataset("others")
    assert desk.marked() and marked_since(desk.house.open(), others) is None


# --- case files ------------------------------------------------------------------------------------------------------------


def test_of_case_files_the_screen_says_that_only_the_ledger_carries_the_mark(
    desk: Desk, shelter: Shelter, people: MakePeople
) -> None:
    cases, ledger = shelter.write("north.csv", people(60)), shelter.folder / "ledger.sqlite"
    schema = shelter.folder / "shelter.json"
    asked, key = shelter.folder / "r.json", shelter.folder / "key.pem"
    fixed = (
        "--dataset",
        "north/shelter",
        "--source",
        "a register",
        "--people-cap",
        "10000",
        "--reason",
        "r",
        "--ledger",
        ledger,
    )
    assert _run("k-release", "request", "--schema", schema, *fixed, "-o", asked).exit_code == 0
    signed: list[str | Path] = []
    trust = TrustStore.load(_trusting(shelter.folder, key))
    assert len(trust.signers) == 2
    for number, one in enumerate((key, shelter.folder / "second.pem")):
        path = shelter.folder / f"a{number}.json"
        assert _run("k-release", "approve", asked, "--yes", "--key", one, "-o", path).exit_code == 0
        signed += ["--approval", path]
    made = _run(
        *("k-release", "make", cases, "--schema", schema, "--ledger", ledger, "--key", key, "--open-accounts"),
        *("--trust", shelter.folder / "trust.json", "--out", shelter.folder / "k", *signed),
    )
    assert made.exit_code == 0, made.output
    assert "only the ledger named above carries the mark" in made.output
    assert Ledger.open(ledger).statement().ledger_id in made.output


def _trusting(folder: Path, key: Path) -> Path:
    assert _run("keys", "create", "--key", folder / "second.pem").exit_code == 0
    store = TrustStore()
    for name, path in (("Amal", key), ("Berta", folder / "second.pem")):
        store = store.add(name, SigningKey.load(path).public_key)
    store.save(folder / "trust.json")
    return folder / "trust.json"


# --- what the approvers are shown ------------------------------------------------------------------------------------------


def _approval_screen(desk: Desk, request: KRequest) -> str:
    path, key = desk.folder / f"{request.number}.json", desk.folder / "steward.pem"
    path.write_bytes(request.to_bytes())
    if not key.exists():
        assert _run("keys", "create", "--key", key).exit_code == 0
    shown = CliRunner().invoke(
        main, ["k-release", "approve", str(path), "--key", str(key), "-o", str(path) + ".ok"], input="n\n"
    )
    assert shown.exit_code != 0 and not Path(str(path) + ".ok").exists()  # somebody who says no approves nothing
    return shown.output


def test_an_approver_is_shown_every_field_of_the_request(desk: Desk) -> None:
    """A field that a later version adds fails here until it is shown."""
    request = replace(
        desk.request(desk.ledger()), person_key="caseNumber", legal_basis="an order of the court", people_cap=4321, k=37
    )
    screen = _approval_screen(desk, request)
    for name, value in asdict(request).items():
        assert str(value) in screen, name
    assert "k 37, seeded" in screen and "4321 at most" in screen


def test_an_approver_is_told_what_one_row_one_person_means(desk: Desk) -> None:
    request = desk.request(desk.ledger())
    told, alone = "ten rows about one person pass for ten people", "are one person"
    with_key, without = (
        _approval_screen(desk, request),
        _approval_screen(desk, replace(request, number="f" * 32, person_key=None)),
    )
    assert told in without and alone not in without
    assert alone in with_key and told not in with_key


def test_the_id_that_an_approver_compares_is_on_the_screen_of_the_ledger(desk: Desk) -> None:
    own, other = desk.ledger(), desk.ledger("x")
    request = desk.request(own)
    for opened in (False, True):
        if opened:
            Ledger.open(own).open_dataset("north/cases", [""])
        assert f"ledger {request.ledger}" in _run("ledger", "show", "--ledger", own).output
    assert request.ledger not in _run("ledger", "show", "--ledger", other).output


def test_nothing_in_a_request_can_change_how_the_screen_is_read(desk: Desk) -> None:
    request = replace(
        desk.request(desk.ledger()), reason="fine\nledger     another", title="a\u202eb", legal_basis="\x1b[2J"
    )
    screen = _approval_screen(desk, request)
    assert "\nledger     another" not in screen and "\u202e" not in screen and "\x1b" not in screen


def test_an_approval_for_one_ledger_is_none_for_another(desk: Desk) -> None:
    own, other = desk.ledger(), desk.ledger("x")
    signed = approvals(desk.request(own))
    with pytest.raises(KRequestError, match="another ledger"):
        make_k_synthetic_of_vault(
            desk.house.open(), signed, TRUST, Ledger.open(other), AMAL, desk.folder / "k", open_accounts=True
        )
    assert not desk.marked()
