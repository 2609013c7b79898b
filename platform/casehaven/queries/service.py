"""Questions to datasets of a vault: what one costs, and its answer, paid for before a record is opened.

The order is the rule (privacy rules 14, 16 and 17):

1. The question is read by its grammar and planned from public facts. The datasets' marks and accounts are asked about; no balance is read.
2. A stored answer that is as exact, or more, is shown at no charge. So is one that follows from noisy tables that are paid for.
3. The charge is committed. Then permission to draw is on disk. Then, not before, the snapshot opens.
4. People are counted, and every cell gets noise, by the one module that has any.
5. The answer is stored, in one transaction with the mark that it was revealed, and only then shown: the stored bytes, not others.
6. What fails after the charge fails with one sentence, whatever it was: it may have depended on records (privacy rule 23). The charge stands; the same key may try once more.

An attempt that was cut short is repeated under its key: it finds its charge, and its answer where one was stored, on whatever day that was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Protocol

from casehaven.errors import CasehavenError
from casehaven.ledger import (
    ANSWER_PURPOSE,
    AllowanceState,
    AlreadyRevealedError,
    AnalystId,
    AnswerKey,
    IdempotencyKey,
    Ledger,
    LedgerError,
    StoredAnswer,
)
from casehaven.queries.errors import AnswerNotYetError, ChargedFailureError
from casehaven.queries.held import HeldPeople
from casehaven.queries.public_facts import PURPOSE, SnapshotFacts, public_numbers
from casehaven.vault.datasets import Dataset
from casehaven.vault.snapshots import Tokens, VaultSnapshot, snapshot
from casehaven.vault.store import Vault
from casehaven.vault.unbounded import refuse_marked
from casesynth.answers import (
    AnswerPlan,
    CountTable,
    Question,
    RecordTable,
    answer_document,
    helping,
    measure_answer,
    parse_question,
    plan_answer,
    question_digest,
    read_stored,
    rehearse,
    stored_document,
)
from casesynth.answers.document import StoredAnswerError
from casesynth.answers.question import Integers, WithinPeople
from casesynth.canonical import JsonValue, canonical_json
from casesynth.persons import PersonTable
from casesynth.privacy import PrivacyLoss, Receipt

MECHANISM: Final = "discrete_gaussian_2"
NANO_PEOPLE: Final = 10**9

Tables = tuple[tuple[CountTable, Integers], ...]


class OpenPeople(Protocol):
    """Opens people or records of a snapshot for a receipt."""

    def __call__(self, receipt: Receipt, /) -> PersonTable | RecordTable:
        """Return the rows to count."""
        ...


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a question would cost and how exact its answer would be. Reads public facts alone; fixes price and accuracy, and reserves nothing."""

    plan: AnswerPlan
    free: str | None
    """Why it costs nothing: `stored` or `from earlier answers`; None where it costs the plan's loss."""
    earlier_tables: int
    """Noisy tables that are paid for and help."""
    allowances: tuple[AllowanceState, ...] = ()
    """Of whoever asks, in each dataset: what is left of a fair share. Nobody else's, and no account's balance."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An answer as it is stored."""

    answer: Mapping[str, Any]
    """`casehaven-answer/1`."""
    charged: PrivacyLoss | None
    """None where it cost nothing."""
    free: str | None


@dataclass(kw_only=True)
class Queries:
    """Questions to the same datasets."""

    vault: Vault
    ledger: Ledger
    datasets: Sequence[Dataset]
    tokens_are: Tokens = "separate"
    analyst: AnalystId | None = None
    """Who asks; for a fair share alone, never for the guarantee."""
    held: HeldPeople | None = None
    """Keeps people open between questions, in a service's worker."""
    clock: Callable[[], int] = field(default=lambda: int(time.time()))

    @property
    def facts(self) -> SnapshotFacts:
        """What is asked about, as it is now."""
        current = [self.vault.dataset(dataset.organisation, dataset.name) for dataset in self.datasets]
        return SnapshotFacts.of(current, self.tokens_are, vault_id=self.vault.vault_id, seconds=self.clock())

    def parse(self, document: bytes | Mapping[str, Any]) -> Question:
        """Read a question.

        Raises:
            QuestionError: it does not fit; names the place.
        """
        facts = self.facts
        return parse_question(document, facts.datasets[0].domain, public_numbers(facts.schema))

    def quote(self, question: Question) -> Quote:
        """Return what a question costs.

        Raises:
            AnswerPlanError, PrivacyLossError: it cannot be planned.
            UnknownAccountError, UnboundedAccountError, UnboundedDatasetError: the datasets cannot be asked.
        """
        facts = self.facts
        self.ledger.accepts([dataset.id for dataset in facts.datasets])
        refuse_marked(self.vault, facts.datasets)
        paid = self._paid(facts, question)
        alone = self._plan(facts, question, ())
        plan = self._plan(facts, question, paid) if paid else alone
        why = "from earlier answers" if plan.free else None
        return Quote(
            plan=plan,
            free="stored" if self._cached(facts, alone) is not None else why,
            earlier_tables=len(paid),
            allowances=()
            if self.analyst is None
            else tuple(self.ledger.allowance(self.analyst, dataset.id) for dataset in facts.datasets),
        )

    def ask(self, question: Question, key: IdempotencyKey) -> Asked:
        """Answer a question, charged first.

        Args:
            question: from `parse`.
            key: of the request; the same for every attempt at it.

        Raises:
            BudgetExhaustedError, AllowanceExhaustedError, OdometerExhaustedError: no balance changed.
            IdempotencyConflictError, DrawRefusedError: see the ledger.
            ChargedFailureError: something failed after the charge, which stands.
            AnswerNotYetError: it is answered, and its tick has not come.
            Whatever `quote` raises; nothing was charged.
        """
        facts = self.facts
        names = [dataset.id for dataset in facts.datasets]
        self.ledger.accepts(names)
        refuse_marked(self.vault, facts.datasets)
        known = self.ledger.find(key)
        done = None if known is None else self.ledger.answer_of(known.receipt)
        if done is not None and self._answers_it(done, facts, question):
            return self._before(done)
        paid = self._paid(facts, question)
        alone = self._plan(facts, question, ())
        plan = self._plan(facts, question, paid) if paid else alone
        if known is None:
            hit = self._cached(facts, alone)
            if hit is not None:
                return Asked(answer=_shown(hit), charged=None, free="stored")
            if plan.free:
                free = answer_document(plan, paid, facts.stated())
                return Asked(answer=free, charged=None, free="from earlier answers")
        else:  # what was charged fixes the shares: a replay is the same request at the same price
            plan = plan_answer(
                question,
                people_cap=facts.people_cap,
                tokens=facts.tokens,
                paid=[table for table, _ in paid],
                price=known.receipt.loss.nano_rho,
            )
        return self._pay(facts, plan, paid, names, key)

    def answers(self, *, every_day: bool = False) -> tuple[StoredAnswer, ...]:
        """Return the stored answers about these datasets, oldest first, without who asked.

        Args:
            every_day: those of earlier days as well, whatever changed since.
        """
        facts = self.facts
        if not every_day:
            return self._visible(facts)
        now = self.clock()
        return tuple(found for found in self.ledger.answers() if found.visible_at <= now and _is_about(found, facts))

    # --- steps ---

    def _pay(
        self, facts: SnapshotFacts, plan: AnswerPlan, paid: Tables, names: Sequence[str], key: IdempotencyKey
    ) -> Asked:
        body: dict[str, JsonValue] = {
            "question": plan.question.canonical,
            "accuracy": _accuracy(plan.question),
            "about": facts.about,
        }
        rehearse(plan, paid)  # before the charge: no answer fails for what public facts could have told
        opened = _source(self.vault, facts, plan.question, self.held)
        drawing = False
        issued: Receipt | None = None

        def charge(loss: PrivacyLoss) -> Receipt:
            return self.ledger.charge(  # privacy rule 14: charge before data is touched
                key=key,
                body=body,
                datasets=names,
                blocks=facts.blocks,
                loss=loss,
                purpose=ANSWER_PURPOSE,
                analyst=self.analyst,
            )

        def open_rows(receipt: Receipt) -> PersonTable | RecordTable:
            nonlocal drawing, issued
            issued = receipt
            done = self.ledger.answer_of(receipt)
            if done is not None:
                raise _AnsweredBeforeError(done)
            self.ledger.begin_draw(receipt)
            drawing = True
            return opened(receipt)

        try:
            tables, receipt = measure_answer(plan, facts.datasets[0].domain, charge=charge, open_rows=open_rows)
            own = tuple((found.table, found.values) for found in tables)
            answer = answer_document(plan, (*own, *paid), facts.stated())
            document = stored_document(answer, tables).decode("utf-8")
            stored = self.ledger.store_answer(
                receipt, self._key(facts, plan), document=document, visible_at=self.clock()
            )
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
        self._due(stored)
        return Asked(answer=_shown(stored), charged=plan.loss, free=None)

    def _plan(self, facts: SnapshotFacts, question: Question, paid: Tables) -> AnswerPlan:
        return plan_answer(
            question, people_cap=facts.people_cap, tokens=facts.tokens, paid=[table for table, _ in paid]
        )

    def _key(self, facts: SnapshotFacts, plan: AnswerPlan) -> AnswerKey:
        return AnswerKey(
            plan_sha256=question_digest(plan.question),
            snapshot=facts.name,
            mechanism=MECHANISM,
            noise_scale=max(-int(-plan.within * NANO_PEOPLE // 1), 1),
        )

    def _cached(self, facts: SnapshotFacts, alone: AnswerPlan) -> StoredAnswer | None:
        """Return a stored answer that is as exact as what is asked for (privacy rule 17), by the plan without earlier tables."""
        asked = alone.question.accuracy
        within = asked.people if isinstance(asked, WithinPeople) else alone.within
        key = replace(self._key(facts, alone), noise_scale=max(-int(-within * NANO_PEOPLE // 1), 1))
        found = [
            stored
            for stored in self._visible(facts)
            if (stored.key.plan_sha256, stored.key.mechanism) == (key.plan_sha256, key.mechanism)
            and stored.key.noise_scale <= key.noise_scale
        ]
        return min(found, key=lambda stored: stored.key.noise_scale, default=None)

    def _before(self, stored: StoredAnswer) -> Asked:
        """Return what the request was answered with before."""
        self._due(stored)
        return Asked(answer=_shown(stored), charged=None, free="asked before under this key")

    def _due(self, stored: StoredAnswer) -> None:
        if stored.visible_at > self.clock():
            raise AnswerNotYetError("the answer is stored, and is shown after its tick")

    @staticmethod
    def _answers_it(stored: StoredAnswer, facts: SnapshotFacts, question: Question) -> bool:
        """Whether an answer is to this question at this accuracy; where it is not, the ledger says what is wrong."""
        answer = _shown(stored)
        asked = canonical_json([question.canonical, _accuracy(question)])
        return _is_about(stored, facts) and canonical_json([answer["question"], answer["accuracy"]]) == asked

    def _visible(self, facts: SnapshotFacts) -> tuple[StoredAnswer, ...]:
        now = self.clock()
        return tuple(found for found in self.ledger.answers(snapshot=facts.name) if found.visible_at <= now)

    def _paid(self, facts: SnapshotFacts, question: Question) -> Tables:
        """Return the noisy tables that were paid for on this snapshot and help."""
        tables: list[tuple[CountTable, Integers]] = []
        for found in self._visible(facts):
            tables += _read(found.sha256, found.document)[1]
        return tuple(helping(question, tables))


def _is_about(stored: StoredAnswer, facts: SnapshotFacts) -> bool:
    """Whether a stored answer is about these datasets of this vault, on whatever day."""
    try:
        said = dict(_shown(stored)["snapshot"])
    except StoredAnswerError:  # of a version that stored other things
        return False
    said.pop("day", None)
    return said == facts.about


class _AnsweredBeforeError(CasehavenError):
    """The request was answered before; carries what was stored."""

    def __init__(self, stored: StoredAnswer) -> None:
        super().__init__("this request was answered before")
        self.stored = stored


def _accuracy(question: Question) -> JsonValue:
    asked = question.accuracy
    return {"within_people": asked.people} if isinstance(asked, WithinPeople) else {"epsilon": asked.epsilon}


def _shown(stored: StoredAnswer) -> Mapping[str, Any]:
    return _read(stored.sha256, stored.document)[0]


@lru_cache(maxsize=256)
def _read(sha256: str, document: str) -> tuple[Mapping[str, Any], Tables]:
    """Read a stored answer once; protected numbers alone."""
    answer, tables = read_stored(document.encode("utf-8"))
    return answer, tuple(tables)


def _source(vault: Vault, facts: SnapshotFacts, question: Question, held: HeldPeople | None) -> OpenPeople:
    found: VaultSnapshot = snapshot(vault, facts.datasets, PURPOSE, tokens_are=facts.tokens_are)
    unit = question.unit

    def opened(receipt: Receipt, /) -> PersonTable | RecordTable:
        refuse_marked(vault, facts.datasets)  # a mark that was made since the check
        if unit is not None:
            return found.open_records(receipt, at_most=unit.at_most)
        return found.open(receipt) if held is None else held.open(found, receipt)

    return opened


def shown_answer(stored: StoredAnswer) -> Mapping[str, Any]:
    """Return what people see of a stored answer."""
    return _shown(stored)
