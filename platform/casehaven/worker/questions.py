"""Jobs of questions: quote, ask, and the answers that are stored."""

from __future__ import annotations

from typing import Any

from casehaven.ledger import AnalystId, IdempotencyKey
from casehaven.queries import Queries
from casehaven.queries.errors import AnswerNotYetError, ChargedFailureError
from casehaven.queries.quoted import quote_document
from casehaven.queries.stored import shown
from casehaven.worker.work import Done, Work, plain


def quote(work: Work) -> Done:
    """Say what a question would cost. Reads public facts and the ledger alone."""
    queries = _queries(work)
    question = queries.parse(work.request["question"])
    return Done(result=plain(quote_document(queries, question, queries.quote(question))))


def ask(work: Work) -> Done:
    """Answer a question, charged first, and seen at its tick (privacy rule 24).

    The job's id is the ledger's key: a second attempt finds its charge, and its answer where one was stored.
    """
    queries, bench = _queries(work), work.bench
    question = queries.parse(work.request["question"])
    key = IdempotencyKey(text=f"job-{work.job.job_id}")
    work.tick("running")
    due = queries.due(question, accepted_at=bench.clock())
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
    work.due = 0 if charged is None else found.visible_at
    result: dict[str, Any] = {"answer": found.answer, "charged_nano_rho": charged, "free": found.free}
    return Done(result=plain(result), visible_at=found.visible_at)


def answers(work: Work) -> Done:
    """List the answers that are stored about some datasets, without who asked."""
    found = _queries(work).answers(every_day=bool(work.request.get("every_day")))
    return Done(result={"answers": [plain(dict(shown(stored))) for stored in found]})


def _queries(work: Work) -> Queries:
    return Queries(
        vault=work.bench.vault,
        ledger=work.bench.ledger,
        datasets=work.datasets(),
        tokens_are="shared" if work.request.get("person_tokens") == "shared" else "separate",
        analyst=AnalystId(text=work.actor),
        held=work.bench.held,
        clock=work.bench.clock,
    )
