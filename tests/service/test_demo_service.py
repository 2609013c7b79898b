"""The demonstration's service: its accounts sign in, its researcher may ask, and no password is on disk."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from casehaven.cli import main
from casehaven.cli._demo_service import ACCOUNTS, prepare_service, shown_accounts
from casehaven.organisations.members import member_named
from casehaven.serving.api_process import service_of
from casehaven.signin.codes import take_code
from casehaven.signin.passwords import stored_password


def test_its_accounts_sign_in_and_no_password_is_on_disk(tmp_path: Path) -> None:
    place, listening, accounts = prepare_service(
        tmp_path / "service", lambda line: main.main(shlex.split(line), standalone_mode=False), 8470, people=60
    )
    _, site = service_of(place.open_store(), listening)
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
    shown = "\n".join(shown_accounts(listening, accounts))
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for one in accounts:
        assert shown.count(one.password) == shown.count(one.secret) == 1
        assert not any(one.password.encode() in content or one.secret.encode() in content for content in kept)
    assert len({one.password for one in accounts} | {one.secret for one in accounts}) == 2 * len(accounts)
