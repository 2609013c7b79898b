"""What tests of agreements share: a vault with the cases of three organisations, a ledger, their people at a front door, and a worker's hands without its process.

Nothing is pretended: members joined with passkeys, jobs are rows of the store, the vault is encrypted, charges and noise are real.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tests.conftest import SCHEMA, SafeHouse
from tests.front_door import FrontDoor, HandClock, Person, b64

from casehaven.agreements import service
from casehaven.agreements.document import AgreementDocument, signing_challenge
from casehaven.blocks import schema_blocks
from casehaven.core import jobs
from casehaven.core.job_kinds import KINDS
from casehaven.core.service_store import ServiceStore
from casehaven.ledger import BudgetPolicy, Ledger, LedgerPolicy
from casehaven.organisations.roles import Kind, Role
from casehaven.queries.held import HeldPeople
from casehaven.vault.rootkeys import create_file_key
from casehaven.vault.store import Vault
from casehaven.worker import agreements as signing_job
from casehaven.worker import questions
from casehaven.worker.events import move_events
from casehaven.worker.work import Bench, Done, Work
from caseschemas import CaseSchema, parse_schema
from casesynth.signing import SigningKey

ORGANISATIONS = ("east", "north", "south")
CAP = 1_000
EVERYTHING = {"gender": "as_is", "age": "ageBroad", "means": "meansBroad", "year": "as_is"}
"""Ages by minor and adult, means in two groups, the others value by value."""

BY_GENDER = {"by": ["gender"], "accuracy": {"within_people": 5}}

CONSENT = {
    "care": "mayCare",
    "own_statistics": "mayCount",
    "pooled_statistics": "mayPool",
    "synthetic_release": "mayRelease",
}


def table_schema() -> CaseSchema:
    """The shelters' schema with two levels that are coarser than the values."""
    document: dict[str, Any] = copy.deepcopy({**SCHEMA, "id": "table", "consent": CONSENT})
    attributes: list[dict[str, Any]] = document["attributes"]
    flag = next(attribute for attribute in attributes if attribute["name"] == "mayRelease")
    for name in ("mayCare", "mayCount", "mayPool"):
        attributes.insert(3, {**copy.deepcopy(flag), "name": name})

    def parent(code: str, *members: str) -> dict[str, Any]:
        return {"code": code, "labels": {"en": code}, "members": list(members)}

    document["hierarchies"] = [
        {
            "name": "ageBroad",
            "attribute": "age",
            "labels": {"en": "Age"},
            "parents": [parent("minor", "0-17"), parent("adult", "18-29", "30+")],
        },
        {
            "name": "meansBroad",
            "attribute": "means",
            "labels": {"en": "Means"},
            "parents": [parent("force", "threats", "papers"), parent("work", "debt", "hours")],
        },
    ]
    return parse_schema(document)


def made_up(count: int, letter: str) -> list[dict[str, str]]:
    """People who agree to everything."""
    yes = dict.fromkeys(("mayRelease", "mayCare", "mayCount", "mayPool"), "yes")
    return [
        {
            **yes,
            "token": f"{letter}{place:04}",
            "year": str(2019 + place % 5),
            "gender": ("woman", "man")[place % 3 == 0],
            "age": str((9, 25, 40)[place % 3]),
            "means": ("threats", "debt", "papers;hours")[place % 3],
        }
        for place in range(count)
    ]


def make_cases(folder: Path) -> None:
    """Make the vault with its three datasets, for copying."""
    folder.mkdir()
    vault = Vault.create(folder / "vault", create_file_key(folder / "root.key"))
    for name in ORGANISATIONS:
        vault.add_dataset(name, "cases", table_schema(), CAP)
    house = SafeHouse(folder=folder)
    for name in ORGANISATIONS:
        house.take_in(made_up(90, name[0]), organisation=name)


@dataclass(kw_only=True)
class RoundTable:
    """Three organisations with cases, a laboratory without, and a worker's bench."""

    folder: Path
    house: SafeHouse
    door: FrontDoor
    bench: Bench
    stewards: dict[str, Person]
    """By organisation."""
    asker: Person
    """A researcher of the laboratory."""

    @classmethod
    def at(
        cls,
        folder: Path,
        *,
        cases: Path,
        database: str | None = None,
        ledger: str | None = None,
        epsilon: str = "50",
    ) -> RoundTable:
        """Sit down at a table in a folder, with a copy of the cases."""
        shutil.copytree(cases, folder / "house")
        house = SafeHouse(folder=folder / "house")
        door = FrontDoor.at(folder / "store", database=database)
        stewards = {"north": door.set_up("nora", "north")}
        for name, handle in (("south", "sami"), ("east", "esra")):
            stewards[name] = door.found(handle, name)
        lab = door.found("lena", "lab", Kind.RESEARCH)
        asker = door.join(lab, "rosa", Role.RESEARCHER)
        vault = house.open()
        policy = LedgerPolicy(account=BudgetPolicy.of(epsilon, "1e-6"))
        made = Ledger.create(
            folder / "ledger.sqlite" if ledger is None else ledger, policy, anchor=folder / "ledger.anchor"
        )
        for name in ORGANISATIONS:
            made.open_dataset(f"{name}/cases", schema_blocks(table_schema()), vault_id=vault.vault_id)
        SigningKey.create().save(folder / "signing.key")
        bench = Bench(
            store=door.store,
            vault=vault,
            ledger=made,
            held=HeldPeople(),
            signing_key=folder / "signing.key",
            clock=door.clock,
        )
        with door.store.writing() as connection:
            connection.execute(text("DELETE FROM job"))  # keys of new organisations: they have some
        return cls(folder=folder, house=house, door=door, bench=bench, stewards=stewards, asker=asker)

    def again(self, folder: Path, **more: Any) -> RoundTable:
        """Sit down at a copy of this table, with the same people."""
        shutil.copytree(self.folder, folder)
        house, store = SafeHouse(folder=folder / "house"), ServiceStore.open(folder / "store")
        clock = HandClock()
        clock.now = self.door.clock()
        site = replace(self.door.site, database=store.database, clock=clock)
        bench = replace(
            self.bench,
            store=store,
            vault=house.open(),
            ledger=Ledger.open(folder / "ledger.sqlite"),
            held=HeldPeople(),
            signing_key=folder / "signing.key",
            clock=clock,
        )
        return replace(
            self,
            folder=folder,
            house=house,
            door=FrontDoor(store=store, clock=clock, site=site),
            bench=replace(bench, **more),
            stewards={name: replace(person) for name, person in self.stewards.items()},
            asker=replace(self.asker),
        )

    # --- agreements ---

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Return terms that north and south would agree on, and the laboratory may ask under."""
        terms: dict[str, Any] = {
            "title": "Who is threatened, and where",
            "schema_sha256": table_schema().digest(),
            "contributions": [{"dataset": f"{name}/cases", "fields": dict(EVERYTHING)} for name in ("north", "south")],
            "readers": ["lab"],
            "askers": {"organisations": ["lab"], "members": []},
            "purposes": ["pooled_statistics"],
            "budget_nano_rho": 10**9,
            "people_cap": 3 * CAP,
            "minimum_count": 10,
            "max_tokens_per_person": 2,
            "tokens_reason": None,
            "linkage": None,
            "expires": datetime.fromtimestamp(self.door.clock() + 30 * 86_400, UTC).date().isoformat(),
        }
        terms.update(changes)
        return terms

    def propose(self, by: str = "north", agreement: str | None = None, **changes: Any) -> AgreementDocument:
        """Let a steward propose terms."""
        terms = self.terms(**changes)
        with self.door.store.writing() as connection:
            return service.propose(
                connection,
                self.door.clock(),
                self.door.principal(self.stewards[by]),
                terms,
                schema=table_schema(),
                people_caps={each["dataset"]: CAP for each in terms["contributions"]},
                agreement=agreement,
            )

    def sign(
        self, document: AgreementDocument, by: str, *, digest: str | None = None, assertion: Any = "own", **more: Any
    ) -> Done:
        """Let a steward sign a document with their passkey, through the worker's job."""
        person = self.stewards[by]
        signed = document.digest if digest is None else digest
        if assertion == "own":
            assertion = self.assertion(document.digest, by)
        request = {
            "agreement": document.agreement,
            "digest": signed,
            "assertion": assertion,
            "origin": self.door.site.origin,
            "session": self.door.session(person.session).id,
            **more,
        }
        return signing_job.sign(self.job("agreement.sign", person, request, organisation=by))

    def assertion(self, digest: str, by: str) -> dict[str, Any]:
        """Return what a steward's passkey says over a digest."""
        person = self.stewards[by]
        return person.passkey.sign({"challenge": b64(signing_challenge(digest, by, person.handle))})

    def agree(self, agreement: str | None = None, **changes: Any) -> AgreementDocument:
        """Propose and sign by every contributor."""
        document = self.propose(agreement=agreement, **changes)
        for name in document.contributors:
            self.sign(document, name)
        return document

    def revoke(self, agreement: str, by: str) -> None:
        """Let a steward revoke."""
        self.step_up(self.stewards[by])
        with self.door.store.writing() as connection:
            service.revoke(connection, self.door.clock(), self.door.principal(self.stewards[by]), agreement)

    def step_up(self, person: Person) -> None:
        """Sign in anew, which is a fresh second factor."""
        self.door.sign_in(person)

    def move_events(self) -> None:
        """What the worker does every second."""
        move_events(self.door.store, self.bench.vault)

    # --- jobs ---

    def job(
        self,
        kind: str,
        person: Person,
        request: Mapping[str, Any],
        *,
        organisation: str = "",
        datasets: Sequence[str] = (),
    ) -> Work:
        """Queue a job and take it, as a lane does."""
        member = self.door.member(person.handle)
        new = jobs.NewJob(
            kind=kind,
            now=self.door.clock(),
            organisation=organisation,
            dataset=" ".join(datasets),
            member_id=member.id,
            member_organisation=member.organisation,
            request={**request, "actor": person.handle},
        )
        with self.door.store.writing() as connection:
            jobs.enqueue(connection, new)
        return self.take(kind)

    def take(self, kind: str) -> Work:
        """Take the job that waits."""
        with self.door.store.writing(alone=False) as connection:
            taken = jobs.take(connection, lane=KINDS[kind].lane, worker="table", now=self.door.clock())
            connection.execute(text("UPDATE job SET lease_until = 9999999999"))  # it stays in our hands
        assert taken is not None and taken.kind.name == kind
        return Work(job=taken, bench=self.bench)

    def ask(
        self,
        document: AgreementDocument | str,
        question: Mapping[str, Any] = BY_GENDER,
        *,
        by: Person | None = None,
        handler: Callable[[Work], Done] = questions.ask,
    ) -> Mapping[str, Any]:
        """Ask under an agreement, and return what the asker is shown."""
        named = document if isinstance(document, str) else document.agreement
        request = {"agreement": named, "question": dict(question)}
        return handler(self.job("question.ask", by or self.asker, request)).result

    def ask_datasets(self, names: Sequence[str], *, by: Person, question: Mapping[str, Any] = BY_GENDER) -> Any:
        """Ask about datasets by their names, without an agreement."""
        return questions.ask(self.job("question.ask", by, {"question": dict(question)}, datasets=names)).result

    # --- what is there ---

    def spent(self, dataset: str) -> int:
        """Nano-rho that the worst account of a dataset has spent."""
        rows = self.bench.ledger.statement().rows
        return max(row.spent_nano_rho for row in rows if row.dataset == dataset)

    def execute(self, statement: str, **values: Any) -> None:
        """Change the service store behind everybody's back, as whoever holds it can."""
        with self.door.store.writing() as connection:
            connection.execute(text(statement), values)

    def events(self) -> list[str]:
        """What the store says was done."""
        return self.door.actions()


_MADE: dict[str, RoundTable] = {}


def laid_table(base: Path) -> RoundTable:
    """Return the table that all tests of this process copy.

    Args:
        base: the folder of all temporary files.
    """
    if "table" not in _MADE:
        make_cases(base / "round-table-cases")
        (base / "round-table").mkdir()
        _MADE["table"] = RoundTable.at(base / "round-table", cases=base / "round-table-cases")
    return _MADE["table"]
