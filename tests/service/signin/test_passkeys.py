"""Passkeys: what a device and a browser must answer, with a device made of software that can answer wrongly."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from tests.front_door import SoftPasskey, b64, unb64

from casehaven.organisations.roles import Role
from casehaven.signin import credentials, sign_in
from casehaven.signin.errors import BrokenPasskeyError, OriginError, WrongCredentialsError
from casehaven.signin.models import challenge, passkey
from casehaven.signin.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.front_door import FrontDoor, Person

USER_VERIFIED, USER_PRESENT = 0b100, 0b1


def _register(door: FrontDoor, person: Person, device: SoftPasskey, options: dict[str, Any] | None = None) -> None:
    member = door.member(person.handle)
    answer = device.register(credentials.begin_passkey(door.site, member) if options is None else options)
    credentials.add_passkey(door.site, member, answer, name="new", session_id=door.session(person.session).id)


def test_options_ask_for_a_discoverable_passkey_with_verification_at_this_site(door: FrontDoor) -> None:
    ana = door.set_up()
    made = credentials.begin_passkey(door.site, door.member("ana"))
    assert made["rp"]["id"] == "localhost"
    assert made["authenticatorSelection"]["residentKey"] == "required"
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert made["attestation"] == "none"
    assert [unb64(each["id"]) for each in made["excludeCredentials"]] == [ana.passkey.credential]
    asked = sign_in.passkey_options(door.site)
    assert (asked["rpId"], asked["userVerification"]) == ("localhost", "required")
    assert not asked.get("allowCredentials")
    assert len(unb64(asked["challenge"])) == 32


@pytest.mark.parametrize(
    "device",
    [
        SoftPasskey(origin="https://localhost.evil.example"),
        SoftPasskey(origin="http://localhost:8471"),
        SoftPasskey(origin="https://localhost:8470"),
        SoftPasskey(rp_id="evil.example"),
        SoftPasskey(flags=USER_PRESENT),
        SoftPasskey(flags=USER_VERIFIED),
    ],
    ids=["look-alike", "other port", "other scheme", "other site", "not verified", "not present"],
)
def test_a_passkey_made_elsewhere_or_without_the_person_is_refused(door: FrontDoor, device: SoftPasskey) -> None:
    ana = door.set_up()
    with pytest.raises(BrokenPasskeyError):
        _register(door, ana, device)


CHANGES: dict[str, Callable[[SoftPasskey], None]] = {
    "look-alike": lambda device: setattr(device, "origin", "https://localhost.evil.example"),
    "other site": lambda device: setattr(device, "rp_id", "evil.example"),
    "not verified": lambda device: setattr(device, "flags", USER_PRESENT),
    "not present": lambda device: setattr(device, "flags", USER_VERIFIED),
    "unknown": lambda device: setattr(device, "credential", b"somebody else's!"),
    "other key": lambda device: setattr(device, "key", SoftPasskey().key),
    "copied": lambda device: setattr(device, "count", device.count - 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_answer_from_elsewhere_without_the_person_or_from_a_copy_is_refused(door: FrontDoor, name: str) -> None:
    ana = door.set_up()
    door.sign_in(ana)
    door.sign_in(ana)
    CHANGES[name](ana.passkey)
    with pytest.raises(WrongCredentialsError):
        door.sign_in(ana)


def test_a_passkey_that_never_counts_is_taken_and_one_that_stops_counting_is_not(door: FrontDoor) -> None:
    ana = door.set_up()
    ana.passkey.count = -1  # answers 0
    door.sign_in(ana)
    ana.passkey.count = -1
    door.sign_in(ana)
    ana.passkey.count = 7
    door.sign_in(ana)
    ana.passkey.count = 7
    with pytest.raises(WrongCredentialsError):
        door.sign_in(ana)


def test_an_answer_works_once_and_for_five_minutes(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()
    answer = ana.passkey.sign(sign_in.passkey_options(door.site))
    sign_in.sign_in_with_passkey(door.site, answer)
    with door.site.writing() as connection:
        connection.execute(update(passkey).values(sign_count=0))  # so that the counter does not catch it
    with pytest.raises(WrongCredentialsError):
        sign_in.sign_in_with_passkey(door.site, answer)
    late = ana.passkey.sign(sign_in.passkey_options(door.site))
    door.clock.now += 300
    with pytest.raises(WrongCredentialsError):
        sign_in.sign_in_with_passkey(door.site, late)


def test_a_challenge_is_used_up_by_a_wrong_answer_too(door: FrontDoor) -> None:
    ana = door.set_up()
    options = sign_in.passkey_options(door.site)
    with pytest.raises(WrongCredentialsError):
        sign_in.sign_in_with_passkey(door.site, SoftPasskey().sign(options))
    with pytest.raises(WrongCredentialsError):
        sign_in.sign_in_with_passkey(door.site, ana.passkey.sign(options))
    made = credentials.begin_passkey(door.site, door.member("ana"))
    with pytest.raises(BrokenPasskeyError):
        _register(door, ana, SoftPasskey(flags=USER_PRESENT), made)
    with pytest.raises(BrokenPasskeyError):
        _register(door, ana, SoftPasskey(), made)


def test_a_challenge_that_the_site_never_made_or_made_for_something_else_is_refused(door: FrontDoor) -> None:
    ana = door.set_up()
    member = door.member("ana")
    session = door.session(ana.session)
    for options in (
        {"challenge": b64(bytes(32))},
        {"challenge": ""},
        {"challenge": 7},
        credentials.begin_passkey(door.site, member),
        sign_in.step_up_options(door.site, session),
    ):
        with pytest.raises(WrongCredentialsError):
            sign_in.sign_in_with_passkey(door.site, ana.passkey.sign(options))
    with pytest.raises(BrokenPasskeyError):
        _register(door, ana, SoftPasskey(), sign_in.passkey_options(door.site))


def test_a_registration_for_one_member_is_none_for_another(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    with pytest.raises(BrokenPasskeyError):
        _register(door, bob, SoftPasskey(), credentials.begin_passkey(door.site, door.member("ana")))


def test_a_passkey_belongs_to_one_member(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    with pytest.raises(BrokenPasskeyError):
        _register(door, bob, SoftPasskey(credential=ana.passkey.credential))


def test_what_is_no_answer_at_all_is_refused_without_a_fault(door: FrontDoor) -> None:
    ana = door.set_up()
    good = ana.passkey.sign(sign_in.passkey_options(door.site))
    client = json.loads(unb64(good["response"]["clientDataJSON"]))

    def with_client(text: bytes) -> dict[str, Any]:
        answer = copy.deepcopy(good)
        answer["response"]["clientDataJSON"] = b64(text)
        return answer

    bad: list[Any] = [
        {},
        {"response": {}},
        {"response": None, "rawId": 1},
        {"response": {"clientDataJSON": "!"}},
        with_client(b"[]"),
        with_client(b"\xff"),
        with_client(b'{"challenge": null}'),
        with_client(json.dumps({**client, "type": "webauthn.create"}).encode()),
        {**good, "rawId": None},
        {**good, "rawId": "?"},
        {**good, "type": "password"},
        {**good, "response": {**good["response"], "signature": "AAAA"}},
        {**good, "response": {**good["response"], "authenticatorData": "AAAA"}},
    ]
    for unverified in bad:
        with pytest.raises(WrongCredentialsError):
            sign_in.sign_in_with_passkey(door.site, unverified)


def test_the_database_keeps_public_keys_and_no_challenge(door: FrontDoor) -> None:
    ana = door.set_up()
    options = sign_in.passkey_options(door.site)
    with door.site.reading() as connection:
        (row,) = connection.execute(select(challenge)).all()
        stored = connection.execute(select(passkey)).one()
    assert bytes(row.digest) != unb64(options["challenge"])
    private = ana.passkey.key.private_numbers().private_value.to_bytes(32, "big")
    assert private not in bytes(stored.public_key)


@pytest.mark.parametrize(
    "origin",
    ["http://cases.example", "http://127.0.0.1:8470", "https://192.0.2.1", "ftp://cases.example", "https://a/b", ""],
)
def test_an_address_that_browsers_do_not_sign_in_at_is_refused(door: FrontDoor, origin: str) -> None:
    with pytest.raises(OriginError):
        Site(database=door.site.database, key=door.site.key, origin=origin)
