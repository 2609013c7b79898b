"""`casehaven demo --serve`: a service with made-up people and demonstration accounts, left running.

1. Everything is made anew in a folder of the demonstration: vault, ledger, keys, accounts. None of it is of use elsewhere, and the service listens on this computer alone.
2. Passwords and secrets of authenticator apps are shown on the terminal, once, and written nowhere in the clear.
3. Somebody without an authenticator presses Enter and is shown the codes of the moment: this terminal stands for the telephone of each of these people.
4. Beside the service lies a file to upload, and somebody in the records is named: without them a steward could try nothing.
5. Whether the ports are free is looked at before anything is made, and said before any password is shown.
"""

from __future__ import annotations

import base64
import csv
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from casehaven.cli.serve import worker_arguments
from casehaven.core.service_store import ServiceStore
from casehaven.ledger import Ledger
from casehaven.organisations import members
from casehaven.organisations.access import Principal
from casehaven.organisations.grants import grant_dataset
from casehaven.organisations.members import Member
from casehaven.organisations.roles import Kind, Role, rights_of
from casehaven.queries.public_facts import SnapshotFacts
from casehaven.serving.api_process import Listening, serve_api, service_of
from casehaven.serving.both import WorkerChild
from casehaven.serving.connections import Connections
from casehaven.serving.connections import listening as open_sockets
from casehaven.serving.errors import AddressTakenError
from casehaven.serving.folder import ServiceFolder
from casehaven.signin import codes
from casehaven.signin.passwords import hash_password, store_password
from casehaven.signin.site import Site
from casehaven.vault.rootkeys import parse_root
from casehaven.vault.store import Vault

PEOPLE: Final = 3_000
UPLOADED: Final = 40
LOG: Final = "log.jsonl"
PEOPLE_CAP: Final = 5_000
EPSILON: Final = "10"
HOST: Final = "127.0.0.1"
ORGANISATIONS: Final = {"north": Kind.NGO, "south": Kind.NGO, "ministry": Kind.POLICY}
ACCOUNTS: Final = (
    (
        "north",
        "nora",
        frozenset({Role.STEWARD, Role.CASEWORKER}),
        "north: steward, caseworker, privacy officer; begin with Datasets or People",
    ),
    ("north", "carla", frozenset({Role.CASEWORKER}), "north: caseworker; begin with People"),
    ("north", "rosa", frozenset({Role.RESEARCHER}), "north: researcher; begin with Ask"),
    ("north", "otto", frozenset({Role.PRIVACY_OFFICER}), "north: privacy officer; begin with Privacy"),
    (
        "south",
        "samir",
        frozenset({Role.STEWARD, Role.CASEWORKER}),
        "south: steward, caseworker, privacy officer; begin with Agreements",
    ),
    ("ministry", "petra", frozenset({Role.POLICYMAKER}), "ministry: policymaker; begin with Registry"),
)
"""Organisation, handle, roles, and who that is, as the terminal says it; the first of an organisation founds it, and has a founder's roles too."""

Run = Callable[[str], None]
"""Runs a command as it is typed, and shows it."""


@dataclass(frozen=True, kw_only=True)
class DemoAccount:
    """Somebody who can sign in."""

    handle: str
    who: str
    password: str
    secret: str
    """Of the authenticator app, base 32."""

    def code(self, now: int) -> str:
        """Return the app's code of a moment."""
        return TOTP(base64.b32decode(self.secret), 6, SHA1(), codes.STEP_SECONDS).generate(now).decode()


def require_free(port: int) -> None:
    """Refuse a port that something else listens on, and the one after it, which is that of health.

    Raises:
        AddressTakenError: says which one.
    """
    for one in (port, port + 1):
        try:
            made = open_sockets(HOST, one, Connections(proxy=None))
            for each in made:
                with each:
                    each.listen(1)
        except OSError:
            raise AddressTakenError(f"{HOST} port {one} cannot be listened on") from None


@dataclass(frozen=True, kw_only=True)
class DemoService:
    """What `prepare_service` made."""

    place: ServiceFolder
    listening: Listening
    accounts: list[DemoAccount]
    upload: Path
    """A file of made-up people whom no dataset holds."""
    people: dict[str, str]
    """By organisation, the case reference of somebody in its records."""


def prepare_service(folder: Path, run: Run, port: int, *, people: int = PEOPLE) -> DemoService:
    """Make a service with two NGOs' made-up people, its accounts, and a file to upload in a folder beside it.

    Args:
        folder: new.
        run: runs `casehaven`.
        port: to listen on.
        people: how many are made up.
    """
    place = ServiceFolder.at(folder)
    store = place.make(epsilon=EPSILON)
    run(f"generate --people {people} --seed 2 --organisations 2 -o {folder / 'cases.csv'}")
    where = f"--vault {place.vault} --root-key {place.root}"
    known = {}
    for number, name in enumerate(("north", "south"), 1):
        file = folder / f"cases-{number}.csv"
        with file.open(encoding="utf-8", newline="") as rows:
            known[name] = next(csv.DictReader(rows))["caseReference"]
        run(
            f"intake {file} --organisation {name} --dataset cases --schema ctdc-global --people-cap {PEOPLE_CAP} --yes {where}"
        )
        file.unlink()
    upload = folder.parent / "to-upload.csv"
    run(f"generate --people {UPLOADED} --seed 3 --dialect kobo-csv -o {upload}")
    vault, ledger = Vault.open(place.vault, parse_root(place.root)), Ledger.open(place.ledger)
    for dataset in vault.datasets():
        facts = SnapshotFacts.of([dataset], "separate", vault_id=vault.vault_id, seconds=0)
        ledger.open_dataset(dataset.id, facts.blocks)
    listening = Listening(port=port, status_port=port + 1, origin=f"http://localhost:{port}")
    _, site = service_of(store, listening)
    return DemoService(place=place, listening=listening, accounts=_accounts(store, site), upload=upload, people=known)


def serve_demo(made: DemoService) -> None:
    """Show the accounts, and serve until Ctrl-C."""
    place, listening, accounts = made.place, made.listening, made.accounts
    child = WorkerChild(worker_arguments(place))
    service, site = service_of(place.open_store(), listening, wake=child.wake)
    for line in shown_accounts(made):
        click.echo(line)
    with _logged_in(place.path / LOG):
        child.start()
        if sys.stdin.isatty():
            threading.Thread(target=_codes_on_enter, args=(accounts,), name="codes", daemon=True).start()
        try:
            serve_api(service, site, listening)
        finally:
            child.stop()


@contextmanager
def _logged_in(path: Path) -> Iterator[None]:
    """Let what this process and its worker log go to a file while the block runs: the terminal is for the accounts."""
    before = os.dup(2)
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(file)


def shown_accounts(made: DemoService) -> list[str]:
    """Return what the terminal shows, once."""
    lines = [
        "",
        f"The service runs at {made.listening.origin} until you press Ctrl-C; its people are made up.",
        "Sign in with a handle, its password, and a code: put a secret into an authenticator app, or press Enter here for the codes of the moment.",
        "",
        f"{'handle':<8}{'password':<22}{'secret for an authenticator':<34}who",
    ]
    lines += [f"{one.handle:<8}{one.password:<22}{one.secret:<34}{one.who}" for one in made.accounts]
    persons = ", ".join(f"{reference} in {name}" for name, reference in made.people.items())
    return [
        *lines,
        "",
        f"A file to upload     {made.upload}",
        f"People to look up    {persons}",
        "Guides for each      docs/guides/README.md",
        f"The service's log    {made.place.path / LOG}",
        "",
        "Passwords and secrets are shown this once, and written nowhere in the clear.",
        "",
    ]


def _accounts(store: ServiceStore, site: Site) -> list[DemoAccount]:
    made = []
    now = int(time.time())
    founders: dict[str, Principal] = {}
    for organisation, handle, roles, who in ACCOUNTS:
        with store.writing() as connection:
            if organisation not in founders:
                kind = ORGANISATIONS[organisation]
                first = members.found(
                    connection, now, name=organisation, title=organisation.title(), kind=kind, first=handle
                )
                members.activate(connection, now, first)
                founders[organisation] = _principal(first)
                for role in sorted(roles - first.roles):
                    members.grant_role(connection, now, founders[organisation], handle=handle, role=role)
            else:
                members.invite(connection, now, founders[organisation], handle=handle, roles=roles)
            member = members.member_named(connection, handle)
        password = "-".join(secrets.token_hex(3) for _ in range(3))
        hashed = hash_password(site, member.id, password)
        with site.writing() as connection:
            store_password(connection, now, member.id, hashed)
            secret = codes.secret_of(codes.begin_app(connection, now, site.key, member.id, handle))
            account = DemoAccount(handle=handle, who=who, password=password, secret=secret)
            earlier = account.code(now - codes.STEP_SECONDS)  # the one of the moment stays good for signing in
            if not codes.confirm_app(connection, now, site.key, member.id, earlier):
                raise AssertionError("a code of the app that was just made is its code")
            if not member.active:
                members.activate(connection, now, member)
        made.append(account)
    with store.writing() as connection:
        grant_dataset(
            connection,
            now,
            founders["north"],
            handle="rosa",
            organisation="north",
            dataset="cases",
            allowance_nano_rho=None,
        )
    return made


def _principal(founder: Member) -> Principal:
    """The founder, as who gives roles: nobody is given more than they hold."""
    return Principal(
        member_id=founder.id,
        handle=founder.handle,
        organisation=founder.organisation,
        roles=tuple(sorted(founder.roles)),
        rights=rights_of(founder.kind, founder.roles),
        datasets=frozenset(),
        session_id=None,
        token_id=None,
        stepped_up=True,
        session_key=bytes(32),
    )


def _codes_on_enter(accounts: list[DemoAccount]) -> None:
    for _ in sys.stdin:
        now = int(time.time())
        shown = ", ".join(f"{one.handle} {one.code(now)}" for one in accounts)
        click.echo(f"for {codes.STEP_SECONDS - now % codes.STEP_SECONDS} seconds: {shown}")
