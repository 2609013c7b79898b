"""What tests of sign-in share: a service store with a clock that tests move, members who joined in the real way, and a passkey made of software."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from fastapi import FastAPI, Request
from webauthn.helpers import encode_cbor

from casehaven.api import bounded, create_app
from casehaven.core.limits import Limits
from casehaven.core.service_store import ServiceStore
from casehaven.core.web import ApiSettings, Service
from casehaven.organisations import events, members
from casehaven.organisations.access import Principal
from casehaven.organisations.members import Member
from casehaven.organisations.roles import Kind, Role
from casehaven.signin import credentials, joining, one_time_codes, setup, sign_in
from casehaven.signin.principal import SESSION_COOKIE, current_principal
from casehaven.signin.sessions import Session, find_session
from casehaven.signin.sign_in import SignedIn
from casehaven.signin.sign_in_key import SignInKey
from casehaven.signin.site import Site

START = 1_800_000_000
ORIGIN = "http://localhost:8470"
PASSWORD = "a lamp beside the window"
ADDRESS = "192.0.2.7"


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(kw_only=True)
class SoftPasskey:
    """A passkey made of software: it answers as a device and a browser do, and can be told to answer wrongly."""

    origin: str = ORIGIN
    rp_id: str = "localhost"
    flags: int = 0b0100_0101
    """Present, verified, with attested data where it registers."""
    count: int = 0
    credential: bytes = field(default_factory=lambda: os.urandom(16))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def register(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer to options of a registration."""
        numbers = self.key.public_key().public_numbers()
        public = encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + public
        data = self._data(self.flags | 0b0100_0000) + attested
        answer = {"attestationObject": b64(encode_cbor({"fmt": "none", "attStmt": {}, "authData": data}))}
        return self._answer(options, "webauthn.create", answer)

    def sign(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer to options of an authentication; the counter grows."""
        self.count += 1
        data = self._data(self.flags & ~0b0100_0000)
        client = self._client(options, "webauthn.get")
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            options, "webauthn.get", {"authenticatorData": b64(data), "signature": b64(signature), "userHandle": None}
        )

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, options: Mapping[str, Any], kind: str) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()

    def _answer(self, options: Mapping[str, Any], kind: str, answer: dict[str, Any]) -> dict[str, Any]:
        response = {"clientDataJSON": b64(self._client(options, kind)), **answer}
        name = b64(self.credential)
        return {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}


class Served:
    """A front door behind a real server of its own on this computer."""

    def __init__(self, folder: Path, *, made: Path | None = None, assertions: bool = False) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.origin = f"http://localhost:{self._socket.getsockname()[1]}"
        self.door = FrontDoor.at(folder, made=made)
        self.door.site = replace(self.door.site, origin=self.origin)
        settings = ApiSettings(origin=self.origin, log=False, assertions=assertions)
        service = Service(
            store=self.door.store, settings=settings, key=os.urandom(32), clock=self.door.clock, limits=Limits()
        )
        app = bounded(create_app(service, self.door.site))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


@dataclass(kw_only=True)
class Person:
    """Somebody who joined, with everything that they hold."""

    handle: str
    passkey: SoftPasskey
    session: str
    """Value of the cookie."""
    secret: bytes = b""
    """Of the authenticator app, where there is one."""
    recovery_codes: tuple[str, ...] = ()

    def code(self, now: int) -> str:
        """What the app shows."""
        return TOTP(self.secret, 6, SHA1(), 30).generate(now).decode()


@dataclass(kw_only=True)
class FrontDoor:
    """A service store, and people who come to its door."""

    store: ServiceStore
    clock: HandClock
    site: Site

    @classmethod
    def at(cls, folder: Path, *, database: str | None = None, made: Path | None = None) -> FrontDoor:
        """Make one in a folder; copying an empty store is faster than making its tables."""
        if made is not None:
            shutil.copytree(made, folder)
            store = ServiceStore.open(folder)
        else:
            store = ServiceStore.create(folder, database)
        clock = HandClock()
        key = SignInKey.load_or_create(folder / "signin.key")
        return cls(store=store, clock=clock, site=Site(database=store.database, key=key, origin=ORIGIN, clock=clock))

    def set_up(self, handle: str = "ana", organisation: str = "north", kind: Kind = Kind.NGO) -> Person:
        """Let the first member make the first organisation."""
        code = setup.setup_code(self.site)
        assert code is not None
        value = setup.set_up(
            self.site, code, name=organisation, title="Shelter", kind=kind, handle=handle, address=ADDRESS
        )
        return self.enrol(handle, value)

    def found(self, handle: str, organisation: str, kind: Kind = Kind.NGO) -> Person:
        """Let somebody found another organisation; without an operator, to keep tests short."""
        with self.site.writing() as connection:
            made = members.found(connection, self.clock(), name=organisation, title="Office", kind=kind, first=handle)
            code = one_time_codes.new_code(connection, self.clock(), "join", made.id)
        return self.enrol(handle, joining.join(self.site, code, address=ADDRESS))

    def join(self, by: Person, handle: str, *roles: Role) -> Person:
        """Let somebody invite, and the other join."""
        _, code = joining.invite_member(self.site, self.principal(by), handle=handle, roles=frozenset(roles))
        return self.enrol(handle, joining.join(self.site, code, address=ADDRESS))

    def settle(self, *people: Person) -> None:
        """Let a week pass, after which people can approve recoveries, and let them sign in again."""
        self.clock.now += 7 * 86_400
        for person in people:
            self.sign_in(person)

    def enrol(self, handle: str, value: str) -> Person:
        """Make a passkey in an enrolling session, and sign in."""
        passkey, member, session = SoftPasskey(origin=self.site.origin), self.member(handle), self.session(value)
        answer = passkey.register(credentials.begin_passkey(self.site, member))
        credentials.add_passkey(self.site, member, answer, name="soft", session_id=session.id)
        return Person(handle=handle, passkey=passkey, session=joining.finish(self.site, self.member(handle), value))

    def give_password(self, person: Person, password: str = PASSWORD) -> None:
        """Let a person set a password and an app beside the passkey."""
        member, session = self.member(person.handle), self.session(person.session)
        credentials.set_new_password(self.site, member, password, session_id=session.id)
        uri = credentials.begin_app(self.site, member)
        person.secret = base64.b32decode(parse_qs(urlsplit(uri).query)["secret"][0])
        person.recovery_codes = credentials.confirm_app(
            self.site, member, person.code(self.clock()), session_id=session.id
        )
        self.clock.now += 60  # the next code is another one

    def give_password_to_enrolling(self, value: str, handle: str) -> None:
        """Begin to make a way in, and leave it there."""
        member = self.member(handle)
        credentials.set_new_password(self.site, member, PASSWORD, session_id=self.session(value).id)
        credentials.begin_app(self.site, member)

    def sign_in(self, person: Person) -> str:
        """Sign in with the passkey; the session takes the place of the one before in the person's hands."""
        found = sign_in.sign_in_with_passkey(self.site, person.passkey.sign(sign_in.passkey_options(self.site)))
        person.session = found.session
        return found.session

    def try_password(
        self,
        person: Person,
        *,
        password: str = PASSWORD,
        code: str | None = None,
        address: str = ADDRESS,
        device: str | None = None,
    ) -> SignedIn:
        """Sign in with password and code."""
        return sign_in.sign_in_with_password(
            self.site,
            handle=person.handle,
            password=password,
            code=person.code(self.clock()) if code is None else code,
            address=address,
            device=device,
        )

    def member(self, handle: str) -> Member:
        """Look somebody up."""
        with self.site.reading() as connection:
            return members.member_named(connection, handle)

    def session(self, value: str) -> Session:
        """Look a session up."""
        with self.site.reading() as connection:
            found = find_session(connection, self.clock(), value)
        assert found is not None
        return found[0]

    def request(self, headers: Iterable[tuple[str, str]], method: str = "GET") -> Request:
        """Return a request to an app at this site."""
        app = FastAPI()
        app.state.site = self.site
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        return Request({"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw, "app": app})

    def principal(self, person: Person) -> Principal:
        """Return who the service thinks a person is."""
        return current_principal(self.request([("Cookie", f"{SESSION_COOKIE}={person.session}")]))

    def bearer(self, token: str) -> Principal:
        """Return who the service thinks stands behind a token."""
        return current_principal(self.request([("Authorization", f"Bearer {token}")]))

    def actions(self) -> list[str]:
        """Return what the events say was done."""
        with self.site.reading() as connection:
            return [event.action for event in events.events_after(connection, 0)]
