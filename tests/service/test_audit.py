"""The audit log: it grows and never changes, and any change is found, with the first position at which it is (threat 22)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import shutil
import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from casehaven.core.audit import AuditEntryError, AuditHead, AuditLog, LostEntries, entries, next_chain, system_actor
from casehaven.core.audit_checkpoint import (
    CheckpointError,
    LogSettings,
    NoteKey,
    close_periods,
    closed_periods,
    leaf_hash,
    merkle_root,
    node_hash,
    parse_checkpoint,
    sign_note,
    verify_note,
)
from casehaven.core.audit_verify import AuditVerification, verify_log
from casehaven.core.db import Database
from casehaven.core.errors import DatabaseError
from casehaven.core.migrate import migrate
from casehaven.vault.audit_reasons import audit_log
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.sealed import new_key

START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class Diary:
    """A log in a database of its own, with a clock that tests set."""

    database: Database
    keystore: Keystore
    moment: list[datetime] = field(default_factory=lambda: [START])

    @property
    def log(self) -> AuditLog:
        return audit_log(self.keystore, lambda: self.moment[0])

    def begin(self, leaves: int = 8) -> Diary:
        with self.database.transaction(writes=True) as connection:
            self.log.create(connection, "0" * 32, leaves_per_period=leaves)
        return self

    def note(self, count: int = 1, *, reason: str | None = "asked for it", person: int = 7) -> None:
        for _ in range(count):
            with self.database.transaction(writes=True) as connection:
                self.log.append(
                    connection,
                    action="person.read",
                    object_kind="person",
                    object_id=str(person),
                    organisation="north",
                    actor="clerk",
                    reason=reason,
                )

    def day(self) -> str:
        """A day passes; return its checkpoint."""
        self.moment[0] += timedelta(days=1)
        with self.database.transaction(writes=True) as connection:
            closed = close_periods(connection, self.log, self.keystore.signing_key(), clock=lambda: self.moment[0])
        assert closed is not None
        return closed.note

    def verify(
        self, *notes: str, anchor: AuditHead | None = None, erased: Collection[int] | None = None
    ) -> AuditVerification:
        with self.database.transaction(writes=False) as connection:
            key = NoteKey(name=LogSettings.read(connection).origin, public_key=self.keystore.verify_key)
            outside = [parse_checkpoint(note.encode(), key) for note in notes]
            return verify_log(
                connection, self.log, self.keystore.verify_key, anchor=anchor, checkpoints=outside, erased=erased
            )

    def head(self) -> AuditHead:
        with self.database.transaction(writes=False) as connection:
            return self.log.head(connection)

    def tamper(self, *statements: str) -> None:
        """Change the tables as somebody with the file could: past the triggers."""
        with self.database.transaction(writes=True) as connection:
            triggers = connection.execute(text("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'")).all()
            for name, _ in triggers:
                connection.execute(text(f"DROP TRIGGER {name}"))
            for statement in statements:
                connection.execute(text(statement))


MakeDiary = Callable[[str], Diary]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with today's tables and no row: migrations run once."""
    path = tmp_path_factory.mktemp("tables") / "empty.sqlite"
    database = Database.create(path)
    migrate(database)
    database.scrub()
    return path


@pytest.fixture
def make_diary(tables: Path, tmp_path: Path) -> MakeDiary:
    """Make a new log of organisation `north`, 8 leaves a day."""

    def make(name: str) -> Diary:
        keystore = Keystore.create(tmp_path / f"{name}.keys", HeldKey(key=new_key()))
        keystore.add_organisation("north", epoch="2026-03")
        shutil.copy(tables, tmp_path / f"{name}.sqlite")
        return Diary(database=Database.open(tmp_path / f"{name}.sqlite"), keystore=keystore).begin()

    return make


@pytest.fixture
def diary(make_diary: MakeDiary) -> Diary:
    """A new log."""
    return make_diary("log")


def test_a_log_that_nobody_touched_is_whole(diary: Diary) -> None:
    diary.note(3)
    note = diary.day()
    diary.note(20)
    found = diary.verify(note, diary.day(), anchor=diary.head())
    assert found.whole
    assert (found.positions, found.periods, found.lost) == (23, 2, ())


def test_an_entry_and_what_it_tells_of_are_there_both_or_neither(diary: Diary) -> None:
    with pytest.raises(ZeroDivisionError), diary.database.transaction(writes=True) as connection:
        diary.log.append(connection, action="person.read", object_kind="person", object_id="1")
        raise ZeroDivisionError
    assert diary.head().positions == 0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE position = 1",
        "UPDATE audit SET actor = 'somebody' WHERE position = 1",
        "UPDATE audit SET at = '2026-03-01T00:00:01Z' WHERE position = 1",
        "UPDATE audit SET position = 9 WHERE position = 2",
        "UPDATE audit SET reason_sealed = x'00', reason_wrapped_dek = x'00' WHERE position = 1",
        "UPDATE audit SET reason_sha256 = NULL, reason_sealed = NULL, reason_wrapped_dek = NULL, reason_epoch = NULL",
        "DELETE FROM audit_log",
        "UPDATE audit_log SET leaves_per_period = 4",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_checkpoint SET note = ''",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(diary: Diary, statement: str) -> None:
    diary.note(3)
    diary.day()
    with pytest.raises(DatabaseError), diary.database.transaction(writes=True) as connection:
        connection.execute(text(statement))
    assert diary.verify().whole


CHANGES: dict[str, tuple[int, str]] = {
    "another actor": (4, "UPDATE audit SET actor = 'somebody' WHERE position = 4"),
    "another action": (4, "UPDATE audit SET action = 'person.export' WHERE position = 4"),
    "another person": (4, "UPDATE audit SET object_id = '8' WHERE position = 4"),
    "another kind": (4, "UPDATE audit SET object_kind = 'upload' WHERE position = 4"),
    "another organisation": (4, "UPDATE audit SET organisation = 'south' WHERE position = 4"),
    "another time": (4, "UPDATE audit SET at = '2026-03-01T00:00:09Z' WHERE position = 4"),
    "another leaf": (4, "UPDATE audit SET leaf = zeroblob(32) WHERE position = 4"),
    "another chain": (4, "UPDATE audit SET chain = zeroblob(32) WHERE position = 4"),
    "another reason": (
        4,
        "UPDATE audit SET reason_sealed = (SELECT reason_sealed FROM audit WHERE position = 2) WHERE position = 4",
    ),
    "the last entry dropped": (11, "DELETE FROM audit WHERE position = 11"),
    "the first entry dropped": (0, "DELETE FROM audit WHERE position = 0"),
    "an entry dropped": (4, "DELETE FROM audit WHERE position = 4"),
    "all entries dropped": (0, "DELETE FROM audit"),
    "another period": (0, "UPDATE audit_checkpoint SET period_root = zeroblob(32) WHERE period = 0"),
    "a period dropped": (0, "DELETE FROM audit_checkpoint WHERE period = 0"),
    "a note cut off": (6, "UPDATE audit_checkpoint SET note = substr(note, 1, 40) WHERE period = 1"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_is_found_with_its_first_position(diary: Diary, name: str) -> None:
    diary.note(6)
    diary.day()
    diary.note(6)
    diary.day()
    position, statement = CHANGES[name]
    diary.tamper(statement)
    assert diary.verify(anchor=None).first_bad == position


def test_two_entries_that_changed_places_are_found(diary: Diary) -> None:
    diary.note(3, person=7)
    diary.note(3, person=8)
    diary.tamper(
        "UPDATE audit SET position = 99 WHERE position = 2",
        "UPDATE audit SET position = 2 WHERE position = 4",
        "UPDATE audit SET position = 4 WHERE position = 99",
    )
    assert diary.verify().first_bad == 2


def test_a_log_cut_at_its_end_is_whole_in_itself_and_found_by_the_anchor(diary: Diary) -> None:
    diary.note(5)
    anchor = diary.head()
    diary.tamper("DELETE FROM audit WHERE position >= 3")
    assert diary.verify().whole  # nothing inside can tell: this is what the anchor is for
    assert diary.verify(anchor=anchor).first_bad == 3


def _rewrite(diary: Diary, position: int, *, checkpoints: bool = True, **fields: Any) -> None:
    """Change an entry as somebody who holds every key would: leaves, chain and checkpoints are made anew."""
    with diary.database.transaction(writes=False) as connection:
        found = [*entries(connection)]
    chain, statements = found[position - 1].chain if position else b"", []
    for entry in found[position:]:
        changed = replace(entry, **(fields or {"actor": "somebody"})) if entry.position == position else entry
        leaf = changed.expected_leaf(diary.log.key)
        chain = next_chain(chain, leaf)
        statements.append(
            f"UPDATE audit SET actor = '{changed.actor}', at = '{changed.at}', leaf = x'{leaf.hex()}', chain = x'{chain.hex()}' "
            f"WHERE position = {entry.position}"
        )
    diary.tamper(*statements, *(["DELETE FROM audit_checkpoint"] if checkpoints else []))
    with diary.database.transaction(writes=True) as connection:
        close_periods(connection, diary.log, diary.keystore.signing_key(), clock=lambda: diary.moment[0])


def test_a_log_rewritten_with_all_its_keys_is_found_by_a_checkpoint_outside(diary: Diary) -> None:
    notes = []
    for _ in range(3):
        diary.note(4)
        notes.append(diary.day())
    anchor = diary.head()
    assert diary.verify(*notes, anchor=anchor).whole
    _rewrite(diary, 6)
    assert diary.verify().whole  # who holds every key can make a log that is whole in itself
    assert diary.verify(anchor=anchor).first_bad == 11
    assert diary.verify(notes[2]).first_bad == 0  # one checkpoint: nothing before it is vouched for
    assert diary.verify(*notes).first_bad == 4  # three: the first still fits
    assert diary.verify(notes[0]).whole


def test_a_log_rewritten_without_its_checkpoints_is_found_with_the_period(diary: Diary) -> None:
    for _ in range(3):
        diary.note(4)
        diary.day()
    _rewrite(diary, 6, checkpoints=False)
    assert diary.verify().first_bad == 4


def test_a_time_that_runs_backwards_is_found_in_a_log_rewritten_with_all_its_keys(diary: Diary) -> None:
    diary.note(2)
    diary.moment[0] += timedelta(hours=1)
    diary.note(2)
    _rewrite(diary, 3, at="2026-03-01T00:30:00Z")
    assert diary.verify().first_bad == 3


def test_a_log_that_was_set_back_before_a_checkpoint_is_found(diary: Diary, tmp_path: Path) -> None:
    diary.note(4)
    first = diary.day()
    diary.database.scrub()
    earlier = (tmp_path / "log.sqlite").read_bytes()
    diary.note(4)
    second = diary.day()
    diary.database.scrub()
    (tmp_path / "log.sqlite").write_bytes(earlier)
    found = diary.verify(first, second)
    assert found.first_bad == 4
    assert "set back" in found.fault


def test_checkpoints_say_nothing_of_how_much_happened(make_diary: MakeDiary) -> None:
    def sizes(counts: list[int]) -> list[tuple[int, ...]]:
        diary, shapes = make_diary("-".join(map(str, counts))), []
        for count in counts:
            diary.note(count)
            note = diary.day()
            assert diary.verify(note).whole
            shapes.append(tuple(len(line) for line in note.splitlines()) + (int(note.splitlines()[1]),))
        return shapes

    assert sizes([0, 0, 0]) == sizes([1, 7, 8]) == sizes([9, 30, 0])  # privacy rule 36


def test_entries_beyond_the_places_of_a_period_are_covered_too(diary: Diary) -> None:
    diary.note(12)
    note = diary.day()
    for position in (7, 11):  # the last place stands for 7 to 11
        _rewrite(diary, position)
        assert diary.verify(note).first_bad == 0


def test_a_checkpoint_is_the_same_bytes_whenever_it_is_written(diary: Diary) -> None:
    diary.note(2)
    note = diary.day()
    diary.note(1)
    with diary.database.transaction(writes=True) as connection:
        again = close_periods(connection, diary.log, diary.keystore.signing_key(), clock=lambda: diary.moment[0])
    assert again is not None
    assert again.note == note


def test_days_on_which_nobody_asked_for_checkpoints_are_closed_each_for_itself(diary: Diary) -> None:
    diary.note(2)
    diary.moment[0] += timedelta(days=3)
    diary.note(1)
    diary.day()
    with diary.database.transaction(writes=False) as connection:
        closed = closed_periods(connection)
    assert [one.next_position for one in closed] == [2, 2, 2, 3]
    assert diary.verify(closed[-1].note).whole


def test_time_never_runs_backwards(diary: Diary) -> None:
    diary.note()
    diary.moment[0] -= timedelta(hours=5)
    diary.note()
    with diary.database.transaction(writes=False) as connection:
        assert [entry.at for entry in entries(connection)] == ["2026-03-01T00:00:00Z"] * 2


def test_a_reason_is_sealed_and_opens_for_the_organisation(diary: Diary, tmp_path: Path) -> None:
    diary.note(reason="asked by the person's lawyer")
    diary.database.scrub()
    assert b"lawyer" not in (tmp_path / "log.sqlite").read_bytes()
    with diary.database.transaction(writes=False) as connection:
        (entry,) = entries(connection)
        assert diary.log.reason(entry) == "asked by the person's lawyer"


def test_the_reasons_go_with_an_erased_person_and_the_chain_holds(diary: Diary) -> None:
    diary.note(2, person=7)
    diary.note(2, person=8)
    with diary.database.transaction(writes=True) as connection:
        diary.log.forget_reasons(connection, object_kind="person", object_id="7")
    with diary.database.transaction(writes=False) as connection:
        assert [diary.log.reason(entry) for entry in entries(connection)] == [
            None,
            None,
            "asked for it",
            "asked for it",
        ]
    assert diary.verify(erased={7}).whole


REMOVED = "UPDATE audit SET reason_sealed = NULL, reason_wrapped_dek = NULL, reason_epoch = NULL WHERE position = 2"
SPOILED = "UPDATE audit SET reason_wrapped_dek = x'00' WHERE position = 2"


@pytest.mark.parametrize(("statement", "fault"), [(REMOVED, "was removed"), (SPOILED, "cannot be opened")])
def test_a_reason_that_somebody_removed_or_spoiled_is_found(diary: Diary, statement: str, fault: str) -> None:
    diary.note(4, person=8)
    diary.tamper(statement)
    for erased in (None, {7}):  # whom the database remembers; whom the anchor knows
        found = diary.verify(erased=erased)
        assert found.first_bad == 2
        assert fault in found.fault


def test_the_actor_is_the_systems_user_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    before = system_actor()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert system_actor() == before == pwd.getpwuid(os.getuid()).pw_name


def test_a_reason_opens_after_its_epoch_was_replaced(diary: Diary) -> None:
    diary.note(3)
    keys = diary.keystore.organisation("north")
    keys.begin_epoch("2026-04")
    with diary.database.transaction(writes=True) as connection:
        diary.log.rewrap(connection, "north")
    keys.retire_epoch("2026-03")
    with diary.database.transaction(writes=False) as connection:
        assert {diary.log.reason(entry) for entry in entries(connection)} == {"asked for it"}
    assert diary.verify().whole


def test_a_reason_of_the_vault_itself_opens(diary: Diary) -> None:
    with diary.database.transaction(writes=True) as connection:
        diary.log.append(connection, action="vault.x", object_kind="vault", object_id="v", reason="moved")
    with diary.database.transaction(writes=False) as connection:
        assert [diary.log.reason(entry) for entry in entries(connection)] == ["moved"]


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "Read"},
        {"action": ""},
        {"action": "person read"},
        {"object_kind": "a\nb"},
        {"object_id": ""},
        {"object_id": "x" * 201},
        {"object_id": "a\nb"},
        {"actor": ""},
        {"actor": "a\x00b"},
    ],
)
def test_an_entry_in_another_form_is_refused(diary: Diary, fields: dict[str, Any]) -> None:
    whole = {"action": "person.read", "object_kind": "person", "object_id": "1", **fields}
    with diary.database.transaction(writes=True) as connection, pytest.raises(AuditEntryError):
        diary.log.append(connection, **whole)


def test_lost_entries_are_listed_and_a_checkpoint_from_before_finds_them(diary: Diary) -> None:
    diary.note(2)
    first = diary.day()
    diary.note(4)
    second = diary.day()
    head = diary.head()
    with diary.database.transaction(writes=False) as connection:
        closed = closed_periods(connection)
    diary.tamper("DELETE FROM audit WHERE position >= 4")
    with diary.database.transaction(writes=True) as connection:
        lost = LostEntries(first=4, last=5, chain=head.chain)
        diary.log.append_after_loss(connection, lost, not_before=head.at, actor="clerk", reason="the disk failed")
    diary.note(1)
    third = diary.day()
    found = diary.verify(first, third)
    assert found.whole
    assert found.lost == (lost,)
    assert diary.verify(second).first_bad == 4  # its entries 4 and 5 are gone
    assert closed[1].next_position == 6


def test_a_restore_that_names_too_few_entries_is_found(diary: Diary) -> None:
    diary.note(6)
    head = diary.head()
    diary.tamper("DELETE FROM audit WHERE position >= 3")
    with diary.database.transaction(writes=True) as connection:
        lost = LostEntries(first=4, last=5, chain=head.chain)
        diary.log.append_after_loss(connection, lost, not_before=head.at)
    assert diary.verify().first_bad == 3


# notes, by the words of C2SP


def test_a_note_has_the_form_of_c2sp() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes_raw()
    note = sign_note("casehaven/demo\n8\nAAAA\n", "casehaven/demo", private)
    body, _, line = note.partition("\n\n")
    assert body == "casehaven/demo\n8\nAAAA"
    dash, name, written = line.rstrip("\n").split(" ")
    assert (dash, name) == ("\N{EM DASH}", "casehaven/demo")
    raw = base64.b64decode(written)
    assert raw[:4] == hashlib.sha256(b"casehaven/demo\n\x01" + public).digest()[:4]
    private.public_key().verify(raw[4:], b"casehaven/demo\n8\nAAAA\n")
    assert NoteKey(name="casehaven/demo", public_key=public).text.startswith(f"casehaven/demo+{raw[:4].hex()}+A")


def test_the_published_key_of_the_go_checksum_database_has_our_key_id() -> None:
    published = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    raw = base64.b64decode(published.split("+", 2)[2])
    assert NoteKey(name="sum.golang.org", public_key=raw[1:]).text == published


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("8\n", "9\n", 1),
        lambda note: note.replace("\n\n", "\n", 1),
        lambda note: note.replace("casehaven/demo", "casehaven/other", 1),
        lambda note: note.replace("\N{EM DASH} casehaven/demo", "\N{EM DASH} casehaven/other"),
        lambda note: note[:-3] + "\n",
        lambda note: note + "x",
        lambda note: note.replace("\N{EM DASH}", "-"),
        lambda note: "",
        lambda note: "\n\n",
    ],
)
def test_a_note_with_any_change_is_refused(change: Callable[[str], str]) -> None:
    private = Ed25519PrivateKey.generate()
    key = NoteKey(name="casehaven/demo", public_key=private.public_key().public_bytes_raw())
    note = sign_note(f"casehaven/demo\n8\n{base64.b64encode(bytes(32)).decode()}\n", "casehaven/demo", private)
    assert parse_checkpoint(note.encode(), key).size == 8
    with pytest.raises(CheckpointError):
        parse_checkpoint(change(note).encode(), key)


def test_a_note_of_ours_about_another_log_is_no_checkpoint() -> None:
    private = Ed25519PrivateKey.generate()
    key = NoteKey(name="casehaven/demo", public_key=private.public_key().public_bytes_raw())
    body = f"casehaven/other\n8\n{base64.b64encode(bytes(32)).decode()}\n"
    with pytest.raises(CheckpointError, match="another log"):
        parse_checkpoint(sign_note(body, "casehaven/demo", private).encode(), key)


def test_signatures_by_witnesses_are_passed_over() -> None:
    ours, witness = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    key = NoteKey(name="casehaven/demo", public_key=ours.public_key().public_bytes_raw())
    body = "casehaven/demo\n8\nAAAA\n"
    cosigned = sign_note(body, "casehaven/demo", ours) + sign_note(body, "witness", witness).partition("\n\n")[2]
    assert verify_note(cosigned, key) == body


# the tree, against the definition


def _rfc6962(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + _rfc6962(leaves[:k]) + _rfc6962(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    assert merkle_root([leaf_hash(leaf) for leaf in leaves]) == _rfc6962(leaves)


@given(st.integers(1, 9), st.sampled_from([2, 4, 8]))
def test_the_root_over_whole_branches_is_the_root_over_their_leaves(periods: int, places: int) -> None:
    leaves = [bytes([i]) for i in range(periods * places)]
    branches = [merkle_root([leaf_hash(x) for x in leaves[i : i + places]]) for i in range(0, len(leaves), places)]
    assert merkle_root(branches) == _rfc6962(leaves)


def test_the_root_of_a_published_tree_comes_out() -> None:
    """The eight leaves of the tests of Certificate Transparency."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    root = merkle_root([leaf_hash(bytes.fromhex(leaf)) for leaf in leaves])
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert node_hash(b"", b"") == hashlib.sha256(b"\x01").digest()


def test_a_page_of_the_file_with_flipped_bits_is_found(diary: Diary, tmp_path: Path) -> None:
    """Every byte of an entry's row matters: flip each byte of the leaf as it lies on disk."""
    diary.note(2, reason=None)
    diary.database.scrub()
    path = tmp_path / "log.sqlite"
    whole = path.read_bytes()
    with sqlite3.connect(path) as connection:
        (leaf,) = connection.execute("SELECT leaf FROM audit WHERE position = 1").fetchone()
    connection.close()
    place = whole.index(leaf)
    for offset in range(-20, 64):
        path.write_bytes(whole[: place + offset] + bytes([whole[place + offset] ^ 1]) + whole[place + offset + 1 :])
        try:
            assert not diary.verify().whole, offset
        except (DatabaseError, ValueError, TypeError):
            continue


# the formulas of docs/spec/audit.md, written down a second time


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(8, "big") + value


def _keyed(key: bytes, *fields: bytes) -> bytes:
    return hmac.new(key, b"".join(map(_field, fields)), hashlib.sha256).digest()


def test_leaves_chains_and_periods_are_those_of_the_specification(diary: Diary) -> None:
    diary.note(2)
    diary.note(8, reason=None)
    diary.day()
    key, origin = diary.keystore.audit_key(), b"casehaven/" + b"0" * 32
    chain, leaves = hashlib.sha256(b"casehaven-audit-chain/1" + origin).digest(), []
    with diary.database.transaction(writes=False) as connection:
        for entry in entries(connection):
            texts = [str(entry.position), entry.at, entry.actor, entry.action, entry.organisation, entry.object_kind]
            digest = b"" if entry.reason is None else hashlib.sha256(entry.reason.sealed).digest()
            fields = [text.encode() for text in [*texts, entry.object_id]]
            leaves.append(_keyed(key, b"casehaven-audit-leaf/1", *fields, digest))
            chain = hashlib.sha256(b"casehaven-audit-chain/1" + chain + leaves[-1]).digest()
            assert (entry.leaf, entry.chain) == (leaves[-1], chain)
        (closed,) = closed_periods(connection)
    overflow = _keyed(key, b"casehaven-audit-overflow/1", b"0", *leaves[7:])
    assert closed.root == _rfc6962([*leaves[:7], overflow])


def test_the_padding_of_a_period_is_that_of_the_specification(diary: Diary) -> None:
    diary.day()
    key = diary.keystore.audit_key()
    with diary.database.transaction(writes=False) as connection:
        (closed,) = closed_periods(connection)
    padding = [_keyed(key, b"casehaven-audit-padding/1", f"0/{place}".encode()) for place in range(8)]
    assert closed.root == _rfc6962(padding)
