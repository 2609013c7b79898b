"""What tests of drafts and the registry share: a table (`tests.round_table`) at which a release is drafted, approved, drawn and decided about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp
from tests.front_door import ORIGIN, Person, b64
from tests.own_loop import run
from tests.round_table import CAP, EVERYTHING, RoundTable, laid_table

from casehaven.api import bounded, create_app
from casehaven.core.limits import Limits
from casehaven.core.web import ApiSettings, Service
from casehaven.drafts import service
from casehaven.drafts.document import FIELDS, FORMAT, DraftDocument, Part, approval_challenge
from casehaven.drafts.service import StoredDraft
from casehaven.organisations.roles import Role
from casehaven.signin.principal import SESSION_COOKIE
from casehaven.worker import drafts, registry, releases
from casehaven.worker.work import Done, Work

EPSILON = 4.0


def draft_document(*datasets: str, organisation: str = "north", **changes: Any) -> DraftDocument:
    """Return a document of the right form, about nothing: for tests of what the api does with one."""
    fields: dict[str, Any] = {
        **dict.fromkeys(FIELDS),
        "format": FORMAT,
        "draft": "d" * 32,
        "number": 1,
        "nonce": "0" * 32,
        "organisation": organisation,
        "proposed_by": f"{organisation}-steward",
        "datasets": list(datasets),
        "left_out": 0,
        "schema": "ctdc-global 1.0.0",
        "attributes": ["gender"],
        "registered": [],
        "epsilon": 1.0,
        "delta": 1e-6,
        "people_cap": 2_000,
        "max_tokens_per_person": 1,
        "nano_rho": 1_000,
        "epsilon_per_person": 1.0,
        "expected": {},
        "drafted_at": 1,
        "expires_at": 2**40,
        **changes,
    }
    return DraftDocument(fields=fields)


@dataclass(kw_only=True)
class PressRoom:
    """A table with a privacy officer of north beside its stewards."""

    table: RoundTable
    officer: Person

    @classmethod
    def at(cls, folder: Path, base: Path) -> PressRoom:
        """Sit down at a copy of the table that all tests share."""
        table = laid_table(base).again(folder)
        table.step_up(table.stewards["north"])
        return cls(table=table, officer=table.door.join(table.stewards["north"], "otto", Role.PRIVACY_OFFICER))

    def again(self, folder: Path) -> PressRoom:
        """Sit down at a copy of this one."""
        return PressRoom(table=self.table.again(folder), officer=replace(self.officer))

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return self.table.door.clock()

    # --- drafts ---

    def agree(self, **changes: Any) -> str:
        """Let north and south agree on a synthetic release of everything, and return the agreement's name."""
        contributions = [
            {"dataset": f"{name}/cases", "fields": dict.fromkeys(EVERYTHING, "as_is")} for name in ("north", "south")
        ]
        self.table.step_up(self.table.stewards["north"])
        terms = {
            "purposes": ["synthetic_release"],
            "askers": {"organisations": ["north"], "members": []},
            "people_cap": 2 * CAP,
            "contributions": contributions,
        }
        return self.table.agree(**{**terms, **changes}).agreement

    def draft(
        self, agreement: str | None = None, *, by: Person | None = None, organisation: str = "north", **more: Any
    ) -> StoredDraft:
        """Let a steward draft, and return what is stored."""
        person = by or self.table.stewards[organisation]
        request = {"epsilon": EPSILON, **({} if agreement is None else {"agreement": agreement}), **more}
        datasets: Sequence[str] = () if agreement is not None else (f"{organisation}/cases",)
        made = drafts.draft(
            self.table.job("release.draft", person, request, organisation=organisation, datasets=datasets)
        )
        return self.stored(str(made.result["digest"]))

    def stored(self, digest: str) -> StoredDraft:
        """Return a document as it stands now."""
        with self.table.door.store.reading() as connection:
            return service.document_of(connection, digest, self.now)

    def approve(
        self,
        found: StoredDraft,
        person: Person,
        part: Part = "steward",
        *,
        assertion: Any = "own",
        organisation: str | None = None,
        digest: str | None = None,
    ) -> Done:
        """Let somebody approve with their passkey, through the worker's job."""
        return drafts.approve(self.approval(found, person, part, assertion=assertion, digest=digest))

    def approval(
        self,
        found: StoredDraft,
        person: Person,
        part: Part = "steward",
        *,
        assertion: Any = "own",
        digest: str | None = None,
    ) -> Work:
        """Return the job in which somebody approves."""
        member = self.table.door.member(person.handle)
        signed = found.document.digest if digest is None else digest
        if assertion == "own":
            challenge = approval_challenge(signed, member.organisation, person.handle, part)
            assertion = person.passkey.sign({"challenge": b64(challenge)})
        request = {
            "draft": found.document.draft,
            "digest": signed,
            "part": part,
            "assertion": assertion,
            "origin": self.table.door.site.origin,
            "session": self.table.door.session(person.session).id,
        }
        return self.table.job("release.approve", person, request, organisation=member.organisation)

    def approve_all(self, found: StoredDraft) -> StoredDraft:
        """Let everybody approve who has to."""
        for name in found.document.contributors:
            self.approve(found, self.table.stewards[name])
        self.approve(found, self.officer, "privacy_officer")
        return self.stored(found.document.digest)

    def withdraw_draft(self, found: StoredDraft, person: Person) -> None:
        """Let somebody withdraw a draft."""
        self.table.step_up(person)
        principal = self.table.door.principal(person)
        with self.table.door.store.writing() as connection:
            service.withdraw(connection, self.now, principal, found.document.draft)

    # --- releases ---

    def running(self, found: StoredDraft, *, by: Person | None = None, **more: Any) -> Work:
        """Return the job that draws a draft."""
        document = found.document
        request: Mapping[str, Any] = {
            "draft": document.draft,
            "digest": document.digest,
            **({} if document.agreement is None else {"agreement": document.agreement}),
            **more,
        }
        datasets = () if document.agreement is not None else document.datasets
        person = by or self.table.stewards[document.organisation]
        return self.table.job("release.run", person, request, organisation=document.organisation, datasets=datasets)

    def draw(self, found: StoredDraft) -> str:
        """Draw an approved draft, wait for its tick, and return the release's name."""
        done = releases.run(self.running(found))
        assert done.visible_at is not None
        self.table.door.clock.now = max(self.now, done.visible_at)
        return str(done.result["release"])

    def decide(self, release: str, decision: str = "publish") -> Done:
        """Let the officer decide."""
        request = {"release": release, "decision": decision}
        return releases.decide(self.table.job("release.decide", self.officer, request, organisation="north"))

    def published(self, agreement: str | None = None, **more: Any) -> str:
        """Draft, approve, draw and publish, and return the name of the record."""
        release = self.draw(self.approve_all(self.draft(agreement, **more)))
        return str(self.decide(release).result["record"])

    def withdraw(self, record: str, reason: str = "a column was mapped wrongly") -> Done:
        """Let the officer withdraw a published version."""
        request = {"record": record, "reason": reason}
        return registry.withdraw(self.table.job("release.withdraw", self.officer, request, organisation="north"))

    # --- over HTTP, without a worker ---

    def app(self, *, public: bool = True) -> ASGIApp:
        """Return the api on this table's store."""
        door = self.table.door
        service = Service(
            store=door.store,
            settings=ApiSettings(origin=door.site.origin, log=False, registry_public=public),
            key=bytes(32),
            clock=door.clock,
            limits=Limits(),
        )
        return bounded(create_app(service, door.site))

    def get(self, path: str, *, person: Person | None = None, public: bool = True) -> httpx.Response:
        """Read, signed in as somebody or as nobody."""
        headers = {} if person is None else {"Cookie": f"{SESSION_COOKIE}={person.session}"}
        return run(_get(self.app(public=public), path, headers))

    def spent(self, dataset: str = "north/cases") -> int:
        """Nano-rho that a dataset has spent."""
        return self.table.spent(dataset)


async def _get(app: ASGIApp, path: str, headers: Mapping[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as client:
        return await client.get(path, headers=headers)


_ROOMS: dict[str, PressRoom] = {}


def shared_room(base: Path) -> PressRoom:
    """Return the room that all tests of this process copy: nothing is drawn in it.

    Args:
        base: the folder of all temporary files.
    """
    if "room" not in _ROOMS:
        _ROOMS["room"] = PressRoom.at(base / "press-room", base)
    return _ROOMS["room"]


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """A room in which a release under an agreement was drawn; copy it before you change it."""

    room: PressRoom
    agreement: str
    draft: StoredDraft
    release: str
    record: str | None
    """Of the release, where it was published."""

    def again(self, folder: Path) -> Pooled:
        """Return a copy."""
        return replace(self, room=self.room.again(folder))


_POOLED: dict[str, Pooled] = {}


def drawn_room(base: Path) -> Pooled:
    """Return the room in which a release was drawn and nothing was decided."""
    if "drawn" not in _POOLED:
        room = shared_room(base).again(base / "press-room-drawn")
        agreement = room.agree()
        draft = room.approve_all(room.draft(agreement, title="Who is threatened", changelog="the first one"))
        _POOLED["drawn"] = Pooled(room=room, agreement=agreement, draft=draft, release=room.draw(draft), record=None)
    return _POOLED["drawn"]


def published_room(base: Path) -> Pooled:
    """Return the room in which it was published."""
    if "published" not in _POOLED:
        drawn = drawn_room(base).again(base / "press-room-published")
        _POOLED["published"] = replace(drawn, record=str(drawn.room.decide(drawn.release).result["record"]))
    return _POOLED["published"]


__all__ = ["EPSILON", "Pooled", "PressRoom", "draft_document", "drawn_room", "published_room", "shared_room"]
