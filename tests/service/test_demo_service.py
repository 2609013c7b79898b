"""The demonstration's service: its accounts sign in, its researcher may ask, and no password is on disk. What stands in its way is said at once, and nothing is left of one that was interrupted."""

from __future__ import annotations

import os
import shlex
import socket
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from casehaven.cli import main
from casehaven.cli._demo_service import ACCOUNTS, _logged_in, prepare_service, shown_accounts
from casehaven.cli.demo import _nothing_left_of
from casehaven.organisations.members import member_named
from casehaven.people import People
from casehaven.serving.api_process import service_of
from casehaven.signin.codes import take_code
from casehaven.signin.passwords import stored_password
from casehaven.vault.rootkeys import parse_root
from casehaven.vault.store import Vault


def test_its_accounts_sign_in_and_no_password_is_on_disk(tmp_path: Path) -> None:
    made = prepare_service(
        tmp_path / "service", lambda line: main.main(shlex.split(line), standalone_mode=False), 8470, people=60
    )
    accounts = made.accounts
    _, site = service_of(made.place.open_store(), made.listening)
    assert [one.handle for one in accounts] == [handle for _, handle, _, _ in ACCOUNTS]
    now = int(time.time())
    with site.writing() as connection:
        for one, (organisation, _, roles, _) in zip(accounts, ACCOUNTS, strict=True):
            member = member_named(connection, one.handle)
            assert (member.active, member.organisation) == (True, organisation)
            assert member.roles >= roles
            stored = stored_password(connection, member.id)
            assert stored is not None and stored.matches(site, member.id, one.password)
            assert take_code(connection, now, site.key, member.id, one.code(now)) == "app"
    shown = "\n".join(shown_accounts(made))
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for one in accounts:
        assert shown.count(one.password) == shown.count(one.secret) == 1
        assert not any(one.password.encode() in content or one.secret.encode() in content for content in kept)
    assert str(made.upload) in shown and made.upload.is_file()
    vault = Vault.open(made.place.vault, parse_root(made.place.root))
    for name, reference in made.people.items():
        assert f"{reference} in {name}" in shown
        assert People(vault, vault.dataset(name, "cases")).find(reference, reason="a test")
    assert len({one.password for one in accounts} | {one.secret for one in accounts}) == 2 * len(accounts)


@pytest.mark.parametrize("after", [0, 1], ids=["port", "port-of-health"])
def test_a_port_that_is_taken_is_said_before_anything_is_made(tmp_path: Path, after: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = CliRunner().invoke(
            main, ["demo", "--out", str(tmp_path / "demo"), "--serve", "--port", str(port - after)]
        )
    assert said.exit_code != 0
    assert f"127.0.0.1 port {port} cannot be listened on" in said.output
    assert "choose another --port" in said.output and "password" not in said.output
    assert list((tmp_path / "demo").iterdir()) == []


@pytest.mark.parametrize("holds", ["service/service.sqlite", "notes.txt"])
def test_a_folder_that_holds_something_stays_as_it_is_and_a_service_in_it_can_be_started_again(
    tmp_path: Path, holds: str
) -> None:
    kept = tmp_path / "demo" / holds
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    said = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "demo"), "--serve"])
    assert said.exit_code != 0
    assert "demo is not empty" in said.output and "name an empty or new folder" in said.output
    again = f"casehaven serve --folder {tmp_path / 'demo' / 'service'}"
    assert (again in said.output) == (holds != "notes.txt")
    assert kept.read_bytes() == b"kept"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, click.Abort])
def test_nothing_is_left_of_a_demonstration_that_was_interrupted(
    tmp_path: Path, interrupt: type[BaseException]
) -> None:
    with pytest.raises(interrupt), _nothing_left_of(tmp_path):
        (tmp_path / "vault" / "inside").mkdir(parents=True)
        (tmp_path / "vault" / "inside" / "part").write_bytes(b"part")
        (tmp_path / "cases.csv").write_bytes(b"cases")
        raise interrupt
    assert list(tmp_path.iterdir()) == []


def test_what_is_logged_goes_to_a_file_and_what_fails_afterwards_to_the_terminal(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    before = os.dup(2)
    os.dup2(writing, 2)
    try:
        with _logged_in(tmp_path / "log.jsonl"):
            os.write(2, b"logged\n")
        os.write(2, b"said\n")
    finally:
        os.dup2(before, 2)
        for one in (before, writing):
            os.close(one)
    with os.fdopen(reading, "rb") as terminal:
        assert terminal.read() == b"said\n"
    assert (tmp_path / "log.jsonl").read_bytes() == b"logged\n"
