"""`casehaven demo --serve`: a service with made-up people and demonstration accounts, left running.

1. Everything is made anew in a folder of the demonstration: vault, ledger, keys, accounts. None of it is of use elsewhere, and the service listens on this computer alone.
2. Passwords and secrets of authenticator apps are shown on the terminal, once, and written nowhere in the clear.
3. Somebody without an authenticator presses Enter and is shown the codes of the moment: this terminal stands for the telephone of each of these people.
4. Whether the ports are free is looked at before anything is made, and said before any password is shown.
"""

from __future__ import annotations

import base64
import secrets
import sys
import threading
import time
from collections.abc import Callable
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
PEOPLE_CAP: Final = 5_000
EPSILON: Final = "10"
HOST: Final = "127.0.0.1"
ORGANISATIONS: Final = {"north": Kind.NGO, "south": Kind.NGO, "ministry": Kind.POLICY}
ACCOUNTS: Final = (
    ("north", "nora", frozenset({Role.STEWARD, Role.CASEWORKER}), "steward of an NGO"),
    ("north", "rosa", frozenset({Role.RESEARCHER}), "researcher of that NGO"),
    ("north", "otto", frozenset({Role.PRIVACY_OFFICER}), "its privacy officer"),
    ("south", "samir", frozenset({Role.STEWARD, Role.CASEWORKER}), "steward of another NGO"),
    ("ministry", "petra", frozenset({Role.POLICYMAKER}), "policymaker"),
)
"""Organisation, handle, roles, and who that is; the first of an organisation founds it, and has a founder's roles too."""

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


def prepare_service(
    folder: Path, run: Run, port: int, *, people: int = PEOPLE
) -> tuple[ServiceFolder, Listening, list[DemoAccount]]:
    """Make a service with two NGOs' made-up people, and its accounts.

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
    for number, name in enumerate(("north", "south"), 1):
        file = folder / f"cases-{number}.csv"
        run(
            f"intake {file} --organisation {name} --dataset cases --schema ctdc-global --people-cap {PEOPLE_CAP} --yes {where}"
        )
        file.unlink()
    vault, ledger = Vault.open(place.vault, parse_root(place.root)), Ledger.open(place.ledger)
    for dataset in vault.datasets():
        facts = SnapshotFacts.of([dataset], "separate", vault_id=vault.vault_id, seconds=0)
        ledger.open_dataset(dataset.id, facts.blocks)
    listening = Listening(port=port, status_port=port + 1, origin=f"http://localhost:{port}")
    _, site = service_of(store, listening)
    return place, listening, _accounts(store, site)


def serve_demo(place: ServiceFolder, listening: Listening, accounts: list[DemoAccount]) -> None:
    """Show the accounts, and serve until Ctrl-C."""
    child = WorkerChild(worker_arguments(place))
    service, site = service_of(place.open_store(), listening, wake=child.wake)
    for line in shown_accounts(listening, accounts):
        click.echo(line)
    child.start()
    if sys.stdin.isatty():
        threading.Thread(target=_codes_on_enter, args=(accounts,), name="codes", daemon=True).start()
    try:
        serve_api(service, site, listening)
    finally:
        child.stop()


def shown_accounts(listening: Listening, accounts: list[DemoAccount]) -> list[str]:
    """Return what the terminal shows, once."""
    lines = [
        "",
        f"The service runs at {listening.origin} until you press Ctrl-C; its people are made up.",
        "Sign in with a handle, its password, and a code: put a secret into an authenticator app, or press Enter here for the codes of the moment.",
        "",
        f"{'handle':<8}{'password':<26}{'secret for an authenticator':<36}who",
    ]
    lines += [f"{one.handle:<8}{one.password:<26}{one.secret:<36}{one.who}" for one in accounts]
    return [*lines, "", "Passwords and secrets are shown this once, and written nowhere in the clear.", ""]


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
