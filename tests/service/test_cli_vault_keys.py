"""`casehaven vault keys`: rotation, backup and escrow from the command line, on a vault with people in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.core.audit import entries
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import file_key
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CASEHAVEN_VAULT_PASSPHRASE", "CASEHAVEN_NEW_VAULT_PASSPHRASE", "CASEHAVEN_ROOT_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CASEHAVEN_CUSTODIAN_PASSPHRASE", "")
    monkeypatch.chdir(tmp_path)


def _run(*arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)


def _actions(house: SafeHouse, vault: Vault) -> list[str]:
    with vault.database.transaction(writes=False) as connection:
        return [entry.action for entry in entries(connection)]


def _token(vault: Vault, people: MakePeople) -> str:
    return people(1)[0]["token"]


def test_the_keys_are_shown_without_a_key(house: SafeHouse) -> None:
    shown = house.run("vault", "keys", "show")
    assert shown.exit_code == 0, shown.output
    assert "root key   version 1, kept in: key" in shown.output
    assert "north: version 1, epoch 20" in shown.output
    root = (house.folder / "root.key").read_text("ascii").split(":")[1].strip()
    assert root not in shown.output


def test_each_rotation_keeps_the_records_and_is_in_the_audit_log(house: SafeHouse, people: MakePeople) -> None:
    house.take_in(people(3))
    before = house.open().keystore.organisation("north").epoch
    for rotation in (["organisation", "north"], ["epoch", "north"]):
        rotated = house.run("vault", "keys", "rotate", *rotation)
        assert rotated.exit_code == 0, rotated.output
    assert "no earlier backup" in rotated.output  # of the epoch: from here on the vault has none
    assert "run `casehaven backup` and `casehaven drill` now" in rotated.output
    new = house.folder / "new.key"
    rotated = house.run("vault", "keys", "rotate", "root", "--new-root-key", f"file:{new}")
    assert rotated.exit_code == 0, rotated.output
    assert "does not open this keystore" in rotated.output

    refused = house.run("vault", "keys", "show")
    assert refused.exit_code == 1
    assert "error: the root key does not open this keystore" in refused.output
    assert "try: name the root key of this vault with --root-key" in refused.output

    vault = Vault.open(house.path, file_key(new))
    assert vault.keystore.root_version == 2
    assert vault.keystore.organisation("north").version == 2
    assert vault.keystore.organisation("north").epochs != (before,)
    person = vault.person_by_token(vault.dataset("north", "cases"), _token(vault, people))
    assert person is not None
    assert vault.read_records(person, reason="to see that it opens")
    actions = _actions(house, vault)
    assert {"organisation_key.rotate", "epoch.rotate", "root_key.rotate"} <= {*actions}


def test_a_root_key_becomes_a_passphrase(house: SafeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEHAVEN_NEW_VAULT_PASSPHRASE", "too short")
    refused = house.run("vault", "keys", "rotate", "root", "--new-root-key", "passphrase")
    assert refused.exit_code == 1
    assert "at least 16 characters" in refused.output
    monkeypatch.setenv("CASEHAVEN_NEW_VAULT_PASSPHRASE", "five words drawn by dice")
    rotated = house.run("vault", "keys", "rotate", "root", "--new-root-key", "passphrase")
    assert rotated.exit_code == 0, rotated.output
    monkeypatch.setenv("CASEHAVEN_VAULT_PASSPHRASE", "five words drawn by dice")
    shown = _run("vault", "keys", "show", "--vault", house.path, "--root-key", "passphrase")
    assert "version 2, kept in: passphrase" in shown.output, shown.output


def test_a_rotation_is_not_undone_by_an_older_keystore(house: SafeHouse) -> None:
    """The anchor remembers how far the keystore was."""
    keys = house.path.with_name("vault.keys") / "keystore.json"
    old = keys.read_bytes()
    assert house.run("vault", "keys", "rotate", "organisation", "north").exit_code == 0
    keys.write_bytes(old)
    refused = house.run("vault", "keys", "show")
    assert refused.exit_code == 1
    assert "older than the anchor" in refused.output


def test_a_copy_of_the_keys_is_written_over_and_restored(house: SafeHouse) -> None:
    copy = house.folder / "keys.json"
    for _ in range(2):
        written = house.run("vault", "keys", "backup", copy)
        assert written.exit_code == 0, written.output
    keys = house.path.with_name("vault.keys")
    shutil.rmtree(keys)
    missing = house.run("vault", "keys", "show")
    assert (missing.exit_code, "there is no keystore" in missing.output) == (1, True)
    root = ["--root-key", f"file:{house.folder / 'root.key'}"]
    restored = _run("vault", "keys", "restore", copy, "--keystore", keys, *root)
    assert restored.exit_code == 0, restored.output
    assert house.run("vault", "keys", "show").exit_code == 0
    again = _run("vault", "keys", "restore", copy, "--keystore", keys, *root)
    assert (again.exit_code, "never overwritten" in again.output) == (1, True)


def _packet(house: SafeHouse, folder: Path, threshold: int = 2) -> Path:
    """A packet for three custodians."""
    custodians: list[str] = []
    for number in range(3):
        made = _run("vault", "keys", "escrow", "custodian", "-o", folder / f"custodian-{number}.pem")
        assert made.exit_code == 0, made.output
        custodians += ["--custodian", f"Office {number}", f"keeper-{number}", made.stdout.splitlines()[0]]
    create = ("vault", "keys", "escrow", "create", "north", "--threshold", str(threshold))
    created = house.run(*create, "-o", folder / "packet.json", *custodians)
    assert created.exit_code == 0, created.output
    return folder / "packet.json"


def test_an_organisation_that_lost_its_root_key_gets_its_records_back_through_escrow(
    house: SafeHouse, people: MakePeople, tmp_path: Path
) -> None:
    house.take_in(people(3))
    packet = _packet(house, tmp_path)
    vault = house.open()
    assert "escrow.create" in _actions(house, vault)
    token = _token(vault, people)

    keys, anchor = house.path.with_name("vault.keys"), house.path.with_name("vault.anchor")
    shutil.rmtree(keys)
    anchor.unlink()
    (house.folder / "root.key").unlink()

    escrow = ("vault", "keys", "escrow")
    asked = _run(
        *(*escrow, "request", packet, "--requester", "north, the board", "--reason", "the server burnt down"),
        *("--wait", "0", "-o", "request.json"),
    )
    assert asked.exit_code == 0, asked.output
    for number in (0, 2):
        answered = _run(
            *(*escrow, "answer", packet, "request.json", "--custodian-key", f"custodian-{number}.pem"),
            *("-o", f"answer-{number}.json"),
            given="y\n",
        )
        assert answered.exit_code == 0, answered.output
        assert "the server burnt down" in answered.output
    into = ("--request-key", "request.json.key", "--keystore", keys, "--root-key", f"file:{house.folder / 'root.key'}")
    few = _run(*escrow, "open", packet, "request.json", "answer-0.json", *into)
    assert (few.exit_code, "2 custodians are needed, 1 answered" in few.output) == (1, True)
    assert not keys.exists()
    opened = _run(*escrow, "open", packet, "request.json", "answer-0.json", "answer-2.json", *into)
    assert opened.exit_code == 0, opened.output

    unsigned = house.run("audit", "anchor", "--reason", "keys from escrow")
    assert (unsigned.exit_code, "vault.json was changed, or is another keystore's" in unsigned.output) == (1, True)
    assert house.run("audit", "anchor", "--at", anchor, "--reason", "keys from escrow").exit_code == 0
    shown = house.run("person", "show", token, "--reason", "to see that it opens")
    assert shown.exit_code == 0, shown.output
    assert token in shown.output
    steps = _run(*escrow, "log")
    assert [line.split()[1].rstrip(":") for line in steps.output.splitlines()[:-1]] == [
        *("escrow.create", "escrow.request", "escrow.answer", "escrow.answer", "escrow.open")
    ]
    assert len([*(tmp_path / "casehaven-escrow" / "notices").iterdir()]) == 5 * 4


def test_a_custodian_who_says_no_hands_nothing_over(house: SafeHouse, tmp_path: Path) -> None:
    packet = _packet(house, tmp_path)
    escrow = ("vault", "keys", "escrow")
    _run(*escrow, "request", packet, "--requester", "x", "--reason", "x", "--wait", "0", "-o", "request.json")
    answer = (*escrow, "answer", packet, "request.json", "--custodian-key", "custodian-1.pem", "-o", "answer.json")
    assert _run(*answer, given="n\n").exit_code == 130
    assert not (tmp_path / "answer.json").exists()
    assert "escrow.answer" not in _run(*escrow, "log").output


def test_a_request_is_refused_before_its_time(house: SafeHouse, tmp_path: Path) -> None:
    packet = _packet(house, tmp_path)
    escrow = ("vault", "keys", "escrow")
    asked = _run(*escrow, "request", packet, "--requester", "x", "--reason", "x", "-o", "request.json")
    assert "It may be answered from" in asked.output
    early = _run(
        *(*escrow, "answer", packet, "request.json", "--custodian-key", "custodian-1.pem", "--yes"), "-o", "answer.json"
    )
    assert early.exit_code == 1
    assert "try: wait until the time has come" in early.output


def test_no_file_of_escrow_is_written_over(house: SafeHouse, tmp_path: Path) -> None:
    packet = _packet(house, tmp_path)
    escrow = ("vault", "keys", "escrow")
    before = packet.read_bytes()
    named = [c["public_key"] for c in json.loads(before)["custodians"]]
    custodians = [
        word
        for number, key in enumerate(named)
        for word in ("--custodian", f"Office {number}", f"keeper-{number}", f"casehaven-custodian/1:{key}")
    ]
    again = house.run(*escrow, "create", "north", "--threshold", "2", "-o", packet, *custodians)
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    assert packet.read_bytes() == before
    assert _run(*escrow, "custodian", "-o", "custodian-0.pem").exit_code == 1


def test_a_keystore_made_by_escrow_has_a_new_root_key(house: SafeHouse, tmp_path: Path) -> None:
    packet = _packet(house, tmp_path)
    escrow = ("vault", "keys", "escrow")
    _run(*escrow, "request", packet, "--requester", "x", "--reason", "x", "--wait", "0", "-o", "request.json")
    for number in (0, 1):
        _run(
            *(*escrow, "answer", packet, "request.json", "--custodian-key", f"custodian-{number}.pem", "--yes"),
            *("-o", f"answer-{number}.json"),
        )
    opened = _run(
        *(*escrow, "open", packet, "request.json", "answer-0.json", "answer-1.json"),
        *("--request-key", "request.json.key", "--keystore", "new.keys", "--root-key", "file:new.key"),
    )
    assert opened.exit_code == 0, opened.output
    made = Keystore.open(tmp_path / "new.keys", file_key(tmp_path / "new.key"))
    assert made.organisations == ("north",)
    assert made.keystore_id != house.open().keystore.keystore_id
