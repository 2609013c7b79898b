"""Jobs of questions: quote, ask, and the answers that are stored. What may be counted is decided first (`casehaven.worker.pooling`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from casehaven.agreements.document import AgreementDocument
from casehaven.errors import CasehavenError
from casehaven.ledger import IdempotencyKey, StoredAnswer
from casehaven.organisations.access import Operation
from casehaven.queries import Queries
from casehaven.queries.errors import AnswerNotYetError, ChargedFailureError
from casehaven.queries.pooled import Permit
from casehaven.queries.public_facts import PURPOSE
from casehaven.queries.quoted import quote_document
from casehaven.queries.stored import shown
from casehaven.worker.pool_names import pool_names
from casehaven.worker.pooling import Permission, nameless, permission
from casehaven.worker.work import Done, Work, plain
from casesynth.answers import Question
from casesynth.answers.document import StoredAnswerError
from casesynth.canonical import canonical_json
from casesynth.privacy import PrivacyLoss


def quote(work: Work) -> Done:
    """Say what a question would cost. Reads public facts and the ledger alone."""
    found = permission(work, PURPOSE, Operation.QUESTION_QUOTE)
    with nameless(found):
        queries, question = _asked(work, found)
        document = quote_document(queries, question, queries.quote(question))
    if found.document is not None:
        document["allowances"] = []  # they are by dataset, and of all who ask under the agreement
    return Done(result=plain(document))


def ask(work: Work) -> Done:
    """Answer a question, charged first, and seen at its tick (privacy rule 24).

    The job's id is the ledger's key: a second attempt finds its charge, and its answer where one was stored.
    """
    found = permission(work, PURPOSE, Operation.QUESTION_ASK)
    with nameless(found):
        queries, question = _asked(work, found)
        with found.using(canonical_json(question.canonical).decode("utf-8")):
            return _answer(work, queries, question, queries.permit)


class _TickPassedError(CasehavenError):
    """The tick passed while the question waited for its turn; nothing is charged."""


def _answer(work: Work, queries: Queries, question: Question, permit: Permit) -> Done:
    while True:
        work.tick("running")
        try:
            return _attempt(work, queries, question, permit)
        except _TickPassedError:  # another one of the same question was counted meanwhile
            continue


def _attempt(work: Work, queries: Queries, question: Question, permit: Permit) -> Done:
    bench = work.bench
    key = IdempotencyKey(text=f"job-{work.job.job_id}")
    ticks = queries.ticks(question)
    due, work.slot = ticks.next_tick(bench.clock()), ticks.slot

    @contextmanager
    def charging(loss: PrivacyLoss) -> Iterator[None]:
        """Fix the tick in the job's row, then charge: from there on nothing moves what is seen."""
        if bench.clock() >= due:
            raise _TickPassedError
        work.fix(due)
        with permit(loss):
            yield

    queries.permit = charging
    try:
        found = queries.ask(question, key, due=due, as_of=work.request.get("as_of"))
    except AnswerNotYetError:  # an attempt before this one stored it, and its worker died
        known = bench.ledger.find(key)
        stored = None if known is None else bench.ledger.answer_of(known.receipt)
        if known is None or stored is None:
            raise
        work.due = stored.visible_at
        answer: dict[str, Any] = {
            "answer": shown(stored),
            "charged_nano_rho": known.receipt.loss.nano_rho,
            "free": None,
        }
        return Done(result=plain(answer), visible_at=stored.visible_at)
    except ChargedFailureError:
        work.due = due
        raise
    charged = None if found.charged is None else found.charged.nano_rho
    work.due = found.visible_at if found.visible_at > bench.clock() else 0
    result: dict[str, Any] = {"answer": found.answer, "charged_nano_rho": charged, "free": found.free}
    return Done(result=plain(result), visible_at=found.visible_at)


def answers(work: Work) -> Done:
    """List the answers that are stored about some datasets, or under an agreement, without who asked."""
    permitted = permission(work, PURPOSE, Operation.ANSWER_LIST)
    every_day = bool(work.request.get("every_day"))
    with nameless(permitted):
        queries = _queries(work, permitted)
        if permitted.document is None:
            found: Iterable[StoredAnswer] = queries.answers(every_day=every_day)
        else:
            found = _under(work, permitted.document, None if every_day else queries.facts.day)
        return Done(result={"answers": [plain(dict(shown(stored))) for stored in found]})


def _under(work: Work, document: AgreementDocument, day: str | None) -> Iterator[StoredAnswer]:
    """Yield what was answered under the document in force and has passed its tick, oldest first; an earlier document of the agreement had other terms, or other askers.

    Args:
        work: of whoever may ask under it.
        document: of the agreement.
        day: only of this one.
    """
    names: dict[int, frozenset[str]] = {}
    for stored in work.bench.ledger.answers():
        if stored.visible_at > work.bench.clock():
            continue
        try:
            said = shown(stored)["snapshot"]
        except StoredAnswerError:  # of a version that stored other things
            continue
        if said.get("agreement") != document.agreement or (day is not None and said["day"] != day):
            continue
        left_out = int(said["left_out"])
        if left_out not in names:
            names[left_out] = pool_names(document, left_out)
        if said["pool"] in names[left_out]:
            yield stored


def _asked(work: Work, found: Permission) -> tuple[Queries, Question]:
    """Read the question, and choose who can pay for it, under what its asker may ask."""
    queries = _queries(work, found)
    question = queries.parse(work.request["question"])
    found.check_question(question)
    queries.pool = found.pool(queries.facts.charged(question))
    queries.datasets = found.counted
    return queries, question


def _queries(work: Work, found: Permission) -> Queries:
    return Queries(
        vault=work.bench.vault,
        ledger=work.bench.ledger,
        datasets=found.datasets,
        tokens_are=found.tokens_are,
        analyst=found.analyst,
        held=work.bench.held,
        clock=work.bench.clock,
        permit=found.permit,
    )
