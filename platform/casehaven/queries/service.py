"""Questions to datasets of a vault: what one costs, and its answer, paid for before a record is opened.

The order is the rule (privacy rules 14, 16 and 17):

1. The question is read by its grammar and planned from public facts. The datasets' marks and accounts are asked about; no balance is read.
2. A stored answer that is as exact, or more, is shown at no charge. So is one that follows from noisy tables that are paid for.
3. The charge is committed. Then permission to draw is on disk. Then, not before, the snapshot opens.
4. People are counted, and every cell gets noise, by the one module that has any.
5. The answer is stored, in one transaction with the mark that it was revealed, and only then shown: the stored bytes, not others.
6. What fails after the charge fails with one sentence, whatever it was: it may have depended on records (privacy rule 23). The charge stands; the same key may try once more.
7. A service names the tick at which all this is seen before it begins (privacy rule 24). What is not ready by then has failed, like anything else that fails.

8. The day is asked under the locks, before the charge, and before the permission to draw. Where it turned meanwhile, the attempt begins again with the new one.

An attempt that was cut short is repeated under its key: it finds its charge, and its answer where one was stored, on whatever day that was. One attempt under a key, and one at
a question, is made at a time (`casehaven.queries.attempts`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

from casehaven.errors import CasehavenError
from casehaven.ledger import (
    ANSWER_PURPOSE,
    AlreadyRevealedError,
    AnalystId,
    IdempotencyKey,
    Ledger,
    LedgerError,
    StoredAnswer,
)
from casehaven.queries.attempts import Step, alone, no_failpoint
from casehaven.queries.errors import AnswerNotYetError, ChargedFailureError, NoAnswerOfThatDayError
from casehaven.queries.held import HeldPeople
from casehaven.queries.pooled import Permit, Pool, always
from casehaven.queries.priced import Asked, Quote
from casehaven.queries.public_facts import PURPOSE, SnapshotFacts
from casehaven.queries.stored import Stored, Tables, accuracy_of, answers_it, shown
from casehaven.queries.ticks import Ticks, job_class, schedule
from casehaven.schema_questions import parsed_question
from casehaven.vault.datasets import Dataset
from casehaven.vault.ledger_binding import bind_ledger
from casehaven.vault.snapshots import Check, Tokens, VaultSnapshot, snapshot
from casehaven.vault.store import Vault
from casehaven.vault.unbounded import refuse_marked
from casesynth.answers import (
    AnswerPlan,
    Question,
    RecordTable,
    answer_document,
    measure_answer,
    plan_answer,
    question_digest,
    rehearse,
    stored_document,
)
from casesynth.canonical import JsonValue, canonical_json
from casesynth.persons import PersonTable
from casesynth.privacy import PrivacyLoss, Receipt

BEFORE: Final = "asked before under this key"
"""Why a replay costs nothing."""


class OpenPeople(Protocol):
    """Opens people or records of a snapshot for a receipt."""

    def __call__(self, receipt: Receipt, /) -> PersonTable | RecordTable:
        """Return the rows to count."""
        ...


@dataclass(kw_only=True)
class Queries:
    """Questions to the same datasets. Threads may share it, as they may share vault, ledger and held people."""

    vault: Vault
    ledger: Ledger
    datasets: Sequence[Dataset]
    tokens_are: Tokens = "separate"
    analyst: AnalystId | None = None
    """Who asks; for a fair share alone, never for the guarantee."""
    held: HeldPeople | None = None
    """Keeps people open between questions, in a service's worker."""
    pool: Pool | None = None
    """The terms of the agreement that the datasets are counted together under; None: they are counted by whoever keeps the vault."""
    permit: Permit = always
    """Encloses every charge; for a service's worker, which asks there whether the agreement is in force."""
    clock: Callable[[], int] = field(default=lambda: int(time.time()))
    failpoint: Callable[[Step], None] = no_failpoint
    """Called at each step; for tests that end the process there."""

    @property
    def facts(self) -> SnapshotFacts:
        """What is asked about, as it is now."""
        current = [self.vault.dataset(dataset.organisation, dataset.name) for dataset in self.datasets]
        from casehaven.intake.prepared_history import more_linkage_keys  # loads what reads files

        more_keys = more_linkage_keys(self.vault, current)
        vault, seconds = self.vault.vault_id, self.clock()
        return SnapshotFacts.of(
            current, self.tokens_are, vault_id=vault, seconds=seconds, pool=self.pool, more_keys=more_keys
        )

    def parse(self, document: bytes | Mapping[str, Any]) -> Question:
        """Read a question.

        Raises:
            QuestionError: it does not fit; names the place.
        """
        facts = self.facts
        return parsed_question(document, facts.schema, facts.datasets[0].domain)

    def quote(self, question: Question) -> Quote:
        """Return what a question costs.

        Raises:
            AnswerPlanError, PrivacyLossError: it cannot be planned.
            UnknownAccountError, UnboundedAccountError, UnboundedDatasetError: the datasets cannot be asked.
        """
        facts = self.facts
        self._askable(facts)
        stored = self._stored(facts)
        paid = stored.tables(question)
        bare = _plan(facts, question, ())
        plan = _plan(facts, question, paid) if paid else bare
        why = "from earlier answers" if plan.free else None
        return Quote(
            plan=plan,
            free="stored" if stored.cached(bare) is not None else why,
            earlier_tables=len(paid),
            alone_nano_rho=bare.nano_rho,
            asked_on=stored.earlier_days(bare),
            allowances=()
            if self.analyst is None
            else tuple(self.ledger.allowance(self.analyst, dataset.id) for dataset in facts.datasets),
        )

    def due(self, question: Question, *, accepted_at: int, after: int | None = None) -> int:
        """Return the tick at which an answer is seen, in seconds since 1970; from public facts alone (privacy rule 24).

        Args:
            question: from `parse`.
            accepted_at: when the request was taken in.
            after: the tick of the question before it, where that is still to come.
        """
        return self.ticks(question).next_tick(accepted_at, after=after)

    def ticks(self, question: Question) -> Ticks:
        """Return the schedule of a question's class."""
        facts = self.facts
        plan = _plan(facts, question, ())
        of = job_class(tables=len(plan.tables), cells=plan.cells)
        return schedule(of, people_cap=facts.people_cap, columns=len(facts.datasets[0].domain.columns))

    def ask(
        self, question: Question, key: IdempotencyKey, *, due: int | None = None, as_of: str | None = None
    ) -> Asked:
        """Answer a question, charged first.

        Args:
            question: from `parse`.
            key: of the request; the same for every attempt at it.
            due: the tick at which the caller shows what became of it, in seconds since 1970; None: at once, in somebody's own process.
            as_of: an earlier day: what was stored on it is shown at no charge, and nothing is counted.

        Raises:
            BudgetExhaustedError, AllowanceExhaustedError, OdometerExhaustedError: no balance changed.
            IdempotencyConflictError, DrawRefusedError: see the ledger.
            ChargedFailureError: something failed after the charge, or was not ready at the tick; the charge stands.
            AnswerNotYetError: it is answered, and its tick has not come.
            NoAnswerOfThatDayError: nothing that is as exact was stored on that day.
            Whatever `quote` raises; nothing was charged.
        """
        if as_of is not None:
            facts = self.facts
            self._askable(facts)
            return self._of_day(facts, question, as_of)
        with alone(self.ledger.path, f"key {key.text}"):
            while True:
                try:
                    return self._answered(question, key, due)
                except _DayTurnedError:  # the people of the new day are counted, and what was stored of them is found
                    continue

    def _answered(self, question: Question, key: IdempotencyKey, due: int | None) -> Asked:
        """Make one attempt, under the key's lock, at the facts of one day."""
        facts = self.facts
        self._askable(facts)
        known = self.ledger.find(key)
        done = None if known is None else self.ledger.answer_of(known.receipt)
        if done is not None and answers_it(done, facts, question):
            return self._before(done)
        body = _request(facts, question)
        served = None if known is not None else self.ledger.served(key, body)
        if served is not None:
            seen_at = self._in_time(self._stored(facts).tick_of(question, served), due)
            return Asked(answer=json.loads(served), charged=None, free=BEFORE, visible_at=seen_at)
        with alone(self.ledger.path, f"question {facts.name} {question_digest(question)}"):
            self._same_day(facts)
            stored = self._stored(facts)
            paid = stored.tables(question)
            if known is None:
                free = self._free(stored, question, paid) or self._waiting(stored, question, due)
                if free is not None:  # kept under the key: the same request gets it on any later day
                    kept = self.ledger.keep_served(key, body, canonical_json(dict(free.answer)).decode("utf-8"))
                    return replace(free, answer=json.loads(kept))
            # what was charged fixes the shares: a replay is the same request at the same price
            plan = _plan(facts, question, paid, None if known is None else known.receipt.loss.nano_rho)
            return self._pay(stored, plan, paid, key, body, due)

    def answers(self, *, every_day: bool = False) -> tuple[StoredAnswer, ...]:
        """Return the stored answers about these datasets, oldest first, without who asked.

        Args:
            every_day: those of earlier days as well, whatever changed since.
        """
        stored = self._stored(self.facts)
        return stored.of_every_day() if every_day else stored.visible()

    # --- steps ---

    @cached_property
    def _ledger_id(self) -> str:
        return self.ledger.id

    def _askable(self, facts: SnapshotFacts) -> None:
        self.ledger.accepts([dataset.id for dataset in facts.datasets])
        refuse_marked(self.vault, facts.datasets)

    def _stored(self, facts: SnapshotFacts) -> Stored:
        return Stored(ledger=self.ledger, facts=facts, now=self.clock())

    def _free(self, stored: Stored, question: Question, paid: Tables) -> Asked | None:
        """Return what is stored, or follows from what is paid for; None where something has to be counted."""
        bare = _plan(stored.facts, question, ())
        hit = stored.cached(bare)
        if hit is not None:
            return Asked(answer=shown(hit), charged=None, free="stored", visible_at=stored.now)
        plan = _plan(stored.facts, question, paid) if paid else bare
        if not plan.free:
            return None
        answer = answer_document(
            plan, paid, stored.facts.stated(), minimum=stored.facts.minimum_count, earlier=stored.seen()
        )
        return Asked(answer=answer, charged=None, free="from earlier answers", visible_at=stored.now)

    def _waiting(self, stored: Stored, question: Question, due: int | None) -> Asked | None:
        """Return the answer to the same question that somebody paid for and that waits for its tick; seen at both ticks' later one."""
        hit = stored.waiting(_plan(stored.facts, question, ()))
        if hit is None:
            return None
        seen_at = self._in_time(hit.visible_at, due)
        return Asked(answer=shown(hit), charged=None, free="stored", visible_at=max(seen_at, due or 0))

    def _in_time(self, seen_at: int, due: int | None) -> int:
        """Return when something is seen; somebody's own process does not wait for it."""
        if due is None and seen_at > self.clock():
            raise AnswerNotYetError("the answer is stored, and is shown after its tick")
        return seen_at

    def _same_day(self, facts: SnapshotFacts) -> None:
        if not facts.is_of(self.clock()):
            raise _DayTurnedError

    def _of_day(self, facts: SnapshotFacts, question: Question, day: str) -> Asked:
        stored = self._stored(facts.on(day))
        found = self._free(stored, question, stored.tables(question))
        if found is None:
            raise NoAnswerOfThatDayError(
                "no answer that is as exact was stored on that day, and nobody can be counted as of then"
            )
        return found

    def _pay(
        self,
        stored: Stored,
        plan: AnswerPlan,
        paid: Tables,
        key: IdempotencyKey,
        body: Mapping[str, JsonValue],
        due: int | None,
    ) -> Asked:
        facts, question = stored.facts, plan.question
        rehearse(plan, paid)  # before the charge: no answer fails for what public facts could have told

        def in_time() -> None:
            if due is not None and self.clock() >= due:
                raise _OverrunError

        opened = _source(self.vault, facts, question, self.held, in_time)
        drawing = False
        issued: Receipt | None = None

        def charge(loss: PrivacyLoss) -> Receipt:
            self._same_day(facts)
            bind_ledger(self.vault, facts.datasets, self._ledger_id, self.ledger.unknown)
            with self.permit(loss):
                receipt = self.ledger.charge(  # privacy rule 14: charge before data is touched
                    key=key,
                    body=body,
                    datasets=[dataset.id for dataset in facts.datasets],
                    blocks=facts.charged(question),
                    loss=loss,
                    purpose=ANSWER_PURPOSE,
                    analyst=self.analyst,
                    vault_id=facts.vault_id,
                )
            self.failpoint("charged")
            return receipt

        def open_rows(receipt: Receipt) -> PersonTable | RecordTable:
            nonlocal drawing, issued
            issued = receipt
            done = self.ledger.answer_of(receipt)
            if done is not None:
                raise _AnsweredBeforeError(done)
            self._same_day(
                facts
            )  # charged yesterday: the same request goes on at the same price, and counts the people of today
            self.ledger.begin_draw(receipt)
            drawing = True
            self.failpoint("drawing")
            rows = opened(receipt)
            self.failpoint("opened")
            return rows

        try:
            tables, receipt = measure_answer(plan, facts.datasets[0].domain, charge=charge, open_rows=open_rows)
            self.failpoint("counted")
            own = tuple((found.table, found.values) for found in tables)
            answer = answer_document(
                plan, (*own, *paid), facts.stated(), minimum=facts.minimum_count, earlier=stored.seen()
            )
            document = stored_document(answer, tables, question).decode("utf-8")
            self.failpoint("answered")
            in_time()
            kept = self.ledger.store_answer(
                receipt, stored.key(plan), document=document, visible_at=self.clock() if due is None else due
            )
            in_time()  # the ledger may have made it wait
            self.failpoint("stored")
        except _AnsweredBeforeError as before:
            return self._before(before.stored)
        except AlreadyRevealedError:  # another attempt under this key was faster
            done = None if issued is None else self.ledger.answer_of(issued)
            if done is None:
                raise
            return self._before(done)
        except LedgerError:
            raise
        except Exception:  # privacy rule 23: whatever it is, it may have depended on records
            if not drawing:
                raise
            raise ChargedFailureError(
                "the answer failed after it was charged; the charge stands, and the same request may be tried once more"
            ) from None
        if due is None:
            self._due(kept)
        return Asked(answer=shown(kept), charged=plan.loss, free=None, visible_at=max(kept.visible_at, due or 0))

    def _before(self, stored: StoredAnswer) -> Asked:
        """Return what the request was answered with before."""
        self._due(stored)
        return Asked(answer=shown(stored), charged=None, free=BEFORE, visible_at=stored.visible_at)

    def _due(self, stored: StoredAnswer) -> None:
        if stored.visible_at > self.clock():
            raise AnswerNotYetError("the answer is stored, and is shown after its tick")


def _request(facts: SnapshotFacts, question: Question) -> dict[str, JsonValue]:
    """Return what a key stands for: the same on every day."""
    return {"question": question.canonical, "accuracy": accuracy_of(question), "about": facts.about}


class _AnsweredBeforeError(CasehavenError):
    """The request was answered before; carries what was stored."""

    def __init__(self, stored: StoredAnswer) -> None:
        super().__init__("this request was answered before")
        self.stored = stored


class _DayTurnedError(CasehavenError):
    """It is another day than the one that was asked about; nothing was opened."""


class _OverrunError(CasehavenError):
    """The answer was not ready at its tick."""


def _plan(facts: SnapshotFacts, question: Question, paid: Tables, price: int | None = None) -> AnswerPlan:
    return plan_answer(
        question,
        people_cap=facts.people_cap,
        tokens=facts.tokens,
        paid=[table for table, _ in paid],
        price=price,
    )


def _source(
    vault: Vault, facts: SnapshotFacts, question: Question, held: HeldPeople | None, check: Check
) -> OpenPeople:
    found: VaultSnapshot = snapshot(
        vault, facts.datasets, PURPOSE, tokens_are=facts.tokens_are, blocks=question.registered
    )
    unit = question.unit

    def opened(receipt: Receipt, /) -> PersonTable | RecordTable:
        refuse_marked(vault, facts.datasets)  # a mark that was made since the check
        if unit is not None:
            return found.open_records(receipt, at_most=unit.at_most, check=check)
        return found.open(receipt, check=check) if held is None else held.open(found, receipt, check=check)

    return opened
