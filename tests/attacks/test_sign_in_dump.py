"""A stolen copy of the service store: every secret that was ever handed out is looked for in its bytes, and what is there is tried at the door."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.front_door import ADDRESS, PASSWORD, FrontDoor, Person, SoftPasskey, unb64

from casehaven.core.service_store import ServiceStore
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotSignedInError
from casehaven.organisations.roles import Role
from casehaven.signin import codes, joining, recovery, setup, sign_in
from casehaven.signin.errors import SignInError, SignInKeyError
from casehaven.signin.one_time_codes import SECONDS, new_code, take_code
from casehaven.signin.sign_in_key import SignInKey
from casehaven.signin.tokens import make_token


@pytest.fixture
def door(tmp_path: Path) -> FrontDoor:
    return FrontDoor.at(tmp_path / "store")


def _spellings(secret: bytes | str) -> Iterator[bytes]:
    """A secret in every way in which somebody might have written it down."""
    if isinstance(secret, str):
        yield secret.encode()
        yield secret.replace("-", "").encode()
        yield secret.lower().encode()
        secret = secret.encode()
    yield secret
    yield secret.hex().encode()
    yield base64.b64encode(secret)
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")
    yield base64.b32encode(secret)
    yield hashlib.sha256(secret).digest()  # a bare hash: what a table of common passwords would find


def _everything(door: FrontDoor) -> dict[str, bytes | str]:
    """Use the whole of sign-in once; return every secret that left it."""
    secrets: dict[str, bytes | str] = {"set-up code": setup.setup_code(door.site) or ""}
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    door.give_password(ana)
    device = door.try_password(ana).device
    assert device is not None
    principal = door.principal(ana)
    with door.site.writing() as connection:
        _, chv = make_token(
            connection, door.clock(), principal, name="x", operations=frozenset({Operation.UPLOAD_CREATE}), days=9
        )
        operator = new_code(connection, door.clock(), "operator")
    _, invitation = joining.invite_member(door.site, door.principal(ana), handle="cleo", roles=frozenset())
    approvers = door.join(ana, "dan", Role.STEWARD), door.join(ana, "eli", Role.STEWARD)
    door.settle(*approvers)
    halves = [recovery.approve_recovery(door.site, door.principal(each), "ben")[0] for each in approvers]
    challenge = unb64(sign_in.passkey_options(door.site)["challenge"])
    private = ana.passkey.key.private_numbers().private_value.to_bytes(32, "big")
    return secrets | {
        "session": ana.session,
        "bytes of the session": unb64(ana.session.partition(".")[0]),
        "bytes of its lasting half": unb64(ana.session.partition(".")[2]),
        "first half of the session": ana.session.partition(".")[0],
        "lasting half of the session": ana.session.partition(".")[2],
        "another session": ben.session,
        "token": chv,
        "bytes of the token": unb64(chv.removeprefix("chv_")),
        "device": device,
        "password": PASSWORD,
        "secret of the app": ana.secret,
        "operator's code": operator,
        "invitation": invitation,
        "first half": halves[0],
        "second half": halves[1],
        "challenge": challenge,
        "private key of the passkey": private,
        "key of sign-in": door.site.key.key,
        "pepper": door.site.key.pepper(),
        "address": ADDRESS,
        **{f"recovery code {number}": code for number, code in enumerate(ana.recovery_codes)},
    }


def test_no_secret_is_in_any_byte_of_the_store(door: FrontDoor) -> None:
    secrets = _everything(door)
    files = [path for path in door.store.folder.iterdir() if path.is_file() and path.name != "signin.key"]
    assert any(path.name == "service.sqlite" for path in files)
    dump = b"\0".join(path.read_bytes() for path in files)
    assert b"ana" in dump  # the scan sees rows
    for name, secret in secrets.items():
        for spelling in _spellings(secret):
            assert spelling not in dump, name


def test_a_planted_secret_would_be_found(door: FrontDoor) -> None:
    secrets = _everything(door)
    with sqlite3.connect(door.store.folder / "service.sqlite") as connection:
        connection.execute("UPDATE organisation SET title = ?", (secrets["token"],))
    connection.close()
    dump = b"".join(path.read_bytes() for path in door.store.folder.glob("service.sqlite*"))
    assert str(secrets["token"]).encode() in dump


def test_no_value_of_any_row_opens_the_door(door: FrontDoor) -> None:
    """Every text and every hash of the dump is tried as cookie, token, code and half."""
    _everything(door)
    with sqlite3.connect(door.store.folder / "service.sqlite") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        values = {value for table in tables for row in connection.execute(f"SELECT * FROM {table}") for value in row}
    connection.close()
    tried = {value for value in values if isinstance(value, str) and value}
    for value in values:
        if isinstance(value, bytes):
            url = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
            tried |= {url, f"chv_{url}", value.hex(), base64.b32encode(value).decode()[:20]}
    assert len(tried) > 100
    for text in tried:
        with pytest.raises(NotSignedInError):
            door.principal(Person(handle="", passkey=SoftPasskey(), session=text))
        with pytest.raises(NotSignedInError):
            door.bearer(text)
    ana = door.member("ana").id
    with door.site.writing() as store:
        for text in tried:
            for purpose in SECONDS:
                assert take_code(store, door.clock(), purpose, text) == (False, None)
            assert codes.take_code(store, door.clock(), door.site.key, ana, text) is None


def test_a_copy_of_the_store_without_its_key_makes_no_code_and_checks_no_password(
    door: FrontDoor, tmp_path: Path
) -> None:
    ana = door.set_up()
    door.give_password(ana)
    thief = FrontDoor.at(tmp_path / "copy", made=door.store.folder)
    assert (
        SignInKey.load_or_create(tmp_path / "copy" / "signin.key") == door.site.key
    )  # copied along: this one is no thief
    (tmp_path / "copy" / "signin.key").unlink()
    thief = FrontDoor(
        store=ServiceStore.open(tmp_path / "copy"),
        clock=door.clock,
        site=type(door.site)(
            database=thief.store.database, key=SignInKey.create(), origin=door.site.origin, clock=door.clock
        ),
    )
    with pytest.raises((SignInError, SignInKeyError)):
        thief.try_password(ana)
