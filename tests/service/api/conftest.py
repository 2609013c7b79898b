"""A real service for tests: `casehaven serve` as a process with its worker as another, asked over HTTP by members of several organisations.

Members are made with the functions that sign-in itself uses, on the service's own store; tests of sign-in are in tests/service/signin.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from sqlalchemy import update
from tests.ports import free_ports

from casehaven.core.jobs import NewJob, enqueue
from casehaven.core.projection import all_published
from casehaven.core.service_store import ServiceStore
from casehaven.organisations import members
from casehaven.organisations.roles import Kind, Role
from casehaven.signin.models import session
from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import find_session, page_value, start_session, step_up_session
from casesynth.signing import SigningKey, TrustStore


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A member with a session that has stepped up, and how they call the service."""

    http: httpx.Client
    handle: str
    organisation: str
    session: str = field(repr=False)
    origin: str
    keep_fresh: Callable[[], None] = field(default=lambda: None, repr=False)
    """Gives the second factor again where it would soon be too old, however long the tests before took."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        key: str | None = None,
        wait: int = 20,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request with the cookie, as a page of the service would."""
        self.keep_fresh()
        sent = {
            "Cookie": f"{SESSION_COOKIE}={self.session}",
            "Origin": self.origin,
            PAGE_HEADER: page_value(self.session),
            **({"Prefer": f"wait={wait}"} if wait else {}),
            **({"Idempotency-Key": key} if key else {}),
            **({"Content-Type": "application/octet-stream"} if content is not None else {}),
            **(headers or {}),
        }
        data = content if content is not None else None if body is None else json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        return self.http.request(method, path, content=data, headers=sent)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Read."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Make."""
        return self.call("POST", path, body=body, **options)

    def done(self, path: str, body: Any = None, **options: Any) -> Any:
        """Make, wait, and return the result."""
        options.setdefault("key", uuid4().hex)
        answer = self.post(path, body, **options)
        deadline = time.monotonic() + 240
        while answer.status_code == 202 and time.monotonic() < deadline:
            answer = self.get(answer.headers["Location"])
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]


@dataclass
class RunningService:
    """A service with its two processes."""

    folder: Path
    port: int
    status_port: int
    process: subprocess.Popen[bytes]
    log: Path
    database: str | None = None
    _clients: list[httpx.Client] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """What people type."""
        return f"http://localhost:{self.port}"

    def approver_key(self, name: str) -> Path:
        """Where one of the approvers keeps a key: away from the service."""
        return self.folder.parent / "approvers" / f"{name}.pem"

    @property
    def store(self) -> ServiceStore:
        """Its store."""
        return ServiceStore.open(self.folder, self.database)

    def client(self, address: str = "127.0.0.1") -> httpx.Client:
        """Return a client with nobody signed in; its address is one of this computer's, for whatever is counted by address."""
        wire = httpx.HTTPTransport(local_address=address)
        made = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, transport=wire)
        self._clients.append(made)
        return made

    def health(self) -> dict[str, str]:
        """What its health page says; empty where nobody answers."""
        try:
            found: dict[str, str] = httpx.get(f"http://127.0.0.1:{self.status_port}/health", timeout=10).json()
        except httpx.TransportError:
            return {}
        return found

    def metrics(self) -> str:
        """What its page of metrics says."""
        return httpx.get(f"http://127.0.0.1:{self.status_port}/metrics", timeout=10).text

    def wait(self, what: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something is so; where it is not in three times as long, which leaves room on a busy computer, fail."""
        until = time.monotonic() + 3 * seconds
        while not what():
            assert time.monotonic() < until, f"not so after {3 * seconds} s; {self.log.read_text()[-2000:]}"
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            time.sleep(0.05)

    def organisation(self, name: str, kind: Kind = Kind.NGO) -> Caller:
        """Found an organisation, and return its first member."""
        with self.store.writing() as connection:
            now = int(time.time())
            handle = f"{name}-steward"
            made = members.found(connection, now, name=name, title=name.title(), kind=kind, first=handle)
            members.activate(connection, now, made)
            if kind is Kind.NGO:
                enqueue(connection, NewJob(kind="organisation.keys", now=now, organisation=name))
        return self.caller(handle, name)

    def member(self, organisation: str, handle: str, *roles: Role) -> Caller:
        """Add a member with these roles to an organisation."""
        with self.store.writing() as connection:
            now = int(time.time())
            member_id = members._add(connection, now, organisation, handle, "")
            for role in roles:
                members._give(connection, now, member_id, organisation, handle, role, "")
            members.activate(connection, now, members.member_by_id(connection, member_id))
        return self.caller(handle, organisation)

    def caller(self, handle: str, organisation: str, *, stepped_up: bool = True) -> Caller:
        """Begin a session of a member."""
        with self.store.writing() as connection:
            now = int(time.time())
            value = start_session(connection, now, members.member_named(connection, handle).id, kind="full")
            if stepped_up:
                value = step_up_session(connection, now, value) or ""
        number = len(self._clients)
        http = self.client(
            f"127.0.{20 + number // 250}.{1 + number % 250}"
        )  # as people have: limits are by address, too
        fresh = self._fresh(value) if stepped_up else lambda: None
        return Caller(
            http=http, handle=handle, organisation=organisation, session=value, origin=self.origin, keep_fresh=fresh
        )

    def _fresh(self, value: str) -> Callable[[], None]:
        given = time.monotonic()

        def again() -> None:
            nonlocal given
            if time.monotonic() - given < 150:
                return
            given = time.monotonic()
            with self.store.writing() as connection:
                now = int(time.time())
                found = find_session(connection, now, value)
                if found is not None:
                    mine = session.c.id == found[0].id
                    connection.execute(
                        update(session).where(mine, session.c.stepped_up_at.is_not(None)).values(stepped_up_at=now)
                    )

        return again

    def worker_pid(self) -> int:
        """Return the number of the worker's process."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"worker" in words and str(self.folder).encode() in words:
                    return int(folder.name)
        return 0

    def stop(self) -> None:
        """End both processes."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def served(folder: Path, *options: str, database: str | None = None) -> Iterator[RunningService]:
    """Start a service in a folder while the block runs."""
    port, status_port = free_ports(2)
    log = folder.with_name(f"{folder.name}.log")
    command = [sys.executable, "-m", "casehaven", "serve", "--folder", str(folder), "--port", str(port)]
    command += ["--status-port", str(status_port), *options]
    if database is not None:
        command += ["--store", database]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={**os.environ})
    running = RunningService(
        folder=folder, port=port, status_port=status_port, process=process, log=log, database=database
    )
    try:
        running.wait(lambda: running.health() == {"store": "ok", "worker": "ok"}, 120)
        yield running
    finally:
        running.stop()


APPROVERS = ("Director", "Data steward")
"""Who may approve raises of the shared service's caps."""


def named_approvers(folder: Path) -> list[str]:
    """Give the two people keys of their own, and return the options that name them at a first start."""
    folder.mkdir()
    trust = TrustStore()
    for name in APPROVERS:
        key = SigningKey.create()
        key.save(folder / f"{name}.pem")
        trust = trust.add(name, key.public_key)
    trust.save(folder / "trust.json")
    return ["--trust", str(folder / "trust.json"), *(word for name in APPROVERS for word in ("--approver", name))]


@pytest.fixture(scope="session")
def service(running_service: RunningService) -> RunningService:
    """One service for the tests of a process that leave it as it is."""
    return running_service


def code_of(running: RunningService) -> str:
    """Return the code of the first run."""
    text = (running.folder / "set-up-code.txt").read_text(encoding="utf-8")
    found = re.fullmatch(r"[0-9A-Z-]+\n", text)
    assert found is not None
    return text.strip()


CANARY = "Zxqcanary"
"""Planted in references and free text of made-up records; it occurs nowhere else."""


@dataclass(frozen=True, kw_only=True)
class House:
    """A service with people in it: two organisations with cases, a researcher who may ask about one of them, a ministry, and those who run the service."""

    running: RunningService
    north: Caller
    south: Caller
    caseworker: Caller
    officer: Caller
    researcher: Caller
    policymaker: Caller
    operator: Caller
    person: str
    """Person token of somebody in north/cases."""

    @property
    def everybody(self) -> dict[str, Caller]:
        """One caller of each role."""
        return {
            "steward": self.north,
            "caseworker": self.caseworker,
            "privacy_officer": self.officer,
            "researcher": self.researcher,
            "policymaker": self.policymaker,
            "operator": self.operator,
        }


def made_up_cases(people: int, seed: int) -> bytes:
    """Return a case file of the shipped schema, with a canary in every reference and token."""
    random = np.random.default_rng(seed)
    lines = [
        "caseReference,personToken,consentPooledStatistics,consentSyntheticRelease,yearOfRegistration,gender,ageBroad"
    ]
    for number in range(people):
        year, gender = 2019 + int(random.integers(5)), ("Man", "Woman")[int(random.integers(2))]
        lines.append(f"{CANARY}-ref-{seed}-{number},{CANARY}-{seed}-{number},yes,yes,{year},{gender},")
    return ("\n".join(lines) + "\n").encode()


def take_in(steward: Caller, dataset: str, file: bytes) -> None:
    """Send a file, confirm what was understood, and take it in."""
    place = f"/v1/datasets/{steward.organisation}/{dataset}/uploads"
    sent = steward.call("POST", place, content=file, key=uuid4().hex)
    assert sent.status_code == 201, sent.text
    place = f"{place}/{sent.json()['id']}"
    found = steward.done(f"{place}/proposal", {})
    assert found["person_known"], found
    steward.done(f"{place}/commit", {"mapping": found["mapping"], "leave_refused": True})


def furnish(running: RunningService, people: int = 150) -> House:
    """Fill an empty service."""
    stewards = {name: running.organisation(name) for name in ("north", "south")}
    for seed, steward in enumerate(stewards.values()):
        running.wait(partial(_has_keys, running, steward.organisation), 30)
        steward.done(
            f"/v1/organisations/{steward.organisation}/datasets",
            {"name": "cases", "schema": "ctdc-global", "people_cap": 2_000},
        )
        take_in(steward, "cases", made_up_cases(people, seed))
    north = stewards["north"]
    running.organisation("ministry", Kind.POLICY)
    running.organisation("hosts", Kind.DEPLOYMENT)
    researcher = running.member("north", "rosa", Role.RESEARCHER)
    granted = north.call("PUT", "/v1/datasets/north/cases/grants/rosa", body={"allowance_nano_rho": 20_000_000})
    assert granted.status_code == 200, granted.text
    return House(
        running=running,
        north=north,
        south=stewards["south"],
        caseworker=running.member("north", "carla", Role.CASEWORKER),
        officer=running.member("north", "otto", Role.PRIVACY_OFFICER),
        researcher=researcher,
        policymaker=running.member("ministry", "petra", Role.POLICYMAKER),
        operator=running.member("hosts", "oscar", Role.OPERATOR),
        person=f"{CANARY}-0-1",
    )


def _has_keys(running: RunningService, organisation: str) -> bool:
    with running.store.reading() as connection:
        return any(found["organisation"] == organisation for found in all_published(connection, "organisation-key"))


@pytest.fixture(scope="session")
def house(served_house: House) -> House:
    """The furnished service; tests leave what they find."""
    return served_house
